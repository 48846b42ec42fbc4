"""What hand-made ears hear: onset strength, flux, chroma, loudness and a spectrum, once per encoder frame, from its
samples.

Causal: frame t is of sound up to the encoder frame's own last sample, and the same whatever the pieces it came in.
Knows nothing of encoders but their rate and hop. Pure numpy; called by whoever feeds the encoder, in its process.

Sources: onset as half-wave rectified log-mel flux, Böck & Widmer, Maximum Filter Vibrato Suppression for Onset
Detection (2013); chroma as in Müller, Fundamentals of Music Processing (2015), section 3.1.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import CHROMA_BINS, Floats

_SHORT_S = 0.043  # window of the onset spectrum: 1,024 samples at 24 kHz
_LONG_S = 0.171  # window of the chroma spectrum: 4,096 samples at 24 kHz tell semitones apart from 140 Hz up
_BANDS = 40
_LAG_S = 0.020  # flux compares with the spectrum so long ago, so that an attack that grows over it stands out,
_SPAN_S = 0.080  # and with the loudest of each band from there to so long ago: the beating of steady sound is no attack
_SILENCE = 1e-4  # amplitude below which nothing is heard, -80 dB
FLUX_BANDS = 4
_FLUX_HZ = (160.0, 600.0, 2300.0)  # between them: kick and bass, toms, snare, hats
_LOUDEST = 100.0  # amplitude, +40 dB; beyond it squares would overflow before long
_GAIN = 1000.0  # log(1 + gain * magnitude): compresses level
_MEMORY_S = 1.5  # of the slow level that onsets are measured against
_FLOOR = 0.08  # least slow level, so that ripple in steady sound is no onset
_RATIO = 6.0  # a flux so many times above the slow level is an onset of 1
_A4_HZ = 440.0
_CHROMA_HZ = (110.0, 2000.0)


@dataclass(frozen=True, slots=True)
class Heard:
    """One row per encoder frame."""

    onset: Floats  # [n], 0 in steady sound, 1 at a clear attack
    chroma: Floats  # [n, 12], C first, sums to 1, all zero in silence
    rms: Floats  # [n], linear, without DC
    flux: Floats  # [n, FLUX_BANDS], low to high: what the mel amplitudes' square roots rose by
    spectrum: Floats  # [n, bins] magnitudes of the newest 43 ms, a sine of amplitude 1 has 1


class FeatureExtractor:
    """The ears of one stream; what it remembers is in it, so each stream needs its own."""

    def __init__(self, sample_rate: int, hop: int) -> None:
        """`sample_rate` in Hz and samples per frame, both the encoder's."""
        self._hop = hop
        self._frame_s = hop / sample_rate
        self._short, self._long = (_power_of_two(seconds * sample_rate) for seconds in (_SHORT_S, _LONG_S))
        self._short_window, self._long_window = _hann(self._short), _hann(self._long)
        self.bin_hz = sample_rate / self._short  # from one magnitude of the spectrum to the next
        self._mel = _mel_bands(sample_rate, self._short)
        self._flux_from = np.concatenate([[0], np.searchsorted(_mel_edges(sample_rate)[1:-1], _FLUX_HZ)])
        self._flux_widths = np.diff(self._flux_from, append=_BANDS)  # in mel bands
        self._pitch_classes = _pitch_classes(sample_rate, self._long)
        self._heard = np.zeros(self._long, np.float32)  # the newest samples, and behind them what is not yet a frame
        self._lag = max(round(_LAG_S / self._frame_s), 1)  # frames
        # oldest first; logarithms, which make whispers attacks too, and square roots, which keep a kick above a hat
        self._bands = np.zeros((max(round(_SPAN_S / self._frame_s), self._lag), 2, _BANDS), np.float32)
        self._level = 0.0
        self._keep = math.exp(-self._frame_s / _MEMORY_S)

    def step(self, samples: Floats) -> Heard:
        """Mono samples [n], any n, finite: one row for each frame that ends in them."""
        sound = np.concatenate([self._heard, np.clip(samples, -_LOUDEST, _LOUDEST).astype(np.float32)])
        frames = (len(sound) - self._long) // self._hop
        rows = [self._frame(sound[: self._long + (k + 1) * self._hop]) for k in range(frames)]
        self._heard = sound[frames * self._hop :].copy()
        onset, rms = (np.array([row[i] for row in rows], np.float32) for i in (0, 2))
        chroma = np.array([row[1] for row in rows], np.float32).reshape(-1, CHROMA_BINS)
        flux = np.array([row[3] for row in rows], np.float32).reshape(-1, FLUX_BANDS)
        spectrum = np.array([row[4] for row in rows], np.float32).reshape(-1, self._short // 2 + 1)
        return Heard(onset, chroma, rms, flux, spectrum)

    def _frame(self, sound: Floats) -> tuple[float, Floats, float, Floats, Floats]:
        """A row of Heard, at the end of `sound`, which is at least the long window."""
        recent = sound[-self._short :]
        recent = recent - recent.mean()
        rms = float(np.sqrt(np.mean(np.square(recent[-max(self._hop, 512) :], dtype=np.float64))))
        spectrum = np.abs(np.fft.rfft(recent * self._short_window)).astype(np.float32)
        onset, flux = self._attack(spectrum)
        return onset, self._chroma(sound[-self._long :]), rms, flux, spectrum

    def _attack(self, spectrum: Floats) -> tuple[float, Floats]:
        """(onset, flux)"""
        mel = spectrum @ self._mel
        bands = np.array([np.log1p(np.float32(_GAIN) * mel), np.sqrt(mel)])
        before = self._bands[: len(self._bands) - self._lag + 1].max(axis=0)
        rises = np.maximum(bands - before, 0)
        rise = float(rises[0].mean())
        self._bands = np.concatenate([self._bands[1:], bands[None]])
        onset = (rise / max(self._level, _FLOOR) - 1.0) / (_RATIO - 1.0)
        self._level = self._keep * self._level + (1.0 - self._keep) * rise
        flux = np.add.reduceat(rises[1], self._flux_from) / self._flux_widths
        return min(max(onset, 0.0), 1.0), flux.astype(np.float32)

    def _chroma(self, recent: Floats) -> Floats:
        spectrum = np.abs(np.fft.rfft((recent - recent.mean()) * self._long_window)).astype(np.float32)
        classes: Floats = np.square(spectrum) @ self._pitch_classes
        total = float(classes.sum())
        if total < _SILENCE**2:
            return np.zeros(CHROMA_BINS, np.float32)
        return classes / np.float32(total)


def _power_of_two(samples: float) -> int:
    return 1 << round(math.log2(samples))


def _hann(n: int) -> Floats:
    """Scaled so that a sine of amplitude 1 has magnitude 1."""
    window: Floats = np.hanning(n + 1)[:-1].astype(np.float32)
    return window * np.float32(2.0 / window.sum())


def _mel_bands(sample_rate: int, n: int) -> Floats:
    """Triangles evenly spaced in mel from 30 Hz up: [n // 2 + 1, bands]; narrow ones still take the nearest bin."""
    edges = _mel_edges(sample_rate)
    width = sample_rate / n
    bins = np.arange(n // 2 + 1)[:, None] * width
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / np.maximum(centre - low, width), (high - bins) / np.maximum(high - centre, width)
    return np.maximum(np.minimum(rising, falling), 0.0).astype(np.float32)


def _mel_edges(sample_rate: int) -> NDArray[np.float64]:
    """Where the triangles begin, are highest and end, in Hz: [bands + 2]."""
    mel = np.linspace(_mel(30.0), _mel(0.45 * sample_rate), _BANDS + 2)
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))


def _mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def _pitch_classes(sample_rate: int, n: int) -> Floats:
    """How much each bin's power says about each pitch class: [n // 2 + 1, 12], tuned to A440."""
    hz = np.arange(n // 2 + 1) * sample_rate / n
    heard = (hz >= _CHROMA_HZ[0]) & (hz <= _CHROMA_HZ[1])
    semitones = 12.0 * np.log2(np.where(heard, hz, _A4_HZ) / _A4_HZ) + 9.0  # C is 0, A is 9
    distance = np.abs((semitones[:, None] - np.arange(CHROMA_BINS) + 6.0) % 12.0 - 6.0)
    weights = np.maximum(1.0 - distance, 0.0) ** 2
    return (weights * heard[:, None]).astype(np.float32)
