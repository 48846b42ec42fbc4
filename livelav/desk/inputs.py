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
from livelav.control.commands import Command, SceneCommand, SetChoice, SetParam, Toggle
from livelav.control.feedback import Feedback
from livelav.control.hands import Hands
from livelav.control.messages import Moved
from livelav.control.osc import Argument, OscIn, OscOut
from livelav.core.errors import OscError
from livelav.core.params import Settings
from livelav.core.values import Event

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

    def take(self, events: Iterable[Event], settings: Settings, now_s: float) -> list[Command]:
        """Commands since the last call; `events` are the MIDI process's. One value for each parameter: the last."""
        commands: list[Command] = []
        ours = (event for event in events if event["kind"] in ("midi", "ports"))
        for kind, some in itertools.groupby(ours, key=lambda event: event["kind"]):
            if kind == "ports":
                for event in some:
                    self._on_ports(event)
            else:  # together, for an encoder's steps go on from each other
                messages = itertools.chain.from_iterable(event["messages"] for event in some)
                newest = self.hands.newest(messages, settings, self.feedback.awaits)
                commands += self.hands.follow(self.moves(newest, now_s), settings)
        for command in self.osc.take() if self.osc else ():
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

    def let_go(self, settings: Settings) -> list[Command]:
        """As if all hands had left their controllers: what that comes to. Lights are told anew, on or off."""
        self.feedback.tell_anew()
        return self.hands.let_go(settings)

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
        self._gone |= set(self.ports)
        self.ports = ()
        self.feedback.on_ports({})

    def _on_ports(self, event: Event) -> None:
        self.ports = tuple(event["names"])
        self.feedback.on_ports(event["outputs"])
        for port in self._gone.intersection(event["came"]):
            self.hands.came_back(port)
        self._gone = (self._gone | set(event["went"])) - set(event["came"])
        self.troubles += [f"MIDI: {port} is gone; waiting for it" for port in event["went"]]


def _condensed(commands: Sequence[Command]) -> list[Command]:
    """What a turn's commands come to. Nobody is to be made to switch, or to read files, hundreds of times in a turn.

    A switch that is pressed twice stays as it is; of many recalls the last counts, and what came after it comes after
    it; of many values for a parameter or a choice the last counts.
    """
    recalls = [i for i, command in enumerate(commands) if isinstance(command, SceneCommand)]
    at = recalls[-1] if recalls else len(commands)
    presses = Counter(one for one in commands if not isinstance(one, SetParam | SetChoice | SceneCommand))
    others = [one for one, count in presses.items() if count % 2 or not isinstance(one, Toggle)]
    return [*_last_values(commands[:at]), *others, *commands[at : at + 1], *_last_values(commands[at:])]


def _last_values(commands: Iterable[Command]) -> Iterable[SetParam | SetChoice]:
    return {one.name: one for one in commands if isinstance(one, SetParam | SetChoice)}.values()
