"""Numbers that must stay the same for ever, and what is measured of a generator's W."""

from dataclasses import replace

import numpy as np
import pytest
from stylegan2_oracle import mapping
from test_stylegan2 import SMALL, seeded_tensors

from livelav.core.normals import normals
from livelav.core.values import W_DIM
from livelav.generate.layout import MOST_LABELS
from livelav.generate.statistics import ALL_COUNT, COUNT, LEAST_COUNT, label_count, w_mean_and_std, w_samples

FIXED = (-0.186257717125202, 0.166245993467793, 1.6998992261158, -0.707022276658087)


def test_normals_are_fixed_for_ever() -> None:
    assert normals(7, 3, (2, 2)).ravel() == pytest.approx(FIXED, abs=1e-12)


def test_normals_are_normal_and_streams_differ() -> None:
    one, other = normals(0, 0, (100_000,)), normals(0, 1, (100_000,))
    assert abs(one.mean()) < 0.02
    assert abs(one.std() - 1) < 0.02
    assert abs((one**4).mean() - 3) < 0.15
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02


def test_w_statistics_are_those_of_the_samples() -> None:
    tensors = seeded_tensors(SMALL)
    w = w_samples(SMALL, tensors, 300)
    assert w.shape == (300, 512)
    assert np.allclose(w[:50], w_samples(SMALL, tensors, 300)[:50])
    mean, std = w_mean_and_std(w)
    assert np.allclose(((w - mean) / std).mean(axis=0), 0, atol=1e-5)
    assert np.allclose(((w - mean) / std).std(axis=0), 1, atol=1e-5)


def test_classes_take_turns() -> None:
    config = replace(SMALL, labels=3)
    tensors = seeded_tensors(config)
    w = w_samples(config, tensors, 5)
    z = normals(0, 0, (5, W_DIM))
    for i in range(5):
        assert np.allclose(w[i], mapping(tensors, z[i], SMALL.mapping_layers, label=np.eye(3)[i % 3]), atol=1e-4)


@pytest.mark.parametrize("labels", [1, 20, 21, 100, 1000, MOST_LABELS])
def test_many_labels_take_bounded_time_and_few_are_known_well(labels: int) -> None:
    count = label_count(labels)
    assert count == COUNT or labels > 20
    assert LEAST_COUNT <= count <= COUNT and (count == LEAST_COUNT or count * labels <= ALL_COUNT)
