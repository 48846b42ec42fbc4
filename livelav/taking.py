"""The taker process: what is heard and what is done, into a take. See takes.py for its form.

Hears what the synth hears: the ring's samples as they are, and silence where none come. Writes lines once the sound up
to their moment is written, so a take that was cut off is whole up to there. Nothing waits for it, and where the disk
is full the take ends and the show goes on.
"""

import contextlib
import math
import os
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from livelav.audio.resample import Resampler
from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import StorageError
from livelav.core.metrics import PeakMemory
from livelav.core.shm import Board, RingReader, SampleRing, StopFlag
from livelav.core.values import Block, Floats
from livelav.show.record import spare_bytes
from livelav.takes import LINES, SOUND, checked_take_path
from livelav.tape import Words

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
_SILENT_AFTER_S = 0.2  # as the synth has it
_PIECE_S = 1.0  # of silence at once
_DRAIN_S = 0.1  # sound of the last moment that is still on its way when the show ends
_RATE_HZ = 48_000  # where the show begins with silence


@dataclass(frozen=True, slots=True)
class TakeConfig:
    """What the taker is started with."""

    path: Path


def run_taker(
    config: TakeConfig, ring: SampleRing, board: Board, stop: StopFlag, words: Connection, events: Connection
) -> None:
    """Body of the taker process: returns when `stop` is set, or the disk is full.

    Sends {"kind": "error", "text"} where the take cannot be begun, {"kind": "warning", "text"}, and {"kind": "ended"}
    once it ended the take before it was told to. Words are lists of `Words`; the board counts them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; main says when to stop
    if hasattr(os, "nice"):
        os.nice(5)  # the show has the processor first

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
    Taker(config.path, RingReader(ring), board, told, send, stop, MonotonicClock()).run()


class Taker:
    """The loop, and what it counts."""

    def __init__(
        self,
        path: Path,
        sound: RingReader,
        board: Board,
        told: Callable[[], list[Words]],
        send: Callable[[dict[str, Any]], None],
        stop: StopFlag,
        clock: Clock,
    ) -> None:
        self._path, self._sound, self._board = path, sound, board
        self._told, self._send, self._stop, self._clock = told, send, stop, clock
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
        if self._reel is None and self._waiting:
            begin_s, head = self._waiting.popleft()
            self._reel = Reel(self._path, begin_s, head)
        while block := self._sound.read():
            if self._reel:
                self._fill_lost(self._reel, block)
                self._reel.add(block)
                if not self._write_lines(self._reel):
                    return False
        if reel := self._reel:
            reel.keep_up(now_s)
            self._housekeep(reel, now_s)
            return self._write_lines(reel)
        self._lost = self._sound.overruns
        return True

    def _fill_lost(self, reel: "Reel", block: Block) -> None:
        """What the ring did not hold long enough is silence, so that the rest stays in its place."""
        if lost := self._sound.overruns - self._lost:
            self._lost = self._sound.overruns
            self._board["lost"] += lost
            reel.add_silence(lost / block.rate_hz)

    def _write_lines(self, reel: "Reel") -> bool:
        while self._waiting and self._waiting[0][0] <= reel.ends_s:
            done_s, text = self._waiting.popleft()
            if not text:
                self._send({"kind": "warning", "text": "the take ends here: more was done than could be written"})
                self._send({"kind": "ended"})
                return False
            reel.write(done_s, text)
        return True

    def _drain(self) -> None:
        """What belongs to the last moment."""
        until_s = self._clock.now_s() + _DRAIN_S
        while self._clock.now_s() < until_s and self._turn():
            self._clock.sleep(_TURN_S)

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
    """The two open files. Times are monotonic seconds; the sound begins at `begin_s`."""

    def __init__(self, folder: Path, begin_s: float, head: str) -> None:
        """Raises OSError."""
        self._folder = folder
        self.ends_s = begin_s  # when the last sample that is written was heard
        self._at = 0  # the last line's place
        self._is_silent = True  # nothing came since the last silence: what comes next is put in its place
        self._flac: Any = None
        self._resampler: Any = None
        self._resampled_hz = 0
        self._lines: BinaryIO = (folder / LINES).open("xb", buffering=0)
        self._lines.write(head.encode() + b"\n")

    @property
    def seconds(self) -> float:
        return self._flac.samples / self._flac.rate_hz if self._flac else 0.0

    @property
    def bytes(self) -> int:
        """What is on the disk so far."""
        return int(self._flac.bytes) if self._flac else 0

    def add(self, block: Block) -> None:
        """Adds a block [n, 2]; what was heard before the beginning is left out. Raises StorageError."""
        rate_hz, skipped = self._rate_hz(round(block.rate_hz)), 0
        if self._is_silent:
            skipped = len(block.samples) - round((block.captured_s - self.ends_s) * block.rate_hz)
            self.add_silence(-skipped / block.rate_hz)
        if self._flac.samples:
            skipped = 0  # nothing is cut but what was heard before the beginning
        if (samples := block.samples[max(skipped, 0) :]).size:
            self._flac.add(self._at_one_rate(samples, round(block.rate_hz), rate_hz))
            self.ends_s, self._is_silent = block.captured_s, False

    def add_silence(self, seconds: float) -> None:
        """Raises StorageError."""
        rate_hz = self._rate_hz(_RATE_HZ)
        left = round(seconds * rate_hz)
        while left > 0:
            count = min(left, round(_PIECE_S * rate_hz))
            self._flac.add(np.zeros((count, 2), np.float32))
            left -= count

    def keep_up(self, now_s: float) -> None:
        """Silence, where no sound comes. Raises StorageError."""
        if now_s - self.ends_s > _SILENT_AFTER_S:
            self.add_silence(now_s - self.ends_s)
            self.ends_s, self._is_silent = now_s, True

    def write(self, done_s: float, text: str) -> None:
        """One line, of what was done at a time up to which the sound is written. Raises OSError."""
        if self._flac:
            before = round((self.ends_s - done_s) * self._flac.rate_hz)
            self._at = max(self._flac.samples - before, self._at)
        self._lines.write(f'{{"at": {self._at}, {text[1:]}\n'.encode())

    def close(self) -> None:
        """Raises StorageError, OSError."""
        try:
            if self._flac:
                self._flac.close()
        finally:
            self._lines.close()

    def _rate_hz(self, rate_hz: int) -> int:
        """The rate of the file, which is the first one's that came."""
        if self._flac is None:
            from livelav.audio.flac import FlacFile  # PyAV is heavy

            self._flac = FlacFile(self._folder / SOUND, rate_hz)
        return int(self._flac.rate_hz)

    def _at_one_rate(self, samples: Floats, rate_hz: int, wanted_hz: int) -> Floats:
        """A source may come back at another rate."""
        if rate_hz == wanted_hz:
            self._resampled_hz = 0
            return samples
        if rate_hz != self._resampled_hz:
            self._resampled_hz = rate_hz
            self._resampler = [Resampler(rate_hz, wanted_hz) for _ in range(2)]
        return np.stack([one.step(channel) for one, channel in zip(self._resampler, samples.T, strict=True)], axis=1)
