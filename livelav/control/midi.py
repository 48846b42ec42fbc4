"""The MIDI process: from every controller that is plugged in, messages to main, in order and with their port's name.

A process of its own because a MIDI library may hang, or die with its server, and because ten thousand messages a
second must not take turns with the picture for Python's lock. Ports come and go by name: where a controller is
plugged in again it is heard again. Knows no parameter and no binding.

On Linux ALSA's sequencer is taken if there is one, else JACK; PipeWire speaks both.
"""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import MidiError
from livelav.core.metrics import PeakMemory
from livelav.core.quiet import mute_drivers
from livelav.core.shm import Board, StopFlag

if TYPE_CHECKING:
    import rtmidi  # loaded by the MIDI process only, where it is used

MIDI_FIELDS = ("heartbeat_s", "messages", "lost", "ports", "peak_rss_mb", "live")
CLIENT = "livelav"
ALL, OFF = "all", "off"

_NOT_CONTROLLERS = (CLIENT, "Midi Through")  # ourselves, and ALSA's loop back to the sender
_ALSA_ADDRESS = re.compile(r" \d+:\d+$")  # " 20:0": another one each time that it is plugged in
_WINDOWS_NUMBER = re.compile(r" \d+$")
_SCAN_S = 0.4
_FRESH_S = 1.0  # between looks with a new client, while nothing is there: a server that died takes its clients along
_BEAT_S = 0.1
_GATHER_S = 0.002  # after a batch was sent: in a storm main is woken 500 times a second, not 10,000
_WAITING = 4_096  # messages that wait for main, at most
_HOUSEKEEPING_S = 1.0
_ANSWER_S = 5.0

Message = tuple[str, bytes]  # the port's name, and one whole message


@dataclass(frozen=True, slots=True)
class MidiConfig:
    """Which ports to listen to: `all`, or parts of names; none of them need be there yet."""

    ports: tuple[str, ...] = (ALL,)

    def wants(self, name: str) -> bool:
        """Whether a port of that name is one of them."""
        if name.startswith(_NOT_CONTROLLERS):
            return False
        return ALL in self.ports or any(part.lower() in name.lower() for part in self.ports)


def midi_config(words: str) -> MidiConfig | None:
    """From the words of `--midi`: `all`, `off` (None), or parts of port names with commas between them."""
    parts = tuple(part.strip() for part in words.split(",") if part.strip())
    return None if parts in ((), (OFF,)) else MidiConfig(parts)


def run_midi(config: MidiConfig, board: Board, stop: StopFlag, events: Connection) -> None:
    """Body of the MIDI process: returns when `stop` is set.

    Sends {"kind": "midi", "messages": [(port, bytes), ...]}, {"kind": "ports", "names", "came", "went"}, and once
    {"kind": "warning", "text"} where a controller was asked for by name and is not there (yet).
    """
    mute_drivers()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; main says when to stop

    def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # main is gone, and this process soon with it
            events.send(event)

    Listener(config, board, stop, send, MonotonicClock()).run()


class Listener:
    """The loop: looks for ports, and hands on what their threads leave in the queue."""

    def __init__(
        self,
        config: MidiConfig,
        board: Board,
        stop: StopFlag,
        send: Callable[[dict[str, Any]], None],
        clock: Clock,
    ) -> None:
        self._board, self._stop, self._send, self._clock = board, stop, send, clock
        self._queue: deque[Message] = deque()
        self._wake = threading.Event()
        self._ports = Ports(config, self._on_message)
        self._memory = PeakMemory()
        self._missing = tuple(part for part in config.ports if part != ALL)  # to be told of after the first look

    def run(self) -> None:
        """Until stopped."""
        scanned_s, kept_s = -math.inf, -math.inf
        while not self._stop.is_set():
            now_s = self._clock.now_s()
            self._board["heartbeat_s"] = now_s
            self._board["live"] = 1
            if now_s - scanned_s >= (_SCAN_S if self._ports.names else _FRESH_S):
                scanned_s = now_s
                self._scan()
            if now_s - kept_s > _HOUSEKEEPING_S:
                kept_s = now_s
                self._board["peak_rss_mb"] = self._memory.peak_mb()
            if self._wake.wait(_BEAT_S):
                self._wake.clear()
                self._hand_on()
                self._clock.sleep(_GATHER_S)
        self._ports.close()

    def _scan(self) -> None:
        before, trouble = self._ports.names, ""
        try:
            self._ports.scan()
        except MidiError as error:
            trouble = f"; {error}"
        names = self._ports.names
        if names != before:
            came, went = [n for n in names if n not in before], [n for n in before if n not in names]
            self._board["ports"] = len(names)
            self._send({"kind": "ports", "names": list(names), "came": came, "went": went})
        missing = [part for part in self._missing if not any(part.lower() in name.lower() for name in names)]
        self._missing = ()
        for part in missing:
            self._send({"kind": "warning", "text": f"no MIDI controller {part!r} so far: waiting for it{trouble}"})

    def _on_message(self, port: str, message: Sequence[int]) -> None:
        """Thread: the library's, one for each port."""
        if len(self._queue) < _WAITING:
            self._queue.append((port, bytes(message)))
        else:
            self._board["lost"] += 1
        self._wake.set()

    def _hand_on(self) -> None:
        messages: list[Message] = []
        with contextlib.suppress(IndexError):
            while len(messages) < _WAITING:
                messages.append(self._queue.popleft())
        if messages:
            self._board["messages"] += len(messages)
            self._send({"kind": "midi", "messages": messages})


