"""Which control moves what, as data: a control, its target, and how the one goes over into the other.

Knows no device and no state; hands.py performs what is written here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from livelav.control.commands import ACTIONS, PRESET_NUMBERS, Toggle
from livelav.control.messages import COARSE_TOP, Control
from livelav.core.errors import MidiError, nearest
from livelav.core.params import BY_NAME, PARAMS

# absolute: a knob with ends. fine: one of 14 bits, in a pair of controllers, n and n + 32. twos, sign, offset: an
# encoder without ends, that sends steps as two's complement, as sign and size, or as their sum with 64. toggle: each
# press changes sides. momentary: `hi` while it is held, then what was before; a switch like blackout is on as long.
# set: each press goes to `hi`, so that a row of pads is a fader. press: what an action wants.
Mode = Literal["absolute", "fine", "twos", "sign", "offset", "toggle", "momentary", "set", "press"]
# When something else has moved the parameter of a knob with ends: jump: it goes to the knob at once. pickup: it waits
# for the knob to come past. relative: it moves that share of its way to its end which the knob moves of its own, so
# that it answers at once, never jumps, reaches both ends, and the two meet there at the latest. Plain differences
# would leave a knob at its end while its parameter is on the way.
Takeover = Literal["jump", "pickup", "relative"]
Curve = Literal["even", "slow", "fast"]

NOTHING = "none"  # the target of a control that is to move nothing, where another bank would bind it
SHIFT = "shift"  # the target of a pad that does nothing alone: while it is held, pads of presets save
RELATIVE: frozenset[Mode] = frozenset({"twos", "sign", "offset"})
PADS: frozenset[Mode] = frozenset({"toggle", "momentary", "set", "press"})  # what is pressed, and not turned
EXPONENT: Mapping[Curve, float] = {"even": 1.0, "slow": 2.0, "fast": 0.5}  # slow: fine work at the low end
FINE_PAIR = 32  # controllers between the two of a 14-bit pair


@dataclass(frozen=True, slots=True)
class Binding:
    """One control and its target: a parameter, an action by its name in ACTIONS, or NOTHING. Raises MidiError."""

    control: Control
    target: str
    mode: Mode = "absolute"
    takeover: Takeover | None = None  # None: as the show has it, see midi.takeover
    lo: float = 0.0  # the part of the parameter's knob travel that is used; hi below lo turns the knob round
    hi: float = 1.0
    curve: Curve = "even"
    port: str = ""  # part of a port's name; "" is every port
    not_port: str = ""  # part of the name of ports that are meant by `port` only seemingly
    lights: tuple[int, int] = (0, COARSE_TOP)  # what a pad or button is told when it is off, and when it is on

    def __post_init__(self) -> None:
        if self.target not in targets():
            known = targets()
            raise MidiError(f"{self.control}: no parameter or action {self.target!r}{nearest(self.target, known)}")
        if self.target == SHIFT and self.mode != "press":
            raise MidiError(f"{self.control}: {self.target} wants press, not {self.mode}")
        if self.target in ACTIONS and self.mode not in ("press", "momentary"):
            raise MidiError(f"{self.control}: {self.target} wants press, not {self.mode}")
        if self.mode == "momentary" and not isinstance(ACTIONS.get(self.target, Toggle("freeze")), Toggle):
            raise MidiError(f"{self.control}: {self.target} wants press; momentary is for switches like blackout")
        if self.target in BY_NAME and self.mode == "press":
            raise MidiError(f"{self.control}: {self.target} wants another mode than press")
        if self.mode in RELATIVE and self.control.kind != "cc":
            raise MidiError(f"{self.control}: only cc can be {self.mode}")
        if self.mode == "fine" and (self.control.kind != "cc" or self.control.number >= FINE_PAIR):
            raise MidiError(f"{self.control}: only cc 0 to cc 31 have a fine half, {FINE_PAIR} above them")
        if not (0.0 <= self.lo <= 1.0 and 0.0 <= self.hi <= 1.0) or (self.lo == self.hi and self.mode != "set"):
            raise MidiError(f"{self.control}: lo {self.lo:g} and hi {self.hi:g} must be different, both from 0 to 1")

    def hears(self, control: Control, port: str) -> bool:
        """Whether that control, of the right kind and number already, is ours."""
        return self.control.channel in (None, control.channel) and speaks_of(port, self.port, self.not_port)

    def knob(self, travel: float) -> float:
        """Travel of the control, 0..1, to the parameter's knob."""
        return self.lo + (self.hi - self.lo) * float(travel ** EXPONENT[self.curve])

    def travel(self, knob: float) -> float:
        """The inverse, clipped to 0..1 where the knob stands outside of our part."""
        share = min(max((knob - self.lo) / (self.hi - self.lo), 0.0), 1.0)
        return float(share ** (1.0 / EXPONENT[self.curve]))

    def is_high(self, knob: float) -> bool:
        """On which of its two sides the parameter of a switch stands."""
        return abs(knob - self.hi) < abs(knob - self.lo)


def targets() -> list[str]:
    """All that a control may be bound to."""
    return [*BY_NAME, *ACTIONS, NOTHING, SHIFT]


def is_action(target: str) -> bool:
    """Whether it is set off by a press, and not moved."""
    return target in ACTIONS or target == SHIFT


def speaks_of(port: str, part: str, not_part: str = "") -> bool:
    """Whether a part of a name means that port. A whole name does not mean its twin, `NAME #2`."""
    name, twin, _ = port.lower().partition(" #")
    meant = part.lower() in port.lower() and not (twin and part.lower() == name)
    return meant and not (not_part and not_part.lower() in port.lower())


def default_bindings() -> tuple[Binding, ...]:
    """The controllers of the parameter table, on any channel of any port; and program changes recall presets."""
    return (
        *(Binding(Control("cc", p.cc), p.name) for p in PARAMS if p.cc is not None),
        *(Binding(Control("program", n), f"preset-{n + 1}", mode="press") for n in range(PRESET_NUMBERS)),
    )


def conflicts(bindings: Iterable[Binding]) -> list[tuple[Binding, Binding]]:
    """Pairs that one control would move together."""
    known = [binding for binding in bindings if binding.target != NOTHING]
    return [
        (one, other)
        for i, one in enumerate(known)
        for other in known[i + 1 :]
        if numbers(one) & numbers(other)
        and (None in (channels := (one.control.channel, other.control.channel)) or channels[0] == channels[1])
        and (one.port.lower() in other.port.lower() or other.port.lower() in one.port.lower())
    ]


def steps(mode: Mode, value: int) -> int:
    """How many steps an encoder without ends says that it was turned; value 0..127."""
    match mode:
        case "twos":
            return value - 128 if value >= 64 else value
        case "sign":
            return -(value - 64) if value >= 64 else value
        case "offset":
            return value - 64
    raise AssertionError(f"{mode} is no encoder")


def numbers(binding: Binding) -> set[tuple[str, int]]:
    """What a binding listens to, by kind and number."""
    control = binding.control
    halves = (0, FINE_PAIR) if binding.mode == "fine" else (0,)
    return {(control.kind, control.number + half) for half in halves}
