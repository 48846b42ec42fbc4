"""MIDI as it comes over a wire, and what it says: bytes to events. One `Decoder` for each port.

Knows no device and no parameter. Whatever the bytes are, a decoder raises nothing and remembers a bounded amount.
Source: MIDI 1.0 Detailed Specification 4.2.1 (status bytes, NRPN).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from livelav.core.errors import MidiError

Kind = Literal["cc", "nrpn", "note", "bend", "pressure", "program"]
TransportKind = Literal["clock", "start", "continue", "stop"]

Told = tuple[str, list[bytes]]  # a port's name, and what it is to be sent

CHANNELS = range(16)
COARSE_TOP, FINE_TOP = 127, 16383  # of 7 bits, and of 14

# Controllers with a fixed meaning: 99 and 98 choose an NRPN, 101 and 100 an RPN; 6 and 38 enter its value.
_CHOOSING = range(98, 102)
_NUMBERS: dict[Kind, int] = {"cc": 127, "nrpn": FINE_TOP, "note": 127, "bend": 0, "pressure": 0, "program": 127}
TRANSPORT: dict[int, TransportKind] = {0xF8: "clock", 0xFA: "start", 0xFB: "continue", 0xFC: "stop"}
POSITION = 0xF2  # where in its song a sequencer is, in sixteenths: seven bits and seven more
_TEXT = re.compile(r"(cc|nrpn|note|program) (\d{1,5})(?: ch (\d{1,2}))?|(bend|pressure)(?: ch (\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that a hand can move; channel None is any channel. `str` and `parse` are inverses."""

    kind: Kind
    number: int  # of the controller, NRPN, note or program; 0 where a channel has only one
    channel: int | None = None  # 0..15; musicians, and our texts, count from 1

    def __str__(self) -> str:
        number = f" {self.number}" if _NUMBERS[self.kind] else ""
        return f"{self.kind}{number}" + ("" if self.channel is None else f" ch {self.channel + 1}")

    @classmethod
    def parse(cls, text: str) -> "Control":
        """`cc 20`, `note 36 ch 10`, `nrpn 261`, `bend ch 1`, ... Raises MidiError."""
        found = _TEXT.fullmatch(text)
        kind: Kind | None = (found[1] or found[4]) if found else None  # type: ignore[assignment]
        if found is None or kind is None:
            raise MidiError(f"control {text[:40]!r}: write it like `cc 20`, `note 36 ch 10`, `nrpn 261` or `bend ch 1`")
        number, channel = int(found[2] or 0), found[3] or found[5]
        if number > _NUMBERS[kind]:
            raise MidiError(f"control {text!r}: the number must be from 0 to {_NUMBERS[kind]}")
        if kind == "cc" and number in _CHOOSING:
            raise MidiError(f"control {text!r}: cc 98 to 101 say which NRPN is meant; bind that, like `nrpn 261`")
        if channel is not None and not 1 <= int(channel) <= 16:
            raise MidiError(f"control {text!r}: the channel must be from 1 to 16")
        return cls(kind, number, None if channel is None else int(channel) - 1)


@dataclass(frozen=True, slots=True)
class Moved:
    """A control went to `value` of 0..`top`. A note's value is its velocity, 0 when let go; a program's is `top`."""

    control: Control
    value: int
    top: int = COARSE_TOP


@dataclass(frozen=True, slots=True)
class Transport:
    """A sequencer's clock (24 in a quarter), or it started, went on, stopped."""

    kind: TransportKind


MidiEvent = Moved | Transport


@dataclass(slots=True)
class _Numbered:
    """The NRPN that a channel's data entry is meant for at present, and its value as far as it was told."""

    msb: int = COARSE_TOP
    lsb: int = COARSE_TOP
    coarse: int = 0

    @property
    def chosen(self) -> bool:
        return (self.msb, self.lsb) != (COARSE_TOP, COARSE_TOP)  # that one is nobody's, by the specification

    def control(self, channel: int) -> Control:
        return Control("nrpn", self.msb << 7 | self.lsb, channel)


class Decoder:
    """One port's messages to events; remembers which NRPN each channel has chosen."""

    def __init__(self) -> None:
        self._numbered = [_Numbered() for _ in CHANNELS]
        self.ignored = 0  # messages that were broken, or that nothing here has a use for

    def step(self, message: Sequence[int]) -> MidiEvent | None:
        """What one whole message, status byte first, says; None where it only prepares another, or says nothing."""
        event = self._event(message)
        if event is None and not self._prepares(message):
            self.ignored += 1
        return event

    def _event(self, message: Sequence[int]) -> MidiEvent | None:
        if not message or not 0x80 <= message[0] <= 0xFF:
            return None
        status, channel, data = message[0] & 0xF0, message[0] & 0x0F, message[1:]
        if message[0] in TRANSPORT:
            return Transport(TRANSPORT[message[0]]) if not data else None
        if len(data) != (1 if status in (0xC0, 0xD0) else 2) or not all(0 <= byte <= 127 for byte in data):
            return None
        match status:
            case 0x80:
                return Moved(Control("note", data[0], channel), 0)
            case 0x90:
                return Moved(Control("note", data[0], channel), data[1])
            case 0xB0:
                return self._controller(channel, data[0], data[1])
            case 0xC0:
                return Moved(Control("program", data[0], channel), COARSE_TOP)
            case 0xD0:
                return Moved(Control("pressure", 0, channel), data[0])
            case 0xE0:
                return Moved(Control("bend", 0, channel), data[1] << 7 | data[0], FINE_TOP)
        return None

    def _controller(self, channel: int, number: int, value: int) -> Moved | None:
        numbered = self._numbered[channel]
        match number:
            case 98:
                numbered.lsb = value
            case 99:
                numbered.msb = value
            case 100 | 101:  # the data entry that follows is for a registered parameter, which we have none of
                numbered.msb = numbered.lsb = COARSE_TOP
            case 6 if numbered.chosen:  # all of the value where no 38 follows, half of it where one does
                numbered.coarse = value
                return Moved(numbered.control(channel), value)
            case 38 if numbered.chosen:
                return Moved(numbered.control(channel), numbered.coarse << 7 | value, FINE_TOP)
            case _:
                return Moved(Control("cc", number, channel), value)
        return None

    @staticmethod
    def _prepares(message: Sequence[int]) -> bool:
        return len(message) == 3 and message[0] & 0xF0 == 0xB0 and message[1] in _CHOOSING
