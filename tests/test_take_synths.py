"""Takes of real synths, on a clock that is moved by hand: every frame that they made, and the images of it, again."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_generate_library import write_small
from test_takes import LOADED, frames_of, sound_of

from livelav.core.clock import FakeClock
from livelav.core.params import Settings
from livelav.core.scene import PACKED, MappingKey, Wanted
from livelav.core.shm import Board, Histogram, Latest, SampleRing, StopFlag
from livelav.encode.encoder import load_encoder
from livelav.flags import first_scene
from livelav.generate.library import load_generator
from livelav.live.presenter import PACE_FIELDS
from livelav.live.relay import Relay
from livelav.live.synth import IMAGE_FIELDS, SYNTH_FIELDS, TURN_FIELDS, SynthConfig, SynthShared, _Synth
from livelav.takes.diary import Diary
from livelav.takes.format import Heard, Take
from livelav.takes.taking import TAKE_FIELDS, Taker
from livelav.takes.tape import Tape

BLOCK = 441  # 10 ms


class Stage:
    """Stands for capture, main and the stop flag, around synths in two seats and a taker."""

    def __init__(self, folder: Path, rate_hz: int = 44_100) -> None:
        self.folder, self.rate_hz, self.clock = folder, rate_hz, FakeClock(1000.0)
        self.ring, self.wanted, self.relay = SampleRing(), Latest(PACKED, "f8"), Relay()
        self.main, self.diaries = Board(("seat",)), (Diary(), Diary())
        self.model = str(write_small(folder / "one.safetensors"))
        self.want(Settings(), MappingKey(3))
        self.synths: list[_Synth] = []
        self.images: list[tuple[int, Any]] = []  # (frame that it is of, pixels)
        self._seats = [self._seat(diary) for diary in self.diaries]
        self._rng, self._played, self._ends = np.random.default_rng(0), 0, list[Any]()
        self._turns: list[Callable[[], None]] = []

    def _seat(self, diary: Diary) -> SynthShared:
        return SynthShared(
            self.ring, self.wanted, Board(PACE_FIELDS), Board(TURN_FIELDS), Latest(64 * 64 * 4, "u1", IMAGE_FIELDS),
            Board(SYNTH_FIELDS), Histogram(), Histogram(), StopFlag(), self.relay, diary,
        )  # fmt: skip

    def want(self, settings: Settings, key: MappingKey, seconds: float = 0.0) -> None:
        self.wanted.publish(np.array(Wanted(settings, key, seconds=seconds).packed()))

    def synth(self, seat: int = 0, joins: bool = False) -> _Synth:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        self._ends.append(ours)
        config = SynthConfig(self.model, "openvino", "embedded", "const", self.folder / "trace.npz", joins)
        synth = _Synth(config, self._seats[seat], theirs, self.clock)
        synth._accounted_s = self.clock.now_s()
        self.synths.append(synth)
        return synth

    def join(self) -> None:
        """A second one comes to the other seat, and takes on what the first remembers."""
        self.before = len(ws_of(self.synths[0]))
        comes, before = self.synth(1, joins=True), self.relay.ask()
        comes._answered = self.relay.asked
        self.synths[0].hand_over()
        baton = self.relay.taken(before)
        assert baton is not None and comes.take(baton)

    def take_over(self) -> None:
        """From now on the second one plays alone."""
        self.main["seat"] = 1
        self.gone = self.synths.pop(0)

    def fall_asleep(self) -> None:
        self._sleeps = self.synths.pop()

    def wake_up(self) -> None:
        self.synths.append(self._sleeps)

    def die(self) -> None:
        """The one that plays died."""
        self.gone = self.synths.pop()

    def _turn_s(self, is_silent: bool) -> None:
        self.clock.sleep(BLOCK / 44_100)
        if not is_silent:
            loud = 0.15 + 0.14 * np.sin(self._played / 9.0)
            sound = loud * self._rng.standard_normal((self.rate_hz // 100, 2)).cumsum(axis=0) / 12.0
            self.ring.write(sound.astype(np.float32), self.clock.now_s(), self.rate_hz)
        self._played += 1
        for synth in self.synths:
            synth._hear(self.clock.now_s())
            if self._played % 30 == 0 and synth._frames:
                synth._made = None
                synth._tick()
                self.images.append((len(ws_of(synth)) - 1, synth._shared.images.read()[1]))

    def play(self, seconds: float, is_silent: bool = False) -> None:
        """To be played, once it is taken."""
        self._turns += [lambda: self._turn_s(is_silent)] * round(seconds * 100)

    def do(self, what: Callable[[], None]) -> None:
        self._turns.append(what)

    def taken(self) -> Path:
        tape, path, said = Tape(first_scene(None, None, {})), self.folder / "show.take", list[Any]()
        tape.begin(LOADED, self.clock.now_s())
        board = Board(TAKE_FIELDS)
        Taker(path, self.ring, self.diaries, self.main, board, tape.next, said.append, self, self.clock).run()
        assert not said and board["lost"] == 0
        return path

    def is_set(self) -> bool:
        if self._turns:
            self._turns.pop(0)()
            return False
        return True

    def wait(self, timeout: float | None = None) -> bool:
        return False


def _begins(heard: Heard) -> bool:
    return heard.begins


def _is_deaf(heard: Heard) -> bool:
    return heard.deaf


def ws_of(synth: _Synth) -> np.ndarray:
    assert synth._trace is not None
    return np.stack(synth._trace._ws)


def again(stage: Stage, path: Path) -> list[Any]:
    frames, _ = frames_of(path, load_encoder(), load_generator(stage.model).stats)
    return frames


def assert_same(frames: list[Any], live: np.ndarray) -> None:
    assert len(frames) >= len(live) > 100
    apart = [np.abs(frame.controls.ws - ws).max() for frame, ws in zip(frames, live, strict=False)]
    assert max(apart) <= 1e-5, f"from frame {np.argmax(np.array(apart) > 1e-5)} on"


def a_show(stage: Stage) -> None:
    """Knobs, fades of mappings, and silence that nobody sends, at the start and in between."""
    loud, key = Settings().with_values({"mapping.norm": 2.0, "audio.gain": -3.0}), MappingKey(9)
    stage.do(stage.synth)
    stage.play(0.3, is_silent=True)
    stage.do(lambda: stage.want(loud, MappingKey(3)))
    stage.play(1.0)
    stage.do(lambda: stage.want(loud, key, 1.5))
    stage.play(0.7)
    for n in range(40):
        stage.do(lambda n=n: stage.want(loud.with_values({"generate.psi": n / 40}), key, 1.5))
        stage.play(0.01)
    stage.play(0.777, is_silent=True)
    stage.do(lambda: stage.want(Settings(), MappingKey(5)))
    stage.play(1.0)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_every_frame_and_image_of_a_synth_is_made_again(tmp_path, rate_hz) -> None:
    stage = Stage(tmp_path, rate_hz)
    a_show(stage)
    path = stage.taken()
    frames, (synth,) = again(stage, path), stage.synths
    assert_same(frames, ws_of(synth))
    generator = load_generator(stage.model, "openvino")
    assert len(stage.images) > 10
    for number, pixels in stage.images:
        controls = frames[number].controls
        apart = generator.synthesize(controls.ws, controls.noise).reshape(-1).astype(int) - pixels
        assert np.abs(apart).max() <= 1


def test_a_synth_that_is_started_again_begins_in_the_middle_of_the_take(tmp_path) -> None:
    stage = Stage(tmp_path)
    stage.do(stage.synth)
    stage.play(1.5)
    stage.play(0.31, is_silent=True)
    stage.do(stage.die)
    stage.play(0.7)
    stage.do(stage.synth)
    stage.play(1.504)
    stage.do(lambda: stage.want(Settings(), MappingKey(5), 0.5))
    stage.play(1.0)
    path = stage.taken()
    assert_same(again(stage, path), np.concatenate([ws_of(stage.gone), ws_of(stage.synths[0])]))
    begins, deaf = ([heard.at for heard in Take(path).heard() or () if kind(heard)] for kind in (_begins, _is_deaf))
    assert begins[1] - deaf[0] == pytest.approx(0.7 * stage.rate_hz, abs=2), "its sound is there"


def test_a_synth_that_is_too_slow_for_the_sound_leaves_it_out_and_the_take_does_not(tmp_path) -> None:
    stage = Stage(tmp_path)
    stage.do(stage.synth)
    stage.play(1.5)
    stage.do(stage.fall_asleep)
    stage.play(6.5)
    stage.do(stage.wake_up)
    stage.play(2.0)
    path = stage.taken()
    (synth,) = stage.synths
    assert synth._reader.overruns > stage.rate_hz / 2
    assert_same(again(stage, path), ws_of(synth))
    assert len(sound_of(path)) == 10 * stage.rate_hz


def test_a_model_that_takes_over_is_followed_from_there_on(tmp_path) -> None:
    """Which heard the same meanwhile, silence too."""
    stage = Stage(tmp_path)
    stage.do(stage.synth)
    stage.play(1.0)
    stage.do(lambda: stage.want(Settings(), MappingKey(5), 1.5))
    stage.play(0.7)
    stage.do(stage.join)
    stage.play(0.5)
    stage.play(0.53, is_silent=True)
    stage.play(0.3)
    stage.do(stage.take_over)
    stage.play(0.4)
    stage.play(0.53, is_silent=True)
    stage.play(1.0)
    path = stage.taken()
    assert_same(again(stage, path), np.concatenate([ws_of(stage.gone)[: stage.before], ws_of(stage.synths[0])]))
