"""StyleGAN2's mapping and synthesis networks in torch: the trainable form, weights modulated per sample.

The definition that every engine is measured against. For running a finished model see static.py and the backends.
Parameter names are those of layout.py, so `load_state_dict` takes a file's tensors as they are.

Source: Karras et al. 2020, arXiv 1912.04958 (demodulation: section 2.2; skip and residual: section 4).
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from livelav.core.values import W_DIM
from livelav.generate.layout import (
    DEMODULATION_EPS,
    FIR,
    LRELU_GAIN,
    LRELU_SLOPE,
    RESIDUAL_GAIN,
    Config,
    Layer,
    NoiseMode,
)

MAPPING_LEARNING_RATE = 0.01
SECOND_MOMENT_EPS = 1e-8


class Dense(nn.Module):
    """A fully connected layer with equalised learning rate: the stored weights have unit variance at birth."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, learning_rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / learning_rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / learning_rate))
        self.weight_gain = learning_rate / inputs**0.5
        self.bias_gain = learning_rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class MappingNetwork(nn.Module):
    """z [n, 512], and label [n, labels] where there are any, to w [n, 512].

    `w_avg` is the centre of W that truncation pulls to. A label is a row of numbers, 1 for its class and else 0.
    """

    w_avg: Tensor

    def __init__(self, layers: int, labels: int = 0) -> None:
        super().__init__()
        self.layers, self.labels = layers, labels
        if labels:
            self.embed = Dense(labels, W_DIM)
        for i in range(layers):
            inputs = 2 * W_DIM if labels and i == 0 else W_DIM
            self.add_module(f"fc{i}", Dense(inputs, W_DIM, learning_rate=MAPPING_LEARNING_RATE))
        self.register_buffer("w_avg", torch.zeros(W_DIM))

    def forward(self, z: Tensor, psi: float = 1.0, label: Tensor | None = None) -> Tensor:
        assert (label is not None) == (self.labels > 0), "a label belongs to a network with labels, and only to it"
        x = _normalized(z)
        if label is not None:
            x = torch.cat([x, _normalized(self.embed(label))], dim=1)
        for i in range(self.layers):
            x = F.leaky_relu(getattr(self, f"fc{i}")(x), LRELU_SLOPE) * LRELU_GAIN
        return self.w_avg + psi * (x - self.w_avg)


def _normalized(x: Tensor) -> Tensor:
    """By the second moment of each row."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + SECOND_MOMENT_EPS)


class ModulatedConv(nn.Module):
    """One row of the layer table: style, modulated weights, noise, bias, activation.

    An rgb layer has neither demodulation nor noise nor activation.
    """

    noise_const: Tensor

    def __init__(self, layer: Layer, gain: float, clamp: float | None) -> None:
        super().__init__()
        self.layer, self.gain, self.clamp = layer, gain, clamp
        self.affine = Dense(W_DIM, layer.inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(layer.outputs, layer.inputs, layer.kernel, layer.kernel))
        self.bias = nn.Parameter(torch.zeros(layer.outputs))
        if layer.kind != "rgb":
            self.noise_strength = nn.Parameter(torch.zeros([]))
            self.register_buffer("noise_const", torch.randn(layer.resolution, layer.resolution))

    def forward(self, x: Tensor, w: Tensor, fir: Tensor, noise: float, noise_mode: NoiseMode) -> Tensor:
        """x [n, inputs, h, w], w [n, 512] to [n, outputs, resolution, resolution]."""
        style = self.affine(w).to(x.dtype)
        if self.layer.kind == "rgb":
            y = modulated_conv(x, self.weight, style / self.layer.inputs**0.5, fir, demodulate=False)
            y = y + self.bias.to(x.dtype)[:, None, None]
            return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)
        y = modulated_conv(x, self.weight, style, fir, up=self.layer.kind == "up")
        if noise_mode != "none":
            shape = (len(x), 1, *self.noise_const.shape)
            drawn = torch.randn(shape, device=x.device) if noise_mode == "random" else self.noise_const
            y = y + (drawn * (self.noise_strength * noise)).to(x.dtype)
        y = F.leaky_relu(y + self.bias.to(x.dtype)[:, None, None], LRELU_SLOPE) * LRELU_GAIN
        return self.gain * (y if self.clamp is None else y.clamp(-self.clamp, self.clamp))


class Shortcut(nn.Module):
    """The residual branch around a block: 1x1 convolution, then upsampling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))

    def forward(self, x: Tensor, fir: Tensor) -> Tensor:
        weight = self.weight * (RESIDUAL_GAIN / self.weight.shape[1] ** 0.5)
        return upsample(F.conv2d(x, weight.to(x.dtype)), fir)


