"""LAV's guide: the embedding of a neural codec through a random linear map, normalised; onset and chroma push.

Source: LAV (arXiv 2505.10101).
"""

from typing import Literal

from livelav.core.params import Settings
from livelav.core.values import EmbeddingStats, Features
from livelav.mapping.guides import Aim
from livelav.mapping.modulation import loudness, push
from livelav.mapping.normalize import Normalizer, projected_stats
from livelav.mapping.projection import chroma_vectors, onset_direction, projection
from livelav.mapping.smoothing import ATTACK_S, Decay, Glide

Mode = Literal["running", "fixed", "track"]

_GLIDING = ("mapping.onset", "mapping.chroma", "mapping.swell")


class Lav:
    """embedding -> A e -> normalise; onset, chroma -> push; loudness -> swell"""

    begins_there = False

    def __init__(self, seed: int, stats: EmbeddingStats, mode: Mode) -> None:
        """`stats` of the embeddings that are to come: the encoder's own, or in mode `track` those of the whole file."""
        self._projection = projection(seed)
        self._direction, self._vectors = onset_direction(seed), chroma_vectors(seed)
        self._normalizer = Normalizer(*projected_stats(self._projection, stats), mode == "running")
        self._attack = Decay(ATTACK_S)
        self._glide = Glide()

    def step(self, features: Features, settings: Settings, dt_s: float) -> Aim:
        onset, chroma, swell = self._glide.step([settings[name] for name in _GLIDING], dt_s)
        n = self._normalizer.step(
            self._projection @ features.embedding, features.rms, dt_s, settings["mapping.norm_time"]
        )
        attack = self._attack.step(features.onset, dt_s)
        pushed = push(attack, features.chroma, self._direction, self._vectors, (onset, chroma))
        return Aim(n, loudness(features.rms), pushed, swell)
