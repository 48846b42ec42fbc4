"""Whatever a driver delivers, what goes on is finite, bounded, stereo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from livelav.audio.ingress import LIMIT, fold, to_stereo
from livelav.core.values import Floats


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(0, 40), st.integers(1, 12)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_any_floats_become_finite_bounded_stereo(samples: Floats) -> None:
    stereo, cleaned = to_stereo(samples)
    assert stereo.shape == (len(samples), 2)
    assert stereo.dtype == np.float32
    assert np.isfinite(stereo).all()
    assert np.abs(stereo).max(initial=0) <= LIMIT
    assert cleaned == np.count_nonzero(~np.isfinite(samples))


def test_stereo_within_limits_passes_unchanged() -> None:
    samples = np.array([[0.1, -0.2], [1.5, -3.0], [0.0, 7.9]], np.float32)
    stereo, cleaned = to_stereo(samples)
    assert np.array_equal(stereo, samples)
    assert cleaned == 0


def test_mono_goes_to_both_sides() -> None:
    stereo, _ = to_stereo(np.array([[0.25], [-0.5]], np.float32))
    assert stereo.tolist() == [[0.25, 0.25], [-0.5, -0.5]]


def test_a_broken_channel_does_not_silence_the_others() -> None:
    samples = np.full((4, 6), 0.5, np.float32)
    samples[:, 3] = np.nan
    stereo, cleaned = to_stereo(samples)
    assert cleaned == 4
    assert (stereo > 0.5).all()


@pytest.mark.parametrize("channels", range(1, 17))
def test_folding_is_symmetric_and_keeps_the_front_pair(channels: int) -> None:
    gains = fold(channels)
    assert gains.shape == (channels, 2)
    assert gains[:, 0].sum() == pytest.approx(gains[:, 1].sum(), rel=0.35 if channels % 2 else 1e-6)
    assert gains[0, 0] == gains[:, 0].max() > 0
    if channels > 1:
        assert gains[0, 1] == gains[1, 0] == 0


@pytest.mark.parametrize("channels", range(3, 9))
def test_the_low_effects_channel_is_left_out_and_the_others_are_heard(channels: int) -> None:
    heard = fold(channels).sum(1) > 0
    assert [i for i, h in enumerate(heard) if not h] == ([3] if channels >= 6 else [])
