"""The networks that train the embedded generator and are then thrown away: a discriminator and an image encoder.

The generator itself is livelav's own (livelav/generate/stylegan2.py). Both networks here run at any size up to the
one they were made for, so that training can grow. Source: Karras et al. 2020, arXiv 1912.04958, appendix B (residual
discriminator, equalised learning rate, minibatch deviation); Huang et al. 2018, arXiv 1804.08450 (whitening).
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from livelav.generate.layout import LRELU_GAIN, LRELU_SLOPE, RESIDUAL_GAIN
from livelav.generate.stylegan2 import Dense

Channels = Callable[[int], int]

DEVIATION_GROUP = 4  # images that are compared with one another in the minibatch deviation
ENCODER_PX = 64
ENCODER_CHANNELS = (32, 64, 128, 192)  # at 32, 16, 8 and 4 px
CODE_DIM = 96  # a picture has some 75 factors that count
WHITENING_IMAGES = 1_000  # half-life of the running statistics
FAINTEST = 0.01  # of the mean variance: what hardly varies is mostly chance, and not made as loud as the rest


class Conv(nn.Module):
    """A convolution with equalised learning rate, then, with `bend`, a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bend: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain, self.bend = (inputs * kernel**2) ** -0.5, bend

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.weight * self.gain, self.bias, padding=self.weight.shape[2] // 2)
        return F.leaky_relu(y, LRELU_SLOPE) * LRELU_GAIN if self.bend else y


class DownBlock(nn.Module):
    """Two convolutions beside a skip path, to half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0, self.conv1 = Conv(inputs, inputs, 3), Conv(inputs, outputs, 3)
        self.skip = Conv(inputs, outputs, 1, bend=False)

    def forward(self, x: Tensor) -> Tensor:
        halved = F.avg_pool2d(x, 2)
        return (self.conv1(F.avg_pool2d(self.conv0(x), 2)) + self.skip(halved)) * RESIDUAL_GAIN


class Discriminator(nn.Module):
    """Images [n, 3, size, size], size up to `resolution`, to one number each [n]: high where they look real.

    Every size has an entrance of its own, open to the image at that size: what has been learnt at small sizes goes on
    to count after growing.
    """

    def __init__(self, resolution: int, channels: Channels) -> None:
        super().__init__()
        sizes = [4 << i for i in range(resolution.bit_length() - 2)]
        self.entrance = nn.ModuleDict({str(size): Conv(3, channels(size), 1) for size in sizes})
        self.block = nn.ModuleDict({str(size): DownBlock(channels(size), channels(size // 2)) for size in sizes[1:]})
        deep = channels(4)
        self.last = Conv(deep + 1, deep, 3)
        self.dense = Dense(deep * 16, deep)
        self.verdict = Dense(deep, 1)

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor | None = None
        while True:
            size = image.shape[-1]
            seen = self.entrance[str(size)](image)
            x = seen if x is None else (x + seen) * RESIDUAL_GAIN
            if size == 4:
                break
            x = self.block[str(size)](x)
            image = F.avg_pool2d(image, 2)
        x = self.last(torch.cat([x, _deviation(x)], dim=1))
        x = F.leaky_relu(self.dense(x.flatten(1)), LRELU_SLOPE) * LRELU_GAIN
        verdict: Tensor = self.verdict(x)[:, 0]
        return verdict


def _deviation(x: Tensor) -> Tensor:
    """[n, 1, h, w]: how much images of the same group differ from one another, a number to betray a collapse."""
    n, _, h, w = x.shape
    groups = max(n // DEVIATION_GROUP, 1)
    members = x.float().reshape(groups, n // groups, -1)
    spread = torch.sqrt(members.var(dim=1, correction=0) + 1e-8).mean(dim=1)  # [groups]
    return spread.repeat_interleave(n // groups).to(x.dtype)[:, None, None, None].expand(n, 1, h, w)


class ImageEncoder(nn.Module):
    """Images [n, 3, 64, 64] to what tells them from one another [n, CODE_DIM]: no dimension is worth more than another.

    The last step whitens with running statistics, which no gradient flows through. So the codes of all images together
    have mean 0 and a covariance that is known: 1 in the directions that count, less where there is mostly chance.
    """

    mean: Tensor
    covariance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.entrance = Conv(12, ENCODER_CHANNELS[0], 3)
        self.blocks = nn.Sequential(*(DownBlock(a, b) for a, b in itertools.pairwise(ENCODER_CHANNELS)))
        self.dense = Dense(ENCODER_CHANNELS[-1] * 16, 512)
        self.code = Dense(512, CODE_DIM)
        self.register_buffer("mean", torch.zeros(CODE_DIM))
        self.register_buffer("covariance", torch.eye(CODE_DIM))

    def forward(self, image: Tensor) -> Tensor:
        """The code before whitening, float32."""
        x = self.blocks(self.entrance(F.pixel_unshuffle(image, 2))).flatten(1)
        x = F.leaky_relu(self.dense(x), LRELU_SLOPE) * LRELU_GAIN
        code: Tensor = self.code(x).float()
        return code

    @torch.no_grad()
    def observe(self, code: Tensor) -> None:
        """Lets codes count for the running statistics."""
        share = 1.0 - 0.5 ** (len(code) / WHITENING_IMAGES)
        self.mean.lerp_(code.mean(0), share)
        centred = code - self.mean
        self.covariance.lerp_(centred.T @ centred / len(code), share)

    def whitened(self, code: Tensor) -> Tensor:
        """Codes as W has them: of mean 0 and variance 1 in every direction that tells images from one another."""
        values, vectors, floor = self._principal()
        return (code - self.mean) @ (vectors * torch.rsqrt(values + floor)) @ vectors.T

    def coloured(self, normal: Tensor) -> Tensor:
        """From N(0, 1) [n, CODE_DIM] to the distribution that whitened codes have."""
        values, vectors, floor = self._principal()
        return normal @ (vectors * torch.sqrt(values / (values + floor))) @ vectors.T

    @torch.no_grad()
    def _principal(self) -> tuple[Tensor, Tensor, Tensor]:
        """Variances along the axes of all codes so far, these axes, and what is too faint to be made as loud."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return values.clamp(min=0.0), vectors, FAINTEST * values.mean()
