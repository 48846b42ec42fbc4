"""What drives a parameter besides a hand: bounded, in time, written as it is read, faded with its scene."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.control.commands import Recall, SetDrive, SetParam, Undo
from livelav.core.drive import LONGEST, SHORTEST, SOURCES, WAVES, Drive, Pulse, checked, driven, value
from livelav.core.errors import ParamError
from livelav.core.params import BY_NAME, CHOICES, PARAMS, Settings
from livelav.core.preset_text import preset_text
from livelav.core.presets import check_preset, load_preset
from livelav.core.running import Running, read_running, running_path
from livelav.core.scene import Scene, Wanted
from livelav.core.setlists import Song
from livelav.core.store import config_dir
from livelav.core.tempo import Tempo
from livelav.core.values import Features, noise_factors
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs
from livelav.desk.scenes import Scenes
from livelav.encode.encoder import load_encoder
from livelav.generate.library import load_generator
from livelav.mapping.mapper import Mapper

HUE = BY_NAME["show.hue"]
BEAT = Tempo(120.0, 0.0)
START = Scene(Settings(), {c.name: c.default for c in CHOICES}, 0)
amounts = st.floats(-1.0, 1.0).map(lambda amount: round(amount, 4))
beats = st.floats(SHORTEST, LONGEST).map(lambda count: max(round(count, 4), SHORTEST))
drives = st.builds(Drive, st.sampled_from(SOURCES), amounts, beats)
pulses = st.builds(Pulse, st.floats(-1e6, 1e6), st.floats(0, 1), st.floats(0, 1))


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path))


def written(name: str, content: str) -> Path:
    path = config_dir() / "presets" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# ---- one drive


@given(drives)
def test_a_drive_is_read_as_it_is_written(drive: Drive) -> None:
    read = Drive.parse(str(drive))
    assert read == drive or (drive.source not in WAVES and read.amount == drive.amount)


@pytest.mark.parametrize(
    "text",
    ["", "sin 4 0.2", "sine", "sine 4", "sine 4 2", "sine 0 0.1", "sine 100 0.1", "onset 4 0.1", "level", "level 1e3",
     "sine nan 0.1", "saw 4 inf", "square 4 0.1 7", "random 4 " + "0" * 99],
)  # fmt: skip
def test_what_is_no_drive_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ParamError) as refusal:
        Drive.parse(text)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 200


def test_only_parameters_of_a_song_are_driven() -> None:
    for param in PARAMS:
        if param.scope == "song":
            assert checked(param.name, "onset 0.5") == Drive("onset", 0.5)
        else:
            with pytest.raises(ParamError):
                checked(param.name, "onset 0.5")


@given(drives, pulses)
def test_a_source_stays_in_its_range(drive: Drive, pulse: Pulse) -> None:
    assert (-1.0 if drive.source in WAVES else 0.0) <= value(drive, pulse) <= 1.0


@given(st.sampled_from(WAVES), st.integers(-1000, 1000), st.floats(0.0, 0.99))
def test_waves_repeat_with_their_turn_and_strike_on_the_beat(source: str, turn: int, phase: float) -> None:
    drive = Drive(source, 1.0, 4.0)  # type: ignore[arg-type]
    here = value(drive, Pulse(4.0 * (turn + phase)))
    if source != "random":
        assert here == pytest.approx(value(drive, Pulse(4.0 * phase)), abs=1e-6)
    else:
        assert here == value(drive, Pulse(4.0 * turn))  # one for the whole turn
    if source in ("saw", "square"):
        before, on = value(drive, Pulse(4.0 * turn - 1e-6)), value(drive, Pulse(4.0 * turn))
        assert on == 1.0 and before == pytest.approx(-1.0, abs=1e-5)


def test_random_turns_are_spread_over_the_range() -> None:
    drawn = [value(Drive("random", 1.0), Pulse(float(turn))) for turn in range(1000)]
    quarters = [sum(lo <= one < lo + 0.5 for one in drawn) for lo in (-1.0, -0.5, 0.0, 0.5)]
    assert min(quarters) > 180
    assert abs(sum(a * b for a, b in itertools.pairwise(drawn))) / 1000 < 0.05  # and not in steps


@given(
    st.lists(st.tuples(st.sampled_from(["show.hue", "smoothing.fine", "mapping.norm"]), drives, st.floats(0, 1))),
    pulses,
)
def test_driven_knobs_stop_at_their_ends_and_others_stay(driving: list[tuple[str, Drive, float]], pulse: Pulse) -> None:
    before = Settings()
    after = driven(before, driving, pulse)
    for param in PARAMS:
        assert param.lo <= after[param.name] <= param.hi
        if param.name not in {name for name, _, _ in driving}:
            assert after[param.name] == before[param.name]


def test_a_pulse_rises_at_once_and_falls_slowly() -> None:
    pulse = Pulse().after(0.01, 0.0, 0.8, 1.5)
    assert (pulse.level, pulse.onset) == (0.8, 1.0)
    later = pulse.after(0.1, 0.2, 0.0, 0.0)
    assert 0.2 < later.level < 0.6 and 0.3 < later.onset < 0.8
    assert later.after(10.0, 1.0, 0.0, 0.0).onset < 1e-6


# ---- in presets


DRIVEN = 'schema = 1\n[drive]\nshow.hue = "sine 8 0.1"\n"mapping.norm" = "onset -0.2"  # pumps\n'


def test_a_preset_names_drives_and_a_save_keeps_them_and_takes_out_what_went() -> None:
    path = written("driven", DRIVEN)
    preset = load_preset("driven")
    assert preset.drives == {"show.hue": Drive("sine", 0.1, 8.0), "mapping.norm": Drive("onset", -0.2)}
    scene = START.after(preset)
    text = preset_text(scene, "driven", DRIVEN)
    assert "# pumps" in text
    path.write_text(text)
    assert load_preset("driven").drives == preset.drives
    fewer = Scene(scene.settings, scene.choices, scene.seed, {"show.zoom": Drive("level", 0.5)})
    path.write_text(preset_text(fewer, "driven", text))
    assert load_preset("driven").drives == fewer.drives
    path.write_text(preset_text(START, "driven", path.read_text()))
    assert load_preset("driven").drives == {} and not check_preset(path)


@pytest.mark.parametrize(
    "line", ['show.hue = "sine"', "show.hue = 4", 'show.huee = "onset 0.1"', 'tempo.bpm = "sine 4 0.1"', "show = []"]
)
def test_a_wrong_drive_in_a_preset_is_named_with_its_line(line: str) -> None:
    (problem,) = check_preset(written("wrong", f"schema = 1\n[drive]\n{line}\n"))
    assert "wrong.toml:3" in problem


def test_where_the_show_stands_has_its_drives() -> None:
    scene = Scene(Settings(), START.choices, 0, {"show.hue": Drive("saw", 0.25, 2.0)})
    running_path().parent.mkdir(parents=True, exist_ok=True)
    running_path().write_bytes(Running(scene, None).as_json())
    assert read_running(running_path()).scene == scene


# ---- in a show


def test_a_recall_fades_drives_with_the_rest_and_undo_brings_them_back() -> None:
    written("driven", DRIVEN)
    one = Scenes(START, None, (Song("driven"), Song("calm")))
    one.set({"preset.morph": 2.0})
    one.perform(Recall("driven"), 0.0, BEAT)
    for now_s, weight in ((0.0, 0.0), (1.0, 0.5), (2.0, 1.0)):
        one.step(now_s, BEAT)
        assert [w for name, _, w in one.drives(now_s) if name == "show.hue"] == [pytest.approx(weight)]
    one.drive("show.zoom", Drive("level", 0.5))
    assert one.is_changed
    one.perform(Recall("calm"), 3.0, BEAT)
    one.step(4.0, BEAT)
    left = {name: w for name, _, w in one.drives(4.0)}
    assert left["show.hue"] == left["show.zoom"] == pytest.approx(0.5)
    one.step(6.0, BEAT)
    assert {name: drive for name, drive, _ in one.drives(6.0)} == dict(load_preset("calm").drives)
    one.perform(Undo(), 7.0, BEAT)
    one.step(10.0, BEAT)
    assert {name for name, _, _ in one.drives(10.0)} == {"show.hue", "mapping.norm", "show.zoom"}


def test_the_desk_plays_what_drives_add_and_hands_keep_the_middle() -> None:
    desk = Desk(START, None, (), Inputs(), 0.0)
    desk.apply(SetDrive("show.hue", Drive("square", 0.25, 1.0)), 0.0)
    high, low = HUE.value(HUE.knob(0.0) + 0.25), HUE.value(HUE.knob(0.0) - 0.25)
    period_s = desk.beat.tempo.period_s
    desk.take([], 0.25 * period_s)
    assert desk.played["show.hue"] == pytest.approx(high) and desk.settings["show.hue"] == 0.0
    assert desk.wanted.settings == desk.played
    desk.take([], 0.75 * period_s)
    assert desk.played["show.hue"] == pytest.approx(low)
    desk.apply(SetDrive("show.hue", None), 0.0)
    desk.take([], 0.75 * period_s)
    assert desk.played == desk.settings


@pytest.mark.parametrize(("source", "group"), [("level", 0), ("onset", 2)])
def test_noise_that_sound_drives_moves_its_group_of_the_picture_with_it(source: str, group: int) -> None:
    """From the desk through the mapping to the image: an attack is seen and falls off, and no other group moves."""
    generator, encoder = load_generator("default", threads=1), load_encoder("embedded")
    desk, mapper = Desk(START, None, (), Inputs(), 0.0), Mapper(generator.stats, encoder)
    name = ("noise.coarse", "noise.middle", "noise.fine")[group]
    desk.apply(SetParam("mapping.noise", 0.0), 0.0)
    desk.apply(SetDrive(name, checked(name, f"{source} 0.5")), 0.0)
    heard = Features(np.zeros(128, np.float32), 0.0, np.full(12, 1 / 12, np.float32), 0.1, 0.0)
    ws = np.tile(generator.stats.mean, (generator.num_ws, 1))
    now_s, noises, images = 0.0, [], []
    for level, seconds in ((0.0, 0.2), (1.0, 0.2), (0.0, 5.0)):
        for _ in range(round(seconds * encoder.frame_rate)):
            now_s += 1.0 / encoder.frame_rate
            desk.take([], now_s, level, level)
            wanted = Wanted.unpacked(desk.wanted.packed())
            noise = mapper.step(heard, wanted.settings).noise
        noises.append(noise)
        images.append(generator.synthesize(ws, noise).astype(int))
    calm, struck, after = noises
    highest = BY_NAME[name].value(BY_NAME[name].knob(1.0) + 0.5)
    assert calm == pytest.approx(noise_factors(1.0), abs=1e-3)
    assert struck[0, group] == pytest.approx(highest, rel=0.02)
    assert np.delete(struck, group, axis=1) == pytest.approx(np.delete(calm, group, axis=1))
    assert after == pytest.approx(calm, abs=1e-3)
    assert np.abs(images[1] - images[0]).max() > 5 and np.abs(images[2] - images[0]).max() <= 1
    assert desk.settings[name] == 1.0, "the hand's own value is where it was"


def test_keys_make_a_drive_change_it_and_end_it() -> None:
    desk = Desk(START, None, (), Inputs(), 0.0)
    desk.press(["H"], 0.0)
    while desk.teaching.picked != "show.hue":
        desk.press(["DOWN"], 0.0)
    seen = []
    for _ in SOURCES:
        desk.press(["M"], 0.0)
        seen.append(desk.scenes.scene.drives["show.hue"].source)
    assert seen == list(SOURCES)
    before = desk.scenes.scene.drives["show.hue"]
    desk.press(["CTRL+RIGHT", "CTRL+DOWN"], 0.0)
    after = desk.scenes.scene.drives["show.hue"]
    assert after.amount > before.amount and after.beats == 2 * before.beats
    desk.press(["M"], 0.0)
    assert "show.hue" not in desk.scenes.scene.drives
    while desk.teaching.picked != "tempo.bpm":
        desk.press(["DOWN"], 0.0)
    desk.press(["M"], 0.0)
    assert not desk.scenes.scene.drives and desk.news()
