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
from livelav.generate.backend import Backend
from livelav.generate.layout import Architecture, Config, NoiseMode
from livelav.generate.openvino_backend import OpenVINOBackend, preferred
from livelav.generate.static import StaticNetwork, static_network
from livelav.generate.torch_backend import TorchBackend

Make = Callable[[StaticNetwork, NoiseMode], Backend]
CLAMPED = replace(SMALL, conv_clamp=4.0)


def openvino_f32(network: StaticNetwork, noise_mode: NoiseMode = "const") -> Backend:
    return OpenVINOBackend(network, 1, noise_mode, precision="f32")


def openvino_auto(network: StaticNetwork, noise_mode: NoiseMode = "const") -> Backend:
    return OpenVINOBackend(network, 1, noise_mode)


def torch_cpu(network: StaticNetwork, noise_mode: NoiseMode = "const") -> Backend:
    return TorchBackend(network, 1, noise_mode, device="cpu")


EXACT = pytest.mark.parametrize("make", [openvino_f32, torch_cpu])
EVERY = pytest.mark.parametrize("make", [openvino_f32, openvino_auto, torch_cpu])


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
        assert np.abs(make(network, "const").synthesize(ws, noise) - expected).max() <= 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_precision_that_the_cpu_likes_is_close(architecture: Architecture) -> None:
    config = replace(CLAMPED, architecture=architecture)
    ws = seeded_ws(config)
    pixels = openvino_auto(static_network(config, quiet_tensors(config))).synthesize(ws)
    error = pixels - oracle_pixels(config, ws)
    assert error.std() < 0.05 * oracle_pixels(config, ws)[..., :3].std()


@EVERY
def test_noise_modes(make: Make) -> None:
    network, ws = static_network(SMALL, quiet_tensors(SMALL)), seeded_ws(SMALL)
    const, none, random = make(network, "const"), make(network, "none"), make(network, "random")
    assert np.array_equal(const.synthesize(ws), const.synthesize(ws))
    assert np.array_equal(none.synthesize(ws, 1.0), none.synthesize(ws, 7.0))
    assert np.abs(const.synthesize(ws, 0.0).astype(int) - none.synthesize(ws)).max() <= 1
    assert np.abs(random.synthesize(ws, 0.0).astype(int) - none.synthesize(ws)).max() <= 1
    one, other = random.synthesize(ws), random.synthesize(ws)
    assert not np.array_equal(one, other)
    assert np.array_equal(make(network, "random").synthesize(ws), make(network, "random").synthesize(ws))


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
    assert error.std() < 0.05 * expected[..., :3].std()


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cuda_float16_is_close(architecture: Architecture) -> None:
    config = replace(CLAMPED, architecture=architecture)
    ws = seeded_ws(config)
    pixels = TorchBackend(static_network(config, quiet_tensors(config)), 1, device="cuda").synthesize(ws)
    expected = oracle_pixels(config, ws)
    assert (pixels - expected).std() < 0.02 * expected[..., :3].std()
