"""Ableton Link between processes of our own: they meet, share a tempo, and their beats are one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from livelav.control.commands import Nudge, Resync, ScaleTempo, Tap
from livelav.control.link import Session, check_link
from livelav.core.clock import FakeClock
from livelav.core.errors import LinkError
from livelav.core.tempo import Tempo
from livelav.desk.beat import SESSION, Beat

ISLAND = ["unshare", "-rn"]  # a network without anybody else
HERE = Path(__file__).resolve().parent


def on_an_island(scene, folder):
    """What a scene of x_link.py saw."""
    pytest.importorskip("aalink", reason="Link needs the package aalink")
    try:
        subprocess.run([*ISLAND, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody make a network of his own: unshare -rn")
    command = [*ISLAND, sys.executable, str(HERE / "x_link.py"), scene, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.rig
def test_two_meet_share_every_tempo_and_beat_as_one(tmp_path):
    seen = on_an_island("pair", tmp_path)
    assert seen["alone"] == [0, None], "alone it leads nobody"
    assert seen["bpm"] == pytest.approx(97.0, abs=0.01), "who comes later follows"
    assert seen["met_ms"]["own"] < 5.0, "and takes over the bar that was there"
    assert max(seen["met_ms"]["both"], *seen["apart_ms"]) < 5.0
    assert seen["codes"] == [0, 0]


@pytest.mark.rig
def test_a_show_joins_a_session_follows_it_and_sets_its_tempo(tmp_path):
    seen = on_an_island("show", tmp_path)
    assert seen["followed"]["link"] == {"peers": 1}
    assert seen["followed"]["tempo"]["bpm"] == pytest.approx(97.0, abs=0.01)
    assert seen["set"]["tempo"]["source"] == SESSION
    assert seen["alone"]["restarts"]["link"] == 0
    assert seen["end"] == [0, ""]


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aalink", None)
    with pytest.raises(LinkError, match="pip install aalink"):
        check_link()
    with pytest.raises(LinkError, match="pip install aalink"):
        Session(Tempo(120.0, 0.0), FakeClock())


# ---- who gives the tempo


def led():
    """A beat that follows a session."""
    beat = Beat(120.0, 0.0)
    beat.on_session(Tempo(100.0, 1.0), 10.0)
    return beat


def test_a_session_leads_and_hands_may_set_its_tempo_but_not_its_bars():
    beat = led()
    assert (beat.tempo, beat.source) == (Tempo(100.0, 1.0), SESSION)
    phase = beat.tempo.beats(11.0) % 4
    beat.set_bpm(90.0, 11.0)
    assert (beat.tempo.bpm, beat.asked.bpm, beat.source) == (90.0, 90.0, SESSION)
    assert beat.tempo.beats(11.0) % 4 == pytest.approx(phase)
    beat.perform(ScaleTempo(2.0), 11.5)
    assert (beat.tempo.bpm, beat.asked.bpm) == (pytest.approx(180.0), pytest.approx(180.0))
    for i in range(4):
        beat.perform(Tap(), 12.0 + 0.5 * i)
    assert beat.asked.bpm == pytest.approx(120.0)


def test_what_a_session_says_before_it_has_heard_the_hand_does_not_pull_back():
    beat = led()
    beat.set_bpm(90.0, 11.0)
    beat.on_session(Tempo(100.0, 1.0), 11.01)
    assert beat.tempo.bpm == 90.0
    beat.on_session(Tempo(90.0, 0.5), 12.0)
    assert beat.tempo == Tempo(90.0, 0.5)


def test_what_is_nudged_is_ours_alone_and_stays():
    beat = led()
    asked = beat.asked
    beat.perform(Nudge(0.01), 10.5)
    assert beat.asked == asked
    beat.on_session(Tempo(100.0, 1.0), 11.0)
    assert beat.tempo.origin_s == pytest.approx(1.01)


def test_alone_hands_say_what_who_comes_will_follow():
    beat = Beat(120.0, 0.0)
    beat.set_bpm(90.0, 1.0)
    beat.perform(Resync(), 3.3)
    beat.perform(Nudge(0.01), 3.4)
    assert beat.asked == beat.tempo


def test_of_a_clock_and_a_session_the_first_counts_until_it_stops():
    beat = led()
    beat.on_clock("drums", Tempo(140.0, 0.0), 11.0)
    assert beat.source == SESSION
    beat.on_clock("drums", Tempo(140.0, 0.0), 20.0)
    beat.on_session(Tempo(100.0, 1.0), 20.5)
    assert beat.source == "clock of drums"
    beat.set_bpm(90.0, 21.0)
    assert beat.tempo.bpm == 140.0
