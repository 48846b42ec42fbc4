"""Starts, watches and restarts one child process. Main's thread only; never waits for the child.

A child proves that it lives by the `heartbeat_s` on its board. One that died, or whose heartbeat stopped, is killed
and started again, with the same shared memory, while main goes on showing pictures.
"""

import contextlib
import math
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from livelav.core.child import deaf_children
from livelav.core.errors import one_line
from livelav.core.processor import call_forward
from livelav.core.shm import Board
from livelav.core.values import Event

AGAIN = ": starting it again"  # the end of a restart's text

STARTING_S = 60.0  # for so long one may load before it counts as hung

_CRASH_MEMORY_S = 60.0
_STALL_S = 0.3
_BACKOFF_S = (0.0, 0.2, 0.5, 1.0)  # at most: a hung synth, too, is to be back within 5 s
_LOADING_STOP_S = 0.3  # one that is still loading has nothing to finish, and may not hear for seconds


def _leave_with_parent() -> None:
    """Ends this process when main does, also after a kill -9 of main, when nobody else would."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _child_main(target: Callable[..., None], args: tuple[Any, ...], *ends: Connection) -> None:
    threading.Thread(target=_leave_with_parent, name="parent-watch", daemon=True).start()
    try:
        target(*args, *ends)
    except Exception as error:  # a fault of ours: one line for the operator, and the supervisor begins anew
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}"
        with contextlib.suppress(OSError):
            ends[-1].send({"kind": "warning", "text": one_line(text)})
        sys.exit(1)


class Child:
    """One supervised process: `target(*args, events)` or `target(*args, words, events)`, with fresh pipes each time."""

    def __init__(
        self,
        ctx: SpawnContext,
        name: str,
        target: Callable[..., None],
        args: tuple[Any, ...],
        board: Board,
        hung_after_s: float,
        starting_s: float = STARTING_S,
        is_told: bool = False,
    ) -> None:
        """`board` has `heartbeat_s` and `live` (1 once the child works); before that it has `starting_s`.

        The board of one that `is_told` something has `taken`, too: how often it took words from its pipe.
        """
        self._ctx, self.name, self._target, self.args, self.board = ctx, name, target, args, board
        self.hung_after_s, self.starting_s = hung_after_s, starting_s
        self._process: BaseProcess | None = None
        self._events: Connection | None = None
        self._is_told = is_told
        self._words: Connection | None = None
        self._told = 0.0  # what its board will say once it has taken what it was told last
        self._crashes: deque[float] = deque()
        self.start_at_s = 0.0  # when `poll` starts it, if it does not run
        self._polled_s = self._watched_s = 0.0
        self.was_live = False
        self.finished = False
        self._dismissed = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, now_s: float) -> None:
        """Starts the process; the events of the one before are gone."""
        self.board["heartbeat_s"], self.board["live"] = now_s, 0.0
        self.finished = False
        self._events, *theirs = self._ctx.Pipe(duplex=False)
        if self._is_told:
            words, self._words = self._ctx.Pipe(duplex=False)
            theirs.insert(0, words)
        self._told = 0.0
        self._process = self._ctx.Process(
            target=_child_main, args=(self._target, self.args, *theirs), name=f"livelav-{self.name}", daemon=True
        )
        with deaf_children():
            self._process.start()
        for end in theirs:
            end.close()

    def tell(self, words: Any) -> None:
        """Puts something into the pipe of words. Only while the child `listens`: so main never waits for it."""
        assert self.listens and self._words is not None, "it has not taken what it was told before"
        self._told = self.board["taken"] + 1
        with contextlib.suppress(OSError):  # it died: it will be started again, and know nothing
            self._words.send(words)

    @property
    def listens(self) -> bool:
        """Whether it runs, and has taken all that it was told: less than a pipe holds is ever on its way."""
        return self._process is not None and self.board["taken"] >= self._told

    def start_over(self, args: tuple[Any, ...], now_s: float) -> None:
        """Starts it anew with other arguments: a change of mind, not a crash."""
        self._reap()
        self.args = args
        self.start(now_s)

    def begin(self, now_s: float) -> None:
        """Starts it, whether it never ran, rests, or is on its way out still."""
        if self._process is not None:
            self._reap()
        self._crashes.clear()
        self.start(now_s)

    def forgive(self) -> None:
        """What it will be from its next start on has not died so far."""
        self._crashes.clear()

    def rest(self) -> None:
        """Whatever becomes of it, it is not started again before `begin`; to end is for the child itself."""
        self.start_at_s = math.inf

    def dismiss(self) -> None:
        """Ends it at once and for good, without waiting: `poll` gives back what it held, and then it `is_gone`."""
        self._dismissed = self.finished = True
        if self._process is not None:
            self._process.kill()

    def hurry(self) -> None:
        """Lets it stand back no longer: somebody waits for it."""
        if self.pid is not None:
            call_forward(self.pid)

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left of one that was dismissed."""
        return self._dismissed and self._process is None

    def crashes(self, now_s: float) -> int:
        """How often it died or hung in the last minute."""
        while self._crashes and now_s - self._crashes[0] > _CRASH_MEMORY_S:
            self._crashes.popleft()
        return len(self._crashes)

    def poll(self, now_s: float) -> list[Event]:
        """What the child said since the last call; starts it again where it died or hung."""
        if self._dismissed:
            if self._process is not None and self._process.exitcode is not None:
                self._reap()
            return []
        if self._process is None:
            if now_s >= self.start_at_s and not self.finished:
                self.start(now_s)
            return []
        events = self._drain()
        live = self.board["live"] > 0
        self.was_live |= live
        self.finished |= any(event["kind"] == "ended" for event in events)
        if any(event["kind"] == "error" for event in events) and not self.was_live:
            return events  # it could not begin: whether to try again, and how, is for the caller to say
        dead = self._process.exitcode is not None
        if now_s - self._polled_s > _STALL_S:
            self._watched_s = now_s  # the machine slept, or stopped us too: that proves nothing against the child
        self._polled_s = now_s
        silent_s = now_s - max(self.board["heartbeat_s"], self._watched_s)
        hung = silent_s > (self.hung_after_s if live else self.starting_s)
        if (dead or hung) and not self.finished:
            why = f"ended with code {self._process.exitcode}" if dead else f"gave no sign for {silent_s:.1f} s"
            events += self._drain()
            self._reap()
            self._crashes.append(now_s)
            self.restarts += 1
            self.start_at_s = now_s + _BACKOFF_S[min(self.crashes(now_s), len(_BACKOFF_S)) - 1]
            events.append({"kind": "restart", "text": f"{self.name} {why}{AGAIN}"})
        return events

    def _drain(self) -> list[Event]:
        events: list[Event] = []
        with contextlib.suppress(EOFError, OSError):
            while self._events is not None and self._events.poll():
                events.append(self._events.recv())
        return events

    def _reap(self) -> None:
        assert self._process is not None
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(0.5)
        if self._process.exitcode is not None:
            self._process.close()  # now, and not when somebody else starts a process
        self._process = None
        for end in (self._events, self._words):
            if end is not None:
                end.close()
        self._events = self._words = None

    def stop(self, wait_s: float) -> list[Event]:
        """Waits for the child to follow the stop flag, kills it if it does not; returns its last words."""
        if self._process is None:
            return []
        self._process.join(wait_s if self.board["live"] else min(wait_s, _LOADING_STOP_S))
        events = self._drain()
        self._reap()
        self.finished = True
        return events
