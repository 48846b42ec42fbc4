"""The resampler against a direct, double-precision evaluation of the documented formula."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livelav.audio.resample import Resampler
from livelav.core.values import Floats

RATES = [(48_000, 24_000), (44_100, 24_000), (44_100, 32_000), (8_000, 24_000), (192_000, 24_000), (11_025, 48_000)]


def direct(x: Floats, rate_in: int, rate_out: int, count: int) -> np.ndarray:
    """y[m] = sum over n of x[n] * h(n / rate_in - m / rate_out), h a Hann-windowed sinc of six zero crossings."""
    cutoff_hz = 0.99 * min(rate_in, rate_out)
    out = np.zeros(count)
    for m in range(count):
        centre = m * rate_in / rate_out
        n = np.arange(max(math.floor(centre - 100 * rate_in / cutoff_hz), 0), len(x))[: 400 * (rate_in // rate_out + 1)]
        t = cutoff_hz * (n / rate_in - m / rate_out)
        h = np.where(np.abs(t) < 6, np.sinc(t) * np.cos(np.pi * t / 12) ** 2, 0) * cutoff_hz / rate_in
        out[m] = np.dot(x[n].astype(np.float64), h)
    return out


def noise(n: int, seed: int = 0) -> Floats:
    return np.clip(np.random.default_rng(seed).standard_normal(n) * 0.3, -1, 1).astype(np.float32)


@pytest.mark.parametrize(("rate_in", "rate_out"), [*RATES, (44_099, 24_000), (24_000, 44_101)])
def test_equals_the_formula(rate_in: int, rate_out: int) -> None:
    x = noise(max(rate_in // 20, 600))
    y = Resampler(rate_in, rate_out).step(x)
    count = min(len(y), 600)
    assert np.abs(y[:count] - direct(x, rate_in, rate_out, count)).max() < 1e-6


@settings(max_examples=40, deadline=None)
@given(
    rates=st.sampled_from(RATES),
    cuts=st.lists(st.integers(0, 4_000), max_size=30),
)
def test_chunks_do_not_matter(rates: tuple[int, int], cuts: list[int]) -> None:
    x = noise(4_000)
    whole = Resampler(*rates).step(x)
    parts, stream = np.split(x, sorted(cuts)), Resampler(*rates)
    assert np.array_equal(np.concatenate([stream.step(p) for p in parts]), whole)


def test_single_samples_make_the_same_stream() -> None:
    x, stream = noise(700), Resampler(44_100, 24_000)
    pieces = [stream.step(x[i : i + 1]) for i in range(len(x))]
    assert np.array_equal(np.concatenate(pieces), Resampler(44_100, 24_000).step(x))


@pytest.mark.parametrize("rate_in", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("rate_out", [24_000, 32_000, 48_000])
def test_looks_less_than_a_millisecond_ahead(rate_in: int, rate_out: int) -> None:
    resampler = Resampler(rate_in, rate_out)
    assert resampler.lookahead_s < 1e-3
    n = rate_in // 10
    made = len(resampler.step(np.zeros(n, np.float32)))
    last_s = (made - 1) / rate_out
    assert n / rate_in - last_s < 1e-3 + 1 / rate_out + 1 / rate_in


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_no_output_depends_on_samples_beyond_its_lookahead(rate_in: int, rate_out: int) -> None:
    x, changed = noise(3_000), noise(3_000)
    changed[2_000:] = 0
    a, b = Resampler(rate_in, rate_out).step(x), Resampler(rate_in, rate_out).step(changed)
    first = int(np.flatnonzero(a != b)[0])
    assert first / rate_out > 2_000 / rate_in - Resampler(rate_in, rate_out).lookahead_s - 2 / rate_out


def test_long_streams_do_not_drift() -> None:
    stream = Resampler(44_100, 24_000)
    made = sum(len(stream.step(np.zeros(441, np.float32))) for _ in range(2_000))
    assert 0 <= 2_000 * 240 - made <= 8


def test_same_rate_passes_through() -> None:
    x, stream = noise(500), Resampler(24_000, 24_000)
    assert np.array_equal(stream.step(x), x)
    assert stream.lookahead_s == 0


def test_rates_are_rounded_to_whole_ones() -> None:
    x = noise(2_000)
    assert np.array_equal(Resampler(44_099.98, 24_000).step(x), Resampler(44_100, 24_000).step(x))


def test_reset_forgets() -> None:
    x, stream = noise(1_000), Resampler(48_000, 24_000)
    first = stream.step(x)
    stream.reset()
    assert np.array_equal(stream.step(x), first)
