"""Features of sound and pictures, correlations between them, and the controls that are held beside them."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.encode.calibration import passage
from livelav.score.controls import random_motion, shuffled_blocks
from livelav.score.correlations import CORRELATIONS, correlate, procrustes, products, pwcca
from livelav.score.pictures import BINS, DIRECTIONS, PictureFeatures, small_size
from livelav.score.sound import ANALYSIS_HZ, RATE_HZ, SoundFeatures, sound_features
from livelav.score.structure import PARTS, parts
from livelav.score.verdict import excess, interval, judge, segments

SECONDS = 40


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def turned(size: int, seed: int = 9) -> np.ndarray:
    return np.linalg.qr(noise(size, size, seed=seed))[0]


def times_s(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * ANALYSIS_HZ)) / ANALYSIS_HZ


# ---- correlations


@pytest.mark.parametrize("name", CORRELATIONS)
@pytest.mark.parametrize("shape", [(100, 5), (100, 1), (6, 9)])
def test_the_same_moved_rotated_and_scaled_is_one(name: str, shape: tuple[int, int]) -> None:
    x = noise(*shape) * np.arange(1, shape[1] + 1)
    y = 7.0 * x @ turned(shape[1]) - 3.0
    assert correlate(x, y)[name] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", CORRELATIONS)
def test_neither_moving_nor_rotating_nor_scaling_a_side_changes_anything(name: str) -> None:
    x, extra = noise(80, 4), noise(80, 6, seed=1)
    y = x @ noise(4, 6, seed=2) + extra
    as_it_was = correlate(x, y)[name]
    turn = np.eye(4) if name == "pwcca" else turned(4)  # it weighs by X's own axes
    assert correlate(0.01 * x @ turn + 5, y @ turned(6) * 40 - 1)[name] == pytest.approx(as_it_was, abs=1e-9)
    assert 0.0 < as_it_was < 1.0


def test_of_one_feature_each_they_are_what_pearson_makes_of_it() -> None:
    x = noise(50, 1)
    y = -0.6 * x + 0.8 * noise(50, 1, seed=1)
    r = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    found = correlate(x, y)
    assert found["procrustes"] == pytest.approx(abs(r))
    assert found["pwcca"] == pytest.approx(abs(r))
    assert found["smi"] == pytest.approx(r**2)
    assert found["adjusted_rv"] == pytest.approx(1 - 49 / 48 * (1 - r**2))


def test_orthogonal_sides_have_nothing_in_common() -> None:
    basis = np.linalg.qr(np.concatenate([np.ones((60, 1)), noise(60, 7)], axis=1))[0][:, 1:]
    found = correlate(basis[:, :3], basis[:, 3:])
    assert [found[n] for n in ("procrustes", "pwcca", "smi")] == pytest.approx([0, 0, 0], abs=1e-9)
    assert found["adjusted_rv"] < 0, "less than chance would give"


def test_procrustes_is_what_is_left_after_the_best_rotation() -> None:
    """Gower's m^2 = 1 - r^2, with the rotation found another way, by SciPy."""
    from scipy.spatial import procrustes as fitted

    x, y = noise(30, 3), noise(30, 3, seed=1) + noise(30, 3)
    assert procrustes(products(x, y)) == pytest.approx(np.sqrt(1 - fitted(x, y)[2]))


def test_smi_is_the_share_of_the_smaller_subspace_in_the_larger() -> None:
    basis = np.linalg.qr(np.concatenate([np.ones((60, 1)), noise(60, 6)], axis=1))[0][:, 1:]
    assert correlate(basis[:, :4], basis[:, 2:])["smi"] == pytest.approx(0.5)
    assert correlate(basis[:, :2], basis[:, :4])["smi"] == pytest.approx(1.0)


def test_pwcca_weighs_by_what_a_variate_accounts_for() -> None:
    """Of two directions, the larger is shared and the smaller is not: more than the plain mean of 1 and 0."""
    basis = np.linalg.qr(np.concatenate([np.ones((60, 1)), noise(60, 3)], axis=1))[0][:, 1:]
    x, y = basis[:, :2] * (9.0, 1.0), basis[:, [0, 2]]
    assert pwcca(products(x, y)) == pytest.approx(0.9)
    assert pwcca(products(y, x)) == pytest.approx(0.5), "y has as much of both"


