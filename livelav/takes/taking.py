"""The taker process: what is heard and what is done, into a take. See format.py for its form.

Follows the diary of the synth that plays: the ring's samples as they are, silence where that heard silence of its own,
and each change of what it heard by. Where the synth hears nothing for seconds, because it is slow or started again, the
sound goes on without it. Writes lines once the sound up to their moment is written, so a take that was cut off is
whole up to there. Nothing waits for it, and where the disk is full the take ends and the show goes on.
"""

import contextlib
import math
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from livelav.audio.resample import Resampler
from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import StorageError
from livelav.core.metrics import PeakMemory
from livelav.core.processor import BESIDES, stand_behind
from livelav.core.scene import Wanted
from livelav.core.shm import Board, RingReader, SampleRing, StopFlag
from livelav.core.values import Block, Floats
from livelav.show.record import spare_bytes
from livelav.takes.diary import Diary, Entry
from livelav.takes.format import HEARD, LINES, SOUND, Heard, checked_take_path, heard_line
from livelav.takes.tape import Words

TAKE_FIELDS = (
    "heartbeat_s",
    "taken",  # how often words were taken from the pipe
    "begun",  # 1 once there is a folder
    "seconds",  # length of the sound
    "bytes",  # its size on the disk
    "lost",  # samples that the ring did not hold long enough
    "left_s",  # for so long the disk has room, at the rate so far; 0 before that is known
    "live",
    "peak_rss_mb",
)

_TURN_S = 0.02
_HOUSEKEEPING_S = 0.5
_PAUSE_S = 0.2  # for so long nothing was heard before the stages begin anew: worth silence in the take
_UNHEARD = 13 / 16  # of the ring: what is older a synth's reader has lost, and the sound goes on without it
_PIECE = 1 << 12  # samples of it at once
_PIECE_S = 1.0  # of silence at once
_DRAIN_S = 0.1  # sound of the last moment that is still on its way when the show ends
_RATE_S, _RATE_HZ = 30.0, 48_000  # for so long a show is silent before the take has that rate, whatever comes


@dataclass(frozen=True, slots=True)
class TakeConfig:
    """What the taker is started with."""

    path: Path


