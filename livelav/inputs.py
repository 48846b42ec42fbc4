"""Every hand on the show but the keys: what controllers and OSC send, as commands; and OSC told what came of it.

Holds what the operator wants to see of it: which controllers are there, what was moved last. Makes no process: the
engine runs the MIDI process and hands its events on. Runs in main.
"""

import math
from collections.abc import Iterable, Sequence

from livelav.control.bindings import Binding
from livelav.control.commands import Command, SetParam
from livelav.control.hands import Hands
from livelav.control.osc import OscIn, OscOut
from livelav.core.errors import OscError
from livelav.core.params import Settings
from livelav.supervisor import Event


class Inputs:
    """Asked once in a while for what came since."""

    def __init__(
        self,
        banks: Sequence[Sequence[Binding]],
        osc: tuple[str, int] | None = None,
        osc_out: tuple[str, int] | None = None,
    ) -> None:
        """`osc` is where to listen, `osc_out` whom to tell; a port that is taken is a trouble, but ends no show."""
        self.hands = Hands(banks)
        self.ports: tuple[str, ...] = ()  # controllers that are there
        self.touched = (-math.inf, "")  # when a parameter was last moved, and which
        self.troubles: list[str] = []  # that nobody was told of so far
        self._gone: set[str] = set()
        self.osc: OscIn | None = None
        self._osc_out: OscOut | None = None
        try:
            self.osc = OscIn(osc) if osc else None
            self._osc_out = OscOut(osc_out) if osc_out else None
        except OscError as error:
            self.troubles.append(str(error))

    def take(self, events: Iterable[Event], settings: Settings, now_s: float) -> list[Command]:
        """Commands since the last call; `events` are the MIDI process's. One value for each parameter: the last."""
        commands: list[Command] = []
        for event in events:
            if event["kind"] == "midi":
                commands += self.hands.take(event["messages"], settings)
            elif event["kind"] == "ports":
                self._on_ports(event)
        if self.osc:
            commands += self.osc.take()
        last = {command.name: command for command in commands if isinstance(command, SetParam)}
        if last:
            self.touched = (now_s, next(reversed(last)))
        return [*last.values(), *(command for command in commands if not isinstance(command, SetParam))]

    def tell(self, settings: Settings) -> None:
        """Sends to OSC what has changed."""
        if self._osc_out:
            self._osc_out.tell(settings)

    def close(self) -> None:
        """Closes the sockets."""
        for open_socket in (self.osc, self._osc_out):
            if open_socket:
                open_socket.close()

    def _on_ports(self, event: Event) -> None:
        self.ports = tuple(event["names"])
        for port in self._gone.intersection(event["came"]):
            self.hands.came_back(port)
        self._gone = (self._gone | set(event["went"])) - set(event["came"])
        self.troubles += [f"MIDI: {port} is gone; waiting for it" for port in event["went"]]
