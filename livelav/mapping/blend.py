"""Mappings side by side: going from one to another, their ws are mixed.

Two mappings of the same sound move independently, so that their plain mean would move less than either: the picture
would pale in the middle of the way. The mixture keeps W's spread instead: shares go along a quarter of a circle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sin, sqrt
from typing import Any

import numpy as np

from livelav.core.params import Settings
from livelav.core.scene import MappingKey
from livelav.core.values import Controls, Features
from livelav.mapping.mapper import Mapper

_MOST = 4  # mappings that run side by side, however fast a hand changes its mind


@dataclass(slots=True)
class _Part:
    key: MappingKey
    mapper: Mapper
    share: float  # of 1, together


class Blend:
    """Steps like a Mapper. `go_to` another mapping, and it gets there within so much sound."""

    def __init__(self, make: Callable[[MappingKey], Mapper], key: MappingKey, dt_s: float) -> None:
        self._make, self._dt_s = make, dt_s
        self._parts = [_Part(key, make(key), 1.0)]  # the last one is gone to
        self._rate = 0.0  # share that moves with each frame

    @property
    def key(self) -> MappingKey:
        """What is played, or gone to."""
        return self._parts[-1].key

    def go_to(self, key: MappingKey, seconds: float) -> None:
        """From now on that mapping, `seconds` later that alone."""
        if key == self.key and seconds > 0:
            return
        found = [part for part in self._parts if part.key == key]
        others = [part for part in self._parts if part.key != key]
        if len(others) == _MOST:
            others.remove(min(others, key=lambda part: part.share))
        if not found:
            made = self._make(key)
            made.follow(self._parts[-1].mapper)
            found = [_Part(key, made, 0.0)]
        self._parts = [*others, *found]
        if seconds <= 0:
            self._parts = self._parts[-1:]
        self._share_out()
        self._rate = self._dt_s / max(seconds, self._dt_s)

    def __getstate__(self) -> dict[str, Any]:
        """What it remembers, for another process."""
        return {name: value for name, value in self.__dict__.items() if name != "_make"}

    def take_over(self, other: "Blend") -> None:
        """Goes on where another one stands, which may be of another model."""
        self._rate, self._parts = other._rate, []
        for part in other._parts:
            mapper = self._make(part.key)
            mapper.take_over(part.mapper)
            self._parts.append(_Part(part.key, mapper, part.share))

    def step(self, features: Features, settings: Settings) -> Controls:
        """One frame. See Mapper.step."""
        if len(self._parts) == 1:
            return self._parts[0].mapper.step(features, settings)
        goal = self._parts[-1]
        goal.share = min(goal.share + self._rate, 1.0)
        self._share_out()
        if goal.share == 1.0:
            self._parts = [goal]
        weights = [sin(0.5 * pi * part.share) for part in self._parts]
        norm = sqrt(sum(weight * weight for weight in weights))
        made = [part.mapper.step(features, settings) for part in self._parts]
        centre = goal.mapper.centre
        ws = centre + sum(weight / norm * (one.ws - centre) for weight, one in zip(weights, made, strict=True))
        noise = sum(part.share * one.noise for part, one in zip(self._parts, made, strict=True))
        return Controls(np.asarray(ws, np.float32), np.asarray(noise, np.float32), features.captured_s)

    def _share_out(self) -> None:
        """What the goal leaves goes to the others, as they stand to each other."""
        *others, goal = self._parts
        total = sum(part.share for part in others)
        for part in others:
            part.share *= (1.0 - goal.share) / total if total else 0.0
        if not others:
            goal.share = 1.0
