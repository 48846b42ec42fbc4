"""Clocks and the pacing of even moments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.core.clock import FakeClock, MonotonicClock, Pacer


def test_a_fake_clock_moves_only_when_slept_on() -> None:
    clock = FakeClock(5.0)
    assert clock.now_s() == 5.0
    clock.sleep(1.5)
    clock.sleep(-3.0)
    assert clock.now_s() == 6.5


def test_the_real_clock_never_goes_back() -> None:
    clock = MonotonicClock()
    before_s = clock.now_s()
    clock.sleep(-1.0)
    clock.sleep(0.001)
    assert clock.now_s() >= before_s + 0.001


@given(st.floats(1, 240), st.lists(st.floats(0, 0.5), min_size=1, max_size=50))
def test_due_moments_stay_on_their_grid_and_ahead(rate_hz: float, waits_s: list[float]) -> None:
    clock = FakeClock(100.0)
    pacer = Pacer(rate_hz, clock.now_s())
    moments = 0
    for wait_s in waits_s:
        clock.sleep(wait_s)
        early = clock.now_s() < pacer.due_s - 0.5 * pacer.period_s
        missed = pacer.advance(clock.now_s())
        assert missed >= 0
        moments += 0 if early else missed + 1  # who comes early changes nothing
        assert pacer.due_s == pytest.approx(100.0 + moments / rate_hz, abs=1e-6)
        assert pacer.due_s > clock.now_s() - 1e-6


def test_who_is_on_time_misses_nothing_and_who_is_late_is_told() -> None:
    clock = FakeClock()
    pacer = Pacer(50.0, clock.now_s())
    for _ in range(100):
        clock.sleep(pacer.due_s - clock.now_s())
        assert pacer.advance(clock.now_s()) == 0
    clock.sleep(pacer.due_s - clock.now_s() + 0.05)
    assert pacer.advance(clock.now_s()) == 2
