"""The capture process: from one source into the ring, for as long as the show lasts.

A source that stopped, moved, hung or vanished is opened again until it is back. What no loop can mend is a driver
call that never returns: then `heartbeat_s` grows old (the thread that talks to the driver is the one that beats)
and the supervisor kills this process and starts another with `retry_first=True`; ring and figures live on in shared
memory. It knows nothing of what the sound becomes.
"""

import contextlib
import gc
import math
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from livelav.audio.ingress import to_stereo
from livelav.audio.source import Source
from livelav.audio.sources import Opener, SourceRequest, find_source
from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import SourceError
from livelav.core.metrics import PeakMemory
from livelav.core.quiet import mute_drivers
from livelav.core.shm import Board, SampleRing, StopFlag
from livelav.core.values import Floats

CAPTURE_FIELDS = (
    "heartbeat_s",  # last time that the driver gave the word back to us
    "blocks",
    "samples",
    "xruns",  # losses that the driver admits
    "overruns",  # of the ring: its readers count those; 0 here, for the writer never waits
    "reconnects",
    "rate_hz",
    "channels",
    "cleaned",  # NaN and infinite values that became 0
    "level_db",  # of the last tenth of a second, rms of both channels
    "last_sound_s",  # last time that it was over SOUND_DB
    "peak_rss_mb",
    "live",  # 1 while a source is open and delivers
)
SILENCE_DB = -120.0
SOUND_DB = -70.0

_READ_S = 0.1
_STALL_S = 0.5  # after so long without a sample a source is not live
_FIRST_S = 3.0  # an idle null sink may take 2 s before its first block
_RETRY_S = 0.2  # between attempts to open what is missing
_REOPEN_S = 0.02  # before the first attempt: a source that opens and fails at once must not spin
_HOUSEKEEPING_S = 1.0
_LEVEL_S = 0.1


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """What the capture process is started with."""

    request: SourceRequest
    retry_first: bool = False  # a restarted process: a source that is missing is waited for, not an error


def run_capture(config: CaptureConfig, ring: SampleRing, board: Board, stop: StopFlag, events: Connection) -> None:
    """Body of the capture process: returns when `stop` is set or the source ended for good.

    Sends {"kind": "source", "name", "source_kind", "rate", "channels"}, {"kind": "warning", "text"},
    {"kind": "error", "text"} (nothing could be opened; then it returns) and {"kind": "ended"} (a file without loop).
    """
    mute_drivers()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; main says when to stop
    gc.collect()
    gc.freeze()
    Capture(config, ring, board, stop, _sender(events), MonotonicClock()).run()


def _sender(events: Connection) -> Callable[[dict[str, Any]], None]:
    def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # main is gone, and this process soon with it
            events.send(event)

    return send


class Capture:
    """The loop and what it remembers between blocks."""

    def __init__(
        self,
        config: CaptureConfig,
        ring: SampleRing,
        board: Board,
        stop: StopFlag,
        send: Callable[[dict[str, Any]], None],
        clock: Clock,
    ) -> None:
        self._config, self._ring, self._board, self._send = config, ring, board, send
        self._stop, self._clock = stop, clock
        self._meter, self._memory = LevelMeter(), PeakMemory()
        self._housekeeping_s = -math.inf

    def run(self) -> None:
        """Until stopped, or the source ended."""
        board = self._board
        self._quiet()
        self._beat()
        opened = False
        opener: Opener | None = None
        trouble = ""
        while not self._stop.is_set():
            try:
                opener = opener or find_source(self._config.request, self._clock)
                source = opener()
            except SourceError as error:
                if not opened and not self._config.retry_first:
                    self._send({"kind": "error", "text": str(error)})
                    return
                trouble = self._warn_once(str(error), trouble)
                self._beat()
                self._stop.wait(_RETRY_S)
                continue
            board["reconnects"] += opened or self._config.retry_first
            opened = True
            self._announce(source)
            try:
                trouble = self._warn_once(self._play(source), "")
            except EOFError as end:
                self._warn_once(str(end), "")
                self._send({"kind": "ended"})
                return
            finally:
                source.close()  # while still live: a driver that hangs here is noticed at once
                self._quiet()
            self._beat()
            self._stop.wait(_REOPEN_S)

    def _announce(self, source: Source) -> None:
        info = source.info
        self._board["rate_hz"], self._board["channels"] = info.rate_hz, info.channels
        self._send(
            {
                "kind": "source",
                "name": info.name,
                "source_kind": info.kind,
                "rate": info.rate_hz,
                "channels": info.channels,
            }
        )

    def _warn_once(self, text: str, before: str) -> str:
        """Tells main, unless it was told the same the last time."""
        if text and text != before:
            self._send({"kind": "warning", "text": text})
        return text

    def _play(self, source: Source) -> str:
        """Carries blocks from the source to the ring; returns why it must be opened again, "" when stopped."""
        board, xruns = self._board, 0
        patience_s, last_s = _FIRST_S, self._clock.now_s()
        while not self._stop.is_set():
            try:
                block = source.read(_READ_S)
            except SourceError as error:
                return str(error)
            now_s = self._beat()
            if block is None:
                if now_s - last_s > _STALL_S:
                    self._quiet()
                if now_s - last_s > patience_s:
                    return f"{source.info.name!r} gave nothing for {now_s - last_s:.1f} s: opened again"
                continue
            patience_s, last_s = source.patience_s, now_s
            samples, cleaned = to_stereo(block.samples)
            self._ring.write(samples, block.captured_s, block.rate_hz)
            board["blocks"] += 1
            board["samples"] += len(samples)
            board["cleaned"] += cleaned
            board["xruns"] += source.xruns - xruns
            xruns = source.xruns
            board["live"] = 1
            if self._meter.add(samples, block.rate_hz):
                board["level_db"] = self._meter.level_db
                if self._meter.level_db > SOUND_DB:
                    board["last_sound_s"] = now_s
        return ""

    def _quiet(self) -> None:
        self._board["live"], self._board["level_db"] = 0, SILENCE_DB

    def _beat(self) -> float:
        now_s = self._clock.now_s()
        self._board["heartbeat_s"] = now_s
        if now_s - self._housekeeping_s > _HOUSEKEEPING_S:
            self._housekeeping_s = now_s
            self._board["peak_rss_mb"] = max(self._board["peak_rss_mb"], self._memory.peak_mb())
        return now_s


class LevelMeter:
    """Root mean square in dB, renewed every tenth of a second of sound."""

    def __init__(self) -> None:
        self.level_db = SILENCE_DB
        self._energy = 0.0
        self._count = 0

    def add(self, samples: Floats, rate_hz: float) -> bool:
        """Takes samples [n, 2]; says whether `level_db` was renewed."""
        self._energy += float(np.vdot(samples, samples))
        self._count += samples.size
        if self._count < 2 * _LEVEL_S * rate_hz:
            return False
        mean = self._energy / self._count
        self.level_db = max(10 * math.log10(mean), SILENCE_DB) if mean > 0 else SILENCE_DB
        self._energy, self._count = 0.0, 0
        return True
