"""Noise maps for a trained generator: soft swellings that the loudness can drive.

Training leaves the noise silent, because the training images have no grain that it could explain; then `mapping.noise`
would move nothing. So the layers that shape the picture get smooth maps, drawn once, each at the strength at which it
alone changes an average picture by CHANGE.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals
from livelav.core.values import W_DIM
from livelav.generate.stylegan2 import StyleGAN2

SEED, PICTURES, MAPS = 3_000, 0, 1  # and the streams drawn from it: the pictures', and from MAPS on one for each layer
RESOLUTIONS = (8, 16, 32, 64)  # px: coarser maps would move everything at once, finer ones would be grain
CELLS = 8  # across a picture: how soft a map is
CHANGE = 0.008  # mean over the pixels, of -1..1
COUNT = 16  # pictures to measure on
FIRST_TRY, ROUNDS = 0.1, 3  # a strength is found by proportion, and the network is not quite linear in it
DEAF = 1e-5  # a layer that changes the picture by less at the first try has nothing to say: it was not trained yet


@torch.no_grad()
def give_noise(generator: StyleGAN2) -> None:
    """Sets all noise maps and their strengths."""
    synthesis = generator.synthesis
    w = generator.mapping(torch.from_numpy(normals(SEED, PICTURES, (COUNT, W_DIM))).float())
    ws = w[:, None].expand(-1, generator.config.num_ws, -1)
    still = synthesis(ws, noise_mode="none")
    layers = [layer for layer in generator.config.layers if layer.kind != "rgb"]
    strengths = [synthesis.get_parameter(f"{layer.name}.noise_strength") for layer in layers]
    for i, layer in enumerate(layers):
        synthesis.get_buffer(f"{layer.name}.noise_const").copy_(soft_map(MAPS + i, layer.resolution))

    def strength_alone(i: int) -> float:
        found = FIRST_TRY
        for _ in range(ROUNDS):
            for j, strength in enumerate(strengths):
                strength.fill_(found if i == j else 0.0)
            change = float((synthesis(ws) - still).abs().mean())
            if change < DEAF:
                return 0.0
            found *= CHANGE / change
        return found

    wanted = [strength_alone(i) if layer.resolution in RESOLUTIONS else 0.0 for i, layer in enumerate(layers)]
    for strength, value in zip(strengths, wanted, strict=True):
        strength.fill_(value)


def soft_map(stream: int, resolution: int) -> Tensor:
    """[resolution, resolution] of mean 0 and deviation 1, with about CELLS swellings across."""
    cells = min(resolution, CELLS)
    rough = torch.from_numpy(normals(SEED, stream, (1, 1, cells, cells))).float()
    soft = F.interpolate(rough, (resolution, resolution), mode="bicubic", align_corners=False)[0, 0]
    return (soft - soft.mean()) / soft.std()
