"""The network against an independent float64 oracle, in every architecture; its forms against each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stylegan2_oracle import Synthesis, mapping

from livelav.core.errors import ModelError
from livelav.core.normals import normals
from livelav.core.values import W_DIM
from livelav.generate.layout import Architecture, Config
from livelav.generate.stylegan2 import StyleGAN2

ARCHITECTURES: tuple[Architecture, ...] = ("skip", "resnet", "orig")
SMALL = Config(resolution=32, channel_base=256, channel_max=24, mapping_layers=3)


def seeded_tensors(config: Config, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Tensors of natural size, no two alike, everything that may be zero at birth switched on."""
    tensors = {}
    for i, (name, shape) in enumerate(config.tensor_shapes.items()):
        values = normals(seed, i, shape or (1,)).reshape(shape)
        if name.endswith("affine.bias"):
            values = 1.0 + 0.3 * values
        elif name.startswith("mapping.fc"):
            values = 100.0 * values * (0.3 if name.endswith("bias") else 1.0)
        elif name.endswith((".bias", "noise_strength")):
            values = 0.3 * values
        tensors[name] = values.astype(np.float32).astype(np.float64)  # so that rounding the input is no difference
    return tensors


def seeded_ws(config: Config, seed: int = 1) -> NDArray[np.float32]:
    return normals(seed, 0, (config.num_ws, W_DIM)).astype(np.float32)


def torch_image(config: Config, tensors: dict[str, NDArray[np.float64]], ws: NDArray[np.float32], **kwargs):
    network = StyleGAN2.from_tensors(config, tensors).synthesis
    return network(torch.from_numpy(ws)[None], **kwargs)[0].numpy()


def relative_error(image: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    return float(np.abs(image - reference).max() / reference.std())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("noise", [0.0, 1.0, 2.5])
def test_float32_agrees_with_the_oracle(architecture: Architecture, noise: float) -> None:
    config = replace(SMALL, architecture=architecture)
    tensors, ws = seeded_tensors(config), seeded_ws(config)
    reference = Synthesis(tensors, config.resolution, architecture)(ws.astype(np.float64), noise)
    assert relative_error(torch_image(config, tensors, ws, noise=noise), reference) <= 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_clamp_agrees_with_the_oracle_and_bites(architecture: Architecture) -> None:
    config = replace(SMALL, architecture=architecture, conv_clamp=0.7)
    tensors, ws = seeded_tensors(config), seeded_ws(config)
    reference = Synthesis(tensors, config.resolution, architecture, clamp=0.7)(ws.astype(np.float64))
    assert relative_error(torch_image(config, tensors, ws), reference) <= 1e-5
    unclamped = Synthesis(tensors, config.resolution, architecture)(ws.astype(np.float64))
    assert relative_error(unclamped, reference) > 0.1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("faint", [1e-2, 1e-4, 1e-7])
def test_faint_weights_and_styles_agree_with_the_oracle(architecture: Architecture, faint: float) -> None:
    """Where the constant that demodulation adds counts."""
    config = replace(SMALL, architecture=architecture)
    tensors, ws = seeded_tensors(config), seeded_ws(config)
    for name in tensors:
        if name.endswith("conv1.weight"):
            tensors[name][::2] *= faint
        elif ".conv0.affine." in name:
            tensors[name] *= faint
    reference = Synthesis(tensors, config.resolution, architecture)(ws.astype(np.float64))
    assert relative_error(torch_image(config, tensors, ws), reference) <= 1e-5


@pytest.mark.parametrize("psi", [0.0, 0.7, 1.0])
def test_mapping_and_psi_agree_with_the_oracle(psi: float) -> None:
    tensors, z = seeded_tensors(SMALL), normals(3, 0, (W_DIM,))
    w = StyleGAN2.from_tensors(SMALL, tensors).mapping(torch.from_numpy(z).float()[None], psi)[0].numpy()
    assert relative_error(w, mapping(tensors, z, SMALL.mapping_layers, psi)) <= 1e-5


@pytest.mark.parametrize("labels", [1, 5])
def test_labels_agree_with_the_oracle(labels: int) -> None:
    config = replace(SMALL, labels=labels)
    tensors, z, label = seeded_tensors(config), normals(3, 0, (W_DIM,)), normals(4, 0, (labels,))
    network = StyleGAN2.from_tensors(config, tensors).mapping
    w = network(torch.from_numpy(z).float()[None], 0.7, torch.from_numpy(label).float()[None])[0].numpy()
    assert relative_error(w, mapping(tensors, z, SMALL.mapping_layers, 0.7, label)) <= 1e-5


def test_psi_0_is_the_average_picture() -> None:
    tensors = seeded_tensors(SMALL)
    network = StyleGAN2.from_tensors(SMALL, tensors)
    z = torch.from_numpy(normals(3, 0, (2, W_DIM))).float()
    one, other = network(z, psi=0.0)
    assert torch.equal(one, other)


def test_noise_modes() -> None:
    config, ws = SMALL, seeded_ws(SMALL)
    tensors = seeded_tensors(config)
    none = torch_image(config, tensors, ws, noise_mode="none")
    assert np.array_equal(none, torch_image(config, tensors, ws, noise=0.0))
    torch.manual_seed(0)
    one = torch_image(config, tensors, ws, noise_mode="random")
    other = torch_image(config, tensors, ws, noise_mode="random")
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, none)


