"""Segments of sound as the encoder hears them in training: cut from a folder's files, at any level, some of them mixed.

Every segment comes at its own gain, some through an equaliser, some mixed with another. Some are steady tones, and
some come twice with their phase turned. Batch n is drawn from (seed, n) alone.
"""

from pathlib import Path

import numpy as np
import sounds
import torch
from _probes import HOP, RATE_HZ
from torch import Tensor

from livelav.core.values import Floats

SEGMENT = 128  # frames
GAIN_DB = (-3.0, 8.0)  # mean and spread
STEADY = 0.35  # how often a batch with pairs holds a steady tone; many more take from what is learnt of music


class Library:
    """All sounds of a folder in memory, and segments of them as they may come over a line."""

    def __init__(self, folder: Path) -> None:
        import soundfile

        self.paths = sorted(folder.glob("*.wav"))
        if not self.paths:
            raise sounds.SoundsError(f"no .wav in {folder}; `python tools/sounds.py {folder}` renders some")
        pieces = [soundfile.read(path, dtype="int16")[0] for path in self.paths]
        self._ends = np.cumsum([len(piece) for piece in pieces])
        self._samples = np.concatenate(pieces)

    @property
    def minutes(self) -> float:
        return len(self._samples) / RATE_HZ / 60

    def excerpt(self, draw: np.random.Generator, samples: int) -> Floats:
        """A stretch of one sound, zeros after its end."""
        at = int(draw.integers(len(self._samples)))
        end = int(self._ends[np.searchsorted(self._ends, at, side="right")])
        at = max(min(at, end - samples), 0)
        cut = self._samples[at : min(at + samples, end)]
        return np.pad(cut, (0, samples - len(cut))).astype(np.float32) / np.float32(32768)

    def batch(self, seed: int, step: int, size: int, pairs: int = 0) -> Tensor:
        """Segments [size, samples] as heard in training; the last `pairs` are the first ones in another phase.

        Where there are pairs the first segment may be a steady tone.
        """
        draw = np.random.Generator(np.random.PCG64((seed, step)))
        heard = [self._heard(draw, SEGMENT * HOP) for _ in range(size - pairs)]
        if pairs and draw.random() < STEADY:
            heard[0] = steady_tone(draw, SEGMENT * HOP)
        return torch.from_numpy(np.stack(heard + [turned(draw, heard[i]) for i in range(pairs)]))

    def _heard(self, draw: np.random.Generator, samples: int) -> Floats:
        sound = self.excerpt(draw, samples)
        if draw.random() < 0.3:
            sound = sound + self.excerpt(draw, samples) * np.float32(10 ** (draw.uniform(-20, 0) / 20))
        if draw.random() < 0.4:
            sound = _equalised(draw, sound)
        return np.clip(sound * np.float32(10 ** (draw.normal(*GAIN_DB) / 20)), -1, 1).astype(np.float32)


def steady_tone(draw: np.random.Generator, samples: int) -> Floats:
    """One to three notes of a few harmonics, as loud as drawn."""
    t = np.arange(samples) / RATE_HZ
    tone, fall = np.zeros(samples), draw.uniform(0.3, 2.0)
    harmonics = draw.integers(1, 20) if draw.random() < 0.7 else 1
    for note_hz in 440.0 * 2.0 ** (draw.uniform(-45, 40, draw.integers(1, 4)) / 12):
        for harmonic in range(1, min(harmonics, int(0.45 * RATE_HZ / note_hz)) + 1):
            tone += np.sin(2 * np.pi * (harmonic * note_hz * t + draw.random())) / harmonic**fall
    level = 10 ** (draw.uniform(-45.0, -12.0) / 20) / max(float(tone.std()), 1e-9)
    return np.clip(level * tone, -1, 1).astype(np.float32)


def turned(draw: np.random.Generator, sound: Floats) -> Floats:
    """The same sound with every frequency's phase turned by one angle: no ear tells them apart."""
    turn = np.exp(1j * draw.uniform(0.0, 2 * np.pi))
    return np.clip(np.fft.irfft(np.fft.rfft(sound) * turn, len(sound)), -1, 1).astype(np.float32)


def _equalised(draw: np.random.Generator, sound: Floats) -> Floats:
    """Through a curve of a few dB over six octaves."""
    octaves = np.log2(np.maximum(np.arange(len(sound) // 2 + 1) * RATE_HZ / len(sound), 60.0) / 60.0)
    gain_db = np.interp(octaves, np.linspace(0, 7.7, 7), draw.normal(0.0, 5.0, 7))
    return np.fft.irfft(np.fft.rfft(sound) * 10 ** (gain_db / 20), len(sound)).astype(np.float32)
