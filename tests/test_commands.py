"""The show's switches: what each key does, fades without jumps, and what it takes to quit."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.control.commands import AskQuit, Quit, Toggle
from livelav.control.keys import KEYS, PRESET_KEYS, key_help
from livelav.control.switches import FADE_S, QUIT_AGAIN_S, ShowState

KEY_SWITCHES = [
    ("F", "fullscreen"),
    ("B", "blackout"),
    ("D", "fade"),
    ("Z", "freeze"),
    ("H", "hud"),
    ("SPACE", "lock"),
    ("G", "pattern"),
]


def pressed(*keys: tuple[str, float]) -> ShowState:
    state = ShowState()
    for name, at_s in keys:
        state = state.apply(KEYS[name].command, at_s)
    return state


@pytest.mark.parametrize(("key", "switch"), KEY_SWITCHES)
def test_a_switch_turns_on_and_off_and_touches_no_other(key: str, switch: str) -> None:
    switches = {"fullscreen", "blackout", "fade", "freeze", "hud", "lock", "pattern", "quit"}
    once = pressed((key, 1.0))
    assert {name for name in switches if getattr(once, name)} == {switch}
    assert not any(getattr(pressed((key, 1.0), (key, 2.0)), name) for name in switches)


def test_escape_leaves_fullscreen_and_never_quits() -> None:
    assert not pressed(("F", 0.0), ("ESCAPE", 0.1)).fullscreen
    state = pressed(*[("ESCAPE", 0.01 * n) for n in range(50)])
    assert state == ShowState()


def test_quitting_takes_two_presses_close_together() -> None:
    assert not pressed(("Q", 5.0)).quit
    assert pressed(("Q", 5.0)).quit_pending(5.5)
    assert pressed(("Q", 5.0), ("Q", 5.0 + QUIT_AGAIN_S)).quit
    late = pressed(("Q", 5.0), ("Q", 5.1 + QUIT_AGAIN_S))
    assert not late.quit
    assert late.apply(AskQuit(), 5.2 + QUIT_AGAIN_S).quit, "the late press counts as a first one"
    assert ShowState().apply(Quit(), 0.0).quit


SLOW_S = 5.0
presses = st.lists(st.tuples(st.floats(0.0, 1.0), st.sampled_from([Toggle("blackout"), Toggle("fade")])), max_size=8)


@given(presses, st.floats(0.0, 2.0))
def test_light_never_jumps_however_blackout_and_fade_are_hammered(
    presses: list[tuple[float, Toggle]], after_s: float
) -> None:
    state, now_s = ShowState(), 10.0
    for wait_s, toggle in presses:
        now_s += wait_s
        before = state.light(now_s)
        state = state.apply(toggle, now_s, SLOW_S)
        assert state.light(now_s) == pytest.approx(before)
        assert not (state.blackout and state.fade)
    assert 0.0 <= state.light(now_s + after_s) <= 1.0
    goal = 0.0 if state.dark else 1.0
    assert state.light(now_s + SLOW_S) == pytest.approx(goal)
    if presses and presses[-1][1] == Toggle("blackout"):
        assert state.light(now_s + FADE_S) == pytest.approx(goal)


def test_a_fade_goes_down_and_up_evenly_in_its_own_time() -> None:
    state = ShowState().apply(Toggle("fade"), 10.0, SLOW_S)
    assert [state.light(10.0 + share * SLOW_S) for share in (0.0, 0.25, 0.5, 1.0, 9.0)] == [1.0, 0.75, 0.5, 0.0, 0.0]
    state = state.apply(Toggle("fade"), 60.0, 2 * SLOW_S)
    assert [state.light(60.0 + share * SLOW_S) for share in (0.0, 1.0, 2.0)] == [0.0, 0.5, 1.0]


def test_blackout_in_a_fade_is_at_once_and_stays() -> None:
    state = ShowState().apply(Toggle("fade"), 10.0, SLOW_S).apply(Toggle("blackout"), 11.0, SLOW_S)
    assert state.light(11.0 + FADE_S) == state.light(99.0) == 0.0
    assert state.dark == "blackout"
    assert state.apply(Toggle("blackout"), 20.0, SLOW_S).light(20.0 + FADE_S) == 1.0, "and its key brings the light"
    assert state.apply(Toggle("fade"), 20.0, SLOW_S).light(20.0 + SLOW_S / 2) == 0.5, "or that of the fade, slowly"


def test_the_help_is_the_key_table() -> None:
    helped = dict(key_help())
    assert helped.pop(f"1-{PRESET_KEYS}")
    assert helped == {name.title(): key.help for name, key in KEYS.items() if not name.isdecimal()}


def test_while_locked_only_the_unlocking_key_counts() -> None:
    locked = pressed(("SPACE", 0.0))
    assert [name for name, key in KEYS.items() if locked.takes(key.command)] == ["SPACE"]
    assert all(locked.apply(Toggle("lock"), 1.0).takes(key.command) for key in KEYS.values())


def test_every_switch_that_a_key_toggles_exists() -> None:
    names = {field.name for field in fields(ShowState)}
    assert {key.command.switch for key in KEYS.values() if isinstance(key.command, Toggle)} <= names
