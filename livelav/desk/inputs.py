"""Every hand on the show but the keys: what controllers and OSC send, as commands; and both told what came of it.

Holds what the operator wants to see of it: which controllers are there, what was moved last. Makes no process: the
engine runs the MIDI process and hands its events on. Runs in main.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from livelav.control.banks import LEARNT, Bank
from livelav.control.bindings import Binding, default_bindings
from livelav.control.commands import (
    BeatCommand,
    Command,
    Panic,
    Put,
    Recall,
    RecallNumber,
    Resync,
    Save,
    SetChoice,
    SetParam,
    StepPreset,
    Tap,
    Toggle,
)
from livelav.control.feedback import Feedback
from livelav.control.hands import Hands
from livelav.control.messages import Moved
from livelav.control.osc import Argument, OscIn, OscOut
from livelav.core.errors import OscError
from livelav.core.params import Settings
from livelav.core.values import Event

_MOST_PRESSES = 32  # equal ones in a turn; a picture may take a second when a model is changed

Socket = TypeVar("Socket", OscIn, OscOut)


class Inputs:
    """Asked once in a while for what came since."""

    def __init__(
        self,
        banks: Sequence[Bank] = (),
        osc: tuple[str, int] | None = None,
        osc_out: tuple[str, int] | None = None,
    ) -> None:
        """`osc` is where to listen, `osc_out` whom to tell; a port that is taken is a trouble, but ends no show."""
        self._banks = tuple(banks)
        self._carried: tuple[Bank, ...] = ()
        self.hands = Hands(banks, default_bindings())
        self.feedback = Feedback(self.hands)
        self.ports: tuple[str, ...] = ()  # controllers that are there
        self.touched = (-math.inf, "")  # when a parameter was last moved, and which
        self.troubles: list[str] = []  # that nobody was told of so far
        self._gone: set[str] = set()
        self.osc = self._opened(OscIn, osc)
        self._osc_out = self._opened(OscOut, osc_out)

    def _opened(self, kind: type[Socket], at: tuple[str, int] | None) -> Socket | None:
        try:
            return kind(at) if at else None
        except OscError as error:
            self.troubles.append(str(error))
            return None

    def take(
        self, events: Iterable[Event], settings: Settings, now_s: float, goals: Settings | None = None
    ) -> list[Command]:
        """Commands since the last call; `events` are the MIDI process's. One value for each parameter: the last.

        `goals`: see Hands.follow."""
        self.hands.see(settings)
        commands = self.hands.left_behind(settings)
        ours = (event for event in events if event["kind"] in ("midi", "ports"))
        for kind, some in itertools.groupby(ours, key=lambda event: event["kind"]):
            if kind == "ports":
                for event in some:
                    self._on_ports(event)
                commands += self.hands.left_behind(settings)
            else:  # together, for an encoder's steps go on from each other
                messages = itertools.chain.from_iterable(event["messages"] for event in some)
                newest = self.hands.newest(messages, settings, self.feedback.awaits)
                commands += self.hands.follow(self.moves(newest, now_s), settings, goals)
        for command in self.osc.take() if self.osc else ():
            if self._osc_out and isinstance(command, SetParam) and self._osc_out.is_echo(command, now_s):
                continue
            if isinstance(command, Panic):
                commands += self.hands.let_go(settings)
            commands.append(command)
            if self._osc_out and isinstance(command, SetParam):
                self._osc_out.hold(command.name, now_s)
        moved = [command for command in commands if isinstance(command, SetParam)]
        if moved:
            self.touched = (now_s, moved[-1].name)
        return _condensed(commands)

    def moves(self, messages: Iterable[tuple[str, bytes]], now_s: float) -> list[tuple[str, Moved]]:
        """(port, what was moved) by hands in (port, message): what devices only send back is left out."""
        return [move for move in self.hands.moves(messages) if self.feedback.hear(*move, now_s)]

    def learn(self, bindings: Sequence[Binding]) -> None:
        """All that is learnt from now on."""
        others = [bank for bank in self._banks if bank.name != LEARNT]
        self._banks = (Bank(LEARNT, "", "", tuple(bindings)), *others)
        self._bind()

    def carry(self, bindings: Sequence[Binding]) -> None:
        """What the preset that is played binds: it stands before all banks."""
        self._carried = (Bank("preset", "", "", tuple(bindings)),) if bindings else ()
        self._bind()

    def _bind(self) -> None:
        self.hands.bind((*self._carried, *self._banks), default_bindings())
        self.feedback.rebind()

    def tell(self, settings: Settings, shows: Mapping[str, Argument], now_s: float) -> None:
        """Sends to OSC what has changed; see OscOut."""
        if self._osc_out:
            self._osc_out.tell(settings, shows, now_s)

    def close(self) -> None:
        """Closes the sockets."""
        for open_socket in (self.osc, self._osc_out):
            if open_socket:
                open_socket.close()

    def lost_all(self) -> None:
        """The MIDI process is gone: a new one will say what is there, and what is there may have been moved."""
        for port in self.ports:
            self.hands.went(port)
        self._gone |= set(self.ports)
        self.ports = ()
        self.feedback.on_ports({})

    def _on_ports(self, event: Event) -> None:
        self.ports = tuple(event["names"])
        self.feedback.on_ports(event["outputs"])
        for port in event["went"]:
            self.hands.went(port)
        went, came = self._gone.union(event["went"]), set(event["came"])
        for port in went & came:  # also where it was put back before anybody looked
            self.hands.came_back(port)
        self._gone = went - came
        self.troubles += [f"MIDI: {port} is gone; waiting for it" for port in event["went"] if port not in came]


_DARKENING = ("blackout", "fade")  # switches of which each may turn the other off


def _condensed(commands: Sequence[Command]) -> list[Command]:
    """What a turn's commands come to. Nobody is to be made to switch, or to read files, hundreds of times in a turn.

    Of many values for a parameter or a choice the last counts, up to the next press; of many recalls the last; steps
    through the set add up; a switch that is pressed twice stays as it is, but for those that may turn each other off;
    and taps of one moment are one. Every other press counts as it came, for two nudges are two, but of one kind no more
    than a hand can.
    """
    left: list[Command | None] = []
    values: dict[str, int] = {}  # where in `left` a value stands that another one may take the place of
    switches: dict[Command, int] = {}  # the same of switches
    recalls: list[int] = []  # and of recalls
    pressed = Counter[Command]()
    for one in commands:
        if isinstance(one, SetParam | SetChoice):
            if one.name not in values:
                values[one.name] = len(left)
                left.append(None)
            left[values[one.name]] = one
        elif isinstance(one, Toggle | Put) and one.switch not in _DARKENING:
            _switch(left, switches, one)
        elif isinstance(one, Toggle) and left[-2:] == [one, one]:
            left.pop()  # two need not come to nothing, for one may end what the other began; but three come to one
            pressed[one] -= 1
        else:
            values.clear()  # what is turned after a press comes after it
            if isinstance(one, Recall | RecallNumber | StepPreset):
                _recall(left, recalls, one)
            elif pressed[one] < _MOST_PRESSES and not (isinstance(one, Tap | Resync | Save) and left[-1:] == [one]):
                pressed[one] += 1
                left.append(one)
                if not isinstance(one, BeatCommand):
                    recalls.clear()  # it looks at what was recalled
    return [one for one in left if one is not None]


def _switch(left: list[Command | None], at: dict[Command, int], one: Toggle | Put) -> None:
    """Adds a press of a switch. `at` says where in `left` its last ones are."""
    toggle = Toggle(one.switch)
    before = at.pop(toggle, None)
    if before is not None:
        left[before] = None
    if isinstance(one, Toggle) and before is not None:
        return
    if isinstance(one, Put):
        for put in (Put(one.switch, False), Put(one.switch, True)):
            if put in at:
                left[at.pop(put)] = None
    at[one] = len(left)
    left.append(one)


def _recall(left: list[Command | None], at: list[int], one: Recall | RecallNumber | StepPreset) -> None:
    """Adds a recall. `at` says where in `left` those are that it takes the place of, or steps on from."""
    if isinstance(one, StepPreset):
        before = left[at[-1]] if at else None
        if isinstance(before, StepPreset):
            left[at.pop()] = None
            one = StepPreset(before.steps + one.steps)
    else:
        for i in at:
            left[i] = None
        at.clear()
    if one != StepPreset(0):
        at.append(len(left))
        left.append(one)
