"""StyleGAN2's forward pass once more, written apart from livelav's: numpy, float64, plain loops, no engine.

Weights are modulated one convolution at a time, convolutions are sums over kernel offsets, and upsampling puts
zeros between samples and filters them, as the papers describe it. Slow on purpose: only tests read it.
Source: Karras et al. 2020, arXiv 1912.04958.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8.0


def leaky_relu(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x) * np.sqrt(2.0)


def correlate(x: Array, kernel: Array, pad: int) -> Array:
    """x [k, h, w] with kernel [m, k, j, j]: a sum over the kernel's offsets."""
    size = kernel.shape[2]
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    height, width = padded.shape[1] - size + 1, padded.shape[2] - size + 1
    y = np.zeros((kernel.shape[0], height, width))
    for i in range(size):
        for j in range(size):
            y += np.einsum("mk,khw->mhw", kernel[:, :, i, j], padded[:, i : i + height, j : j + width])
    return y


def filter_image(x: Array, before: int, after: int) -> Array:
    """Each channel with the 4-tap filter along both axes, zeros beyond the border."""
    x = np.pad(x, ((0, 0), (before, after), (before, after)))
    x = sum(tap * x[:, k : x.shape[1] - 3 + k, :] for k, tap in enumerate(TAPS))
    return sum(tap * x[:, :, k : x.shape[2] - 3 + k] for k, tap in enumerate(TAPS))


def stuff(x: Array) -> Array:
    """A zero after every sample along both axes."""
    y = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2]))
    y[:, ::2, ::2] = x
    return y


def upsample(x: Array) -> Array:
    return 4.0 * filter_image(stuff(x), 2, 1)


def normalized(x: Array) -> Array:
    return x / np.sqrt(np.mean(x**2) + 1e-8)


def mapping(tensors: Mapping[str, Array], z: Array, layers: int, psi: float = 1.0, label: Array | None = None) -> Array:
    """z [512], and label [labels] where there are any, to w [512]."""
    x = normalized(z)
    if label is not None:
        weight = tensors["mapping.embed.weight"]
        x = np.append(x, normalized(weight @ label / np.sqrt(len(label)) + tensors["mapping.embed.bias"]))
    for i in range(layers):
        weight, bias = tensors[f"mapping.fc{i}.weight"], tensors[f"mapping.fc{i}.bias"]
        x = leaky_relu(weight @ x * 0.01 / np.sqrt(len(x)) + bias * 0.01)
    return tensors["mapping.w_avg"] + psi * (x - tensors["mapping.w_avg"])


class Synthesis:
    """One generator's synthesis from its tensors, by name."""

    def __init__(
        self,
        tensors: Mapping[str, Array],
        resolution: int,
        architecture: str,
        clamp: float | None = None,
        eps: float = 1e-8,
    ) -> None:
        self.tensors = {name: np.asarray(t, np.float64) for name, t in tensors.items()}
        self.resolution, self.architecture, self.clamp, self.eps = resolution, architecture, clamp, eps

    def get(self, name: str) -> Array:
        return self.tensors[f"synthesis.{name}"]

    def style(self, name: str, w: Array) -> Array:
        return self.get(f"{name}.affine.weight") @ w / np.sqrt(len(w)) + self.get(f"{name}.affine.bias")

    def clamped(self, x: Array) -> Array:
        return x if self.clamp is None else np.clip(x, -self.clamp, self.clamp)

    def convolution(self, x: Array, name: str, w: Array, noise: float, up: bool) -> Array:
        weight = self.get(f"{name}.weight") * self.style(name, w)[None, :, None, None]
        weight = weight / np.sqrt(np.sum(weight**2, axis=(1, 2, 3), keepdims=True) + self.eps)
        if up:
            # true convolution of the stuffed input: the kernel is turned round, the last zero falls outside
            y = correlate(stuff(x), weight[:, :, ::-1, ::-1], 2)
            y = 4.0 * filter_image(y[:, : 2 * x.shape[1] + 1, : 2 * x.shape[2] + 1], 1, 1)
        else:
            y = correlate(x, weight, 1)
        y = y + noise * self.get(f"{name}.noise_strength") * self.get(f"{name}.noise_const")
        return self.clamped(leaky_relu(y + self.get(f"{name}.bias")[:, None, None]))

    def to_rgb(self, x: Array, name: str, w: Array) -> Array:
        weight = self.get(f"{name}.weight") * self.style(name, w)[None, :, None, None] / np.sqrt(len(x))
        return self.clamped(correlate(x, weight, 0) + self.get(f"{name}.bias")[:, None, None])

    def __call__(self, ws: Array, noise: float = 1.0) -> Array:
        """ws [num_ws, 512] to an image [3, resolution, resolution]."""
        x = self.convolution(self.get("b4.const"), "b4.conv1", ws[0], noise, up=False)
        image = self.to_rgb(x, "b4.torgb", ws[1]) if self.architecture == "skip" else None
        resolution, at = 8, 1
        while resolution <= self.resolution:
            block, start = f"b{resolution}", x
            x = self.convolution(x, f"{block}.conv0", ws[at], noise, up=True)
            x = self.convolution(x, f"{block}.conv1", ws[at + 1], noise, up=False)
            if self.architecture == "resnet":
                kernel = self.get(f"{block}.skip.weight") / np.sqrt(len(start))
                x = (x + upsample(correlate(start, kernel, 0))) / np.sqrt(2.0)
            if self.architecture == "skip" or resolution == self.resolution:
                rgb = self.to_rgb(x, f"{block}.torgb", ws[at + 2])
                image = rgb if image is None else upsample(image) + rgb
            resolution, at = resolution * 2, at + 2
        assert image is not None
        return image


def to_rgba(image: Array) -> NDArray[np.uint8]:
    """[3, h, w] nominally -1..1 to bytes [h, w, 4]."""
    pixels = np.clip(image * 127.5 + 128.0, 0.0, 255.0).astype(np.uint8).transpose(1, 2, 0)
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)
