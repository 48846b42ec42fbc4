"""What the hand-made ears must hear, and that cutting the sound otherwise changes nothing."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from numpy.typing import NDArray

from livelav.core.values import Floats
from livelav.encode.features import FeatureExtractor, Heard

RATE_HZ, HOP = 24_000, 320
T_S = np.arange(3 * RATE_HZ) / RATE_HZ
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
TRIADS = [((9, 1, 4), (440.0, 554.37, 659.26)), ((0, 4, 7), (130.8, 164.8, 196.0))]


def hear(samples: NDArray[np.floating], sizes: Sequence[int] = (HOP,), rate: int = RATE_HZ, hop: int = HOP) -> Heard:
    ears = FeatureExtractor(rate, hop)
    rows, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        rows.append(ears.step(samples[at : at + size].astype(np.float32)))
        at, turn = at + size, turn + 1
    return Heard(*(np.concatenate([getattr(row, field.name) for row in rows]) for field in fields(Heard)))


def clicks(times_s: Sequence[float], seconds: float = 3.0) -> Floats:
    samples = np.zeros(round(seconds * RATE_HZ), np.float32)
    burst = np.random.default_rng(0).standard_normal(200) * np.exp(-np.arange(200) / 60)
    for time_s in times_s:
        at = round(time_s * RATE_HZ)
        samples[at : at + 200] += (0.5 * burst).astype(np.float32)
    return samples


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.02])
def test_onsets_are_at_the_clicks_and_nowhere_else(gain: float) -> None:
    times_s = (0.5, 1.0, 1.26, 2.0, 2.7)
    onset = hear(gain * clicks(times_s)).onset
    due = [int(time_s * RATE_HZ) // HOP for time_s in times_s]
    for frame in due:
        assert onset[frame : frame + 2].max() > 0.8, f"click in frame {frame} went unheard"
    elsewhere = np.setdiff1d(np.arange(len(onset)), [frame + k for frame in due for k in range(-1, 4)])
    assert onset[elsewhere].max() < 0.2


@pytest.mark.parametrize("pitch_hz", [55.0, 110.0, 440.0, 3000.0])
def test_steady_sound_has_no_onsets(pitch_hz: float) -> None:
    harmonics = range(1, int(11_000 / pitch_hz) + 1)
    saw = sum(0.2 / k * np.sin(2 * np.pi * k * pitch_hz * T_S) for k in harmonics)
    assert hear(saw).onset[40:].max() < 0.1


def test_an_onset_is_heard_through_steady_sound() -> None:
    onset = hear(0.1 * np.sin(2 * np.pi * 220 * T_S) + clicks([1.5])).onset
    assert np.argmax(onset[40:]) + 40 in range(112, 115)
    assert onset[40:].max() > 0.8


@pytest.mark.parametrize(
    ("names", "notes_hz"), [((9, 1, 4), (440.0, 554.37, 659.26)), ((0, 4, 7), (130.8, 164.8, 196))]
)
def test_a_triad_has_its_three_pitch_classes(names: tuple[int, ...], notes_hz: tuple[float, ...]) -> None:
    chroma = hear(sum(0.2 * np.sin(2 * np.pi * hz * T_S) for hz in notes_hz)).chroma[-1]
    assert set(np.argsort(chroma)[-3:]) == set(names)
    assert chroma[list(names)].sum() > 0.75
    assert chroma.sum() == pytest.approx(1.0, abs=1e-5)


def test_silence_is_all_zero() -> None:
    heard = hear(np.zeros(RATE_HZ))
    assert not heard.onset.any()
    assert not heard.flux.any()
    assert not heard.chroma.any()
    assert not heard.rms.any()


def test_loudness_ignores_dc() -> None:
    sine = 0.5 * np.sin(2 * np.pi * 1000 * T_S)
    assert hear(sine).rms[-1] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert hear(sine + 0.4).rms[-1] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert hear(np.full(RATE_HZ, 0.7)).rms[-1] == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_any_cut_gives_the_same_rows(sizes: list[int]) -> None:
    samples = clicks([0.1, 0.3], 0.6) + 0.1 * np.sin(2 * np.pi * 330 * T_S[: round(0.6 * RATE_HZ)])
    whole, cut = hear(samples, [len(samples)]), hear(samples, sizes)
    for name in ("onset", "chroma", "rms"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(cut, name))
    assert len(whole.onset) == len(samples) // HOP


@settings(max_examples=50, deadline=None)
@given(stn.arrays(np.float32, st.integers(1, 2000), elements=FINITE))
def test_finite_sound_gives_finite_rows(samples: Floats) -> None:
    heard = hear(np.concatenate([samples, samples[::-1]]))
    for rows in (heard.onset, heard.chroma, heard.rms):
        assert np.isfinite(rows).all()
        assert (rows >= 0).all()
    assert (heard.onset <= 1).all()


def test_other_rates_hear_the_same_note() -> None:
    seconds = np.arange(64_000) / 32_000
    heard = hear(0.3 * np.sin(2 * np.pi * 440 * seconds), rate=32_000, hop=640)
    assert len(heard.onset) == 100
    assert np.argmax(heard.chroma[-1]) == 9
