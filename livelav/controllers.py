"""`livelav midi`: what arrives from controllers and what it does, and learning which control moves what.

Runs in the terminal's process, without a show; a show that runs takes up what was learnt when it is started again.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from livelav.control.banks import WORDS, learn, learnt, load_banks
from livelav.control.bindings import NOTHING, Binding, conflicts, default_bindings, is_action, targets
from livelav.control.commands import SetParam
from livelav.control.hands import Hands
from livelav.control.learn import Learning
from livelav.control.messages import Control, Decoder, Moved, Transport
from livelav.control.midi import MidiConfig, Ports
from livelav.core.clock import Clock
from livelav.core.errors import MidiError, nearest
from livelav.core.params import BY_NAME, Settings

_LOOK_S, _SCAN_S = 0.01, 0.5
_CLOCK_S = 1.0  # a clock is told of once a second: 48 lines would hide all else

Heard = tuple[str, Moved | Transport]


class Ear:
    """Open ports, and what they sent since the last look."""

    def __init__(self, config: MidiConfig, clock: Clock) -> None:
        self._clock, self._scanned_s = clock, -math.inf
        self._ports = Ports(config)
        self._decoders: dict[str, Decoder] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return self._ports.names

    def listen(self) -> Iterator[Heard]:
        """After a short wait, what came meanwhile. Raises MidiError where there is no MIDI."""
        now_s = self._clock.now_s()
        if now_s - self._scanned_s > _SCAN_S:
            self._scanned_s = now_s
            self._ports.scan()
        self._clock.sleep(_LOOK_S)
        for port, message, _ in self._ports.take():
            if event := self._decoders.setdefault(port, Decoder()).step(message):
                yield port, event

    def close(self) -> None:
        self._ports.close()


def monitor(config: MidiConfig, clock: Clock, say: Callable[[str], None], until_s: float = math.inf) -> None:
    """A line for everything that arrives, until `until_s` on the clock. Raises MidiError where there is no MIDI."""
    banks, troubles = load_banks()
    hands, settings = Hands(banks, default_bindings()), Settings()
    for trouble in troubles:
        say(f"! {trouble}")
    known: tuple[str, ...] | None = None
    clocks, told_s = Counter[str](), clock.now_s()
    ear = Ear(config, clock)
    try:
        while (now_s := clock.now_s()) < until_s:
            for port, event in ear.listen():
                if isinstance(event, Moved):
                    settings = _tell_move(port, event, hands, settings, say)
                elif event.kind == "clock":
                    clocks[port] += 1
                else:
                    say(f"{port}: {event.kind}")
            if known != ear.names:
                known = ear.names
                say(f"listening to {', '.join(known) or 'nothing: plug a controller in'}")
            if now_s - told_s > _CLOCK_S:
                for port, count in clocks.items():
                    say(f"{port}: clock, {count / (now_s - told_s) / 24 * 60:.1f} beats a minute")
                clocks, told_s = Counter(), now_s
    finally:
        ear.close()


def _tell_move(port: str, moved: Moved, hands: Hands, settings: Settings, say: Callable[[str], None]) -> Settings:
    """Says what a control did; returns what the settings would be."""
    changes = {c.name: c.value for c in hands.follow([(port, moved)], settings) if isinstance(c, SetParam)}
    effects = []
    for target in [binding.target for binding in hands.bound(port, moved.control) if binding.target != NOTHING]:
        value = f" = {changes[target]:.4g} {BY_NAME[target].unit}".rstrip() if target in changes else ""
        effects.append(target + value)
    say(f"{port}: {moved.control} = {moved.value} of {moved.top}: {', '.join(effects) or 'bound to nothing'}")
    return settings.with_values(changes)


def wished(travel: str | None, **words: str | None) -> dict[str, Any]:
    """Fields of a binding from what was written: `travel` like `0.2:0.8`, `words` like curve. Raises MidiError."""
    wishes: dict[str, Any] = {key: word for key, word in words.items() if word is not None}
    for key, word in wishes.items():
        if word not in WORDS[key]:
            raise MidiError(f"--{key} is {word[:40]!r}: it must be one of {', '.join(WORDS[key])}")
    if travel is not None:
        ends = travel.split(":")
        try:
            wishes["lo"], wishes["hi"] = map(float, ends)
        except ValueError as error:
            remedy = "two numbers from 0 to 1, parts of the parameter's travel, like 0.2:0.8"
            raise MidiError(f"--range is {travel[:40]!r}: it must be {remedy}") from error
    return wishes


def learn_control(
    target: str,
    config: MidiConfig,
    clock: Clock,
    say: Callable[[str], None],
    wait_s: float,
    wishes: Mapping[str, Any] | None = None,
) -> Binding:
    """Waits for a control to be moved, keeps it for `target` as `wishes` say, and says what that changes.

    Raises MidiError for an unknown target, for wishes that it cannot have, or where nothing moved within `wait_s`.
    """
    if target not in targets():
        raise MidiError(f"no parameter or action {target!r}{nearest(target, targets())}; `livelav params` lists them")
    usual = {"mode": "press"} if is_action(target) else {}
    Binding(Control("cc", 0), target, **{**usual, **(wishes or {})})  # what no control could be is refused at once
    ear, began_s = Ear(config, clock), clock.now_s()
    learning = Learning(target, began_s)
    say(f"move the control that is to move {target} (an encoder without ends: both ways)")
    try:
        while (binding := learning.result(clock.now_s())) is None:
            for port, event in ear.listen():
                if isinstance(event, Moved):
                    learning.hear(port, event, clock.now_s())
            if not learning.heard and clock.now_s() - began_s > wait_s:
                ports = ", ".join(ear.names) or "none: plug a controller in"
                raise MidiError(f"nothing was moved within {wait_s:g} s; controllers heard: {ports}")
        for gone in learn(binding, wishes):
            say(f"instead of {gone.control} for {gone.target}")
    finally:
        ear.close()
    *_, binding = learnt()
    for one, other in conflicts(learnt()):
        if binding in (one, other):
            say(f"note: {one.control} and {other.control} are one: it moves {one.target} and {other.target}")
    return binding
