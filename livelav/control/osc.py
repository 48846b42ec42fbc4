"""OSC over UDP: what comes in becomes commands, what changes goes out. One address for each parameter, from the table.

    /smoothing/coarse 1.5          a value in its units; /knob/smoothing/coarse 0.7 the same as knob travel 0..1
    /blackout                      an action; with an argument, 0 does nothing: buttons send 1 and, let go, 0

Packets are from strangers: whatever the bytes are, they are read in bounded time and memory, nothing is saved or ended
by them, only presets of the evening's list and models of the library are loaded, by name, and nobody is answered. A
value outside of its range stops at the end, as a knob does. Bound to loopback unless told otherwise; never waits. Runs
in main.

Source: Open Sound Control 1.0 specification (packets, type tags); 1.1 for T, F, N, I.
"""

import contextlib
import itertools
import math
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from livelav.control.commands import (
    ACTIONS,
    NAMED_ACTIONS,
    PRESET_NUMBERS,
    Command,
    Recall,
    RecallNumber,
    Save,
    SetChoice,
    SetDrive,
    SetParam,
)
from livelav.core.drive import SOURCES
from livelav.core.drive import checked as checked_drive
from livelav.core.errors import OscError, ParamError
from livelav.core.params import CHOICES, PARAMS, Choice, Param, Settings

LARGEST, DEEPEST, MOST = 8 << 10, 8, 32  # bytes of a packet; bundles in bundles; messages in all of them
LOOPBACK, PORT = "127.0.0.1", 9000
OFF = "off"
RECENT = 5  # addresses that the HUD shows

_READ = 16  # arguments of a message: a list of effects has most
_AT_ONCE = 500  # messages taken in one turn, about; more packets wait in the socket, and what it cannot hold is lost
_SHOWN = 40  # characters of an address that the HUD shows
_HOLD_S = 0.3  # for so long a value that came by OSC is not told back: it would pull at the finger on the fader
_ECHO_S = 1.0  # for so long what was told may come back
_REPEAT_S = 0.1  # between repetitions, one parameter each: for who was switched on later, or missed a packet
_BUNDLE, _IMMEDIATELY = b"#bundle\0", struct.pack(">Q", 1)
_NUMBERS = {tag: struct.Struct(f">{kind}") for tag, kind in {"i": "i", "f": "f", "h": "q", "d": "d"}.items()}
_PASSED_OVER = {tag: struct.Struct(f">{size}x") for tag, size in {"t": 8, "c": 4, "r": 4, "m": 4}.items()}
_BLOB_SIZE = struct.Struct(">I")
_CONSTANTS: Mapping[str, float | None] = {"T": 1.0, "F": 0.0, "I": None, "N": None}

Argument = float | str | None  # what is neither number nor text is None


@dataclass(frozen=True, slots=True)
class Message:
    """One OSC message."""

    address: str
    arguments: tuple[Argument, ...] = ()


def parse(packet: bytes) -> list[Message]:
    """All messages of a packet, also of bundles in it, in order; time tags mean at once. Raises OscError.

    The dearest packet that fits is one of 32 messages of 16 texts: well under a millisecond, on a slow machine, too.
    """
    if len(packet) > LARGEST:
        raise OscError(f"a packet of {len(packet)} bytes: at most {LARGEST} are read")
    messages = list(itertools.islice(_messages(packet, 0), MOST + 1))
    if len(messages) > MOST:
        raise OscError(f"a packet of over {MOST} messages: send several packets")
    return messages


def _messages(packet: bytes, depth: int) -> Iterator[Message]:
    if not packet.startswith(_BUNDLE):
        yield _message(packet)
        return
    if depth >= DEEPEST:
        raise OscError(f"bundles nested deeper than {DEEPEST}")
    at = len(_BUNDLE) + 8
    if len(packet) < at:
        raise OscError("a bundle without a time tag")
    while at < len(packet):
        size = int.from_bytes(packet[at : at + 4], "big")
        at += 4
        if size == 0 or size % 4 or at + size > len(packet):
            raise OscError(f"a bundle's element of {size} bytes does not fit")
        yield from _messages(packet[at : at + size], depth + 1)
        at += size


