"""Runs a generator on the CPU with OpenVINO, in float16 or bfloat16 where the CPU computes in it.

The network is written straight into OpenVINO's operations from the static-weight form, so torch is not loaded, and
building it takes no longer than reading a compiled one back from disk would: there is no cache to go stale.
Runs in the thread that calls it; the engine's own threads are its affair. Named _backend because `openvino` is the
package itself.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.errors import BackendError
from livelav.core.values import W_DIM, Bytes, Floats
from livelav.generate.layout import LRELU_SLOPE, NoiseMode
from livelav.generate.static import StaticLayer, StaticNetwork

try:
    import openvino as ov
    from openvino import opset13 as op
except ImportError as error:
    raise BackendError(f"openvino cannot be loaded ({error}): pip install openvino, or --backend torch") from error

NOISE_SEED = 0
TRIALS = 4
MUCH_SLOWER = 1.5  # times as long as the quickest
RGBA = 4


class OpenVINOBackend:
    """One compiled network. Synchronous; used by one thread at a time."""

    def __init__(
        self, network: StaticNetwork, threads: int, noise_mode: NoiseMode = "const", precision: str | None = None
    ) -> None:
        """`precision` is f16, bf16 or f32; None takes the best that the CPU computes in. Raises BackendError."""
        self._num_ws = network.config.num_ws
        self._noisy = noise_mode != "none"
        self._drawn = _map_shapes(network) if noise_mode == "random" else {}
        self._random = np.random.default_rng(NOISE_SEED)
        core = ov.Core()
        graph = build_graph(network, noise_mode)
        built: dict[str, Any] = {}
        failures: list[RuntimeError] = []
        for name in [precision] if precision else _precisions(core, network):
            options = {
                "INFERENCE_PRECISION_HINT": name,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
                "ENABLE_CPU_PINNING": False,  # the window and the encoder need the same cores
            }
            try:
                built[name] = core.compile_model(graph, "CPU", options).create_infer_request()
            except RuntimeError as error:  # some CPUs, and limits set on oneDNN, promise more than they keep
                failures.append(error)
                continue
            if name != "f16" or precision:  # float16 is weighed against the next
                break
        if not built:
            reason = _line(failures[-1])
            raise BackendError(f"openvino cannot build this generator ({reason}); try --backend torch") from failures[
                -1
            ]
        chosen = preferred(self._seconds(built))
        self._request = built[chosen]
        self._random = np.random.default_rng(NOISE_SEED)  # from its start, whatever the trials took
        self.name = f"openvino cpu {chosen}"

    def _seconds(self, built: dict[str, Any]) -> dict[str, float]:
        """What an image takes at its quickest, for each of several compiled networks; nothing is run for one alone."""
        best_s = dict.fromkeys(built, math.inf)
        for _ in range(TRIALS if len(built) > 1 else 0):  # in turns: another program's load falls on all of them
            for name, self._request in built.items():
                began_s = time.perf_counter()
                self.warmup()
                best_s[name] = min(best_s[name], time.perf_counter() - began_s)
        return best_s

    def synthesize(self, ws: Floats, noise: float = 1.0) -> Bytes:
        """See backend.Backend."""
        feed: dict[str, NDArray[np.float32]] = {"ws": ws}
        if self._noisy:
            feed["noise"] = np.array([noise], np.float32)
        for name, shape in self._drawn.items():
            feed[name] = self._random.standard_normal(shape, np.float32)
        try:
            self._request.infer(feed)
        except RuntimeError as error:
            raise BackendError(f"openvino failed ({_line(error)}); try --backend torch") from error
        image: Bytes = self._request.get_output_tensor().data[0].copy()
        return image

    def warmup(self) -> None:
        """See backend.Backend."""
        self.synthesize(np.zeros((self._num_ws, W_DIM), np.float32))


def preferred(seconds: Mapping[str, float]) -> str:
    """The first, unless another takes much less time: some CPUs that compute in float16 have no matrix unit for it, and
    are then four times as slow as in bfloat16."""
    return next(name for name, taken_s in seconds.items() if taken_s <= MUCH_SLOWER * min(seconds.values()))


def _precisions(core: Any, network: StaticNetwork) -> list[str]:
    """What to try, best first. float16 is eight times as exact as bfloat16 and, with a matrix unit for it, at most a
    fifth slower: slow motion stays calm where bfloat16 shimmers. But its range asks for a network whose activations
    are clamped."""
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    half = ["f16"] if "FP16" in able and network.config.conv_clamp is not None else []
    return [*half, *(["bf16"] if "BF16" in able else []), "f32"]


def build_graph(network: StaticNetwork, noise_mode: NoiseMode) -> Any:
    """An ov.Model: inputs `ws` [num_ws, 512], `noise` [1] unless the mode is none, drawn maps if it is random;
    output uint8 [1, height, width, 4]."""
    ws = op.parameter([network.config.num_ws, W_DIM], np.float32, name="ws")
    noise = op.parameter([1], np.float32, name="noise")
    drawn = {
        name: op.parameter(list(shape), np.float32, name=name)
        for name, shape in (_map_shapes(network).items() if noise_mode == "random" else ())
    }
    x = _constant(network.const[None])
    image: Any = None
    shortcut: Any = None
    for static in network.layers:
        row = op.gather(ws, _indices([static.layer.ws]), _indices(0))
        style = op.add(op.matmul(row, _constant(static.style_weight), False, True), _constant(static.style_bias))
        if static.layer.kind != "rgb":
            style = _within_one(style)
        styled = op.multiply(x, op.reshape(style, _indices([1, -1, 1, 1]), False))
        if static.layer.kind == "rgb":
            rgb = _to_rgba(static, styled)
            image = rgb if image is None else op.add(_upsample(image, network.fir, RGBA), rgb)
            continue
        if static.shortcut is not None:
            kernel = _constant(static.shortcut[:, :, None, None])
            shortcut = _upsample(_conv(x, kernel, pad=0), network.fir, static.layer.outputs)
        x = _modulated(static, network.fir, styled, style)
        if noise_mode != "none":
            x = op.add(x, _noise(static, noise, drawn))
        x = _activate(static, x)
        if shortcut is not None and static.layer.kind == "conv":
            x, shortcut = op.add(x, shortcut), None
    # nominally -1..1 to bytes, alpha to 255, rows of pixels
    levels = _constant(np.reshape([128.0, 128.0, 128.0, 255.0], (1, RGBA, 1, 1)))
    image = op.clamp(op.add(op.multiply(image, _constant(127.5)), levels), 0.0, 255.0)
    image = op.convert(op.transpose(image, _indices([0, 2, 3, 1])), "u8")
    inputs = [ws, *([] if noise_mode == "none" else [noise]), *drawn.values()]
    return ov.Model([op.result(image)], inputs, "stylegan2")


def _modulated(static: StaticLayer, fir: Floats, styled: Any, style: Any) -> Any:
    """Convolution and demodulation."""
    if static.layer.kind == "up":
        kernel = _constant(static.weight.transpose(1, 0, 2, 3))
        y = op.convolution_backprop_data(
            styled, kernel, strides=[2, 2], pads_begin=[0, 0], pads_end=[0, 0], dilations=[1, 1]
        )  # [2h + 1, 2w + 1]: the filter takes the odd one
        filters = _constant(np.broadcast_to(fir, (static.layer.outputs, 1, 1, *fir.shape)))
        y = op.group_convolution(y, filters, [1, 1], [1, 1], [1, 1], [1, 1])
    else:
        y = _conv(styled, _constant(static.weight), pad=1)
    energy = op.matmul(op.multiply(style, style), _constant(static.weight_squares), False, True)
    scale = op.divide(_constant([static.scale]), op.sqrt(op.add(energy, _constant(static.eps))))
    return op.multiply(y, op.reshape(scale, _indices([1, -1, 1, 1]), False))


def _within_one(style: Any) -> Any:
    """The style with a largest entry of 1, which demodulation undoes: so float16 cannot overflow in between."""
    largest = op.reduce_max(op.abs(style), _indices([1]), True)
    return op.divide(style, op.maximum(largest, _constant(1e-4)))


def _noise(static: StaticLayer, noise: Any, drawn: Mapping[str, Any]) -> Any:
    factor = op.reshape(noise, _indices([1, 1, 1, 1]), False)
    if not drawn:
        return op.multiply(_constant(static.noise[None, None]), factor)
    return op.multiply(drawn[static.layer.name], op.multiply(factor, _constant(static.noise_strength)))


def _activate(static: StaticLayer, x: Any) -> Any:
    x = op.prelu(op.add(x, _constant(static.bias[None, :, None, None])), _constant([LRELU_SLOPE]))
    return x if static.clamp is None else op.clamp(x, -static.clamp, static.clamp)


def _to_rgba(static: StaticLayer, styled: Any) -> Any:
    """A picture with an empty fourth channel, which costs engines no more than three do."""
    weight = np.concatenate([static.weight, np.zeros_like(static.weight[:1])])
    bias = np.append(static.bias, np.float32(0.0))
    rgb = op.add(_conv(styled, _constant(weight), pad=0), _constant(bias[None, :, None, None]))
    return rgb if static.clamp is None else op.clamp(rgb, -static.clamp, static.clamp)


def _conv(x: Any, kernel: Any, pad: int) -> Any:
    return op.convolution(x, kernel, [1, 1], [pad, pad], [pad, pad], [1, 1])


def _upsample(x: Any, fir: Floats, channels: int) -> Any:
    filters = _constant(np.broadcast_to(fir, (channels, 1, 1, *fir.shape)))
    return op.group_convolution_backprop_data(
        x, filters, strides=[2, 2], pads_begin=[1, 1], pads_end=[1, 1], dilations=[1, 1]
    )


def _constant(values: Any) -> Any:
    return op.constant(np.ascontiguousarray(values, np.float32))


def _indices(values: Any) -> Any:
    return op.constant(np.asarray(values, np.int64))


def _map_shapes(network: StaticNetwork) -> dict[str, tuple[int, int, int, int]]:
    """Noise maps by their layer's name."""
    layers = [static.layer for static in network.layers if static.layer.kind != "rgb"]
    return {layer.name: (1, 1, layer.resolution, layer.resolution) for layer in layers}


def _line(error: Exception) -> str:
    """The last line of an engine's report, which is the one that says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
