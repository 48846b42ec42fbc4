"""The label of a class-conditional model: it moves the mapping's statistics, straight and without a jump."""

from dataclasses import replace

import numpy as np
import pytest
from test_mapping import Encoder, features, off, w_stats

from livelav.core.scene import MappingKey
from livelav.mapping.blend import Blend
from livelav.mapping.labels import LabelGlide
from livelav.mapping.mapper import Mapper

LABELS = 10
FRAME_S = 1 / 75


def labelled():
    rng = np.random.default_rng(3)
    mean, std = rng.standard_normal((LABELS, 512)), rng.uniform(0.3, 2.0, (LABELS, 512))
    return replace(w_stats(), label_mean=mean.astype(np.float32), label_std=std.astype(np.float32))


STATS = labelled()


def ws_of(stats, label, frames=5, **settings):
    rng, mapper = np.random.default_rng(1), Mapper(stats, Encoder())
    chosen = off(generate__label=label, **settings)
    return [mapper.step(features(rng), chosen).ws for _ in range(frames)][-1]


def test_a_model_without_labels_does_not_mind_one():
    assert np.array_equal(ws_of(w_stats(), 0.0), ws_of(w_stats(), 7.0))


@pytest.mark.parametrize("label", [0, 3, LABELS - 1])
def test_a_label_is_the_mean_and_spread_of_its_own(label):
    ws = ws_of(STATS, label)
    alone = replace(w_stats(), mean=STATS.label_mean[label], std=STATS.label_std[label], w_avg=STATS.label_mean[label])
    assert np.allclose(ws, ws_of(alone, 0.0), atol=1e-6)
    assert np.allclose(ws_of(STATS, label, generate__psi=0.0), STATS.label_mean[label], atol=1e-6), "its own centre"


def test_between_two_labels_both_are_mixed():
    mixed = STATS.at(3.25)
    assert np.allclose(mixed.mean, 0.75 * STATS.label_mean[3] + 0.25 * STATS.label_mean[4], atol=1e-6)
    assert np.allclose(mixed.std, 0.75 * STATS.label_std[3] + 0.25 * STATS.label_std[4], atol=1e-6)


def test_after_the_last_label_comes_the_first():
    assert np.array_equal(STATS.at(4093.0).mean, STATS.label_mean[4093 % LABELS])
    assert np.allclose(STATS.at(LABELS - 0.5).std, (STATS.label_std[-1] + STATS.label_std[0]) / 2, atol=1e-6)


def test_the_way_to_a_label_is_straight_and_soon_over():
    glide = LabelGlide(STATS)
    start = glide.step(1.0, FRAME_S)
    assert np.array_equal(start.mean, STATS.label_mean[1]), "a show begins at its label"
    way = STATS.label_mean[8] - start.mean
    before = 0.0
    for _ in range(int(2.0 / FRAME_S)):
        done = (glide.step(8.0, FRAME_S).mean - start.mean) @ way / (way @ way)
        assert np.allclose(glide.now.mean, start.mean + done * way, atol=1e-4)
        assert before <= done < before + 0.1, "it goes there without a jump"
        before = done
    assert before > 0.999


def test_a_blend_of_two_mappings_stays_at_its_label():
    blend = Blend(lambda key: Mapper(STATS, Encoder(), key.seed), MappingKey(1), FRAME_S)
    rng, settings = np.random.default_rng(1), off(generate__label=4.0, generate__psi=0.0)
    blend.step(features(rng), settings)
    blend.go_to(MappingKey(2), 0.5)
    for _ in range(60):
        assert np.allclose(blend.step(features(rng), settings).ws, STATS.label_mean[4], atol=1e-5)
