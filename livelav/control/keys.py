"""The keyboard: what each key sends, and what the help says about it. One table for windows, README and HUD."""

from collections.abc import Mapping
from dataclasses import dataclass

from livelav.control.commands import ACTIONS, Action, AskQuit, Forget, Learn, LeaveFullscreen, Pick, Turn, TurnDrive

PRESET_KEYS = 9  # presets that a key of their own recalls


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
    "C": Key(ACTIONS["cue"], "recalls wait for a beat, a bar, two, four, or not: the next of these"),
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
    "D": Key(ACTIONS["fade"], "fade to black, or back, in show.fade seconds"),
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
    "CTRL+SHIFT+LEFT": Key(ACTIONS["effect-earlier"], "its effect acts earlier"),
    "CTRL+SHIFT+RIGHT": Key(ACTIONS["effect-later"], "its effect acts later"),
    "L": Key(Learn(), "learn: move the control that is to move it"),
    "DELETE": Key(Forget(), "forget what was learnt for it"),
    "Q": Key(AskQuit(), "quit, pressed twice"),
}


def key_help() -> list[tuple[str, str]]:
    """(key, what it does) for every key, as the README and the HUD print them."""
    others = [(name.title(), key.help) for name, key in KEYS.items() if not name.isdecimal()]
    return [(f"1-{PRESET_KEYS}", "preset of that number"), *others]
