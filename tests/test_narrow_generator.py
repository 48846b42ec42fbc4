"""A narrower copy of a generator: begins with what counts most, learns to paint the same, and resumes exactly."""

from dataclasses import replace
from pathlib import Path

import _adversary
import _run
import _training as steps
import numpy as np
import pytest
import torch
from _narrowing import Pupil, narrowed
from torch import Tensor

from livelav.generate.files import read_checkpoint
from livelav.generate.layout import Config
from livelav.generate.library import model_info
from livelav.generate.stylegan2 import StyleGAN2

WIDE = Config(resolution=32, channel_base=512, channel_max=16, mapping_layers=1, conv_clamp=256.0)
NARROW = replace(WIDE, channel_base=256)
PLAN = (
    steps.Phase(32, 16, 8, adversary=False, learning_rate=4e-3),
    steps.Phase(32, 24, 8, adversary=True, learning_rate=4e-3),
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "FIGURE_IMAGES", 32)
    monkeypatch.setattr(_adversary, "R1_EVERY", 2)  # so that short runs meet the penalty


def teacher(seed: int = 3) -> StyleGAN2:
    torch.manual_seed(seed)
    return StyleGAN2(WIDE).requires_grad_(False)


def pupil(plan: tuple[steps.Phase, ...] = PLAN, origin: str = "a") -> Pupil:
    return Pupil(teacher(), NARROW, plan, 1, origin, torch.device("cpu"), fuse=False)


def weights(of: Pupil) -> Tensor:
    parts = of.generator, of.kept, of.adversary.network
    return torch.cat([p.detach().flatten() for part in parts for p in part.parameters()])


@torch.no_grad()
def far_from(one: StyleGAN2, other: StyleGAN2) -> float:
    """0 where they paint the same; about 1 where nothing is alike."""
    torch.manual_seed(9)
    ws = other.mapping(torch.randn(8, 512))[:, None].expand(-1, other.config.num_ws, -1)
    first, second = (network.synthesis(ws, noise_mode="none") for network in (one, other))
    return float((first - second).abs().mean() / second.abs().mean())


def test_a_copy_as_wide_as_its_teacher_paints_the_same() -> None:
    wide = teacher()
    assert far_from(narrowed(wide, WIDE), wide) < 1e-5


def test_channels_that_nobody_reads_are_those_that_go() -> None:
    wide = teacher()
    for name in ("b32.conv1", "b32.torgb"):  # what they read has half as many channels in the copy
        wide.synthesis.get_parameter(f"{name}.weight")[:, ::2] = 0.0
    assert far_from(narrowed(wide, NARROW), wide) < 1e-5


def test_it_begins_nearer_to_its_teacher_than_a_stranger_does() -> None:
    wide = teacher()
    torch.manual_seed(5)
    stranger = StyleGAN2(NARROW).requires_grad_(False)
    stranger.mapping.load_state_dict(wide.mapping.state_dict())
    assert far_from(narrowed(wide, NARROW), wide) < 0.9 * far_from(stranger, wide)


def test_it_learns_to_paint_what_its_teacher_paints() -> None:
    one = pupil((steps.Phase(32, 8 * 60, 8, adversary=False, learning_rate=4e-3),))
    before = far_from(one.finished(), one.teacher)
    while one.phase is not None:
        one.step()
    assert far_from(one.finished(), one.teacher) < 0.8 * before


def test_its_w_is_its_teachers() -> None:
    one = pupil()
    while one.phase is not None:
        one.step()
    z = torch.randn(4, 512)
    assert torch.equal(one.finished().mapping(z), one.teacher.mapping(z))


def test_a_run_that_was_interrupted_goes_on_exactly(tmp_path: Path) -> None:
    straight = pupil()
    while straight.phase is not None:
        straight.step()
    for stop in (1, 3):  # while it copies, with the adversary
        folder = _run.Run(tmp_path / str(stop))
        folder.folder.mkdir()
        first = pupil()
        for _ in range(stop):
            first.step()
        folder.save(first)
        second = pupil()
        folder.load(second)
        while second.phase is not None:
            second.step()
        assert torch.equal(weights(second), weights(straight))


def test_a_state_of_another_teachers_pupil_is_refused(tmp_path: Path) -> None:
    folder = _run.Run(tmp_path)
    folder.save(pupil())
    with pytest.raises(SystemExit, match="teacher"):
        folder.load(pupil(origin="b"))


def test_the_adversary_judges_only_what_z_could_have_made(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[int]()
    one = pupil(PLAN[1:])
    doubt = one.adversary.doubt
    monkeypatch.setattr(one.adversary, "doubt", lambda images: seen.append(len(images)) or doubt(images))
    one.step()
    assert seen == [PLAN[1].batch // 2]


def test_a_finished_copy_plays_with_noise_and_a_card_that_names_its_teacher(tmp_path: Path) -> None:
    one = pupil()
    while one.phase is not None:
        one.step()
    _run.finish(one, tmp_path / "new.safetensors", "tools/narrow_generator.py", {"taught_by": "wide, sha256 a"})
    info = model_info(tmp_path / "new.safetensors")
    assert info.trained and info.card["taught_by"].startswith("wide")
    found = read_checkpoint(tmp_path / "new.safetensors")
    assert found.config == NARROW
    assert found.tensors["synthesis.b8.conv0.noise_strength"] > 0
    assert np.isfinite(found.stats.std).all()