class Ports:
    """The inputs that are open. One thread's only; `on_message` is called from the library's own."""

    def __init__(self, config: MidiConfig, on_message: Callable[[str, Sequence[int]], None]) -> None:
        self._config, self._on_message = config, on_message
        self._looker: rtmidi.MidiIn | None = None  # opens no port: it only looks which there are
        self._open: dict[str, rtmidi.MidiIn] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._open)

    def scan(self) -> None:
        """Opens what came and closes what went. Raises MidiError where this machine has no MIDI at all."""
        if self._looker is None or not self._open:
            self.close()
            self._looker = client()
        present = named(self._looker.get_ports())
        for name in [name for name in self._open if name not in present]:
            self._open.pop(name).delete()
        for name, number in present.items():
            if name not in self._open and self._config.wants(name):
                self._listen(name, number)

    def close(self) -> None:
        """Closes all."""
        for port in self._open.values():
            port.delete()
        self._open.clear()
        if self._looker is not None:
            self._looker.delete()
            self._looker = None

    def _listen(self, name: str, number: int) -> None:
        with contextlib.suppress(MidiError, OSError):  # it went in this moment, or another has it: next scan
            port = client()
            port.ignore_types(sysex=True, timing=False, active_sense=True)
            port.set_callback(lambda event, _data: self._on_message(name, event[0]))
            port.open_port(number, "in")
            self._open[name] = port


def client() -> "rtmidi.MidiIn":
    """A client of the first MIDI system that this machine runs. Raises MidiError where there is none."""
    try:
        import rtmidi
    except ImportError as error:
        raise MidiError(f"no MIDI here ({error}); pip install python-rtmidi") from error
    os.environ["JACK_NO_START_SERVER"] = "1"  # nobody asked for a sound server
    reasons = []
    for api in rtmidi.get_compiled_api():
        try:
            return rtmidi.MidiIn(api, name=CLIENT)
        except rtmidi.RtMidiError as error:
            reasons.append(str(error))
    raise MidiError(
        f"no MIDI here ({', '.join(reasons) or 'none in this build'}); sudo modprobe snd-seq, or start JACK"
    )


def named(ports: Sequence[str]) -> dict[str, int]:
    """Ports as they are numbered now, by names that stay when they are plugged in anew; of twins, one gets a #2."""
    found: dict[str, int] = {}
    for number, port in enumerate(ports):
        name = _ALSA_ADDRESS.sub("", port)
        if sys.platform == "win32":
            name = _WINDOWS_NUMBER.sub("", name)
        twin, again = name, 2
        while twin in found:
            twin, again = f"{name} #{again}", again + 1
        found[twin] = number
    return found


def list_ports() -> list[str]:
    """Names of the controllers that are plugged in. Asked in a process of its own: a MIDI server may hang.

    Raises MidiError where there is no MIDI, or no answer.
    """
    command = [sys.executable, "-m", "livelav.control.midi"]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=_ANSWER_S, check=False, stdin=subprocess.DEVNULL)
        told = json.loads(answer.stdout)
    except subprocess.TimeoutExpired as error:
        raise MidiError(f"no answer about MIDI within {_ANSWER_S:g} s; is its server hanging? restart it") from error
    except ValueError as error:
        raise MidiError(f"the MIDI library ended with {answer.returncode}; `livelav doctor` looks at it") from error
    if isinstance(told, str):
        raise MidiError(told)
    return list(map(str, told))


def _answer() -> list[str] | str:
    try:
        looker = client()
    except MidiError as error:
        return str(error)
    try:
        return [name for name in named(looker.get_ports()) if MidiConfig().wants(name)]
    finally:
        looker.delete()


if __name__ == "__main__":
    print(json.dumps(_answer()))
