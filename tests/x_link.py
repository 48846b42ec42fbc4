"""Scenes of an Ableton Link session, on an island: a network of their own with nothing but loopback.

Link speaks to everybody on every interface: without this the tests would meet the musicians next door. Started as
`unshare -rn python x_link.py SCENE FOLDER`; prints what was seen as JSON.
"""

import fcntl
import json
import multiprocessing
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from live import Run
from livelav.control.link import LINK_FIELDS, run_link
from livelav.control.osc import LOOPBACK, Message, pack
from livelav.core.shm import Board, Latest, StopFlag
from livelav.core.tempo import Tempo

_SET_FLAGS, _UP = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP
_DEADLINE_S = 30.0
_OLDER_S = 1.0  # of two sessions that began within half a second of each other, lots decide which one is joined


class Peer:
    """One livelav's Link process, and what it says."""

    def __init__(self, ctx: Any, bpm: float, origin_s: float) -> None:
        self._asked, self.board, self._stop = Latest(2, "f8"), Board(LINK_FIELDS), StopFlag()
        self.ask(bpm, origin_s)
        self._events, theirs = ctx.Pipe(duplex=False)
        self._process = ctx.Process(target=run_link, args=(self._asked, self.board, self._stop, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._told: Tempo | None = None

    def ask(self, bpm: float, origin_s: float) -> None:
        self._asked.publish(np.array((bpm, origin_s)))

    @property
    def told(self) -> Tempo | None:
        """What it said last."""
        while self._events.poll():
            event = self._events.recv()
            assert event["kind"] == "session", event
            self._told = Tempo(event["bpm"], event["origin_s"])
        return self._told

    @property
    def peers(self) -> int:
        return int(self.board["peers"])

    def stop(self) -> int | None:
        self._stop.set()
        self._process.join(5.0)
        return self._process.exitcode


def until(condition: Callable[[], Any], what: str) -> None:
    until_s = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s, f"not within {_DEADLINE_S} s: {what}"
        time.sleep(0.01)


def apart_ms(one: Tempo, other: Tempo, beats: float) -> float:
    """How far apart two beats are now, counted in bars of so many."""
    now_s = time.monotonic()
    away = (one.beats(now_s) - other.beats(now_s) + 0.5 * beats) % beats - 0.5 * beats
    return abs(away) * one.period_s * 1000


def pair(_folder: Path) -> dict[str, Any]:
    """The first one's beat is taken over by a second one; a tempo that is set in either reaches the other."""
    ctx = multiprocessing.get_context("spawn")
    own = Tempo(97.0, time.monotonic() - 0.4)
    first = Peer(ctx, own.bpm, own.origin_s)
    until(lambda: first.board["live"], "the first one is there")
    time.sleep(_OLDER_S)
    alone = first.peers, first.told
    second = Peer(ctx, 120.0, time.monotonic())
    until(lambda: first.peers == second.peers == 1 and first.told and second.told, "they have met")
    assert first.told and second.told
    met = {"own": apart_ms(own, second.told, 4.0), "both": apart_ms(first.told, second.told, 4.0)}
    bpm = second.told.bpm
    apart = []
    for asking, hearing, asked_bpm in ((first, second, 133.0), (second, first, 71.5)):
        asking.ask(asked_bpm, time.monotonic())
        until(lambda: abs(hearing.told.bpm - asked_bpm) < 0.01, "the tempo has come over")  # noqa: B023
        until(lambda: abs(asking.told.bpm - asked_bpm) < 0.01, "and it is told who asked")  # noqa: B023
        apart.append(apart_ms(first.told, second.told, 4.0))
    code = second.stop()
    until(lambda: first.peers == 0, "one is alone again")
    return {"alone": alone, "bpm": bpm, "met_ms": met, "apart_ms": apart, "codes": [code, first.stop()]}


def show(folder: Path) -> dict[str, Any]:
    """A whole show joins a session, follows it, and sets its tempo."""
    ctx = multiprocessing.get_context("spawn")
    peer = Peer(ctx, 97.0, time.monotonic())
    until(lambda: peer.board["live"], "the session is there")
    time.sleep(_OLDER_S)
    run = Run(folder, "--input", "demo", "--midi", "off", "--osc", "9000", "--link")
    try:
        followed = run.wait_for(lambda s: s["tempo"]["source"] == "Link", "it has joined and follows")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(pack([Message("/tempo/bpm", (140.0,))]), (LOOPBACK, 9000))
        until(lambda: peer.told and abs(peer.told.bpm - 140.0) < 0.01, "what was set there is everybody's")
        set_there = run.wait_for(lambda s: abs(s["settings"]["tempo.bpm"] - 140.0) < 0.01, "and its own")
        peer.ask(88.0, time.monotonic())
        run.wait_for(lambda s: abs(s["settings"]["tempo.bpm"] - 88.0) < 0.01, "it follows what others set")
        peer.stop()
        alone = run.wait_for(lambda s: s["link"]["peers"] == 0, "it is alone")
        run.process.terminate()
        return {"followed": followed, "set": set_there, "alone": alone, "end": run.finish()}
    finally:
        run.process.kill()
        run.process.communicate()


@contextmanager
def _loopback() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
        yield


if __name__ == "__main__":
    with _loopback():
        print(json.dumps({"pair": pair, "show": show}[sys.argv[1]](Path(sys.argv[2]))))
