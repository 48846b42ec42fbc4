"""What a performer can ask for, from whichever control: keys, MIDI, OSC, web. One list.

Commands are values; nothing here performs them: the desk does. Knows no device, no window and no clock. Runs in main.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from livelav.core.drive import Drive
from livelav.core.presets import Preset


@dataclass(frozen=True, slots=True)
class SetParam:
    """Put one parameter of `core.params.PARAMS` to a value in its units."""

    name: str
    value: float
    only_from: float | None = None  # only where it is to be this: then something else, as a recall, has not moved it


@dataclass(frozen=True, slots=True)
class SetDrive:
    """What drives a parameter of the song from now on, besides hands; None: nothing."""

    name: str
    drive: Drive | None


@dataclass(frozen=True, slots=True)
class SetChoice:
    """Put one of `core.params.CHOICES` that belongs to a scene to a word."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Toggle:
    """Turn one switch of the show to its other side."""

    switch: Literal["blackout", "fade", "freeze", "hud", "fullscreen", "lock", "pattern", "operator"]


@dataclass(frozen=True, slots=True)
class Put:
    """Turn one switch on, or off, whatever side it is on: what a pad does that is held."""

    switch: Literal["blackout", "fade", "freeze", "hud", "fullscreen", "lock", "pattern", "operator"]
    on: bool


@dataclass(frozen=True, slots=True)
class LeaveFullscreen:
    """Back to a window; nothing where it is one already."""


@dataclass(frozen=True, slots=True)
class AskQuit:
    """End the show if asked twice within a second."""


@dataclass(frozen=True, slots=True)
class Quit:
    """End the show now: the window was closed, or a signal came."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Go to the preset of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class RecallNumber:
    """Go to the preset with that number in the set list, counted from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class StepPreset:
    """So many presets on in the set list, round its end."""

    steps: int


@dataclass(frozen=True, slots=True)
class StepModel:
    """So many generators on among all that there are, round their end."""

    steps: int


@dataclass(frozen=True, slots=True)
class Undo:
    """Back to what was played before the last recall."""


@dataclass(frozen=True, slots=True)
class Swap:
    """To the other of two scenes, A and B. The first time what is played is kept as the other."""


@dataclass(frozen=True, slots=True)
class Vary:
    """To a relative of what is played: every knob moved a little, by chance."""


@dataclass(frozen=True, slots=True)
class Panic:
    """At once what the last recall asked for: whatever hands have done since is gone."""


@dataclass(frozen=True, slots=True)
class Play:
    """Go to that preset, as it was read: what recalls come to. It waits for its beat as they do."""

    preset: Preset
    name: str


@dataclass(frozen=True, slots=True)
class Begin:
    """What waits for its beat begins now."""


@dataclass(frozen=True, slots=True)
class VaryTo:
    """What `Vary` comes to: knobs of the song as chance has moved them."""

    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PlayModel:
    """What a change of generator comes to, once it is known to be there."""

    name: str


@dataclass(frozen=True, slots=True)
class FadeTo:
    """The picture goes over to that generator, or back to it, in so many seconds for the whole way; 0: it is there.
    What changes of model came to, once the new one was loaded and its beat had come."""

    model: str  # its name
    noise: str  # its maps: const, random, none
    sha256: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Keep:
    """What `Save` comes to: panic comes back to what is played."""


@dataclass(frozen=True, slots=True)
class Tap:
    """A beat is now: from the second one on they make a tempo."""


@dataclass(frozen=True, slots=True)
class Resync:
    """A bar begins now."""


@dataclass(frozen=True, slots=True)
class ScaleTempo:
    """So many times as fast."""

    factor: float


@dataclass(frozen=True, slots=True)
class Nudge:
    """All beats so much later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hear:
    """The sound gives the tempo again; or, where it does, the tempo stays as it is."""


@dataclass(frozen=True, slots=True)
class Follow:
    """That tempo and no other, from now on: what taps, clocks and hearing came to. A bar begins in `bar_s` seconds,
    which may be negative; `hears` says whether the sound gives it."""

    bpm: float
    bar_s: float
    hears: bool


@dataclass(frozen=True, slots=True)
class StepCue:
    """What recalls wait for: the next of preset.cue's steps, round their end."""


@dataclass(frozen=True, slots=True)
class Save:
    """Keep the scene as the preset that it came from; or as a `new` one; or as the one with that `number` in the set
    list, counted from 1, which is a new one where there is none."""

    new: bool = False
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Pick:
    """So many rows on in the list of all that can be moved."""

    steps: int


@dataclass(frozen=True, slots=True)
class PickNamed:
    """That row of the list."""

    name: str


@dataclass(frozen=True, slots=True)
class Turn:
    """So many steps of the picked row's knob; an action is set off."""

    steps: int


@dataclass(frozen=True, slots=True)
class TurnDrive:
    """What drives the picked parameter: its next source, or so much more of its amount, or so many times its beats."""

    part: Literal["source", "amount", "beats"]
    steps: int = 1


@dataclass(frozen=True, slots=True)
class MoveEffect:
    """The picked parameter's effect acts so many places later among those that act; below 0 earlier."""

    steps: int


@dataclass(frozen=True, slots=True)
class Learn:
    """The control that is moved next moves what is picked from now on; a second time: none does."""


@dataclass(frozen=True, slots=True)
class Forget:
    """What was learnt for the picked row."""


ShowCommand = Toggle | LeaveFullscreen | AskQuit | Quit
Settled = Play | Begin | VaryTo | PlayModel | Keep  # what was done, in words that need no file, no list and no chance
SceneCommand = Recall | RecallNumber | StepPreset | Undo | Swap | Vary | Panic | Settled
BeatCommand = Tap | Resync | ScaleTempo | Nudge | Hear | Follow
PickCommand = Pick | PickNamed | Turn | TurnDrive | MoveEffect | Learn | Forget
Action = ShowCommand | SceneCommand | StepModel | BeatCommand | StepCue | Save | PickCommand
Command = SetParam | SetDrive | SetChoice | Put | Action
Taken = Command | FadeTo  # what a take tells of

NUDGE_S = 0.01
PRESET_NUMBERS = 128  # that a program change can

# What a button of a controller may be bound to. Quitting is not among them: no pad ends a show.
NAMED_ACTIONS: Mapping[str, Action] = {
    "blackout": Toggle("blackout"),
    "fade": Toggle("fade"),
    "freeze": Toggle("freeze"),
    "fullscreen": Toggle("fullscreen"),
    "hud": Toggle("hud"),
    "lock": Toggle("lock"),
    "operator": Toggle("operator"),
    "pattern": Toggle("pattern"),
    "next": StepPreset(1),
    "previous": StepPreset(-1),
    "undo": Undo(),
    "swap": Swap(),
    "vary": Vary(),
    "panic": Panic(),
    "cue": StepCue(),
    "effect-earlier": MoveEffect(-1),
    "effect-later": MoveEffect(1),
    "next-model": StepModel(1),
    "previous-model": StepModel(-1),
    "tap": Tap(),
    "resync": Resync(),
    "tempo-double": ScaleTempo(2.0),
    "tempo-half": ScaleTempo(0.5),
    "nudge-later": Nudge(NUDGE_S),
    "nudge-earlier": Nudge(-NUDGE_S),
    "hear": Hear(),
    "save": Save(),
    "save-new": Save(new=True),
}
ACTIONS: Mapping[str, Action] = {
    **NAMED_ACTIONS,
    **{f"preset-{number}": RecallNumber(number) for number in range(1, PRESET_NUMBERS + 1)},
}
