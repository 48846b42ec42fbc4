"""MIDI learn: a target is named, a control is moved, and what kind of control it is shows in what it sends.

- a knob with ends sends another value each time; an encoder without ends sends the same few again and again
- a 14-bit knob sends controller n and, within PAIR_S, n + 32
- a key or pad sends notes, a button 127 and perhaps 0
- a fader that feels the finger sends a note first, and is meant by what it sends then

An encoder must be turned both ways: one way alone may look like a button, or like a knob at its end. Time is passed
in. Runs in main.
"""

import itertools
from dataclasses import dataclass, field

from livelav.control.bindings import FINE_PAIR, Binding, Mode, is_action
from livelav.control.messages import Control, Moved

PAIR_S = 0.08
TOUCH_S = 0.1
QUIET_S = 0.35  # after so long without a message the hand is done
LONGEST_S = 3.0  # or after so long, however it goes on
SMALL = 16  # steps that an encoder sends at once, at most


@dataclass(slots=True)
class Learning:
    """One wait for a hand. Ask `result` now and then; it says what was moved once that is clear."""

    target: str
    began_s: float
    _port: str = ""
    _heard: list[tuple[float, Moved]] = field(default_factory=list)

    def hear(self, port: str, moved: Moved, now_s: float) -> None:
        """What some port sent; the first control that moves is the one, and others are passed over."""
        if self._is_touch(moved, now_s) and port == self._port:
            self._heard.clear()
        if not self._heard:
            if moved.control.kind == "note" and moved.value == 0:
                return  # a key let go was pressed before we listened
            self._port = port
        first = self._heard[0][1].control if self._heard else moved.control
        if port == self._port and (moved.control == first or moved.control in _halves(first)):
            self._heard.append((now_s, moved))

    @property
    def heard(self) -> bool:
        """Whether something was moved."""
        return bool(self._heard)

    def _is_touch(self, moved: Moved, now_s: float) -> bool:
        """Whether all that was heard so far was a finger on the fader that moves now."""
        if moved.control.kind not in ("cc", "bend") or not self._heard:
            return False
        began_s, first = self._heard[0]
        return first.control.kind == "note" and now_s - began_s <= TOUCH_S

    def result(self, now_s: float) -> Binding | None:
        """The binding; None while nothing was moved, or the hand is still at it."""
        if not self._heard:
            return None
        quiet, long = now_s - self._heard[-1][0] >= QUIET_S, now_s - self._heard[0][0] >= LONGEST_S
        if not (quiet or long):
            return None
        control = self._heard[0][1].control
        mode = self._mode()
        if mode == "fine" and control.number >= FINE_PAIR:
            control = Control("cc", control.number - FINE_PAIR, control.channel)
        return Binding(control, self.target, mode, port=self._port)

    def _mode(self) -> Mode:
        control = self._heard[0][1].control
        if is_action(self.target):
            return "press"
        if control.kind in ("note", "program"):
            return "toggle"  # NOTHING, too, may be pressed
        if control.kind != "cc":
            return "absolute"
        if self._is_pair():
            return "fine"
        return _encoding([moved.value for _, moved in self._heard if moved.control == control])

    def _is_pair(self) -> bool:
        times: dict[Control, list[float]] = {}
        for when_s, moved in self._heard:
            times.setdefault(moved.control, []).append(when_s)
        if len(times) != 2:
            return False
        one, other = times.values()
        return all(min(abs(a - b) for b in other) <= PAIR_S for a in one[:2])


def _halves(control: Control) -> tuple[Control, ...]:
    """The other half of what may be a 14-bit pair."""
    if control.kind != "cc" or control.number >= 2 * FINE_PAIR:
        return ()
    partner = control.number + (FINE_PAIR if control.number < FINE_PAIR else -FINE_PAIR)
    return (Control("cc", partner, control.channel),)


def _encoding(values: list[int]) -> Mode:
    """A knob with ends, a button, or which encoding of steps; a knob never sends a value twice but at its ends."""
    if set(values) <= {0, 127} and (len(values) > 1 or values == [127]):
        return "toggle"
    repeats = sum(a == b for a, b in itertools.pairwise(values))
    if len(values) < 3 or repeats < len(values) // 3 or 0 in values:  # no encoder sends a step of nothing
        return "absolute"
    low = [value for value in values if 0 < value <= SMALL]
    if len(low) == len(values):
        return "twos"
    if all(abs(value - 64) <= SMALL for value in values):
        return "offset"
    if low and all(value <= SMALL or value >= 128 - SMALL for value in values):
        return "twos"
    if low and all(value <= SMALL or 64 < value <= 64 + SMALL for value in values):
        return "sign"
    return "absolute"