def test_independent_noise_has_the_bias_that_is_documented() -> None:
    n = 400
    one, some = [], []
    for seed in range(60):
        x, y = noise(n, 8, seed=2 * seed), noise(n, 5, seed=2 * seed + 1)
        one.append(correlate(x[:, :1], y[:, :1])["procrustes"])
        some.append(correlate(x, y))
    assert np.mean(one) == pytest.approx(np.sqrt(2 / (np.pi * n)), rel=0.35)
    assert np.mean([s["adjusted_rv"] for s in some]) == pytest.approx(0.0, abs=0.003)
    assert np.mean([s["smi"] for s in some]) == pytest.approx(8 / (n - 1), rel=0.25), "max(a, b) / (n - 1)"
    few = correlate(noise(10, 12), noise(10, 12, seed=1))
    assert few["pwcca"] == pytest.approx(1.0) and few["procrustes"] > 0.5 > abs(few["adjusted_rv"])


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_what_stands_still_relates_to_nothing_and_changes_nothing(count: int) -> None:
    x, still = noise(count, 4), np.full((count, 3), 1e6 / 3)
    assert set(correlate(x, still).values()) == {0.0} == set(correlate(still, x).values())
    both = correlate(np.concatenate([x, still], axis=1), x[:, ::-1])
    assert both == pytest.approx(correlate(x, x[:, ::-1]))
    assert all(np.isfinite(value) for value in both.values())


@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_whatever_the_shapes_they_stay_in_their_bounds(n: int, p: int, q: int, seed: int) -> None:
    found = correlate(noise(n, p, seed=seed), noise(n, q, seed=seed + 100))
    assert all(0.0 <= found[name] <= 1.0 for name in ("procrustes", "pwcca", "smi"))
    assert found["adjusted_rv"] <= 1.0 + 1e-9


# ---- sound


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return passage(RATE_HZ, 12.0, 3)


def test_every_feature_has_a_row_for_each_moment(music: np.ndarray) -> None:
    found = sound_features(music, RATE_HZ, times_s(12.0))
    widths = {name: values.shape[1] for name, values in found.items()}
    assert widths == {
        "mfcc": 20, "contrast": 7, "flatness": 1, "chroma": 12, "tonnetz": 6,
        "rms": 1, "drop": 1, "onset": 1, "pulse": 1, "parts": PARTS,
    }  # fmt: skip
    for name, values in found.items():
        assert values.shape[0] == 12 * ANALYSIS_HZ and values.dtype == np.float32 and np.isfinite(values).all(), name


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44_100])
def test_the_blocks_it_comes_in_change_nothing(rate_hz: int) -> None:
    """Longer than a piece, so that pieces meet, too."""
    sound = np.stack([passage(rate_hz, 4.0, 1), passage(rate_hz, 4.0, 2)], axis=1)
    sound = np.tile(sound, (17, 1))
    whole, streamed = sound_features(sound, rate_hz, times_s(68.0)), SoundFeatures(rate_hz)
    for block in np.array_split(sound, 301):
        streamed.push(block)
    assert streamed.seconds == pytest.approx(68.0)
    for name, values in streamed.at(times_s(68.0)).items():
        assert values == pytest.approx(whole[name], abs=1e-3, rel=1e-3), name


def test_a_click_is_an_onset_at_its_moment_and_nowhere_else() -> None:
    sound = 1e-4 * noise(10 * RATE_HZ).astype(np.float32)
    for at_s in (3.0, 6.5):
        sound[round(at_s * RATE_HZ) :][:500] += 0.5 * noise(500, seed=1)
    onset = sound_features(sound, RATE_HZ, times_s(10.0))["onset"][:, 0]
    loudest = np.sort(np.argsort(onset)[-2:])
    assert np.abs(loudest - [72, 156]).max() <= 1


def test_a_tone_is_its_pitch_class_and_loudness_its_rms() -> None:
    t = np.arange(4 * RATE_HZ) / RATE_HZ
    found = sound_features((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), RATE_HZ, times_s(4.0))
    inside = slice(4, -4)
    assert (found["chroma"][inside].argmax(axis=1) == 9).all(), "A"
    assert found["rms"][inside] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert found["flatness"][inside].max() < 0.01


