"""The static-weight form of a generator: what is left to do per image once everything constant is folded.

    y = lrelu(conv(x * s) * d + noise + b)      s = (A w + a) / c,   d = scale * rsqrt(Q s^2 + (root_eps / c)^2)

Styles scale activations instead of weights, so an engine can pack the weights once. Equal to modulated weights up
to rounding: demodulation cancels any factor on a row of weights, which is why each row may be scaled to a largest
entry of 1/sqrt(fan_in), where bfloat16 and float16 lose least; and any factor on the style, which is why an engine
may divide it by a c > 0 of its own. eps is scaled along with both: its root is what is kept, whose range is half as
wide. Q is larger by fan_in and scale by its root, so that the squares of small weights do not vanish in float16.

Knows no engine: numpy arrays only, for every backend to load as constants.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import W_DIM, Floats, layer_group
from livelav.generate.layout import DEMODULATION_EPS, FIR, LRELU_GAIN, RESIDUAL_GAIN, Config, Layer

FORM = 4  # of what engines make of it; counted up where old engines would draw something else
LARGEST_HALF = 65504.0  # that float16 holds: as far as d may go in it


@dataclass(frozen=True, slots=True)
class StaticLayer:
    """The constants of one modulated convolution. `n` inputs, `m` outputs, `r` px."""

    layer: Layer
    group: int  # of layers, 0 coarse to 2 fine: which factors on noise hold for it
    style_weight: Floats  # [n, 512]
    style_bias: Floats  # [n]
    weight: Floats  # [m, n, k, k], each row's largest entry 1/sqrt(fan_in) unless it is an rgb layer
    weight_squares: Floats  # [m, n] fan_in times sums over the kernel; empty for an rgb layer
    root_eps: Floats  # [m]
    noise: Floats  # [2, r, r] already times its strength, and the same turned by a right angle; empty for an rgb layer
    noise_strength: float  # what random maps are to be multiplied by
    bias: Floats  # [m]
    scale: float  # the numerator of d: the activation's gain and the root of fan_in
    clamp: float | None  # after the activation
    shortcut: Floats | None  # [m, n] of the residual branch around this block, gain folded


@dataclass(frozen=True, slots=True)
class StaticNetwork:
    """All constants of one synthesis network."""

    config: Config
    const: Floats  # [channels, 4, 4]
    fir: Floats  # [4, 4], sums to 4: keeps the level of an image with zeros put between its pixels
    layers: tuple[StaticLayer, ...]
    sha256: str = ""  # of the model's file; engines built for it are kept under that name, and without one not at all

    @property
    def drawn_shapes(self) -> dict[str, tuple[int, int, int, int]]:
        """Where noise is drawn anew for every image: the shape of each layer's map, by its name."""
        layers = [static.layer for static in self.layers if static.layer.kind != "rgb"]
        return {layer.name: (1, 1, layer.resolution, layer.resolution) for layer in layers}


def static_network(config: Config, tensors: Mapping[str, NDArray[np.floating]], sha256: str = "") -> StaticNetwork:
    """Folds `tensors` (names and shapes of `config.tensor_shapes`, any float dtype)."""
    taps = np.array(FIR) / sum(FIR)
    return StaticNetwork(
        config=config,
        const=_f32(tensors["synthesis.b4.const"]),
        fir=_f32(4.0 * np.outer(taps, taps)),
        layers=tuple(_fold(config, layer, tensors) for layer in config.layers),
        sha256=sha256,
    )


def _fold(config: Config, layer: Layer, tensors: Mapping[str, NDArray[np.floating]]) -> StaticLayer:
    def get(name: str) -> NDArray[np.float64]:
        return np.asarray(tensors[f"synthesis.{layer.name}.{name}"], np.float64)

    group = layer_group(layer.resolution)  # of its noise map: what a listener to the parameters expects
    weight, fan_in = get("weight"), layer.inputs * layer.kernel**2
    style_weight, style_bias = get("affine.weight") / np.sqrt(W_DIM), get("affine.bias")
    if layer.kind == "rgb":
        return StaticLayer(
            layer=layer,
            group=group,
            style_weight=_f32(style_weight / np.sqrt(fan_in)),
            style_bias=_f32(style_bias / np.sqrt(fan_in)),
            weight=_f32(weight),
            weight_squares=_f32(np.empty((0, layer.inputs))),
            root_eps=_f32(np.empty(0)),
            noise=_f32(np.empty((2, 0, 0))),
            noise_strength=0.0,
            bias=_f32(get("bias")),
            scale=1.0,
            clamp=config.conv_clamp,
            shortcut=None,
        )
    residual = config.architecture == "resnet" and layer.resolution > 4
    gain = LRELU_GAIN * (RESIDUAL_GAIN if residual and layer.kind == "conv" else 1.0)
    largest = np.abs(weight).max(axis=(1, 2, 3))
    largest = np.where(largest == 0.0, 1.0, largest)  # a silent row gives 0 whatever d is, if only d is finite
    weight = weight / (largest[:, None, None, None] * np.sqrt(fan_in))
    strength = float(get("noise_strength")) * gain
    own = get("noise_const") * strength
    shortcut = None
    if residual and layer.kind == "up":
        kernel = np.asarray(tensors[f"synthesis.b{layer.resolution}.skip.weight"], np.float64)[:, :, 0, 0]
        shortcut = _f32(kernel * RESIDUAL_GAIN / np.sqrt(layer.inputs))
    return StaticLayer(
        layer=layer,
        group=group,
        style_weight=_f32(style_weight),
        style_bias=_f32(style_bias),
        weight=_f32(weight),
        weight_squares=_f32(fan_in * (weight**2).sum(axis=(2, 3))),
        root_eps=_f32(np.sqrt(DEMODULATION_EPS) / largest),
        noise=_f32(np.stack([own, np.rot90(own)])),
        noise_strength=strength,
        bias=_f32(get("bias") * gain),
        scale=gain * np.sqrt(fan_in),
        clamp=None if config.conv_clamp is None else config.conv_clamp * gain / LRELU_GAIN,
        shortcut=shortcut,
    )


def _f32(array: NDArray[np.floating]) -> Floats:
    return np.ascontiguousarray(array, np.float32)