def _message(packet: bytes) -> Message:
    address, at = _text(packet, 0)
    if not address.startswith("/"):
        raise OscError("an address must begin with /")
    if at >= len(packet):
        return Message(address)
    tags, at = _text(packet, at)
    if not tags.startswith(","):
        raise OscError("type tags must begin with a comma")
    try:
        return Message(address, _arguments(tags[1 : 1 + _READ], packet, at))
    except struct.error as error:
        raise OscError("arguments are missing") from error


def _arguments(tags: str, packet: bytes, at: int) -> tuple[Argument, ...]:
    """A plain loop, for a packet may hold a thousand of them. Raises struct.error where it ends before they do."""
    arguments: list[Argument] = []
    for tag in tags:
        if tag in _CONSTANTS:
            arguments.append(_CONSTANTS[tag])
        elif tag in _NUMBERS:
            (number,) = _NUMBERS[tag].unpack_from(packet, at)
            arguments.append(float(number))
            at += _NUMBERS[tag].size
        elif tag in "sS":
            text, at = _text(packet, at)
            arguments.append(text)
        elif tag in _PASSED_OVER:
            _PASSED_OVER[tag].unpack_from(packet, at)
            arguments.append(None)
            at += _PASSED_OVER[tag].size
        elif tag == "b":
            (size,) = _BLOB_SIZE.unpack_from(packet, at)
            at += _BLOB_SIZE.size + size + -size % 4
            arguments.append(None)
        else:
            raise OscError(f"no type {tag!r} is known")
    if at > len(packet):
        raise OscError("a blob that does not fit")
    return tuple(arguments)


def _text(packet: bytes, at: int) -> tuple[str, int]:
    """(printable text, where the next one begins); texts end with zeros up to a multiple of four."""
    end = packet.find(b"\0", at)
    after = end + 4 - (end - at) % 4
    if end < 0 or after > len(packet):
        raise OscError("a text without an end")
    try:
        text = packet[at:end].decode("ascii")
    except UnicodeDecodeError as error:
        raise OscError("a text that is not ASCII") from error
    if not text.isprintable():
        raise OscError("a text that cannot be printed")
    return text, after


def pack(messages: Sequence[Message]) -> bytes:
    """One packet: a message, or a bundle of several. Numbers go as 32-bit floats."""
    packed = [_packed(message) for message in messages]
    if len(packed) == 1:
        return packed[0]
    return _BUNDLE + _IMMEDIATELY + b"".join(struct.pack(">i", len(one)) + one for one in packed)


def _packed(message: Message) -> bytes:
    tags, data = ",", b""
    for argument in message.arguments:
        if isinstance(argument, str):
            tags, data = tags + "s", data + _padded(argument)
        elif argument is None:
            tags += "N"
        else:
            tags, data = tags + "f", data + struct.pack(">f", argument)
    return _padded(message.address) + _padded(tags) + data


def _padded(text: str) -> bytes:
    raw = text.encode("ascii", "replace")
    return raw + bytes(4 - len(raw) % 4)


# ---- addresses, from the one table


def address(param: Param | Choice) -> str:
    """`/smoothing/coarse` for `smoothing.coarse`."""
    return "/" + param.name.replace(".", "/")


def knob_address(param: Param) -> str:
    return "/knob" + address(param)


_PARAMS: Mapping[str, tuple[Param, bool]] = {address(p): (p, False) for p in PARAMS} | {
    knob_address(p): (p, True) for p in PARAMS
}
_CHOICES: Mapping[str, Choice] = {address(c): c for c in CHOICES if c.scene and c.name != "model"}
_ACTIONS: Mapping[str, str] = {f"/{name}": name for name, action in ACTIONS.items() if not isinstance(action, Save)}
_PRESET, _MODEL, _DRIVE = "/preset", "/model", "/drive"

# What is told besides parameters, at addresses that ask for nothing: one that echoes all it gets presses no key.
_SHOWS = "/shows/"
SHOWS: Mapping[str, str] = {
    "preset": "name of the preset that plays, or nothing",
    "cue": "name of the preset that waits for its beat, or nothing",
    "next": "name of the preset that follows in the set list, or nothing",
    "blackout": "1 while the switch is on, else 0",
    "fade": "1 while it is faded to black, or on the way, else 0",
    "freeze": "1 while the switch is on, else 0",
    "pattern": "1 while the switch is on, else 0",
    "lock": "1 while the switch is on, else 0",
    "beat": "1 to 4, each as that beat of the bar begins",
}