def test_a_steady_beat_is_a_pulse_of_its_tempo() -> None:
    sound = np.zeros(20 * RATE_HZ, np.float32)
    for beat in range(40):  # 120 a minute
        sound[beat * RATE_HZ // 2 :][:300] = 0.5 * noise(300, seed=beat)
    pulse = sound_features(sound, RATE_HZ, times_s(20.0))["pulse"][96:-96, 0]
    spectrum = np.abs(np.fft.rfft(pulse - pulse.mean()))
    assert np.fft.rfftfreq(len(pulse), 1 / ANALYSIS_HZ)[spectrum.argmax()] == pytest.approx(2.0, abs=0.1)


def test_a_drop_is_where_it_gets_louder_for_long() -> None:
    loud = np.where(np.arange(30 * RATE_HZ) < 20 * RATE_HZ, 0.01, 0.5)
    drop = sound_features((loud * noise(len(loud))).astype(np.float32), RATE_HZ, times_s(30.0))["drop"][:, 0]
    assert drop.argmax() == pytest.approx(20 * ANALYSIS_HZ, abs=2)
    assert drop.max() == pytest.approx(20 * np.log10(50), abs=1.0)
    assert drop[: 17 * ANALYSIS_HZ].max() < 1.0, "what stays as it is drops nothing"


def test_parts_that_come_back_are_one_part() -> None:
    """A B A B, twelve seconds each."""
    a, b = noise(2, 6) * 8
    features = np.repeat([a, b, a, b], 12 * ANALYSIS_HZ, axis=0) + 0.5 * noise(48 * ANALYSIS_HZ, 6, seed=3)
    found = parts(features.astype(np.float32), ANALYSIS_HZ)
    assert (found.sum(axis=1) == 1).all()
    middles = found[(np.arange(4) * 12 + 6) * ANALYSIS_HZ]
    assert (middles[0] != middles[1]).any() and (middles[:2] == middles[2:]).all()


@pytest.mark.parametrize("sound", [np.zeros(0), np.zeros(7), np.zeros(3 * RATE_HZ), np.full(RATE_HZ, np.nan)])
def test_silence_and_hardly_anything_give_features_that_are_numbers(sound: np.ndarray) -> None:
    found = sound_features(sound.astype(np.float32), RATE_HZ, times_s(3.0))
    assert all(len(values) == 72 and np.isfinite(values).all() for values in found.values())


# ---- pictures


def features_of(pictures: list[np.ndarray]) -> dict[str, np.ndarray]:
    seen = PictureFeatures()
    for picture in pictures:
        seen.push(picture)
    return seen.features()


def cloud(seed: int = 0, size: int = 160) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def test_every_picture_has_a_row_of_every_feature() -> None:
    found = features_of([cloud(n)[:72, :128] for n in range(5)])
    widths = {name: values.shape for name, values in found.items()}
    assert widths == {
        "rgb": (5, 24), "hsv": (5, 24), "variance": (5, 3), "spectrum": (5, 16), "bands": (5, 3), "adaptive": (5, 1),
        "difference": (5, 1), "directogram": (5, DIRECTIONS), "spectral_onset": (5, 1), "flow_onset": (5, 1),
    }  # fmt: skip
    assert all(values.dtype == np.float32 and np.isfinite(values).all() for values in found.values())


def test_histograms_are_shares_of_all_pixels() -> None:
    red = np.zeros((40, 60, 3), np.uint8)
    red[:, :30] = 255, 0, 0
    found = features_of([red, red])
    rgb = found["rgb"][0].reshape(3, BINS)
    assert rgb.sum(axis=1) == pytest.approx([1, 1, 1]) and rgb[0, [0, -1]] == pytest.approx([0.5, 0.5])
    assert found["variance"][0] == pytest.approx([0.25, 0, 0], abs=1e-4)
    assert found["difference"].max() == found["directogram"].max() == 0.0, "nothing moves"


@pytest.mark.parametrize(("way", "by"), [(0, (0, 2)), (2, (2, 0)), (4, (0, -2)), (6, (-2, 0))])
def test_the_directogram_tells_where_everything_goes(way: int, by: tuple[int, int]) -> None:
    """Angles grow from right to down; the first sector begins at the right."""
    seen = features_of([np.roll(cloud(), (by[0] * n, by[1] * n), axis=(0, 1))[20:92, 10:138] for n in range(6)])
    flow = seen["directogram"][2]
    assert flow[[way - 1, way]].sum() > 0.9 * flow.sum()
    assert flow.sum() == pytest.approx(2.0, rel=0.25)


def test_finer_pictures_have_higher_frequencies() -> None:
    waves = [np.sin(2 * np.pi * np.arange(128) * cycles / 128) for cycles in (3, 12, 40)]
    stripes = [np.repeat((127 + 100 * w)[None, :, None], 72, axis=0).repeat(3, axis=2) for w in waves]
    found = features_of([picture.astype(np.uint8) for picture in stripes])
    assert list(found["bands"].argmax(axis=1)) == [0, 1, 2]
    assert (np.diff(found["spectrum"].argmax(axis=1)) > 0).all()


def test_a_sudden_change_is_an_onset_and_a_still_picture_none() -> None:
    found = features_of([cloud(0)] * 5 + [cloud(1)] * 5)
    for name in ("difference", "spectral_onset", "flow_onset"):
        assert found[name][:, 0].argmax() == 5 and found[name][[2, 3, 4, 7, 8, 9]].max() < 0.01 * found[name].max(), (
            name
        )


def test_how_large_a_picture_is_changes_little() -> None:
    large, small = features_of([cloud(0, 960), cloud(1, 960)]), features_of([cloud(0, 240), cloud(1, 240)])
    for name in ("rgb", "hsv", "variance", "spectrum", "bands", "difference"):
        assert large[name] == pytest.approx(small[name], abs=0.05), name
    assert small_size(1280, 720) == (128, 72) and small_size(64, 96) == (64, 96) and small_size(9000, 2) == (128, 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (5, 5), (3, 4000)])
