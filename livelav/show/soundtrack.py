"""Sound for a recording: blocks with capture times in, one unbroken stream at one rate out.

A recording's sound must neither tear nor drift from its pictures. Its place is counted in samples, so the stream is
whole; small differences to the blocks' own times (two clocks never agree) are worked off by one sample a block,
inaudibly; gaps are filled with silence and overlaps cut. Uses PyAV's resampler, writes no file.
"""

from typing import Any

import numpy as np

from livelav.core.values import Block, Floats

RATE_HZ = 48_000
TEAR_S = 0.04  # more than this is a gap or an overlap, less is jitter and drift
SLACK_S = 0.002  # left alone
JITTER_S = 2.0  # differences are judged by their mean over about this long
LATE_S = 1.0  # sound that has not come by then is silence: the pictures must not wait for it
KEPT_BACK_S = 0.5  # what such silence stays behind now, so that sound can begin again without a cut


class Soundtrack:
    """Places blocks on a line of samples that begins at `start_s`."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._resampler: Any = None
        self._rate_hz = 0.0
        self._begun = False
        self._lag = 0.0  # mean difference of the blocks' times to their places, in samples
        self.position = 0  # samples given out

    def add(self, block: Block) -> Floats:
        """[n, 2] at RATE_HZ to follow what was given out before; `block` is [m, 2] at any rate."""
        samples = self._resampled(block)
        ideal = round((block.captured_s - self._start_s) * RATE_HZ) - len(samples)
        difference = ideal - self.position
        if abs(difference) > TEAR_S * RATE_HZ or not self._begun:
            self._lag, self._begun = 0.0, True
            samples = _padded(samples, difference) if difference > 0 else samples[-difference:]
            if len(samples) == 0:
                self._begun = False  # nothing of it was late enough: the next one is placed exactly
        else:
            # a block that waited in a driver looks late and the next one early: only the mean is drift
            self._lag += (difference - self._lag) * min(len(samples) / (JITTER_S * RATE_HZ), 1.0)
            if abs(self._lag) > SLACK_S * RATE_HZ and len(samples) > 64:
                by = 1 if self._lag > 0 else -1
                samples = _stretched(samples, by)
                self._lag -= by
        self.position += len(samples)
        return samples

    def keep_up(self, now_s: float) -> Floats:
        """[n, 2] of silence where sound stayed away for too long; mostly none."""
        behind = (now_s - self._start_s) * RATE_HZ - self.position
        count = int(behind - KEPT_BACK_S * RATE_HZ) if behind > LATE_S * RATE_HZ else 0
        self.position += count
        return np.zeros((count, 2), np.float32)

    def _resampled(self, block: Block) -> Floats:
        import av

        if block.rate_hz == RATE_HZ:
            self._rate_hz = RATE_HZ
            return block.samples
        if block.rate_hz != self._rate_hz:
            # what the old one still held, under a millisecond, goes with it; the gap is found by the next block's time
            self._rate_hz = block.rate_hz
            self._resampler = av.AudioResampler(format="flt", layout="stereo", rate=RATE_HZ)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.samples).reshape(1, -1), "flt", "stereo")
        frame.sample_rate = round(block.rate_hz)
        parts = [part.to_ndarray().reshape(-1, 2) for part in self._resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros((0, 2), np.float32)


def _padded(samples: Floats, count: int) -> Floats:
    return np.concatenate([np.zeros((count, 2), np.float32), samples])


def _stretched(samples: Floats, by: int) -> Floats:
    """The same sound in `by` samples more."""
    n = len(samples)
    at = np.linspace(0.0, n - 1.0, n + by)
    return np.stack([np.interp(at, np.arange(n), samples[:, c]) for c in (0, 1)], axis=1).astype(np.float32)
