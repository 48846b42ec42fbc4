"""Simple guides to compare LAV with, and to play: no sound at all, attacks alone, harmony alone, both.

They go between seeded places in W. How far and how fast was set by eight pieces of music, so that behind the default
smoothing each spreads W about as far as LAV does (0.44 of W's deviation; `onsets`, of which smoothing leaves little,
0.30), and `random` makes steps of LAV's size, too (0.02 of it per frame at 75 Hz).

Sources: Brouwer, *Audio-reactive Latent Interpolations with StyleGAN* (2020), for an onset envelope that goes between
two places and for the chroma-weighted sum of twelve; his *Self-supervised Audio-reactive Music Video Synthesis*
(2022), which measures these four, and a picture that stands still, against learnt ones.
"""

import math

import numpy as np

from livelav.core.params import Settings
from livelav.core.values import Features, Floats
from livelav.mapping.guides import Aim
from livelav.mapping.modulation import loudness
from livelav.mapping.projection import chroma_vectors, latent
from livelav.mapping.smoothing import ATTACK_S, Decay

_RANDOM_REACH, _RANDOM_HZ = 0.78, 3.0  # how far out its places lie, and how many it passes in a second
_ONSET_REACH = 2.4
_CHROMA_REACH = 1.95
_USUAL_RISE, _LEAST_RISE = 0.02, 0.005  # of music; and below that, attacks are small ones however usual
_FURTHEST = 4.0  # times the usual attack: then it is as far out as it goes


class Still:
    """One seeded picture. The noise maps do not listen, either."""

    begins_there = True

    def __init__(self, seed: int) -> None:
        self._aim = Aim(latent(seed, 0))

    def step(self, _features: Features, _settings: Settings, _dt_s: float) -> Aim:
        return self._aim


class Random:
    """From one seeded place to the next at an even pace, whatever sounds. The noise maps do not listen, either."""

    begins_there = True

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._number, self._share = 0, 0.0
        self._ends = latent(seed, 0), latent(seed, 1)

    def step(self, _features: Features, _settings: Settings, dt_s: float) -> Aim:
        aim = Aim(np.float32(_RANDOM_REACH) * around(*self._ends, self._share))
        self._share += dt_s * _RANDOM_HZ
        if self._share >= 1.0:
            self._share -= 1.0
            self._number += 1
            self._ends = self._ends[1], latent(self._seed, self._number + 1)
        return aim


class Onsets:
    """Rests at one seeded place; attacks throw it through the centre towards the opposite one, and it falls back.

    An attack counts against the attacks of late, so that it does not take drums to be moved.
    """

    begins_there = True

    def __init__(self, seed: int) -> None:
        self._place = latent(seed, 0)
        self._attack = Decay(ATTACK_S)
        self._usual = _USUAL_RISE

    def step(self, features: Features, settings: Settings, dt_s: float) -> Aim:
        attack = self._attack.step(features.rise, dt_s)
        self._usual += (1.0 - math.exp(-dt_s / settings["mapping.norm_time"])) * (attack - self._usual)
        thrown = min(attack / max(self._usual, _LEAST_RISE), _FURTHEST) - 1.0
        return Aim(np.float32(_ONSET_REACH * thrown) * self._place, loudness(features.rms))


class Chroma:
    """Twelve seeded places, each as strong as its pitch class stands out. Silence and noise are the centre."""

    begins_there = False

    def __init__(self, seed: int) -> None:
        self._vectors = chroma_vectors(seed)

    def step(self, features: Features, _settings: Settings, _dt_s: float) -> Aim:
        return Aim(np.float32(_CHROMA_REACH) * harmony(features.chroma, self._vectors), loudness(features.rms))


class OnsetsChroma:
    """Half of it attacks, half of it harmony."""

    begins_there = True

    def __init__(self, seed: int) -> None:
        self._halves = Onsets(seed), Chroma(seed)

    def step(self, features: Features, settings: Settings, dt_s: float) -> Aim:
        struck, tuned = (half.step(features, settings, dt_s) for half in self._halves)
        return Aim(np.float32(math.sqrt(0.5)) * (struck.n + tuned.n), struck.loudness)


def around(start: Floats, end: Floats, share: float) -> Floats:
    """Between two independent places, on a quarter of a circle: on the straight way all pictures would be pale ones."""
    angle = 0.5 * math.pi * share
    return np.float32(math.cos(angle)) * start + np.float32(math.sin(angle)) * end


def harmony(chroma: Floats, vectors: Floats) -> Floats:
    """[12] and [12, 512] to [512]: 0 where no pitch class stands out."""
    return np.asarray((chroma - chroma.mean()) @ vectors)
