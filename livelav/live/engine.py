"""The live show: makes the shared memory, the processes and the picture's loop, and takes them all down again.

    capture process -> ring -> synth process -> newest image -> this process: shaders, present
                         \\---> (another one, while the model changes) --^
                         \\--------------------------------------------------> recorder, taker (if asked for)

Main's thread never waits for another process: without a new image the last one stays and drifts in the shader. It is
the only writer of settings, pace and presented pictures. Everything else that runs, runs because this module
started it.
"""

import contextlib
import gc
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from livelav import IMPORTED_S
from livelav.control.commands import Quit, Toggle
from livelav.core.clock import MonotonicClock
from livelav.core.errors import LivelavError, StorageError, tell
from livelav.core.metrics import PeakMemory
from livelav.core.processor import WATCHING, draw_without_threads, stand_in_front
from livelav.core.scene import Drawn, Scene, Wanted
from livelav.core.store import write_json
from livelav.core.tempo import Tempo
from livelav.core.values import Event
from livelav.desk.desk import OURS, Desk
from livelav.desk.inputs import Inputs
from livelav.live import statistics
from livelav.live.crew import LiveConfig, make_crew, make_shared
from livelav.live.presenter import Presenter
from livelav.live.supervisor import AGAIN, Child
from livelav.live.synths import Asked
from livelav.show.surface import Surface
from livelav.takes.tape import Tape
from livelav.trying import Trying

