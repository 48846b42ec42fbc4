"""The live show: makes the shared memory, the processes and the picture's loop, and takes them all down again.

    capture process -> ring -> synth process -> newest image -> this process: shaders, present
                         \\--------------------------------------------------> recorder process (if asked for)

Main's thread never waits for another process: without a new image the last one stays and drifts in the shader. It is
the only writer of settings, pace and presented pictures. Everything else that runs, runs because this module
started it.
"""

import contextlib
import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from livelav import statistics
from livelav.audio.capture import CAPTURE_FIELDS, CaptureConfig, run_capture
from livelav.control.commands import KEYS, Command, Quit, SetParam, ShowState
from livelav.core.clock import Clock, MonotonicClock, Pacer
from livelav.core.errors import LivelavError
from livelav.core.metrics import PeakMemory, Rate, process_age_s
from livelav.core.params import PARAMS, Settings
from livelav.core.shm import Board, Histogram, Latest, SampleRing, StopFlag
from livelav.core.store import write_json
from livelav.core.values import Image
from livelav.show.governor import Governor
from livelav.show.hud import Hud
from livelav.show.pixels import PixelReader
from livelav.show.record import PICTURE_FIELDS, RECORD_FIELDS, RecordConfig, run_recorder
from livelav.show.renderer import Moment, Renderer
from livelav.show.surface import Surface
from livelav.supervisor import Child, Event
from livelav.synth import IMAGE_FIELDS, PACE_FIELDS, SYNTH_FIELDS, SynthConfig, SynthShared, run_synth

MAIN_FIELDS = ("started_s", "first_s", "presented", "repeated", "late", "peak_rss_mb")

_LARGEST_IMAGE = 1024 * 1024 * 4
_CAPTURE_HUNG_S, _SYNTH_HUNG_S, _RECORDER_HUNG_S = 1.0, 2.5, 10.0
_CAPTURE_OPENS_S = 5.0  # a driver may hang in opening, too
_STOP_S = 1.2
_CRASHES_TO_FALL_BACK = 3
_SILENT_S = 3.0
_DRAW_BUDGET_MS = 9.0  # of the 16.7 of a picture, where the processor draws and has the generator to run besides


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """All that one run is told at its start."""

    capture: CaptureConfig
    fallback: CaptureConfig | None  # what to play where `capture` cannot even begin
    synth: SynthConfig
    settings: Settings
    aspect: Literal["fit", "fill"]
    size: tuple[int, int] = (1280, 720)
    fps: float = 60.0
    fullscreen: bool = False
    seconds: float | None = None
    stats: Path | None = None
    record: RecordConfig | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """Every piece of shared memory of one run."""

    ring: SampleRing
    settings: Latest
    pace: Board
    images: Latest
    pictures: Latest | None
    capture: Board
    synth: Board
    recorder: Board
    step_ms: Histogram
    tick_ms: Histogram
    stop: StopFlag


def _make_shared(ctx: multiprocessing.context.SpawnContext, picture_size: int) -> Shared:
    return Shared(
        ring=SampleRing(ctx),
        settings=Latest(ctx, len(PARAMS), "f8"),
        pace=Board(ctx, PACE_FIELDS),
        images=Latest(ctx, _LARGEST_IMAGE, "u1", IMAGE_FIELDS),
        pictures=Latest(ctx, picture_size, "u1", PICTURE_FIELDS) if picture_size else None,
        capture=Board(ctx, CAPTURE_FIELDS),
        synth=Board(ctx, SYNTH_FIELDS),
        recorder=Board(ctx, RECORD_FIELDS),
        step_ms=Histogram(ctx),
        tick_ms=Histogram(ctx),
        stop=StopFlag(ctx),
    )


