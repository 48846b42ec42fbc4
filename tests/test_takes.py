"""Takes: what was played live is played again, to the same ws; whoever wrote the file, and whatever ended it."""

import json
import multiprocessing
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile
from test_render import pictures_of
from test_render import sound_of as heard_of

from live import DEADLINE_S, Run
from livelav.audio.whole import WholeSound
from livelav.chain import Chain, Frame
from livelav.control.commands import (
    Command,
    FadeTo,
    Panic,
    Recall,
    Save,
    SetChoice,
    SetDrive,
    SetParam,
    StepPreset,
    Swap,
    Tap,
    Toggle,
    Undo,
    Vary,
)
from livelav.control.osc import LOOPBACK, Message, pack
from livelav.core.clock import FakeClock
from livelav.core.drive import Drive
from livelav.core.errors import LivelavError, TakeError
from livelav.core.params import Settings
from livelav.core.scene import Wanted
from livelav.core.scene_json import scene_of
from livelav.core.setlists import every_preset
from livelav.core.shm import Board, SampleRing, StopFlag
from livelav.core.store import config_dir
from livelav.core.tempo import Tempo
from livelav.core.values import Block, Floats
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs
from livelav.encode.calibration import passage
from livelav.encode.encoder import load_encoder
from livelav.flags import first_scene
from livelav.generate.library import load_generator
from livelav.mapping.blend import Blend
from livelav.mapping.mapper import Mapper
from livelav.render.casting import Made
from livelav.render.offline import Script
from livelav.render.rendering import render
from livelav.takes.diary import Diary, Entry
from livelav.takes.format import HEARD, LINES, LONGEST_LINE, SOUND, Take, _command, line
from livelav.takes.taking import TAKE_FIELDS, TakeConfig, Taker, run_taker
from livelav.takes.tape import Tape

START_S, RATE_HZ = 1000.0, 48_000
PIECE = RATE_HZ // 75  # a frame of the encoder
LOADED = {"model": "default", "sha256": "0" * 64, "encoder": "embedded"}

Done = tuple[float, Command | Callable[[Desk, float], None]]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@pytest.fixture(scope="module")
def stats():
    return load_generator().stats


@pytest.fixture(scope="module")
def music() -> Floats:
    """[n, 2] of 16 bits."""
    both = np.stack([passage(RATE_HZ, 12.0, 3), passage(RATE_HZ, 12.0, 4)], axis=1)
    return (np.round(both * 32767) / 32768).astype(np.float32)


@pytest.fixture
def presets() -> Path:
    folder = config_dir() / "presets"
    folder.mkdir(parents=True)
    (folder / "one.toml").write_text(
        "schema = 1\n[choices]\nseed = 3\n[params]\nmapping.norm = 2.0\ngenerate.psi = 0.7\n[drive]\n"
        'mapping.slope = "sine 2 0.123456"\ngenerate.psi = "onset 0.3"\n'
    )
    (folder / "two.toml").write_text(
        'schema = 1\n[choices]\nseed = 4\nmapping.placement = "outside"\n'
        "[params]\nsmoothing.fine = 0.05\ntempo.bpm = 97\n"
    )
    return folder


def taken(show: "LiveShow | Source", path: Path) -> Path:
    """What a taker makes of it, once it is over."""
    diaries, main = (show.diary, Diary()), Board(("seat",))
    Taker(path, show.ring, diaries, main, show.board, show.tape.next, show.said.append, show, show.clock).run()
    return path


class LiveShow:
    """The live stages on a clock that is moved by hand, and what they made; stands for main and the stop flag."""

    def __init__(
        self, sound: Floats, encoder: Any, stats: Any, script: list[Done], piece: int = PIECE, **flags: str
    ) -> None:
        scene = first_scene(None, None, flags)
        self.clock, self.ring, self.board = FakeClock(START_S), SampleRing(), Board(TAKE_FIELDS)
        self.desk = Desk(scene, None, every_preset(), Inputs(), START_S)
        self.desk.tape = self.tape = Tape(scene)
        self.tape.begin(LOADED, START_S)
        self.diary = Diary()
        told = tuple(self.desk.wanted.packed())
        self.diary.add(Entry(True, 0, 0, 0, 0, START_S, RATE_HZ, told))
        blend = Blend(lambda key: Mapper(stats, encoder, key.seed, placement=key.placement), scene.key, 1 / 75)
        self._chain, self._blend = Chain(encoder, blend), blend
        self._sound, self._script, self._at = sound, sorted(script, key=lambda done: done[0]), 0
        self._heard, self._piece = (0.0, 0.0), piece
        self.ws: list[Floats] = []
        self.said: list[dict[str, Any]] = []

    def take_to(self, path: Path) -> Path:
        return taken(self, path)

    def is_set(self) -> bool:
        if self._at >= len(self._sound):
            return True
        end_s = START_S + (self._at + self._piece) / RATE_HZ
        desk, events = self.desk, []
        while self._script and START_S + self._script[0][0] <= end_s:
            done_s, what = self._script.pop(0)
            self.clock.sleep(START_S + done_s - self.clock.now_s())
            if isinstance(what, dict):
                events.append(what)
            elif callable(what):
                what(desk, self.clock.now_s())
            else:
                desk.apply(what, self.clock.now_s())
        self.clock.sleep(end_s - self.clock.now_s())
        self._hear(events)
        return False

    def _hear(self, events: list[dict[str, Any]]) -> None:
        now_s, desk = self.clock.now_s(), self.desk
        desk.take(events, now_s, *self._heard)
        wanted = desk.wanted
        self._blend.go_to(wanted.key, wanted.seconds)
        samples = self._sound[self._at : self._at + self._piece]
        self._at += self._piece
        self.ring.write(samples, now_s, RATE_HZ)
        total, _, _ = self.ring.anchor(self.ring.writes - 1)
        told = tuple(wanted.packed())
        self.diary.add(Entry(False, self.ring.writes, total, len(samples), 0, now_s, RATE_HZ, told))
        for frame in self._chain.push(Block(samples, now_s, float(RATE_HZ)), wanted.settings):
            self._heard = frame.features.rms, frame.features.onset
            self.ws.append(frame.controls.ws)
            if beat := frame.beat:
                desk.hear(Tempo(beat.bpm, now_s - beat.ago_s), beat.confidence, now_s)

    def wait(self, timeout: float | None = None) -> bool:
        return False


