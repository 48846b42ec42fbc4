"""How much of a sound is tone and how much is beat: harmonic and percussive loudness, frame by frame. Causal.

Tones are ridges along time in a spectrogram, beats are ridges along frequency. So each bin's median over the last
frames, and over its neighbours in this frame, say how it is to be shared:

    frequency ^   . | . .        a tone:  -----       a beat:  |
              |   --+----                                      |
              |   . | . .                                      |
              +----------> time

A median over the past alone knows a tone only once it fills half the window: for its first 0.1 s it counts as a beat.
Pure numpy. Of use to who asks for it alone: it takes a tenth as long as all that the encoder does.

Source: FitzGerald, Harmonic/Percussive Separation using Median Filtering (2010).
"""

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats

_TIME_S = 0.2  # window of the medians along time
_WIDTH_HZ = 600.0  # and along frequency
_HIGHEST_HZ = 8000.0  # above it hardly anything is tone, and most of the time would be spent there
_TINY = 1e-12
_HANN_BINS = 1.5  # a sine's power is spread over so many bins by a Hann window


class Split:
    """What one stream's medians remember."""

    def __init__(self, bins: int, bin_hz: float, frame_s: float) -> None:
        """For magnitudes of Hann windows, `bins` from 0 Hz up; a sine of amplitude 1 has magnitude 1."""
        self._bins = min(round(_HIGHEST_HZ / bin_hz), bins)
        self._reach = max(round(0.5 * _WIDTH_HZ / bin_hz), 1)
        self._past = np.zeros((_odd(_TIME_S / frame_s), self._bins), np.float32)

    def step(self, spectrum: Floats) -> tuple[float, float]:
        """(harmonic, percussive) of magnitudes [bins]: linear like an rms, and together as much as that."""
        now = spectrum[: self._bins]
        self._past = np.concatenate([self._past[1:], now[None]])
        tone = np.square(_median(self._past))
        padded = np.pad(now, self._reach, mode="reflect")
        beat = np.square(_median(np.lib.stride_tricks.sliding_window_view(padded, self._bins)))
        power = np.square(now)
        harmonic = float(np.sum(power * (tone + _TINY) / (tone + beat + 2 * _TINY), dtype=np.float64))
        whole = float(np.sum(np.square(spectrum), dtype=np.float64))
        each = np.sqrt(np.array([harmonic, max(whole - harmonic, 0.0)]) / (2.0 * _HANN_BINS))
        return float(each[0]), float(each[1])


def _odd(frames: float) -> int:
    return 2 * max(round((frames - 1.0) / 2.0), 1) + 1


def _median(rows: NDArray[np.float32]) -> Floats:
    """Of an odd number of rows [n, m]: [m]."""
    found: Floats = np.sort(rows, axis=0)[len(rows) // 2]  # numpy sorts short columns faster than it partitions them
    return found
