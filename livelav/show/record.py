"""The recorder process: the pictures that were presented and the sound that was heard, into one file.

It takes both from shared memory and nothing waits for it: where it is too slow, pictures are dropped and counted.
It knows no window, no generator and no source. Engine starts and stops it.
"""

import contextlib
import math
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import StorageError
from livelav.core.metrics import PeakMemory
from livelav.core.processor import BESIDES, stand_behind
from livelav.core.shm import Board, Latest, RingReader, SampleRing
from livelav.show.container import checked_path, free_bytes
from livelav.show.sheet import contact_sheet

__all__ = [
    "PICTURE_FIELDS",
    "RECORD_FIELDS",
    "RecordConfig",
    "Recorder",
    "contact_sheet",
    "run_recorder",
    "spare_bytes",
]

PICTURE_FIELDS = ("presented_s", "width", "height")
RECORD_FIELDS = (
    "heartbeat_s",
    "images",  # written
    "dropped",  # published, but overwritten before they could be read
    "seconds",  # length of the file
    "bytes",  # its size on the disk
    "left_s",  # for so long the disk has room, at its rate so far; 0 before that is known
    "live",  # 1 while it records
    "peak_rss_mb",
)
LEAST_FREE_BYTES = 1 << 30
LEAST_LEFT_S = 60.0  # of recording at its rate so far

_HOUSEKEEPING_S = 0.5
_DRAIN_S = 0.3  # sound of the last pictures that is still on its way when the show ends


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """What the recorder is started with."""

    path: Path
    size: tuple[int, int]  # width and height of the pictures
    fps: float = 30.0  # how many a second main publishes


class StopFlag(Protocol):
    """multiprocessing's Event, as far as it is used."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


def run_recorder(
    config: RecordConfig, ring: SampleRing, pictures: Latest, board: Board, stop: StopFlag, events: Connection
) -> None:
    """Body of the recorder process: returns when `stop` is set, or the disk is full.

    Sends {"kind": "error", "text"} where the file cannot be begun (then it returns), {"kind": "warning", "text"},
    and {"kind": "ended"} once it closed the file before it was told to. `pictures` hold RGBA, bottom row first.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; main says when to stop
    stand_behind(BESIDES)

    def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # main is gone
            events.send(event)

    Recorder(config, RingReader(ring), pictures, board, send, stop, MonotonicClock()).run()


class Recorder:
    """The loop and what it counts."""

    def __init__(
        self,
        config: RecordConfig,
        sound: RingReader,
        pictures: Latest,
        board: Board,
        send: Callable[[dict[str, Any]], None],
        stop: StopFlag,
        clock: Clock,
    ) -> None:
        self._config, self._sound, self._pictures, self._board = config, sound, pictures, board
        self._send, self._stop, self._clock = send, stop, clock
        self._seen = pictures.published
        self._memory = PeakMemory()
        self._checked_s = -math.inf

    def run(self) -> None:
        """Until stopped or the disk is full."""
        from livelav.show.muxer import Muxer  # here, not in main: PyAV is heavy

        board, config = self._board, self._config
        self._beat()
        try:
            # a recorder that crashed left a file that plays; the one started in its place goes on in another
            path = _next_free(config.path) if board["images"] else checked_path(config.path)
            spare_bytes(path)
            muxer = Muxer(path, config.size, config.fps, "ultrafast" if (os.cpu_count() or 1) <= 4 else "veryfast")
        except StorageError as error:
            self._send({"kind": "error", "text": str(error)})
            return
        if path != config.path:
            self._send({"kind": "warning", "text": f"the recording goes on in {path}"})
        board["live"] = 1
        try:
            while not self._stop.is_set():
                if not self._step(muxer):
                    self._stop.wait(0.25 / config.fps)
                self._housekeep(muxer, path)
            self._drain(muxer)
        except StorageError as error:
            self._send({"kind": "warning", "text": f"recording stopped: {error}"})
            self._send({"kind": "ended"})
        finally:
            with contextlib.suppress(StorageError):  # said above, or not worth a word: what was written plays
                muxer.close()
            board["live"] = 0  # not before: main is less patient with one that does not record
            self._count(muxer)

    def _step(self, muxer: Any) -> bool:
        """Takes what is new; says whether there was a picture."""
        new = self._pictures.read(self._seen)
        if new:
            number, flat, facts = new
            self._board["dropped"] += number - self._seen - 1
            self._seen = number
            pixels = flat.reshape(int(facts["height"]), int(facts["width"]), 4)
            muxer.add_picture(pixels[::-1], facts["presented_s"])
            self._board["images"] += 1
        while block := self._sound.read():
            muxer.add_sound(block)
        muxer.keep_up(self._clock.now_s())
        self._beat()
        return new is not None

    def _drain(self, muxer: Any) -> None:
        """The last picture, and the sound that belongs to it."""
        until_s = self._clock.now_s() + _DRAIN_S
        while self._clock.now_s() < until_s:
            self._step(muxer)
            self._clock.sleep(0.02)

    def _housekeep(self, muxer: Any, path: Path) -> None:
        now_s = self._clock.now_s()
        if now_s - self._checked_s >= _HOUSEKEEPING_S:
            self._checked_s = now_s
            self._count(muxer)
            self._board["peak_rss_mb"] = self._memory.peak_mb()
            bytes_per_s = muxer.bytes / muxer.seconds if muxer.seconds > 1 else 0.0
            spare = spare_bytes(path, bytes_per_s)
            self._board["left_s"] = spare / bytes_per_s if bytes_per_s else 0.0

    def _count(self, muxer: Any) -> None:
        self._board["seconds"], self._board["bytes"] = muxer.seconds, muxer.bytes

    def _beat(self) -> None:
        self._board["heartbeat_s"] = self._clock.now_s()


def spare_bytes(path: Path, bytes_per_s: float = 0.0) -> int:
    """What may still be written to `path`. Raises StorageError while there is still room to end the file well."""
    least = max(LEAST_FREE_BYTES, int(LEAST_LEFT_S * bytes_per_s))
    if (free := free_bytes(path)) < least:
        raise StorageError(
            f"{free / 2**20:.0f} MiB free under {path.absolute().parent}, {least / 2**20:.0f} are needed; "
            "free some space, or record to another disk"
        )
    return free - least


def _next_free(path: Path) -> Path:
    number = 2
    while (other := path.with_stem(f"{path.stem}-{number}")).exists():
        number += 1
    return other
