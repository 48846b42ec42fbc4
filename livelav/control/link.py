"""The Link process: joins an Ableton Link session, in which the music programs of a network share tempo and beat.

A process of its own because the library is made of threads and talks to strangers: whatever becomes of it, the picture
goes on. It is asked, and calls nobody: it wants an event loop to be made, and none afterwards. While there are peers
their beat is told; hands' tempo is theirs, too. Nobody's bars are moved: a newcomer follows, and so do we. Alone,
the session is told our beat, for whoever comes.

The library is aalink, a wrapper of Ableton's Link. Both are under the GPL: it is the user who installs it, no part of
livelav needs it. It speaks on every network interface of the machine and cannot be told otherwise.
"""

import asyncio
import contextlib
import importlib.util
import math
import signal
from multiprocessing.connection import Connection
from typing import Any

from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import LinkError
from livelav.core.metrics import PeakMemory
from livelav.core.shm import Board, Latest, StopFlag
from livelav.core.tempo import BEATS_A_BAR, Tempo

LINK_FIELDS = ("heartbeat_s", "peers", "peak_rss_mb", "live")

_ASK_S = 0.02
_TELL_S = 1.0  # a sign of life; and its clock is not quite ours
_MOVED_S = 0.001  # a beat that came so much earlier or later is told at once
_HOUSEKEEPING_S = 1.0
_SAME_BPM = 1e-3
_INSTALL = "pip install aalink (a package under the GPL)"


def check_link() -> None:
    """Raises LinkError where the package is not installed."""
    if importlib.util.find_spec("aalink") is None:
        raise LinkError(f"--link needs the package aalink, which is not installed: {_INSTALL}")


def run_link(asked: Latest, board: Board, stop: StopFlag, events: Connection) -> None:
    """Body of the Link process: returns when `stop` is set.

    `asked` holds bpm and origin_s of the tempo that hands have set last. Sends {"kind": "session", "bpm", "origin_s"}
    while there are peers, and an `error` where the library cannot be loaded.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; main says when to stop
    clock, memory = MonotonicClock(), PeakMemory()
    own, seen = _own(asked, 0) or (Tempo(120.0, clock.now_s()), 0)
    try:
        session = Session(own, clock)
    except LinkError as error:
        events.send({"kind": "error", "text": str(error)})
        return
    told: Tempo | None = None
    told_s = kept_s = -math.inf
    while not stop.is_set():
        now_s = clock.now_s()
        board["heartbeat_s"], board["live"] = now_s, 1
        if new := _own(asked, seen):
            own, seen = new
            session.ask(own, now_s)
        board["peers"] = peers = session.peers
        tempo = session.tempo() if peers else None
        if tempo and (told is None or now_s - told_s >= _TELL_S or _differ(tempo, told, now_s)):
            with contextlib.suppress(OSError):  # main is gone, and this process soon with it
                events.send({"kind": "session", "bpm": tempo.bpm, "origin_s": tempo.origin_s})
            told, told_s = tempo, now_s
        elif tempo is None:
            told = None
        if now_s - kept_s > _HOUSEKEEPING_S:
            kept_s = now_s
            board["peak_rss_mb"] = memory.peak_mb()
        clock.sleep(_ASK_S)
    session.close()


def _own(asked: Latest, seen: int) -> tuple[Tempo, int] | None:
    """The tempo of hands that is newer than number `seen`, and its number."""
    new = asked.read(seen)
    return (Tempo(*map(float, new[1])), new[0]) if new else None


def _differ(one: Tempo, other: Tempo, now_s: float) -> bool:
    apart_s = abs(one.beats(now_s) - other.beats(now_s)) * one.period_s
    return abs(one.bpm - other.bpm) > _SAME_BPM or apart_s > _MOVED_S


class Session:
    """The session that we are in, alone or with peers. One thread's only."""

    def __init__(self, own: Tempo, clock: Clock) -> None:
        """Joins. Where nobody is there the session's beat is `own`. Raises LinkError."""
        try:
            import aalink
        except ImportError as error:
            raise LinkError(f"--link: the package aalink does not load ({error}); {_INSTALL}") from error

        async def made() -> Any:
            return aalink.Link(own.bpm)

        self._clock = clock
        self._loop = asyncio.new_event_loop()  # it keeps a hold of it
        self._link = self._loop.run_until_complete(made())
        self._link.quantum = float(BEATS_A_BAR)
        self.ask(own, clock.now_s())
        self._link.enabled = True

    @property
    def peers(self) -> int:
        """How many others there are."""
        return int(self._link.num_peers)

    def tempo(self) -> Tempo:
        """The session's, by our clock; its bars are everybody's."""
        before_s = self._clock.now_s()
        beat, bpm = float(self._link.beat), float(self._link.tempo)
        now_s = 0.5 * (before_s + self._clock.now_s())
        return Tempo(bpm, now_s - beat * 60.0 / bpm)

    def ask(self, own: Tempo, now_s: float) -> None:
        """Asks all peers for that speed; the beat itself only while there are none."""
        if abs(own.bpm - self._link.tempo) > _SAME_BPM:
            self._link.tempo = own.bpm
        if not self.peers:
            self._link.force_beat(own.beats(now_s) % BEATS_A_BAR)

    def close(self) -> None:
        """Leaves."""
        self._link.enabled = False
        self._loop.close()
