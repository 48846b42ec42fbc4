"""The MIDI process: what controllers send goes to main, in order and by port; what main has for them goes back.

A process of its own because a MIDI library may hang, or die with its server, and because ten thousand messages a
second must not take turns with the picture for Python's lock. The library is asked, it calls nobody: its threads
never run Python, so that a port can be closed while messages arrive. Ports come and go by name: where a controller is
plugged in again it is heard again. Knows no parameter and no binding.
"""

import contextlib
import itertools
import json
import math
import os
import re
import select
import signal
import subprocess
from collections import defaultdict, deque
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livelav.control.messages import POSITION, TRANSPORT, Told
from livelav.control.midiclock import ClockFollower
from livelav.control.mididriver import CLIENT, WAITING, new_input, plain, ports_of
from livelav.control.midiout import Outputs
from livelav.core.child import python
from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import MidiError
from livelav.core.metrics import PeakMemory
from livelav.core.quiet import mute_drivers
from livelav.core.shm import Board, StopFlag

if TYPE_CHECKING:
    import rtmidi  # loaded by the MIDI process only, where it is used

MIDI_FIELDS = ("heartbeat_s", "messages", "lost", "taken", "sent", "peak_rss_mb", "live")
ALL, OFF = "all", "off"

_THROUGH = "Midi Through"  # ALSA's loop back to the sender: no controller
_ALSA_DEVICES = Path("/dev/snd")
_ALSA_MIDI = re.compile(r"midiC(\d+)D\d+")  # a card's MIDI device
_ALSA_CLIENT = re.compile(r" (\d+):\d+$")
_SYSTEM = -1  # in the place of a card: what all ports hang on
_JACK_SOCKETS = (Path("/dev/shm"), Path("/tmp"))  # where its server listens, by the build
_SCAN_S = 0.4
_FRESH_S = 1.0  # between looks with a new client, while nothing is there: a server that died takes its clients along
_ASK_S, _IDLE_ASK_S = 0.003, 0.01  # between looks, while hands are at it and while they are not: waking costs, too
_HANDS_REST_S = 2.0
_SENT_S = 0.03  # in which a driver has taken what it was given: a port that closes sooner may keep it
_AT_ONCE = 100  # in one event: below what a pipe takes whole, so that main never waits for its second half
_HOUSEKEEPING_S = 1.0
_ANSWER_S = 5.0

Message = tuple[str, bytes]  # the port's name, and one whole message
Timed = tuple[str, bytes, float]  # the same, and how long ago it came, in seconds


@dataclass(frozen=True, slots=True)
class MidiConfig:
    """Which ports to listen to, and which of these to tell: `all`, or parts of names; none need be there yet."""

    ports: tuple[str, ...] = (ALL,)
    told: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        """Whether a port of that name is listened to."""
        return _means(self.ports, name)

    def tells(self, name: str) -> bool:
        """Whether the output beside it is told something."""
        return _means(self.told, name)


def _means(parts: Sequence[str], name: str) -> bool:
    if name.startswith(CLIENT):
        return False  # ourselves
    if any(part.lower() in name.lower() for part in parts if part != ALL):
        return True
    return ALL in parts and not name.startswith(_THROUGH)


def midi_config(words: str, out_words: str = OFF) -> MidiConfig | None:
    """From the words of `--midi` and `--midi-out`: `all`, `off`, or parts of port names with commas between them."""
    ports, told = _parts(words), _parts(out_words)
    return MidiConfig(ports, told) if ports else None


def _parts(words: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in words.split(",") if part.strip())
    return () if parts == (OFF,) else parts


def run_midi(config: MidiConfig, board: Board, stop: StopFlag, words: Connection, events: Connection) -> None:
    """Body of the MIDI process: returns when `stop` is set.

    Sends {"kind": "midi", "messages": [(port, bytes), ...]}, {"kind": "ports", "names", "outputs", "came", "went"},
    and once {"kind": "warning", "text"} where a controller was asked for by name and is not there (yet). The
    words are lists of (port, messages) that are to be sent; the board counts them.
    """
    mute_drivers()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; main says when to stop

    def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # main is gone, and this process soon with it
            events.send(event)

    def has_room() -> bool:
        """Whether main takes what is sent; it may be busy, and we must not hang on it. Windows cannot say."""
        return os.name == "nt" or bool(select.select([], [events], [], 0)[1])

    def told() -> list[Told]:
        """What main has asked for since the last call."""
        with contextlib.suppress(OSError, EOFError):
            if words.poll():
                board["taken"] += 1
                return list(words.recv())
        return []

    Listener(config, board, stop, send, has_room, told, MonotonicClock()).run()


