"""The training pictures: the same for ever, in range, dark and contrasty, smooth, with three separate groups."""

import dataset
import pytest
import torch
from dataset import FACTORS, Factors, draw, render
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

SEED, SIZE = 11, 32


def images(factors: Factors, size: int = SIZE, supersample: int = 2) -> Tensor:
    with torch.inference_mode():
        return render(factors, size, supersample)


def luminance(pictures: Tensor) -> Tensor:
    """[n, 3, size, size] in -1..1 -> [n, size, size] in 0..1."""
    return (pictures.mul(0.5).add(0.5) * torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)).sum(1)


def edges(pictures: Tensor) -> Tensor:
    """Where luminance changes, without mean and scale: [n, pixels] of unit length."""
    light = luminance(pictures)
    strength = torch.hypot(light[:, 1:, :-1] - light[:, :-1, :-1], light[:, :-1, 1:] - light[:, :-1, :-1]).flatten(1)
    return F.normalize(strength - strength.mean(1, keepdim=True), dim=1)


def likeness(one: Factors, other: Factors) -> float:
    """Mean correlation of the edges of two rows of pictures."""
    return float((edges(images(one)) * edges(images(other))).sum(1).mean())


def test_a_picture_is_the_same_however_it_is_batched() -> None:
    together = draw(SEED, 3, 5)
    assert together.coarse.shape == (5, FACTORS)
    alone = draw(SEED, 6, 1)
    assert torch.equal(together.middle[3], alone.middle[0])
    assert torch.allclose(images(together)[3], images(alone)[0], atol=1e-5)
    assert not torch.equal(draw(SEED + 1, 6, 1).coarse, alone.coarse)


def test_factors_are_standard_normals() -> None:
    factors = draw(SEED, 0, 400)
    everything = torch.cat([factors.coarse, factors.middle, factors.fine], 1)
    assert everything.dtype == torch.float32
    assert abs(float(everything.mean())) < 0.03
    assert float(everything.std()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("far", [-4.0, 0.0, 4.0])
def test_any_factors_give_a_picture_in_range(far: float) -> None:
    generator = torch.Generator().manual_seed(1)
    signs = torch.randint(0, 2, (3, 6, FACTORS), generator=generator) * 2.0 - 1.0
    pictures = images(Factors(*(far * signs)), 24)
    assert pictures.shape == (6, 3, 24, 24)
    assert pictures.dtype == torch.float32
    assert bool(torch.isfinite(pictures).all())
    assert -1.0 <= float(pictures.min()) <= float(pictures.max()) <= 1.0


def test_grounds_are_dark_and_bodies_stand_out() -> None:
    light = luminance(images(draw(SEED, 0, 64)))
    assert 0.4 < float((light < 0.25).float().mean()) < 0.75
    assert float(light[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean()) < 0.1
    assert 0.15 < float(light.mean()) < 0.35
    dim = light.flatten(1).quantile(0.99, 1) < 0.4
    bright = light.mean((1, 2)) > 0.55
    flat = light.std((1, 2)) < 0.08
    assert float((dim | bright | flat).float().mean()) < 0.06


def test_colours_are_seen() -> None:
    pictures = images(draw(SEED, 0, 64)).mul(0.5).add(0.5)
    assert float((pictures.amax(1) - pictures.amin(1)).mean()) > 0.12


def test_fine_factors_leave_structure_alone_and_the_others_do_not() -> None:
    these, those = draw(SEED, 0, 16), draw(SEED, 16, 16)
    fine = likeness(these, these.cross(these, those))
    middle = likeness(these, these.cross(those, these))
    coarse = likeness(these, those.cross(these, these))
    assert fine > 0.7
    assert middle < fine - 0.25
    assert coarse < fine - 0.25


def test_form_leaves_masses_where_they_are() -> None:
    these, those = draw(SEED, 0, 32), draw(SEED, 32, 32)

    def masses(factors: Factors) -> Tensor:
        small = F.adaptive_avg_pool2d(luminance(images(factors)).unsqueeze(1), 4).flatten(1)
        return F.normalize(small - small.mean(1, keepdim=True), dim=1)

    here = masses(these)
    other_form = float((here * masses(these.cross(those, these))).sum(1).mean())
    other_layout = float((here * masses(those.cross(these, these))).sum(1).mean())
    assert other_form > other_layout + 0.1


def test_a_small_step_is_a_small_change() -> None:
    here, there = draw(SEED, 0, 24), draw(SEED, 24, 24)

    def step(by: float) -> Tensor:
        moved = Factors(*(a + by * b for a, b in zip(parts(here), parts(there), strict=True)))
        return (images(moved) - images(here)).abs().mean((1, 2, 3))

    assert float(step(0.01).max()) < 0.05
    assert float((step(0.002) / step(0.004)).mean()) == pytest.approx(0.5, abs=0.1)  # linear: no jumps hidden in it


def test_every_size_shows_the_same_picture() -> None:
    factors = draw(SEED, 0, 6)
    small, large = images(factors, 64), F.avg_pool2d(images(factors, 256, 1), 4)
    assert float((small - large).abs().mean()) < 0.02
    assert float((images(factors, 64, 1) - large).abs().mean()) < 0.05


def test_cross_takes_each_group_from_where_it_says() -> None:
    one, two, three = (draw(SEED, i, 2) for i in (0, 2, 4))
    crossed = one.cross(two, three)
    assert torch.equal(crossed.coarse, one.coarse)
    assert torch.equal(crossed.middle, two.middle)
    assert torch.equal(crossed.fine, three.fine)
    assert len(crossed[:1]) == 1


def test_sheets_are_laid_out_in_rows() -> None:
    factors = draw(SEED, 0, 24)
    assert len(dataset.crosses(factors, 6)) == 36
    assert dataset.sheet(images(factors[:4], 16), 2).size == (32, 32)


def parts(factors: Factors) -> tuple[Tensor, Tensor, Tensor]:
    return factors.coarse, factors.middle, factors.fine
