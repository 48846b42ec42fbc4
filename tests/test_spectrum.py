"""What the operator sees of the sound: sines read what they are, silence reads silent, bars fall in time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.core.values import Block
from livelav.show.spectrum import BARS, FLOOR_DB, HIGHEST_HZ, LOWEST_HZ, Ear, bar_edges_hz, spectrum_db

RATE_HZ = 48_000.0


def sine(hz: float, level: float = 1.0, rate_hz: float = RATE_HZ, samples: int = 4096) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz)).astype(np.float32)


def block(samples: np.ndarray, rate_hz: float = RATE_HZ) -> Block:
    return Block(np.repeat(samples[:, None], 2, axis=1), 0.0, rate_hz)


@given(st.floats(LOWEST_HZ * 1.5, HIGHEST_HZ * 0.98), st.floats(-60.0, 0.0), st.sampled_from([44_100.0, RATE_HZ, 96e3]))
def test_a_sine_reads_its_level_in_the_bar_of_its_frequency(hz: float, level_db: float, rate_hz: float) -> None:
    bars = spectrum_db(sine(hz, 10 ** (level_db / 20), rate_hz), rate_hz)
    bar = int(np.searchsorted(bar_edges_hz(), hz, side="right")) - 1
    assert bars[bar] == pytest.approx(level_db, abs=1.6)
    assert bars[bar] >= bars.max() - 1.5, "its neighbours may share it and no more"


def test_two_sines_are_two_peaks() -> None:
    bars = spectrum_db(sine(200.0, 0.5) + sine(5_000.0, 0.25), RATE_HZ)
    low, high = np.searchsorted(bar_edges_hz(), [200.0, 5_000.0]) - 1
    assert bars[low] > bars[(low + high) // 2] + 40 < bars[high] + 80


def test_silence_and_what_a_low_rate_cannot_carry_read_nothing() -> None:
    assert (spectrum_db(np.zeros(4096, np.float32), RATE_HZ) == FLOOR_DB).all()
    bars = spectrum_db(sine(1_000.0, rate_hz=8_000.0), 8_000.0)
    assert (bars[bar_edges_hz()[:-1] > 4_100.0] == FLOOR_DB).all() and bars.max() > -2.0


def test_bars_rise_at_once_and_fall_evenly_and_the_peak_is_of_any_channel() -> None:
    ear = Ear()
    ear.hear(Block(np.stack([sine(1_000.0, 0.1), np.full(4096, 0.9, np.float32)], axis=1), 0.0, RATE_HZ), 1.0)
    assert ear.peak == pytest.approx(0.9)
    ear.hear(block(sine(1_000.0)), 1.1)
    ear.step(1.1)
    top = ear.bars_db.max()
    assert top > -2.0 and ear.peak == pytest.approx(1.0, abs=0.01)
    heights = []
    for n in range(1, 20):
        ear.step(1.4 + 0.1 * n)
        heights.append(ear.bars_db.max())
    assert heights == sorted(heights, reverse=True) and heights[-1] == FLOOR_DB and ear.peak == 0.0
    assert heights[0] > top - 40.0, "no eye follows a bar that is gone at once"


def test_blocks_of_any_length_make_the_same_bars() -> None:
    whole = sine(440.0, 0.5, samples=9_000)
    ears = Ear(), Ear()
    ears[0].hear(block(whole), 1.0)
    for start in range(0, 9_000, 479):
        ears[1].hear(block(whole[start : start + 479]), 1.0)
    for ear in ears:
        ear.step(1.0)
    assert len(ears[0].bars_db) == BARS
    np.testing.assert_array_equal(ears[0].bars_db, ears[1].bars_db)
