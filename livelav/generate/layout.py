"""What a StyleGAN2 generator consists of: its configuration, its layers in order, its tensors' names and shapes.

Knows no engine and no file; importing it loads neither torch nor openvino. The networks of this room are all built
from this one table. Tensor names are those of the common PyTorch files (`synthesis.b8.conv0.weight`).

Source: Karras et al. 2020, arXiv 1912.04958, section 4 and appendix B.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from livelav.core.errors import ModelError
from livelav.core.values import W_DIM

Architecture = Literal["skip", "resnet", "orig"]
LayerKind = Literal["conv", "up", "rgb"]
NoiseMode = Literal["const", "random", "none"]

SMALLEST, LARGEST = 32, 2048
MOST_MAPPING_LAYERS = 64  # published ones have 2 or 8
MOST_LABELS = 4096  # ImageNet has 1000
LARGEST_HALF_CLAMP = 16_384.0
LRELU_SLOPE = 0.2
LRELU_GAIN = 2.0**0.5
DEMODULATION_EPS = 1e-8
RESIDUAL_GAIN = 0.5**0.5
FIR = (1.0, 3.0, 3.0, 1.0)  # the upsampling filter's taps, divided by their sum where used


@dataclass(frozen=True, slots=True)
class Layer:
    """One modulated convolution and the ws that modulates it."""

    name: str  # "b8.conv0"; its tensors are synthesis.b8.conv0.*
    kind: LayerKind  # conv: 3x3; up: 3x3 that doubles the size; rgb: 1x1 to a picture, without demodulation
    ws: int  # which row of ws [num_ws, 512]
    inputs: int
    outputs: int
    resolution: int  # of what it puts out, px

    @property
    def kernel(self) -> int:
        return 1 if self.kind == "rgb" else 3

    @property
    def input_resolution(self) -> int:
        return self.resolution // 2 if self.kind == "up" else self.resolution


@dataclass(frozen=True, slots=True)
class Config:
    """The shape of one generator; stored as JSON in its file. Raises ModelError where no such network exists here."""

    resolution: int
    channel_base: int
    channel_max: int
    architecture: Architecture = "skip"
    mapping_layers: int = 8
    conv_clamp: float | None = None  # every layer's output is held within +- this
    labels: int = 0  # numbers of a class label that the mapping embeds beside z; 0: it knows no classes

    def __post_init__(self) -> None:
        if not (SMALLEST <= self.resolution <= LARGEST and self.resolution.bit_count() == 1):
            raise ModelError(
                f"a generator of {self.resolution} px: the resolution must be a power of two "
                f"from {SMALLEST} to {LARGEST}; pick another model"
            )
        if self.architecture not in get_args(Architecture):
            known = ", ".join(get_args(Architecture))
            raise ModelError(
                f"a generator of architecture {self.architecture!r}: it must be one of {known}; pick another model"
            )
        if self.channel_base < self.resolution or self.channel_max < 1:
            raise ModelError(
                f"a generator of channel_base {self.channel_base}, channel_max {self.channel_max}: base must be at "
                f"least {self.resolution}, max at least 1; pick another model"
            )
        if not 1 <= self.mapping_layers <= MOST_MAPPING_LAYERS:  # a list of their tensors is made from this number
            raise ModelError(
                f"a generator of mapping_layers {self.mapping_layers}: it must be a number from 1 to "
                f"{MOST_MAPPING_LAYERS}; pick another model"
            )
        if not 0 <= self.labels <= MOST_LABELS:
            raise ModelError(
                f"a generator of {self.labels} labels: it must be a number from 0 to {MOST_LABELS}; pick another model"
            )
        if self.conv_clamp is not None and not 0 < self.conv_clamp < math.inf:
            raise ModelError(
                f"a generator of conv_clamp {self.conv_clamp}: it must be a positive number or none; pick another model"
            )

    @property
    def fits_half(self) -> bool:
        """Whether float16, which ends at 65504, holds all that its layers can put out, and sums of some."""
        return self.conv_clamp is not None and self.conv_clamp <= LARGEST_HALF_CLAMP

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of `as_dict`. Raises ModelError for unknown or missing keys and for values of a wrong kind."""
        whole = ("resolution", "channel_base", "channel_max", "mapping_layers", "labels")
        if not all(isinstance(values.get(key, 1), int) for key in whole):
            raise ModelError(f"a generator whose {', '.join(whole)} are not whole numbers; write its file anew")
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelError(f"a generator's config is not readable ({error}); write its file anew") from error

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        return tuple(4 << i for i in range(self.resolution.bit_length() - 2))

    @property
    def num_ws(self) -> int:
        return 2 * len(self.block_resolutions)

    def channels(self, resolution: int) -> int:
        return min(self.channel_base // resolution, self.channel_max)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All modulated convolutions in the order in which they run.

        A block's rgb layer shares its ws with the next block's first convolution:

            ws        0         1         2         3         4
            b4   conv1     torgb
            b8             conv0     conv1     torgb
            b16                                conv0     conv1   ...
        """
        layers: list[Layer] = []
        for i, resolution in enumerate(self.block_resolutions):
            block, channels = f"b{resolution}", self.channels(resolution)
            if i > 0:
                before = self.channels(resolution // 2)
                layers.append(Layer(f"{block}.conv0", "up", 2 * i - 1, before, channels, resolution))
            layers.append(Layer(f"{block}.conv1", "conv", 2 * i, channels, channels, resolution))
            if self.architecture == "skip" or resolution == self.resolution:
                layers.append(Layer(f"{block}.torgb", "rgb", 2 * i + 1, channels, 3, resolution))
        return tuple(layers)

    @property
    def ws_resolutions(self) -> tuple[int, ...]:
        """Per ws: the size in px of the first feature map that it modulates."""
        first: dict[int, int] = {}
        for layer in self.layers:
            first.setdefault(layer.ws, layer.input_resolution)
        return tuple(first[i] for i in range(self.num_ws))

    @property
    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name to shape of every tensor that a file of this network holds; `mapping.w_avg` among them."""
        shapes: dict[str, tuple[int, ...]] = {"mapping.w_avg": (W_DIM,)}
        if self.labels:
            shapes |= {"mapping.embed.weight": (W_DIM, self.labels), "mapping.embed.bias": (W_DIM,)}
        for i in range(self.mapping_layers):
            inputs = 2 * W_DIM if self.labels and i == 0 else W_DIM  # z, and the embedded label behind it
            shapes |= {f"mapping.fc{i}.weight": (W_DIM, inputs), f"mapping.fc{i}.bias": (W_DIM,)}
        shapes["synthesis.b4.const"] = (self.channels(4), 4, 4)
        for layer in self.layers:
            at = f"synthesis.{layer.name}"
            shapes |= {
                f"{at}.weight": (layer.outputs, layer.inputs, layer.kernel, layer.kernel),
                f"{at}.bias": (layer.outputs,),
                f"{at}.affine.weight": (layer.inputs, W_DIM),
                f"{at}.affine.bias": (layer.inputs,),
            }
            if layer.kind != "rgb":
                shapes |= {
                    f"{at}.noise_const": (layer.resolution, layer.resolution),
                    f"{at}.noise_strength": (),
                }
            if layer.kind == "up" and self.architecture == "resnet":
                shapes[f"synthesis.b{layer.resolution}.skip.weight"] = (layer.outputs, layer.inputs, 1, 1)
        return shapes
