"""Which generators draw a render's pictures: one, and while the picture goes over to another, two.

Of the same sound both mappings make the same, each in its own W: the one that comes takes over all that the other
remembers, as a synth does that joins a show, so it does not matter when it was loaded. Knows no generator but its W, no
clock and no file. Runs where it is called.
"""

import copy
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from livelav.chain import Frame
from livelav.control.commands import FadeTo
from livelav.core.crossfade import Crossfade, balance
from livelav.core.params import Settings
from livelav.core.scene import Drawn, MappingKey
from livelav.core.values import Controls, Features, WStats
from livelav.mapping.blend import Blend
from livelav.mapping.interpolate import between
from livelav.mapping.mapper import Mapper

Others = Callable[[FadeTo], tuple[Drawn, WStats] | None]


@dataclass(frozen=True, slots=True)
class Part:
    """What one generator draws of a picture."""

    controls: Controls
    drawn: Drawn
    seat: int  # the renderer's stream that its image goes to


@dataclass(frozen=True, slots=True)
class Made:
    """A frame, and what each generator is to draw of it."""

    frame: Frame
    controls: Mapping[Drawn, Controls]


class Blends:
    """The mappings of one generator or two. Steps like a Mapper, as that of the first one."""

    def __init__(self, drawn: Drawn, blend: Blend) -> None:
        self._lead, self._by_drawn = drawn, {drawn: blend}
        self._made = deque[Mapping[Drawn, Controls]]()

    @property
    def key(self) -> MappingKey:
        """What is played, or gone to."""
        return self._by_drawn[self._lead].key

    def go_to(self, key: MappingKey, seconds: float) -> None:
        """See Blend.go_to."""
        for blend in self._by_drawn.values():
            blend.go_to(key, seconds)

    def step(self, features: Features, settings: Settings) -> Controls:
        """See Mapper.step."""
        made = {drawn: blend.step(features, settings) for drawn, blend in self._by_drawn.items()}
        self._made.append(made)
        return made[self._lead]

    def made(self) -> Mapping[Drawn, Controls]:
        """Of the first step that was not asked for yet."""
        return self._made.popleft()

    def __contains__(self, drawn: Drawn) -> bool:
        return drawn in self._by_drawn

    def join(self, drawn: Drawn, blend: Blend) -> None:
        """Another one goes on from where the first stands."""
        blend.take_over(copy.deepcopy(self._by_drawn[self._lead]))
        self._by_drawn[drawn] = blend

    def leave_alone(self, drawn: Drawn) -> None:
        """The others go."""
        self._lead, self._by_drawn = drawn, {drawn: self._by_drawn[drawn]}


class Casting:
    """Who draws. There are two seats, see crossfade.py."""

    def __init__(
        self,
        drawn: Drawn,
        stats: WStats,
        make: Callable[[WStats, MappingKey], Mapper],
        dt_s: float,
        others: Others | None = None,
    ) -> None:
        """`drawn`, of that W, draws first. `make` gives a mapping, `dt_s` is between two frames. `others`: which
        generator it is that the picture goes over to, and its W; None where it cannot be had: then nothing changes.
        `begin` comes first."""
        self._make, self._dt_s, self._others = make, dt_s, others
        self._seats, self._stats = [drawn, drawn], {drawn: stats}
        self._fade = Crossfade()

    @property
    def balance(self) -> float:
        """Of the picture between the seats' images."""
        return balance(self._fade.seat, self._fade.share)

    @property
    def _here(self) -> Drawn:
        return self._seats[self._fade.seat]

    @property
    def _there(self) -> Drawn:
        return self._seats[1 - self._fade.seat]

    def begin(self, key: MappingKey) -> Blends:
        """The mapping that frames are made by from now on, which remembers nothing."""
        self._blends = Blends(self._here, self._blend(self._here, key))
        if not self._fade.is_over:
            self._blends.join(self._there, self._blend(self._there, key))
        return self._blends

    def go_to(self, key: MappingKey, seconds: float) -> None:
        """See Blend.go_to. Who comes joins here, before the sound that is heard next, however often it changed."""
        if not self._fade.is_over and self._there not in self._blends:
            self._blends.join(self._there, self._blend(self._there, self._blends.key))
        self._blends.go_to(key, seconds)

    def made(self, frames: list[Frame]) -> list[Made]:
        """The newest frames, with what each generator is to draw of them."""
        return [Made(frame, self._blends.made()) for frame in frames]

    def go_over(self, fade: FadeTo) -> None:
        """To another generator, or back, from now on."""
        if self._others is None or (found := self._others(fade)) is None:
            return
        drawn, stats = found
        if not self._fade.is_over and drawn not in self._seats:  # first to the nearer of the two
            onwards = self._fade.share >= 0.5
            self._arrive(replace(self._fade, share=float(onwards), onwards=onwards))
        if self._fade.is_over:
            if drawn == self._here:
                return
            self._seats[1 - self._fade.seat] = drawn
            self._stats = {self._here: self._stats[self._here], drawn: stats}
        self._arrive(replace(self._fade, onwards=drawn == self._there, seconds=fade.seconds))

    def see(self, before: Made, newest: Made, share: float, dt_s: float) -> tuple[Part, ...]:
        """What the next picture is made of, `dt_s` after the last one: that `share` between two frames."""
        known = newest.controls
        # a frame may be older than the fade, and where the synth was deaf it is: then the way begins with the next
        if not self._fade.is_over and self._here in known and self._there in known:
            self._arrive(self._fade.after(dt_s))
        parts = []
        for seat in (self._fade.seat,) if self._fade.is_over else (self._fade.seat, 1 - self._fade.seat):
            if (drawn := self._seats[seat]) in known:
                earlier = before.controls.get(drawn, known[drawn])
                parts.append(Part(between(earlier, known[drawn], share), drawn, seat))
        return tuple(parts)

    def _blend(self, drawn: Drawn, key: MappingKey) -> Blend:
        return Blend(lambda key: self._make(self._stats[drawn], key), key, self._dt_s)

    def _arrive(self, fade: Crossfade) -> None:
        """Takes that in; where it is over, one generator goes on alone."""
        if fade.is_over:
            fade = Crossfade(1 - fade.seat if fade.onwards else fade.seat)
            self._blends.leave_alone(self._seats[fade.seat])
        self._fade = fade
