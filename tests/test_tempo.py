"""The beat: tapped, fitted to a sequencer's late ticks, doubled, nudged; and where its multiples come."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.control.commands import Hear, Nudge, Resync, ScaleTempo, SetParam, Tap
from livelav.control.midiclock import TICKS_A_BEAT, ClockFollower
from livelav.core.tempo import Taps, Tempo
from livelav.desk.beat import Beat
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs
from livelav.flags import first_scene

bpms = st.floats(20.0, 300.0)
times = st.floats(0.0, 1e6)


def bar_apart(tempo: Tempo, now_s: float) -> float:
    """Beats from `now_s` to the nearest beginning of a bar."""
    return abs((tempo.beats(now_s) + 2.0) % 4.0 - 2.0)


def phase_apart(one: Tempo, other: Tempo, now_s: float) -> float:
    """How far apart two beats are, in seconds."""
    away = (one.beats(now_s) - other.beats(now_s) + 0.5) % 1.0 - 0.5
    return abs(away) * one.period_s


# ---- a steady beat


@given(bpms, times, times, st.sampled_from([1, 2, 4, 8, 16]))
def test_the_next_beat_is_a_multiple_and_the_first_one(bpm: float, origin_s: float, now_s: float, every: int) -> None:
    tempo = Tempo(bpm, origin_s)
    next_s = tempo.next_s(now_s, every)
    assert -1e-3 <= next_s - now_s <= every * tempo.period_s + 1e-3
    assert tempo.beats(next_s) / every == pytest.approx(round(tempo.beats(next_s) / every), abs=1e-3)


@given(bpms, bpms, times, times)
def test_another_speed_keeps_the_place_in_the_bar(bpm: float, other: float, origin_s: float, now_s: float) -> None:
    tempo = Tempo(bpm, origin_s)
    assert tempo.at_bpm(other, now_s).beats(now_s) == pytest.approx(tempo.beats(now_s), abs=1e-3)


def test_twice_as_fast_keeps_every_old_beat_a_beat() -> None:
    tempo = Tempo(100.0, 3.0)
    double = tempo.scaled(2.0, 77.7)
    assert double.bpm == 200.0
    assert phase_apart(tempo.scaled(0.5, 77.7), tempo, 77.7) < tempo.period_s
    for beat in range(8):
        at_s = 3.0 + 124 * tempo.period_s + beat * tempo.period_s
        assert phase_apart(double, Tempo(200.0, at_s), at_s) < 1e-6
    bar_s = 3.0 + 124 * tempo.period_s  # of the bar that plays at 77.7 s
    assert double.beats(bar_s) % 4 == pytest.approx(0.0, abs=1e-6)
    assert double.scaled(0.5, 77.7).bpm == 100.0


# ---- tapped


def test_a_hand_that_taps_is_some_milliseconds_off_and_its_tempo_is_not() -> None:
    rng, taps = np.random.default_rng(1), Taps()
    true = Tempo(127.0, 50.0)
    found = [taps.tap(50.0 + i * true.period_s + rng.normal(0.0, 0.015)) for i in range(16)]
    assert found[0] is None
    assert found[-1] is not None
    assert found[-1].bpm == pytest.approx(127.0, rel=0.01)
    assert phase_apart(found[-1], true, 50.0 + 16 * true.period_s) < 0.03
    assert round(found[-1].beats(50.0)) % 4 == 0, "the first tap is a bar's first beat"


def test_bars_stay_where_they_are_however_long_one_taps() -> None:
    taps, tempo = Taps(), None
    for i in range(50):
        tempo = taps.tap(10.0 + 0.5 * i)
    assert tempo is not None
    assert tempo.bpm == pytest.approx(120.0)
    assert tempo.beats(10.0) == pytest.approx(0.0, abs=1e-6)


def test_a_pause_or_another_speed_begins_anew() -> None:
    taps = Taps()
    for i in range(8):
        taps.tap(0.5 * i)
    assert taps.tap(10.0) is None
    second = taps.tap(10.4)
    assert second is not None and second.bpm == pytest.approx(150.0)
    assert taps.tap(11.2) is None, "half as fast: another song"
    third = taps.tap(12.0)
    assert third is not None and third.bpm == pytest.approx(75.0)


@given(st.lists(st.floats(0.0, 3.0), max_size=60))
def test_no_tapping_gives_a_tempo_that_is_none(gaps_s: list[float]) -> None:
    taps, now_s = Taps(), 5.0
    for gap_s in gaps_s:
        now_s += gap_s
        tempo = taps.tap(now_s)
        assert tempo is None or (math.isfinite(tempo.bpm) and tempo.bpm > 0)


# ---- a sequencer's clock


def ticked(follower: ClockFollower, bpm: float, beats: int, start_s: float, jitter_s: float = 0.0) -> list[Tempo]:
    """What is told while so many beats tick; each tick up to `jitter_s` late."""
    rng, tick_s = np.random.default_rng(2), 60.0 / bpm / TICKS_A_BEAT
    told = [
        follower.step("clock", start_s + i * tick_s + rng.uniform(0.0, jitter_s))
        for i in range(beats * TICKS_A_BEAT + 1)
    ]
    return [tempo for tempo in told if tempo]


@pytest.mark.parametrize("bpm", [60.0, 120.0, 174.0])
def test_a_clock_with_late_ticks_gives_tempo_and_bar(bpm: float) -> None:
    follower = ClockFollower()
    follower.step("start", 99.9)
    told = ticked(follower, bpm, 16, 100.0, jitter_s=0.004)
    assert len(told) == 16, "one with every beat"
    assert told[-1].bpm == pytest.approx(bpm, rel=0.002)
    end_s = 100.0 + 16 * 60.0 / bpm
    assert phase_apart(told[-1], Tempo(bpm, 100.0), end_s) < 0.004
    assert round(told[-1].beats(end_s)) == 16, "beats are counted from the start"


def test_a_clock_that_changes_speed_is_followed_within_two_bars() -> None:
    follower = ClockFollower()
    ticked(follower, 120.0, 8, 0.0)
    assert ticked(follower, 140.0, 8, 4.0 + 60 / 140 / 24)[-1].bpm == pytest.approx(140.0, rel=0.01)


def beat_after(times_s: list[float], jitter_s: float = 0.0) -> Tempo:
    """What is told last where ticks come at these times, each up to `jitter_s` late."""
    follower, rng = ClockFollower(), np.random.default_rng(3)
    late_s = sorted(at_s + rng.uniform(0.0, jitter_s) for at_s in times_s)
    return [tempo for at_s in late_s if (tempo := follower.step("clock", at_s))][-1]


def steady(bpm: float, count: int, start_s: float = 0.0) -> list[float]:
    return [start_s + i * 60.0 / bpm / TICKS_A_BEAT for i in range(count)]


BEATS = 16
TICKS = BEATS * TICKS_A_BEAT + 1


@pytest.mark.parametrize("bpm", [60.0, 120.0, 174.0, 240.0])
@pytest.mark.parametrize(
    "lost", [(100,), (95, 96, 97), (30, 31, 150, 157, 158, 240), (24, 48, 72), (20, 21, 22, 23, 24, 25)]
)
def test_the_beat_stays_where_it_is_though_ticks_are_lost(bpm: float, lost: tuple[int, ...]) -> None:
    times_s = steady(bpm, TICKS)
    told = beat_after([at_s for i, at_s in enumerate(times_s) if i not in lost], jitter_s=0.004)
    assert told.bpm == pytest.approx(bpm, rel=0.003)
    assert told.beats(times_s[-1]) == pytest.approx(BEATS, abs=0.02)


@pytest.mark.parametrize("bpm", [60.0, 120.0, 174.0, 240.0])
@pytest.mark.parametrize("held", [2, 3, 6])
def test_ticks_that_come_late_together_are_not_taken_for_lost(bpm: float, held: int) -> None:
    times_s = steady(bpm, TICKS)
    for first in (50, 120, 230):
        times_s[first : first + held] = [times_s[first + held - 1]] * held
    assert beat_after(times_s, jitter_s=0.004).beats(times_s[-1]) == pytest.approx(BEATS, abs=0.02)


@pytest.mark.parametrize("bpm", [150.0, 100.0, 70.0, 60.0, 45.0])
def test_a_slower_clock_has_lost_no_ticks(bpm: float) -> None:
    before_s = steady(120.0, 4 * TICKS_A_BEAT)
    after_s = steady(bpm, TICKS, before_s[-1] + 60.0 / bpm / TICKS_A_BEAT)
    assert beat_after(before_s + after_s, jitter_s=0.002).beats(after_s[-1]) == pytest.approx(4 + BEATS, abs=0.02)


def test_a_sequencer_that_pauses_has_lost_no_ticks() -> None:
    before_s = steady(120.0, 4 * TICKS_A_BEAT)
    after_s = steady(120.0, TICKS, before_s[-1] + 0.3)
    assert beat_after(before_s + after_s).beats(after_s[-1]) == pytest.approx(4 + BEATS, abs=0.02)


def test_a_clock_that_was_stopped_and_started_begins_a_bar() -> None:
    follower = ClockFollower()
    ticked(follower, 120.0, 5, 0.0)
    follower.step("stop", 2.6)
    follower.step("start", 7.0)
    told = ticked(follower, 120.0, 4, 7.3)
    assert told[-1].beats(7.3) == pytest.approx(0.0, abs=1e-6)


@given(st.lists(st.tuples(st.sampled_from(["clock", "start", "continue", "stop"]), st.floats(-0.1, 1.0)), max_size=200))
def test_no_stream_of_ticks_gives_a_tempo_that_is_none(steps: list[tuple[str, float]]) -> None:
    follower, now_s = ClockFollower(), 0.0
    for kind, gap_s in steps:
        now_s += gap_s
        tempo = follower.step(kind, now_s)  # type: ignore[arg-type]
        assert tempo is None or (math.isfinite(tempo.bpm) and tempo.bpm > 0)


# ---- who gives the tempo


def test_hands_set_tap_nudge_and_double() -> None:
    beat = Beat(120.0, 0.0)
    for i in range(4):
        beat.perform(Tap(), 10.0 + 0.6 * i)
    assert (beat.tempo.bpm, beat.source) == (pytest.approx(100.0), "tapped")
    beat.perform(Nudge(0.01), 12.0)
    assert beat.tempo.beats(10.01) == pytest.approx(0.0, abs=1e-6)
    beat.perform(ScaleTempo(2.0), 12.0)
    assert beat.tempo.bpm == pytest.approx(200.0)
    beat.perform(ScaleTempo(2.0), 12.0)
    assert beat.tempo.bpm == pytest.approx(200.0), "400 is out of range: it stays"
    beat.perform(Resync(), 13.37)
    assert bar_apart(beat.tempo, 13.37) < 1e-6
    beat.set_bpm(90.0, 20.0)
    assert (beat.tempo.bpm, beat.source) == (90.0, "set")


def test_while_a_clock_ticks_it_alone_gives_the_tempo() -> None:
    beat = Beat(120.0, 0.0)
    beat.on_clock("drums", Tempo(133.0, 1.0), 1.0)
    beat.on_clock("other", Tempo(80.0, 1.0), 1.2)
    beat.set_bpm(90.0, 1.3)
    beat.perform(Tap(), 1.4)
    beat.perform(Tap(), 1.9)
    assert (beat.tempo.bpm, beat.source) == (133.0, "clock of drums")
    beat.set_bpm(90.0, 9.0)
    assert beat.tempo.bpm == 90.0, "it has stopped"
    beat.on_clock("other", Tempo(80.0, 1.0), 10.0)
    assert beat.source == "clock of other"


def test_a_hand_that_a_clock_does_not_let_in_is_told_so_once_while_it_ticks() -> None:
    desk = Desk(first_scene(None, None, {}), None, (), Inputs(), 0.0)

    def ticks(*moments: float) -> None:
        for now_s in moments:
            desk.beat.on_clock("seq", Tempo(133.0, 0.0), now_s)
            desk.take([], now_s)

    ticks(1.0, 2.0)
    assert desk.news() == [], "nobody asked for another"
    desk.press(["+", "-", "T", "T", "T"], 2.1)
    assert desk.news() == ["the clock of seq gives the tempo: taps, x2 and /2 do nothing until it stops"]
    ticks(3.0, 4.0)
    desk.press(["+", "-"], 4.1)
    assert desk.news() == []
    desk.press(["+"], 9.0)  # it has stopped
    assert desk.news() == [] and desk.beat.tempo.bpm == 266.0
    ticks(20.0)
    desk.press(["+"], 20.1)
    assert len(desk.news()) == 1


def test_a_clock_that_is_out_of_range_keeps_no_hand_away() -> None:
    beat = Beat(120.0, 0.0)
    beat.on_clock("mad", Tempo(900.0, 1.0), 1.0)
    beat.set_bpm(90.0, 1.3)
    assert beat.tempo.bpm == 90.0


def test_what_is_nudged_or_begun_anew_stays_so_while_the_clock_goes_on() -> None:
    beat = Beat(120.0, 0.0)
    beat.on_clock("drums", Tempo(120.0, 0.0), 1.0)
    beat.perform(Nudge(0.01), 1.1)
    beat.perform(Nudge(0.01), 1.2)
    beat.on_clock("drums", Tempo(120.0, 0.0), 1.5)
    assert bar_apart(beat.tempo, 2.02) < 1e-6
    beat.perform(Resync(), 2.7)
    beat.on_clock("drums", Tempo(120.0, 0.0), 3.0)
    assert bar_apart(beat.tempo, 2.7) < 1e-6


def test_a_bar_begun_by_hand_keeps_its_place_in_the_music_at_another_speed_and_ends_with_the_song() -> None:
    beat = Beat(120.0, 0.0)
    beat.on_clock("drums", Tempo(120.0, 0.0), 1.0, 1)
    beat.perform(Resync(), 1.0)  # two beats into the sequencer's bar
    at_90 = Tempo(120.0, 0.0).at_bpm(90.0, 1.5)
    beat.on_clock("drums", at_90, 2.0, 1)
    assert beat.tempo.beats(9.0) % 4 == pytest.approx((at_90.beats(9.0) - 2) % 4)
    beat.on_clock("drums", Tempo(90.0, 3.1), 4.0, 2)
    assert bar_apart(beat.tempo, 3.1) < 1e-6, "it was started again, and says itself where its bars begin"


def test_a_stopped_sequencer_goes_on_where_it_stood_and_from_where_it_is_put() -> None:
    follower, tick_s = ClockFollower(), 0.5 / TICKS_A_BEAT
    follower.step("start", 0.0)
    ticked(follower, 120.0, 6, 0.0)
    follower.step("stop", 3.01)
    for n in range(250):  # some tick on
        follower.step("clock", 3.02 + n * tick_s)
    follower.step("continue", 10.0)
    told = ticked(follower, 120.0, 4, 10.0)
    # 145 ticks were before it: the next one is the first sixteenth part of a beat into the seventh
    assert told[-1].beats(10.0) == pytest.approx(145 / TICKS_A_BEAT, abs=0.01)
    follower.step("stop", 12.1)
    before = follower.starts
    follower.go_to(32)
    assert follower.starts == before + 1
    follower.step("continue", 20.0)
    assert ticked(follower, 120.0, 4, 20.0)[-1].beats(20.0) == pytest.approx(8.0, abs=0.01)


# ---- heard in the sound


def heard(beat: Beat, bpm: float, from_s: float, to_s: float, origin_s: float = 0.0, confidence: float = 0.9) -> None:
    """What the sound is said to be, four times a second, each time by another of its beats."""
    for now_s in np.arange(from_s, to_s, 0.25):
        tempo = Tempo(bpm, origin_s)
        beat.on_sound(Tempo(bpm, origin_s + (int(tempo.beats(now_s)) - 1) * tempo.period_s), confidence, now_s)


def test_the_sound_gives_the_tempo_until_a_hand_does_and_again_when_asked() -> None:
    beat = Beat(120.0, 0.0)
    heard(beat, 128.0, 10.0, 12.0, origin_s=0.1)
    assert (beat.tempo.bpm, beat.source, beat.confidence) == (128.0, "heard", 0.9)
    assert phase_apart(beat.tempo, Tempo(128.0, 0.1), 12.0) < 1e-6
    beat.perform(Tap(), 12.0)
    assert beat.hears, "one tap is no tempo"
    beat.perform(Tap(), 12.6)
    heard(beat, 128.0, 13.0, 14.0)
    assert (beat.tempo.bpm, beat.source, beat.hears) == (pytest.approx(100.0), "tapped", False)
    beat.perform(Hear(), 14.0)
    assert beat.source == "tapped", "until something is heard"
    heard(beat, 128.0, 14.0, 15.0)
    assert (beat.tempo.bpm, beat.source) == (128.0, "heard")
    beat.perform(Hear(), 15.0)
    heard(beat, 140.0, 15.0, 16.0)
    assert (beat.tempo.bpm, beat.source) == (128.0, "kept")
    beat.perform(Hear(), 16.0)
    beat.set_bpm(90.0, 16.0)
    heard(beat, 128.0, 16.0, 17.0)
    assert (beat.tempo.bpm, beat.source) == (90.0, "set")


def test_a_clock_is_followed_rather_than_the_sound_and_the_sound_once_it_stops() -> None:
    beat = Beat(120.0, 0.0)
    beat.on_clock("drums", Tempo(133.0, 1.0), 1.0)
    heard(beat, 128.0, 1.0, 4.0)
    assert beat.source == "clock of drums"
    heard(beat, 128.0, 4.0, 6.0)
    assert (beat.tempo.bpm, beat.source) == (128.0, "heard")


def test_what_is_hardly_heard_changes_nothing() -> None:
    beat = Beat(120.0, 0.0)
    heard(beat, 97.0, 1.0, 4.0, confidence=0.3)
    assert (beat.tempo, beat.source, beat.confidence) == (Tempo(120.0, 0.0), "set", 0.3)
    heard(beat, 128.0, 4.0, 6.0)
    heard(beat, 61.0, 6.0, 8.0, confidence=0.0)
    assert (beat.tempo.bpm, beat.source) == (128.0, "heard")


@given(st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=40))
def test_a_heard_tempo_that_sways_a_little_moves_no_beat_and_counts_no_bar_anew(sways: list[float]) -> None:
    beat, steady = Beat(120.0, 0.0), Tempo(126.0, 0.0)
    heard(beat, 126.0, 0.0, 4.0)
    beat.perform(Resync(), 8 * steady.period_s)
    for i, sway in enumerate(sways, start=17):
        beat.on_sound(Tempo(126.0 + sway, (i - 1) * steady.period_s), 0.9, i * steady.period_s)
        assert beat.tempo.bpm == 126.0
        assert bar_apart(beat.tempo, (i - (i - 8) % 4) * steady.period_s) < 1e-6


def test_hands_double_nudge_and_count_the_heard_beat_and_it_is_still_followed() -> None:
    beat, true = Beat(120.0, 0.0), Tempo(87.0, 0.03)
    heard(beat, 87.0, 0.0, 4.0, 0.03)
    beat.perform(ScaleTempo(2.0), 4.0)
    beat.perform(Nudge(0.01), 4.0)
    bar_s = true.next_s(4.0, 1) + 0.04  # a hand is late
    beat.perform(Resync(), bar_s)
    heard(beat, 87.0, bar_s, bar_s + 60.0, 0.03)
    assert (beat.tempo.bpm, beat.source) == (174.0, "heard")
    assert bar_apart(beat.tempo, bar_s - 0.03 + 174 * true.period_s) < 1e-3, "the beat is where it is heard, nudged"
    heard(beat, 128.0, 65.0, 70.0)
    assert beat.tempo.bpm == 128.0, "another song is not doubled"
    assert phase_apart(beat.tempo, Tempo(128.0, 0.0), 70.0) < 1e-6


def test_half_of_the_heard_tempo_keeps_to_its_beats() -> None:
    beat = Beat(120.0, 0.0)
    heard(beat, 160.0, 0.0, 4.0)
    beat.perform(ScaleTempo(0.5), 4.0)
    before = beat.tempo
    heard(beat, 160.0, 4.0, 30.0)
    assert beat.tempo.bpm == 80.0
    assert phase_apart(beat.tempo, before, 30.0) < 1e-6, "and to the same ones"


def test_an_off_beat_that_is_doubled_stays_the_hands() -> None:
    beat = Beat(120.0, 0.0)
    heard(beat, 120.0, 0.0, 8.0)
    beat.perform(Resync(), 8.25)  # half a beat off what is heard
    for factor in (2.0, 0.5, 0.5):
        beat.perform(ScaleTempo(factor), 8.25)
        now = beat.tempo
        heard(beat, 120.0, 8.5, 10.0)
        assert phase_apart(beat.tempo, now, 10.0) < 1e-6


def test_a_bar_begun_off_the_heard_beat_moves_the_beat() -> None:
    beat = Beat(120.0, 0.0)
    heard(beat, 120.0, 0.0, 4.0)
    beat.perform(Resync(), 4.26)
    heard(beat, 120.0, 4.5, 20.0)
    assert bar_apart(beat.tempo, 20.26) < 1e-6


def test_the_parameters_follow_what_is_heard_and_whoever_sets_them_is_a_hand() -> None:
    desk = Desk(first_scene(None, None, {}), None, (), Inputs(), 0.0)

    def stands(now_s: float) -> tuple[float, float, str]:
        desk.hear(Tempo(128.0, 0.1), 0.9, now_s)
        desk.take([], now_s)
        return desk.settings["tempo.bpm"], desk.settings["tempo.hearing"], desk.beat.source

    assert stands(1.0) == (128.0, 1.0, "heard")
    desk.apply(SetParam("tempo.bpm", 90.0), 2.0)
    desk.take([], 2.0)
    assert stands(2.1) == (90.0, 0.0, "set")
    desk.apply(SetParam("tempo.hearing", 1.0), 3.0)
    desk.take([], 3.0)
    assert stands(3.1) == (128.0, 1.0, "heard")
    desk.press("E", 4.0)
    assert stands(4.1) == (128.0, 0.0, "kept")


def test_a_tempo_that_is_asked_for_at_the_start_is_not_heard_over(tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text("schema = 1\n[params]\ntempo.bpm = 99\n")
    heard, named = first_scene(None, None, {}), first_scene(str(preset), None, {})
    asked = first_scene(None, None, {"tempo_bpm": "128"})
    both = first_scene(None, None, {"tempo_bpm": "128", "tempo_hearing": "1"})
    assert [s.settings["tempo.hearing"] for s in (heard, named, asked, both)] == [1.0, 0.0, 0.0, 1.0]
    went_on = heard.settings.with_values({"tempo.bpm": 128.0})  # which was heard: a show that goes on listens on
    assert first_scene(None, None, {}, replace(heard, settings=went_on)).settings["tempo.hearing"] == 1.0
