"""The table of parameters: knobs invert, ranges hold, every name can be a flag."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.core.errors import ParamError
from livelav.core.params import BY_NAME, CHOICE_BY_NAME, CHOICES, INDEX, PARAMS, Param, Settings, param

params = st.sampled_from(PARAMS)
knobs = st.floats(0.0, 1.0)


@given(params, knobs)
def test_knob_inverts_value(p: Param, knob: float) -> None:
    assert p.knob(p.value(knob)) == pytest.approx(knob, abs=p.notch / 2 + 1e-9)
    assert p.value(p.knob(p.value(knob))) == pytest.approx(p.value(knob), rel=1e-9)


@pytest.mark.parametrize("curve", ["lin", "log"])
@given(st.floats(-100, 100), st.floats(1e-3, 100), knobs)
def test_so_does_every_travel_of_a_range_that_a_user_wrote(curve: Any, lo: float, span: float, knob: float) -> None:
    lo = abs(lo) + 0.1 if curve == "log" else lo
    param = replace(BY_NAME["mapping.norm"], lo=lo, hi=lo + span, default=lo, curve=curve)
    for travel in (knob, 0.0, 1.0):
        assert param.checked(param.value(travel)) == param.value(travel)


@given(params, knobs, knobs)
def test_more_travel_is_never_less_value(p: Param, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert p.value(low) <= p.value(high)


@given(params, st.floats(allow_nan=False))
def test_every_travel_gives_an_allowed_value(p: Param, knob: float) -> None:
    assert p.checked(p.value(knob)) == p.value(knob)


@given(params)
def test_the_ends_of_travel_are_the_ends_of_the_range(p: Param) -> None:
    assert p.value(0.0) == pytest.approx(p.lo, rel=1e-12)
    assert p.value(1.0) == pytest.approx(p.hi, rel=1e-12)


@given(params, st.floats())
def test_only_values_in_range_pass(p: Param, value: float) -> None:
    if p.lo <= value <= p.hi:
        assert Settings().with_values({p.name: value})[p.name] == (p.nearest(value) if p.steps else value)
    else:
        with pytest.raises(ParamError, match=rf"{p.name} is .*: it must be a number from {p.lo:g} to {p.hi:g}"):
            Settings().with_values({p.name: value})


def test_a_cue_is_a_beat_a_bar_two_or_four_and_nothing_between() -> None:
    cue = param("preset.cue")
    assert [cue.value(step / 4) for step in range(5)] == [0.0, 1.0, 4.0, 8.0, 16.0]
    assert {cue.value(cc / 127) for cc in range(128)} == {cue.checked(beats) for beats in range(17)} == {*cue.steps}


@pytest.mark.parametrize("value", ["1", None, True, [1.0], 1j])
def test_only_numbers_pass(value: object) -> None:
    with pytest.raises(ParamError, match="must be a number"):
        param("mapping.norm").checked(value)  # type: ignore[arg-type]


@given(params, knobs)
def test_a_change_leaves_all_else_and_the_old_snapshot_alone(p: Param, knob: float) -> None:
    before = Settings()
    after = before.with_values({p.name: p.value(knob)})
    assert before == Settings()
    assert {k: v for k, v in after.as_dict().items() if k != p.name} == {
        k: v for k, v in before.as_dict().items() if k != p.name
    }


def test_the_table_is_consistent() -> None:
    assert len({p.name for p in PARAMS} | {c.name for c in CHOICES}) == len(PARAMS) + len(CHOICES)
    controllers = [p.cc for p in PARAMS if p.cc is not None]
    assert len(set(controllers)) == len(controllers)
    assert all(0 <= cc <= 127 for cc in controllers)
    for p in PARAMS:
        assert math.isfinite(p.lo) and math.isfinite(p.hi) and p.lo < p.hi
        assert p.checked(p.default) == p.default
        assert not p.steps or ((p.steps[0], p.steps[-1]) == (p.lo, p.hi) and sorted(set(p.steps)) == list(p.steps))
        assert p.curve == "lin" or (p.lo == 0 if p.curve == "count" else p.lo > 0)
        assert p.help
    for choice in CHOICES:
        assert choice.checked(choice.default) == choice.default
        assert choice.help
    assert [PARAMS[INDEX[name]] for name in BY_NAME] == list(PARAMS)


def test_flags_are_plain_and_distinct() -> None:
    flags = [row.flag for row in (*PARAMS, *CHOICES)]
    assert len(set(flags)) == len(flags)
    assert param("mapping.norm_time").flag == "--mapping-norm-time"


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ParamError, match=r"no parameter 'mapping.nrom' \(did you mean 'mapping.norm'"):
        Settings().with_values({"mapping.nrom": 1.0})
    with pytest.raises(ParamError, match=r"one of fit, fill, stretch \(did you mean 'fill'"):
        CHOICE_BY_NAME["show.aspect"].checked("fil")
