"""A trained generator's W, turned and moved until a mapping network of one layer can say where its pictures lie.

Training leaves the ws of its images Gaussian, but askew: in the dimensions that count they spread far in a few
directions and hardly in the others, and these directions lie across the axes. Here W is turned so that they become its
axes, the widest first. Nothing that the generator can paint changes. But now mean and standard deviation per dimension,
which livelav normalises sound to, say all that there is to say about W; and z needs only to be stretched along the
axes, which one layer can do.

That layer ends in a leaky ReLU, as all mapping networks do. So W is also moved until nearly all of it is positive.
"""

import torch
from torch import Tensor

from livelav.core.values import W_DIM
from livelav.generate.layout import LRELU_GAIN
from livelav.generate.stylegan2 import Dense, StyleGAN2

MOVED = 2.5  # standard deviations: 1 of 160 values meets the leaky ReLU's bend


@torch.no_grad()
def straighten(generator: StyleGAN2, covariance: Tensor) -> None:
    """Gives `generator` straight axes and a mapping network.

    Its ws were drawn from N(0, covariance [d, d]) in the first d dimensions and from N(0, 1) in the others.
    """
    assert generator.config.mapping_layers == 1, "a stretched z takes one layer, and no more"
    variances, axes = (found.flip(-1).float() for found in torch.linalg.eigh(covariance.double()))
    spread = torch.cat([variances.clamp(min=0.0).sqrt(), torch.ones(W_DIM - len(variances))])
    for affine in _affines(generator):
        affine.weight[:, : len(axes)] = affine.weight[:, : len(axes)] @ axes
    move_w(generator, MOVED * spread)
    stretch: Dense = generator.mapping.get_submodule("fc0")  # type: ignore[assignment]
    stretch.weight.copy_(torch.diag(spread / (LRELU_GAIN * stretch.weight_gain)))
    stretch.bias.copy_(MOVED * spread / (LRELU_GAIN * stretch.bias_gain))


@torch.no_grad()
def move_w(generator: StyleGAN2, by: Tensor) -> None:
    """Moves W: w + by [512] will paint what w does now. The mapping network is left as it is."""
    for affine in _affines(generator):
        affine.bias.sub_(affine.weight @ by * affine.weight_gain)


def _affines(generator: StyleGAN2) -> list[Dense]:
    return [generator.synthesis.get_submodule(f"{layer.name}.affine") for layer in generator.config.layers]  # type: ignore[misc]
