"""The judge of the embedded models is itself judged: known distances come out, planted faults are found."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import _generators
import dataset
import evaluate_models
import numpy as np
import pytest
import scipy.linalg
import torch
from _generators import (
    STEPS,
    Gallery,
    Model,
    TrainingSet,
    circle_figures,
    mixed_ws,
    neighbour_figures,
    w_circle,
    write_untrained,
    z_circle,
)
from _pictures import (
    FeatureSet,
    Scaler,
    change,
    frechet_distance,
    largest_jump,
    looks,
    mean_distance,
    nearest,
    step_sizes,
    thumbnails,
    to_bytes,
    to_tensor,
)
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals
from livelav.core.values import Bytes, Floats
from livelav.generate.layout import Config

FOR_EVER = [-3.59426, -0.02153, -0.00356, -0.02344, -3.35606, -0.22184, -0.26050, 0.61671, 0.64168]
SMALL = Config(resolution=32, channel_base=256, channel_max=16, mapping_layers=2)


def soft_pictures(seed: int, count: int, size: int = 32) -> Bytes:
    """Random soft forms [count, size, size, 3]."""
    coarse = torch.from_numpy(normals(seed, 0, (count, 3, 4, 4))).float()
    return to_bytes(0.5 * F.interpolate(coarse, (size, size), mode="bicubic"))


# ---- distances


def gaussian(mean: list[float], covariance: list[list[float]], count: int = 50) -> np.ndarray:
    """Samples [count, d] whose sample mean and covariance are exactly these."""
    x = normals(3, 0, (count, len(mean)))
    x = x - x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ np.linalg.cholesky(np.array(covariance)).T + mean


def test_the_distance_of_known_gaussians() -> None:
    a = gaussian([0.0, 0.0], [[4.0, 0.0], [0.0, 1.0]])
    b = gaussian([3.0, 0.0], [[1.0, 0.0], [0.0, 9.0]])
    assert frechet_distance(a, b) == pytest.approx(3.0**2 + (2 - 1) ** 2 + (1 - 3) ** 2)
    assert frechet_distance(a, a + 2.0) == pytest.approx(2 * 2.0**2)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)


def test_the_distance_of_gaussians_that_lie_askew() -> None:
    one, two = [[2.0, 0.9, 0.1], [0.9, 1.0, 0.3], [0.1, 0.3, 3.0]], [[1.0, -0.5, 0], [-0.5, 2.0, 0.7], [0, 0.7, 1.0]]
    root = scipy.linalg.sqrtm(np.array(one) @ np.array(two))
    expected = np.trace(one) + np.trace(two) - 2 * np.trace(root).real
    a, b = gaussian([0.0] * 3, one), gaussian([0.0] * 3, two)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


def test_fewer_pictures_than_features_still_have_a_distance() -> None:
    a, b = normals(1, 0, (5, 40)), normals(2, 0, (6, 40))
    assert 0.0 < frechet_distance(a, b) < 1_000.0
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-3)


def test_diversity_is_the_mean_distance_and_none_where_all_are_alike() -> None:
    corners = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert mean_distance(corners) == pytest.approx((3 + 4 + 5) / 3)
    features = FeatureSet()
    various = features(soft_pictures(1, 16))
    collapsed = features(np.repeat(soft_pictures(1, 1), 16, axis=0))
    scaler = Scaler.of(various)
    assert mean_distance(scaler(collapsed)) < 1e-3 * mean_distance(scaler(various))


# ---- features


def test_features_are_the_same_for_ever() -> None:
    found = FeatureSet()(soft_pictures(5, 2, size=256))
    assert found.shape == (2, 345)
    assert found[0, ::43] == pytest.approx(FOR_EVER, abs=1e-4)


def test_a_picture_s_features_do_not_depend_on_the_others() -> None:
    features, pictures = FeatureSet(), soft_pictures(6, 5)
    together = features(pictures)
    alone = np.concatenate([features(pictures[i : i + 1]) for i in range(5)])
    assert together == pytest.approx(alone, abs=1e-4)


def blurred(x: Tensor, amount: float) -> Tensor:
    small = F.interpolate(x, scale_factor=1 / (1 + amount), mode="area")
    return F.interpolate(small, x.shape[-2:], mode="bicubic")


def grey(x: Tensor, amount: float) -> Tensor:
    return torch.lerp(x, x.mean(1, keepdim=True), amount)


def faded(x: Tensor, amount: float) -> Tensor:
    return x * (1 - amount)


def grained(x: Tensor, amount: float) -> Tensor:
    return x + amount * torch.from_numpy(normals(9, 0, tuple(x.shape))).float()


def shuffled(x: Tensor, cells: float) -> Tensor:
    n = x.shape[-1] // int(cells)
    parts = x.unfold(2, n, n).unfold(3, n, n).flatten(2, 3)
    order = np.argsort(normals(9, 1, (parts.shape[2],)))
    tiles = parts[:, :, order].unflatten(2, (int(cells), int(cells)))
    return tiles.permute(0, 1, 2, 4, 3, 5).reshape(x.shape)


@pytest.fixture(scope="module")
def unspoilt() -> tuple[FeatureSet, Tensor, np.ndarray]:
    """Features' own network, pictures, and their features."""
    features, images = FeatureSet(), dataset.render(dataset.draw(77, 0, 48), 64)
    return features, images, features(to_bytes(images))


