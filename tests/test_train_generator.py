"""Training of the embedded generator, on a network small enough to train here: it learns, and it resumes exactly."""

from pathlib import Path

import _adversary
import _run
import _training as steps
import dataset
import numpy as np
import pytest
import torch
import train_generator as training
from _networks import CODE_DIM
from _noise import CHANGE, RESOLUTIONS, give_noise, soft_map
from _straight import MOVED
from PIL import Image
from torch.nn import functional as F  # noqa: N812

from livelav.generate.files import read_checkpoint
from livelav.generate.layout import Config
from livelav.generate.library import model_info
from livelav.generate.stylegan2 import StyleGAN2

CONFIG = Config(resolution=32, channel_base=512, channel_max=16, mapping_layers=1, conv_clamp=256.0)
PLAN = (
    steps.Phase(16, 24, 8, adversary=False, learning_rate=8e-3),
    steps.Phase(32, 16, 8, adversary=False, learning_rate=8e-3),
    steps.Phase(32, 16, 8, adversary=True, learning_rate=4e-3),
    steps.Phase(32, 8, 8, adversary=True, learning_rate=4e-3, warm=False),
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "FIGURE_IMAGES", 32)
    monkeypatch.setattr(_adversary, "R1_EVERY", 2)  # so that short runs meet the penalty


def trainer(plan: tuple[steps.Phase, ...] = PLAN) -> steps.Trainer:
    return steps.Trainer(CONFIG, plan, 1, torch.device("cpu"), fuse=False)


def weights(of: steps.Trainer) -> torch.Tensor:
    parts = (of.generator, of.kept, of.adversary.network, of.encoder)
    return torch.cat([p.detach().flatten() for part in parts for p in part.parameters()])


def test_a_run_that_was_interrupted_goes_on_exactly(tmp_path: Path) -> None:
    straight = trainer()
    while straight.phase is not None:
        straight.step()
    for stop in (1, 4, 6):  # in the warm start, between two sizes, with the adversary
        folder = _run.Run(tmp_path / str(stop))
        folder.folder.mkdir()
        first = trainer()
        for _ in range(stop):
            first.step()
        folder.save(first)
        second = trainer()
        folder.load(second)
        while second.phase is not None:
            second.step()
        assert torch.equal(weights(second), weights(straight))


def test_a_state_of_another_plan_is_refused(tmp_path: Path) -> None:
    folder = _run.Run(tmp_path)
    folder.save(trainer())
    with pytest.raises(SystemExit, match="another plan"):
        folder.load(trainer(PLAN[:1]))


def test_what_is_saved_is_a_model_that_livelav_plays(tmp_path: Path) -> None:
    one = trainer()
    one.step()
    _run.Run(tmp_path).save(one)
    model = read_checkpoint(tmp_path / "model.safetensors")
    assert model.config == CONFIG
    assert {tensor.dtype for tensor in model.tensors.values()} == {np.dtype(np.float16)}
    assert np.isfinite(model.stats.std).all()
    assert list(tmp_path.glob("sheet-*.png"))


def test_a_finished_model_has_noise_card_and_contact_sheet(tmp_path: Path) -> None:
    one = trainer()
    while one.phase == PLAN[0]:
        one.step()
    _run.finish(one, tmp_path / "new.safetensors", "tools/train_generator.py")
    info = model_info(tmp_path / "new.safetensors")
    assert info.trained and info.licence == "MIT"
    assert "64 images of" in info.card["trained_on"]
    tensors = read_checkpoint(tmp_path / "new.safetensors").tensors
    assert tensors["synthesis.b8.conv0.noise_strength"] > 0
    assert tensors["synthesis.b32.conv1.noise_strength"] == 0  # has not been trained: its picture is silent
    assert Image.open(tmp_path / "new.png").size == (8 * _run.SHOWN_PX, 3 * _run.SHOWN_PX)


def test_the_warm_start_learns() -> None:
    one = trainer((steps.Phase(16, 8 * 60, 8, adversary=False, learning_rate=8e-3),))
    distances = []
    while one.phase is not None:
        distances.append(one.step()["difference"])
    assert np.mean(distances[-10:]) < 0.8 * np.mean(distances[:10])


def askew(one: steps.Trainer) -> None:
    """Lets codes vary much in some directions and hardly in others, and these across the axes."""
    spread = torch.logspace(0, -4, CODE_DIM)
    axes = torch.linalg.qr(torch.randn(CODE_DIM, CODE_DIM)).Q
    one.encoder.covariance.copy_(axes @ torch.diag(spread) @ axes.T)


def test_ws_are_drawn_as_codes_are_distributed() -> None:
    one = trainer()
    askew(one)
    codes = torch.distributions.MultivariateNormal(one.encoder.mean, one.encoder.covariance).sample((20_000,))
    whitened = torch.cov(one.encoder.whitened(codes).T)
    drawn = torch.cov(one.draw_w(20_000)[:, :CODE_DIM].T)
    assert (whitened - drawn).norm() < 0.1 * drawn.norm()
    assert (whitened - torch.eye(CODE_DIM)).norm() > 0.5 * drawn.norm()  # faint directions stay faint
    assert torch.allclose(one.w_covariance(), drawn, atol=0.06)