def test_tiny_and_odd_pictures_have_features(shape: tuple[int, int]) -> None:
    pictures = [np.random.default_rng(n).integers(0, 256, (*shape, 3), np.uint8) for n in range(3)]
    assert all(np.isfinite(values).all() for values in features_of(pictures).values())


# ---- controls


@pytest.mark.parametrize("count", [240, 1440, 5000])
def test_shuffled_blocks_are_all_moments_each_in_another_place(count: int) -> None:
    order = shuffled_blocks(count, ANALYSIS_HZ, 1)
    assert sorted(order) == list(range(count))
    joints = np.count_nonzero(np.diff(order) != 1)
    assert joints <= count / ANALYSIS_HZ, "a second without a joint, on the mean"
    if count > 240:
        assert not (order == np.arange(count)).any()
    assert (order == shuffled_blocks(count, ANALYSIS_HZ, 1)).all()
    assert (order != shuffled_blocks(count, ANALYSIS_HZ, 2)).any()


@pytest.mark.parametrize("count", [0, 1, 2, 30, 100])
def test_of_little_there_is_an_order_all_the_same(count: int) -> None:
    assert sorted(shuffled_blocks(count, ANALYSIS_HZ, 0)) == list(range(count))


def wandering(count: int) -> np.ndarray:
    """[count, 3, 8]: smooth, its components related."""
    steps = np.cumsum(noise(count + 40, 4), axis=0)
    smooth = np.stack([np.convolve(column, np.ones(24) / 24, "same") for column in steps.T], axis=1)[20:-20]
    return (smooth @ noise(4, 24, seed=5)).reshape(count, 3, 8)


def test_random_motion_is_as_wide_and_as_smooth_in_every_direction() -> None:
    ws = wandering(1440)
    there_and_back = np.concatenate([ws, ws[::-1]]).reshape(2880, -1)
    motion = random_motion(ws, 3, longer=1440).reshape(2880, -1)
    for direction in (*np.eye(24)[:3], noise(24)):
        one, other = (np.abs(np.fft.rfft(each @ direction)) for each in (there_and_back, motion))
        assert other == pytest.approx(one, rel=1e-2, abs=1e-3 * one.max())
    assert np.cov(motion.T) == pytest.approx(np.cov(there_and_back.T), abs=1e-3 * ws.var() * 24)
    step = np.linalg.norm(np.diff(motion, axis=0), axis=1).mean()
    assert step == pytest.approx(np.linalg.norm(np.diff(ws.reshape(1440, -1), axis=0), axis=1).mean(), rel=0.1)


def test_random_motion_is_another_with_each_seed_and_never_the_same_motion() -> None:
    ws = wandering(240)
    one, again, other = random_motion(ws, 1), random_motion(ws, 1), random_motion(ws, 2)
    assert np.array_equal(one, again) and one.shape == ws.shape and one.dtype == np.float32
    assert np.abs(one - other).max() > 0.1 * np.abs(ws).max() < 10 * np.abs(one - ws).max()
    assert np.array_equal(random_motion(np.ones((1, 2)), 0), np.ones((1, 2)))


# ---- the verdict


def test_an_interval_is_students() -> None:
    """Against the table: t(0.975, 3) = 3.182."""
    found = interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182 * np.std([1, 2, 3, 4], ddof=1) / 2
    assert (found.mean, found.low, found.high) == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-3)
    assert interval([0.3]).low is None
    assert interval([0.5, 0.5, 0.5]).low == 0.5


