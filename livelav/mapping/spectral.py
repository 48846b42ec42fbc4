"""A guide that listens to tones and beats apart, as hand-made music videos of StyleGAN do.

A loop of seeded places is walked, and tones make it go: the louder they are the faster, so that silence stands still.
Beats pulse: as long as one sounds it adds its loudness along a seeded direction. Harmony leans towards twelve places.

After what Lucid Sonic Dreams (Alafriz, 2021) says of itself: a percussive pulse, harmonic motion, and classes picked by
pitch. Its effects on the finished picture (contrast, flashes) are left to livelav's own; classes are places in W here,
so that models without classes have them, too; and loudness is measured against the recent past, not the whole song.
"""

import math

import numpy as np

from livelav.core.params import Settings
from livelav.core.values import Features
from livelav.mapping.baselines import around, harmony
from livelav.mapping.guides import Aim
from livelav.mapping.modulation import loudness
from livelav.mapping.projection import chroma_vectors, latent, onset_direction
from livelav.mapping.smoothing import ATTACK_S, Decay
from livelav.mapping.split import Split

_PLACES = 12  # of the loop
_PLACES_HZ = 2.0  # how many are passed in a second of the loudest tones
_MOTION_REACH, _PULSE_REACH, _PITCH_REACH = 0.5, 1.8, 1.5  # so that W is spread about as far as by LAV
_QUIET = 0.01  # what is quieter than this is never taken for loud


class Spectral:
    """Harmonic motion, percussive pulse, pitch."""

    begins_there = True

    def __init__(self, seed: int) -> None:
        self._places = [latent(seed, number) for number in range(_PLACES)]
        self._direction, self._vectors = onset_direction(seed), chroma_vectors(seed)
        self._split: Split | None = None
        self._tones, self._beats = Relative(), Relative()
        self._pulse = Decay(ATTACK_S)
        self._at = 0.0  # of _PLACES

    def step(self, features: Features, settings: Settings, dt_s: float) -> Aim:
        memory_s = settings["mapping.norm_time"]
        harmonic, percussive = self._told_apart(features, dt_s)
        tones = self._tones.step(harmonic, dt_s, memory_s)
        pulse = self._pulse.step(self._beats.step(percussive, dt_s, memory_s), dt_s)
        self._at = (self._at + dt_s * _PLACES_HZ * tones) % _PLACES
        number = int(self._at)
        walked = around(self._places[number], self._places[(number + 1) % _PLACES], self._at - number)
        n = (
            np.float32(_MOTION_REACH) * walked
            + np.float32(_PULSE_REACH * pulse) * self._direction
            + np.float32(_PITCH_REACH) * harmony(features.chroma, self._vectors)
        )
        return Aim(n, loudness(features.rms))

    def _told_apart(self, features: Features, dt_s: float) -> tuple[float, float]:
        """(harmonic, percussive) loudness."""
        if features.spectrum is None:
            return 0.0, 0.0
        if self._split is None:
            self._split = Split(len(features.spectrum), features.bin_hz, dt_s)
        return self._split.step(features.spectrum)


class Relative:
    """How loud something is, 0 to 1, against the loudest of late."""

    def __init__(self) -> None:
        self._loudest = _QUIET

    def step(self, level: float, dt_s: float, memory_s: float) -> float:
        """`memory_s`: the loudest is forgotten by 1/e in so long."""
        self._loudest = max(level, self._loudest * math.exp(-dt_s / memory_s), _QUIET)
        return level / self._loudest
