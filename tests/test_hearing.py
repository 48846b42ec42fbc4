"""The sound's own beat: found in drums of many kinds, kept through breaks, doubted where there is none."""

from collections.abc import Sequence

import numpy as np
import pytest
from _grooves import DEVELOPED_ON, HELD_OUT, RATE_HZ, Groove, render
from evaluate_tempo import follow, is_near, off_s

from livelav.audio import demo
from livelav.chain import Chain
from livelav.core.params import Settings
from livelav.core.values import Block, Floats
from livelav.encode.encoder import load_encoder
from livelav.encode.features import FLUX_BANDS, FeatureExtractor
from livelav.encode.tempo import FASTEST_BPM, SLOWEST_BPM, HeardBeat, TempoFollower
from livelav.generate.files import read_checkpoint
from livelav.generate.library import find_model
from livelav.mapping.mapper import Mapper

HOP = 320
GROOVES = {groove.name: groove for groove in (*DEVELOPED_ON, *HELD_OUT)}
LISTENED_S = 8.0


def told(sound: Floats, sizes: Sequence[int]) -> list[HeardBeat]:
    """What is told of sound that comes in such pieces."""
    ears, follower, at, turn, beats = FeatureExtractor(RATE_HZ, HOP), TempoFollower(75.0), 0, 0, []
    while at < len(sound):
        size = sizes[turn % len(sizes)]
        beats += [beat for flux in ears.step(sound[at : at + size]).flux if (beat := follower.step(flux))]
        at, turn = at + size, turn + 1
    return beats


@pytest.mark.parametrize(
    "name",
    ["house, hats loudest", "techno", "break", "drum and bass", "hip-hop", "waltz", "swing", "rock"],
)
def test_tempo_and_beat_are_known_after_eight_seconds(name: str) -> None:
    groove = GROOVES[name]
    sound, beats_s = render(groove, 11.0, seed=5, start_s=0.2)
    late = follow(sound)
    late = late[late[:, 0] > LISTENED_S]
    assert is_near(late, groove.bpm).all(), f"heard {np.unique(late[:, 1].round())}, not {groove.bpm}"
    assert np.abs(off_s(late, groove.bpm, beats_s[0])).max() < 0.040
    assert late[:, 3].min() > 0.6


@pytest.mark.parametrize("bpm", [82.0, 100.0, 128.0, 160.0, 174.0])
def test_a_kick_and_a_snare_are_enough_at_any_tempo(bpm: float) -> None:
    groove = Groove("bare", bpm, {"kick": "9.........9.....", "snare": "....9.......9...", "hat": "6.6.6.6.6.6.6.6."})
    late = follow(render(groove, 11.0, seed=6)[0])
    late = late[late[:, 0] > LISTENED_S]
    assert is_near(late, bpm).all(), f"heard {np.unique(late[:, 1].round())}, not {bpm}"


def test_another_tempo_is_taken_within_ten_seconds() -> None:
    pieces = [render(GROOVES[name], 16.0, seed=1)[0] for name in ("house", "drum and bass")]
    heard = follow(np.concatenate(pieces))
    assert is_near(heard[heard[:, 0] > 26.0], GROOVES["drum and bass"].bpm).all()


@pytest.mark.parametrize("what", ["silence", "a pad"])
def test_in_a_break_the_beat_goes_on(what: str) -> None:
    house = GROOVES["house"]
    rest_s, before_s = 16 * 60.0 / house.bpm, 32 * 60.0 / house.bpm
    rest = render(Groove("pad", house.bpm, {}, pad=0.3), rest_s, 3)[0]
    heard = follow(np.concatenate([render(house, before_s, 1)[0], rest * (what != "silence")]))
    assert heard[heard[:, 0] <= before_s][-1, 3] > 0.9
    late = heard[heard[:, 0] > before_s]
    assert late[-4:, 3].max() < 0.2 or what != "silence"
    assert is_near(late, house.bpm).all()
    assert np.abs(off_s(late, house.bpm, 0.0)).max() < 0.040