def again(path: Path, encoder: Any, stats: Any, fps: int = 75) -> tuple[list[Any], Script]:
    """The steps of a take."""
    take = Take(path)
    whole = WholeSound(take.sound)
    script = Script(encoder, stats, take.scene, Fraction(fps), None, take.commands(whole.rate_hz), take.heard())
    return list(script.steps(whole.blocks(), whole.rate_hz)), script


def assert_same(show: LiveShow, path: Path, encoder: Any, stats: Any) -> None:
    steps, script = again(path, encoder, stats)
    assert len(steps) >= len(show.ws) - 1 > 100
    apart = [np.abs(step.controls.ws - ws).max() for step, ws in zip(steps, show.ws, strict=False)]
    assert max(apart) <= 1e-5, f"from frame {np.argmax(np.array(apart) > 1e-5)} on"
    desk = script._desk
    assert desk.settings == show.desk.settings
    assert desk.scenes.scene.key == show.desk.scenes.scene.key
    assert desk.scenes.scene.drives == show.desk.scenes.scene.drives


CLOCK = {"kind": "tempo", "port": "drums", "bpm": 132.5, "origin_s": START_S + 7.013}
EVENING: list[Done] = [
    (0.21, SetParam("mapping.norm", 1.7)),
    (0.50, SetParam("preset.morph", 0.6)),
    (0.95, Recall("one")),
    (1.2, SetParam("smoothing.coarse", 0.3)),  # in the fade
    (2.0, Tap()),
    (2.51, Tap()),
    (3.02, Tap()),
    (3.03, SetParam("preset.cue", 4.0)),
    (3.04, StepPreset(1)),
    (5.6, Swap()),
    (5.7, SetParam("preset.cue", 0.0)),
    (5.71, SetParam("generate.psi", 0.4)),
    (5.9, SetDrive("mapping.norm", Drive("level", 0.31, 1.0))),
    (6.1, Save()),
    (6.2, Vary()),
    (6.9, Panic()),
    (7.1, CLOCK),
    (7.6, Undo()),
    (8.2, Recall("one")),
    (8.9, Swap()),
    (9.5, SetChoice("model", "nobody")),
    (9.6, SetChoice("mapping.placement", "outside")),
    (10.0, Undo()),
    (10.4, Recall("two")),
    (10.5, Undo()),
    (10.6, Recall("two")),
]


def test_a_take_is_played_again_to_the_same_ws(tmp_path, encoder, stats, music, presets) -> None:
    show = LiveShow(music, encoder, stats, list(EVENING), preset_morph="0.6")
    path = show.take_to(tmp_path / "show.take")
    assert show.said == []
    shutil.rmtree(presets)  # files may have changed, or never have been on this machine
    assert_same(show, path, encoder, stats)
    assert len({tuple(ws[0, :3]) for ws in show.ws}) > 100, "something moved"


def test_a_beat_that_is_heard_drives_the_same_again(tmp_path, encoder, stats, music) -> None:
    script: list[Done] = [
        (0.1, SetDrive("mapping.norm", Drive("square", 0.4, 1.0))),
        (0.2, SetDrive("generate.psi", Drive("onset", 0.3))),
        (8.0, lambda desk, now_s: desk.hear(Tempo(140.0, now_s - 0.1), 0.9, now_s)),
    ]
    show = LiveShow(music, encoder, stats, script, tempo_bpm="117.3", tempo_hearing="1")
    path = show.take_to(tmp_path / "show.take")
    assert_same(show, path, encoder, stats)
    assert show.desk.beat.source == "heard"
    assert (path / LINES).read_text().count('"bpm": 140.0') >= 1


@pytest.mark.parametrize("piece", [256, 1000])
def test_whatever_the_blocks_of_a_show_it_comes_to_the_same_ws(tmp_path, encoder, stats, music, presets, piece) -> None:
    """Settings change at any sample of a frame, in fades and by drives with every block."""
    script: list[Done] = [
        (0.5, SetParam("mapping.norm", 2.0)),
        (1.0, Recall("one")),
        (2.1, SetDrive("generate.psi", Drive("sine", 0.4, 0.3))),
        (3.2, Panic()),
    ]
    show = LiveShow(music[: 4 * RATE_HZ], encoder, stats, script, piece)
    path = show.take_to(tmp_path / "show.take")
    shutil.rmtree(presets)
    assert_same(show, path, encoder, stats)


def test_a_take_of_an_older_livelav_is_made_of_what_was_done(tmp_path, encoder, stats, music) -> None:
    show = LiveShow(music[: 3 * RATE_HZ], encoder, stats, [(0.5, SetParam("mapping.norm", 2.0))])
    path = edited(show.take_to(tmp_path / "show.take"), tmp_path / "old.take", livelav_take=1)
    (path / HEARD).unlink()
    assert Take(path).heard() is None
    assert_same(show, path, encoder, stats)


