"""What a performer can ask for, from whichever control: keys, MIDI, OSC, web. One list, one key table.

Commands are values; nothing here performs them. Main feeds the show's commands to `ShowState.apply`, `SetParam`
and `SetChoice` to its scene. Knows no device, no window and no clock: the time is passed in. Runs in main.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from livelav.core.drive import Drive

FADE_S = 0.3  # blackout fades: a hard cut at a gig looks like a fault
QUIT_AGAIN_S = 1.0  # within this a second quit key counts: no single accidental press ends a show


@dataclass(frozen=True, slots=True)
class SetParam:
    """Put one parameter of `core.params.PARAMS` to a value in its units."""

    name: str
    value: float


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

    switch: Literal["blackout", "freeze", "hud", "fullscreen", "lock", "pattern", "operator"]


@dataclass(frozen=True, slots=True)
class LeaveFullscreen:
    """Back to a window; nothing where it is one already."""


@dataclass(frozen=True, slots=True)
class AskQuit:
    """End the show if asked twice within `QUIT_AGAIN_S`."""


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
class Save:
    """Keep the scene as the preset that it came from; or as a `new` one."""

    new: bool = False


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
class Learn:
    """The control that is moved next moves what is picked from now on; a second time: none does."""


@dataclass(frozen=True, slots=True)
class Forget:
    """What was learnt for the picked row."""


ShowCommand = Toggle | LeaveFullscreen | AskQuit | Quit
SceneCommand = Recall | RecallNumber | StepPreset | Undo | Swap | Vary | Panic
BeatCommand = Tap | Resync | ScaleTempo | Nudge | Hear
PickCommand = Pick | PickNamed | Turn | TurnDrive | Learn | Forget
Action = ShowCommand | SceneCommand | StepModel | BeatCommand | Save | PickCommand
Command = SetParam | SetDrive | SetChoice | Action

NUDGE_S = 0.01
PRESET_KEYS = 9  # presets that a key of their own recalls
PRESET_NUMBERS = 128  # that a program change can

# What a button of a controller may be bound to. Quitting is not among them: no pad ends a show.
NAMED_ACTIONS: Mapping[str, Action] = {
    "blackout": Toggle("blackout"),
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


@dataclass(frozen=True, slots=True)
class Key:
    """What a key sends, and what the help says about it."""

    command: Action
    help: str


KEYS: Mapping[str, Key] = {
    **{str(number): Key(ACTIONS[f"preset-{number}"], f"preset {number}") for number in range(1, PRESET_KEYS + 1)},
    "N": Key(ACTIONS["next"], "next preset"),
    "P": Key(ACTIONS["previous"], "previous preset"),
    "U": Key(ACTIONS["undo"], "undo the last recall, swap or variation"),
    "X": Key(ACTIONS["swap"], "A/B: the first time keep this, then go between it and what it became"),
    "V": Key(ACTIONS["vary"], "vary all knobs by chance (U undoes)"),
    "BACKSPACE": Key(ACTIONS["panic"], "panic: at once the preset as it was recalled"),
    "CTRL+M": Key(ACTIONS["next-model"], "next model (generator)"),
    "CTRL+SHIFT+M": Key(ACTIONS["previous-model"], "previous model"),
    "CTRL+S": Key(ACTIONS["save"], "save the preset"),
    "CTRL+SHIFT+S": Key(ACTIONS["save-new"], "save as a new preset"),
    "T": Key(ACTIONS["tap"], "tap the tempo"),
    "R": Key(ACTIONS["resync"], "a bar begins now"),
    "+": Key(ACTIONS["tempo-double"], "tempo times two"),
    "-": Key(ACTIONS["tempo-half"], "tempo by two"),
    ".": Key(ACTIONS["nudge-later"], "beats 10 ms later"),
    ",": Key(ACTIONS["nudge-earlier"], "beats 10 ms earlier"),
    "E": Key(ACTIONS["hear"], "listen for the tempo, or keep it"),
    "F": Key(ACTIONS["fullscreen"], "fullscreen"),
    "ESCAPE": Key(LeaveFullscreen(), "leave fullscreen"),
    "B": Key(ACTIONS["blackout"], "blackout"),
    "Z": Key(ACTIONS["freeze"], "freeze"),
    "SPACE": Key(ACTIONS["lock"], "lock all keys but this"),
    "G": Key(ACTIONS["pattern"], "test pattern"),
    "H": Key(ACTIONS["hud"], "HUD"),
    "O": Key(ACTIONS["operator"], "the operator's window"),
    "DOWN": Key(Pick(1), "next parameter on the HUD"),
    "UP": Key(Pick(-1), "parameter before it"),
    "RIGHT": Key(Turn(1), "turn it up"),
    "LEFT": Key(Turn(-1), "turn it down"),
    "M": Key(TurnDrive("source"), "drive it by sine, saw, square, random, level, onset, or not"),
    "CTRL+RIGHT": Key(TurnDrive("amount", 1), "drive it further"),
    "CTRL+LEFT": Key(TurnDrive("amount", -1), "drive it less, or the other way"),
    "CTRL+UP": Key(TurnDrive("beats", -1), "drive it twice as fast"),
    "CTRL+DOWN": Key(TurnDrive("beats", 1), "drive it half as fast"),
    "L": Key(Learn(), "learn: move the control that is to move it"),
    "DELETE": Key(Forget(), "forget what was learnt for it"),
    "Q": Key(AskQuit(), "quit, pressed twice"),
}


def key_help() -> list[tuple[str, str]]:
    """(key, what it does) for every key, as the README and the HUD print them."""
    others = [(name.title(), key.help) for name, key in KEYS.items() if not name.isdecimal()]
    return [(f"1-{PRESET_KEYS}", "preset of that number"), *others]


@dataclass(frozen=True, slots=True)
class ShowState:
    """The show's switches at one moment; every change makes a new state."""

    blackout: bool = False
    freeze: bool = False
    lock: bool = False  # keys but the unlocking one do nothing
    pattern: bool = False  # the test pattern instead of the picture
    hud: bool = False
    fullscreen: bool = False
    operator: bool = False  # the operator's own window
    quit: bool = False
    fade_from: float = 1.0  # light level when blackout was last switched
    faded_s: float = float("-inf")  # when that was
    asked_quit_s: float = float("-inf")

    def apply(self, command: ShowCommand, now_s: float) -> "ShowState":
        """The state after `command`, given at `now_s` (monotonic seconds)."""
        match command:
            case Toggle("blackout"):
                return replace(self, blackout=not self.blackout, fade_from=self.light(now_s), faded_s=now_s)
            case Toggle(switch):
                return replace(self, **{switch: not getattr(self, switch)})
            case LeaveFullscreen():
                return replace(self, fullscreen=False)
            case AskQuit():
                return replace(self, quit=self.quit or now_s - self.asked_quit_s <= QUIT_AGAIN_S, asked_quit_s=now_s)
            case Quit():
                return replace(self, quit=True)

    def takes(self, command: Command) -> bool:
        """Whether a key that sends `command` does anything now."""
        return not self.lock or command == Toggle("lock")

    def light(self, now_s: float) -> float:
        """How bright the output is: 1 shown, 0 black, between them while a blackout fades in or out."""
        travelled = max(now_s - self.faded_s, 0.0) / FADE_S
        if self.blackout:
            return max(self.fade_from - travelled, 0.0)
        return min(self.fade_from + travelled, 1.0)

    def quit_pending(self, now_s: float) -> bool:
        """Whether a first quit key waits for its second, so that the HUD can say so."""
        return not self.quit and now_s - self.asked_quit_s <= QUIT_AGAIN_S
