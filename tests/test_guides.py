"""What leads W besides LAV: seeded, each moved by what it listens to and by nothing else, calm in silence, like LAV in
how far it goes, and at home in blends, scenes and renders.
"""

import functools
import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from test_mapping import Encoder, w_stats

from livelav.chain import Chain
from livelav.core.params import CHOICE_BY_NAME, Settings
from livelav.core.presets import load_preset
from livelav.core.scene import MappingKey
from livelav.core.values import Block, Controls, Features
from livelav.encode.calibration import passage
from livelav.encode.encoder import load_encoder
from livelav.flags import first_scene
from livelav.generate.library import load_generator
from livelav.mapping.blend import Blend
from livelav.mapping.mapper import Mapper
from livelav.mapping.meters import Meters
from livelav.render.offline import Script

WORDS = CHOICE_BY_NAME["mapping.synth"].options
GUIDES = WORDS[1:]
DEAF = ("still", "random")
HEARING = tuple(word for word in GUIDES if word not in DEAF)
ENCODER, STATS = Encoder(), w_stats()
DT_S = 1.0 / ENCODER.frame_rate
BINS, BIN_HZ = 513, 24_000 / 1024


def mapper(word, seed=3):
    return Mapper(STATS, ENCODER, seed, synth=word)


def heard(count, seed=0):
    """Frames in which everything changes all the time."""
    rng = np.random.default_rng(seed)
    return [
        Features(
            rng.standard_normal(128).astype(np.float32),
            float(rng.random() < 0.1),
            rng.dirichlet(np.full(12, 0.3)).astype(np.float32),
            0.2 * float(rng.random()),
            0.0,
            float(rng.gamma(0.5, 0.01)),
            (0.1 * rng.random() * rng.random(BINS)).astype(np.float32),
            BIN_HZ,
        )
        for _ in range(count)
    ]


@functools.cache
def models():
    """(the shipped encoder, W of the shipped generator)"""
    return load_encoder(), load_generator().stats


class Listener:
    """In place of a mapping: keeps what was heard."""

    def __init__(self):
        self.frames = []

    def step(self, frame, _settings):
        self.frames.append(frame)
        return Controls(np.zeros((0, 0), np.float32), np.zeros((2, 3), np.float32), 0.0)


def as_heard(sound):
    listener, (encoder, _) = Listener(), models()
    Chain(encoder, listener).push(Block(sound[:, None], 0.0, float(encoder.sample_rate)), Settings())
    return listener.frames


@pytest.fixture(scope="module")
def music():
    return as_heard(np.concatenate([passage(24_000, 5.0, seed) for seed in (1, 2)]))


@pytest.fixture(scope="module")
def hiss():
    return as_heard((3e-4 * np.random.default_rng(0).standard_normal(4 * 24_000)).astype(np.float32))


def spread_and_step(word, frames):
    """Of ws, as the meters show them, without what loudness adds behind the guides: it is LAV's alone."""
    encoder, stats = models()
    settings = Settings().with_values({"mapping.swell": 0.0})
    one, meters = Mapper(stats, encoder, 1, synth=word), Meters(stats, encoder.frame_rate)
    for frame in frames:
        meters.step(one.step(frame, settings).ws)
    return meters.spread, meters.step_size


SILENCE = Features(np.zeros(128, np.float32), 0.0, np.zeros(12, np.float32), 0.0, 0.0)


def ws(one, frames, settings=Settings()):  # noqa: B008
    return np.stack([one.step(frame, settings).ws for frame in frames])


@pytest.mark.parametrize("word", GUIDES)
def test_a_seed_is_the_same_for_ever_and_another_is_another(word):
    frames = heard(100)
    made = ws(mapper(word), frames)
    assert np.array_equal(made, ws(mapper(word), frames))
    assert np.abs(made - ws(mapper(word, 4), frames)).mean() > 0.05
    assert np.array_equal(made[:60], ws(mapper(word), [*frames[:60], *heard(40, 9)])[:60]), "it is causal"


@pytest.mark.parametrize("word", DEAF)
def test_what_does_not_listen_is_the_same_whatever_sounds(word):
    one, other = mapper(word), mapper(word)
    for frame in heard(100):
        loud, silent = one.step(frame, Settings()), other.step(SILENCE, Settings())
        assert np.array_equal(loud.ws, silent.ws) and np.array_equal(loud.noise, silent.noise)


