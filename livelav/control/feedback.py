"""What controllers are told, and when: only what is new, soon, not too much of it, and never against a hand.

- A controller that comes is greeted, where its bank says how, and told everything; what it was told is forgotten when
  it goes. Later it is told what is new, and that once more AGAIN_S later: wires lose a message now and then, and a box
  that has just been plugged in is still waking up. So the greeting comes twice, too.
- A control that a hand is at is left alone for HOLD_S after its last message, and then told the truth: a motor
  fader is held where it was let go. Lights are told at once, after each press, for many pads put theirs out by
  themselves.
- What a device only sends back is no hand. For a knob with ends that is safe to say, since it changes nothing. For a
  pad or an encoder it is not: who taps on the beat sends what the beat's flash sent. So a port is taken for an echo
  only as long as what it is told does come back, all of it, and at once. Where a hand has just been, it proves nothing.
- The parameter table's own controllers hold for any box, also for a synthesiser whose sound they might be. So of
  these a port is told only what a hand has moved on it; and never a note, for which it takes a bank or learning.

Knows no device: the time is passed in. Runs in main.
"""

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from livelav.control.bindings import FINE_PAIR, RELATIVE, Binding
from livelav.control.hands import Hands
from livelav.control.lights import Shown, can_show, is_light, telling, value
from livelav.control.messages import Control, Decoder, Moved, Told

HOLD_S = 0.3
EVERY_S = 0.02  # between two tellings of one port
MOST = 20  # controls that are told at once: with EVERY_S what a cable of 31,250 baud carries
AGAIN_S = 1.5  # after it was told, without anything new, it is told once more
BACK_S = 1.0  # what has not come back by then does not
_LIGHT_BACK_S = 0.3  # the same of lights: less than a beat, or who taps just before it would be the last flash's echo
_AT_ONCE_S = 0.2  # what comes back later, by more than a slow machine's turn, is no proof of an echo
_APART_S = 2.5  # nor what is told so soon after a hand's last message: it may tap slowly
_TRUST, _MOST_TRUST = 3, 8  # from how many echoes on a port is one, and how many are remembered
_FIRST_TRUST = _TRUST - 1  # of a port that nothing is known of: the first echo is one, the first silence is not


@dataclass(frozen=True, slots=True)
class _Awaited:
    """What may come back of what was told."""

    moved: Moved
    told_s: float
    is_first: bool  # that its control was told since its box came: no hand has been there to look like an echo


@dataclass(slots=True)
class _Indicator:
    """One control of a port, and what it shows."""

    binding: Binding
    control: Control  # the binding's, on one channel
    told: int | None = None  # what it was told last; None: it must be told, whatever it shows
    told_s: float = -math.inf
    is_twice: bool = True  # whether it was told that twice
    heard_s: float = -math.inf
    awaited: deque["_Awaited"] = field(default_factory=deque)  # what may come back

    @property
    def is_echo_safe(self) -> bool:
        """Whether it does no harm to take a hand for an echo: it would have changed nothing."""
        return not is_light(self.binding) and self.binding.mode not in RELATIVE

    def is_past(self, awaited: _Awaited, now_s: float) -> bool:
        """Whether that does not come back any more."""
        is_short = is_light(self.binding) and not awaited.is_first
        return now_s - awaited.told_s > (_LIGHT_BACK_S if is_short else BACK_S)

    def is_due_again(self, now_s: float) -> bool:
        return not self.is_twice and now_s - self.told_s > AGAIN_S

    def is_held(self, now_s: float) -> bool:
        """Whether a hand is at it that must not be worked against."""
        return not is_light(self.binding) and now_s - self.heard_s < HOLD_S


