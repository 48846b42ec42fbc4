"""The adversary of a generator that is trained: judges images, and learns from those that were made and from true ones.

Sizes are the caller's affair, and so is all chance but none: it draws nothing.
Source: Karras et al. 2020, arXiv 1912.04958 (lazy R1).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from _networks import Discriminator
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

BASE, MAX = 2048, 96  # its channel_base and channel_max
WEIGHT = 0.03  # in a generator's loss, beside a difference's 1: about as strong at the image
R1_EVERY = 16  # steps
R1_AT_256 = 1.0  # gamma, in proportion to the number of pixels


class Adversary:
    """The network and its optimiser."""

    def __init__(self, resolution: int, device: torch.device, fuse: bool) -> None:
        self.network = Discriminator(resolution, lambda size: min(BASE // size, MAX)).to(
            device, memory_format=torch.channels_last
        )
        self.optimiser = torch.optim.Adam(self.network.parameters(), betas=(0.0, 0.99), fused=True)
        self._device = device
        fused: Callable[..., Any] = torch.compile if fuse else lambda function, **_: function
        self._judging = fused(self.network, dynamic=False)

    def set_rate(self, rate: float) -> None:
        """Of learning."""
        self.optimiser.param_groups[0]["lr"] = rate

    def doubt(self, images: Tensor) -> Tensor:
        """What a generator is to make smaller: how surely its images are told from true ones, times WEIGHT."""
        with lower_precision(self._device):
            verdict = self._judging(images).float()
        return WEIGHT * F.softplus(-verdict).mean()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """While a generator learns from its doubt."""
        self.network.requires_grad_(False)
        yield
        self.network.requires_grad_(True)

    def learn(self, made: Tensor, true: Tensor, step: int) -> dict[str, float]:
        """From as many images of either kind; what was measured."""
        measured: dict[str, float] = {}
        with lower_precision(self._device):
            verdicts = self._judging(torch.cat([made.detach(), true])).float()
        fake, real = verdicts.chunk(2)
        descend(self.optimiser, F.softplus(fake).mean() + F.softplus(-real).mean())
        if step % R1_EVERY == 0:
            measured["r1"] = self._penalise(true[: max(len(true) // 2, 4)])
        return measured | {"fake": float(fake.mean().detach()), "true": float(real.mean().detach())}

    def _penalise(self, true: Tensor) -> float:
        """Lazy R1: the slope at true images, once in R1_EVERY steps; in full precision, unfused."""
        true = true.float().detach().requires_grad_()
        verdict = self.network(true)
        (slope,) = torch.autograd.grad(verdict.sum(), true, create_graph=True)
        penalty = slope.square().sum(dim=(1, 2, 3)).mean()
        gamma = R1_AT_256 * (true.shape[-1] / 256) ** 2
        descend(self.optimiser, penalty * (gamma / 2 * R1_EVERY))
        return float(penalty.detach())


def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of an optimiser."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    for group in optimiser.param_groups:
        torch.nn.utils.clip_grad_norm_(group["params"], 10.0)
    optimiser.step()


def lower_precision(device: torch.device) -> torch.autocast:
    """Half the memory, and twice the speed where the device has it."""
    return torch.autocast(device.type, torch.bfloat16)