def test_a_batch_is_its_images_one_by_one() -> None:
    tensors = seeded_tensors(SMALL)
    network = StyleGAN2.from_tensors(SMALL, tensors).synthesis
    ws = torch.from_numpy(np.stack([seeded_ws(SMALL, seed) for seed in range(3)]))
    together = network(ws)
    for i in range(3):
        assert torch.allclose(together[i], network(ws[i : i + 1])[0], atol=1e-5)


def test_bfloat16_is_close() -> None:
    tensors, ws = seeded_tensors(SMALL), torch.from_numpy(seeded_ws(SMALL))[None]
    network = StyleGAN2.from_tensors(SMALL, tensors).synthesis
    exact = network(ws)
    rounded = network.to(torch.bfloat16)(ws)
    assert rounded.dtype == torch.float32
    assert 0 < float((rounded - exact).std() / exact.std()) < 0.05


def test_every_parameter_learns() -> None:
    network = StyleGAN2(replace(SMALL, architecture="resnet"))
    network(torch.randn(2, W_DIM)).square().sum().backward()
    still = [name for name, p in network.named_parameters() if p.grad is None]
    assert not still


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("resolution", "num_ws"), [(32, 8), (256, 14), (1024, 18), (2048, 20)])
def test_layer_table(architecture: Architecture, resolution: int, num_ws: int) -> None:
    config = Config(resolution, 32768, 512, architecture)
    assert config.num_ws == num_ws
    assert sorted({layer.ws for layer in config.layers}) == list(range(num_ws))
    assert config.ws_resolutions[:6] == (4, 4, 8, 8, 16, 16)
    assert config.ws_resolutions[-1] == resolution
    assert all(layer.inputs == config.channels(layer.input_resolution) for layer in config.layers)
    with torch.device("meta"):
        state = StyleGAN2(config).state_dict()
    assert {name: tuple(t.shape) for name, t in state.items()} == config.tensor_shapes


def test_config_survives_its_own_dict() -> None:
    config = replace(SMALL, architecture="resnet", conv_clamp=256.0, labels=7)
    assert Config.from_dict(config.as_dict()) == config
    older = SMALL.as_dict()
    del older["labels"]
    assert Config.from_dict(older) == SMALL


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": 48},
        {"resolution": 16},
        {"resolution": 4096},
        {"labels": -1},
        {"labels": 2.5},
        {"labels": 1 << 20},
        {"architecture": "stylegan3"},
        {"channel_base": 16},
        {"channel_max": 0},
        {"mapping_layers": 0},
        {"resolution": "256"},
        {"colour": 3},
    ],
)
def test_impossible_configs_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError) as caught:
        Config.from_dict(SMALL.as_dict() | change)
    assert "\n" not in str(caught.value)


def test_a_single_pulse_lands_where_the_papers_put_it() -> None:
    """The transposed convolution is not flipped: a kernel of one tap moves a pulse by that tap, then it is blurred."""
    config = replace(SMALL, architecture="skip")
    tensors = {name: np.zeros_like(t) for name, t in seeded_tensors(config).items()}
    tensors["synthesis.b4.const"][0, 1, 1] = 1.0
    for layer in config.layers:
        tensors[f"synthesis.{layer.name}.affine.bias"][:] = 1.0
        centre = layer.kernel // 2
        tensors[f"synthesis.{layer.name}.weight"][0, 0, centre, centre] = 1.0
    tensors["synthesis.b8.conv0.weight"][0, 0] = [[0, 0, 0], [0, 0, 1], [0, 0, 0]]  # one to the right
    for resolution in (4, 16, 32):
        tensors[f"synthesis.b{resolution}.torgb.weight"][:] = 0.0
    tensors["synthesis.b16.conv0.weight"][:] = 0.0  # the rest of the network is dark
    image = torch_image(config, tensors, np.zeros((config.num_ws, W_DIM), np.float32))[0]
    rows, columns = np.indices(image.shape)
    centre_of_mass = (float((rows * image).sum() / image.sum()), float((columns * image).sum() / image.sum()))
    # pixel 1 of 4 has its centre at 1.5 * 8 of 32; the tap to the right is one pixel of 8, four of 32
    assert centre_of_mass == pytest.approx((1.5 * 8 - 0.5, 1.5 * 8 - 0.5 + 4), abs=1e-3)