class _Output:
    """One port that can be told something."""

    def __init__(self, number: int, bindings: Sequence[Binding], hello: Sequence[bytes] = ()) -> None:
        """`bindings` are all that speak of it; `hello` is said before all."""
        self._hello, self._greet_s = hello, -math.inf if hello else math.inf  # when it is due
        self.number = number  # of its opening: another one is another port, though it has the same name
        self._columns = defaultdict[str, list[float]](list)  # by parameter, where the pads that set it put it
        for binding in bindings:
            if binding.mode == "set":
                self._columns[binding.target].append(binding.hi)
        self._indicators: list[_Indicator] = []
        self._by_control: dict[Control, _Indicator] = {}
        self._decoder = Decoder()  # what comes back will be read like that
        self._trust = _FIRST_TRUST
        self._is_new = True  # its box has just come
        self._shown: Shown | None = None
        self._unsettled = True
        self._next_s = -math.inf

    def add(self, binding: Binding, control: Control) -> None:
        """A control that is to show its binding; the first one for it counts."""
        if control in self._by_control:
            return
        indicator = _Indicator(binding, control)
        self._indicators.append(indicator)
        self._by_control[control] = indicator
        if binding.mode == "fine":
            half = Control(control.kind, control.number + FINE_PAIR, control.channel)
            self._by_control.setdefault(half, indicator)
        self._unsettled = True

    def tell_anew(self) -> None:
        """What was told is forgotten; what may come back of it is not."""
        for indicator in self._indicators:
            indicator.told = None
        self._unsettled = True

    def knows(self, control: Control) -> bool:
        return control in self._by_control

    def awaits(self, control: Control) -> bool:
        indicator = self._by_control.get(control)
        return indicator is not None and bool(indicator.awaited)

    def hear(self, moved: Moved, now_s: float) -> bool:
        """Whether a hand did that."""
        indicator = self._by_control.get(moved.control)
        if indicator is None:
            return True
        place = next((at for at, awaited in enumerate(indicator.awaited) if awaited.moved == moved), None)
        if place is not None and self._came_back(indicator, place, now_s):
            return False
        indicator.heard_s, self._unsettled = now_s, True
        if place is None:  # else it stands as it was told; told again, an echo would be one for ever
            indicator.told = None
        return True

    def _came_back(self, indicator: _Indicator, place: int, now_s: float) -> bool:
        """Whether what a control sent, which is awaited at that place, is no hand."""
        for _ in range(place + 1):  # what is sent comes back in order
            awaited = indicator.awaited.popleft()
        is_apart = awaited.told_s - indicator.heard_s > _APART_S and now_s - awaited.told_s < _AT_ONCE_S
        is_proof = awaited.is_first or is_apart
        self._trust = min(max(self._trust - place, 0) + is_proof, _MOST_TRUST)  # those before it did not
        return indicator.is_echo_safe or self._trust >= _TRUST

    def step(self, shown: Shown, now_s: float) -> list[bytes]:
        """What is to be sent now."""
        if now_s < self._next_s or (shown == self._shown and not self._unsettled):
            return []
        self._next_s, self._shown, self._unsettled = now_s + EVERY_S, shown, False
        messages = self._greeting(now_s)
        late: list[_Indicator] = []
        shows: dict[Control, int] = {}
        for indicator in self._indicators:
            self._forget(indicator, now_s)
            shows[indicator.control] = value(indicator.binding, shown, self._columns[indicator.binding.target])
            if indicator.is_held(now_s):
                self._unsettled = True
            elif shows[indicator.control] != indicator.told or indicator.is_due_again(now_s):
                late.append(indicator)
        late.sort(key=lambda indicator: indicator.told_s)  # who waited longest comes first
        self._unsettled |= len(late) > MOST
        self._unsettled |= any(indicator.awaited or not indicator.is_twice for indicator in self._indicators)
        self._unsettled |= self._greet_s < math.inf
        for indicator in late[:MOST]:
            messages += self._tell(indicator, shows[indicator.control], now_s)
        return messages

    def _greeting(self, now_s: float) -> list[bytes]:
        """The mode that it is to be in; the second time it comes before what is told once more."""
        if now_s < self._greet_s:
            return []
        self._greet_s = now_s + AGAIN_S if self._greet_s == -math.inf else math.inf
        return list(self._hello)

    def take_over(self, other: "_Output") -> None:
        """Goes on as the one would have done in whose place it stands: the box is the same, and so is the hand."""
        self._hello, self._greet_s = other._hello, other._greet_s
        self._trust, self._is_new = other._trust, False
        for indicator in self._indicators:
            if before := other._by_control.get(indicator.control):
                indicator.heard_s, indicator.awaited = before.heard_s, before.awaited

    def dark(self) -> list[bytes]:
        """Puts out the lights that were put on."""
        lit = [one for one in self._indicators if is_light(one.binding) and one.told]
        return [message for one in lit for message in telling(one.binding, one.control, 0)]

    def _forget(self, indicator: _Indicator, now_s: float) -> None:
        """What did not come back."""
        while indicator.awaited and indicator.is_past(indicator.awaited[0], now_s):
            indicator.awaited.popleft()
            self._trust = max(self._trust - 1, 0)

    def _tell(self, indicator: _Indicator, shows: int, now_s: float) -> list[bytes]:
        is_first = self._is_new and indicator.told_s == -math.inf
        indicator.is_twice = indicator.told == shows
        indicator.told, indicator.told_s, self._unsettled = shows, now_s, True
        messages = telling(indicator.binding, indicator.control, shows)
        for message in messages:
            if isinstance(event := self._decoder.step(message), Moved):
                indicator.awaited.append(_Awaited(event, now_s, is_first))
        return messages


