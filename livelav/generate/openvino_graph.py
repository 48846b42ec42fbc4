"""A generator in OpenVINO's operations: the static-weight form, written down without torch. Knows no device.

All kernels are constants, in float32; the device computes in what it is compiled to.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

from livelav.core.values import GROUPS, W_DIM, Floats
from livelav.generate.layout import LRELU_SLOPE, NoiseMode
from livelav.generate.static import LARGEST_HALF, StaticLayer, StaticNetwork

RGBA = 4


def build_graph(network: StaticNetwork, noise_mode: NoiseMode, precision: str = "f32") -> Any:
    """An ov.Model: inputs `ws` [num_ws, 512], `noise` [2, 3] unless the mode is none, drawn maps if it is random;
    output uint8 [1, height, width, 4]. `precision` is what it will be compiled to."""
    ws = op.parameter([network.config.num_ws, W_DIM], np.float32, name="ws")
    noise = op.parameter([2, GROUPS], np.float32, name="noise")
    drawn = {
        name: op.parameter(list(shape), np.float32, name=name)
        for name, shape in (network.drawn_shapes.items() if noise_mode == "random" else ())
    }
    x = _constant(network.const[None])
    image: Any = None
    shortcut: Any = None
    for static in network.layers:
        row = op.gather(ws, _indices([static.layer.ws]), _indices(0))
        style = op.add(op.matmul(row, _constant(static.style_weight), False, True), _constant(static.style_bias))
        if static.layer.kind != "rgb":
            largest = op.reduce_max(op.abs(style), _indices([1]), True)
            divisor = op.maximum(largest, _constant(1e-4))
            style = op.divide(style, divisor)  # which demodulation undoes: so float16 cannot overflow in between
        styled = op.multiply(x, op.reshape(style, _indices([1, -1, 1, 1]), False))
        if static.layer.kind == "rgb":
            rgb = _to_rgba(static, styled)
            image = rgb if image is None else op.add(_upsample(image, network.fir, RGBA), rgb)
            continue
        if static.shortcut is not None:
            kernel = _constant(static.shortcut[:, :, None, None])
            shortcut = _upsample(_conv(x, kernel, pad=0), network.fir, static.layer.outputs)
        y = _convolved(static, network.fir, styled)
        x = op.multiply(y, op.reshape(_factors(static, style, divisor, precision), _indices([1, -1, 1, 1]), False))
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


def _convolved(static: StaticLayer, fir: Floats, styled: Any) -> Any:
    if static.layer.kind != "up":
        return _conv(styled, _constant(static.weight), pad=1)
    kernel = _constant(static.weight.transpose(1, 0, 2, 3))
    y = op.convolution_backprop_data(
        styled, kernel, strides=[2, 2], pads_begin=[0, 0], pads_end=[0, 0], dilations=[1, 1]
    )  # [2h + 1, 2w + 1]: the filter takes the odd one
    filters = _constant(np.broadcast_to(fir, (static.layer.outputs, 1, 1, *fir.shape)))
    return op.group_convolution(y, filters, [1, 1], [1, 1], [1, 1], [1, 1])


def _factors(static: StaticLayer, style: Any, divisor: Any, precision: str) -> Any:
    """Of demodulation, one for each output."""
    root_eps = op.divide(_constant(static.root_eps[None]), divisor)
    energy = op.matmul(op.multiply(style, style), _constant(static.weight_squares), False, True)
    factors = op.divide(_constant([static.scale]), op.sqrt(op.add(energy, op.multiply(root_eps, root_eps))))
    return op.minimum(factors, _constant(LARGEST_HALF)) if precision == "f16" else factors


def _noise(static: StaticLayer, noise: Any, drawn: Mapping[str, Any]) -> Any:
    def factor(row: int) -> Any:
        one = op.gather(op.gather(noise, _indices([row]), _indices(0)), _indices([static.group]), _indices(1))
        return op.reshape(one, _indices([1, 1, 1, 1]), False)

    if drawn:
        return op.multiply(drawn[static.layer.name], op.multiply(factor(0), _constant(static.noise_strength)))
    own, turned = (op.multiply(_constant(static.noise[row, None, None]), factor(row)) for row in (0, 1))
    return op.add(own, turned)


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
