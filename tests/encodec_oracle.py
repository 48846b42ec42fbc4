"""The published `encodec` package's offline encoder, the oracle of our streaming one.

The package imports torchaudio for resampling and file reading, which its encoder does not use: an empty module
stands in for it.
"""

import sys
import types
import warnings
from typing import Any

import numpy as np

from livelav.core.values import Floats


def build(seed: int, **config: Any) -> Any:
    """encodec's SEANetEncoder (torch) with seeded random weights, weight norm as in its checkpoints."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    import torch
    from encodec.modules import SEANetEncoder

    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's old weight norm is what the checkpoints hold
        encoder = SEANetEncoder(norm="weight_norm", **config).eval()
    with torch.no_grad():
        for name, value in encoder.named_parameters():
            if name.endswith("weight_g"):
                value.mul_(1.0 + 0.5 * torch.rand_like(value))  # g that differs from ||v||, so that folding matters
            elif name.endswith("bias"):
                value.add_(0.1 * torch.randn_like(value))
    return encoder


def state_dict(encoder: Any) -> dict[str, Floats]:
    """The encoder's tensors under the names they have in encodec's files."""
    return {f"encoder.{name}": value.numpy().copy() for name, value in encoder.state_dict().items()}


def embed(encoder: Any, samples: Floats) -> Floats:
    """Offline: samples [n] -> [frames, 128]."""
    import torch

    with torch.no_grad():
        out = encoder(torch.from_numpy(samples)[None, None])
    return np.ascontiguousarray(out[0].numpy().T)
