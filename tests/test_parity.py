"""Every engine's picture of files in every layout, before it becomes bytes, against what those draw at home: float64,
by each program's own conventions, and all of psi with all of noise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import torch
from numpy.typing import NDArray
from test_checkpoint import CASES, LAYOUTS, Plan, Z
from test_stylegan2 import relative_error

from livelav.core.values import Floats
from livelav.generate.backend import OWN_NOISE
from livelav.generate.checkpoint import read_foreign
from livelav.generate.layout import NoiseMode
from livelav.generate.openvino_backend import cpu_options
from livelav.generate.openvino_graph import build_graph
from livelav.generate.static import StaticNetwork, static_network
from livelav.generate.stylegan2 import StyleGAN2
from livelav.generate.torch_backend import PRECISIONS, Network

EXACT = 1e-5  # the largest difference, of the picture's standard deviation
CLOSE = 0.02  # the root of the mean square, of the same
NOISES: dict[NoiseMode, float] = {"const": 1.0, "none": 0.0}
Picture = Callable[[Floats], NDArray[np.floating]]  # ws to [3, h, w], nominally -1..1


def by_torch(network: StaticNetwork, noise_mode: NoiseMode, precision: str) -> Picture:
    built = Network(network, torch.device("cpu"), PRECISIONS[precision], noise_mode)

    @torch.inference_mode()
    def picture(ws: Floats) -> NDArray[np.floating]:
        return built.picture(torch.from_numpy(ws), torch.from_numpy(OWN_NOISE.copy()), {})[0].numpy()

    return picture


def by_openvino(network: StaticNetwork, noise_mode: NoiseMode, precision: str) -> Picture:
    graph = build_graph(network, noise_mode, precision)
    image = graph.get_results()[0]
    for _ in ("to bytes", "rows of pixels", "clamp", "levels", "times 127.5", "the picture itself"):
        image = image.input_value(0).get_node()
    cut = ov.Model([ov.opset13.result(image)], graph.get_parameters(), "picture")
    compiled = ov.Core().compile_model(cut, "CPU", cpu_options(precision, 1))
    if compiled.get_property("INFERENCE_PRECISION_HINT").to_string() != precision:
        pytest.skip(f"OpenVINO does not compute in {precision} here")
    feed = {} if noise_mode == "none" else {"noise": OWN_NOISE}

    def picture(ws: Floats) -> NDArray[np.floating]:
        (drawn,) = compiled({"ws": ws, **feed}).values()
        return drawn[0, :3]

    return picture


def rms_error(image: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.square(image - reference).mean()) / reference.std())


@pytest.mark.parametrize(("layout", "plan"), CASES, ids=lambda case: case if type(case) is str else case.architecture)
@pytest.mark.parametrize(
    ("engine", "precision", "error", "most"),
    [
        (by_torch, "fp32", relative_error, EXACT),
        (by_torch, "bf16", rms_error, CLOSE),
        (by_openvino, "f32", relative_error, EXACT),
        (by_openvino, "bf16", rms_error, CLOSE),
        (by_openvino, "f16", rms_error, CLOSE),
    ],
)
def test_engines_draw_what_the_file_draws_at_home(
    tmp_path: Path, layout: str, plan: Plan, engine: Any, precision: str, error: Any, most: float
) -> None:
    draw, write, oracle = LAYOUTS[layout]
    tensors, path = draw(plan), tmp_path / "theirs"
    path.write_bytes(write(plan, tensors))
    found = read_foreign(path)
    label = np.eye(plan.labels)[2] if plan.labels else None
    mapping = StyleGAN2.from_tensors(found.config, found.tensors).mapping
    network = static_network(found.config, found.tensors)
    row = None if label is None else torch.from_numpy(label).float()[None]
    if precision == "f16" and not found.config.fits_half:
        pytest.skip("nobody computes this one in float16: its activations have no bounds")
    for noise_mode, noise in NOISES.items():
        picture = engine(network, noise_mode, precision)
        for psi in (1.0, 0.7):
            with torch.inference_mode():
                w = mapping(torch.from_numpy(Z).float()[None], psi, row).numpy()
            reference = oracle(tensors, plan)(Z, label, psi, noise)
            assert reference.std() > 0.05, "a flat picture would prove nothing"
            assert error(picture(np.repeat(w, found.config.num_ws, axis=0)), reference) <= most, (noise_mode, psi)