@pytest.mark.parametrize("what", ["silence", "hiss", "rain", "a steady tone"])
def test_sound_without_a_beat_is_not_believed(what: str) -> None:
    rng, n = np.random.default_rng(4), 20 * RATE_HZ
    drops = (rng.random(n) < 8.0 / RATE_HZ) * rng.random(n)
    sound = {
        "silence": np.zeros(n),
        "hiss": 0.1 * rng.standard_normal(n),
        "rain": np.convolve(drops, rng.standard_normal(1000) * np.exp(-np.arange(1000) / 200))[:n],
        "a steady tone": 0.3 * np.sin(2 * np.pi * 220 * np.arange(n) / RATE_HZ),
    }[what]
    assert follow(sound.astype(np.float32))[:, 3].max(initial=0.0) < 0.3


@pytest.mark.parametrize("gain", [0.01, 1.9])
def test_loudness_is_no_matter(gain: float) -> None:
    groove = GROOVES["rock"]
    late = follow(gain * render(groove, 12.0, seed=2)[0])[-8:]
    assert is_near(late, groove.bpm).all()
    assert late[:, 3].min() > 0.6


def test_the_demos_beat_is_heard_on_the_clock_of_its_capture() -> None:
    music, encoder, stats = (
        demo.compose()[: 10 * demo.RATE_HZ],
        load_encoder(None),
        read_checkpoint(find_model("default")).stats,
    )
    chain, began_s, beats = Chain(encoder, Mapper(stats, encoder, seed=0)), 1000.0, []
    for start in range(0, len(music), 480):
        block = Block(music[start : start + 480], began_s + (start + 480) / demo.RATE_HZ, demo.RATE_HZ)
        beats += [(f.features.captured_s, f.beat) for f in chain.push(block, Settings()) if f.beat]
    for captured_s, beat in beats[-8:]:
        assert beat.bpm == pytest.approx(120.0, rel=0.01)
        assert abs((captured_s - beat.ago_s - began_s + 0.25) % 0.5 - 0.25) < 0.030
        assert beat.confidence > 0.8


def test_it_is_the_same_whatever_pieces_the_sound_comes_in() -> None:
    sound, _ = render(GROOVES["break"], 6.0, seed=3)
    whole = told(sound, [len(sound)])
    assert whole and whole == told(sound, [160]) == told(sound, [1, 999, 57, 4000])


def test_what_comes_later_changes_nothing() -> None:
    sound, _ = render(GROOVES["break"], 6.0, seed=3)
    part = told(sound[: 5 * RATE_HZ], [HOP])
    assert part == told(sound, [HOP])[: len(part)]


@pytest.mark.parametrize("bpm", [30.0, 54.0, 90.0, 216.0, 400.0])
def test_whatever_is_heard_the_tempo_is_one(bpm: float) -> None:
    rng, follower, told = np.random.default_rng(7), TempoFollower(75.0), []
    for turn, how in enumerate(("pulses", "noise", "pulses", "nothing", "one burst", "noise and pulses")):
        flux = 1e-3 * rng.random((900, FLUX_BANDS)) * ("noise" in how)
        pulses = np.floor((np.arange(900) + 7 * turn) * bpm / 60 / 75)
        flux[1:][np.diff(pulses) > 0] += "pulses" in how
        flux[400] += 1e6 * (how == "one burst")
        told += [beat for row in flux.astype(np.float32) if (beat := follower.step(row))]
    for beat in told:
        assert SLOWEST_BPM <= beat.bpm <= FASTEST_BPM
        assert 0.0 <= beat.ago_s < 2.0 and 0.0 <= beat.confidence <= 1.0


def test_at_another_frame_rate_it_hears_the_same() -> None:
    groove, follower = GROOVES["rock"], TempoFollower(50.0)
    ears = FeatureExtractor(RATE_HZ, 480)
    beats = [beat for flux in ears.step(render(groove, 12.0, seed=2)[0]).flux if (beat := follower.step(flux))]
    assert beats[-1].bpm == pytest.approx(groove.bpm, rel=0.01)
    assert beats[-1].confidence > 0.6