def run_taker(
    config: TakeConfig,
    ring: SampleRing,
    diaries: Sequence[Diary],
    main: Board,
    board: Board,
    stop: StopFlag,
    words: Connection,
    events: Connection,
) -> None:
    """Body of the taker process: returns when `stop` is set, or the disk is full. `diaries` are of both seats; main's
    board says who plays.

    Sends {"kind": "error", "text"} where the take cannot be begun, {"kind": "warning", "text"}, and {"kind": "ended"}
    once it ended the take before it was told to. Words are lists of `Words`; the board counts them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; main says when to stop
    stand_behind(BESIDES)

    def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # main is gone
            events.send(event)

    def told() -> list[Words]:
        with contextlib.suppress(OSError, EOFError):
            if words.poll():
                board["taken"] += 1
                return list(words.recv())
        return []

    if board["begun"]:
        send(
            {"kind": "warning", "text": f"the take {config.path} ends here: what was taken until then can be rendered"}
        )
        send({"kind": "ended"})
        return
    Taker(config.path, ring, diaries, main, board, told, send, stop, MonotonicClock()).run()


class Taker:
    """The loop, and what it counts."""

    def __init__(
        self,
        path: Path,
        ring: SampleRing,
        diaries: Sequence[Diary],
        main: Board,
        board: Board,
        told: Callable[[], list[Words]],
        send: Callable[[dict[str, Any]], None],
        stop: StopFlag,
        clock: Clock,
    ) -> None:
        self._path, self._ring, self._sound, self._board = path, ring, RingReader(ring, 7 / 8), board
        self._told, self._send, self._stop, self._clock = told, send, stop, clock
        self._diaries, self._main = diaries, main
        self._seat, self._next = int(main["seat"]), 0  # whose diary is read, and which entry is next
        self._joins = False  # that diary, so that what was heard before in the other's is past
        self._is_last = False  # turn
        self._first: Entry | None = None
        self._rate_hz = 0  # of the first sound, once it came
        self._waiting = deque[Words]()
        self._reel: Reel | None = None  # from the first words on
        self._lost = 0
        self._memory = PeakMemory()
        self._checked_s = -math.inf

    def run(self) -> None:
        """Until stopped, or the disk is full."""
        board = self._board
        board["heartbeat_s"] = self._clock.now_s()
        try:
            spare_bytes(checked_take_path(self._path))
            self._path.mkdir()
        except (StorageError, OSError) as error:
            reason = str(error) if isinstance(error, StorageError) else f"cannot make {self._path}: {error.strerror}"
            self._send({"kind": "error", "text": reason})
            return
        board["begun"] = board["live"] = 1
        try:
            while not self._stop.is_set() and self._turn():
                self._stop.wait(_TURN_S)
            self._drain()
        except (StorageError, OSError) as error:
            self._send({"kind": "warning", "text": f"the take ends here: {error}"})
            self._send({"kind": "ended"})
        finally:
            self._close()
            board["live"] = 0

    def _turn(self) -> bool:
        """Takes what is new. False once main has said that this is the end."""
        now_s = self._clock.now_s()
        self._board["heartbeat_s"] = now_s
        self._waiting.extend(self._told())
        if not (reel := self._reel or self._begun(now_s)):
            return True
        for number, entry in self._diaries[self._seat].since(self._next):
            self._next = number
            self._follow(reel, entry)
            if not self._write_lines(reel, reel.ends_s):
                return False
        if not self._ring.holds(*self._sound.place, share=_UNHEARD):
            newest, _, _ = self._ring.anchor(self._ring.writes - 1)
            self._add_unheard(reel, newest - round(_UNHEARD * self._ring.capacity) + _PIECE)
        if (seat := int(self._main["seat"])) != self._seat:
            self._seat, self._next, self._joins = seat, 0, True
        self._housekeep(reel, now_s)
        return self._write_lines(reel, reel.ends_s)

    def _begun(self, now_s: float) -> "Reel | None":
        """The take, from the first entry on, once it is known what the show began with and which rate its sound has."""
        if not self._waiting:
            return None
        for number, entry in self._diaries[self._seat].since(self._next):
            self._next, self._first = number, self._first or entry
            self._rate_hz = self._rate_hz or (round(entry.rate_hz) if entry.samples else 0)
        if not (first := self._first):
            return None
        if not self._rate_hz and not self._is_last and now_s - first.captured_s < _RATE_S:
            return None
        _, head = self._waiting.popleft()
        self._next = 0  # it begins with the first
        self._sound.go_to(first.write, first.position)
        self._reel = Reel(self._path, self._rate_hz or _RATE_HZ, first.captured_s, head)
        return self._reel

    def _follow(self, reel: "Reel", entry: Entry) -> None:
        """Takes what the synth heard."""
        if self._joins and entry.captured_s <= reel.ends_s:
            return
        self._joins = False
        self._add_unheard(reel, entry.position - entry.samples)
        if entry.begins and entry.captured_s - reel.ends_s > _PAUSE_S:
            reel.hear_nothing()
            reel.add_silence(entry.captured_s - reel.ends_s)
        reel.hear(entry)
        self._add_sound(reel, entry.position)
        reel.add_silence(entry.silence / entry.rate_hz)
        reel.ends_s = entry.captured_s

    def _add_sound(self, reel: "Reel", until: int) -> None:
        """The ring's samples up to that one."""
        while (missing := until - self._sound.position) > 0 and (block := self._sound.read(missing)):
            self._fill_lost(reel, block)
            reel.add(block)

    def _add_unheard(self, reel: "Reel", until: int) -> None:
        """The same, of which the synth heard nothing."""
        if until > self._sound.position:
            reel.hear_nothing()
            self._add_sound(reel, until)

    def _fill_lost(self, reel: "Reel", block: Block) -> None:
        """What the ring did not hold long enough is silence, so that the rest stays in its place."""
        if lost := self._sound.overruns - self._lost:
            self._lost = self._sound.overruns
            self._board["lost"] += lost
            reel.add_silence(lost / block.rate_hz)

    def _write_lines(self, reel: "Reel", until_s: float) -> bool:
        """What was done up to then. False where that ended the take."""
        while self._waiting and self._waiting[0][0] <= until_s:
            done_s, text = self._waiting.popleft()
            if not text:
                self._send({"kind": "warning", "text": "the take ends here: more was done than could be written"})
                self._send({"kind": "ended"})
                return False
            reel.write(done_s, text)
        return True

    def _drain(self) -> None:
        """What belongs to the last moment."""
        self._is_last = True
        until_s = self._clock.now_s() + _DRAIN_S
        while self._clock.now_s() < until_s:
            if not self._turn():
                return
            self._clock.sleep(_TURN_S)
        if self._reel:
            self._write_lines(self._reel, math.inf)

    def _housekeep(self, reel: "Reel", now_s: float) -> None:
        if now_s - self._checked_s >= _HOUSEKEEPING_S:
            self._checked_s = now_s
            board = self._board
            board["seconds"], board["bytes"] = reel.seconds, reel.bytes
            board["peak_rss_mb"] = self._memory.peak_mb()
            bytes_per_s = reel.bytes / reel.seconds if reel.seconds > 1 else 0.0
            spare = spare_bytes(self._path, bytes_per_s)
            board["left_s"] = spare / bytes_per_s if bytes_per_s else 0.0

    def _close(self) -> None:
        if self._reel:
            with contextlib.suppress(StorageError, OSError):  # said above, or not worth a word
                self._reel.close()
            self._board["seconds"], self._board["bytes"] = self._reel.seconds, self._reel.bytes
        else:
            with contextlib.suppress(OSError):
                self._path.rmdir()  # the show ended before it began


