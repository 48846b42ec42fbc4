"""How a generator's own W is spread: many z through its mapping network, once, when its file is written.

Loads torch; never on the live path.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals
from livelav.core.values import W_DIM, Floats
from livelav.generate.layout import Config
from livelav.generate.stylegan2 import MappingNetwork

COUNT = 10_000
SEED, STREAM = 0, 0


def w_samples(config: Config, tensors: Mapping[str, NDArray[np.floating]], count: int = COUNT) -> Floats:
    """[count, 512]: always the same z, through the mapping network of `tensors` (names of `config.tensor_shapes`).
    Where it knows classes, each has its turn."""
    mapping = MappingNetwork(config.mapping_layers, config.labels)
    prefix = "mapping."
    mapping.load_state_dict(
        {
            name.removeprefix(prefix): torch.from_numpy(np.array(tensors[name], np.float32))
            for name in config.tensor_shapes
            if name.startswith(prefix)
        }
    )
    z = torch.from_numpy(normals(SEED, STREAM, (count, W_DIM))).float()
    label = None
    if config.labels:
        label = F.one_hot(torch.arange(count) % config.labels, config.labels).float()
    with torch.inference_mode():
        w: Floats = mapping(z, label=label).numpy()
    return w


def w_mean_and_std(w: Floats) -> tuple[Floats, Floats]:
    """Per dimension, [512] each, of samples [n, 512]."""
    return w.mean(axis=0, dtype=np.float64).astype(np.float32), w.std(axis=0, dtype=np.float64).astype(np.float32)
