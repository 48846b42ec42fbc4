"""What a control should show: where its ring or motor fader stands, whether its pad is lit; and how it is told so.

Knows bindings and messages, no device and no clock: what was told before is feedback.py's. Runs in main.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from livelav.control.bindings import FINE_PAIR, NOTHING, SHIFT, Binding
from livelav.control.commands import ACTIONS, Action, RecallNumber, Tap, Toggle
from livelav.control.messages import COARSE_TOP, FINE_TOP, Control
from livelav.control.switches import ShowState
from livelav.core.params import BY_NAME, Settings

_SWITCHES = ("toggle", "momentary", "set", "press")  # modes of pads and buttons: they are lit or dark
_HERE = 0.5 / COARSE_TOP  # knob travel within which a parameter stands where a single pad puts it


@dataclass(frozen=True, slots=True)
class Shown:
    """All of the show that a controller can tell; two that are equal look alike on every box."""

    settings: Settings
    state: ShowState
    played: int | None = None  # number of the preset in the set list, counted from 1
    cued: int | None = None  # of the one that waits for its beat
    quarter: int = 0  # of the beat that passes: 0 to 3


def is_light(binding: Binding) -> bool:
    """Whether its control is lit or dark; else it stands somewhere."""
    return binding.mode in _SWITCHES


def can_show(binding: Binding) -> bool:
    """Whether there is something to tell its control.

    What a finger feels (velocity, pressure) stands nowhere, and an action that leaves no trace has nothing to light.
    """
    kind = binding.control.kind
    if binding.target in (NOTHING, SHIFT):
        return False
    if not is_light(binding):
        return kind in ("cc", "nrpn", "bend")
    leaves_trace = isinstance(ACTIONS.get(binding.target, Toggle("lock")), Toggle | Tap | RecallNumber)
    return kind in ("cc", "note") and leaves_trace


def value(binding: Binding, shown: Shown, column: Sequence[float] = ()) -> int:
    """What a control that can show something should show: 0..127, or 0..16383 where it is fine.

    `column` holds the `hi` of all pads that set its parameter, so that one of them is always lit. An encoder without
    ends is told where its parameter stands, as a knob with ends is: that is what its ring of lights takes.
    """
    if binding.target in ACTIONS:
        return binding.lights[_is_lit(ACTIONS[binding.target], shown)]
    knob = BY_NAME[binding.target].knob(shown.settings[binding.target])
    if binding.mode == "set":
        nearest = min(abs(knob - hi) for hi in column) if len(column) > 1 else _HERE
        return binding.lights[abs(knob - binding.hi) <= nearest]
    if is_light(binding):
        return binding.lights[binding.is_high(knob)]
    return round(binding.travel(knob) * (FINE_TOP if _is_fine(binding) else COARSE_TOP))


def _is_lit(action: Action, shown: Shown) -> bool:
    match action:
        case Toggle(switch):
            return bool(getattr(shown.state, switch))
        case RecallNumber(number) if number == shown.cued:
            return shown.quarter < 2
        case RecallNumber(number):
            return number == shown.played
    return shown.quarter == 0  # the beat's flash


def _is_fine(binding: Binding) -> bool:
    return binding.mode == "fine" or binding.control.kind in ("nrpn", "bend")


def telling(binding: Binding, control: Control, shows: int) -> list[bytes]:
    """The messages that put `control`, which is the binding's on one channel, to what `value` gave."""
    assert control.channel is not None, "a message has a channel"
    channel, number = control.channel, control.number
    coarse, fine = shows >> 7, shows & COARSE_TOP

    def controllers(*pairs: tuple[int, int]) -> list[bytes]:
        return [bytes((0xB0 | channel, *pair)) for pair in pairs]

    if control.kind == "note":
        return [bytes((0x90 | channel, number, shows))]
    if control.kind == "bend":
        return [bytes((0xE0 | channel, fine, coarse))]
    if control.kind == "nrpn":
        return controllers((99, number >> 7), (98, number & COARSE_TOP), (6, coarse), (38, fine))
    if binding.mode == "fine":
        return controllers((number, coarse), (number + FINE_PAIR, fine))
    return controllers((number, shows))