class Reel:
    """The three open files. Times are monotonic seconds."""

    def __init__(self, folder: Path, rate_hz: int, begin_s: float, head: str) -> None:
        """Sound of that rate, the first of which was heard at `begin_s`. Raises StorageError, OSError."""
        from livelav.audio.flac import FlacFile  # PyAV is heavy

        self.rate_hz = rate_hz
        self.ends_s = begin_s  # when the last sample that is written was heard
        self._at = 0  # the last line's place
        self._heard: Heard | None = None  # the last line of that
        self._told: tuple[float, ...] = ()  # its Wanted, packed
        self._flac: Any = FlacFile(folder / SOUND, rate_hz)
        self._resampler: list[Resampler] = []
        self._resampled_hz = 0
        self._lines: BinaryIO = (folder / LINES).open("xb", buffering=0)
        self._heard_lines: BinaryIO = (folder / HEARD).open("xb", buffering=0)
        self._texts_bytes = 0
        self._add_line(self._lines, head)

    @property
    def seconds(self) -> float:
        return float(self._flac.samples / self.rate_hz)

    @property
    def bytes(self) -> int:
        """What is on the disk so far."""
        return int(self._flac.bytes) + self._texts_bytes

    def add(self, block: Block) -> None:
        """Adds a block [n, 2]. Raises StorageError."""
        self._flac.add(self._at_one_rate(block.samples, round(block.rate_hz), self.rate_hz))
        self.ends_s = block.captured_s

    def add_silence(self, seconds: float) -> None:
        """Raises StorageError."""
        left = round(seconds * self.rate_hz)
        while left > 0:
            count = min(left, round(_PIECE_S * self.rate_hz))
            self._flac.add(np.zeros((count, 2), np.float32))
            left -= count

    def hear(self, entry: Entry) -> None:
        """What is added next is heard so; a line, if that is new. Raises OSError."""
        rate_hz = round(entry.rate_hz)
        other_hz = rate_hz if entry.silence and rate_hz != self.rate_hz else 0
        old = self._heard
        if not old or entry.begins or old.deaf or entry.told != self._told or other_hz != old.rate_hz:
            self._told = entry.told
            self._hear(Heard(self._flac.samples, Wanted.unpacked(entry.told), entry.begins, other_hz))

    def hear_nothing(self) -> None:
        """What is added next is not heard. Raises OSError."""
        if self._heard and not self._heard.deaf:
            self._hear(replace(self._heard, at=self._flac.samples, begins=False, deaf=True))

    def _hear(self, heard: Heard) -> None:
        self._add_line(self._heard_lines, heard_line(heard, self._heard))
        self._heard = heard

    def write(self, done_s: float, text: str) -> None:
        """One line, of what was done at a time up to which the sound is written. Raises OSError."""
        before = round((self.ends_s - done_s) * self.rate_hz)
        self._at = max(min(self._flac.samples, self._flac.samples - before), self._at)
        self._add_line(self._lines, f'{{"at": {self._at}, {text[1:]}')

    def close(self) -> None:
        """Raises StorageError, OSError."""
        try:
            self._flac.close()
        finally:
            self._lines.close()
            self._heard_lines.close()

    def _add_line(self, file: BinaryIO, text: str) -> None:
        self._texts_bytes += file.write(text.encode() + b"\n")

    def _at_one_rate(self, samples: Floats, rate_hz: int, wanted_hz: int) -> Floats:
        """A source may come back at another rate."""
        if rate_hz == wanted_hz:
            self._resampled_hz = 0
            return samples
        if rate_hz != self._resampled_hz:
            self._resampled_hz = rate_hz
            self._resampler = [Resampler(rate_hz, wanted_hz) for _ in range(2)]
        return np.stack([one.step(channel) for one, channel in zip(self._resampler, samples.T, strict=True)], axis=1)