@pytest.mark.parametrize(
    ("spoil", "amounts"),
    [
        (blurred, (1, 3, 7)),
        (grey, (0.25, 0.5, 1.0)),
        (faded, (0.1, 0.25, 0.5)),
        (grained, (0.02, 0.1, 0.3)),
        (shuffled, (2, 4, 8)),
    ],
)
def test_the_more_pictures_are_spoilt_the_larger_the_distance(
    unspoilt: tuple[FeatureSet, Tensor, np.ndarray],
    spoil: Callable[[Tensor, float], Tensor],
    amounts: tuple[float, ...],
) -> None:
    features, images, true = unspoilt
    scaler = Scaler.of(true)
    distances = [0.0, *(frechet_distance(scaler(true), scaler(features(to_bytes(spoil(images, a))))) for a in amounts)]
    assert all(more > less + 1.0 for less, more in pairwise(distances)), distances


def test_bytes_survive_the_way_there_and_back() -> None:
    pictures = np.arange(3 * 256, dtype=np.uint8).reshape(1, 16, 16, 3)
    assert (to_bytes(to_tensor(pictures)) == pictures).all()


# ---- steps


def test_a_planted_jump_is_found() -> None:
    ramp = [np.full((4, 4, 3), level, np.uint8) for level in range(100)]
    assert step_sizes(ramp) == pytest.approx(1 / 255)
    assert largest_jump(step_sizes(ramp)) == pytest.approx(1.0)
    assert largest_jump(step_sizes(ramp[:50] + ramp[60:])) == pytest.approx(11.0)
    assert largest_jump(step_sizes(ramp[:1] * 5)) == 0.0


# ---- copying


def training_of(seen: Bytes, new: Bytes, other: Bytes) -> TrainingSet:
    none = np.empty((0, 0))
    sets = (Gallery(none, thumbnails(p, 32)) for p in (new, other, seen))
    return TrainingSet(*sets, Scaler(none, none), np.arange(0, len(seen), _generators.BATCH), 1)


def test_copying_is_found() -> None:
    seen, new, other, honest = (soft_pictures(seed, 1_000) for seed in (1, 2, 3, 4))
    training = training_of(seen, new, other)
    fair = neighbour_figures(honest, training)
    assert fair["suspicious"] <= evaluate_models.MOST_SUSPICIOUS
    assert fair["median"] == pytest.approx(fair["median_to_new"], rel=0.05)
    copier = np.concatenate([honest[:900], grained_bytes(seen[100:200])])
    caught = neighbour_figures(copier, training)
    assert caught["suspicious"] >= 0.1
    assert caught["closest"] < 0.5 * fair["closest"]


def grained_bytes(pictures: Bytes) -> Bytes:
    return to_bytes(grained(to_tensor(pictures), 0.02))


def test_the_nearest_picture_is_the_picture_itself() -> None:
    pictures = soft_pictures(1, 20)
    found = nearest(pictures[5:8], pictures)
    assert found.index.tolist() == [5, 6, 7]
    assert found.distance == pytest.approx(0.0, abs=1e-6)


# ---- styles