class Listener:
    """The loop: looks for ports, asks them what came, hands it on."""

    def __init__(
        self,
        config: MidiConfig,
        board: Board,
        stop: StopFlag,
        send: Callable[[dict[str, Any]], None],
        has_room: Callable[[], bool],
        told: Callable[[], list[Told]],
        clock: Clock,
    ) -> None:
        self._board, self._stop, self._clock = board, stop, clock
        self._send, self._has_room, self._told = send, has_room, told
        self._waiting: deque[Message] = deque()  # for main, at most WAITING: of more the oldest go
        self._heard_s = -math.inf  # when the last message came
        self._ports = Ports(config)
        self._outputs: dict[str, int] = {}  # that main knows of
        self._clocks: dict[str, ClockFollower] = defaultdict(ClockFollower)
        self._memory = PeakMemory()
        self._missing = tuple(part for part in config.ports if part != ALL)  # to be told of after the first look

    def run(self) -> None:
        """Until stopped."""
        scanned_s, kept_s = -math.inf, -math.inf
        while not self._stop.is_set():
            now_s = self._beat()
            self._board["live"] = 1
            if now_s - scanned_s >= (_SCAN_S if self._ports.names else _FRESH_S):
                scanned_s = now_s
                self._scan()
            if now_s - kept_s > _HOUSEKEEPING_S:
                kept_s = now_s
                self._board["peak_rss_mb"] = self._memory.peak_mb()
            self._hand_on(now_s)
            self._say(self._told())
            self._clock.sleep(_ASK_S if now_s - self._heard_s < _HANDS_REST_S else _IDLE_ASK_S)
        self._end()

    def _end(self) -> None:
        """Main's last word puts the lights out: said twice, for nobody will be there to say it again."""
        if word := self._told():
            for _ in range(2):
                self._say(word)
                self._clock.sleep(_SENT_S)
        self._ports.close()

    def _say(self, word: list[Told]) -> None:
        for name, messages in word:
            self._board["sent"] += self._ports.outputs.send(name, messages)

    def _beat(self) -> float:
        now_s = self._board["heartbeat_s"] = self._clock.now_s()
        return now_s

    def _scan(self) -> None:
        trouble, before = "", self._ports.names
        try:
            came, went = self._ports.scan()
        except MidiError as error:  # its server died, and took all ports along
            trouble, came, went = f"; {error}", [], list(before)
        self._beat()  # a busy server may take long to open a port
        self._ports.scan_outputs()
        names, outputs = self._ports.names, self._ports.outputs.numbers
        if came or went or outputs != self._outputs:
            self._outputs = outputs
            self._send({"kind": "ports", "names": list(names), "outputs": outputs, "came": came, "went": went})
        missing = [part for part in self._missing if not any(part.lower() in name.lower() for name in names)]
        self._missing = ()
        for part in missing:
            self._send({"kind": "warning", "text": f"no MIDI controller {part!r} so far: waiting for it{trouble}"})

    def _hand_on(self, now_s: float) -> None:
        new = self._ports.take()
        if new:
            self._heard_s = now_s
        self._board["messages"] += len(new)
        for name, message, ago_s in new:
            if is_clock(message):
                self._follow_clock(name, message, now_s - ago_s)
            else:
                self._waiting.append((name, message))
        while len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._board["lost"] += 1
        while self._waiting and self._has_room():
            some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            self._send({"kind": "midi", "messages": some})

    def _follow_clock(self, name: str, message: bytes, at_s: float) -> None:
        """Clocks are followed here, where their ticks come in: main is told a tempo with every beat."""
        clock = self._clocks[name]
        if message[0] == POSITION:
            clock.go_to(message[1] | message[2] << 7)
        elif tempo := clock.step(TRANSPORT[message[0]], at_s):
            word = {"kind": "tempo", "port": name, "bpm": tempo.bpm, "origin_s": tempo.origin_s}
            self._send(word | {"starts": clock.starts})


def is_clock(message: bytes) -> bool:
    """Whether a message is of a sequencer's transport: its ticks, start, continue, stop, where in its song it is."""
    return message[0] in TRANSPORT if len(message) == 1 else len(message) == 3 and message[0] == POSITION