def test_a_straightened_generator_paints_the_same_and_z_finds_its_pictures() -> None:
    one = trainer()
    askew(one)
    one.kept.load_state_dict(StyleGAN2(CONFIG).state_dict())  # as if trained: nothing is silent, all of W counts
    covariance = one.w_covariance()
    straight = one.finished()
    z = torch.randn(4_000, 512)
    w = straight.mapping(z)
    # along the axes W is what its mean and deviation per dimension say, and the widest come first
    off_axis = torch.cov(w.T).fill_diagonal_(0.0)
    assert off_axis.square().sum(1).max() < 0.2  # of some 4,000 samples
    spread = w.std(0)
    variances, axes = (found.flip(-1).float() for found in torch.linalg.eigh(covariance.double()))
    assert torch.allclose(spread[:CODE_DIM].square(), variances, rtol=0.15, atol=1e-3)

    back = w[:8, None] - MOVED
    back[..., :CODE_DIM] = (w[:8, None, :CODE_DIM] - MOVED * variances.sqrt()) @ axes.T
    before, after = (
        network.synthesis(ws.expand(-1, CONFIG.num_ws, -1), noise_mode="none")
        for network, ws in ((one.kept, back), (straight, w[:8, None]))
    )
    assert torch.allclose(before, after, atol=1e-3 * float(before.std()))
    assert before.std(0).mean() > 0.1 * before.std()  # and these pictures differ


def test_layer_groups_get_their_own_w() -> None:
    one = trainer()
    ws = one.by_group(*(torch.full((1, 512), float(value)) for value in (1, 2, 3)))
    assert ws[0, :, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]  # layers that start from 4-8 px, from 16-32 px


def test_training_grows_through_the_generators_smaller_images() -> None:
    one = trainer()
    ws = torch.randn(2, CONFIG.num_ws, 512)
    small = one.generator.synthesis(ws, size=16)
    whole = one.generator.synthesis(ws)
    assert small.shape == (2, 3, 16, 16)
    assert whole.shape == (2, 3, 32, 32)
    # a size that is grown into starts silent: until it has learnt, it only enlarges
    assert torch.allclose(F.avg_pool2d(whole, 2)[:, :, 2:-2, 2:-2], small[:, :, 2:-2, 2:-2], atol=0.2)


def test_difference_is_zero_for_equal_images_and_grows_with_blur() -> None:
    image = dataset.render(dataset.draw(1, 0, 2), 64)
    soft = F.interpolate(F.avg_pool2d(image, 2), scale_factor=2, mode="bilinear")
    softer = F.interpolate(F.avg_pool2d(image, 8), scale_factor=8, mode="bilinear")
    assert steps.difference(image, image) == 0
    assert 0 < steps.difference(soft, image) < steps.difference(softer, image)


def test_a_judge_sees_every_size_and_a_collapse() -> None:
    judge = trainer().adversary.network
    for size in (8, 16, 32):
        assert judge(torch.randn(4, 3, size, size)).shape == (4,)
    different = torch.randn(4, 3, 16, 16)
    same = different[:1].expand(4, -1, -1, -1)
    apart = (judge(same)[0] - judge(different)[0]).abs()  # by the minibatch deviation alone, and more than by rounding
    assert apart > 1e-3


def test_a_plan_scales_in_whole_batches() -> None:
    plan = _run.scaled(training.PLANS["cpu"], 0.1)
    assert all(phase.images % phase.batch == 0 and phase.images > 0 for phase in plan)


def test_a_finished_model_is_trained_further_once_its_w_is_known(tmp_path: Path) -> None:
    first = trainer()
    first.step()
    _run.export(first.finished(), tmp_path / "model.safetensors")
    start = read_checkpoint(tmp_path / "model.safetensors")
    plan = training.further(PLAN, CONFIG.resolution)
    assert plan[0].only_encoder and {phase.size for phase in plan} == {CONFIG.resolution}
    second = trainer(plan)
    second.start_from(start.tensors, start.sha256)
    w = torch.randn(2, 1, 512).expand(-1, CONFIG.num_ws, -1)  # around 0 again, where codes lie
    moved = torch.from_numpy(start.stats.mean)
    own = StyleGAN2(start.config)
    own.load_state_dict({name: torch.from_numpy(tensor.astype(np.float32)) for name, tensor in start.tensors.items()})
    with torch.no_grad():
        assert torch.allclose(own.synthesis(w + moved), second.generator.synthesis(w), atol=1e-2)
    before = [parameter.clone() for parameter in second.generator.parameters()]
    code = second.encoder.code.weight.clone()
    second.step()
    assert all(map(torch.equal, before, second.generator.parameters()))
    assert not torch.equal(code, second.encoder.code.weight)
    while second.phase == plan[0]:
        second.step()
    second.step()
    assert not all(map(torch.equal, before, second.generator.parameters()))


def test_a_finished_generator_has_soft_noise_that_moves_its_pictures_a_little() -> None:
    network = StyleGAN2(CONFIG).requires_grad_(False)
    give_noise(network)
    ws = network.mapping(torch.randn(8, 512))[:, None].expand(-1, CONFIG.num_ws, -1)
    still, moved, twice = (network.synthesis(ws, noise=noise) for noise in (0.0, 1.0, 2.0))
    change, louder = ((image - still).abs().mean() for image in (moved, twice))
    silent = network.synthesis.get_parameter("b4.conv1.noise_strength")
    layers = sum(layer.kind != "rgb" and layer.resolution in RESOLUTIONS for layer in CONFIG.layers)
    assert silent == 0
    assert CHANGE < change < layers * CHANGE  # more than one map alone, and less than if all pushed the same way
    assert louder > 1.5 * change
    for resolution in (8, 32, 64):
        swelling = soft_map(1, resolution)
        assert swelling.std() == pytest.approx(1.0, abs=1e-4)
    assert soft_map(1, 64).diff(dim=0).std() < 0.25  # no grain, whose steps would spread by 1.4
