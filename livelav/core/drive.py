"""What drives a parameter besides a hand: waves in time with the beat, the sound's level, its attacks.

    show.hue = "sine 8 0.1"        # eight beats a turn, a tenth of the knob's travel to either side
    show.zoom = "onset 0.2"        # up by a fifth with an attack, and back

A drive moves the knob around where the hand has left it. Pure: beat and sound are passed in.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from livelav.core.errors import ParamError, nearest
from livelav.core.params import BY_NAME, Settings

Wave = Literal["sine", "saw", "square", "random"]  # by the beat, each from -1 to 1
Sound = Literal["level", "onset"]  # from 0 to 1
WAVES: tuple[Wave, ...] = get_args(Wave)
SOURCES: tuple[Wave | Sound, ...] = (*WAVES, *get_args(Sound))
SHORTEST, LONGEST = 0.125, 64.0  # beats

_NUMBER = re.compile(r"-?\d{1,3}(\.\d{1,6})?")
_LONGEST_TEXT = 40
_STEP = 1 / 16  # of the knob's travel
_LEVEL_S, _ONSET_S = 0.12, 0.16  # in which they fall to 1/e


@dataclass(frozen=True, slots=True)
class Drive:
    """`amount` -1..1 of the knob's travel; `beats` of one turn, which only waves have.

    `str` and `parse` are inverses, to four digits after the point.
    """

    source: Wave | Sound
    amount: float
    beats: float = 1.0

    def __str__(self) -> str:
        numbers = [self.beats, self.amount] if self.source in WAVES else [self.amount]
        return " ".join([self.source, *(f"{number:.4f}".rstrip("0").rstrip(".") for number in numbers)])

    @classmethod
    def parse(cls, text: str) -> "Drive":
        """Raises ParamError."""
        source, *numbers = text[:_LONGEST_TEXT].split() or [""]
        if source not in SOURCES:
            raise ParamError(
                f"drive {text[:_LONGEST_TEXT]!r}: {source!r} is none of {', '.join(SOURCES)}{nearest(source, SOURCES)}"
            )
        wanted = 2 if source in WAVES else 1
        if len(text) > _LONGEST_TEXT or len(numbers) != wanted or not all(map(_NUMBER.fullmatch, numbers)):
            form = f"{source} BEATS AMOUNT" if wanted == 2 else f"{source} AMOUNT"
            raise ParamError(f"drive {text[:_LONGEST_TEXT]!r}: write it as `{form}`, like `sine 4 0.25` or `onset 0.2`")
        *beats, amount = map(float, numbers)
        if not -1.0 <= amount <= 1.0 or not all(SHORTEST <= one <= LONGEST for one in beats):
            limits = f"beats must be from {SHORTEST:g} to {LONGEST:g}, the amount from -1 to 1"
            raise ParamError(f"drive {text!r}: {limits}")
        return cls(source, amount, *beats)


Drives = Mapping[str, Drive]  # by parameter
Driven = tuple[str, Drive, float]  # parameter, drive, and how much of it counts, 0..1

_FIRST = Drive("sine", 0.25, 4.0)  # what a hand begins with


def checked(name: str, text: str) -> Drive:
    """The drive of a parameter of the song. Raises ParamError."""
    if name not in BY_NAME:
        raise ParamError(f"no parameter {name[:80]!r}{nearest(name[:80], BY_NAME)}")
    if BY_NAME[name].scope != "song":
        raise ParamError(f"{name} belongs to the evening and not to a song: it cannot be driven")
    return Drive.parse(text)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What drives follow at one moment: beats since a bar's first, level and attack of the sound, 0..1."""

    beats: float = 0.0
    level: float = 0.0
    onset: float = 0.0

    def after(self, seconds: float, beats: float, level: float, onset: float) -> "Pulse":
        """So much later: `level` 0..1 and `onset`, about 1 at an attack, rise at once and fall slowly."""
        level = max(level, self.level * math.exp(-seconds / _LEVEL_S))
        return Pulse(beats, level, max(min(onset, 1.0), self.onset * math.exp(-seconds / _ONSET_S)))


def value(drive: Drive, pulse: Pulse) -> float:
    """Where the source stands: -1..1, or 0..1 for the sound."""
    turns = pulse.beats / drive.beats
    phase = turns - math.floor(turns)
    match drive.source:
        case "sine":
            return math.sin(math.tau * phase)
        case "saw":  # falls: it is the beat that strikes
            return 1.0 - 2.0 * phase
        case "square":
            return 1.0 if phase < 0.5 else -1.0
        case "random":
            return 2.0 * _drawn(math.floor(turns)) - 1.0
        case "level":
            return pulse.level
        case "onset":
            return pulse.onset


def driven(settings: Settings, drives: Sequence[Driven], pulse: Pulse) -> Settings:
    """The snapshot with each (parameter, drive, weight 0..1) added to its knob, which stops at its ends."""
    if not drives:
        return settings
    moved: dict[str, float] = {}
    for name, drive, weight in drives:
        knob = moved.get(name, BY_NAME[name].knob(settings[name]))
        moved[name] = knob + weight * drive.amount * value(drive, pulse)
    return settings.with_values({name: BY_NAME[name].value(knob) for name, knob in moved.items()})


def _drawn(number: int) -> float:
    """A number from 0 to 1 that looks drawn by lot, the same for the same turn."""
    mixed = (number * 0x9E3779B1 + 0x7F4A7C15) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) / 0xFFFFFFFF


def turned(drive: Drive | None, part: Literal["source", "amount", "beats"], steps: int) -> Drive | None:
    """A drive after steps of a hand at one part of it. Of sources there is also none, after the last."""
    if drive is None:
        return _FIRST if part == "source" else None
    if part == "amount":
        return replace(drive, amount=min(max(drive.amount + steps * _STEP, -1.0), 1.0))
    if part == "beats":
        return replace(drive, beats=min(max(drive.beats * 2.0**steps, SHORTEST), LONGEST))
    following = SOURCES.index(drive.source) + steps
    return replace(drive, source=SOURCES[following]) if 0 <= following < len(SOURCES) else None
