"""Tones are harmonic, clicks are percussive, and nothing is lost between the two."""

import numpy as np
import pytest
from numpy.typing import NDArray
from test_features import HOP, RATE_HZ, T_S, clicks, hear

from livelav.core.values import Floats
from livelav.mapping.split import Split

CHORD = sum(0.1 * np.sin(2 * np.pi * hz * T_S) for hz in (220.0, 277.2, 329.6, 440.0, 880.0))


def told_apart(sound: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """(harmonic, percussive), [n] each."""
    spectra = hear(sound).spectrum
    split = Split(spectra.shape[1], 0.5 * RATE_HZ / (spectra.shape[1] - 1), HOP / RATE_HZ)
    harmonic, percussive = np.transpose([split.step(spectrum) for spectrum in spectra])
    return harmonic, percussive


def test_a_chord_is_tone_and_clicks_are_beat():
    harmonic, percussive = told_apart(CHORD)
    assert harmonic[40:].min() > 10 * percussive[40:].max()
    harmonic, percussive = told_apart(clicks([0.5, 1.0, 1.5, 2.0, 2.5]))
    assert percussive.max() > 10 * harmonic.max()


def test_mixed_they_are_told_apart():
    harmonic, percussive = told_apart(CHORD + clicks([1.5]))
    at = int(1.5 * RATE_HZ) // 320
    before, during = slice(60, at - 2), slice(at, at + 3)
    assert percussive[during].max() > 5 * percussive[before].max()
    assert harmonic[during].max() < 1.5 * harmonic[before].mean()


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_both_together_are_as_loud_as_the_sound(gain):
    noise = np.random.default_rng(0).standard_normal(2 * RATE_HZ) * 0.1
    for sound in (CHORD, noise):
        together = np.hypot(*told_apart(gain * sound))[60:]
        assert together.mean() == pytest.approx(hear(gain * sound).rms[60:].mean(), rel=0.05)


def test_silence_is_neither():
    assert not np.any(told_apart(np.zeros(RATE_HZ)))
