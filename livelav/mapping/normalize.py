"""Per-dimension normalisation of the projected embedding: n = (p - mean) / std. Causal.

Three modes, told apart by where the statistics come from: `running` starts from those stored with the encoder and
follows the sound; `fixed` keeps the stored ones; `track` is `fixed` with the statistics of a whole file, which only
an offline render can know.
"""

import math

import numpy as np

from livelav.core.values import EmbeddingStats, Floats

# The running deviation never falls under this share of the stored one: a quiet hum must not be blown up to a dance.
FLOOR = 0.2
# Between these levels the memory goes from frozen to awake, so that a gap between songs is not learnt as "normal".
ASLEEP_DB, AWAKE_DB = -70.0, -50.0


def projected_stats(projection: Floats, stats: EmbeddingStats) -> tuple[Floats, Floats]:
    """Mean and standard deviation [512] of A e, from the mean [128] and covariance [128, 128] of e."""
    mean = projection @ stats.mean
    # a product, and of its rows their own share: one einsum of all three took forty times as long, at every recall
    variance = np.einsum("ik,ik->i", projection @ stats.covariance, projection)
    return mean.astype(np.float32), np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)


class Normalizer:
    """Holds the statistics; `adapt` moves them, `step` applies them."""

    def __init__(self, mean: Floats, std: Floats, running: bool) -> None:
        """`mean` and `std` [512] of the projected embedding to start from (or, if not `running`, to keep)."""
        self._mean = mean.astype(np.float64)
        self._variance = std.astype(np.float64) ** 2
        self._floor = self._variance * FLOOR**2
        self._running = running

    def step(self, projected: Floats, rms: float, dt_s: float, time_s: float) -> Floats:
        """[512] to [512]; `time_s` is the memory of the running mode, `rms` what wakes it."""
        if self._running:
            level_db = 20.0 * math.log10(max(rms, 1e-9))
            awake = min(max((level_db - ASLEEP_DB) / (AWAKE_DB - ASLEEP_DB), 0.0), 1.0)
            rate = awake * (1.0 - math.exp(-dt_s / time_s))
            deviation = projected - self._mean
            self._mean += rate * deviation
            self._variance += rate * ((1.0 - rate) * deviation**2 - self._variance)
        std = np.sqrt(np.maximum(self._variance, self._floor))
        return ((projected - self._mean) / std).astype(np.float32)