def test_what_changed_is_named() -> None:
    base, other = soft_pictures(1, 12, size=64), soft_pictures(2, 12, size=64)
    before, unrelated = looks(base), looks(other)
    assert set(change(before, before, unrelated).values()) == {0.0}
    assert set(change(before, unrelated, unrelated).values()) == {1.0}
    turned = change(before, looks(base[:, ::-1, ::-1]), unrelated)
    assert turned["layout"] > 0.5
    assert max(turned["form"], turned["colour"]) < 0.01
    swapped = change(before, looks(base[..., [2, 1, 0]]), unrelated)
    assert swapped["colour"] > 2 * max(swapped["layout"], swapped["form"])
    fine = to_bytes(to_tensor(base) + 0.1 * (torch.arange(64) % 2 * 2 - 1))
    striped = change(before, looks(fine), unrelated)
    assert striped["form"] > 5 * max(striped["layout"], striped["colour"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(str(write_untrained(SMALL, tmp_path_factory.mktemp("untrained"))), "torch", 1)


def test_a_group_s_layers_alone_are_driven_by_the_other(model: Model) -> None:
    one, two = model.w(normals(1, 0, (2, 512)))[:, None]
    for group, resolutions in (("coarse", (4, 8)), ("middle", (16, 32)), ("fine", ())):
        ws = mixed_ws(model, one, two, group)[0]
        for row, resolution in zip(ws, model.generator.stats.resolutions, strict=True):
            assert (row == (two if resolution in resolutions else one)[0]).all()


@pytest.mark.parametrize("circle", [z_circle, w_circle])
def test_circles_close_in_even_steps(model: Model, circle: Callable[[Model, int], Floats]) -> None:
    ws = circle(model, 0)
    assert ws.shape == (STEPS + 1, model.config.num_ws, 512)
    assert ws[0] == pytest.approx(ws[-1], abs=1e-4)
    steps = np.linalg.norm(np.diff(ws, axis=0), axis=(1, 2))
    assert steps.max() < 3.0 * np.median(steps)
    assert not np.allclose(circle(model, 0)[0], circle(model, 1)[0])


def test_the_circles_figures_find_a_jump_in_a_model(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_generators, "CIRCLE_COUNT", 1)

    def torn(model: Model, number: int) -> Floats:
        return np.concatenate([z_circle(model, number)[:50], z_circle(model, number)[75:]])

    whole, broken = circle_figures(model, z_circle), circle_figures(model, torn)
    assert whole["largest_jump"] < evaluate_models.LARGEST_JUMP < broken["largest_jump"]
    assert whole["median_step"] > 0.0


def test_the_w_circles_have_the_spread_of_w(model: Model) -> None:
    ws = np.concatenate([w_circle(model, n)[:-1] for n in range(4)])
    scaled = (ws - model.generator.stats.mean) / model.generator.stats.std
    assert scaled.std() == pytest.approx(1.0, abs=0.05)
    assert not np.allclose(ws[:, 0], ws[:, -1]), "layer groups go different ways"


# ---- the commands


def test_an_untrained_network_does_not_pass(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_generators, "CIRCLE_COUNT", 2)
    monkeypatch.setattr(_generators, "PAIR_COUNT", 4)
    monkeypatch.setattr(_generators, "SIZE", 64)
    path = write_untrained(SMALL, tmp_path)
    arguments = ["generator", str(path), "--untrained", "--images", "32", "--threads", "1", "--backend", "torch"]
    (tmp_path / "untrained.json").write_text('{"licence": "MIT"}')
    places = ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "f.json"), "--card"]
    assert evaluate_models.main([*arguments, *places]) == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert set(figures["models"]) == {"untrained", "untrained#2"}
    assert figures["models"]["untrained"]["frechet"] > 3.0 * figures["training_set"]["frechet"]
    first = figures["required"]["untrained"][0]
    assert (first["value"], first["holds"]) == (1.0, False), "no model is better than itself"
    card = json.loads((tmp_path / "untrained.json").read_text())
    assert card["licence"] == "MIT"
    assert card["measured"]["figures"] == figures["models"]["untrained"]
    assert list(card["measured"]["references"]) == ["untrained#2"]
    sheets = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(sheets) == 8
    assert "untrained#2-mixing.png" in sheets
    assert "Fréchet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generator", "no-such-model"], "no model 'no-such-model'"),
        (["generator", "default", "--images", "5"], "--images 5: it must be 32 or more"),
        (["encoder", "no-such-encoder"], "no encoder 'no-such-encoder'"),
        (["encoder", "--music", "missing.wav"], "missing.wav"),
    ],
)
def test_it_fails_in_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_models.main(arguments) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_encoders_are_probed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_models, "PASSAGE_S", 6.0)
    assert evaluate_models.main(["encoder", "--json", str(tmp_path / "f.json")]) == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert len(figures["sounds"]) == 4
    assert figures["encoders"]["embedded"]["effective_rank"] > 1.0
    assert "effective_rank" in capsys.readouterr().out