def test_still_never_moves_and_random_always_does():
    still = ws(mapper("still"), heard(300))
    assert np.allclose(still, still[0], atol=1e-5)
    steps = np.abs(np.diff(ws(mapper("random"), heard(900)), axis=0)).mean((1, 2))[150:]
    assert steps.min() > 0.3 * steps.mean(), "at an even pace"


@pytest.mark.parametrize(("word", "listens_to"), [("onsets", "rise"), ("chroma", "chroma")])
def test_what_listens_to_one_thing_is_moved_by_that_alone(word, listens_to):
    frames, others = heard(200), heard(200, 1)
    mixed = [replace(b, **{listens_to: getattr(a, listens_to)}) for a, b in zip(frames, others, strict=True)]
    made = ws(mapper(word), frames)
    assert np.array_equal(made, ws(mapper(word), mixed))
    assert not np.allclose(made, ws(mapper(word), others), atol=0.01)


def test_equal_chroma_comes_to_equal_ws_whatever_was_before():
    settled = heard(1) * 200  # beyond the longest of the default windows
    after_this, after_that = (
        ws(mapper("chroma"), [*before, *settled])[-1] for before in (heard(150, 1), [SILENCE] * 30)
    )
    assert np.allclose(after_this, after_that, atol=1e-3)


def test_both_is_moved_by_attacks_and_by_harmony():
    frames = heard(200)
    made = ws(mapper("onsets-chroma"), frames)
    for name in ("rise", "chroma"):
        quiet = [replace(frame, **{name: getattr(SILENCE, name)}) for frame in frames]
        assert not np.allclose(made, ws(mapper("onsets-chroma"), quiet), atol=0.01)


def test_tones_make_the_walk_go_and_beats_pulse():
    ridge = np.zeros(BINS, np.float32)
    ridge[40:43] = 0.05, 0.1, 0.05
    tone = replace(SILENCE, rms=0.1, spectrum=ridge, bin_hz=BIN_HZ)
    beat = replace(tone, spectrum=np.full(BINS, 0.01, np.float32))
    silence = replace(tone, rms=0.0, spectrum=np.zeros(BINS, np.float32))
    quick = Settings().with_values({f"smoothing.{name}": 0.02 for name in ("coarse", "middle", "fine", "leak")})

    def far(a, b):
        return float(np.abs((a - b) / STATS.std).mean())

    walked = ws(mapper("spectral"), [tone] * 300, quick)
    assert far(walked[100], walked[299]) > 0.1 and far(walked[299], walked[298]) > 0.001
    pulsed = ws(mapper("spectral"), [*[silence] * 50, beat, *[silence] * 150], quick)
    assert far(pulsed[54], pulsed[0]) > 0.3
    assert far(pulsed[-1], pulsed[0]) < 0.01, "as long as it sounds, and no longer"


@pytest.mark.parametrize("word", HEARING)
def test_silence_comes_to_rest(word):
    one = mapper(word)
    ws(one, heard(300))
    rest = ws(one, [SILENCE] * 600)
    assert np.abs(np.diff(rest[300:], axis=0) / STATS.std).max() < 1e-3


@pytest.mark.parametrize("word", ["onsets", "onsets-chroma", "spectral"])
def test_a_hiss_does_not_dance(word, hiss, music):
    """-70 dB of noise from a preamplifier."""
    (_, hissing), (_, playing) = (spread_and_step(word, frames) for frames in (hiss, music))
    assert hissing < 0.35 * playing


@pytest.mark.parametrize("word", GUIDES)
def test_it_stays_within_w_and_follows_the_common_knobs(word):
    frames = heard(300)
    far = np.abs((ws(mapper(word), frames) - STATS.mean) / STATS.std)
    assert np.sqrt(np.square(far).mean()) < 1.2 and far.max() < 3.5
    for name, centre in (("mapping.norm", STATS.mean), ("generate.psi", STATS.w_avg)):
        calm = ws(mapper(word), frames, Settings().with_values({name: 0.0, "mapping.slope": 0.0}))
        pulled = calm[-1] if name == "generate.psi" else (calm[-1] - STATS.w_avg) / 0.9 + STATS.w_avg
        assert np.allclose(pulled, centre, atol=1e-3)


@pytest.mark.parametrize("word", HEARING)
def test_longer_windows_make_it_slower(word):
    frames = heard(600)
    quick, slow = (
        np.abs(np.diff(ws(mapper(word), frames, Settings().with_values(dict.fromkeys(_WINDOWS, s))), axis=0)).mean()
        for s in (0.05, 2.0)
    )
    assert slow < 0.3 * quick


