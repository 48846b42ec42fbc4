"""The one table of parameters: flags, presets, HUD rows, MIDI targets and the README's table all derive from it.

A parameter is a number that a hand may move; a choice is a word or whole number that picks between things.
There is no second list: to add one, add a row here and read it where it acts. Effects declare theirs in the headers of
their own files, which are read once, when this module is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from livelav.core.effects import Effect, find_effects
from livelav.core.errors import ParamError, nearest


def flag(name: str) -> str:
    """`audio.gain` as the command line writes it: `--audio-gain`."""
    return "--" + name.replace(".", "-").replace("_", "-")


def argument(name: str) -> str:
    """`audio.gain` as the command line hands it on: `audio_gain`."""
    return name.replace(".", "_")


@dataclass(frozen=True, slots=True)
class Param:
    """One number a performer can move, and the law of the knob that moves it."""

    name: str
    default: float
    lo: float
    hi: float
    unit: str = ""
    curve: Literal["lin", "log", "count"] = "lin"  # count: from 0, the first few widely spaced
    cc: int | None = None
    # song: a preset that does not name it puts it to its default. evening: it stays, unless a preset names it.
    # operator: no preset may name it.
    scope: Literal["song", "evening", "operator"] = "song"
    alias: str = ""  # a shorter flag
    steps: tuple[float, ...] = ()  # all values that it can have, from lo to hi, evenly spaced on the knob; (): any
    help: str = ""

    @property
    def flag(self) -> str:
        return flag(self.name)

    @property
    def notch(self) -> float:
        """Knob travel from one step to the next; 0 where there are none."""
        return 1.0 / (len(self.steps) - 1) if self.steps else 0.0

    def value(self, knob: float) -> float:
        """Knob travel 0..1 to a value in units; travel outside 0..1 is clipped, as a real knob stops."""
        knob = min(max(knob, 0.0), 1.0)
        if self.steps:
            return self.steps[round(knob / self.notch)]
        if self.curve == "log":
            return min(max(self.lo * math.pow(self.hi / self.lo, knob), self.lo), self.hi)
        if self.curve == "count":
            return min(math.expm1(knob * math.log1p(self.hi)), self.hi)
        return min(max(self.lo + (self.hi - self.lo) * knob, self.lo), self.hi)  # which rounding may pass

    def knob(self, value: float) -> float:
        """The inverse of `value`."""
        if self.steps:
            return self.steps.index(self.nearest(value)) * self.notch
        if self.curve == "log":
            return math.log(value / self.lo, self.hi / self.lo)
        if self.curve == "count":
            return math.log1p(value) / math.log1p(self.hi)
        return (value - self.lo) / (self.hi - self.lo)

    def nearest(self, value: float) -> float:
        """The value that it can have; of two steps as near the lower one."""
        return min(self.steps, key=lambda step: abs(step - value)) if self.steps else float(value)

    def checked(self, value: float) -> float:
        """The value itself, or its nearest step. Raises ParamError where it is no finite number in range."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.lo <= value <= self.hi:
            unit = f" {self.unit}" if self.unit else ""
            raise ParamError(f"{self.name} is {value!r}: it must be a number from {self.lo:g} to {self.hi:g}{unit}")
        return self.nearest(value)


