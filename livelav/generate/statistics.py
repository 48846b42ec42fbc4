"""How a generator's own W is spread: many z through its mapping network, once, when its file is written.

Loads torch; never on the live path.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals
from livelav.core.values import W_DIM, Floats
from livelav.generate.layout import Config
from livelav.generate.stylegan2 import MappingNetwork

COUNT = 10_000
ALL_COUNT, LEAST_COUNT = 200_000, 256  # of a model with labels: for all of them together, and for each
SEED, STREAM = 0, 0
SHOWN_SEED, SHOWN_PSI = 5_000, 0.7


def w_samples(config: Config, tensors: Mapping[str, NDArray[np.floating]], count: int = COUNT) -> Floats:
    """[count, 512]: always the same z, through the mapping network of `tensors` (names of `config.tensor_shapes`).
    Where it knows classes, each has its turn."""
    mapping = _mapping(config, tensors)
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


@dataclass(frozen=True, slots=True)
class WSpread:
    """Mean and standard deviation per dimension of a generator's W, [512] each; `by_label` the same, [labels, 512]."""

    mean: Floats
    std: Floats
    by_label: tuple[Floats, Floats] | None = None


def figures(spread: WSpread) -> dict[str, np.floating]:
    """It in a few numbers: how far the means of its dimensions lie apart, and how wide it is, under the names that
    ModelInfo has for that."""
    mean, std = spread.mean, spread.std
    return {
        "w_mean_min": mean.min(),
        "w_mean_max": mean.max(),
        "w_std_mean": std.mean(),
        "w_std_min": std.min(),
        "w_std_max": std.max(),
    }


def label_count(labels: int) -> int:
    """How many z are asked for each label: COUNT of up to twenty labels, and then as many as make ALL_COUNT together,
    but never fewer than LEAST_COUNT, which know a mean to a sixteenth of the deviation and that to a twentieth."""
    return min(max(ALL_COUNT // labels, LEAST_COUNT), COUNT)


def spread_of_w(
    config: Config,
    tensors: Mapping[str, NDArray[np.floating]],
    progress: Callable[[float], None] = lambda _share: None,
) -> WSpread:
    """The statistics that a generator's file holds. `progress` is told how much is done, 0..1.

    The same z for all labels, so that two labels differ by what they are and not by chance.
    """
    if not config.labels:
        return WSpread(*w_mean_and_std(w_samples(config, tensors)))
    mapping = _mapping(config, tensors)
    z = torch.from_numpy(normals(SEED, STREAM, (label_count(config.labels), W_DIM))).float()
    means, stds = np.zeros((2, config.labels, W_DIM), np.float32)
    with torch.inference_mode():
        for number in range(config.labels):
            label = torch.zeros(1, config.labels)
            label[0, number] = 1.0
            means[number], stds[number] = w_mean_and_std(mapping(z, label=label.expand(len(z), -1)).numpy())
            progress((number + 1) / config.labels)
    variance = np.square(stds, dtype=np.float64).mean(axis=0) + means.var(axis=0, dtype=np.float64)
    return WSpread(means.mean(axis=0), np.sqrt(variance).astype(np.float32), (means, stds))


def use_one_thread() -> None:
    """Has torch compute in the thread that calls it: with small matrices several threads mostly wait for each other."""
    torch.set_num_threads(1)


def shown_ws(
    config: Config, tensors: Mapping[str, NDArray[np.floating]], spread: WSpread, count: int
) -> NDArray[np.float32]:
    """[count, num_ws, 512]: always the same z, truncated by SHOWN_PSI, for pictures that show what a model is.

    Of one with labels, from the first to the last; each is truncated towards its own mean.
    """
    z = torch.from_numpy(normals(SHOWN_SEED, STREAM, (count, W_DIM))).float()
    label, centre = None, np.asarray(tensors["mapping.w_avg"], np.float32)
    if spread.by_label:
        which = torch.arange(count) * config.labels // count
        label, centre = F.one_hot(which, config.labels).float(), spread.by_label[0][which.numpy()]
    with torch.inference_mode():
        w = _mapping(config, tensors)(z, label=label).numpy()
    return np.repeat((centre + np.float32(SHOWN_PSI) * (w - centre))[:, None], config.num_ws, axis=1)


def _mapping(config: Config, tensors: Mapping[str, NDArray[np.floating]]) -> MappingNetwork:
    mapping = MappingNetwork(config.mapping_layers, config.labels)
    prefix = "mapping."
    mapping.load_state_dict(
        {
            name.removeprefix(prefix): torch.from_numpy(np.array(tensors[name], np.float32))
            for name in config.tensor_shapes
            if name.startswith(prefix)
        }
    )
    return mapping