_WINDOWS = ("smoothing.coarse", "smoothing.middle", "smoothing.fine")


@pytest.mark.parametrize("word", GUIDES)
def test_its_pace_is_in_seconds_and_not_in_frames(word):
    def after(rate_hz):
        frames = [frame for frame in heard(40) for _ in range(rate_hz // 10)]
        return ws(Mapper(STATS, Encoder(float(rate_hz)), 3, synth=word), frames)[-1]

    assert np.sqrt(np.mean(((after(50) - after(150)) / STATS.std) ** 2)) < 0.1


def test_any_finite_sound_gives_finite_ws():
    wild = Features(
        np.full(128, 1e6, np.float32),
        3.0,
        np.ones(12, np.float32),
        1e6,
        0.0,
        1e6,
        np.full(BINS, 1e6, np.float32),
        BIN_HZ,
    )
    for word in WORDS:
        made = ws(mapper(word), [SILENCE, wild, SILENCE, *[wild] * 20, *heard(20)])
        assert np.isfinite(made).all(), word


# ---- beside LAV, with real ears and the shipped model's W


def test_they_go_about_as_far_as_lav(music):
    spread, step = spread_and_step("lav", music)
    for word in GUIDES[1:]:
        its_spread, its_step = spread_and_step(word, music)
        assert 0.5 * spread < its_spread < 2.0 * spread, word
        assert 0.4 * step < its_step < 2.0 * step, word


# ---- in the show


def test_from_one_synth_to_the_next_without_a_jump():
    one = Blend(lambda key: Mapper(STATS, ENCODER, key.seed, synth=key.synth), MappingKey(1), DT_S)
    frames, made = heard(120 * len(WORDS)), []
    even = Settings().with_values({"mapping.swell": 0.0})  # this loudness leaps from frame to frame, and so would psi
    for i, frame in enumerate(frames):
        if i % 120 == 60:
            one.go_to(MappingKey(1, synth=WORDS[(i // 120 + 1) % len(WORDS)]), 0.7)
        made.append(one.step(frame, even).ws)
    steps = np.abs(np.diff(np.stack(made), axis=0) / STATS.std).mean((1, 2))[120:]
    assert steps.max() < 6 * np.median(steps)
    assert one.key.synth == WORDS[0], "once around"


@pytest.mark.parametrize("word", GUIDES)
def test_another_process_goes_on_where_the_first_one_stands(word):
    one, frames = mapper(word), heard(300)
    ws(one, frames[:200])
    same, other_stats = mapper(word), w_stats(1)
    other = Mapper(other_stats, ENCODER, 3, synth=word)
    for taker in (same, other):
        taker.take_over(pickle.loads(pickle.dumps(one)))
    stayed = ws(one, frames[200:])
    assert np.array_equal(ws(same, frames[200:]), stayed)
    there = (ws(other, frames[200:])[0] - other_stats.mean) / other_stats.std
    assert np.allclose(there, (stayed[0] - STATS.mean) / STATS.std, atol=0.15), "as far out in another model's W"


@pytest.mark.parametrize("word", WORDS)
def test_live_and_offline_agree(word):
    encoder, stats = models()
    sound = passage(encoder.sample_rate, 1.0, 1)[:, None]
    scene = first_scene(None, "5", {"mapping_synth": word})
    steps = list(Script(encoder, stats, scene, Fraction(75)).steps(iter([sound]), encoder.sample_rate))
    chain, frames = Chain(encoder, Mapper(stats, encoder, 5, synth=word)), []
    for start in range(0, len(sound), 777):
        frames += chain.push(Block(sound[start : start + 777], 0.0, float(encoder.sample_rate)), Settings())
    assert len(steps) == len(frames) == 75
    assert all(np.array_equal(a.controls.ws, b.controls.ws) for a, b in zip(steps, frames, strict=True))


def test_a_preset_may_choose_one_and_the_next_recall_goes_back(tmp_path):
    file = tmp_path / "other.toml"
    file.write_text('schema = 1\n[choices]\nmapping.synth = "spectral"\n')
    scene = first_scene(None, None, {}).after(load_preset(file))
    assert scene.key.synth == "spectral"
    assert scene.after(load_preset("calm")).key.synth == "lav"