def test_what_the_audience_saw_of_switches_is_seen_again(tmp_path, encoder, stats, music) -> None:
    script: list[Done] = [
        (0.5, Toggle("freeze")),
        (0.9, Toggle("freeze")),
        (1.2, Toggle("blackout")),
        (1.3, Toggle("hud")),
        (2.0, Toggle("blackout")),
        (2.5, Toggle("pattern")),
    ]
    show = LiveShow(music[: 3 * RATE_HZ], encoder, stats, script)
    path = show.take_to(tmp_path / "show.take")
    assert "hud" not in (path / LINES).read_text(), "what the operator alone saw"
    steps, _ = again(path, encoder, stats, fps=30)
    at = {round(step.time_s, 3): step for step in steps}
    assert at[0.6].controls is at[0.8].controls and at[0.6].moment.time_s == at[0.8].moment.time_s
    assert at[0.6].moment.shown_s == pytest.approx(0.6)
    assert at[1.0].controls is not at[0.8].controls
    assert at[1.1].moment.light == 1 and 0 < at[1.3].moment.light < 1 and at[1.8].moment.light == 0
    assert at[2.4].moment.light == 1 and not at[2.4].moment.pattern and at[2.6].moment.pattern


def test_frozen_no_drive_and_no_recall_is_seen_again_but_light_is(tmp_path, encoder, stats, music) -> None:
    folder = config_dir() / "presets"
    folder.mkdir(parents=True)
    (folder / "other.toml").write_text(
        'schema = 1\n[choices]\nshow.aspect = "fit"\nchain.order = "grain"\n[params]\nshow.contour = 0.1\n'
    )
    script: list[Done] = [
        (0.1, SetDrive("show.hue", Drive("sine", 0.5, 1.0))),
        (0.5, Toggle("freeze")),
        (0.6, Recall("other")),
        (0.7, SetParam("show.brightness", 0.25)),
        (1.0, Toggle("freeze")),
    ]
    show = LiveShow(music[: 2 * RATE_HZ], encoder, stats, script, preset_morph="0")
    steps, _ = again(show.take_to(tmp_path / "show.take"), encoder, stats, fps=30)
    moments = [step.moment for step in steps]
    assert len({moment.settings["show.hue"] for moment in moments[5:14]}) > 5, "the drive moves it"
    frozen = [moment for step, moment in zip(steps, moments, strict=True) if 0.51 < step.time_s < 0.99]
    before = next(step.moment for step in reversed(steps) if step.time_s < 0.5)
    assert frozen[-1].settings["show.brightness"] == 0.25
    for moment in frozen:
        light = {"show.brightness": moment.settings["show.brightness"]}
        assert moment.settings == before.settings.with_values(light)
        assert (moment.aspect, moment.order) == (before.aspect, before.order)
    assert (moments[-1].aspect, moments[-1].order, moments[-1].settings["show.contour"]) == ("fit", "grain", 0.1)


# ---- what is written


class Source:
    """Stands for capture, synth, main and the stop flag: what it does is a list of (seconds to wait, what to do then).

    The synth hears at once what is written to the ring, and silence where nothing is.
    """

    def __init__(self, *turns: tuple[float, Callable[[SampleRing, float], None]]) -> None:
        self.clock, self.ring, self.board = FakeClock(START_S), SampleRing(), Board(TAKE_FIELDS)
        self.tape = Tape(first_scene(None, None, {}))
        self.tape.begin(LOADED, START_S)
        self._turns, self._heard, self._rate_hz = list(turns), 0, RATE_HZ
        self.diary, self._told = Diary(), tuple(Wanted(Settings()).packed())
        self.diary.add(Entry(True, 0, 0, 0, 0, START_S, RATE_HZ, self._told))
        self.said: list[dict[str, Any]] = []

    def take_to(self, path: Path) -> Path:
        return taken(self, path)

    def is_set(self) -> bool:
        if not self._turns:
            return True
        wait_s, do = self._turns.pop(0)
        self.clock.sleep(wait_s)
        do(self.ring, self.clock.now_s())
        if wait_s and self._heard == self.ring.writes:
            self.hear(silence=round(wait_s * self._rate_hz))
        while self._heard < self.ring.writes:
            self._heard += 1
            before, _, _ = self.ring.anchor(self._heard - 2)
            total, captured_s, self._rate_hz = self.ring.anchor(self._heard - 1)
            self.hear(total - before, captured_s=captured_s)
        return False

    def hear(self, samples: int = 0, silence: int = 0, captured_s: float | None = None, begins: bool = False) -> None:
        """The next entry, at the newest sample that was heard."""
        total, _, _ = self.ring.anchor(self._heard - 1)
        at_s = self.clock.now_s() if captured_s is None else captured_s
        self.diary.add(Entry(begins, self._heard, total, samples, silence, at_s, self._rate_hz, self._told))

    def wait(self, timeout: float | None = None) -> bool:
        return False


def sound(light: float, seconds: float = 0.1, rate_hz: int = RATE_HZ) -> Callable[[SampleRing, float], None]:
    samples = np.full((round(seconds * rate_hz), 2), light, np.float32)
    return lambda ring, now_s: ring.write(samples, now_s, rate_hz)


def nothing(_ring: SampleRing, _now_s: float) -> None:
    pass


def sound_of(path: Path) -> Floats:
    return np.concatenate(list(WholeSound(Take(path).sound).blocks()))


