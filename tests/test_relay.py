"""A model is changed, and the one that comes goes on with all that the one that plays has learnt: real synths."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_generate_library import write_small

from livelav.core.clock import FakeClock
from livelav.core.params import Settings
from livelav.core.scene import PACKED, MappingKey, Wanted
from livelav.core.shm import Board, Histogram, Latest, SampleRing, StopFlag
from livelav.live.presenter import PACE_FIELDS
from livelav.live.relay import Relay
from livelav.live.synth import IMAGE_FIELDS, SYNTH_FIELDS, TURN_FIELDS, SynthConfig, SynthShared, _Synth

RATE_HZ, BLOCK = 44100.0, 441
SLOW = Settings().with_values({"smoothing.coarse": 6.0, "smoothing.leak": 1.0, "mapping.norm_time": 60.0})


class Stage:
    """A ring that is played into, and synths that hear it; each is asked for its frames by hand."""

    def __init__(self, folder: Path) -> None:
        self.ring, self.relay, self.wanted = SampleRing(), Relay(), Latest(PACKED, "f8")
        self.clock, self.folder = FakeClock(), folder
        self._rng, self._played = np.random.default_rng(0), 0
        self._ends = []

    def synth(self, model: str) -> _Synth:
        shared = SynthShared(
            self.ring, self.wanted, Board(PACE_FIELDS), Board(TURN_FIELDS), Latest(64 * 64 * 4, "u1", IMAGE_FIELDS),
            Board(SYNTH_FIELDS), Histogram(), Histogram(), StopFlag(), self.relay,
        )  # fmt: skip
        ours, theirs = multiprocessing.Pipe(duplex=False)
        self._ends.append(ours)
        return _Synth(SynthConfig(model, "openvino", "embedded", "const"), shared, theirs, self.clock)

    def play(self, seconds: float, *synths: _Synth) -> list[np.ndarray]:
        """So much of a sound that never repeats; the ws of every frame [frames, num_ws, 512] that each made of it."""
        made: list[list[np.ndarray]] = [[] for _ in synths]
        for _ in range(round(seconds * RATE_HZ / BLOCK)):
            loud = 0.15 + 0.14 * np.sin(self._played / 9.0)
            sound = loud * self._rng.standard_normal((BLOCK, 2)).cumsum(axis=0) / 12.0
            self._played += 1
            self.clock.sleep(BLOCK / RATE_HZ)
            self.ring.write(sound.astype(np.float32), self.clock.now_s(), RATE_HZ)
            for synth, frames in zip(synths, made, strict=True):
                before = synth._frames and synth._frames[-1]
                synth._hear(self.clock.now_s())
                if synth._frames and synth._frames[-1] is not before:
                    frames.append(synth._frames[-1].controls)
        return made

    def join(self, playing: _Synth, model: str) -> _Synth:
        """One more comes, asks, is answered, and goes on."""
        comes = self.synth(model)
        before = self.relay.ask()
        comes._answered = self.relay.asked
        playing.hand_over()
        baton = self.relay.taken(before)
        assert baton is not None and comes.take(baton)
        return comes


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def ws(made: list) -> np.ndarray:
    return np.stack([controls.ws for controls in made])


@pytest.mark.parametrize("settings", [Settings(), SLOW])
def test_after_a_change_to_the_same_model_both_make_the_same_from_the_first_frame_on(
    stage: Stage, settings: Settings
) -> None:
    model = str(write_small(stage.folder / "one.safetensors"))
    stage.wanted.publish(np.array(Wanted(settings, MappingKey(3)).packed()))
    plays = stage.synth(model)
    stage.play(4.0, plays)
    comes = stage.join(plays, model)
    stayed, came = stage.play(1.5, plays, comes)
    assert len(stayed) == len(came) > 100
    assert np.abs(ws(stayed) - ws(came)).max() <= 1e-5
    assert ws(stayed).std(axis=0).mean() > 0.01, "it moves"
    for a, b in zip(stayed, came, strict=True):
        assert np.array_equal(a.noise, b.noise) and a.captured_s == b.captured_s


def test_in_the_middle_of_a_fade_of_mappings_both_go_on_with_it(stage: Stage) -> None:
    model = str(write_small(stage.folder / "one.safetensors"))
    plays = stage.synth(model)
    stage.play(1.0, plays)
    stage.wanted.publish(np.array(Wanted(Settings(), MappingKey(9), seconds=1.5).packed()))
    stage.play(0.5, plays)
    comes = stage.join(plays, model)
    stayed, came = stage.play(1.5, plays, comes)
    assert np.abs(ws(stayed) - ws(came)).max() <= 1e-5


def test_another_model_is_driven_as_the_one_before_was(stage: Stage) -> None:
    """In units of each one's own W."""
    from livelav.generate.files import read_checkpoint, write_checkpoint

    first = write_small(stage.folder / "one.safetensors")
    one = read_checkpoint(first)
    other = stage.folder / "other.safetensors"
    stats = replace(
        one.stats, mean=one.stats.mean + 0.5, std=one.stats.std * np.linspace(0.5, 3, 512, dtype=np.float32)
    )
    write_checkpoint(other, one.config, one.tensors, stats.mean, stats.std)
    stage.wanted.publish(np.array(Wanted(Settings().with_values({"generate.psi": 1.0, "mapping.swell": 0.0})).packed()))
    plays = stage.synth(str(first))
    stage.play(2.0, plays)
    comes = stage.join(plays, str(other))
    stayed, came = stage.play(0.7, plays, comes)
    theirs = plays._generator.stats, comes._generator.stats
    moved = [(ws(made) - s.mean) / s.std for made, s in zip((stayed, came), theirs, strict=True)]
    assert np.abs(moved[0]).max() > 0.3
    assert np.abs(moved[0] - moved[1]).max() <= 1e-3


def test_silence_that_nobody_sends_is_handed_on_too(stage: Stage) -> None:
    model = str(write_small(stage.folder / "one.safetensors"))
    plays = stage.synth(model)
    stage.play(1.0, plays)
    for _ in range(60):
        stage.clock.sleep(0.02)
        plays._hear(stage.clock.now_s())
    comes = stage.join(plays, model)
    for _ in range(60):
        stage.clock.sleep(0.02)
        for one in (plays, comes):
            one._hear(stage.clock.now_s())
    assert np.abs(plays._frames[-1].controls.ws - comes._frames[-1].controls.ws).max() <= 1e-5


def test_where_no_answer_comes_the_ring_is_heard(stage: Stage) -> None:
    model = str(write_small(stage.folder / "one.safetensors"))
    stage.play(4.0)
    comes = stage.synth(model)
    comes.join()
    assert comes._frames == [], "after the time it waited that sound is past"
    stage.play(2.5)
    comes._catch_up()
    assert len(comes._frames) == 2


def test_sound_that_is_gone_is_not_gone_on_from(stage: Stage) -> None:
    model = str(write_small(stage.folder / "one.safetensors"))
    plays = stage.synth(model)
    stage.play(1.0, plays)
    comes = stage.synth(model)
    before = stage.relay.ask()
    plays.hand_over()
    stage.play(8.0)
    baton = stage.relay.taken(before)
    assert baton is not None and not comes.take(baton)
    assert not comes.take(replace(baton, encoder="another"))
