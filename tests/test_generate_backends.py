"""Every engine against the float64 oracle, in bytes; and what engines promise beside the picture."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stylegan2_oracle import Synthesis, to_rgba
from test_stylegan2 import ARCHITECTURES, SMALL, seeded_tensors, seeded_ws

from livelav.core.errors import BackendError
from livelav.core.values import layer_group, noise_factors
from livelav.generate.backend import Backend
from livelav.generate.layout import Architecture, Config, NoiseMode
from livelav.generate.openvino_backend import OpenVINOBackend
from livelav.generate.static import StaticNetwork, static_network
from livelav.generate.torch_backend import Network, TorchBackend, cpu_precisions
from livelav.generate.trials import preferred

Make = Callable[[StaticNetwork, NoiseMode], Backend]
CLAMPED = replace(SMALL, conv_clamp=4.0)


def openvino_f32(network: StaticNetwork, noise_mode: NoiseMode = "const") -> Backend:
    return OpenVINOBackend(network, 1, noise_mode, precision="f32")


def openvino_auto(network: StaticNetwork, noise_mode: NoiseMode = "const") -> Backend:
    return OpenVINOBackend(network, 1, noise_mode)


def torch_f32(network: StaticNetwork, noise_mode: NoiseMode = "const") -> Backend:
    return TorchBackend(network, 1, noise_mode, device="cpu", precision="fp32")


def torch_bf16(network: StaticNetwork, noise_mode: NoiseMode = "const") -> Backend:
    return TorchBackend(network, 1, noise_mode, device="cpu", precision="bf16")


EXACT = pytest.mark.parametrize("make", [openvino_f32, torch_f32])
EVERY = pytest.mark.parametrize("make", [openvino_f32, openvino_auto, torch_f32, torch_bf16])


def quiet_tensors(config: Config) -> dict[str, NDArray[np.float64]]:
    """Seeded tensors whose pictures lie within -1..1, so that bytes show every difference."""
    tensors = seeded_tensors(config)
    for layer in config.layers:
        if layer.kind == "rgb":
            tensors[f"synthesis.{layer.name}.weight"] *= 0.1
    return tensors


def oracle_pixels(config: Config, ws: NDArray[np.float32], noise: float = 1.0) -> NDArray[np.int64]:
    synthesis = Synthesis(quiet_tensors(config), config.resolution, config.architecture, config.conv_clamp)
    return to_rgba(synthesis(ws.astype(np.float64), noise)).astype(np.int64)


@EXACT
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_float32_engines_agree_with_the_oracle(make: Make, architecture: Architecture, clamp: float | None) -> None:
    config = replace(SMALL, architecture=architecture, conv_clamp=clamp)
    ws = seeded_ws(config)
    network = static_network(config, quiet_tensors(config))
    for noise in (0.0, 1.0, 2.5):
        expected = oracle_pixels(config, ws, noise)
        assert expected[..., :3].std() > 20, "a flat picture would prove nothing"
        assert np.abs(make(network, "const").synthesize(ws, noise_factors(noise)) - expected).max() <= 1


@pytest.mark.parametrize("make", [openvino_auto, torch_bf16])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_low_precision_is_close(make: Make, architecture: Architecture) -> None:
    config = replace(CLAMPED, architecture=architecture)
    ws = seeded_ws(config)
    pixels = make(static_network(config, quiet_tensors(config)), "const").synthesize(ws)
    error = pixels - oracle_pixels(config, ws)
    assert error.std() < 0.02 * oracle_pixels(config, ws)[..., :3].std()


@EVERY
def test_noise_modes(make: Make) -> None:
    network, ws = static_network(SMALL, quiet_tensors(SMALL)), seeded_ws(SMALL)
    const, none, random = make(network, "const"), make(network, "none"), make(network, "random")
    assert np.array_equal(const.synthesize(ws), const.synthesize(ws))
    silent = noise_factors(0.0)
    assert np.array_equal(none.synthesize(ws), none.synthesize(ws, noise_factors(7.0)))
    assert np.abs(const.synthesize(ws, silent).astype(int) - none.synthesize(ws)).max() <= 1
    assert np.abs(random.synthesize(ws, silent).astype(int) - none.synthesize(ws)).max() <= 1
    one, other = random.synthesize(ws), random.synthesize(ws)
    assert not np.array_equal(one, other)
    assert np.array_equal(make(network, "random").synthesize(ws), make(network, "random").synthesize(ws))


def turned(tensors: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.rot90(t) if name.endswith("noise_const") else t for name, t in tensors.items()}


@EXACT
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_noise_by_layer_group_and_on_its_way_agree_with_the_oracle(make: Make, architecture: Architecture) -> None:
    """Each group's maps at their own strength, and all of them somewhere between themselves and themselves turned."""
    config = Config(64, 256, 12, architecture=architecture, mapping_layers=1)
    tensors, ws, strengths = quiet_tensors(config), seeded_ws(config), np.array([0.5, 2.0, 1.5])
    factors = noise_factors(strengths, 0.13)
    mixed = dict(tensors)
    for layer in config.layers:
        if layer.kind != "rgb":
            own, other = factors[:, layer_group(layer.resolution)]
            name = f"synthesis.{layer.name}.noise_const"
            mixed[name] = own * tensors[name] + other * turned(tensors)[name]
    expected = to_rgba(Synthesis(mixed, 64, architecture)(ws.astype(np.float64))).astype(int)
    backend = make(static_network(config, tensors), "const")
    pixels = backend.synthesize(ws, factors).astype(int)
    assert np.abs(pixels - expected).max() <= 1
    for group in range(3):
        muted = factors.copy()
        muted[:, group] = 0.0
        assert np.abs(backend.synthesize(ws, muted) - pixels).max() > 3, "every group is heard"


