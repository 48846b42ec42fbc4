"""Three figures that tell a performer what the mapping does, in units of the generator's own W.

`spread` near 0: every sound looks the same. `step` high: flicker. `distance` well above 1: outside W, glitches.
"""

import math

import numpy as np

from livelav.core.values import Floats, WStats


class Meters:
    """Follows ws over the last few seconds."""

    _TIME_S = 5.0

    def __init__(self, stats: WStats, frame_rate: float) -> None:
        self._stats = stats
        self._rate = 1.0 - math.exp(-1.0 / (self._TIME_S * frame_rate))
        self._mean = np.tile(stats.mean.astype(np.float64), (stats.num_ws, 1))
        self._variance = np.zeros_like(self._mean)
        self._last = self._mean
        self.step_size = 0.0
        self.distance = 0.0

    def step(self, ws: Floats) -> None:
        """Takes ws [num_ws, 512] of one frame."""
        std = np.maximum(self._stats.std, 1e-9)
        deviation = ws - self._mean
        self._mean += self._rate * deviation
        self._variance += self._rate * ((1.0 - self._rate) * deviation**2 - self._variance)
        moved = float(np.sqrt(np.mean(((ws - self._last) / std) ** 2)))
        self.step_size += self._rate * (moved - self.step_size)
        self.distance = float(np.sqrt(np.mean(((ws - self._stats.mean) / std) ** 2)))
        self._last = ws.astype(np.float64)

    @property
    def spread(self) -> float:
        """Standard deviation of ws over the last seconds, as a share of W's own."""
        return float(np.sqrt(np.mean(self._variance) / max(float(np.mean(self._stats.std**2)), 1e-12)))
