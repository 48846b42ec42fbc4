"""Body of the synth process: ring -> chain -> generator -> newest image. Its one thread is the only writer here.

Reads sound as it comes and ticks at the pace at which main presents, timed so that an image is ready just before it
is shown. When no sound comes it hears silence, so that the picture comes to rest by the same mapping that moved it.

A model that is a stranger's file still becomes one of livelav's first, in a process of its own, see importing.

One that joins a running show, to take over from another, stands back while it loads, then takes on from that one all
that its stages remember, so that from there on both make the same of the same sound, and draws rarely until it is seen.
Where the other gives no answer, it hears the last seconds of sound that the ring still holds, and learns the running
normalisation and the tempo anew.
"""

import contextlib
import gc
import math
import os
import signal
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import numpy as np

from livelav.audio.bits import in_24_bits
from livelav.chain import Chain, Frame
from livelav.core.clock import Clock, MonotonicClock
from livelav.core.errors import BackendError, LivelavError
from livelav.core.metrics import PeakMemory
from livelav.core.params import Settings
from livelav.core.processor import MAKING, in_the_background, stand_behind
from livelav.core.scene import MappingKey, Wanted
from livelav.core.shm import Board, Histogram, Latest, RingReader, SampleRing, StopFlag
from livelav.core.values import Block, Controls, Floats
from livelav.encode.encoder import Encoder, load_encoder
from livelav.generate.library import Generator, load_generator, step_down
from livelav.importing import playable
from livelav.live.relay import Baton, Relay
from livelav.mapping.blend import Blend
from livelav.mapping.interpolate import between
from livelav.mapping.mapper import Mapper
from livelav.mapping.meters import Meters
from livelav.takes.diary import Diary, Entry

SYNTH_FIELDS = (
    "heartbeat_s", "live", "frames", "images", "overruns", "idle_s", "onset", "rms", "spread", "step", "distance",
    "resolution", "frame_rate", "tick_s", "peak_rss_mb", "beat_bpm", "beat_s", "beat_confidence",
)  # fmt: skip
IMAGE_FIELDS = ("captured_s", "height", "width", "rms", "onset")
TURN_FIELDS = ("apart_s",)  # at least so long from one image to the next: for one that nobody sees yet

_SILENT_AFTER_S = 0.2
_POLL_S = 0.001
_MARGIN_S = 0.003
_STEP_PERCENT = 5  # between two reports of progress in other words
_PATIENCE_S = 2.0  # for so long one that comes waits for the one that plays, whose tick may take long
_TRACE_S = 2.0
_LONGEST_S = 1.0  # silence at once, after the machine slept
_STILL = 2e-4  # of W's standard deviation


@dataclass(frozen=True, slots=True)
class SynthConfig:
    """What is chosen at start."""

    model: str
    backend: str
    encoder: str
    noise: Literal["const", "random", "none"]
    trace: Path | None = None  # where to leave what was heard and the ws it made, for tests of live against offline
    joins: bool = False  # a show that runs already
    builds: bool = False  # `backend`, though that takes minutes: another engine plays the same model meanwhile


@dataclass(frozen=True, slots=True)
class SynthShared:
    """The shared memory of the synth process. It writes images, board and histograms, and reads the others."""

    ring: SampleRing
    wanted: Latest  # PACKED numbers
    pace: Board
    turn: Board
    images: Latest
    board: Board
    step_ms: Histogram
    tick_ms: Histogram
    stop: StopFlag
    relay: Relay  # of both synths: asked by the one that comes, answered by the one that plays
    diary: Diary | None = None  # where the show is taken


def run_synth(config: SynthConfig, shared: SynthShared, events: Connection) -> None:
    """The process's main function. A LivelavError while loading is sent as an `error` event."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stand_behind(MAKING)
    try:
        with in_the_background() if config.joins else contextlib.nullcontext():
            synth = _Synth(config, shared, events, MonotonicClock())
            if config.joins:
                synth.join()
    except LivelavError as error:
        events.send({"kind": "error", "text": str(error)})
        return
    gc.collect()
    gc.freeze()
    synth.run()


class _Trace:
    """Everything that was heard, block by block, and the ws of every frame. Only with `--trace`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks: list[Block] = []
        self._ws: list[Floats] = []

    def add(self, block: Block, frames: list[Frame]) -> None:
        self._blocks.append(block)
        self._ws.extend(frame.controls.ws for frame in frames)

    def save(self) -> None:
        """Whole at any moment: on a busy machine it may be the last, for main does not wait for long."""
        if not self._ws:
            return
        new = self._path.with_name(f".new-{self._path.stem}.npz")
        np.savez(
            new,
            samples=np.concatenate([b.samples for b in self._blocks]),
            lengths=np.array([len(b.samples) for b in self._blocks]),
            rates_hz=np.array([b.rate_hz for b in self._blocks]),
            ws=np.stack(self._ws),
        )
        os.replace(new, self._path)