@contextlib.contextmanager
def _signals(on_signal: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal end the show instead of the process."""
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, lambda *_: on_signal()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Live:
    """One run of the show. Make it, `start`, call `step` until it says False, `close`."""

    def __init__(self, config: LiveConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or MonotonicClock()
        ctx = multiprocessing.get_context("spawn")
        width, height = config.record.size if config.record else (0, 0)
        self.shared = shared = _make_shared(ctx, width * height * 4)
        self.settings = config.settings
        shared.settings.publish(np.array(self.settings.values))
        self.capture = Child(
            ctx, "capture", run_capture, (config.capture, shared.ring, shared.capture, shared.stop),
            shared.capture, _CAPTURE_HUNG_S, _CAPTURE_OPENS_S,
        )  # fmt: skip
        synth_shared = SynthShared(
            shared.ring, shared.settings, shared.pace, shared.images, shared.synth,
            shared.step_ms, shared.tick_ms, shared.stop,
        )  # fmt: skip
        self.synth = Child(ctx, "synth", run_synth, (config.synth, synth_shared), shared.synth, _SYNTH_HUNG_S)
        self.recorder = None
        if config.record:
            self.recorder = Child(
                ctx, "recorder", run_recorder,
                (config.record, shared.ring, shared.pictures, shared.recorder, shared.stop),
                shared.recorder, _RECORDER_HUNG_S,
            )  # fmt: skip
        self.board = Board(ctx, MAIN_FIELDS)
        self.latency_ms = Histogram(ctx)
        self.state = ShowState()
        self.source: Event = {}
        self.loaded: Event = {}
        self.warnings: list[str] = []
        self.rates = {"presented": Rate(), "images": Rate()}
        self._memory = PeakMemory()
        self._seen = 0
        self._heard = 0.0, 0.0  # rms and onset that belong to the image shown
        self._ends_s: float | None = None
        self._surface: Surface | None = None
        self.final: dict[str, Any] = {}  # the last statistics, once it is closed
        self._fallback = config.fallback

    @property
    def children(self) -> list[Child]:
        return [child for child in (self.capture, self.synth, self.recorder) if child]

    def start(self, open_surface: Callable[[], Surface]) -> None:
        """Starts the processes, and opens the surface while they load. Raises DisplayError."""
        now_s = self._clock.now_s()
        self.board["started_s"] = now_s - process_age_s()
        for child in self.children:
            child.start(now_s)
        self._surface = surface = open_surface()
        self._renderer = Renderer(surface.ctx, surface.software)
        self._hud = Hud(surface)
        self._governor = Governor(_DRAW_BUDGET_MS) if surface.software else None
        if self._config.fullscreen:
            self.apply(KEYS["F"].command)
        self._pacer = Pacer(self._config.fps, self._clock.now_s())
        self.shared.pace["period_s"] = self._pacer.period_s
        if record := self._config.record:
            self._record_pacer = Pacer(record.fps, self._clock.now_s())
            self._pixels = PixelReader(surface.ctx, self._renderer, record.size, surface.software)
        self._watch_s = self._note_s = self._stats_s = 0.0
        gc.collect()
        gc.freeze()

    @property
    def surface(self) -> Surface:
        assert self._surface is not None, "start first"
        return self._surface

    def apply(self, command: Command) -> None:
        """Performs one command, whoever sent it. Raises ParamError for a value out of range."""
        if isinstance(command, SetParam):
            self.settings = self.settings.with_values({command.name: command.value})
            self.shared.settings.publish(np.array(self.settings.values))
            return
        before, self.state = self.state, self.state.apply(command, self._clock.now_s())
        if self.state.fullscreen != before.fullscreen:
            try:
                self.surface.set_fullscreen(self.state.fullscreen)
            except LivelavError as error:
                self.state = replace(self.state, fullscreen=before.fullscreen)
                self._warn(str(error))

    def step(self) -> bool:
        """One turn of the loop: hands, processes, one picture. False once the show is over.

        Raises LivelavError where a process could not even begin: a missing source, an unreadable model.
        """
        surface, clock = self.surface, self._clock
        for key in surface.poll():
            if key in KEYS:
                self.apply(KEYS[key].command)
        if surface.should_close:
            self.apply(Quit())
        now_s = clock.now_s()
        if now_s - self._watch_s > 0.05:
            self._watch_s = now_s
            self._watch(now_s)
        if self.state.quit or self._over(now_s):
            return False
        if not surface.blocks:  # else the display itself sets the pace
            clock.sleep(self._pacer.due_s - now_s)
        self._present()
        return True

    def _over(self, now_s: float) -> bool:
        first_s, seconds = self.board["first_s"], self._config.seconds
        if self._ends_s is not None and now_s >= self._ends_s:
            return True
        return seconds is not None and first_s > 0 and now_s - first_s >= seconds

    def _present(self) -> None:
        surface, clock, board, shared = self.surface, self._clock, self.board, self.shared
        begin_s = clock.now_s()
        board["late"] += self._pacer.advance(begin_s)
        shared.pace["present_s"] = begin_s
        new = None if self.state.freeze else shared.images.read(self._seen)
        image = None
        if new:
            self._seen, flat, facts = new
            image = Image(flat.reshape(int(facts["height"]), int(facts["width"]), 4), facts["captured_s"])
            self._renderer.set_image(image)
            self._heard = facts["rms"], facts["onset"]
            if board["first_s"] == 0:
                board["first_s"] = begin_s
        elif board["first_s"] == 0:
            surface.present()  # nothing to show yet, but the window answers
            return
        rms, onset = self._heard
        moment = Moment(self.settings, begin_s, rms, onset, self.state.light(begin_s), self._config.aspect)
        self._renderer.draw(surface.fbo, surface.size, moment, self._governor.scale if self._governor else 1.0)
        if shared.pictures is not None and begin_s >= self._record_pacer.due_s:
            self._record_pacer.advance(begin_s)
            if picture := self._pixels.read(begin_s):
                pixels, presented_s = picture
                shared.pictures.publish(pixels, presented_s, pixels.shape[1], pixels.shape[0])
        if self.state.hud:
            self._hud.draw(begin_s, lambda: statistics.hud_rows(self, begin_s), self._level())
        surface.present()
        shown_s = clock.now_s()
        if self._governor:
            self._governor.step((shown_s - begin_s) * 1000, shown_s)
        board["presented"] += 1
        board["repeated"] += image is None
        if image is not None:
            self.latency_ms.add((shown_s - image.captured_s) * 1000)
        if shown_s - self._note_s > 0.5:
            self._note_s = shown_s
            board["peak_rss_mb"] = self._memory.peak_mb()
        if self._config.stats and shown_s - self._stats_s > 1.0:
            self._stats_s = shown_s
            write_json(self._config.stats, statistics.record(self, shown_s), durable=False)

    def _watch(self, now_s: float) -> None:
        """Looks after the children, and takes in what they say."""
        for child in self.children:
            for event in child.poll(now_s):
                self._on_event(child, event, now_s)
        if self.synth.crashes(now_s) >= _CRASHES_TO_FALL_BACK:
            self._fall_back()

    def _on_event(self, child: Child, event: Event, now_s: float) -> None:
        match event["kind"]:
            case "source":
                self.source = event
                # from now on a source that is missing is waited for
                child.args = (replace(child.args[0], retry_first=True), *child.args[1:])
            case "loaded":
                self.loaded = event
            case "ended" if child is self.capture:
                self._ends_s = now_s + 0.5
            case "error" if child is self.capture and not child.was_live and self._fallback:
                self._warn(f"{event['text']}; playing {self._fallback.request.input!r} instead")
                child.start_over((self._fallback, *child.args[1:]), now_s)
                self._fallback = None
            case "error" if not child.was_live:
                raise LivelavError(event["text"])
            case "error" | "warning" | "restart":
                self._warn(event["text"])

    def _warn(self, text: str) -> None:
        self.warnings = [*self.warnings, text][-5:]
        print(f"livelav: {text}", file=sys.stderr, flush=True)

    def _fall_back(self) -> None:
        """The generator keeps dying: the embedded model on the processor has nothing left to fail on."""
        config, shared = self.synth.args
        safe = replace(config, model="default", encoder="embedded", backend="auto")
        if config != safe:
            self._warn("the generator failed three times in a minute: going on with the embedded model")
            self.synth.args = (safe, shared)

    def silent_s(self, now_s: float) -> float:
        """For how long nothing was heard, where that is long enough to warn of; else 0."""
        silent_s = now_s - max(self.shared.capture["last_sound_s"], self.board["first_s"])
        return silent_s if silent_s >= _SILENT_S else 0.0

    def _level(self) -> float:
        """-60..0 dB as 0..1."""
        return min(max(1.0 + self.shared.capture["level_db"] / 60.0, 0.0), 1.0)

    def close(self) -> None:
        """Stops everything within two seconds, whatever state it is in, and writes the last statistics."""
        now_s = self._clock.now_s()
        self.final = statistics.record(self, now_s)
        try:
            if self._config.stats and self._surface is not None:
                write_json(self._config.stats, self.final)
        finally:
            self.shared.stop.set()
            for child in self.children:
                for event in child.stop(max(now_s + _STOP_S - self._clock.now_s(), 0.05)):
                    if event["kind"] in {"error", "warning"}:
                        self._warn(event["text"])
            if self._surface is not None:
                self._surface.close()


def run_live(
    config: LiveConfig, open_surface: Callable[[], Surface], on_step: Callable[[Live], None] = lambda _live: None
) -> Live:
    """Runs the show until it is asked to end; returns it closed, for its figures. `on_step` sees it after each turn.

    Raises LivelavError where it could not begin.
    """
    live = Live(config)
    with _signals(lambda: live.apply(Quit())):
        try:
            live.start(open_surface)
            while live.step():
                on_step(live)
        finally:
            live.close()
    return live
