"""The LAV mapping: seeded for ever, bounded, causal, and without clicks."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.core.normals import normals
from livelav.core.params import PARAMS, Settings
from livelav.core.values import EmbeddingStats, Features, WStats, layer_group, noise_factors
from livelav.mapping.interpolate import between
from livelav.mapping.mapper import Mapper
from livelav.mapping.meters import Meters
from livelav.mapping.modulation import leaky_tanh, scale_to_w
from livelav.mapping.normalize import Normalizer, projected_stats
from livelav.mapping.projection import projection
from livelav.mapping.smoothing import LeakyIntegrator, MovingAverages

RESOLUTIONS = (4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 256, 256, 256)


class Encoder:
    def __init__(self, frame_rate=75.0):
        self.frame_rate = frame_rate
        rng = np.random.default_rng(1)
        root = rng.standard_normal((128, 128)).astype(np.float32) / 11
        self.stats = EmbeddingStats(rng.standard_normal(128).astype(np.float32), root @ root.T)


def w_stats(seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(512).astype(np.float32)
    return WStats(mean, rng.uniform(0.3, 2.0, 512).astype(np.float32), mean + 0.1, RESOLUTIONS)


def features(rng, scale=1.0, rms=0.1, onset=0.0):
    chroma = rng.dirichlet(np.ones(12)).astype(np.float32)
    return Features((scale * rng.standard_normal(128)).astype(np.float32), onset, chroma, rms, 0.0)


def off(settings=None, **changes):
    base = {f"mapping.{name}": 0.0 for name in ("onset", "chroma", "noise", "swell")} | {"generate.psi": 1.0}
    return (settings or Settings()).with_values(base | {k.replace("__", "."): v for k, v in changes.items()})


def test_a_seed_gives_the_same_projection_for_ever():
    bits = np.random.PCG64([7, 0]).random_raw(1000)
    assert hashlib.sha256(bits.astype("<u8").tobytes()).hexdigest()[:16] == "b0b3c2b5faff4f88"
    a = projection(7)
    assert np.allclose(
        [a[0, 0], a[0, 1], a[100, 50], a[511, 127]], [-0.0579889, -0.0411657, -0.0767392, 0.0940288], atol=1e-6
    )
    assert not np.allclose(projection(7), projection(8))


def test_projection_is_normal_with_variance_one_in_128():
    a = projection(3).astype(np.float64) * np.sqrt(128)
    assert abs(a.mean()) < 0.02
    assert abs(a.var() - 1) < 0.02
    assert abs((a**4).mean() - 3) < 0.2
    assert abs(np.corrcoef(normals(3, 0, (5000,)), normals(3, 1, (5000,)))[0, 1]) < 0.05


def test_projected_statistics_are_those_of_projected_samples():
    encoder, a = Encoder(), projection(0)
    rng = np.random.default_rng(2)
    e = rng.multivariate_normal(encoder.stats.mean, encoder.stats.covariance, 20_000)
    mean, std = projected_stats(a, encoder.stats)
    p = e @ a.T
    assert np.abs(p.mean(0) - mean).max() < 0.05
    assert np.abs(p.std(0) / std - 1).max() < 0.05


def test_running_normalisation_finds_the_statistics_of_the_sound():
    rng = np.random.default_rng(3)
    normalizer = Normalizer(np.zeros(512, np.float32), np.ones(512, np.float32), running=True)
    out = [
        normalizer.step((5 + 3 * rng.standard_normal(512)).astype(np.float32), 0.1, 1 / 75, 2.0) for _ in range(3000)
    ]
    tail = np.array(out[1500:])
    assert np.abs(tail.mean(0)).max() < 0.35
    assert abs(tail.std() - 1) < 0.1


def test_running_normalisation_learns_nothing_from_silence_and_never_blows_up_a_hum():
    quiet = Normalizer(np.zeros(512, np.float32), np.ones(512, np.float32), running=True)
    for _ in range(5000):
        quiet.step(np.full(512, 9.0, np.float32), 1e-5, 1 / 75, 1.0)
    assert np.allclose(quiet.step(np.ones(512, np.float32), 1e-5, 1 / 75, 1.0), 1.0)
    hum = Normalizer(np.zeros(512, np.float32), np.ones(512, np.float32), running=True)
    rng = np.random.default_rng(0)
    steps = [hum.step((1e-4 * rng.standard_normal(512)).astype(np.float32), 0.1, 1 / 75, 1.0) for _ in range(3000)]
    assert np.abs(steps[-1]).max() < 0.01


def test_fixed_normalisation_never_moves():
    fixed = Normalizer(np.zeros(512, np.float32), np.full(512, 2, np.float32), running=False)
    for _ in range(100):
        out = fixed.step(np.full(512, 4.0, np.float32), 1.0, 1 / 75, 1.0)
    assert np.allclose(out, 2.0)


@given(st.floats(0, 1), st.floats(-1e4, 1e4))
def test_leaky_tanh_is_odd_monotonic_and_bounded_by_its_slope(slope, x):
    value = leaky_tanh(np.float32(x), slope)
    assert np.isclose(value, -leaky_tanh(np.float32(-x), slope))
    assert abs(value) <= 1 + slope * abs(x) + 1e-3
    assert leaky_tanh(np.float32(x + 1), slope) >= value


def test_y_zero_and_psi_zero_stand_still_at_the_centre():
    stats, rng = w_stats(), np.random.default_rng(5)
    still = Mapper(stats, Encoder(), seed=1)
    for _ in range(20):
        controls = still.step(features(rng), off(mapping__norm=0.0))
    assert np.allclose(controls.ws, stats.mean, atol=1e-5)
    average = Mapper(stats, Encoder(), seed=1).step(features(rng), off(generate__psi=0.0))
    assert np.allclose(average.ws, stats.w_avg, atol=1e-6)


def test_loudness_opens_truncation_and_silence_closes_it():
    stats, rng = w_stats(), np.random.default_rng(6)
    heard = [features(rng, rms=rms) for rms in (0.0, 0.125, 0.25, 4.0)]

    def reach(one, **settings):
        mapper = Mapper(stats, Encoder(), seed=1, mode="fixed")
        ws = [mapper.step(replace(one, embedding=heard[0].embedding), off(**settings)).ws for _ in range(200)][-1]
        return float(np.linalg.norm(ws - stats.w_avg))

    still = reach(heard[0])
    assert all(np.isclose(reach(one), still) for one in heard), "not at all"
    swelled = [reach(one, mapping__swell=0.5) for one in heard]
    assert np.allclose(np.divide(swelled, still), [0.5, 1.0, 1.5, 1.5], atol=0.01), "and no louder than loud"


def test_placements_follow_their_formulas():
    stats, n = w_stats(), np.linspace(-3, 3, 512).astype(np.float32)
    inside = scale_to_w(n, stats, 1.5, 0.2, "inside")
    x = 1.5 * n.astype(np.float64)
    assert np.allclose(inside, stats.mean + stats.std * (np.tanh(x) + 0.2 * x), atol=1e-5)
    v = stats.mean + 1.5 * stats.std * n.astype(np.float64)
    assert np.allclose(scale_to_w(n, stats, 1.5, 0.2, "outside"), np.tanh(v) + 0.2 * v, atol=1e-5)


@pytest.mark.parametrize("name", ["mapping.onset", "mapping.chroma", "mapping.noise"])
def test_amount_zero_switches_a_modulation_off_exactly(name):
    rng = np.random.default_rng(6)
    loud, plain = features(rng, rms=0.4, onset=2.0), None
    plain = Features(loud.embedding, 0.0, np.zeros(12, np.float32), loud.rms, 0.0)
    settings = off(smoothing__leak=0.001, smoothing__fine=0.01)
    a = Mapper(w_stats(), Encoder(), seed=2).step(loud, settings)
    b = Mapper(w_stats(), Encoder(), seed=2).step(plain, settings)
    assert np.array_equal(a.ws, b.ws)
    assert np.array_equal(a.noise, noise_factors(1.0))
    c = Mapper(w_stats(), Encoder(), seed=2).step(loud, settings.with_values({name: 1.0}))
    assert c.noise[0].min() > 1.0 if name == "mapping.noise" else not np.allclose(a.ws, c.ws, atol=1e-3)


def test_integrator_keeps_its_time_constant_at_any_frame_rate():
    for rate in (50, 75, 150):
        integrator = LeakyIntegrator(np.zeros(1, np.float32))
        for _ in range(round(0.2 * rate)):
            value = integrator.step(np.ones(1, np.float32), 1 / rate, 0.2)
        assert abs(float(value[0]) - (1 - np.exp(-1))) < 1e-6


def test_moving_average_is_the_plain_mean_of_its_window():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((400, 3))
    averages = MovingAverages(3, 100, [1.0, 10.0, 100.0])
    for t in range(400):
        one, ten, hundred = averages.step(x[t], [1.0, 10.0, 100.0])
        if t >= 100:
            assert np.allclose(one, x[t])
            assert np.allclose(ten, x[t - 9 : t + 1].mean(0))
            assert np.allclose(hundred, x[t - 99 : t + 1].mean(0))


def test_fractional_window_lies_between_its_neighbours():
    x = np.random.default_rng(8).standard_normal((50, 1))
    averages = MovingAverages(1, 20, [2.5])
    for t in range(50):
        (value,) = averages.step(x[t], [2.5])
    assert np.allclose(value, (x[49] + x[48] + 0.5 * x[47]) / 2.5)


def test_averages_stay_exact_over_a_long_night():
    averages = MovingAverages(1, 600, [600.0])
    averages._sums += 3e7  # what eight hours of a signal far off centre add up to
    for _ in range(700):
        (value,) = averages.step(np.array([0.123]), [600.0])
    assert abs(float(value[0]) - 0.123) < 1e-8


@pytest.mark.parametrize("param", [p for p in PARAMS if p.name.startswith(("mapping", "smoothing", "generate"))])
@pytest.mark.parametrize("start", ["lo", "hi"])
def test_a_knob_thrown_from_end_to_end_makes_no_jump_above_the_signals_own(param, start):
    """Steps of ws while a knob is thrown, against the steps of the unsmoothed signal at the same settings."""
    rng = np.random.default_rng(9)
    sound = [features(rng, rms=0.2, onset=float(rng.random())) for _ in range(400)]
    quick = Settings().with_values({"smoothing.leak": 0.02})
    ends = (param.lo, param.hi) if start == "lo" else (param.hi, param.lo)
    raw = quick.with_values({"smoothing.coarse": 0.01, "smoothing.middle": 0.01, "smoothing.fine": 0.01})

    def steps(settings_at):
        mapper = Mapper(w_stats(), Encoder(), seed=4)
        ws = np.array([mapper.step(f, settings_at(t)).ws for t, f in enumerate(sound)])
        return np.abs(np.diff(ws[100:], axis=0)).mean((1, 2)).max()

    own = max(steps(lambda t, end=end: raw.with_values({param.name: end})) for end in ends)
    thrown = steps(lambda t: quick.with_values({param.name: ends[t >= 200]}))
    assert thrown <= own * 1.05


@pytest.mark.parametrize("ends", [(1.0, 590.0), (590.0, 1.0)])
def test_a_window_thrown_over_a_slow_signal_glides(ends):
    """The long average of a slow signal is far from its newest value: the way there is many small steps."""
    averages = MovingAverages(1, 600, [ends[0]])
    out = [averages.step(np.array([np.sin(t / 95)]), [ends[t >= 900]])[0][0] for t in range(1500)]
    assert np.abs(np.diff(out[700:])).max() < 0.06 * 2  # 2 is the range of the signal
    assert abs(out[-1] - np.mean(np.sin(np.arange(1500 - int(ends[1]), 1500) / 95))) < 1e-9


def test_layer_groups_take_their_own_windows():
    rng = np.random.default_rng(10)
    settings = off(smoothing__coarse=4.0, smoothing__middle=0.5, smoothing__fine=0.01)
    mapper = Mapper(w_stats(), Encoder(), seed=5)
    ws = np.array([mapper.step(features(rng), settings).ws for _ in range(600)])[300:]
    step = np.abs(np.diff(ws, axis=0)).mean((0, 2))
    groups = [step[[layer_group(r) == g for r in RESOLUTIONS]] for g in range(3)]
    assert all(np.ptp(g) < 1e-6 for g in groups)
    assert groups[0][0] < groups[1][0] / 2 < groups[2][0] / 4


@pytest.mark.parametrize("group", range(3))
def test_psi_of_a_group_moves_that_group_alone(group):
    name = ("psi.coarse", "psi.middle", "psi.fine")[group]
    sound, stats = features(np.random.default_rng(10)), w_stats()
    plain, pulled, gone = (
        Mapper(stats, Encoder(), seed=5).step(sound, off(generate__psi=0.8).with_values({name: psi})).ws - stats.w_avg
        for psi in (1.0, 0.5, 0.0)
    )
    inside = np.array([layer_group(r) == group for r in RESOLUTIONS])
    assert np.array_equal(plain[~inside], pulled[~inside])
    assert np.allclose(pulled[inside], 0.5 * plain[inside], atol=1e-5) and np.abs(gone[inside]).max() < 1e-6


def test_noise_keeps_its_strength_per_group_while_it_drifts():
    settings = off().with_values({"noise.coarse": 0.0, "noise.middle": 2.0, "noise.fine": 0.5})
    frozen, drifting = Mapper(w_stats(), Encoder()), Mapper(w_stats(), Encoder())
    sound = features(np.random.default_rng(14))
    for _ in range(20):
        still = frozen.step(sound, settings).noise
        moved = drifting.step(sound, settings.with_values({"noise.drift": 1.0})).noise
    assert np.allclose(still, noise_factors(np.array([0.0, 2.0, 0.5])))
    assert np.allclose(np.hypot(*moved), [0.0, 2.0, 0.5], atol=1e-6)
    assert np.allclose(moved, noise_factors(np.array([0.0, 2.0, 0.5]), 20 / Encoder().frame_rate), atol=1e-5)


def test_mapping_is_causal_and_repeatable():
    rng = np.random.default_rng(11)
    sound = [features(rng) for _ in range(60)]
    a, b = (Mapper(w_stats(), Encoder(), seed=6) for _ in range(2))
    first = [a.step(f, Settings()).ws for f in sound]
    other = [b.step(f, Settings()).ws for f in [*sound[:40], *reversed(sound[40:])]]
    assert np.array_equal(first[:40], other[:40])
    assert not np.array_equal(first[59], other[59])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), st.floats(0, 1e6), st.data())
def test_finite_sound_gives_finite_ws_at_any_settings(values, rms, data):
    settings = Settings(tuple(data.draw(st.sampled_from([p.lo, p.default, p.hi])) for p in PARAMS))
    mapper = Mapper(w_stats(), Encoder(), seed=0)
    for value in values:
        controls = mapper.step(
            Features(np.full(128, value, np.float32), 3.0, np.ones(12, np.float32), rms, 0), settings
        )
    assert np.isfinite(controls.ws).all()
    assert np.isfinite(controls.noise).all()


def test_meters_tell_a_still_mapping_from_a_moving_one():
    stats, rng = w_stats(), np.random.default_rng(12)
    still, moving = Meters(stats, 75), Meters(stats, 75)
    for _ in range(1500):
        still.step(np.tile(stats.mean, (14, 1)))
        moving.step((stats.mean + stats.std * rng.standard_normal((14, 512))).astype(np.float32))
    assert still.spread < 1e-6 and still.step_size < 1e-6 and still.distance < 1e-6
    assert abs(moving.spread - 1) < 0.1
    assert abs(moving.step_size - np.sqrt(2)) < 0.1
    assert abs(moving.distance - 1) < 0.1


def test_interpolation_meets_its_ends():
    rng = np.random.default_rng(13)
    mapper = Mapper(w_stats(), Encoder(), seed=0)
    a, b = (mapper.step(features(rng, rms=r), Settings()) for r in (0.0, 0.4))
    assert np.allclose(between(a, b, 0.0).ws, a.ws)
    assert np.allclose(between(a, b, 1.0).ws, b.ws, atol=1e-6)
    assert np.allclose(between(a, b, 0.5).ws, (a.ws + b.ws) / 2, atol=1e-6)
    assert np.allclose(between(a, b, 9.0).noise, b.noise)