def command(message: Message) -> Command | None:
    """What a message asks for; None where it asks for nothing that is known."""
    first = message.arguments[0] if message.arguments else None
    if message.address in _ACTIONS:
        return None if first == 0.0 or isinstance(first, str) else ACTIONS[_ACTIONS[message.address]]
    if message.address == _PRESET:
        return _recalled(first)
    if message.address == _MODEL:
        return SetChoice("model", first) if isinstance(first, str) else None
    if message.address.startswith(_DRIVE):
        return _driven(message.address.removeprefix(_DRIVE), first)
    if message.address in _CHOICES:
        words = [word for word in message.arguments if isinstance(word, str)]
        return SetChoice(_CHOICES[message.address].name, " ".join(words)) if words else None
    if message.address not in _PARAMS or not isinstance(first, float) or math.isnan(first):
        return None
    param, is_knob = _PARAMS[message.address]
    value = param.value(first) if is_knob else min(max(first, param.lo), param.hi)
    return SetParam(param.name, value)


def _driven(of: str, drive: Argument) -> Command | None:
    """`/drive/show/hue` with a drive's text; any other argument ends it."""
    param, is_knob = _PARAMS.get(of, (None, False))
    if param is None or is_knob:
        return None
    if isinstance(drive, str) and drive.partition(" ")[0] not in SOURCES:
        return None  # at once: the error would look for the nearest name, and nobody reads it
    try:
        return SetDrive(param.name, checked_drive(param.name, drive) if isinstance(drive, str) else None)
    except ParamError:
        return None


def _recalled(preset: Argument) -> Command | None:
    if isinstance(preset, str):
        return Recall(preset)
    whole = preset is not None and preset.is_integer() and 1 <= preset <= PRESET_NUMBERS
    return RecallNumber(int(preset)) if preset is not None and whole else None


# ---- the sockets


def endpoint(words: str, host: str = LOOPBACK) -> tuple[str, int] | None:
    """(host, port) of `9000`, `HOST:9000`; None for `off`. Raises OscError."""
    if words == OFF:
        return None
    before, _, number = words.rpartition(":")
    if not number.isdecimal() or len(number) > 5 or not 1 <= int(number) <= 65535:
        raise OscError(f"OSC at {words!r}: write off, a port from 1 to 65535, or HOST:PORT")
    return before or host, int(number)