def _label_troubles(generator: Generator, settings: Settings) -> list[str]:
    """What is wrong with the label that a show begins with."""
    if settings["generate.label"] and not generator.stats.labels:
        return [f"model {generator.name} knows no classes: generate.label changes nothing"]
    return []


class _Synth:
    def __init__(self, config: SynthConfig, shared: SynthShared, events: Connection, clock: Clock) -> None:
        self._config, self._shared, self._clock, self._events = config, shared, clock, events
        self._progress = ""
        encoder = load_encoder(config.encoder)
        self._plays = playable(config.model, self._on_import)
        self._generator = load_generator(
            self._plays,
            config.backend,
            noise_mode=config.noise,
            on_progress=self._on_progress,
            building="alone" if config.builds else "never",
        )
        self._wanted, self._wanted_seen = self._read_wanted(0) or (Wanted(Settings()), 0)
        self._told = tuple(self._wanted.packed())
        self._blend = self._make_blend(encoder, self._wanted.key)
        shared.board["tick_s"] = self._generator.first_s
        self._chain = Chain(encoder, self._blend)
        self._meters = Meters(self._generator.stats, encoder.frame_rate)
        self._reader = RingReader(shared.ring)
        self._frames: list[Frame] = []  # the last two
        self._made: Controls | None = None  # what the last image was made of
        self._onset = 0.0  # the strongest since the last image: there are more frames than images
        self._heard_s = clock.now_s()  # when the newest frame came in
        self._accounted_s = 0.0  # sound up to then was heard, or is still awaited
        self._spent_s = 0.0  # on sound that has not made a frame yet
        self._step_s = 0.0  # how long it takes to hear a frame
        self._rate_hz = float(encoder.sample_rate)
        self._frame_s = 1.0 / encoder.frame_rate
        self._tick_s = shared.board["tick_s"]  # how long a tick takes
        self._began_s = 0.0  # when the last one began
        self._lost = shared.board["overruns"]  # before this process was started in place of another
        self._answered = shared.relay.asked  # questions of those that come
        self._encoder = encoder
        self._trace = _Trace(config.trace) if config.trace else None
        if not config.joins:
            self._note(clock.now_s(), begins=True)
        board = shared.board
        board["resolution"], board["frame_rate"] = self._generator.resolution, encoder.frame_rate
        board["beat_confidence"] = 0.0  # before it was started in place of another, too
        self._say_loaded()

    def _say_loaded(self) -> None:
        for text in (*self._generator.warnings, *_label_troubles(self._generator, self._wanted.settings)):
            self._events.send({"kind": "warning", "text": text})
        self._events.send(
            {
                "kind": "loaded",
                "model": self._generator.name,
                "plays": self._plays,
                "sha256": self._generator.sha256,
                "backend": self._generator.backend_name,
                "unbuilt": self._generator.unbuilt,
                "encoder": self._encoder.name,
            }
        )

    def _on_import(self, step: str, share: float) -> None:
        """A stranger's file becomes a model first."""
        self._on_progress(f"importing it, {step} {100 * share // _STEP_PERCENT * _STEP_PERCENT:.0f} %")

    def _on_progress(self, text: str) -> None:
        """Something takes minutes, as building an engine may: the operator is told, and main that this process lives.
        What is to join a show says how far it is and no more: pictures go on meanwhile."""
        self._shared.board["heartbeat_s"] = self._clock.now_s()
        if text != self._progress:
            self._progress = text
            self._events.send({"kind": "progress" if self._config.joins else "warning", "text": text})

    def _step_down(self, error: BackendError) -> None:
        """The engine failed: the same model on the next one, while the last picture stays. Raises BackendError."""
        board = self._shared.board
        board["live"], board["heartbeat_s"] = 0.0, self._clock.now_s()  # main gives it time as at the start
        self._generator = step_down(self._generator, error)
        self._made = None
        self._say_loaded()

    def _read_wanted(self, seen: int) -> tuple[Wanted, int] | None:
        """What main wants, where that is newer than number `seen`, and its number."""
        newest = self._shared.wanted.read(seen)
        return (Wanted.unpacked(newest[1].tolist()), newest[0]) if newest else None

    def _make_blend(self, encoder: Encoder, key: MappingKey) -> Blend:
        stats = self._generator.stats

        def mapper(key: MappingKey) -> Mapper:
            words: dict[str, Any] = asdict(key)  # checked before they were packed
            return Mapper(stats, encoder, **words)

        return Blend(mapper, key, 1.0 / encoder.frame_rate)

    def join(self) -> None:
        """Goes on where the one that plays stands; if that gives no answer, from what the ring still holds."""
        relay, asked_s = self._shared.relay, self._clock.now_s()
        before = relay.ask()
        self._answered = relay.asked
        while (baton := relay.taken(before)) is None and self._clock.now_s() - asked_s < _PATIENCE_S:
            self._clock.sleep(_POLL_S)
        if baton is None or not self.take(baton):
            self._catch_up()

    def hand_over(self) -> None:
        """Answers one that comes, if it has asked."""
        if (asked := self._shared.relay.asked) == self._answered:
            return
        self._answered = asked
        write, position = self._reader.place
        self._shared.relay.give(
            Baton(
                self._encoder.name, self._chain, self._blend, self._wanted, self._wanted_seen, write, position,
                self._rate_hz, self._accounted_s,
            )
        )  # fmt: skip

    def take(self, baton: Baton) -> bool:
        """Goes on from there; False where that cannot be: another encoder, or sound that is gone already."""
        if baton.encoder != self._encoder.name or not self._shared.ring.holds(baton.write, baton.position):
            return False
        self._blend.take_over(baton.blend)
        self._chain = baton.chain
        self._chain.go_on(self._encoder, self._blend)
        self._wanted, self._told = baton.wanted, tuple(baton.wanted.packed())
        self._wanted_seen, self._rate_hz, self._accounted_s = baton.wanted_seen, baton.rate_hz, baton.accounted_s
        self._reader.go_to(baton.write, baton.position)
        return True

    def _catch_up(self) -> None:
        """Hears what was played while it was not there, as far as the ring goes back, if sound comes at all."""
        ring = self._shared.ring
        now, captured_s, _ = ring.anchor(ring.writes - 1)
        if self._clock.now_s() - captured_s > _SILENT_AFTER_S:
            return
        self._reader.rewind()
        # what comes meanwhile is for `run`: on a busy machine this may take as long as the sound does
        while self._reader.position < now and (block := self._reader.read()):
            self._frames = [*self._frames, *self._chain.push(block, self._wanted.settings)][-2:]

    def run(self) -> None:
        shared, memory = self._shared, PeakMemory()
        due_s = self._clock.now_s()
        self._accounted_s = self._accounted_s or due_s
        noted_s = traced_s = 0.0
        has_heard = False  # since the last image: on a machine that is too slow for both, neither waits for ever
        while not shared.stop.is_set():
            now_s = self._clock.now_s()
            shared.board["heartbeat_s"] = now_s
            self.hand_over()
            # a step that began just before an image is due would make it late: sound waits for the image instead
            begin_s = due_s - (self._step_s if self._reader.has_more else 0.0)
            if self._frames and has_heard and now_s >= max(begin_s, self._began_s + shared.turn["apart_s"]):
                self._tick()
                has_heard = False
                shared.board["live"] = 1.0
                due_s = self._next_tick_s(self._clock.now_s())
            else:
                if not self._hear(now_s):
                    self._clock.sleep(_POLL_S)
                has_heard = True
            if now_s - noted_s > 0.5:
                noted_s = now_s
                shared.board["peak_rss_mb"] = memory.peak_mb()
                if self._trace and now_s - traced_s > _TRACE_S:
                    traced_s = now_s
                    self._trace.save()
        if self._trace:
            self._trace.save()

    def _hear(self, now_s: float) -> bool:
        """Takes what is new in the ring; True if there was something."""
        block = self._reader.read()
        if block is None:
            return self._hear_silence(now_s)
        self._accounted_s = now_s + _SILENT_AFTER_S
        self._rate_hz = block.rate_hz
        if self._shared.diary:  # a take keeps no more of it, and is to come to the same
            block = replace(block, samples=in_24_bits(block.samples))
        self._push(block, now_s)
        return True

    def _hear_silence(self, now_s: float) -> bool:
        """No block for a while (source gone, or a system that sends none in silence): zeros, at the pace of time.

        In whole frames, so that frames begin at the same samples of the sound, however long it was silent.
        """
        if now_s - self._accounted_s > _LONGEST_S:
            self._accounted_s = now_s - _LONGEST_S
        frames = int((now_s - self._accounted_s) / self._frame_s)
        if frames < 1:
            return False
        silent_s = frames * self._frame_s
        self._accounted_s += silent_s
        self._shared.board["idle_s"] += silent_s
        zeros = np.zeros((round(silent_s * self._rate_hz), 2), np.float32)
        self._push(Block(zeros, now_s, self._rate_hz), now_s, is_silence=True)
        return True

    def _note(self, captured_s: float, samples: int = 0, silence: int = 0, begins: bool = False) -> None:
        """Into the diary: what is heard next."""
        if diary := self._shared.diary:
            write, position = self._reader.place
            diary.add(Entry(begins, write, position, samples, silence, captured_s, self._rate_hz, self._told))

    def _push(self, block: Block, now_s: float, is_silence: bool = False) -> None:
        shared = self._shared
        if newest := self._read_wanted(self._wanted_seen):
            self._wanted, self._wanted_seen = newest
            self._told = tuple(self._wanted.packed())
            self._blend.go_to(self._wanted.key, self._wanted.seconds)
        length = len(block.samples)
        self._note(block.captured_s, 0 if is_silence else length, length if is_silence else 0)
        frames = self._chain.push(block, self._wanted.settings)
        if self._trace:
            self._trace.add(block, frames)
        self._spent_s += self._clock.now_s() - now_s
        if not frames:
            return
        each_s = self._spent_s / len(frames)
        self._spent_s = 0.0
        self._step_s += 0.1 * (each_s - self._step_s)
        for frame in frames:
            shared.step_ms.add(each_s * 1000)
            self._meters.step(frame.controls.ws)
            self._onset = max(self._onset, frame.features.onset)
            if beat := frame.beat:
                shared.board["beat_bpm"], shared.board["beat_s"] = beat.bpm, frame.features.captured_s - beat.ago_s
                shared.board["beat_confidence"] = beat.confidence
        self._frames = [*self._frames, *frames][-2:]
        self._heard_s = now_s
        board, meters, features = shared.board, self._meters, frames[-1].features
        board["frames"] += len(frames)
        board["overruns"] = self._lost + self._reader.overruns
        board["onset"], board["rms"] = features.onset, features.rms
        board["spread"], board["step"], board["distance"] = meters.spread, meters.step_size, meters.distance

    def _controls(self, now_s: float) -> Controls:
        newest = self._frames[-1].controls
        if self._wanted.between == "newest" or len(self._frames) < 2:
            return newest
        return between(self._frames[-2].controls, newest, (now_s - self._heard_s) / self._frame_s)

    def _stands_still(self, controls: Controls) -> bool:
        """Whether the image would differ from the last one by no more than the engine's rounding.

        In silence ws comes to rest; images made all the same would shimmer by a grey level or two.
        """
        if self._made is None or self._config.noise == "random":
            return False
        moved = (controls.ws - self._made.ws) / np.maximum(self._generator.stats.std, 1e-6)
        noise_stands = float(np.abs(controls.noise - self._made.noise).max()) < _STILL
        return float(np.square(moved).mean()) < _STILL**2 and noise_stands

    def _tick(self) -> None:
        """One generate pass, unless nothing moves."""
        shared, begin_s = self._shared, self._clock.now_s()
        controls, features = self._controls(begin_s), self._frames[-1].features
        self._began_s = begin_s
        if self._stands_still(controls):
            return
        self._made = controls
        try:
            pixels = self._generator.synthesize(controls.ws, controls.noise)
        except BackendError as error:
            self._step_down(error)
            return
        height, width = pixels.shape[:2]
        shared.images.publish(pixels, controls.captured_s, height, width, features.rms, self._onset)
        self._onset = 0.0
        took_s = self._clock.now_s() - begin_s
        shared.tick_ms.add(took_s * 1000)
        shared.board["images"] += 1
        # Quick to shrink, slow to grow: what a tick takes when it is left alone. Beginning earlier for the sake of slow
        # ones would only put it beside main's drawing, which makes both slow.
        self._tick_s += (0.2 if took_s < self._tick_s else 0.05) * (took_s - self._tick_s)
        shared.board["tick_s"] = max(self._tick_s, took_s)  # main is as patient with us as the slowest asks for

    def _next_tick_s(self, now_s: float) -> float:
        """When to begin so that the image is ready just before main presents; at once where there is no such time.

        present          present          present
           |------[ tick ].|------[ tick ].|
        """
        period_s, present_s = self._shared.pace["period_s"], self._shared.pace["present_s"]
        lead_s = self._tick_s + _MARGIN_S
        if lead_s > 0.8 * period_s:  # no time to wait for the right moment; but more than are shown are of no use
            return max(now_s, self._began_s + period_s)
        shows_s = present_s + math.ceil((now_s - present_s) / period_s) * period_s  # the image just made
        return shows_s + period_s - lead_s