class SynthesisNetwork(nn.Module):
    """ws [n, num_ws, 512] to images [n, 3, resolution, resolution], nominally -1..1."""

    fir: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        taps = torch.tensor(FIR) / sum(FIR)
        self.register_buffer("fir", 4.0 * torch.outer(taps, taps), persistent=False)
        for resolution in config.block_resolutions:
            self.add_module(f"b{resolution}", nn.Module())
        self.get_submodule("b4").const = nn.Parameter(torch.randn(config.channels(4), 4, 4))
        for layer in config.layers:
            block_name, name = layer.name.split(".")
            block = self.get_submodule(block_name)
            residual = config.architecture == "resnet" and layer.resolution > 4
            gain = RESIDUAL_GAIN if residual and layer.kind == "conv" else 1.0
            block.add_module(name, ModulatedConv(layer, gain, config.conv_clamp))
            if residual and layer.kind == "up":
                block.add_module("skip", Shortcut(layer.inputs, layer.outputs))

    def forward(
        self, ws: Tensor, noise: float = 1.0, noise_mode: NoiseMode = "const", size: int | None = None
    ) -> Tensor:
        """`noise` multiplies every noise map. Runs in the dtype of the constant input; the image is float32.

        `size` ends at the block of that many px and takes its image, as growing training does ("skip" has one).
        """
        const = self.get_parameter("b4.const")
        x = const.expand(len(ws), *const.shape)
        image: Tensor | None = None
        shortcut: Tensor | None = None
        for layer in self.config.layers:
            if size is not None and layer.resolution > size:
                break
            module = self.get_submodule(layer.name)
            w = ws[:, layer.ws].to(const.dtype)
            if layer.kind == "rgb":
                rgb = module(x, w, self.fir, noise, noise_mode).float()
                image = rgb if image is None else upsample(image, self.fir) + rgb
                continue
            if layer.kind == "up" and self.config.architecture == "resnet":
                shortcut = self.get_submodule(f"b{layer.resolution}.skip")(x, self.fir)
            x = module(x, w, self.fir, noise, noise_mode)
            if layer.kind == "conv" and shortcut is not None:
                x, shortcut = x + shortcut, None
        assert image is not None, "the last block always has an rgb layer"
        return image


class StyleGAN2(nn.Module):
    """Mapping and synthesis together, as a file holds them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config.mapping_layers, config.labels)
        self.synthesis = SynthesisNetwork(config)

    @classmethod
    def from_tensors(cls, config: Config, tensors: Mapping[str, NDArray[np.floating]]) -> "StyleGAN2":
        """A network holding a copy of `tensors` (names and shapes of `config.tensor_shapes`) as float32."""
        network = cls(config)
        state = {name: torch.from_numpy(np.array(tensors[name], np.float32)) for name in config.tensor_shapes}
        network.load_state_dict(state)
        return network.eval().requires_grad_(False)

    def forward(
        self,
        z: Tensor,
        psi: float = 1.0,
        noise: float = 1.0,
        noise_mode: NoiseMode = "const",
        label: Tensor | None = None,
    ) -> Tensor:
        """z [n, 512], and label [n, labels] where there are any, to images [n, 3, resolution, resolution]."""
        ws = self.mapping(z, psi, label)[:, None].expand(-1, self.config.num_ws, -1)
        image: Tensor = self.synthesis(ws, noise, noise_mode)
        return image


def modulated_conv(
    x: Tensor, weight: Tensor, style: Tensor, fir: Tensor, *, demodulate: bool = True, up: bool = False
) -> Tensor:
    """A convolution whose weights [m, k, j, j] are scaled per sample by style [n, k] and renormalised per output.

    x [n, k, h, w] to [n, m, h, w], or twice the size with `up`. The style scales the input and the renormalisation
    the output, which is the same by linearity and lets the samples of a batch share one convolution.
    """
    m = weight.shape[0]
    y = x * style.to(x.dtype)[:, :, None, None]
    own = weight.to(x.dtype)
    if up:
        y = F.conv_transpose2d(y, own.transpose(0, 1), stride=2)  # [2h + 1, 2w + 1]: the filter takes the odd one
        y = F.conv2d(y, fir.to(x.dtype).expand(m, 1, 4, 4), padding=1, groups=m)
    else:
        y = F.conv2d(y, own, padding=weight.shape[2] // 2)
    if demodulate:
        energy = style.square() @ weight.square().sum(dim=(2, 3)).T.to(style.dtype)
        y = y * torch.rsqrt(energy + DEMODULATION_EPS).to(y.dtype)[:, :, None, None]
    return y


def upsample(image: Tensor, fir: Tensor) -> Tensor:
    """[n, c, h, w] to [n, c, 2h, 2w]: zeros between the pixels, then the filter; zero beyond the border."""
    channels = image.shape[1]
    return F.conv_transpose2d(
        image, fir.to(image.dtype).expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels
    )
