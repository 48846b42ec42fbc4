"""Presets on stage: recalls arrive exactly and on time, hands win over fades, everything can be undone."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.control.commands import Panic, Play, Recall, RecallNumber, SceneCommand, StepPreset, Swap, Undo, Vary
from livelav.core.drive import Drive
from livelav.core.errors import PresetError
from livelav.core.params import BY_NAME, CHOICE_BY_NAME, PARAMS, Settings
from livelav.core.preset_text import preset_text
from livelav.core.presets import Preset, list_presets, load_preset
from livelav.core.running import Running, read_running
from livelav.core.scene import PACKED, Drawn, Fade, MappingKey, Scene, Wanted
from livelav.core.setlists import Song, every_preset, load_set_list
from livelav.core.store import config_dir
from livelav.core.tempo import Tempo
from livelav.desk.scenes import Scenes

MORPH_S = 2.0
BEAT = Tempo(120.0, 0.0)  # two a second
SONGS = tuple(Song(name) for name in ("calm", "pulse", "storm"))
START = Scene(Settings(), {name: choice.default for name, choice in CHOICE_BY_NAME.items()}, 0)
values = st.tuples(*(st.floats(p.lo, p.hi).map(p.checked) for p in PARAMS)).map(Settings)


def scenes(songs: tuple[Song, ...] = SONGS, **changes: float) -> Scenes:
    one = Scenes(START, None, songs)
    one.set({name.replace("__", "."): value for name, value in changes.items()})
    return one


# ---- the way from one to another


@given(values, values, st.floats(0.0, 3.0))
def test_a_fade_stays_in_range_and_ends_exactly(start: Settings, goal: Settings, at_s: float) -> None:
    fade = Fade(start, goal, 10.0, MORPH_S)
    now = fade.at(10.0 + at_s)
    for p, value, a, b in zip(PARAMS, now.values, start.values, goal.values, strict=True):
        rounding = 1e-9 * max(abs(a), abs(b)) + 1e-12
        assert min(a, b) - rounding <= value <= max(a, b) + rounding, p.name
    assert fade.at(10.0 + MORPH_S) == goal
    assert Fade(start, goal, 10.0, 0.0).at(10.0) == goal


def test_a_fade_is_even_along_the_knob() -> None:
    start = Settings().with_values({"smoothing.coarse": 0.01})
    goal = Settings().with_values({"smoothing.coarse": 8.0})
    assert Fade(start, goal, 0.0, 1.0).at(0.5)["smoothing.coarse"] == pytest.approx((0.01 * 8.0) ** 0.5)


@given(values, st.integers(0, 2**32 - 1), st.sampled_from(["running", "fixed"]), st.floats(0.0, 30.0))
def test_what_the_synth_is_told_survives_as_numbers(settings: Settings, seed: int, mode: str, seconds: float) -> None:
    wanted = Wanted(settings, MappingKey(seed, mode, "outside", "spectral"), "interpolate", seconds)
    assert len(wanted.packed()) == PACKED
    told = Wanted.unpacked(wanted.packed())
    assert replace(told, settings=settings) == wanted
    for name in BY_NAME:
        its = name.startswith(("audio", "mapping", "smoothing", "generate", "psi", "noise"))
        assert told.settings[name] == (settings if its else Settings())[name]


# ---- recalling


def test_a_recall_fades_and_arrives_exactly() -> None:
    one = scenes(preset__morph=MORPH_S)
    one.perform(Recall("calm"), 5.0, BEAT)
    assert one.settings.as_dict() == START.settings.as_dict()
    goal = START.after(load_preset("calm"))
    one.step(5.0 + 0.5 * MORPH_S, BEAT)
    assert one.settings not in (START.settings, goal.settings)
    one.step(5.0 + MORPH_S, BEAT)
    assert one.settings == goal.settings
    assert (one.preset, one.wanted.key.seed) == ("calm", load_preset("calm").seed)
    assert one.wanted.seconds == MORPH_S, "the mapping takes as long as the parameters"


def test_what_belongs_to_the_evening_stays() -> None:
    one = scenes(preset__morph=0.0, show__brightness=0.4, audio__gain=6.0, show__hue=90.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    assert (one.settings["show.brightness"], one.settings["audio.gain"]) == (0.4, 6.0)
    assert one.settings["show.hue"] == load_preset("calm").settings["show.hue"] != 90.0


def test_a_hand_takes_its_parameter_out_of_the_fade() -> None:
    one = scenes(preset__morph=MORPH_S)
    one.perform(Recall("storm"), 0.0, BEAT)
    one.step(1.0, BEAT)
    one.set({"mapping.norm": 3.3})
    for at_s in (1.1, 1.9, 2.0, 5.0):
        one.step(at_s, BEAT)
        assert one.settings["mapping.norm"] == 3.3
    assert one.settings["mapping.onset"] == load_preset("storm").settings["mapping.onset"]


@pytest.mark.parametrize("command", [Recall("pulse"), Undo(), Swap()])
def test_a_morph_that_is_interrupted_leaves_the_evening_where_it_was_going(command: SceneCommand) -> None:
    one = scenes(preset__morph=8.0, show__fade=2.0)
    one.perform(Swap(), 0.0, BEAT)  # A
    goal = {"show.brightness": 0.2, "show.fade": 30.0, "tempo.bpm": 140.0}
    one.perform(Play(Preset("dark", goal, {}, {}), "dark"), 0.0, BEAT)
    one.step(3.2, BEAT)
    assert 0.2 < one.settings["show.brightness"] < 1.0, "on the way"
    assert one.settings["tempo.bpm"] == 140.0, "a tempo has no way: hands could not put it right on it"
    one.perform(command, 3.2, BEAT)
    one.step(30.0, BEAT)
    assert {name: one.settings[name] for name in goal} == goal


def test_what_is_held_only_for_a_moment_is_not_come_back_to_and_not_saved() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    zoom = one.settings["show.zoom"]
    one.set({"show.zoom": 2.0})
    one.held = {"show.zoom": (2.0, zoom)}
    _, text = one.to_save(new=True)
    assert tomllib.loads(text)["params"]["show"]["zoom"] == zoom
    assert one.stands().scene.settings["show.zoom"] == zoom
    assert one.settings["show.zoom"] == 2.0, "it is held on"
    one.perform(Swap(), 1.0, BEAT)
    one.perform(Recall("storm"), 1.0, BEAT)
    one.held = {}
    for command in (Undo(), Recall("storm"), Swap()):
        one.perform(command, 2.0, BEAT)
        assert (one.settings["show.zoom"] == zoom) == (one.preset != "storm")


def test_next_and_previous_go_round_the_list() -> None:
    one = scenes()
    played = []
    for steps in (1, 1, 1, 1, -1, -1):
        expected = one.next_song
        one.perform(StepPreset(steps), 0.0, BEAT)
        assert steps < 0 or one.song == expected
        played.append(one.preset)
    assert played == ["calm", "pulse", "storm", "calm", "storm", "pulse"]
    first = scenes()
    first.perform(StepPreset(-1), 0.0, BEAT)
    assert first.preset == "storm", "back from the beginning is the end"


def test_a_show_that_began_with_a_preset_goes_on_from_there() -> None:
    one = Scenes(START, "pulse", SONGS)
    assert one.next_song == Song("storm")


def test_numbers_count_from_one_and_others_change_nothing() -> None:
    one = scenes()
    one.perform(RecallNumber(2), 0.0, BEAT)
    assert one.preset == "pulse"
    for command in (RecallNumber(4), RecallNumber(0), Recall("../../etc/passwd"), Recall("harmony")):
        before = one.settings
        one.perform(command, 1.0, BEAT)
        assert (one.preset, one.settings) == ("pulse", before)
        assert len(one.troubles) == 1 and "no preset" in one.troubles.pop()


def test_undo_comes_back_to_what_hands_had_made_of_it_as_often_as_was_recalled() -> None:
    one = scenes(preset__morph=0.0, mapping__norm=2.2)
    begun = one.settings
    one.perform(Recall("calm"), 0.0, BEAT)
    one.set({"show.hue": 33.0})
    calm = one.settings
    one.perform(Recall("storm"), 1.0, BEAT)
    for expected in (calm, begun, begun):  # one undo too many changes nothing
        one.perform(Undo(), 2.0, BEAT)
        one.step(2.0, BEAT)
        assert one.settings == expected
    assert (one.preset, one.wanted.key) == (None, START.key)


def test_panic_is_at_once_the_preset_as_it_was_recalled() -> None:
    one = scenes(preset__morph=MORPH_S)
    one.perform(Recall("pulse"), 0.0, BEAT)
    one.step(0.3, BEAT)
    one.set({"mapping.norm": 0.0, "show.saturation": 0.0})
    one.perform(Panic(), 0.4, BEAT)
    assert one.settings == START.after(load_preset("pulse")).settings.with_values({"preset.morph": MORPH_S})
    assert one.wanted.seconds == 0.0


def test_an_accidental_panic_is_undone_in_one_step() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    one.set({"mapping.norm": 3.0, "show.hue": 77.0})
    one.drive("show.zoom", Drive.parse("sine 4 0.5"))
    ours = one.scene
    for moment in (1.0, 2.0):  # nothing is lost by hammering it
        one.perform(Panic(), moment, BEAT)
    assert not one.is_changed
    one.perform(Undo(), 3.0, BEAT)
    assert one.scene == ours
    one.perform(Panic(), 4.0, BEAT)
    assert one.settings["show.hue"] == load_preset("calm").settings["show.hue"], "and it can be had again"
    one.perform(Undo(), 5.0, BEAT)
    one.perform(Undo(), 6.0, BEAT)
    assert one.preset is None, "the recall before it comes next"


def test_panic_in_a_resumed_show_is_the_preset_and_not_where_hands_had_left_it() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    calm = one.scene
    one.set({"mapping.norm": 3.0, "show.brightness": 0.5})
    path = config_dir() / "running.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(one.stands().as_json())
    stood = read_running(path)
    again = Scenes(stood.scene, stood.preset, SONGS, stood=stood)
    assert again.is_changed and again.scene == one.scene
    again.perform(Panic(), 0.0, BEAT)
    kept = calm.settings.with_values({"show.brightness": 0.5})
    assert again.scene == replace(calm, settings=kept), "the evening's own stays"
    again.perform(Undo(), 1.0, BEAT)
    assert again.scene == one.scene


def test_a_resumed_show_opens_no_model_that_its_file_names() -> None:
    strange = replace(START, choices={**START.choices, "model": "/strange/model.pkl"})
    again = Scenes(START, None, SONGS, stood=Running(START, None, recalled=strange))
    again.perform(Panic(), 0.0, BEAT)
    assert again.model == START.drawn.model


def test_a_resumed_show_stands_at_the_same_place_of_its_list() -> None:
    twice = (Song("calm"), Song("pulse"), Song("calm"), Song("storm"))
    one = scenes(twice)
    for _ in range(3):
        one.perform(StepPreset(1), 0.0, BEAT)
    again = Scenes(one.scene, one.preset, twice, stood=one.stands())
    assert (again.number, again.next_song) == (3, Song("storm"))
    assert Scenes(one.scene, one.preset, SONGS, stood=one.stands()).number == 1, "another list: by its name"
    one.to_save(new=True)
    again = Scenes(one.scene, one.preset, (*twice, Song("calm-1")), stood=one.stands())
    assert (again.number, again.next_song) == (3, Song("storm")), "what was saved beside it takes no other place"


def test_panic_after_an_undo_is_the_earlier_preset_without_what_hands_did() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    calm = one.settings
    one.set({"mapping.norm": 3.0})
    one.perform(Recall("storm"), 1.0, BEAT)
    one.perform(Undo(), 2.0, BEAT)
    assert one.settings["mapping.norm"] == 3.0
    one.perform(Panic(), 3.0, BEAT)
    assert one.settings == calm


def test_swap_goes_between_two_scenes_and_both_keep_what_hands_do() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    calm = one.scene
    one.perform(Swap(), 1.0, BEAT)  # A is kept; nothing moves
    assert one.scene == calm and one.troubles
    one.set({"mapping.norm": 3.0})
    ours = one.scene
    for moment, there in ((2.0, calm), (3.0, ours), (4.0, calm)):
        one.perform(Swap(), moment, BEAT)
        assert one.scene == there
    one.perform(Undo(), 5.0, BEAT)
    assert one.scene == ours
    for moment, there in ((6.0, calm), (7.0, ours)):  # both sides are still there
        one.perform(Swap(), moment, BEAT)
        assert one.scene == there


def test_a_name_that_is_twice_in_the_list_means_the_next_from_here_on() -> None:
    one = scenes(tuple(Song(name) for name in ("calm", "pulse", "calm", "storm")), preset__morph=0.0)
    numbers = []
    for name in ("calm", "pulse", "calm", "calm", "storm", "calm"):
        one.perform(Recall(name), 1.0, BEAT)
        numbers.append(one.number)
    assert numbers == [1, 2, 3, 3, 4, 1]


@given(st.integers(0, 1000), st.floats(0.0, 1.0))
def test_a_variation_stays_near_leaves_the_evening_alone_and_is_undone(seed: int, reach: float) -> None:
    one = Scenes(START, None, SONGS, Random(seed))
    one.set({"preset.morph": 0.0, "preset.vary": reach, "show.brightness": 0.4})
    before = one.settings
    one.perform(Vary(), 1.0, BEAT)
    for p in PARAMS:
        moved = abs(p.knob(one.settings[p.name]) - p.knob(before[p.name]))
        assert moved <= (reach + 1e-9 if p.scope == "song" else 0.0), p.name
    assert reach < 0.01 or one.settings != before
    one.perform(Vary(), 2.0, BEAT)
    one.perform(Undo(), 3.0, BEAT)
    one.perform(Undo(), 4.0, BEAT)
    assert one.settings == before


def test_panic_after_a_variation_is_the_preset() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    calm = one.settings
    one.perform(Vary(), 1.0, BEAT)
    assert one.is_changed
    one.perform(Panic(), 2.0, BEAT)
    assert one.settings == calm and not one.is_changed


def test_a_broken_preset_leaves_everything_as_it_is() -> None:
    own = config_dir() / "presets"
    own.mkdir(parents=True, exist_ok=True)
    (own / "broken.toml").write_text("schema = 1\n[params]\nmapping.norm = 99\n")
    one = scenes((*SONGS, Song("broken"), Song("missing")))
    for number in (4, 5):
        one.perform(RecallNumber(number), 0.0, BEAT)
        assert (one.preset, one.settings) == (None, START.settings)
        assert "staying with what is played" in one.troubles.pop()


def test_a_preset_of_another_encoder_says_that_the_running_show_keeps_its_own() -> None:
    own = config_dir() / "presets"
    own.mkdir(parents=True, exist_ok=True)
    (own / "other.toml").write_text('schema = 1\n[choices]\nencoder = "encodec-24khz"\nmapping.mode = "fixed"\n')
    one = scenes((Song("other"),))
    one.perform(RecallNumber(1), 0.0, BEAT)
    assert one.scene.choices["encoder"] == "auto"
    assert one.wanted.key.mode == "fixed"
    assert "encoder encodec-24khz" in one.troubles.pop()


def test_a_preset_that_leaves_the_encoder_to_the_show_is_content_with_any() -> None:
    own = config_dir() / "presets"
    own.mkdir(parents=True, exist_ok=True)
    (own / "any.toml").write_text(preset_text(START, "any"))
    begun = replace(START, choices={**START.choices, "encoder": "encodec-24khz"})
    one = Scenes(begun, None, (Song("any"),))
    one.perform(RecallNumber(1), 0.0, BEAT)
    assert one.preset == "any" and one.troubles == []


def test_a_preset_that_was_edited_is_recalled_as_it_is_now() -> None:
    own = config_dir() / "presets"
    own.mkdir(parents=True, exist_ok=True)
    one = scenes((Song("mine"),), preset__morph=0.0)
    for norm in (1.5, 2.5):
        (own / "mine.toml").write_text(f"schema = 1\n[params]\nmapping.norm = {norm}\n")
        one.perform(RecallNumber(1), 0.0, BEAT)
        assert one.settings["mapping.norm"] == norm


# ---- on the beat


def test_a_cued_recall_begins_on_its_beat_and_not_before() -> None:
    one = scenes(preset__cue=4.0, preset__morph=0.0)
    one.perform(Recall("calm"), 4.5, BEAT)
    assert (one.preset, one.cued(4.5)) == (None, ("calm", pytest.approx(1.5)))
    assert (one.number, one.cued_number) == (None, 1)
    one.step(5.999, BEAT)
    assert one.preset is None
    one.step(6.001, BEAT)
    assert (one.preset, one.cued(6.001)) == ("calm", None)
    assert (one.number, one.cued_number) == (1, None)
    evening = {"preset.cue": 4.0, "preset.morph": 0.0}
    assert one.settings == START.after(load_preset("calm")).settings.with_values(evening)


def test_a_cued_recall_begins_with_the_picture_that_is_nearest_to_its_beat() -> None:
    one = scenes(preset__cue=4.0, preset__morph=0.0)
    one.perform(Recall("calm"), 4.5, BEAT)
    one.step(5.98, BEAT, 0.019)
    assert one.cued(5.98)
    one.step(5.98, BEAT, 0.021)
    assert (one.preset, one.settings["mapping.norm"]) == ("calm", load_preset("calm").settings["mapping.norm"])


def test_a_fade_that_was_cued_begins_on_the_beat_however_late_the_look() -> None:
    one = scenes(preset__cue=1.0, preset__morph_beats=4.0)
    one.perform(Recall("storm"), 0.1, BEAT)
    one.step(0.5 + 2.0 + 0.001, BEAT)
    assert one.wanted.seconds == 2.0
    assert not one.fade_left_s(2.501)
    assert one.settings["mapping.norm"] == load_preset("storm").settings["mapping.norm"]


def test_on_the_beat_itself_a_recall_does_not_wait() -> None:
    one = scenes(preset__cue=4.0, preset__morph=0.0)
    one.perform(Recall("calm"), 2.0, BEAT)
    assert one.preset == "calm"


def test_beats_come_earlier_by_the_offset() -> None:
    one = scenes(preset__cue=1.0, tempo__offset=100.0)
    one.perform(Recall("calm"), 0.1, BEAT)
    assert one.cued(0.1) == ("calm", pytest.approx(0.3))
    one.step(0.41, BEAT)
    one.perform(Recall("storm"), 0.45, BEAT)
    assert one.preset == "calm", "the new one waits for the beat after"
    assert one.cued(0.45) == ("storm", pytest.approx(0.45))


def test_next_pressed_twice_while_cued_goes_two_on_and_panic_forgets_it() -> None:
    one = scenes(preset__cue=16.0)
    one.perform(StepPreset(1), 0.1, BEAT)
    one.perform(StepPreset(1), 0.2, BEAT)
    assert one.cued(0.2) == ("pulse", pytest.approx(7.8))
    one.perform(Panic(), 0.3, BEAT)
    one.step(20.0, BEAT)
    assert one.preset is None


def test_going_back_leaves_the_evening_as_it_is() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    one.set({"show.brightness": 0.2, "tempo.bpm": 98.0})
    for command in (Panic(), Undo()):
        one.perform(command, 1.0, BEAT)
        assert (one.settings["show.brightness"], one.settings["tempo.bpm"]) == (0.2, 98.0)


def test_a_cue_follows_the_tempo_while_it_waits_and_is_not_lost_on_the_beat() -> None:
    one = scenes(preset__cue=4.0)
    one.perform(Recall("calm"), 0.1, BEAT)
    one.step(0.8, Tempo(120.0, 0.8))  # a bar begins now
    assert one.cued(0.8) is None, "and that is what was waited for"
    again = scenes(preset__cue=4.0)
    again.perform(Recall("calm"), 0.1, BEAT)
    again.step(0.5, Tempo(60.0, 0.0))
    assert again.cued(0.5) == ("calm", pytest.approx(3.5))
    again.step(3.99, Tempo(60.0, -0.02))  # a clock says late that the beat was a little before
    again.step(4.001, Tempo(60.0, -0.02))
    assert again.preset == "calm"


def test_what_waits_keeps_its_cue_whatever_is_chosen_for_the_next_one() -> None:
    one = scenes(preset__cue=4.0, preset__morph_beats=8.0)
    one.perform(Recall("storm"), 0.1, BEAT)
    for cue in (0.0, 16.0):
        one.set({"preset.cue": cue})
        for at_s, bpm in ((0.2, 120.5), (0.3, 120.0)):  # as a tempo that is heard
            assert not one.step(at_s, Tempo(bpm, 0.0))
    slower = Tempo(60.0, 0.0)
    assert not one.step(0.4, slower) and not one.step(3.9, slower) and one.step(4.0, slower)
    assert one.fade_left_s(4.0) == pytest.approx(8.0), "beats of the tempo that plays by then"


def test_undo_forgets_what_is_cued_and_nothing_more() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    one.set({"preset.cue": 4.0})
    one.perform(Recall("storm"), 0.1, BEAT)
    one.perform(Undo(), 0.2, BEAT)
    assert (one.preset, one.cued(0.2)) == ("calm", None)


def test_what_a_preset_says_of_the_evening_counts() -> None:
    own = config_dir() / "presets"
    own.mkdir(parents=True, exist_ok=True)
    (own / "dim.toml").write_text("schema = 1\n[params]\nshow.brightness = 0.25\npreset.morph = 9.0\n")
    one = scenes((Song("dim"), Song("calm")), preset__morph=0.0)
    one.perform(Recall("dim"), 0.0, BEAT)
    assert (one.settings["show.brightness"], one.settings["preset.morph"]) == (0.25, 9.0)
    one.set({"show.brightness": 0.6, "preset.morph": 0.0})
    one.perform(Recall("calm"), 1.0, BEAT)
    assert one.settings["show.brightness"] == 0.6


def test_next_passes_over_what_is_broken_or_missing() -> None:
    one = scenes((Song("calm"), Song("missing"), Song("nowhere"), Song("storm")))
    for expected in ("calm", "storm", "calm"):
        one.perform(StepPreset(1), 0.0, BEAT)
        assert one.preset == expected
    one.perform(StepPreset(-1), 0.0, BEAT)
    assert one.preset == "storm"
    nothing = scenes((Song("missing"),))
    nothing.perform(StepPreset(1), 0.0, BEAT)
    assert nothing.preset is None


def test_a_preset_that_only_a_file_can_play_is_not_played() -> None:
    own = config_dir() / "presets"
    own.mkdir(parents=True, exist_ok=True)
    (own / "whole.toml").write_text('schema = 1\n[choices]\nmapping.mode = "track"\n')
    one = scenes((Song("whole"),))
    one.perform(RecallNumber(1), 0.0, BEAT)
    assert (one.preset, one.wanted.key.mode) == (None, "running")
    assert "track" in one.troubles.pop()


# ---- set lists


def written(folder: Path, content: str) -> str:
    path = folder / "evening.toml"
    path.write_text(content)
    return str(path)


def test_a_set_list_is_in_its_own_order_with_notes(tmp_path: Path) -> None:
    songs = '[[song]]\npreset = "storm"\nnotes = "loud"\n[[song]]\npreset = "calm"\n[[song]]\npreset = "storm"\n'
    assert load_set_list(written(tmp_path, "schema = 1\n" + songs)) == (
        Song("storm", "loud"),
        Song("calm"),
        Song("storm"),
    )


def test_the_same_preset_twice_in_a_list_is_two_places() -> None:
    one = scenes((Song("calm"), Song("storm"), Song("calm", "again"), Song("pulse")))
    for _ in range(3):
        one.perform(StepPreset(1), 0.0, BEAT)
    assert one.song == Song("calm", "again")
    assert one.next_song == Song("pulse")


def test_without_a_set_list_all_presets_are_one() -> None:
    assert [song.preset for song in every_preset()] == sorted(listed.name for listed in list_presets())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "schema = 2\n[[song]]\npreset = 'calm'\n",
        "schema = 1\n",
        "schema = 1\nsong = 3\n",
        "schema = 1\n[[song]]\nnotes = 'x'\n",
        "schema = 1\n[[song]]\npreset = '../calm'\n",
        "schema = 1\n[[song]]\npreset = 3\n",
        "schema = 1\n[[song]]\npreset = 'calm'\nnotes = 3\n",
        "schema = 1\n[[song]]\npreset = 'calm'\nrun = 'x'\n",
        "schema = 1\nother = 1\n[[song]]\npreset = 'calm'\n",
        "schema = 1\n" + "[[song]]\npreset = 'calm'\n" * 501,
    ],
)
def test_a_broken_set_list_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    with pytest.raises(PresetError) as caught:
        load_set_list(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_an_unknown_set_list_is_named() -> None:
    with pytest.raises(PresetError, match="no set list 'saturday'"):
        load_set_list("saturday")


def test_a_choice_of_the_scene_is_made_while_it_is_played_and_kept_with_it() -> None:
    one = scenes(preset__morph=0.0)
    one.perform(Recall("calm"), 0.0, BEAT)
    one.choose("chain.order", "echo, kaleidoscope", BEAT)
    one.choose("mapping.placement", "outside", BEAT)
    assert one.scene.choices["chain.order"] == "echo, kaleidoscope" and one.is_changed
    assert one.wanted.key.placement == "outside" and one.troubles == []
    for name, word in (("chain.order", "ecko"), ("show.aspect", "wide"), ("mapping.mode", "track"), ("model", "x")):
        before = one.scene
        one.choose(name, word, BEAT)
        assert one.scene == before and len(one.troubles) == 1 and word in one.troubles.pop()
    one.perform(Panic(), 1.0, BEAT)
    assert one.scene.choices["chain.order"] == "" and not one.is_changed


# ---- models


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """What there is; and in MODEL_SONGS a preset for each of two, and `calm`, which names none."""
    names = ("default", "lava", "moss")
    monkeypatch.setattr("livelav.desk.models.list_models", lambda: names)
    own = config_dir() / "presets"
    own.mkdir(parents=True, exist_ok=True)
    for name in ("lava", "moss"):
        (own / f"in-{name}.toml").write_text(f'schema = 1\n[choices]\nmodel = "{name}"\n')
    return names


MODEL_SONGS = (Song("in-lava"), Song("calm"), Song("in-moss"))


def test_a_preset_that_names_a_model_brings_it_and_one_that_names_none_leaves_it(library: tuple[str, ...]) -> None:
    one = scenes(MODEL_SONGS, preset__morph=MORPH_S)
    for name, model in (("calm", "default"), ("in-lava", "lava"), ("calm", "lava"), ("in-moss", "moss")):
        one.perform(Recall(name), 0.0, BEAT)
        assert (one.model, one.troubles) == (model, [])
    assert one.wanted.seconds == MORPH_S
    for model in ("lava", "lava", "default", "default"):
        one.perform(Undo(), 0.0, BEAT)
        assert one.model == model


def test_a_model_by_hand_moves_nothing_else_is_undone_and_panic_is_the_presets(library: tuple[str, ...]) -> None:
    one = scenes(MODEL_SONGS, preset__morph=MORPH_S)
    one.perform(Recall("in-lava"), 0.0, BEAT)
    one.step(MORPH_S, BEAT)
    before = one.settings
    one.take_model("moss", 0.0, BEAT)
    assert (one.model, one.settings, one.preset, one.is_changed) == ("moss", before, "in-lava", True)
    one.take_model("moss", 0.0, BEAT)
    one.perform(Undo(), 5.0, BEAT)
    assert (one.model, one.is_changed) == ("lava", False), "what changed nothing is not undone"
    one.take_model("moss", 0.0, BEAT)
    one.perform(Panic(), 6.0, BEAT)
    assert (one.model, one.wanted.seconds) == ("lava", 0.0)


@pytest.mark.parametrize(
    "name", ["", "mos", "../lava", "/etc/passwd", "lava.safetensors", "/usb/lava.pkl", "x" * 10_000]
)
def test_only_names_of_the_library_are_taken(library: tuple[str, ...], name: str) -> None:
    one = scenes(MODEL_SONGS)
    one.take_model(name, 0.0, BEAT)
    assert one.model == "default"
    assert len(one.troubles) == 1 and len(one.troubles[0]) < 200


def test_noise_maps_by_hand_are_the_evenings_undone_and_kept_by_presets_that_name_none(
    library: tuple[str, ...],
) -> None:
    own = config_dir() / "presets"
    (own / "still.toml").write_text('schema = 1\n[choices]\ngenerate.noise = "none"\n')
    one = scenes((*MODEL_SONGS, Song("still")), preset__morph=3.0)
    one.choose("generate.noise", "random", BEAT)
    assert (one.scene.drawn, one.wanted.seconds, one.troubles) == (Drawn("default", "random"), 3.0, [])
    one.perform(Recall("in-lava"), 0.0, BEAT)
    assert one.scene.drawn == Drawn("lava", "random")
    one.perform(Recall("still"), 5.0, BEAT)
    assert one.scene.drawn == Drawn("lava", "none")
    for expected in (Drawn("lava", "random"), Drawn("default", "random"), Drawn("default")):
        one.perform(Undo(), 10.0, BEAT)
        assert one.scene.drawn == expected
    one.choose("generate.noise", "const", BEAT)
    one.perform(Undo(), 20.0, BEAT)
    assert one.scene.drawn == Drawn("default"), "what changed nothing is not undone"
    one.choose("generate.noise", "loud", BEAT)
    assert one.scene.drawn == Drawn("default") and len(one.troubles) == 1


def test_models_that_came_since_are_known_and_the_folder_is_not_read_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names, looks = ["default"], []
    monkeypatch.setattr("livelav.desk.models.list_models", lambda: looks.append(1) or tuple(names))
    one = scenes(MODEL_SONGS)
    for turn in range(100):
        one.take_model(f"nobody-{turn}", 50.0 + turn / 100, BEAT)
    assert len(looks) == 2
    names.append("lava")
    one.take_model("lava", 51.0, BEAT)
    assert one.model == "lava"


def test_models_are_stepped_through_round_their_end_also_from_a_file(library: tuple[str, ...]) -> None:
    one = scenes(MODEL_SONGS)
    seen = []
    for steps in (1, 1, 1, -1, -1):
        one.step_model(steps, 0.0, BEAT)
        seen.append(one.model)
    assert seen == ["lava", "moss", "default", "moss", "lava"]
    begun = Scenes(replace(START, choices={**START.choices, "model": "/somewhere/own.safetensors"}), None, MODEL_SONGS)
    begun.step_model(1, 0.0, BEAT)
    assert begun.model == "default"
    begun.perform(Undo(), 0.0, BEAT)
    assert begun.model == "/somewhere/own.safetensors", "what the show began with can be come back to"


def test_swap_and_vary_take_the_model_along(library: tuple[str, ...]) -> None:
    one = scenes(MODEL_SONGS)
    one.perform(Swap(), 0.0, BEAT)
    one.take_model("moss", 0.0, BEAT)
    one.perform(Vary(), 0.0, BEAT)
    assert one.model == "moss"
    for model in ("default", "moss", "default"):
        one.perform(Swap(), 0.0, BEAT)
        assert one.model == model


def test_a_cued_presets_model_is_known_before_its_beat(library: tuple[str, ...]) -> None:
    one = scenes(MODEL_SONGS, preset__cue=4.0)
    one.perform(Recall("in-moss"), 0.1, BEAT)
    assert (one.model, one.coming.model) == ("default", "moss")
    one.step(2.0, BEAT)
    assert (one.model, one.coming.model) == ("moss", "moss")
    one.perform(Recall("in-lava"), 2.1, BEAT)
    one.perform(Undo(), 2.2, BEAT)
    assert one.coming.model == "moss"
    one.perform(Recall("calm"), 2.3, BEAT)
    one.take_model("lava", 0.0, BEAT)
    assert one.coming.model == "lava"
    one.step(4.0, BEAT)
    assert (one.preset, one.model) == ("calm", "lava"), "calm names none: what was chosen meanwhile stays"


def test_a_model_that_cannot_be_had_is_given_up_in_what_plays_is_cued_and_was_recalled(
    library: tuple[str, ...],
) -> None:
    one = scenes(MODEL_SONGS, preset__cue=4.0)
    one.perform(Recall("in-moss"), 0.1, BEAT)
    one.stay_with(Drawn("default"), Drawn("moss"))
    assert one.coming.model == "default"
    one.step(2.0, BEAT)
    assert (one.preset, one.model, one.is_changed) == ("in-moss", "default", False)
    one.stay_with(Drawn("lava"), Drawn("something-else"))
    assert one.model == "default"


def test_noise_maps_that_cannot_be_had_leave_the_model_and_the_other_way_round(library: tuple[str, ...]) -> None:
    one = scenes(MODEL_SONGS)
    one.perform(Recall("in-moss"), 0.0, BEAT)
    one.choose("generate.noise", "random", BEAT)
    one.stay_with(Drawn("moss", "const"), Drawn("moss", "random"))
    assert one.scene.drawn == Drawn("moss", "const")
    one.choose("generate.noise", "none", BEAT)
    one.stay_with(Drawn("lava", "const"), Drawn("moss", "none"))
    assert one.scene.drawn == Drawn("lava", "none")
    one.perform(Panic(), 1.0, BEAT)
    assert one.model == "lava", "what cannot be had is not come back to"


def test_the_model_is_kept_with_where_the_show_stands_and_in_what_is_saved(library: tuple[str, ...]) -> None:
    one = scenes(MODEL_SONGS)
    one.take_model("moss", 0.0, BEAT)
    kept = json.loads(Running(one.scene, None).as_json())
    assert kept["choices"]["model"] == "moss"
    path, text = one.to_save(new=True)
    path.write_text(text)
    assert load_preset(path).choices["model"] == "moss"
