"""What the operator sees of the sound: bars of a spectrum on a logarithmic scale, and the highest sample.

A sine of full scale reads 0 dB in the bar of its frequency, wherever between two of the transform's lines it lies (to
1.5 dB). Knows no window and no device: blocks come in, the time is passed in. Runs in the operator's process.
"""

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Block, Floats

BARS = 48
LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
FLOOR_DB = -90.0

_SAMPLES = 4096  # 85 ms at 48 kHz: two low notes a semitone apart still share a bar, and a beat is not smeared
_FALL_DB_S = 60.0  # rises at once, falls so that an eye can follow
_PEAK_S = 1.0  # for so long the highest sample stands
_QUIET_S = 0.2  # without a block for so long there is silence

Bars = NDArray[np.float64]


def bar_edges_hz() -> Bars:
    """[BARS + 1] frequencies that part the bars."""
    return np.geomspace(LOWEST_HZ, HIGHEST_HZ, BARS + 1)


def spectrum_db(samples: Floats, rate_hz: float) -> Bars:
    """[BARS] the strongest line of each bar in dB of full scale, from samples [n]; FLOOR_DB at least."""
    window = np.hanning(len(samples))
    lines = np.abs(np.fft.rfft(samples * window)) * (2.0 / window.sum())
    at = bar_edges_hz() * len(samples) / rate_hz
    first = np.minimum(at[:-1].astype(int), len(lines) - 1)
    last = np.minimum(np.ceil(at[1:]).astype(int), len(lines) - 1)  # of a narrow bar at least its two neighbours
    strongest = np.array([lines[a : b + 1].max() for a, b in zip(first, last, strict=True)])
    strongest[at[:-1] >= len(lines)] = 0.0  # beyond what this rate can carry
    bars: Bars = np.maximum(20.0 * np.log10(np.maximum(strongest, 1e-9)), FLOOR_DB)
    return bars


class Ear:
    """`bars_db` [BARS] and `peak` (1 is full scale) of what was heard last."""

    def __init__(self) -> None:
        self.bars_db: Bars = np.full(BARS, FLOOR_DB)
        self.peak = 0.0
        self._recent = np.zeros(_SAMPLES, np.float32)
        self._rate_hz = 48_000.0
        self._heard_s = self._peak_s = self._now_s = float("-inf")

    def hear(self, block: Block, now_s: float) -> None:
        """Takes what came: samples [n, channels]."""
        mono = block.samples.mean(axis=1)[-_SAMPLES:]
        self._recent = np.concatenate([self._recent[len(mono) :], mono])
        self._rate_hz, self._heard_s = block.rate_hz, now_s
        highest = float(np.abs(block.samples).max(initial=0.0))
        if highest >= self.peak or now_s - self._peak_s > _PEAK_S:
            self.peak, self._peak_s = highest, now_s

    def step(self, now_s: float) -> None:
        """Brings the bars up to this moment."""
        if now_s - self._heard_s > _QUIET_S:
            self._recent[:] = 0.0
            self.peak = 0.0
        fallen = self.bars_db - _FALL_DB_S * min(now_s - self._now_s, 10.0)
        self.bars_db = np.maximum(spectrum_db(self._recent, self._rate_hz), fallen)
        self._now_s = now_s
