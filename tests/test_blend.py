"""Going from one mapping to another: no step, no paling on the way, and in the end the other alone."""

import numpy as np
import pytest
from test_mapping import Encoder, features, w_stats

from livelav.core.params import Settings
from livelav.core.scene import MappingKey
from livelav.mapping.blend import Blend
from livelav.mapping.mapper import Mapper

ENCODER, STATS = Encoder(), w_stats()
DT_S = 1.0 / ENCODER.frame_rate
ONE, OTHER, THIRD = MappingKey(1), MappingKey(2), MappingKey(3, "fixed", "outside")
LIVELY = Settings().with_values({f"smoothing.{name}": 0.03 for name in ("coarse", "middle", "fine", "leak")})


def mapper(key):
    return Mapper(STATS, ENCODER, key.seed, key.mode, key.placement)


def blend(key=ONE):
    return Blend(mapper, key, DT_S)


def heard(count, seed=0):
    rng = np.random.default_rng(seed)
    return [features(rng) for _ in range(count)]


def ws(one, frames, settings=LIVELY):
    return np.stack([one.step(frame, settings).ws for frame in frames])


def test_one_mapping_alone_is_untouched():
    frames = heard(50)
    assert np.array_equal(ws(blend(), frames), ws(mapper(ONE), frames))


def test_it_begins_with_the_one_and_ends_with_the_other():
    one, reference = blend(), mapper(ONE)
    before = heard(100)
    ws(one, before), ws(reference, before)
    one.go_to(OTHER, 100 * DT_S)
    after = heard(400, seed=1)
    way, stayed = ws(one, after), ws(reference, after)
    first = np.abs(way[0] - stayed[0]).max()
    assert first < 0.05 * np.abs(stayed[0] - STATS.w_avg).max()
    fresh = mapper(OTHER)
    assert np.array_equal(way[100:], ws(fresh, after)[100:]), "it has heard all since it was asked for"


def test_the_picture_does_not_pale_on_the_way():
    one = blend()
    ws(one, heard(200))
    one.go_to(OTHER, 400 * DT_S)
    spread = np.abs((ws(one, heard(400, seed=1)) - STATS.w_avg) / STATS.std).mean((1, 2))
    assert spread[150:250].mean() > 0.9 * spread[:50].mean()


def test_noise_that_drifts_does_not_vanish_on_the_way():
    drifting = LIVELY.with_values({"noise.drift": 1.0})
    for before in (100, 120, 137):  # wherever the maps stand
        one = blend()
        for frame in heard(before):
            one.step(frame, drifting)
        one.go_to(OTHER, 100 * DT_S)
        strengths = [np.linalg.norm(one.step(frame, drifting).noise, axis=0).min() for frame in heard(100, seed=1)]
        assert min(strengths) > 0.9


def test_no_frame_jumps_however_often_minds_are_changed():
    slow = Settings().with_values({f"smoothing.{name}": 1.0 for name in ("coarse", "middle", "fine", "leak")})
    one = blend()
    ws(one, heard(300), slow)
    made = []
    for i, frame in enumerate(heard(300, seed=1)):
        if i % 20 == 0:
            one.go_to((ONE, OTHER, THIRD)[i // 20 % 3], 0.8)
        made.append(one.step(frame, slow).ws)
    steps = np.abs(np.diff(np.stack(made), axis=0) / STATS.std[None, None]).mean((1, 2))
    assert steps.max() < 5 * np.median(steps)


def test_a_hundred_mappings_in_a_second_run_no_more_than_a_few(monkeypatch):
    one, made = blend(), []
    monkeypatch.setattr(one, "_make", lambda key: made.append(key) or mapper(key))
    for seed, frame in enumerate(heard(100)):
        one.go_to(MappingKey(100 + seed), 5.0)
        assert np.isfinite(one.step(frame, LIVELY).ws).all()
    assert len(made) == 100
    assert len(one._parts) <= 5
    assert sum(part.share for part in one._parts) == pytest.approx(1.0)


def test_in_the_middle_of_the_way_no_time_is_at_once_too():
    one, frames = blend(), heard(20)
    one.go_to(OTHER, 10.0)
    ws(one, frames)
    one.go_to(OTHER, 0.0)
    assert len(one._parts) == 1
    one.step(frames[0], LIVELY)


def test_no_time_is_at_once():
    one, frames = blend(), heard(20)
    one.go_to(OTHER, 0.0)
    assert np.array_equal(ws(one, frames), ws(mapper(OTHER), frames))
    one.go_to(OTHER, 3.0)
    assert len(one._parts) == 1, "there already"