def test_noise_factors_keep_their_strength_on_the_way() -> None:
    assert np.array_equal(noise_factors(2.0), [[2, 2, 2], [0, 0, 0]])
    for turn in (0.1, 0.25, 0.7):
        assert np.allclose(np.hypot(*noise_factors(np.array([0.5, 1.0, 3.0]), turn)), [0.5, 1.0, 3.0])


@EVERY
def test_images_are_whole_opaque_and_the_callers_own(make: Make) -> None:
    backend = make(static_network(SMALL, quiet_tensors(SMALL)), "const")
    backend.warmup()
    first = backend.synthesize(seeded_ws(SMALL, 1))
    kept = first.copy()
    second = backend.synthesize(seeded_ws(SMALL, 2))
    assert first.shape == (32, 32, 4)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert (first[..., 3] == 255).all()
    assert np.array_equal(first, kept)
    assert not np.array_equal(first, second)
    first[:] = 0  # writable, and nothing of the engine's


@EVERY
@pytest.mark.parametrize("reach", [0.0, 30.0, 1000.0])
def test_ws_far_outside_of_w_stay_exact(make: Make, reach: float) -> None:
    """A knob turned too far may look odd; it must not overflow. The next image is as if nothing had been."""
    config = replace(SMALL, conv_clamp=256.0)
    network, ws = static_network(config, quiet_tensors(config)), seeded_ws(config)
    backend = make(network, "const")
    before = backend.synthesize(ws)
    far = backend.synthesize(ws * np.float32(reach)).astype(int)
    reference = to_rgba(
        Synthesis(quiet_tensors(config), 32, "skip", 256.0)((ws * np.float32(reach)).astype(np.float64))
    ).astype(int)
    assert (np.abs(far - reference) > 25).mean() < 0.05
    assert np.array_equal(backend.synthesize(ws), before)


@EVERY
def test_ws_that_are_no_numbers_pass(make: Make) -> None:
    backend = make(static_network(SMALL, quiet_tensors(SMALL)), "const")
    before = backend.synthesize(seeded_ws(SMALL))
    broken = seeded_ws(SMALL)
    broken[2, 5] = np.nan
    assert backend.synthesize(broken).shape == before.shape
    assert np.array_equal(backend.synthesize(seeded_ws(SMALL)), before)


def faint_tensors(config: Config) -> dict[str, NDArray[np.float64]]:
    """Rows of tiny weights beside ordinary and large ones, and styles that are all tiny in every other layer: where
    the constant that demodulation adds counts as much as what it is added to."""
    tensors = quiet_tensors(config)
    for i, layer in enumerate(config.layers):
        if layer.kind != "rgb":
            name = f"synthesis.{layer.name}"
            tensors[f"{name}.weight"] *= np.resize([1.0, 1e-5, 30.0, 1e-3, 1e-12], layer.outputs)[:, None, None, None]
            faint = 10.0 ** -(i % 4 * 2)
            tensors[f"{name}.affine.weight"] *= faint
            tensors[f"{name}.affine.bias"] *= faint
    return tensors


@EXACT
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_faint_weights_and_styles_agree_with_the_oracle(make: Make, architecture: Architecture) -> None:
    config = replace(SMALL, architecture=architecture)
    tensors, ws = faint_tensors(config), seeded_ws(config)
    expected = to_rgba(Synthesis(tensors, 32, architecture)(ws.astype(np.float64))).astype(int)
    others = to_rgba(Synthesis(tensors, 32, architecture, eps=0.0)(ws.astype(np.float64))).astype(int)
    assert np.abs(others - expected).max() > 20, "else the constant would not count"
    assert np.abs(make(static_network(config, tensors), "const").synthesize(ws) - expected).max() <= 1


@pytest.mark.parametrize("make", [openvino_auto, torch_bf16])
def test_faint_weights_and_styles_are_close_in_low_precision(make: Make) -> None:
    tensors, ws = faint_tensors(CLAMPED), seeded_ws(CLAMPED)
    expected = to_rgba(Synthesis(tensors, 32, "skip", CLAMPED.conv_clamp)(ws.astype(np.float64))).astype(int)
    error = make(static_network(CLAMPED, tensors), "const").synthesize(ws) - expected
    assert error.std() < 0.02 * expected[..., :3].std()


