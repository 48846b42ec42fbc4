"""What `bench` makes of pictures that were watched; and the whole of it, with a controller in the rig."""

import json

import numpy as np
import pytest

from live import livelav
from livelav.bench.reactions import Watch

PERIOD_S = 0.016
END_S = 120.0


def watched(changes_s, due_s=()):
    """Presented so long at an even pace; each change is in the first picture from then on."""
    watch, changes_s = Watch(), sorted(changes_s)
    for now_s in np.arange(0.0, END_S, PERIOD_S):
        changed = bool(changes_s) and now_s >= changes_s[0]
        if changed:
            changes_s.pop(0)
        watch.note(now_s, changed, next((due for due in due_s if due - 0.3 <= now_s < due), None))
    return watch


def test_a_delay_is_that_of_the_first_change_after_a_moment():
    moments_s = [10.0 + 1.0 * i for i in range(50)]
    delays = watched([at_s + 0.03 for at_s in moments_s] + [at_s + 0.2 for at_s in moments_s]).delays(moments_s)
    assert (delays["seen"], delays["missed"], delays["restless"]) == (50, 0, 0)
    assert 30.0 <= delays["least"] <= delays["p50"] <= delays["p95"] <= delays["most"] <= 30.0 + 1000 * PERIOD_S


def test_what_comes_too_late_or_out_of_a_picture_that_moves_is_no_delay():
    delays = watched([10.9, 21.0, 29.95, 30.02]).delays([10.0, 20.0, 30.0])
    assert (delays["seen"], delays["missed"], delays["restless"]) == (0, 2, 1)
    assert "p50" not in delays


def test_moments_before_the_show_is_warm_are_not_judged():
    assert watched([1.03, 10.03]).delays([1.0, 10.0])["seen"] == 1


def test_a_recall_may_be_seen_before_its_beat_and_after_it():
    due_s = [10.0, 20.0, 30.0]
    off = watched([9.97, 20.0, 30.05], due_s).off_beat()
    assert off["seen"] == 3
    assert -30.0 <= off["least"] < 0.0
    assert 50.0 <= off["most"] <= 50.0 + 1000 * PERIOD_S


def test_late_presents_are_told_apart_by_where_they_are():
    watch = Watch()
    for now_s in np.arange(0.0, END_S, PERIOD_S):
        if not 20.0 < now_s < 20.09:  # five pictures are left out
            watch.note(now_s, False, 20.0 if 19.7 <= now_s < 20.0 else None)
    found = watch.intervals(PERIOD_S)
    assert found["longest_ms"]["most"] == pytest.approx(6000 * PERIOD_S, abs=1.0)
    assert found["late_percent"]["around"] > 0.0 == found["late_percent"]["elsewhere"]


def test_what_the_host_took_is_told_apart_from_what_is_ours():
    watch = Watch()
    for now_s in np.arange(0.0, END_S, PERIOD_S):
        if 20.0 < now_s < 20.09 or 40.0 < now_s < 40.05 or 60.0 < now_s < 60.05:
            continue  # pictures are left out: at one recall by the host, at the other and between them by us
        due_s = next((due_s for due_s in (20.0, 60.0) if due_s - 0.3 <= now_s < due_s), None)
        watch.note(now_s, False, due_s, taken_s=0.01 if now_s > 20.05 else 0.0)
    found = watch.intervals(PERIOD_S)
    assert found["longest_ms"]["most"] == pytest.approx(6000 * PERIOD_S, abs=1.0)
    assert found["ours_longest_ms"] == pytest.approx(4000 * PERIOD_S, abs=1.0)
    assert 0.0 < found["ours_late_percent"]["around"] < found["late_percent"]["around"]
    assert found["stolen_percent"] == pytest.approx(0.0, abs=0.05)


@pytest.mark.rig
def test_a_knob_and_recalls_are_seen_on_the_screen(tmp_path, rig):
    code, out, err = livelav(tmp_path, "bench", "--hands", "--seconds", "8", "--json")
    assert code == 0, err
    figures = json.loads(out)
    assert figures["knob_ms"]["seen"] > 0 and figures["cue_ms"]["seen"] > 0