def test_an_excess_is_as_unsure_as_both_of_its_sides() -> None:
    """Welch's interval, by SciPy, where segments differ among each other, and rounds do."""
    from scipy.stats import ttest_ind

    assert excess([1.0, 2.0], np.array([0.5, 1.0])).mean == pytest.approx(0.75)
    own, rounds = noise(6), noise(4, seed=1)
    found = excess(own, np.repeat(rounds[:, None], 6, axis=1))
    due = ttest_ind(own, rounds, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((due.low, due.high))
    assert excess([3.0], np.ones((5, 1))).low is None


def test_segments_cover_everything_once() -> None:
    for count in (1, 100, 240, 479, 480, 1441, 99_999):
        found = segments(count)
        assert found[0].start == 0 and found[-1].stop == count
        assert all(a.stop == b.start for a, b in pairwise(found))
        lengths = [part.stop - part.start for part in found]
        assert max(lengths) - min(lengths) <= 1 and (len(found) == 1 or 240 <= min(lengths) <= max(lengths) < 480)


@pytest.fixture(scope="module")
def beats_and_chords() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Clicks at no steady pace, and a tone of another pitch class now and then; with what librosa makes of them."""
    chance = np.random.default_rng(4)
    sound = 1e-4 * chance.standard_normal(SECONDS * RATE_HZ)
    at_s = 0.0
    while (at_s := at_s + chance.uniform(0.25, 0.9)) < SECONDS - 1:
        sound[round(at_s * RATE_HZ) :][:800] += 0.5 * chance.standard_normal(800) * np.linspace(1, 0, 800)
    t = np.arange(RATE_HZ * 2) / RATE_HZ
    for n in range(SECONDS // 2):
        sound[n * 2 * RATE_HZ :][: len(t)] += 0.1 * np.sin(2 * np.pi * 220 * 2 ** (chance.integers(12) / 12) * t)
    sound = sound.astype(np.float32)
    return sound, sound_features(sound, RATE_HZ, times_s(SECONDS))


def painted(brightness: np.ndarray, hue: np.ndarray) -> dict[str, np.ndarray]:
    """Features of pictures of one colour each, a little grained, [n] of brightness and hue in 0..1."""
    grain = np.random.default_rng(0).integers(0, 12, (36, 64), np.uint8)
    seen = PictureFeatures()
    for value, turn in zip(brightness, hue, strict=True):
        hsv = np.stack(
            [np.full_like(grain, 179 * turn), np.full_like(grain, 200), np.uint8(230 * value) + grain], axis=2
        )
        seen.push(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    return seen.features()


def test_what_follows_a_feature_stands_out_in_its_pair(beats_and_chords) -> None:
    _, heard = beats_and_chords
    onset = np.clip(heard["onset"][:, 0] / np.percentile(heard["onset"], 98), 0, 1)
    pitch = heard["chroma"].argmax(axis=1) / 12.0
    still = np.full(len(onset), 0.4)
    by_onset, by_chroma = painted(onset, still), painted(still, pitch)
    onsets, chords = judge(heard, by_onset), judge(heard, by_chroma)

    def pair(verdict, sound: str, video: str) -> float:
        return verdict.pairs_excess[verdict.sound_names.index(sound), verdict.video_names.index(video)]

    assert pair(onsets, "onset", "hsv") > 0.3 > abs(pair(chords, "onset", "hsv"))
    assert pair(chords, "chroma", "hsv") > 0.3 > abs(pair(onsets, "chroma", "hsv"))
    column = onsets.pairs_excess[:, onsets.video_names.index("hsv")]
    assert onsets.sound_names[column.argmax()] == "onset"
    for verdict in (onsets, chords):
        above = verdict.controls["shuffled"].excess["procrustes"]
        assert above.segments == 4 and above.low > 0.0


def test_smooth_motion_of_its_own_scores_high_and_has_no_excess(beats_and_chords) -> None:
    """The fault of the metric, and what the controls are for."""
    _, heard = beats_and_chords
    count = SECONDS * ANALYSIS_HZ

    def drifting(seed: int) -> dict[str, np.ndarray]:
        moves = random_motion(np.cumsum(noise(count, 2, seed=seed), axis=0), seed)
        low, high = moves.min(axis=0), moves.max(axis=0)
        return painted(*((moves - low) / (high - low)).T)

    found = judge(heard, drifting(1), drifting(2))
    assert found.scores["procrustes"].mean > 0.15, "all by itself"
    for control in found.controls.values():
        assert abs(control.excess["procrustes"].mean) < 0.05
    assert set(found.controls) == {"shuffled", "random"}


def test_of_one_segment_there_is_no_interval(beats_and_chords) -> None:
    _, heard = beats_and_chords
    short = {name: values[:200] for name, values in heard.items()}
    found = judge(short, short)
    assert found.segments == 1 and found.scores["procrustes"].low is None
    assert found.scores["procrustes"].mean == pytest.approx(1.0) == found.whole["procrustes"]