class OscIn:
    """A socket that is asked once a turn. `recent` holds the addresses that came last, newest first."""

    def __init__(self, at: tuple[str, int]) -> None:
        """Raises OscError where the port is taken or the host is not this machine's."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.recent: list[str] = []
        self.messages = self.ignored = 0
        try:
            self._socket.bind(at)
        except OSError as error:
            self._socket.close()
            raise OscError(f"OSC at {at[0]}:{at[1]}: {error.strerror or error}; choose another with --osc") from error

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def take(self) -> list[Command]:
        """Commands that came since the last call, in order."""
        commands: list[Command] = []
        until = self.messages + self.ignored + _AT_ONCE
        while self.messages + self.ignored < until:
            try:
                packet = self._socket.recv(LARGEST + 1)
            except OSError:  # nothing there; or, on Windows, somebody we sent to is gone
                break
            commands += self.commands(packet)
        return commands

    def commands(self, packet: bytes) -> list[Command]:
        """What one packet asks for, in order; what is broken or asks for nothing is counted and dropped."""
        try:
            messages = parse(packet)
        except OscError:
            self.ignored += 1
            return []
        commands = []
        for message in messages:
            if found := command(message):
                commands.append(found)
        self.messages += len(messages)
        self.ignored += len(messages) - len(commands)
        newest = [message.address[:_SHOWN] for message in reversed(messages)]
        self.recent = list(dict.fromkeys(newest + self.recent))[:RECENT]
        return commands

    def close(self) -> None:
        self._socket.close()


class OscOut:
    """Tells one address all that changes, and now and then what has not."""

    def __init__(self, to: tuple[str, int]) -> None:
        """Raises OscError where no such host is known."""
        try:
            self._to = socket.gethostbyname(to[0]), to[1]
        except OSError as error:
            raise OscError(f"OSC to {to[0]}:{to[1]}: {error.strerror or error}; name a host that is there") from error
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._told: dict[str, Argument] = {}  # parameters by name, all else by address
        self._came_s: dict[str, float] = {}  # when hands moved it by OSC
        self._echoes: dict[Command, float] = {}  # what may come back, and when it was told; the oldest comes first
        self._repeated_s, self._next = -math.inf, 0

    def hold(self, name: str, now_s: float) -> None:
        """That parameter came by OSC just now."""
        self._came_s[name] = now_s

    def is_echo(self, command: SetParam, now_s: float) -> bool:
        """Whether it says what was told a moment ago: then it is no hand, but somebody who sends back what comes.

        Told before hands moved it: a fader may well come back to where it was."""
        told_s = self._echoes.get(command, -math.inf)
        return self._came_s.get(command.name, -math.inf) < told_s >= now_s - _ECHO_S

    def tell(self, settings: Settings, shows: Mapping[str, Argument], now_s: float) -> None:
        """Sends what is new in `settings`, and in what else the show `shows`, by names of SHOWS."""
        changed = [p for p in PARAMS if self._told.get(p.name) != settings[p.name]]
        seen = {_SHOWS + name: shown for name, shown in shows.items()}
        other = [at for at, shown in seen.items() if self._told.get(at) != shown]
        if now_s - self._repeated_s >= _REPEAT_S:
            self._repeated_s, self._next = now_s, (self._next + 1) % len(PARAMS)
            changed.append(PARAMS[self._next])
            if self._next == 0:
                other = list(seen)
        ready = [p for p in dict.fromkeys(changed) if now_s - self._came_s.get(p.name, -math.inf) >= _HOLD_S]
        self._told |= {p.name: settings[p.name] for p in ready} | seen
        messages = [Message(address(p), (settings[p.name],)) for p in ready]
        messages += [Message(knob_address(p), (p.knob(settings[p.name]),)) for p in ready]
        for back in map(_come_back, messages):
            if back is not None:
                self._echoes.pop(back, None)
                self._echoes[back] = now_s
        while self._echoes and now_s - next(iter(self._echoes.values())) > _ECHO_S:
            del self._echoes[next(iter(self._echoes))]
        messages = [*(Message(at, (seen[at],)) for at in other), *messages]
        for start in range(0, len(messages), MOST):
            with contextlib.suppress(OSError):  # nobody listens there, or the network is down: it is repeated
                self._socket.sendto(pack(messages[start : start + MOST]), self._to)

    def close(self) -> None:
        self._socket.close()


def _come_back(message: Message) -> Command | None:
    """What a message asks for that was sent, and comes back as it arrived."""
    numbers = tuple(struct.unpack(">f", struct.pack(">f", one))[0] for one in message.arguments if type(one) is float)
    return command(Message(message.address, numbers))


def reference() -> str:
    """The page of all addresses; Markdown with a last newline."""
    lines = ["| address | argument | what it does |", "|---|---|---|"]
    for p in PARAMS:
        unit = f" {p.unit}" if p.unit else ""
        lines.append(f"| `{address(p)}` | {p.lo:g} to {p.hi:g}{unit} | {p.help} |")
    lines.append("| `/knob` before any of these | 0 to 1 | the same as travel of its knob |")
    lines.append(f"| `{_DRIVE}` before any of these | like `sine 4 0.25`; or 0 | what drives it; or nothing does |")
    for at, choice in _CHOICES.items():
        words = "any of " * choice.several + ", ".join(choice.options)
        lines.append(f"| `{at}` | {words} | {choice.help} |")
    lines += [f"| `/{name}` | none, or 1 | what the key does |" for name in NAMED_ACTIONS if f"/{name}" in _ACTIONS]
    lines.append(f"| `{_PRESET}` | a name, or 1 to {PRESET_NUMBERS} | recalls that preset of the set list |")
    lines.append(f"| `{_MODEL}` | a name of `livelav models list`, no file | crossfades to that generator |")
    lines.append(f"| `{_PRESET}-1` to `{_PRESET}-{PRESET_NUMBERS}` | none, or 1 | the same, for buttons |")
    lines += ["", "Told only, where `--osc-out` says to whom, besides all parameters:", ""]
    lines += ["| address | what it tells |", "|---|---|"]
    lines += [f"| `{_SHOWS}{name}` | {what} |" for name, what in SHOWS.items()]
    return "\n".join(lines) + "\n"
