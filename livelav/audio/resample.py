"""Streaming resampler: a polyphase windowed sinc that sees less than a millisecond ahead.

Six zero crossings on each side under a Hann window, roll-off 0.99: the kernel that torchaudio's Resample has by
default (J. O. Smith, "Digital Audio Resampling Home Page", https://ccrma.stanford.edu/~jos/resample/), so an
encoder trained on sound from there hears the same. Output m lies at time m / rate_out of the input's own time.
"""

import math

import numpy as np

from livelav.core.values import Floats

ZEROS = 6
ROLLOFF = 0.99


class Resampler:
    """One channel of sound from one rate to another. State: the last few input samples and where the next output lies.

    input   . . . . . . . . . . . .        each output weighs the `taps` samples around its own time;
    output  |     |     |     |            its offset within an input sample is one of `up` phases
    """

    def __init__(self, rate_in: float, rate_out: float) -> None:
        """Rates in Hz, rounded to whole ones (drivers report 44099.98 for 44100)."""
        rate_in, rate_out = round(rate_in), round(rate_out)
        assert rate_in > 0 and rate_out > 0, f"rates must be positive, not {rate_in} and {rate_out}"
        common = math.gcd(rate_in, rate_out)
        self._down, self._up = rate_in // common, rate_out // common
        self._same = self._down == self._up
        cutoff = min(1.0, rate_out / rate_in) * ROLLOFF  # zero crossings per input sample
        self._reach = math.ceil(ZEROS / cutoff)  # samples needed on each side
        self.lookahead_s = 0.0 if self._same else self._reach / rate_in
        self._kernels = self._table(cutoff)
        self.reset()

    def _table(self, cutoff: float) -> Floats:
        """Weights [up, taps]: row p is for outputs that lie p/up of a sample after the input they are counted from."""
        taps = np.arange(-self._reach, self._reach + 1)
        if self._same:
            return np.zeros((0, len(taps)), np.float32)
        distance = cutoff * (taps - np.arange(self._up)[:, None] / self._up)
        window = np.where(np.abs(distance) < ZEROS, np.cos(distance * (math.pi / 2 / ZEROS)) ** 2, 0)
        table: Floats = (cutoff * np.sinc(distance) * window).astype(np.float32)
        return table

    def reset(self) -> None:
        """Forgets the past: what follows is a new sound after silence."""
        self._buffer: Floats = np.zeros(self._reach, np.float32)
        self._next = 0  # time of the next output, in 1/up of a sample, counted from the buffer's sample `reach`

    def step(self, samples: Floats) -> Floats:
        """Samples [n] float32 to those outputs [m] that they complete; any n, also 0. Nothing is lost between calls."""
        if self._same:
            return samples
        buffer = np.concatenate([self._buffer, samples])
        # an output at input q needs q - reach .. q + reach, which start at buffer[q]
        ready = (len(buffer) - 2 * self._reach) * self._up
        times = np.arange(self._next, ready, self._down)
        start, phase = np.divmod(times, self._up)
        self._next += len(times) * self._down
        spent = self._next // self._up
        self._buffer, self._next = buffer[spent:], self._next - spent * self._up
        if not len(times):
            return np.zeros(0, np.float32)
        taps, item = 2 * self._reach + 1, buffer.itemsize
        # every window there is; numpy's own way to it takes longer than all the rest
        windows: Floats = np.ndarray((len(buffer) - taps + 1, taps), buffer.dtype, buffer, strides=(item, item))
        out: Floats = np.einsum("mk,mk->m", windows[start], self._kernels[phase])
        return out
