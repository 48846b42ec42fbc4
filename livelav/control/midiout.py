"""The outputs of the controllers that are listened to, for their lights, rings and motors.

A box without an output is only listened to. Ports come and go with the inputs beside them; each opening has a number,
so that main knows a box that was away and forgot what it was told. Runs in the MIDI process; one thread's only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from livelav.control.mididriver import beside, new_output, ports_of
from livelav.core.errors import MidiError

if TYPE_CHECKING:
    import rtmidi


@dataclass(frozen=True, slots=True)
class _Open:
    """An open output: the system's names of the input beside it and of itself, and the number of its opening."""

    input: str
    raw: str
    number: int
    port: "rtmidi.MidiOut"


class Outputs:
    """Those that are open, each known by our name of the input beside it."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._looker: rtmidi.MidiOut | None = None  # opens no port: it only looks which there are
        self._opened = 0

    @property
    def numbers(self) -> dict[str, int]:
        """By name, the number of each one's opening."""
        return {name: one.number for name, one in self._open.items()}

    def scan(self, present: Sequence[str], wanted: Mapping[str, str]) -> None:
        """Opens what came and closes what went: beside the inputs of the system's names in `wanted`, to ours.

        `present` are all inputs of the system. Inputs come first: where outputs cannot be had, there are none.
        """
        if not wanted and not self._open:
            return
        try:
            if self._looker is None:
                self._looker = new_output()
            pairs = beside(present, ports_of(self._looker))
        except MidiError:
            self.close()
            return
        here = {name: (raw, pairs[raw]) for raw, name in wanted.items() if raw in pairs}
        for name in [name for name, one in self._open.items() if here.get(name) != (one.input, one.raw)]:
            self._open.pop(name).port.delete()
        for name, (raw, other) in here.items():
            if name not in self._open and (port := _opened(other)):
                self._opened += 1
                self._open[name] = _Open(raw, other, self._opened, port)

    def send(self, name: str, messages: Sequence[bytes]) -> int:
        """Sends, where that output is still open; returns how many went. One that fails is opened anew."""
        import rtmidi

        if name not in self._open:
            return 0
        try:
            for message in messages:
                self._open[name].port.send_message(message)
        except rtmidi.RtMidiError:
            self._open.pop(name).port.delete()
            return 0
        return len(messages)

    def close_one(self, name: str) -> None:
        """Closes the one of that name; the next scan opens it again, where it is there."""
        if name in self._open:
            self._open.pop(name).port.delete()

    def close(self) -> None:
        """Closes all."""
        for one in self._open.values():
            one.port.delete()
        self._open.clear()
        if self._looker is not None:
            self._looker.delete()
            self._looker = None


def _opened(raw: str) -> "rtmidi.MidiOut | None":
    """None where it is gone again."""
    import rtmidi

    try:
        port = new_output()
    except MidiError:
        return None
    try:
        # the number is this moment's: another port may have gone since the scan
        port.open_port(ports_of(port).index(raw), "out")
    except (rtmidi.RtMidiError, MidiError, ValueError):
        port.delete()
        return None
    return port
