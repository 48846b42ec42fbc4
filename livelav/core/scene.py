"""A scene: all that a preset decides in a running show, and the way from one to the next.

Parameters fade along the travel of their knobs, so that times and counts fade evenly to the eye, too. Seed, mode,
placement and synth name a mapping from sound to W; two mappings are faded where they run (mapping/blend.py). Knows no
clock: the time is passed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

from livelav.core.drive import Drives
from livelav.core.params import CHOICE_BY_NAME, CHOICES, EFFECTS, PARAMS, Param, Settings
from livelav.core.presets import Binds, Preset

_KEY_CHOICES = ("mapping.mode", "mapping.placement", "mapping.synth")
_TOLD = (*_KEY_CHOICES, "generate.between")
# What the synth plays by. Others stay here: its table may have other effects than ours, if a file was put there since.
_ROOMS = ("audio.", "mapping.", "smoothing.", "generate.", "psi.", "noise.")
HEARD = tuple(p.name for p in PARAMS if p.name.startswith(_ROOMS))
PACKED = len(HEARD) + len(_TOLD) + 2  # numbers of a `Wanted`


@dataclass(frozen=True, slots=True)
class MappingKey:
    """What tells one mapping from another."""

    seed: int = 0
    mode: str = "running"
    placement: str = "inside"
    synth: str = "lav"


class Drawn(NamedTuple):
    """What a synth is built for: another needs another synth."""

    model: str  # a name, or a file where a preset or the start names one
    noise: str = "const"  # maps: const, random, none


@dataclass(frozen=True, slots=True)
class Scene:
    """One snapshot. `choices` holds every row of CHOICES; most of them are for the start alone."""

    settings: Settings
    choices: Mapping[str, str]
    seed: int
    drives: Drives = field(default_factory=dict)
    binds: Binds = ()  # what controls move while it is played

    @property
    def key(self) -> MappingKey:
        """The mapping that it plays."""
        return MappingKey(self.seed, *(self.choices[name] for name in _KEY_CHOICES))

    @property
    def drawn(self) -> Drawn:
        """Which synth it needs."""
        return Drawn(self.choices["model"], self.choices["generate.noise"])

    @property
    def song_part(self) -> tuple[object, ...]:
        """All of it that belongs to a song: two scenes that agree here are the same preset."""
        values = [self.settings[p.name] for p in PARAMS if p.scope == "song"]
        words = (self.choices[c.name] for c in CHOICES if c.scene)
        return (self.seed, *values, *words, sorted(self.drives.items()), self.binds)

    def after(self, preset: Preset) -> "Scene":
        """This scene once `preset` is recalled: what the file does not name goes to its default.

        But what belongs to the evening and not to a song (volume, master brightness, model and noise maps) stays as it
        is, unless it is named.
        """
        stay = {p.name: self.settings[p.name] for p in PARAMS if p.scope != "song"}
        fresh = {c.name: preset.choices.get(c.name, c.default) for c in CHOICES if c.scope == "song"}
        fresh |= {c.name: preset.choices[c.name] for c in CHOICES if c.scope == "evening" and c.name in preset.choices}
        settings = Settings().with_values({**stay, **preset.changes})
        return Scene(settings, {**self.choices, **fresh}, preset.seed, preset.drives, preset.binds)

    def varied(self, reach: float, chance: Random) -> "Scene":
        """A relative: the knob of every parameter of the song is moved by at most `reach` of its travel, either way.

        Effects that do not act stay off.
        """
        off = {name for effect in EFFECTS if self.settings[effect.params[0]] == 0 for name in effect.params}
        moved = {
            p.name: p.value(p.knob(self.settings[p.name]) + chance.uniform(-reach, reach))
            for p in PARAMS
            if p.scope == "song" and p.name not in off
        }
        return replace(self, settings=self.settings.with_values(moved))

    def not_taken(self, preset: Preset) -> list[str]:
        """Choices of `preset` that a running show cannot change, and that are others than ours: `auto` is any."""
        asked = {n: word for n, word in preset.choices.items() if not CHOICE_BY_NAME[n].scene}
        return [n for n, word in asked.items() if word not in ("auto", self.choices[n])]


@dataclass(frozen=True, slots=True)
class Fade:
    """The way of all parameters from one snapshot to another."""

    start: Settings
    goal: Settings
    began_s: float
    seconds: float

    def at(self, now_s: float) -> Settings:
        """The snapshot at that time; exactly the goal from the end on."""
        eased = self.share(now_s)
        if eased in (0.0, 1.0):  # exactly, and not but for rounding
            return self.goal if eased else self.start

        def on_the_way(p: Param, start: float, goal: float) -> float:
            knob = (1.0 - eased) * p.knob(start) + eased * p.knob(goal)
            return goal if start == goal else p.value(knob)

        return Settings(tuple(map(on_the_way, PARAMS, self.start.values, self.goal.values)))

    def share(self, now_s: float) -> float:
        """How much of the way is done, 0..1; slow at its ends."""
        share = 1.0 if self.seconds <= 0 else min(max((now_s - self.began_s) / self.seconds, 0.0), 1.0)
        return share * share * (3.0 - 2.0 * share)

    def holding(self, values: Mapping[str, float]) -> "Fade":
        """The same, but a hand has moved these parameters: they stay where it put them."""
        return replace(self, start=self.start.with_values(values), goal=self.goal.with_values(values))

    def left_s(self, now_s: float) -> float:
        """How long it still takes."""
        return max(self.began_s + self.seconds - now_s, 0.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What main tells the synth: parameters now, the mapping to go to, and in how many seconds. As numbers and back:

    the parameters of the show alone, which the synth does not need, come back as their defaults.
    """

    settings: Settings
    key: MappingKey = MappingKey()
    between: str = "newest"
    seconds: float = 0.0

    def packed(self) -> list[float]:
        """PACKED numbers."""
        words = (self.key.mode, self.key.placement, self.key.synth, self.between)
        numbers = [float(CHOICE_BY_NAME[n].options.index(word)) for n, word in zip(_TOLD, words, strict=True)]
        values = [self.settings[name] for name in HEARD]
        return [*values, float(self.key.seed), *numbers, self.seconds]

    @classmethod
    def unpacked(cls, numbers: Sequence[float]) -> "Wanted":
        """The inverse of `packed`."""
        (seed, *told, seconds), values = numbers[len(HEARD) :], dict(zip(HEARD, numbers, strict=False))
        *key, between = (CHOICE_BY_NAME[n].options[int(i)] for n, i in zip(_TOLD, told, strict=True))
        return cls(Settings().with_values(values), MappingKey(int(seed), *key), between, seconds)
