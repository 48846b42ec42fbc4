"""What a generator of another program's tensors draws, by that program's own conventions: numpy, float64, plain loops.

Each class takes tensors under the names and in the shapes in which they lie in a file, and multiplies as its framework
would: kernels of TensorFlow are [height, width, inputs, outputs], its transposed convolution spreads each sample by a
kernel that was turned round before, and its styles are one more than their layer says. So it knows nothing of how
livelav turns one into the other. Source of the network: Karras et al. 2020, arXiv 1912.04958.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from stylegan2_oracle import Array, Synthesis, filter_image, leaky_relu, mapping, normalized, upsample


def spread(x: Array, kernel: Array) -> Array:
    """A transposed convolution of stride 2: each sample of x [k, h, w] puts down a kernel [i, j, k, m] times itself."""
    side, _, _, outputs = kernel.shape
    y = np.zeros((outputs, 2 * (x.shape[1] - 1) + side, 2 * (x.shape[2] - 1) + side))
    for i in range(side):
        for j in range(side):
            part = np.einsum("khw,km->mhw", x, kernel[i, j])
            y[:, i : i + 2 * x.shape[1] - 1 : 2, j : j + 2 * x.shape[2] - 1 : 2] += part
    return y


def slide(x: Array, kernel: Array) -> Array:
    """A convolution as networks have it, of x [k, h, w] by a kernel [i, j, k, m], zeros beyond the border."""
    side, pad = kernel.shape[0], kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    y = np.zeros((kernel.shape[3], *x.shape[1:]))
    for i in range(side):
        for j in range(side):
            y += np.einsum("khw,km->mhw", padded[:, i : i + x.shape[1], j : j + x.shape[2]], kernel[i, j])
    return y


class Nvidia:
    """PyTorch's names are those of the oracle itself."""

    def __init__(self, tensors: Mapping[str, Any], plan: Any) -> None:
        self.plan = plan
        self.tensors = {name: np.asarray(t, np.float64) for name, t in tensors.items()}

    def __call__(self, z: Array, label: Array | None, psi: float, noise: float) -> Array:
        """z [512] to an image [3, resolution, resolution]."""
        w = mapping(self.tensors, z, self.plan.layers, psi, label)
        synthesis = Synthesis(self.tensors, self.plan.resolution, self.plan.architecture, self.plan.clamp)
        return synthesis(np.tile(w, (2 * len(self.plan.blocks), 1)), noise)


class Foreign(Nvidia):
    """The network's outline; subclasses say how a layer's tensors are fetched and applied. One w for all layers."""

    def clamped(self, x: Array) -> Array:
        return x if self.plan.clamp is None else np.clip(x, -self.plan.clamp, self.plan.clamp)

    def __call__(self, z: Array, label: Array | None, psi: float, noise: float) -> Array:
        w = self.w(z, label)
        w = self.average() + psi * (w - self.average())
        image = None
        for r in self.plan.blocks:
            if r == 4:
                x = self.layer(self.const(), w, 4, 1, noise)
            else:
                start = x
                x = self.layer(self.layer(x, w, r, 0, noise), w, r, 1, noise)
                if self.plan.architecture == "resnet":
                    x = (x + self.shortcut(start, r)) / np.sqrt(2)
            if self.plan.has_rgb(r):
                rgb = self.clamped(self.rgb(x, w, r))
                image = rgb if image is None else upsample(image) + rgb
        return image