def test_sound_of_24_bits_comes_back_to_the_last(tmp_path) -> None:
    samples = np.random.default_rng(0).integers(-(1 << 23), 1 << 23, (RATE_HZ, 2)).astype(np.float32) / (1 << 23)
    samples[:2] = [[1.0, -1.0], [3.0, -7.0]]
    source = Source((1.0, lambda ring, now_s: ring.write(samples, now_s, RATE_HZ)))
    found = sound_of(source.take_to(tmp_path / "show.take"))
    assert np.array_equal(found[2:RATE_HZ], samples[2:])
    assert np.abs(found[:2]).max() <= 1 < 1 + 1e-6, "cut off at full scale"


def test_where_no_sound_comes_the_take_goes_on_in_silence_and_its_lines_in_their_place(tmp_path) -> None:
    source = Source(
        *[(0.1, sound(0.5))] * 5,
        *[(0.1, nothing)] * 10,
        (0.0, lambda _ring, now_s: source.tape.note(SetParam("mapping.norm", 2.0), now_s)),
        *[(0.1, sound(0.25))] * 5,
        (0.0, lambda _ring, now_s: source.tape.note(SetParam("mapping.norm", 3.0), now_s - 0.05)),
    )
    path = source.take_to(tmp_path / "show.take")
    found = sound_of(path)[: 2 * RATE_HZ, 0]
    assert (found[: RATE_HZ // 2] == 0.5).all() and not found[RATE_HZ // 2 : 3 * RATE_HZ // 2].any()
    assert (found[3 * RATE_HZ // 2 :] == 0.25).all()
    assert [at_s for at_s, _ in Take(path).commands(RATE_HZ)] == pytest.approx([1.5, 1.95], abs=1e-4)


def test_where_the_synth_hears_nothing_the_sound_goes_on_without_it(tmp_path) -> None:
    """It is started again, or builds an engine for minutes; then it begins anew."""
    source = Source((0.1, sound(0.5)), *[(0.1, sound(0.25))] * 80, (0.1, sound(0.125)), *[(0.1, nothing)] * 10)
    hear = source.hear
    source.hear = lambda *what, **more: hear(*what, **more) if not 1 < source._heard < 82 else None  # type: ignore[method-assign]
    path = source.take_to(tmp_path / "show.take")
    found = sound_of(path)[:, 0]
    assert (found[RATE_HZ // 10 : 81 * RATE_HZ // 10] == 0.25).all()
    assert (found[81 * RATE_HZ // 10 : 82 * RATE_HZ // 10] == 0.125).all()
    assert source.board["lost"] == 0


def test_what_the_ring_lost_is_silence_and_counted(tmp_path) -> None:
    source = Source((0.1, sound(0.5)), *[(0.0, nothing)], (9.0, sound(0.25, 9.0)))
    path = source.take_to(tmp_path / "show.take")
    found = sound_of(path)[:, 0]
    assert source.board["lost"] > 0
    assert np.flatnonzero(found == 0.25)[-1] == pytest.approx(9.1 * RATE_HZ, abs=2)


def test_a_source_that_comes_back_at_another_rate_goes_on(tmp_path) -> None:
    source = Source((1.0, sound(0.5, 1.0)), (1.0, sound(0.25, 1.0, 96_000)))
    found = sound_of(source.take_to(tmp_path / "show.take"))[:, 0]
    assert found[: RATE_HZ - 50] == pytest.approx(0.5)
    assert found[RATE_HZ + 50 : 2 * RATE_HZ - 50] == pytest.approx(0.25, abs=1e-3)


def test_what_was_done_before_the_beginning_counts_from_there(tmp_path) -> None:
    source = Source((0.1, sound(0.5)), (0.1, sound(0.25)))
    source.tape.note(SetParam("mapping.norm", 2.0), START_S - 5.0)
    path = source.take_to(tmp_path / "show.take")
    assert list(Take(path).commands(RATE_HZ)) == [(0.0, SetParam("mapping.norm", 2.0))]


def test_a_show_that_ends_before_it_begins_leaves_nothing(tmp_path) -> None:
    source = Source()
    source.tape = Tape(first_scene(None, None, {}))
    source.take_to(tmp_path / "show.take")
    assert not (tmp_path / "show.take").exists()


@pytest.mark.parametrize(("name", "says"), [("show", "end it in .take"), ("there.take", "exists"), ("no/a.take", "no")])
def test_a_take_that_cannot_be_begun_is_refused_in_one_line(tmp_path, name, says) -> None:
    (tmp_path / "there.take").mkdir()
    source = Source((0.1, sound(0.5)))
    source.take_to(tmp_path / name)
    assert [event["kind"] for event in source.said] == ["error"]
    assert says in source.said[0]["text"] and "\n" not in source.said[0]["text"]


def test_a_full_disk_ends_the_take_well_and_not_the_show(tmp_path, monkeypatch) -> None:
    free = iter([1 << 40, 1 << 40, 1 << 40, 1 << 29, 1 << 29])
    monkeypatch.setattr("livelav.show.record.free_bytes", lambda _path: next(free))
    source = Source(*[(0.1, sound(0.5))] * 40)
    path = source.take_to(tmp_path / "show.take")
    assert [event["kind"] for event in source.said] == ["warning", "ended"]
    assert "512 MiB free" in source.said[0]["text"]
    assert RATE_HZ // 2 < len(sound_of(path)) < 3 * RATE_HZ


def test_more_than_can_be_written_ends_the_take(tmp_path) -> None:
    source = Source(*[(0.1, sound(0.5))] * 90)
    for n in range(30_000):
        source.tape.note(SetParam("mapping.norm", n / 30_000), START_S + n / 30_000)
    path = source.take_to(tmp_path / "show.take")
    assert [event["kind"] for event in source.said] == ["warning", "ended"]
    assert len(list(Take(path).commands(RATE_HZ))) <= 20_000


def test_words_on_their_way_are_less_than_a_pipe_holds() -> None:
    tape = Tape(first_scene(None, None, {}))
    tape.begin(LOADED, 0.0)
    for n in range(5_000):
        tape.note(SetParam("mapping.norm", 1.0), float(n))
    sizes = []
    while words := tape.next():
        sizes.append(sum(len(text) + 16 for _, text in words))
    assert max(sizes) < LONGEST_LINE and len(sizes) > 1


# ---- what is read


@pytest.fixture
def take(tmp_path) -> Path:
    source = Source(*[(0.1, sound(0.5))] * 10)
    for n in range(5):
        source.tape.note(SetParam("mapping.norm", n / 5), START_S + n / 10)
    return source.take_to(tmp_path / "show.take")


def written(take: Path, *lines: Any) -> Path:
    """The take with these after its own."""
    with (take / LINES).open("a") as file:
        file.writelines(one if isinstance(one, str) else json.dumps(one) + "\n" for one in lines)
    return take


def test_a_last_line_that_is_cut_off_is_left_out(take) -> None:
    content = (take / LINES).read_bytes()
    (take / LINES).write_bytes(content[:-9])
    assert len(list(Take(take).commands(RATE_HZ))) == 4


def test_what_this_livelav_does_not_know_is_left_out_and_named(take) -> None:
    written(
        take,
        {"at": 48000, "do": "dance", "how": "well"},
        {"at": 48000, "do": "set", "name": "sparkle.amount", "value": 3},
        {"at": 48000, "do": "choose", "name": "chain.order", "word": "sparkle"},
        {"at": 48000, "do": "vary", "values": {"sparkle.amount": 1, "mapping.norm": 2}},
        {
            "at": 48000,
            "do": "play",
            "name": "x",
            "preset": {"choices": {"seed": 1}, "params": {"sparkle.x": 1}, "drive": {}},
        },
    )
    found = Take(take)
    assert found.strange == ("dance", "sparkle.amount", "sparkle.x")
    assert len(list(found.commands(RATE_HZ))) == 5 + 3


NAN = '{"at": 48000, "do": "set", "name": "mapping.norm", "value": NaN}\n'


@pytest.mark.parametrize(
    "bad",
    [
        "what\n",
        "[]\n",
        "\0\0\n",
        "[" * 60_000 + "\n",
        NAN,
        '{"at": 48000, "do": "set", "name": "mapping.norm", "value": ' + "9" * 4000 + "}\n",
        {"at": 48000},
        {"at": 48000, "do": ["set"]},
        {"at": 48000, "do": "set"},
        {"at": 48000, "do": "set", "name": ["mapping.norm"], "value": 1},
        {"at": 48000, "do": "set", "name": "mapping.norm", "value": 9},
        {"at": 48000, "do": "set", "name": "mapping.norm", "value": "1"},
        {"at": 48000, "do": "set", "name": "x" * 9000, "value": 1},
        {"at": 48000, "do": "drive", "name": "mapping.norm", "drive": "sine"},
        {"at": 48000, "do": "drive", "name": "show.brightness", "drive": "onset 1"},
        {"at": 48000, "do": "choose", "name": "mapping.mode", "word": "track"},
        {"at": 48000, "do": "choose", "name": "mapping.mode", "word": "walk"},
        {"at": 48000, "do": "vary", "values": [1]},
        {"at": 48000, "do": "play", "name": "x", "preset": {"choices": {"seed": -1}, "params": {}, "drive": {}}},
        {"at": 48000, "do": "play", "name": "x", "preset": {"choices": [], "params": {}, "drive": {}}},
        {"at": 48000, "do": "tempo", "bpm": 1e9, "bar_s": 0, "hears": True},
        {"at": 48000, "do": "tempo", "bpm": 120, "bar_s": 1e300, "hears": True},
        {"at": -1, "do": "undo"},
        {"at": 1.5, "do": "undo"},
        {"at": True, "do": "undo"},
        {"at": 1 << 60, "do": "undo"},
        {"at": 1, "do": "undo"},
        '{"at": 48000, "do": "undo", "x": "' + "x" * LONGEST_LINE + '"}\n',
    ],
    ids=lambda bad: str(bad)[:40],
)  # fmt: skip
def test_a_line_that_no_livelav_writes_is_one_error(take, bad) -> None:
    with pytest.raises(TakeError, match=r"take\.jsonl:7: .*damaged") as error:
        Take(written(take, bad, {"at": 48000, "do": "undo"}))
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(
    "bad",
    [
        "what\n",
        "[]\n",
        {"params": {}},
        {"at": -1},
        {"at": 0, "params": {}},
        {"at": 1e9, "params": {}},
        {"at": 10**9, "params": []},
        {"at": 10**9, "params": {"mapping.norm": 9}},
        {"at": 10**9, "params": {"x" * 300: 1}},
        {"at": 10**9, "seed": -1},
        {"at": 10**9, "seed": True},
        {"at": 10**9, "choices": {"mapping.mode": "track"}},
        {"at": 10**9, "choices": {"mapping.synth": 3}},
        {"at": 10**9, "seconds": "1"},
        {"at": 10**9, "seconds": -1},
        '{"at": 1000000000, "seconds": Infinity}\n',
        {"at": 10**9, "begins": 1},
        {"at": 10**9, "deaf": 1},
        {"at": 10**9, "rate_hz": 1},
        {"at": 10**9, "rate_hz": 4.8e4},
        '{"at": 1000000000, "x": "' + "x" * LONGEST_LINE + '"}\n',
    ],
    ids=lambda bad: str(bad)[:40],
)  # fmt: skip
def test_a_heard_line_that_no_livelav_writes_is_one_error(take, bad) -> None:
    first, second = Take(take).heard() or (), {"at": 4800, "params": {"mapping.norm": 2.0}}
    count = len(list(first)) + 1
    with (take / HEARD).open("a") as file:
        file.writelines(one if isinstance(one, str) else json.dumps(one) + "\n" for one in (second, bad))
    with pytest.raises(TakeError, match=rf"heard\.jsonl:{count + 1}: .*damaged") as error:
        Take(take)
    assert len(str(error.value)) < 700


def test_what_was_heard_by_parameters_that_are_not_here_is_left_out_and_named(take) -> None:
    with (take / HEARD).open("a") as file:
        file.write(json.dumps({"at": 9600, "params": {"sparkle.x": 1, "mapping.norm": 2.0}}) + "\n")
        file.write('{"at": 9700, "params": {"mapping.no')
    found = Take(take)
    assert found.strange == ("sparkle.x",)
    assert [heard.wanted.settings["mapping.norm"] for heard in found.heard() or ()] == [
        Settings()["mapping.norm"],
        2.0,
    ]


def test_a_take_of_which_nothing_was_heard_ends(take, encoder, stats) -> None:
    (take / HEARD).write_text('{"at": 0, "deaf": true}\n')
    steps, _ = again(take, encoder, stats, fps=30)
    assert len(steps) == 30


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"livelav_take": 3, "version": "9.0", "settings": 5}, "newer livelav, 9.0"),
        ({"livelav_take": "1"}, "damaged"),
        ({"settings": {"mapping.norm": 99}}, "from 0 to 4"),
        ({"settings": []}, "damaged"),
        ({"drives": {"mapping.norm": 3}}, "damaged"),
        ({"seed": -1}, "seed"),
        ({"model": 5}, "model"),
        ({"choices": {"mapping.mode": "track"}}, "whole track"),
    ],
)
def test_a_head_that_is_wrong_is_one_error(take, changes, says) -> None:
    head, *rest = (take / LINES).read_text().splitlines(keepends=True)
    (take / LINES).write_text(json.dumps(json.loads(head) | changes) + "\n" + "".join(rest))
    with pytest.raises(TakeError, match=says):
        Take(take)


def without_lines(take: Path) -> None:
    (take / LINES).unlink()


def without_sound(take: Path) -> None:
    (take / SOUND).unlink()


def empty(take: Path) -> None:
    (take / LINES).write_bytes(b"")


def endless(take: Path) -> None:
    (take / LINES).unlink()
    (take / LINES).symlink_to("/dev/zero")


def a_list_of_addresses(take: Path) -> None:
    (take / SOUND).write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")


def without_heard(take: Path) -> None:
    (take / HEARD).unlink()


@pytest.mark.parametrize("harm", [without_lines, without_sound, without_heard, empty, endless, a_list_of_addresses])
def test_what_is_no_take_is_one_error(take, harm) -> None:
    harm(take)
    with pytest.raises(TakeError, match=r"take"):
        Take(take)


def test_every_line_that_is_written_can_be_read(presets) -> None:
    desk = Desk(first_scene(None, None, {}), None, every_preset(), Inputs(), 0.0)
    for command in [
        SetParam("show.hue", -3.25),
        SetChoice("chain.order", "kaleidoscope"),
        SetDrive("show.hue", None),
        SetDrive("show.hue", Drive("random", -0.25, 0.5)),
        Toggle("pattern"),
        *(desk._perform(one, 1.0) for one in (Recall("one"), Vary(), Swap(), Undo(), Panic(), Save())),
    ]:
        assert json.loads(line(command))["do"]


def test_a_take_of_a_resumed_show_knows_what_panic_comes_back_to(presets, tmp_path) -> None:
    before = Desk(first_scene(None, None, {}), None, every_preset(), Inputs(), 0.0)
    for command in [
        SetParam("preset.morph", 0.0), Recall("one"), SetParam("generate.psi", 0.3), SetParam("show.brightness", 0.5),
        SetDrive("mapping.slope", None), SetDrive("show.hue", Drive("random", -0.25, 0.5)),
        SetChoice("mapping.placement", "inside"),
    ]:  # fmt: skip
        before.apply(command, 1.0)
    stood = before.scenes.stands()
    live = Desk(stood.scene, stood.preset, every_preset(), Inputs(), 0.0, stood)
    live.tape = Tape(stood.scene, live.scenes.recalled, "fade")
    live.tape.begin(LOADED, 0.0)
    (_, first), *words = live.tape.next()
    assert json.loads(first)["dark"] == "fade"
    take = scene_of(json.loads(first))
    rendered = Desk(take, None, (), Inputs(), 0.0)
    for _, text in words:
        command = _command(json.loads(text), set())
        assert command is not None and not isinstance(command, FadeTo)
        rendered.apply(command, 0.0)
    assert rendered.scenes.scene == replace(live.scenes.scene, choices=rendered.scenes.scene.choices)
    assert rendered.scenes.scene.key == live.scenes.scene.key
    for desk in (live, rendered):
        desk.apply(Panic(), 2.0)
    assert rendered.settings == live.settings and live.settings["generate.psi"] != 0.3
    assert rendered.scenes.scene.drives == live.scenes.scene.drives and "mapping.slope" in live.scenes.scene.drives
    assert rendered.scenes.scene.key == live.scenes.scene.key


# ---- what comes of it

SMALL: dict[str, Any] = {
    "preset": None,
    "seed": None,
    "fps": "30",
    "size": (96, 64),
    "start": None,
    "end": None,
    "supersample": "1",
    "lossless": True,
    "force": False,
}


@pytest.fixture(scope="module")
def film_take(tmp_path_factory, encoder, stats, music) -> Path:
    """1.5 s of a show on the embedded model."""
    facts = load_generator()
    script: list[Done] = [(0.4, SetParam("mapping.norm", 2.0)), (1.0, SetParam("show.hue", 90.0))]
    still = {"show_drift": "0", "show_contour": "0"}  # of what the shader moves by itself
    show = LiveShow(music[: RATE_HZ * 3 // 2], encoder, stats, script, **still)
    head = {"model": facts.name, "sha256": facts.sha256, "encoder": "embedded"}
    show.desk.tape = show.tape = Tape(first_scene(None, None, still))
    show.tape.begin(head, START_S)
    return show.take_to(tmp_path_factory.mktemp("film") / "show.take")


def rendered(take: Path, output: Path, **changes: Any) -> Path:
    render(take, output, **(SMALL | changes))
    return output


def test_a_take_becomes_a_video_and_a_part_of_it_is_a_part_of_that(film_take, tmp_path, capfd) -> None:
    whole = rendered(film_take, tmp_path / "whole.mkv")
    assert "changes" not in capfd.readouterr().err
    part = rendered(film_take, tmp_path / "part.mkv", start="0.81", end="1.2")
    times_s, pictures = pictures_of(whole)
    part_s, some = pictures_of(part)
    assert len(times_s) >= 45 and len(part_s) == 11, "25 to 35 of 30 a second"
    apart = np.abs(some.astype(int) - pictures[25:36]).mean()
    assert apart < 0.3 < np.abs(some.astype(int) - pictures[24:35]).mean(), apart
    heard, of_part = heard_of(whole), heard_of(part)
    assert np.array_equal(heard, np.rint(sound_of(film_take) * (1 << 23)).astype(np.int64) << 8)
    assert np.array_equal(of_part, heard[RATE_HZ * 25 // 30 : round(1.2 * RATE_HZ)])


def test_a_take_gives_another_rate_and_size(film_take, tmp_path) -> None:
    _, pictures = pictures_of(rendered(film_take, tmp_path / "a.mkv", fps="60", size=(64, 64), end="0.5"))
    assert pictures.shape == (30, 64, 64, 3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"preset": "calm"}, "--preset calm: .* says what was played"),
        ({"seed": "7"}, "--seed 7"),
        ({"mapping_norm": "2"}, "--mapping-norm 2"),
        ({"mapping_mode": "track"}, "--mapping-mode track"),
        ({"start": "99"}, "1.5 s long"),
    ],
)
def test_what_the_take_says_cannot_be_said_otherwise(film_take, tmp_path, changes, says) -> None:
    with pytest.raises(LivelavError, match=says):
        rendered(film_take, tmp_path / "video.mkv", **changes)
    assert not (tmp_path / "video.mkv").exists()


def edited(take: Path, to: Path, **facts: Any) -> Path:
    shutil.copytree(take, to)
    head, *rest = (to / LINES).read_text().splitlines(keepends=True)
    (to / LINES).write_text(json.dumps(json.loads(head) | facts) + "\n" + "".join(rest))
    return to


@pytest.mark.parametrize("dark", ["blackout", "fade"])
def test_a_show_that_began_in_the_dark_is_dark_until_a_hand_brings_the_light(film_take, tmp_path, dark) -> None:
    take = edited(film_take, tmp_path / "dark.take", dark=dark)
    whole = (take / LINES).read_bytes()
    written(take, {"at": RATE_HZ * 11 // 10, "do": "switch", "name": dark})
    _, pictures = pictures_of(rendered(take, tmp_path / "dark.mkv"))
    assert not pictures[:33].any() and pictures[-1].any()
    (take / LINES).write_bytes(whole.replace(f'"dark": "{dark}"'.encode(), b'"dark": "moon"'))
    with pytest.raises(TakeError, match="dark must be one of"):
        Take(take)


def test_a_model_that_is_not_here_or_another_is_said(film_take, tmp_path, capfd) -> None:
    gone = edited(film_take, tmp_path / "gone.take", model="/etc/passwd")
    with pytest.raises(TakeError, match="give another by --model"):
        rendered(gone, tmp_path / "video.mkv")
    rendered(gone, tmp_path / "video.mkv", model="default", end="0.1")
    other = edited(film_take, tmp_path / "other.take", sha256="1" * 64)
    written(other, {"at": 10**7, "do": "model", "name": "ink"}, {"at": 10**7, "do": "dance"})
    capfd.readouterr()
    rendered(other, tmp_path / "other.mkv", end="0.1")
    said = capfd.readouterr().err
    assert "is another here" in said and "tells of no other model" in said and "left out: dance" in said
    with pytest.raises(TakeError, match="--encoder"):
        rendered(edited(film_take, tmp_path / "x.take", encoder="../x.th"), tmp_path / "x.mkv")


def test_a_folder_that_is_no_take_is_one_error(tmp_path) -> None:
    with pytest.raises(TakeError, match="no take"):
        rendered(tmp_path, tmp_path / "video.mkv")


def test_a_taker_that_is_killed_leaves_what_there_was(tmp_path, encoder, stats) -> None:
    ctx = multiprocessing.get_context("spawn")
    ring, board, stop = SampleRing(), Board(TAKE_FIELDS), StopFlag()
    theirs, words = ctx.Pipe(duplex=False)
    said, events = ctx.Pipe(duplex=False)
    path = tmp_path / "show.take"
    diaries, main = (Diary(), Diary()), Board(("seat",))
    arguments = TakeConfig(path), ring, diaries, main, board, stop, theirs, events
    process = ctx.Process(target=run_taker, args=arguments, daemon=True)
    process.start()
    tape, begin_s = Tape(first_scene(None, None, {})), time.monotonic()
    until_s = begin_s + DEADLINE_S
    while not board["live"]:
        assert time.monotonic() < until_s and not said.poll()
        time.sleep(0.01)
    begin_s = time.monotonic()
    tape.begin(LOADED, begin_s)
    told = tuple(Wanted(Settings()).packed())
    diaries[0].add(Entry(True, 0, 0, 0, 0, begin_s, RATE_HZ, told))
    words.send(tape.next())
    while board["taken"] < 1:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    rng, heard = np.random.default_rng(0), 0
    while board["seconds"] < 3.0:
        assert time.monotonic() < until_s
        time.sleep(0.02)
        now_s = time.monotonic()
        count = round((now_s - begin_s) * RATE_HZ) - heard
        ring.write(rng.uniform(-0.5, 0.5, (count, 2)).astype(np.float32), now_s, RATE_HZ)
        heard += count
        diaries[0].add(Entry(False, ring.writes, heard, count, 0, now_s, RATE_HZ, told))
        tape.note(SetParam("mapping.norm", 1.5), now_s)
        words.send(tape.next())
    process.kill()
    process.join()
    found = Take(path)
    whole = WholeSound(found.sound)
    length = sum(len(block) for block in whole.blocks())
    assert length > 2.5 * RATE_HZ and not whole.damage
    assert [at_s for at_s, _ in found.commands(RATE_HZ)][-1] > 2.0
    steps, _ = again(path, encoder, stats, fps=30)
    assert len(steps) == pytest.approx(30 * length / RATE_HZ, abs=2)
    # in its place another one is started: it leaves the take as it is
    again_process = ctx.Process(target=run_taker, args=arguments)
    again_process.start()
    assert said.poll(DEADLINE_S)
    assert [said.recv()["kind"], said.recv()["kind"]] == ["warning", "ended"]
    again_process.join(DEADLINE_S)
    assert not again_process.exitcode


def frames_of(path: Path, encoder: Any, stats: Any) -> tuple[list[Frame], Script]:
    """All that the stages before the generator make of a take, without those that stand still; and who did it."""
    take, frames = Take(path), list[Frame]()
    whole = WholeSound(take.sound)
    script = Script(encoder, stats, take.scene, Fraction(30), None, take.commands(whole.rate_hz), take.heard())
    hear = script._hear

    def kept(*block: Any) -> list[Made]:
        made = hear(*block)
        for frame in (one.frame for one in made):
            if not frames or frame.controls is not frames[-1].controls:
                frames.append(frame)
        return made

    script._hear = kept  # type: ignore[method-assign]
    for _ in script.steps(whole.blocks(), whole.rate_hz):
        pass
    return frames, script


def test_a_real_show_is_made_again_to_the_same_ws(tmp_path, encoder, stats, music, presets) -> None:
    """Knobs, a recall that fades, drives, and a source that stands still in between: each frame that the synth made.

    Of sound of any number, also beyond full scale, where a take ends.
    """
    soundfile.write(tmp_path / "music.wav", 1.3 * music[: 8 * RATE_HZ], 44_100, "FLOAT")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((LOOPBACK, 0))
        port = sender.getsockname()[1]
    flags = ("--take", "show.take", "--trace", "trace.npz", "--osc", str(port), "--midi", "off")
    run = Run(tmp_path, "--input", "music.wav", *flags)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def say(address: str, *arguments: Any) -> None:
            sender.sendto(pack([Message(address, arguments)]), (LOOPBACK, port))

        try:
            run.wait_for(lambda s: s["features"]["rms_db"] > -60, "it hears")
            say("/mapping/norm", 2.5)
            run.wait_for(lambda s: s["settings"]["mapping.norm"] == 2.5, "a knob")
            capture = max((psutil.Process(pid) for pid in run.children().values()), key=psutil.Process.create_time)
            capture.suspend()
            time.sleep(0.6)
            say("/preset", "one")
            capture.resume()
            run.wait_for(lambda s: s["preset"] == "one", "a recall")
            code, err = run.finish()
        finally:
            if run.process.poll() is None:
                run.end()
    assert code == 0, err
    traced = np.load(tmp_path / "trace.npz")
    frames, script = frames_of(tmp_path / "show.take", encoder, stats)
    assert script._desk.settings.as_dict() == run.stats["settings"]
    live = traced["ws"]
    assert 6 * 75 < len(live) <= len(frames), "where the machine is busy its last seconds may be missing"
    apart = [np.abs(frame.controls.ws - ws).max() for frame, ws in zip(frames, live, strict=False)]
    assert max(apart) <= 1e-5, f"{max(apart)} from frame {np.argmax(np.array(apart) > 1e-5)} on"