_HANDS_S = 0.004  # between two looks at the controllers, while the next picture is waited for
_STOP_S = 1.2
_LAST_WORD_S = 0.1  # for so long controllers are waited for at the end, that their lights may go out
_CRASHES_TO_FALL_BACK = 3
_STEADY = "openvino"  # the engine that has least to fail on
_CRASHES_TO_REST, _RESTS_S = 5, 30.0  # of the MIDI or Link process in a minute: its library cannot live here now
_SILENT_S = 3.0
_WATCH_S, _NOTE_S, _STATS_S = 0.05, 0.5, 1.0
_WARNING_S = 20.0  # for so long a warning stays on the HUD


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

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._clock = MonotonicClock()
        ctx = multiprocessing.get_context("spawn")
        record = config.record
        self.shared = shared = make_shared(record.size[0] * record.size[1] * 4 if record else 1, bool(config.take))
        now_s = self._clock.now_s()
        inputs = Inputs(config.banks, config.osc, config.osc_out)
        self.desk = Desk(config.scene, config.preset, config.songs, inputs, now_s, config.stood, config.set_list)
        if config.take:
            self.desk.tape = Tape(config.scene, self.desk.scenes.recalled, self.desk.state.dark)
        self._unprepared = iter(self.desk.scenes.whole_set())
        self._postponed: list[Scene] = []  # scenes with effects that have to be tried first
        self._keeping = threading.Thread(target=self.desk.keeper.run, name="keeper", daemon=True)
        self._told: Wanted | None = None
        self._told_link: Tempo | None = None
        self._tell()
        self._heard = 0.0, 0.0, 0.0  # the sound's beat, as the synth put it down last
        crew = make_crew(ctx, config, shared)
        self.capture, self.synths = crew.capture, crew.synths
        self.recorder, self.taker = crew.recorder, crew.taker
        self.midi, self.link, self.booth = crew.midi, crew.link, crew.booth
        self.source: Event = {}
        self.loaded: Event = {}
        self._warnings: list[tuple[float, str]] = []  # (when, what)
        self.hud_text, self.lasting = statistics.HudText(), statistics.Lasting()
        self.final: dict[str, Any] = {}  # the last statistics, once it is closed
        self._fallback, self._notice = config.fallback, config.notice
        self._memory = PeakMemory()
        self._asked_to_end = self._is_fullscreen = self._ended = False
        self._ends_s = math.inf
        self._watch_s = self._note_s = self._stats_s = 0.0
        self._surface: Surface | None = None
        self._presenter: Presenter | None = None
        self._trying = Trying()

    @property
    def children(self) -> list[Child]:
        """Those that run, or are to be started again where they do not."""
        operator = self.booth.child if self.booth.child.pid is not None or self.booth.child.restarts else None
        return [
            child for child in (self.capture, self.synth, self.recorder, self.taker, *self._hands, operator) if child
        ]

    @property
    def synth(self) -> Child:
        """The one that plays."""
        return self.synths.child

    @property
    def _hands(self) -> list[Child]:
        """Those that are asked between two pictures."""
        return [child for child in (self.midi, self.link) if child]

    @property
    def surface(self) -> Surface:
        assert self._surface is not None, "start first"
        return self._surface

    def start(self, open_surface: Callable[[], Surface]) -> None:
        """Starts the processes, and opens the surface while they load. Raises DisplayError."""
        now_s = self._clock.now_s()
        self.shared.main["started_s"] = IMPORTED_S
        self._keeping.start()
        if os.path.isfile(self._config.capture.request.input):
            self.capture.start_at_s = math.inf  # a file is to be heard from its first sample
        for child in self.children:
            child.poll(now_s)
        config, shared = self._config, self.shared
        draw_without_threads()
        self._surface = open_surface()
        stand_in_front()
        self._presenter = Presenter(
            self._surface, (shared.seats[0].images, shared.seats[1].images), shared.pace, shared.main,
            shared.latency_ms, self._clock, config.fps, (config.record, shared.pictures) if config.record else None,
        )  # fmt: skip
        if config.fullscreen:
            self.desk.apply(Toggle("fullscreen"), now_s)
        if config.operator:
            self.desk.apply(Toggle("operator"), now_s)
        gc.collect()
        gc.freeze()

    def ask_to_end(self) -> None:
        """Ends the show with the next turn. Safe in a signal handler."""
        self._asked_to_end = True

    def _tell(self) -> None:
        """Tells synth and Link what has changed for them."""
        if (wanted := self.desk.wanted) != self._told:
            self._told = wanted
            self.shared.wanted.publish(np.array(wanted.packed()))
        if (asked := self.desk.beat.asked) != self._told_link:
            self._told_link = asked
            self.shared.asked.publish(np.array((asked.bpm, asked.origin_s)))

    def step(self) -> bool:
        """One turn of the loop: hands, processes, one picture. False once the show is over.

        Raises LivelavError where a process could not even begin: a missing source, an unreadable model.
        """
        assert self._presenter is not None, "start first"
        now_s, desk = self._clock.now_s(), self.desk
        desk.press(self.surface.poll(), now_s)
        self._look_whether_to_end(now_s)
        if now_s - self._watch_s > _WATCH_S:
            self._watch_s = now_s
            self._watch(now_s)
        if desk.state.quit or self._over(now_s):
            self._ended = True
            return False
        self._take_hands()
        while (left_s := self._presenter.left_s()) > 0:
            self._clock.sleep(min(left_s, _HANDS_S))
            self._take_hands()
        level = min(max(1.0 + self.shared.capture["level_db"] / 60.0, 0.0), 1.0)  # of the meter: -60 to 0 dB
        choices = desk.scenes.scene.choices
        if not self.shared.main["first_s"]:
            self._prepare()
        self._change_synths()
        self._presenter.present(
            desk.played, choices, desk.state, lambda: self.hud_text.rows(self, now_s), level, self.synths.balance
        )
        return True

    def _look_whether_to_end(self, now_s: float) -> None:
        """A signal always ends the show; a hand at the window's cross does not while keys are locked."""
        if self._asked_to_end or (self.surface.should_close and not self.desk.state.lock):
            self.desk.apply(Quit(), now_s)
        elif self.surface.should_close:
            self.surface.stay_open()
            self._warn("keys are locked, and the window stays open: Space unlocks; Ctrl-C ends the show", now_s)

    def _change_synths(self) -> None:
        """Lets the models come and go as the desk has them."""
        assert self._presenter is not None, "start first"
        now_s, scenes = self._clock.now_s(), self.desk.scenes
        due_s = scenes.due_s(now_s, self.desk.beat.tempo)
        shown_s = now_s + self._presenter.ahead_s
        asked = Asked(scenes.scene.drawn, scenes.coming, scenes.wanted.seconds, due_s, shown_s)
        for event in self.synths.step(asked, now_s, self.desk.state.freeze):
            self._on_event(self.synth, event, now_s)
        self.shared.main["seat"] = self.synths.at
        if self.desk.tape and (shows := self.synths.shows):
            self.desk.tape.note_fade(shows, now_s)

    def _prepare(self) -> None:
        """One scene of the set in each turn, while the models are being loaded and nothing is to be seen."""
        assert self._presenter is not None, "start first"
        untried = [effect.params[0] for effect in self._presenter.chain.untried]
        if (scene := next(self._unprepared, None)) is None:
            scene = self._postponed.pop() if self._postponed and not untried else None
        elif any(scene.settings[name] for name in untried):
            self._postponed.append(scene)
            scene = None
        if scene is not None:
            self._presenter.prepare(scene.settings, scene.choices["chain.order"])

    def _take_hands(self) -> None:
        """What hands did since the last look."""
        assert self._presenter is not None, "start first"
        now_s = self._clock.now_s()
        said = [(child, event) for child in self._hands for event in child.poll(now_s)]
        self._take_heard(now_s)
        heard = self.synths.board
        self.desk.take([event for _, event in said], now_s, heard["rms"], heard["onset"], self._presenter.ahead_s)
        self._tell()
        for child, event in said:
            if event["kind"] not in OURS:
                self._on_event(child, event, now_s)
                if event["kind"] == "restart":
                    self._on_restart(child, now_s)
        if self.midi and self.midi.listens and (told := self.desk.told(now_s)):
            self.midi.tell(told)
        self._tell_taker(now_s)
        if self.shared.main["first_s"]:  # the first picture comes first
            for event in self.booth.step(self, now_s):
                self._on_event(self.booth.child, event, now_s)
        self._follow_fullscreen(now_s)
        for news in self.desk.news():
            self._warn(news, now_s)

    def _tell_taker(self, now_s: float) -> None:
        """Hands on what was done, as far as it listens, once the synth hears."""
        if self.taker is None or (tape := self.desk.tape) is None:
            return
        if self.loaded and self.synths.board["frames"]:
            tape.begin(self.loaded, now_s)
        if self.taker.listens and (words := tape.next()):
            self.taker.tell(words)

    def _take_heard(self, now_s: float) -> None:
        """What the synth hears of the beat, where that is news."""
        board = self.synths.board
        bpm, beat_s, confidence = heard = board["beat_bpm"], board["beat_s"], board["beat_confidence"]
        if bpm and heard != self._heard:
            self._heard = heard
            self.desk.hear(Tempo(bpm, beat_s), confidence, now_s)

    def _follow_fullscreen(self, now_s: float) -> None:
        """The window does what the switch says."""
        if (wanted := self.desk.state.fullscreen) == self._is_fullscreen:
            return
        try:
            self.surface.set_fullscreen(wanted)
            self._is_fullscreen = wanted
        except LivelavError as error:
            self.desk.refuse("fullscreen")
            self._warn(str(error), now_s)

    def _on_restart(self, child: Child, now_s: float) -> None:
        if child is self.midi:
            self.desk.inputs.lost_all()
        if child.crashes(now_s) >= _CRASHES_TO_REST:
            child.start_at_s = now_s + _RESTS_S
            self._warn(f"{child.name} keeps dying: without it for {_RESTS_S:g} s", now_s)

    def _over(self, now_s: float) -> bool:
        first_s, seconds = self.shared.main["first_s"], self._config.seconds
        if not first_s:
            return False  # a sound may be over before the models are loaded
        return now_s >= self._ends_s or (seconds is not None and now_s - first_s >= seconds)

    def _watch(self, now_s: float) -> None:
        """Looks after the children, takes in what they say, and keeps the figures."""
        self.lasting.look(self, now_s)
        for child in self.children:
            if child not in (*self._hands, self.booth.child, self.synth):  # which are asked elsewhere
                for event in child.poll(now_s):
                    self._on_event(child, event, now_s)
        for event in self.synths.poll(now_s):
            self._on_event(self.synth, event, now_s)
        if self.synth.crashes(now_s) >= _CRASHES_TO_FALL_BACK:
            self._fall_back(now_s)
        if now_s - self._note_s > _NOTE_S:
            self._note_s = now_s
            self.shared.main["peak_rss_mb"] = self._memory.peak_mb()
        if self._presenter:  # while nothing is to be seen yet, it is waited for
            self._trying.step(self._presenter.chain, now_s, WATCHING if self.shared.main["first_s"] else 0)
        for news in self._presenter.news(now_s) if self._presenter else ():
            self._warn(news, now_s)
        if self.shared.main["first_s"]:
            self.desk.keep(now_s)
            if self._notice:
                self._show_warning(self._notice, now_s)
                self._notice = ""
        if self._config.stats and now_s - self._stats_s > _STATS_S and self.shared.main["first_s"]:
            self._stats_s = now_s
            try:
                write_json(self._config.stats, statistics.record(self, now_s), durable=False)
            except StorageError as error:  # a full disk ends no show
                self._stats_s = math.inf
                self._warn(str(error), now_s)

    def _on_event(self, child: Child, event: Event, now_s: float) -> None:
        match event["kind"]:
            case "source":
                self.source = event
                # from now on a source that is missing is waited for
                child.args = (replace(child.args[0], retry_first=True), *child.args[1:])
            case "loaded":
                self.loaded = event
                if self.capture.start_at_s == math.inf:
                    self.capture.start_at_s = now_s
            case "refused":
                self.desk.scenes.stay_with(self.synths.drawn, event["drawn"])
                self._warn(event["text"], now_s)
            case "ended" if child is self.capture:
                self._ends_s = now_s + 0.5
            case "ended" if child is self.taker:
                self.desk.tape = None
            case "error" if child is self.capture and not child.was_live and self._fallback:
                self._warn(f"{event['text']}; playing {self._fallback.request.input!r} instead", now_s)
                child.start_over((self._fallback, *child.args[1:]), now_s)
                self._fallback = None
            case "error" if not child.was_live:
                raise LivelavError(event["text"])
            case "error" | "warning" | "restart":
                self._warn(event["text"], now_s)

    def _warn(self, text: str, now_s: float) -> None:
        self._show_warning(text, now_s)
        tell(text)

    def _show_warning(self, text: str, now_s: float) -> None:
        self._warnings = [*self._warnings, (now_s, text)][-3:]

    def recent_warnings(self, now_s: float) -> list[str]:
        """Those that the operator should still see."""
        return [text for when_s, text in self._warnings if now_s - when_s < _WARNING_S]

    def _fall_back(self, now_s: float) -> None:
        """The generator keeps dying: its engine may be at fault, so the same model goes on upon the processor; where it
        was there, the embedded model has least to fail on.

        Raises LivelavError where it was on that already, and there never was a picture.
        """
        config, _seat = self.synth.args
        steady = replace(config, backend=_STEADY)
        safe = replace(steady, model="default", encoder="embedded")
        failed = "the generator failed three times in a minute: going on with"
        if config.backend != _STEADY and not str(self.loaded.get("backend", "")).startswith(_STEADY):
            self._warn(f"{failed} {_STEADY}", now_s)
            self.synths.stand_in(steady)
        elif config != safe:
            self._warn(f"{failed} the embedded model", now_s)
            self.desk.scenes.stay_with(Drawn(safe.model, safe.noise), self.synths.drawn)
            self.synths.stand_in(safe)
        elif not self.synth.was_live:
            reasons = [text for _, text in self._warnings if AGAIN not in text]
            raise LivelavError(
                f"no generator runs here ({reasons[-1] if reasons else 'it gives no reason'}); "
                "`livelav doctor` says what is missing"
            )

    @property
    def limits_flashes(self) -> bool:
        """Whether light is held back at this moment."""
        return self._presenter is not None and self._presenter.holds_light_back

    def silent_s(self, now_s: float) -> float:
        """For how long nothing was heard, where that is long enough to warn of; else 0."""
        silent_s = now_s - max(self.shared.capture["last_sound_s"], self.shared.main["first_s"])
        return silent_s if silent_s >= _SILENT_S else 0.0

    def _put_lights_out(self) -> None:
        if not self.midi or not (dark := self.desk.inputs.feedback.dark()):
            return
        until_s = self._clock.now_s() + _LAST_WORD_S
        while not self.midi.listens and self._clock.now_s() < until_s:  # it has yet to take what it was told just now
            self._clock.sleep(0.001)
        if self.midi.listens:
            self.midi.tell(dark)

    def close(self) -> None:
        """Stops everything within two seconds, whatever state it is in, and writes the last statistics."""
        now_s = self._clock.now_s()
        self.final = statistics.record(self, now_s)
        try:
            if self._config.stats and self._surface is not None:
                write_json(self._config.stats, self.final)
        except StorageError as error:
            tell(str(error))
        finally:
            self._put_lights_out()
            self._tell_taker(now_s)
            self.shared.stop.set()
            self._trying.close()
            if self._keeping.is_alive():
                if self.shared.main["first_s"] and self._ended:  # else it was cut off
                    self.desk.keep(now_s, ended=True)
                self.desk.keeper.close()
            for child in (*self.children, *self.synths.others):
                for event in child.stop(max(now_s + _STOP_S - self._clock.now_s(), 0.05)):
                    if event["kind"] in {"error", "warning"}:
                        tell(event["text"])
            self.desk.inputs.close()
            if self._keeping.is_alive():
                self._keeping.join(max(now_s + _STOP_S - self._clock.now_s(), 0.3))
                if self._keeping.is_alive():
                    tell("the disk is slow: what was saved last may be lost; the saves before it are beside the file")
            for news in self.desk.news():
                tell(news)
            if self._surface is not None:
                self._surface.close()


def run_live(
    config: LiveConfig, open_surface: Callable[[], Surface], on_step: Callable[[Live], None] = lambda _live: None
) -> Live:
    """Runs the show until it is asked to end; returns it closed, for its figures. `on_step` sees it after each turn.

    Raises LivelavError where it could not begin.
    """
    live = Live(config)
    with _signals(live.ask_to_end):
        try:
            live.start(open_surface)
            while live.step():
                on_step(live)
        finally:
            live.close()
    return live