class TensorFlow(Foreign):
    def w(self, z: Array, label: Array | None) -> Array:
        get, x = self.tensors.__getitem__, normalized(z)
        if label is not None:
            embedded = label @ get("mapping/LabelEmbed/weight") / np.sqrt(len(label)) + get("mapping/LabelEmbed/bias")
            x = np.concatenate([x, normalized(embedded)])
        for i in range(self.plan.layers):
            weight, bias = get(f"mapping/Dense{i}/weight"), get(f"mapping/Dense{i}/bias")
            x = leaky_relu(0.01 * (x @ weight / np.sqrt(len(x)) + bias))
        return x

    def average(self) -> Array:
        return self.tensors["dlatent_avg"]

    def const(self) -> Array:
        return self.tensors["synthesis/4x4/Const/const"][0]

    def styled(self, at: str, w: Array) -> Array:
        """The kernel times its gain and, per input, the style."""
        style = w @ self.tensors[f"{at}/mod_weight"] / np.sqrt(len(w)) + self.tensors[f"{at}/mod_bias"] + 1
        kernel = self.tensors[f"{at}/weight"]
        return kernel / np.sqrt(np.prod(kernel.shape[:3])) * style[:, None]

    def layer(self, x: Array, w: Array, r: int, number: int, noise: float) -> Array:
        at = f"synthesis/{r}x{r}/" + ("Conv" if r == 4 else ("Conv0_up", "Conv1")[number])
        kernel = self.styled(at, w)
        kernel = kernel / np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)) + 1e-8)
        y = slide(x, kernel) if number else 4 * filter_image(spread(x, kernel[::-1, ::-1]), 1, 1)
        drawn = self.tensors[f"synthesis/noise{2 * int(np.log2(r)) - 5 + number}"][0, 0]
        y = y + noise * self.tensors[f"{at}/noise_strength"] * drawn + self.tensors[f"{at}/bias"][:, None, None]
        return self.clamped(leaky_relu(y))

    def shortcut(self, x: Array, r: int) -> Array:
        kernel = self.tensors[f"synthesis/{r}x{r}/Skip/weight"]
        return 4 * filter_image(spread(x, kernel[::-1, ::-1] / np.sqrt(kernel.shape[2])), 2, 2)

    def rgb(self, x: Array, w: Array, r: int) -> Array:
        at = f"synthesis/{r}x{r}/ToRGB"
        return slide(x, self.styled(at, w)) + self.tensors[f"{at}/bias"][:, None, None]


class Rosinality(Foreign):
    def w(self, z: Array, label: Array | None) -> Array:
        x = normalized(z)
        for i in range(1, self.plan.layers + 1):
            weight, bias = self.tensors[f"style.{i}.weight"], self.tensors[f"style.{i}.bias"]
            x = leaky_relu((weight * (0.01 / np.sqrt(len(x)))) @ x + bias * 0.01)
        return x

    def average(self) -> Array:
        return self.tensors["latent_avg"]

    def const(self) -> Array:
        return self.tensors["input.input"][0]

    def styled(self, at: str, w: Array) -> Array:
        """[1, m, k, i, j] times its gain and the style, as [i, j, k, m]."""
        weight = self.tensors[f"{at}.conv.weight"][0]
        modulation = self.tensors[f"{at}.conv.modulation.weight"] / np.sqrt(len(w))
        style = modulation @ w + self.tensors[f"{at}.conv.modulation.bias"]
        return np.einsum("mkij,k->ijkm", weight / np.sqrt(np.prod(weight.shape[1:])), style)

    def layer(self, x: Array, w: Array, r: int, number: int, noise: float) -> Array:
        order = 2 * int(np.log2(r)) - 5 + number  # of all 3x3 convolutions
        at = "conv1" if order == 0 else f"convs.{order - 1}"
        kernel = self.styled(at, w)
        kernel = kernel / np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)) + 1e-8)
        y = slide(x, kernel) if number else filter_image(spread(x, kernel), 1, 1) * 4
        y = y + noise * self.tensors[f"{at}.noise.weight"][0] * self.tensors[f"noises.noise_{order}"][0, 0]
        return leaky_relu(y + self.tensors[f"{at}.activate.bias"][:, None, None])

    def rgb(self, x: Array, w: Array, r: int) -> Array:
        at = "to_rgb1" if r == 4 else f"to_rgbs.{int(np.log2(r)) - 3}"
        return slide(x, self.styled(at, w)) + self.tensors[f"{at}.bias"][0]