_OWN: tuple[Param, ...] = (
    Param("audio.gain", 0.0, -24.0, 24.0, "dB", scope="evening", help="level of the sound before the encoder"),
    Param("mapping.norm", 0.8, 0.0, 4.0, cc=20, help="normalisation coefficient y: how far sound reaches into W"),
    Param("mapping.slope", 0.1, 0.0, 1.0, cc=21, help="leaky-tanh slope c: how much of the outliers is kept"),
    Param("mapping.norm_time", 20.0, 1.0, 120.0, "s", "log", help="memory of the running normalisation"),
    Param("mapping.onset", 1.6, 0.0, 2.0, cc=25, help="how far an onset pushes along its direction in W"),
    Param("mapping.chroma", 0.3, 0.0, 2.0, cc=26, help="how far harmony pulls between twelve vectors in W"),
    Param("mapping.noise", 1.0, 0.0, 4.0, cc=27, help="how much loudness adds to the noise maps"),
    Param("mapping.swell", 0.5, 0.0, 1.0, help="how far loudness opens truncation, and quiet closes it"),
    Param("smoothing.leak", 0.03, 0.001, 2.0, "s", "log", cc=28, help="time constant of the leaky integrator"),
    Param("smoothing.coarse", 1.5, 0.01, 8.0, "s", "log", cc=22, help="window of the 4-8 px layers: layout"),
    Param("smoothing.middle", 0.5, 0.01, 8.0, "s", "log", cc=23, help="window of the 16-32 px layers: form"),
    Param("smoothing.fine", 0.25, 0.01, 8.0, "s", "log", cc=24, help="window of the layers from 64 px: colour"),
    Param("generate.psi", 0.9, 0.0, 1.5, cc=29, help="truncation: 0 the average picture, 1 all of W"),
    Param(
        "generate.label",
        0.0,
        0.0,
        4095.0,
        curve="count",
        alias="--label",
        help="which class of pictures, from 0, of a model that has several; between two: both",
    ),
    Param("psi.coarse", 1.0, 0.0, 2.0, help="times generate.psi, for the layout alone"),
    Param("psi.middle", 1.0, 0.0, 2.0, help="times generate.psi, for the form alone"),
    Param("psi.fine", 1.0, 0.0, 2.0, help="times generate.psi, for the colour alone"),
    Param("noise.coarse", 1.0, 0.0, 4.0, help="strength of the layout's noise maps; 1 is the model's own"),
    Param("noise.middle", 1.0, 0.0, 4.0, help="strength of the form's noise maps"),
    Param("noise.fine", 1.0, 0.0, 4.0, help="strength of the colour's noise maps"),
    Param("noise.drift", 0.0, 0.0, 4.0, "/s", help="how fast the noise maps change into others and back; 0: frozen"),
    Param("show.brightness", 1.0, 0.0, 1.0, scope="evening", help="master brightness"),
    Param("show.fade", 4.0, 0.3, 60.0, "s", "log", scope="evening", help="how long the fade to black takes, or back"),
    Param("show.hue", 0.0, -180.0, 180.0, "deg", help="turns all colours"),
    Param("show.saturation", 1.0, 0.0, 2.0, help="0 grey, 1 as it is"),
    Param("show.contour", 0.6, 0.0, 1.0, cc=30, help="glowing level lines drawn from the picture's own colours"),
    Param("show.density", 4.0, 1.0, 12.0, "lines", "log", cc=31, help="how many level lines"),
    Param("show.feedback", 0.0, 0.0, 0.95, help="how much of the last picture stays under the new one"),
    Param("show.zoom", 1.0, 1.0, 2.0, help="enlarges the centre"),
    Param(
        "show.flash_limit", 3.0, 1.0, 60.0, "/s", scope="operator", help="flashes that are let through; 60: all of them"
    ),
    Param("show.drift", 0.3, 0.0, 1.0, help="slow motion of the picture in the shader, also without new images"),
    Param("preset.morph", 2.0, 0.0, 30.0, "s", scope="evening", help="how long a recalled preset takes to fade in"),
    Param("preset.morph_beats", 0.0, 0.0, 64.0, "beats", scope="evening", help="the same in beats; 0: in seconds"),
    Param(
        "preset.cue",
        0.0,
        0.0,
        16.0,
        "beats",
        scope="evening",
        steps=(0.0, 1.0, 4.0, 8.0, 16.0),
        help="a recall waits for the next beat (1), bar (4), two (8) or four bars (16); 0: not",
    ),
    Param(
        "preset.vary", 0.15, 0.0, 1.0, scope="evening", help="how far of their travel `vary` moves the knobs at most"
    ),
    Param("tempo.bpm", 120.0, 20.0, 300.0, "bpm", scope="evening", help="unless a clock, a hand or the sound gives it"),
    Param("tempo.hearing", 1.0, 0.0, 1.0, scope="operator", help="1: the sound gives the tempo, until a hand does"),
    Param("tempo.offset", 0.0, -200.0, 200.0, "ms", scope="evening", help="beats are taken so much earlier"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to pick: a word from a list, or (without options) any text."""

    name: str
    default: str
    options: tuple[str, ...] = ()
    # start: it is the whole show's. song: a recalled preset changes it, to its default where it does not name it.
    # evening: it stays, unless a preset names it.
    scope: Literal["start", "song", "evening"] = "start"
    alias: str = ""  # a shorter flag
    several: bool = False  # any number of the options, with spaces or commas between, each once
    help: str = ""

    @property
    def flag(self) -> str:
        return flag(self.name)

    @property
    def scene(self) -> bool:
        """Whether a running show can change it: it belongs to scenes then, and to what is undone."""
        return self.scope != "start"

    def words(self, value: str) -> tuple[str, ...]:
        """What a value of `several` names."""
        return tuple(value.replace(",", " ").split())

    def checked(self, value: str) -> str:
        """The value itself. Raises ParamError where options exist and it is none of them."""
        if self.several and isinstance(value, str):
            words = self.words(value)
            for number, word in enumerate(words):
                if word not in self.options or word in words[:number]:
                    raise ParamError(
                        f"{self.name} names {word[:40]!r}: it must be any of {', '.join(self.options)}, each once"
                        f"{nearest(word[:40], self.options)}"
                    )
            return value
        if not isinstance(value, str) or (self.options and value not in self.options):
            allowed = ", ".join(self.options)
            raise ParamError(
                f"{self.name} is {value!r}: it must be one of {allowed}{nearest(str(value), self.options)}"
            )
        return value


_CHOICES: tuple[Choice, ...] = (
    Choice(
        "model",
        "default",
        scope="evening",
        help="generator: a name from `livelav models list`, or a file, .pkl and .pt too",
    ),
    Choice("encoder", "auto", help="auto, embedded, encodec-24khz, encodec-32khz, or a weights file"),
    Choice("midi", "all", help="controllers to listen to: all, off, or parts of their names, with commas between"),
    Choice("midi.out", "all", help="controllers whose lights, rings and motors are kept true: the same words"),
    Choice(
        "midi.takeover",
        "pickup",
        ("jump", "pickup", "relative"),
        alias="--takeover",
        help="a knob whose parameter something else has moved: takes it at once, when it comes past, or by its own way",
    ),
    Choice("osc", "9000", help="UDP port to take OSC from, of this machine alone; or HOST:PORT, or off"),
    Choice("osc.out", "off", help="port, or HOST:PORT, that is told by OSC what changes; or off"),
    Choice("backend", "auto", ("auto", "openvino", "torch", "tensorrt"), help="engine that runs the generator"),
    Choice("mapping.mode", "running", ("running", "fixed", "track"), scope="song", help="normalisation statistics"),
    Choice(
        "mapping.placement",
        "inside",
        ("inside", "outside"),
        scope="song",
        help="leaky tanh before or after scaling to W",
    ),
    Choice(
        "mapping.synth",
        "lav",
        ("lav", "still", "random", "onsets", "chroma", "onsets-chroma", "spectral"),
        scope="song",
        alias="--synth",
        help="what leads W: LAV's mapping, or one of the simple ones to compare it with",
    ),
    Choice("generate.noise", "const", ("const", "random", "none"), scope="evening", help="noise maps"),
    Choice(
        "generate.between",
        "newest",
        ("newest", "interpolate"),
        scope="song",
        help="ws of a tick: newest, or between two",
    ),
    Choice(
        "show.aspect", "fill", ("fit", "fill", "stretch"), scope="song", help="how a square picture meets a wide window"
    ),
)


def _joined(effects: tuple[Effect, ...]) -> tuple[tuple[Effect, ...], tuple[str, ...]]:
    """(those whose names mean nothing else and that use what exists, what is wrong with the others)"""
    taken = {name.partition(".")[0] for name in (*(p.name for p in _OWN), *(c.name for c in _CHOICES))}
    own = {p.name: p for p in _OWN}
    fit, troubles = [], []
    for effect in effects:
        unknown = [name for name in effect.uses if name not in own]
        if effect.name in taken:
            troubles.append(f"effect {effect.path}: {effect.name!r} means something else already: rename the file")
        elif unknown or (effect.uses and own[effect.uses[0]].default != 0):
            troubles.append(f"effect {effect.path}: it cannot use {', '.join(unknown) or effect.uses[0]} as it does")
        else:
            fit.append(effect)
    return tuple(fit), tuple(troubles)


_found, _unread = find_effects()
EFFECTS, _unfit = _joined(_found)
EFFECT_TROUBLES = (*_unread, *_unfit)  # which files were left out and why, for whoever is to be told

PARAMS: tuple[Param, ...] = (
    *_OWN,
    *(
        Param(f"{effect.name}.{k.name}", k.default, k.lo, k.hi, k.unit, k.curve, help=k.help)
        for effect in EFFECTS
        for k in effect.knobs
    ),
)
CHOICES: tuple[Choice, ...] = (
    *_CHOICES,
    Choice(
        "chain.order",
        "",
        tuple(effect.name for effect in EFFECTS),
        scope="song",
        several=True,
        help="effects in the order in which they act; those not named follow as listed",
    ),
)

BY_NAME: Mapping[str, Param] = {p.name: p for p in PARAMS}
CHOICE_BY_NAME: Mapping[str, Choice] = {c.name: c for c in CHOICES}
INDEX: Mapping[str, int] = {p.name: i for i, p in enumerate(PARAMS)}


def param(name: str) -> Param:
    """The parameter of that name. Raises ParamError naming the nearest."""
    if name not in BY_NAME:
        raise ParamError(f"no parameter {name!r}{nearest(name, BY_NAME)}; `livelav params` lists them all")
    return BY_NAME[name]


@dataclass(frozen=True, slots=True)
class Settings:
    """An immutable snapshot of every parameter's value, in the table's order."""

    values: tuple[float, ...] = tuple(p.default for p in PARAMS)

    def __getitem__(self, name: str) -> float:
        return self.values[INDEX[name]]

    def with_values(self, changes: Mapping[str, float]) -> "Settings":
        """A new snapshot. Raises ParamError for an unknown name or a value out of range."""
        values = list(self.values)
        for name, value in changes.items():
            values[INDEX[name]] = param(name).checked(value)
        return Settings(tuple(values))

    def as_dict(self) -> dict[str, float]:
        return {p.name: v for p, v in zip(PARAMS, self.values, strict=True)}