class Feedback:
    """All ports that can be told something."""

    def __init__(self, hands: Hands) -> None:
        """`hands` say what is bound, and which bank stands before which."""
        self._hands = hands
        self._outputs: dict[str, _Output] = {}
        self._met: dict[str, set[Control]] = {}  # by port: bound controls that only a hand showed to be there

    def on_ports(self, numbers: Mapping[str, int]) -> None:
        """The outputs that are open now, by name, and of each the number of its opening."""
        for port in [port for port, output in self._outputs.items() if numbers.get(port) != output.number]:
            del self._outputs[port]
        for port, number in numbers.items():
            if port not in self._outputs:
                self._outputs[port] = self._opened(port, number, self._hands.hello(port))

    def rebind(self) -> None:
        """Other bindings hold now: all is told again, and what nobody moves any more is left as it is."""
        for port, before in self._outputs.items():
            self._outputs[port] = self._opened(port, before.number)
            self._outputs[port].take_over(before)

    def tell_anew(self) -> None:
        """All lights and rings are told once more where they stand, whatever they were told before."""
        for output in self._outputs.values():
            output.tell_anew()

    def _opened(self, port: str, number: int, hello: Sequence[bytes] = ()) -> _Output:
        bindings = self._hands.bindings_of(port)
        output = _Output(number, bindings, hello)
        for binding in bindings:
            if binding.port:  # else it is for any box, and this one may be a synthesiser
                channel = binding.control.channel or 0
                self._add(output, port, replace(binding.control, channel=channel))
        for control in self._met.setdefault(port, set()):
            self._add(output, port, control)
        return output

    def _add(self, output: _Output, port: str, control: Control) -> None:
        """What that control of that port moves is to be shown on it; the first that can be."""
        for binding in self._hands.bound(port, control):
            if can_show(binding):
                output.add(binding, replace(binding.control, channel=control.channel))

    def hear(self, port: str, moved: Moved, now_s: float) -> bool:
        """Whether a hand did that; False for what a device only sent back."""
        output = self._outputs.get(port)
        if output is None:
            return True
        if not output.knows(moved.control):
            self._add(output, port, moved.control)
            if output.knows(moved.control):
                self._met[port].add(moved.control)
        return output.hear(moved, now_s)

    def awaits(self, port: str, control: Control) -> bool:
        """Whether what that control was told may yet come back."""
        output = self._outputs.get(port)
        return output is not None and output.awaits(control)

    def step(self, shown: Shown, now_s: float) -> list[Told]:
        """What is to be sent now, port by port; the caller sees to it that it is sent."""
        told = ((port, output.step(shown, now_s)) for port, output in self._outputs.items())
        return [(port, messages) for port, messages in told if messages]

    def dark(self) -> list[Told]:
        """What is to be sent when the show is over: a box with lights on looks as if it still played."""
        told = ((port, output.dark()) for port, output in self._outputs.items())
        return [(port, messages) for port, messages in told if messages]
