"""What one move of a control comes to for its parameter: by the binding, and by what is remembered of the control.

A knob without ends has to know where its parameter stands, and so has one that must pick up a value which something
else has moved. It is the passing that counts there and not the meeting: a quick hand skips the equal position. Knows
no port; what is remembered is the caller's to keep.
"""

from dataclasses import dataclass

from livelav.control.bindings import RELATIVE, Binding, Takeover, steps
from livelav.control.messages import COARSE_TOP, FINE_TOP, Moved
from livelav.core.params import Param

NEAR = 1.5 / COARSE_TOP  # knob travel at which a value counts as picked up


@dataclass(slots=True)
class Memory:
    """What is known of one binding's control, on one port and channel."""

    travel: float | None = None  # where it stands; None until it was moved
    holds: bool = True  # whether it moves its parameter, or waits to pick it up
    value: float | None = None  # what it set last
    coarse: int = 0  # the halves of a 14-bit pair
    fine: int = 0
    down: bool = False  # a button, for what counts is the pressing
    sent: int | None = None  # all that it has sent since it went down; None: it sent this and that, as a knob does
    before: float | None = None  # where its parameter goes back to when it is let go; for what is momentary


def pressed(memory: Memory, moved: Moved) -> bool:
    """Whether this is the moment in which a button went down. A note that begins is one: its end may have been lost.

    So is a controller that sends once more what it went down with: foot controllers send 127 with every press and
    never 0. A knob or fader comes past the middle with another value than it ends with."""
    is_note = moved.control.kind == "note"
    down = moved.value > 0 if is_note else 2 * moved.value > moved.top
    was, memory.down = memory.down, down and moved.control.kind != "program"  # which nobody lets go
    is_again = is_note or (moved.control.kind == "cc" and moved.value == memory.sent)
    memory.sent = moved.value if down and (is_again or not was) else None
    return down and (is_again or not was)


def moved_to(
    binding: Binding, param: Param, memory: Memory, moved: Moved, now: float, goal: float, takeover: Takeover
) -> float | None:
    """The parameter's new value in units; None where it stays. `now` is the one that it has, `goal` the one that it
    goes to where a preset fades in."""
    if binding.mode in RELATIVE:
        by = steps(binding.mode, moved.value) * max(1.0 / COARSE_TOP, param.notch)
        return param.value(_stepped(binding, param.knob(now), by))
    if binding.mode in ("toggle", "momentary", "set"):
        return _switched(binding, param, memory, moved, now, goal)
    travel = _travel(binding, memory, moved)
    before, memory.travel = memory.travel, travel
    if takeover == "relative" and not param.steps:  # from step to step no share of the way leads
        if before is None or before == travel:
            return None
        return param.value(binding.knob(_drawn(binding.travel(param.knob(now)), before, travel)))
    if takeover != "jump" and memory.value != now:
        memory.holds = False  # something else has moved it
    if not memory.holds:
        wanted = binding.travel(param.knob(now))
        passed = before is not None and (before - wanted) * (travel - wanted) <= 0.0
        if not passed and abs(travel - wanted) > NEAR:
            return None
        memory.holds = True
    memory.value = param.value(binding.knob(travel))
    return memory.value


def _drawn(at: float, before: float, travel: float) -> float:
    """Where a value that stands `at` goes while its knob goes from `before` to `travel`; all of them 0..1.

    0 ------ at ---------------- 1        the value
    0 ------------ before ------ 1        the knob: half of its way down takes the value half of its own
    """
    if travel < before:
        return at * travel / before
    return 1.0 - (1.0 - at) * (1.0 - travel) / (1.0 - before)


def _travel(binding: Binding, memory: Memory, moved: Moved) -> float:
    if binding.mode != "fine":
        return moved.value / moved.top
    if moved.control.number == binding.control.number:
        memory.coarse = moved.value
    else:
        memory.fine = moved.value
    return (memory.coarse << 7 | memory.fine) / FINE_TOP


def _switched(binding: Binding, param: Param, memory: Memory, moved: Moved, now: float, goal: float) -> float | None:
    was = memory.down
    went_down = pressed(memory, moved)
    if binding.mode == "momentary":
        if not memory.down:
            return gone_back(memory, now)
        if not was or (went_down and now != memory.value):  # else it goes back to what was before the first press
            memory.before, memory.value = goal, param.value(binding.hi)
        return memory.value
    if not went_down:
        return None
    if binding.mode == "set":
        return param.value(binding.hi)
    return param.value(binding.lo if binding.is_high(param.knob(now)) else binding.hi)


def gone_back(memory: Memory, now: float) -> float | None:
    """Where a momentary parameter goes back to; None where something else, like a recall, has moved it meanwhile."""
    before, memory.before = memory.before, None
    return before if now == memory.value else None


def _stepped(binding: Binding, knob: float, by: float) -> float:
    """So much travel on, within the binding's part of it."""
    lo, hi = sorted((binding.lo, binding.hi))
    direction = 1 if binding.hi > binding.lo else -1
    return min(max(knob + direction * by, lo), hi)