@EVERY
def test_a_silent_channel_stays_silent(make: Make) -> None:
    """An output whose weights are all zero: 0 times a very large demodulation must not become no number."""
    config, tensors = CLAMPED, quiet_tensors(CLAMPED)
    for layer in config.layers:
        if layer.kind != "rgb":
            tensors[f"synthesis.{layer.name}.weight"][0] = 0.0
    ws = seeded_ws(config)
    expected = to_rgba(Synthesis(tensors, 32, "skip", config.conv_clamp)(ws.astype(np.float64))).astype(int)
    error = make(static_network(config, tensors), "const").synthesize(ws) - expected
    assert error.std() < 0.02 * expected[..., :3].std()


def test_float16_only_with_a_clamp() -> None:
    """Without one nothing bounds activations, and float16 ends at 65504."""
    unclamped = openvino_auto(static_network(SMALL, quiet_tensors(SMALL)))
    assert "f16" not in unclamped.name.split()


def test_float16_only_where_it_is_not_much_slower() -> None:
    assert preferred({"f16": 5.1, "bf16": 4.3}) == "f16"
    assert preferred({"f16": 17.3, "bf16": 3.8}) == "bf16"  # no matrix unit for float16
    assert preferred({"f32": np.inf}) == "f32"


def test_a_cpu_that_refuses_low_precision_gets_float32() -> None:
    """oneDNN is told to be an older CPU than OpenVINO sees: what then fails to build is stepped down from."""
    code = (
        "import sys; sys.path[:0] = ['tests', '.']\n"
        "from test_generate_backends import *\n"
        "backend = openvino_auto(static_network(CLAMPED, quiet_tensors(CLAMPED)))\n"
        "error = backend.synthesize(seeded_ws(CLAMPED)) - oracle_pixels(CLAMPED, seeded_ws(CLAMPED))\n"
        "assert abs(error).max() <= 1, abs(error).max()\n"
        "print(backend.name)"
    )
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["openvino", "cpu", "f32"]


def test_an_impossible_precision_is_one_line() -> None:
    with pytest.raises(BackendError) as caught:
        OpenVINOBackend(static_network(SMALL, quiet_tensors(SMALL)), 1, precision="f7")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA card")
def test_cuda_without_a_card_is_one_line() -> None:
    with pytest.raises(BackendError) as caught:
        TorchBackend(static_network(SMALL, quiet_tensors(SMALL)), 1, device="cuda")
    assert "\n" not in str(caught.value)


def test_torch_chooses_what_the_cpu_computes_in() -> None:
    name = TorchBackend(static_network(CLAMPED, quiet_tensors(CLAMPED)), 1, device="cpu").name
    assert name in {f"torch cpu {precision}" for precision in cpu_precisions()}


@pytest.mark.parametrize("noise_mode", ["const", "random", "none"])
def test_nothing_in_the_torch_network_waits_for_its_device(noise_mode: NoiseMode) -> None:
    """On the meta device no tensor has a value: whatever asked for one, and so would break a CUDA graph, raises."""
    network = static_network(CLAMPED, quiet_tensors(CLAMPED))
    on_meta = Network(network, torch.device("meta"), torch.float16, noise_mode)
    maps = {name: torch.empty(shape, device="meta") for name, shape in network.drawn_shapes.items()}
    ws, noise = torch.empty(CLAMPED.num_ws, 512, device="meta"), torch.empty(2, 3, device="meta")
    image = on_meta(ws, noise, maps)
    assert (image.shape, image.dtype) == ((32, 32, 4), torch.uint8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cuda_float16_is_close(architecture: Architecture) -> None:
    config = replace(CLAMPED, architecture=architecture)
    ws = seeded_ws(config)
    pixels = TorchBackend(static_network(config, quiet_tensors(config)), 1, device="cuda").synthesize(ws)
    expected = oracle_pixels(config, ws)
    assert (pixels - expected).std() < 0.02 * expected[..., :3].std()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
@pytest.mark.parametrize("noise_mode", ["const", "random", "none"])
def test_cuda_keeps_what_every_engine_promises(noise_mode: NoiseMode) -> None:
    """The recording is set off with the inputs of now, and gives pixels of the caller's own."""
    network = static_network(CLAMPED, quiet_tensors(CLAMPED))
    backend = TorchBackend(network, 1, noise_mode, device="cuda")
    reference = TorchBackend(network, 1, "none" if noise_mode == "random" else noise_mode, "cpu", "fp32")
    kept = []
    for seed, strength in ((1, 0.0), (2, 1.0 if noise_mode == "const" else 0.0), (1, 0.0)):
        ws, noise = seeded_ws(CLAMPED, seed), noise_factors(strength, 0.2)
        pixels, expected = backend.synthesize(ws, noise), reference.synthesize(ws, noise)
        assert (pixels.astype(int) - expected).std() < 0.02 * expected[..., :3].std()
        kept.append((pixels, pixels.copy()))
    assert all(np.array_equal(pixels, then) for pixels, then in kept)
    if noise_mode == "random":
        assert not np.array_equal(backend.synthesize(seeded_ws(CLAMPED)), backend.synthesize(seeded_ws(CLAMPED)))