class Ports:
    """The inputs that are open, each by the name that it had when it came; `outputs` beside them. One thread's only."""

    def __init__(self, config: MidiConfig) -> None:
        self._config = config
        self.outputs = Outputs()
        self._looker: rtmidi.MidiIn | None = None  # opens no port: it only looks which there are
        self._open: dict[str, tuple[str, rtmidi.MidiIn]] = {}  # by the system's own name: ours, and the port
        self._devices = _devices()
        self._present: list[str] = []  # all inputs of the system at the last look

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._open.values())

    def scan(self) -> tuple[list[str], list[str]]:
        """Opens what came and closes what went; returns both, by name. Raises MidiError where there is no MIDI.

        A device that was pulled out and put back between two scans has never been missing, but its connection is
        gone: it went and came. Whose card has not changed stays open, and loses nothing. All are opened anew where
        ALSA's sequencer, or JACK's server, is another one.
        """
        devices, before = _devices(), self.names
        changed = {
            card for card in devices.keys() | self._devices.keys() if devices.get(card) != self._devices.get(card)
        }
        if _SYSTEM in changed or self._looker is None or not self._open:
            self.close()
            self._looker = new_input()
        self._devices = devices
        present = ports_of(self._looker)
        went = [] if self._open else list(before)
        for raw in [raw for raw in self._open if raw not in present or _may_be_new(raw, changed)]:
            name, port = self._open.pop(raw)
            port.delete()
            self.outputs.close_one(name)
            went.append(name)
        came = [self._listen(raw) for raw in present if raw not in self._open and self._config.wants(plain(raw))]
        self._present = present
        return [name for name in came if name], went

    def scan_outputs(self) -> None:
        """The same for the outputs beside what is open."""
        told = {raw: name for raw, (name, _) in self._open.items() if self._config.tells(name)}
        self.outputs.scan(self._present, told)

    def take(self, most: int = 1_024) -> list[Timed]:
        """What came since the last call, port by port; of each how long before the port's last it came."""
        messages: list[Timed] = []
        for name, port in self._open.values():
            came = list(itertools.islice(iter(port.get_message, None), most))
            ago_s = 0.0
            timed: list[Timed] = []
            for message, since_s in reversed(came):  # seconds since the one before
                timed.append((name, bytes(message), ago_s))
                ago_s += since_s
            messages += reversed(timed)
        return messages

    def close(self) -> None:
        """Closes all."""
        self.outputs.close()
        for _, port in self._open.values():
            port.delete()
        self._open.clear()
        if self._looker is not None:
            self._looker.delete()
            self._looker = None

    def _listen(self, raw: str) -> str | None:
        """Opens a port by the system's name; returns ours, None where it is gone again or another has it."""
        import rtmidi

        try:
            port = new_input()
        except MidiError:
            return None
        try:
            # the number is this moment's: another port may have gone since the scan
            port.ignore_types(sysex=True, timing=False, active_sense=True)
            port.open_port(ports_of(port).index(raw), "in")
        except (rtmidi.RtMidiError, MidiError, ValueError):
            port.delete()
            return None
        name, twin, again = plain(raw), plain(raw), 2
        while name in self.names:
            name, again = f"{twin} #{again}", again + 1
        self._open[raw] = name, port
        return name


def _devices() -> dict[int, frozenset[tuple[str, int, int]]]:
    """By ALSA's cards their MIDI devices, by _SYSTEM its sequencer and JACK's server: which they are, and since when.

    Empty on other systems. A device node is made anew when its box is plugged in; who may use it changes without that.
    A client of a JACK server that went goes on naming the ports that it had.
    """
    found: dict[int, set[tuple[str, int, int]]] = defaultdict(set)
    for path in _listed(_ALSA_DEVICES):
        device = _ALSA_MIDI.fullmatch(path.name)
        if device or path.name == "seq":
            with contextlib.suppress(OSError):  # it is being pulled out
                node = path.lstat()
                found[int(device[1]) if device else _SYSTEM].add((path.name, node.st_ino, node.st_mtime_ns))
    if hasattr(os, "getuid"):
        server = f"jack_{os.environ.get('JACK_DEFAULT_SERVER') or 'default'}_{os.getuid()}_0"
        for folder in _JACK_SOCKETS:
            with contextlib.suppress(OSError):
                found[_SYSTEM].add((server, 0, (folder / server).lstat().st_ctime_ns))
    return {card: frozenset(nodes) for card, nodes in found.items()}


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _may_be_new(raw: str, changed: Set[int]) -> bool:
    """Whether a port may have gone and come with these cards; of JACK's nobody knows whose they are."""
    return bool(changed) if _ALSA_CLIENT.search(raw) is None else _card(raw) in changed


def _card(raw: str) -> int | None:
    """ALSA's card behind a port, by the number of its client in the system's name; None: none that we know of.

    The kernel gives each card's clients fixed numbers: sound/core/seq/seq_clientmgr.c, snd_seq_create_kernel_client.
    """
    address = _ALSA_CLIENT.search(raw)
    client = int(address[1]) if address else 0
    return (client - 16) // 4 if 16 <= client < 128 else None


def list_ports() -> list[str]:
    """Names of the controllers that are plugged in. Asked in a process of its own: a MIDI server may hang.

    Raises MidiError where there is no MIDI, or no answer.
    """
    command = python("livelav.control.midi")
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


def _answer() -> Sequence[str]:
    """Names, or one text that says why there are none."""
    try:
        looker = new_input()
        try:
            return [name for name in map(plain, ports_of(looker)) if MidiConfig().wants(name)]
        finally:
            looker.delete()
    except MidiError as error:
        return str(error)


if __name__ == "__main__":
    print(json.dumps(_answer()))
