"""The operator's process: a second window that the audience never sees, and the hands on it.

It reads what main tells of the show, figures of other processes and the sound itself, all from shared memory; nobody
waits for it. What hands do here goes to main as events, and main alone changes anything. A fault of the drawing
library, of a driver or of a second display ends this process and never the show. Engine starts and stops it; this
module is imported by main too, so the drawing library is not.
"""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import DisplayError
from livelav.core.metrics import PeakMemory
from livelav.core.processor import WATCHING, stand_behind
from livelav.core.quiet import mute_drivers
from livelav.core.shm import Board, Latest, RingReader, SampleRing, StopFlag
from livelav.core.tempo import Tempo
from livelav.show.spectrum import FLOOR_DB, Ear

if TYPE_CHECKING:
    from livelav.show.operator_window import OperatorWindow
    from livelav.show.panels import Panels

OPERATOR_FIELDS = ("heartbeat_s", "drawn", "peak_rss_mb", "live")
VIEW_FIELDS = ("open", "seat")  # open 0: the window is to close; which of the synths plays
REMEDY = "`pip install imgui-bundle`, or H for the HUD"

_PERIOD_S, _SOFTWARE_PERIOD_S = 1 / 25, 1 / 10  # between two drawings while the sound moves something
_HAND_PERIOD_S, _SOFTWARE_HAND_PERIOD_S = 1 / 30, 1 / 15  # while a hand is on it
_HAND_S = 0.3
_HOUSEKEEPING_S = 1.0


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """What does not change while the show runs."""

    actions: tuple[tuple[str, str, str], ...] = ()  # name, key, which group of buttons it belongs to
    picture: tuple[int, int, int, int] | None = None  # the picture's x, y, width and height on the desktop


@dataclass(frozen=True, slots=True)
class OperatorShared:
    """Where it reads, and the board that it alone writes."""

    view: Latest
    ring: SampleRing
    capture: Board
    synths: tuple[Board, ...]  # of either seat; the view says which one plays
    board: Board
    stop: StopFlag


@dataclass(frozen=True, slots=True)
class Meters:
    """What the eye follows between two views; coarse enough that rest looks like rest."""

    level_db: float
    peak: float
    onset: float
    spread: float
    step: float
    bars_db: tuple[int, ...]
    beat: int  # of the tempo, counted from its origin


def run_operator(config: OperatorConfig, shared: OperatorShared, events: Connection) -> None:
    """Body of the operator's process: returns when the window is closed, by a hand or by main, or `stop` is set.

    Sends what hands do: {"kind": "key" | "act" | "pick", "name"}, {"kind": "set", "name", "value"}, {"kind": "recall",
    "number"}, {"kind": "model", "name"}; {"kind": "warning", "text"} where no window can be had; and in the end
    {"kind": "ended"}.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; main says when to stop
    stand_behind(WATCHING)
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's processor renderer: no threads that wait for each other
    mute_drivers()

    def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # main is gone, and this process soon with it
            events.send(event)

    try:
        from livelav.show.operator_window import OperatorWindow
        from livelav.show.panels import Panels

        window = OperatorWindow(config.picture)
    except ImportError as error:
        send({"kind": "warning", "text": f"no window for the operator ({error}); {REMEDY}"})
    except DisplayError as error:
        send({"kind": "warning", "text": f"no window for the operator: {error}"})
    else:
        try:
            Operator(shared, window, Panels(config.actions), send, MonotonicClock()).run()
        finally:
            window.close()
    send({"kind": "ended"})


class Operator:
    """The loop: sleeps until a hand, a view or the sound gives it something to draw."""

    def __init__(
        self,
        shared: OperatorShared,
        window: "OperatorWindow",
        panels: "Panels",
        send: Callable[[dict[str, Any]], None],
        clock: Clock,
    ) -> None:
        self._shared, self._window, self._panels, self._send, self._clock = shared, window, panels, send, clock
        self._reader, self._ear = RingReader(shared.ring), Ear()
        self._memory = PeakMemory()
        self._view: dict[str, Any] = {}
        self._seen = 0
        self._open = True
        self._seat = 0
        self._drawn: tuple[int, Meters] | None = None  # what is on the screen
        self._looked_s = self._hand_s = self._kept_s = float("-inf")

    def run(self) -> None:
        """Until it is closed."""
        shared = self._shared
        software = self._window.software
        period_s = _SOFTWARE_PERIOD_S if software else _PERIOD_S
        hand_period_s = _SOFTWARE_HAND_PERIOD_S if software else _HAND_PERIOD_S
        while self._open and not shared.stop.is_set() and not self._window.should_close:
            now_s = self._clock.now_s()
            has_hand = now_s - self._hand_s < _HAND_S
            due_s = self._looked_s + (hand_period_s if has_hand else period_s)
            self._window.wait(max(due_s - now_s, 0.001))
            now_s = self._clock.now_s()
            self._keep(now_s)
            if self._window.touched():
                self._hand_s = now_s
            self._tell(self._panels.take(self._window.pressed(), self._view))
            self._read()
            if self._view and now_s >= due_s:
                self._looked_s = now_s
                self._draw(now_s)

    def _read(self) -> None:
        if new := self._shared.view.read(self._seen):
            self._seen, payload, facts = new
            self._open, self._seat = facts["open"] > 0, int(facts["seat"])
            self._view = json.loads(payload.tobytes()) if len(payload) else self._view

    def _draw(self, now_s: float) -> None:
        """Draws, unless the screen shows just that already."""
        meters = self._meters(now_s)
        if (self._seen, meters) == self._drawn and now_s - self._hand_s >= _HAND_S:
            return
        self._drawn = self._seen, meters

        def draw(size: tuple[float, float], anew: bool) -> bool:
            if anew:
                self._panels.brush.forget()
            changed = self._panels.draw(size, self._view, meters)
            self._shared.board["drawn"] += changed
            return changed

        self._window.frame(draw, now_s)
        self._tell(self._panels.asked())
        self._shared.board["live"] = 1.0

    def _meters(self, now_s: float) -> Meters:
        while block := self._reader.read():
            self._ear.hear(block, now_s)
        self._ear.step(now_s)
        capture, synth = self._shared.capture, self._shared.synths[self._seat]
        return Meters(
            level_db=round(capture["level_db"]),
            peak=round(self._ear.peak, 2),
            onset=round(synth["onset"], 1),
            spread=round(synth["spread"], 2),
            step=round(synth["step"], 3),
            bars_db=tuple(int(db) for db in self._ear.bars_db) if self._ear.bars_db.max() > FLOOR_DB else (),
            beat=int(Tempo(self._view["bpm"], self._view["origin_s"]).beats(now_s)),
        )

    def _tell(self, events: Sequence[dict[str, Any]]) -> None:
        for event in events:
            self._send(event)

    def _keep(self, now_s: float) -> None:
        board = self._shared.board
        board["heartbeat_s"] = now_s
        if now_s - self._kept_s > _HOUSEKEEPING_S:
            self._kept_s = now_s
            board["peak_rss_mb"] = max(board["peak_rss_mb"], self._memory.peak_mb())
