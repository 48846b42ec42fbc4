"""Tones are harmonic, clicks are percussive, and nothing is lost between the two."""

import numpy as np
import pytest
from test_features import RATE_HZ, T_S, clicks, hear

CHORD = sum(0.1 * np.sin(2 * np.pi * hz * T_S) for hz in (220.0, 277.2, 329.6, 440.0, 880.0))


def test_a_chord_is_tone_and_clicks_are_beat():
    chord, beat = hear(CHORD), hear(clicks([0.5, 1.0, 1.5, 2.0, 2.5]))
    assert chord.harmonic[40:].min() > 10 * chord.percussive[40:].max()
    assert beat.percussive.max() > 10 * beat.harmonic.max()


def test_mixed_they_are_told_apart():
    mixed = hear(CHORD + clicks([1.5]))
    at = int(1.5 * RATE_HZ) // 320
    before, during = slice(60, at - 2), slice(at, at + 3)
    assert mixed.percussive[during].max() > 5 * mixed.percussive[before].max()
    assert mixed.harmonic[during].max() < 1.5 * mixed.harmonic[before].mean()


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_both_together_are_as_loud_as_the_sound(gain):
    noise = np.random.default_rng(0).standard_normal(2 * RATE_HZ) * 0.1
    for sound in (CHORD, noise):
        heard = hear(gain * sound)
        together = np.hypot(heard.harmonic, heard.percussive)[60:]
        assert together.mean() == pytest.approx(heard.rms[60:].mean(), rel=0.05)


def test_silence_is_neither():
    heard = hear(np.zeros(RATE_HZ))
    assert not heard.harmonic.any() and not heard.percussive.any()
