"""One generator held against its training set: the sets of pictures to compare, and the figures that come of it.

All generators get the same z and meet the same training images, which are none of those trained on: they come from
the same endless stream, by another seed. Pictures are made as livelav makes them, by the engine that it would take.
Knows of training only which stream it took its images from. Figures are plain dicts, ready for JSON.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dataset
import numpy as np
import torch
from _pictures import (
    SIZE,
    FeatureSet,
    Scaler,
    change,
    frechet_distance,
    largest_jump,
    looks,
    mean_distance,
    nearest,
    step_sizes,
    thumbnails,
    to_bytes,
)
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from livelav.core.normals import normals
from livelav.core.values import W_DIM, Bytes, Floats
from livelav.generate.files import read_checkpoint, write_checkpoint
from livelav.generate.layout import Config
from livelav.generate.library import Generator, find_model, load_generator
from livelav.generate.statistics import w_mean_and_std, w_samples
from livelav.generate.stylegan2 import MappingNetwork, StyleGAN2
from livelav.mapping.mapper import layer_group

EVALUATION_SEED = 1_000  # of the training images to compare with; training takes small numbers
Z_SEED = 2_000
SAMPLES, CIRCLES, PAIRS = 0, 1, 2  # streams of Z_SEED
GROUPS = ("coarse", "middle", "fine")
BATCH = 16
DIVERSITY_IMAGES = 1_000
NEIGHBOURS, NEIGHBOUR_PX = 1_000, 32
SEEN_PX = 128  # enough for thumbnails
CLOSEST = 0.01  # the share of new training images that are called suspiciously near to one trained on
CIRCLE_COUNT, STEPS = 8, 100
PAIR_COUNT = 100  # of pictures whose styles are mixed
PAIRS_AT = 10_000_000  # index of training images that no other use here reaches

Figures = dict[str, Any]


# ---- the training set


@dataclass(frozen=True, slots=True)
class Gallery:
    """Some pictures, as far as they are needed again."""

    features: NDArray[np.float64]  # [n, d]; empty where they were not asked for
    small: Bytes  # [n, 32, 32, 3]

    @classmethod
    def of(cls, batches: Iterable[Bytes], features: FeatureSet | None) -> "Gallery":
        found: list[NDArray[np.float64]] = []
        small: list[Bytes] = []
        for pictures in batches:
            small.append(thumbnails(pictures, NEIGHBOUR_PX))
            if features is not None:
                found.append(features(pictures))
        return cls(np.concatenate(found) if found else np.empty((0, 0)), np.concatenate(small))


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Three disjoint sets of training images: two new ones, and some that a model was trained on."""

    new: Gallery
    other: Gallery
    seen: Gallery
    scaler: Scaler  # of the features of `new`
    seen_starts: NDArray[np.int64]  # where in the stream each batch of `seen` begins
    seen_seed: int

    def seen_pictures(self, indices: NDArray[np.int64], size: int) -> Bytes:
        """Members of `seen` drawn anew at `size` px."""
        places = [int(self.seen_starts[i // BATCH]) + int(i % BATCH) for i in indices]
        return np.concatenate([training_pictures(self.seen_seed, place, 1, size) for place in places])


def training_pictures(seed: int, index: int, count: int, size: int) -> Bytes:
    """[count, size, size, 3]: from the endless stream `seed`, rounded to bytes as generators' images are."""
    return to_bytes(dataset.render(dataset.draw(seed, index, count), size))


def training_set(features: FeatureSet, count: int, seen_seed: int, seen_images: int) -> TrainingSet:
    """`count` images thrice; those seen are spread evenly over the `seen_images` that training took."""
    starts = np.arange(0, count, BATCH)
    seen_starts = np.linspace(0, max(seen_images - BATCH, 0), len(starts)).astype(np.int64)

    def draw(what: str, seed: int, starts: NDArray[np.int64], size: int = SIZE) -> Iterator[Bytes]:
        for index in _progress(starts, what):
            yield training_pictures(seed, int(index), BATCH, size)

    new = Gallery.of(draw("training images", EVALUATION_SEED, starts), features)
    other = Gallery.of(draw("training images again", EVALUATION_SEED, starts + len(starts) * BATCH), features)
    seen = Gallery.of(draw("training images seen", seen_seed, seen_starts, SEEN_PX), None)
    return TrainingSet(new, other, seen, Scaler.of(new.features), seen_starts, seen_seed)


def training_figures(training: TrainingSet) -> Figures:
    """What the best of generators would get: new training images held against other new training images."""
    new, other = training.scaler(training.new.features), training.scaler(training.other.features)
    factors = dataset.draw(EVALUATION_SEED, PAIRS_AT, 2 * PAIR_COUNT)
    base, unrelated = factors[:PAIR_COUNT], factors[PAIR_COUNT:]
    mixed = {group: replace(base, **{group: getattr(unrelated, group)}) for group in GROUPS}
    pictures = {name: to_bytes(dataset.render(those, SIZE)) for name, those in mixed.items()}
    return {
        "frechet": frechet_distance(new, other),
        "diversity": mean_distance(other[:DIVERSITY_IMAGES]) / mean_distance(new[:DIVERSITY_IMAGES]),
        "neighbours": neighbour_figures(training.other.small[:NEIGHBOURS], training),
        "mixing": mixing_figures(
            to_bytes(dataset.render(base, SIZE)), pictures, to_bytes(dataset.render(unrelated, SIZE))
        ),
    }


# ---- a generator


@dataclass(frozen=True, slots=True)
class Model:
    """One generator on its engine, and its mapping network."""

    name: str
    generator: Generator
    mapping: MappingNetwork
    config: Config

    @classmethod
    def load(cls, name_or_path: str, backend: str, threads: int) -> "Model":
        """Raises ModelError, BackendError."""
        checkpoint = read_checkpoint(find_model(name_or_path))
        generator = load_generator(name_or_path, backend, threads)
        mapping = StyleGAN2.from_tensors(checkpoint.config, checkpoint.tensors).mapping
        return cls(generator.name, generator, mapping, checkpoint.config)

    @torch.inference_mode()
    def w(self, z: NDArray[np.float64]) -> Floats:
        """[n, 512] to [n, 512]."""
        w: Floats = self.mapping(torch.from_numpy(z).float()).numpy()
        return w

    def by_group(self, coarse: Floats, middle: Floats, fine: Floats) -> Floats:
        """One w [n, 512] for each layer group to ws [n, num_ws, 512]."""
        groups = [layer_group(resolution) for resolution in self.generator.stats.resolutions]
        return np.stack([coarse, middle, fine], axis=1)[:, groups]

    def everywhere(self, w: Floats) -> Floats:
        """The same w [n, 512] for all layers: ws [n, num_ws, 512]."""
        return self.by_group(w, w, w)

    def pictures(self, ws: Floats) -> Iterator[Bytes]:
        """Of each ws [num_ws, 512] in turn: [h, w, 3]."""
        for one in ws:
            yield self.generator.synthesize(one)[..., :3]


def write_untrained(config: Config, folder: Path) -> Path:
    """A network of `config` as StyleGAN2's training would begin: ordinary random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(Z_SEED)
        network = StyleGAN2(config)
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    tensors = {name: tensors[name] for name in config.tensor_shapes}
    w_mean, w_std = w_mean_and_std(w_samples(config, tensors))
    path = folder / "untrained.safetensors"
    write_checkpoint(path, config, tensors | {"mapping.w_avg": w_mean}, w_mean, w_std)
    return path


def generator_figures(model: Model, features: FeatureSet, training: TrainingSet) -> Figures:
    """Everything about one generator that needs no other."""
    z = normals(Z_SEED, SAMPLES, (len(training.new.features), W_DIM))
    made = Gallery.of(sampled(model, z), features)
    scaled = training.scaler(made.features)
    real = training.scaler(training.new.features)
    w_one, w_two = (model.w(part) for part in normals(Z_SEED, PAIRS, (2, PAIR_COUNT, W_DIM)))
    base, other = (np.stack(list(model.pictures(model.everywhere(w)))) for w in (w_one, w_two))
    mixed = {group: np.stack(list(model.pictures(mixed_ws(model, w_one, w_two, group)))) for group in GROUPS}
    return {
        "sha256": model.generator.sha256,
        "backend": model.generator.backend_name,
        "frechet": frechet_distance(real, scaled),
        "diversity": mean_distance(scaled[:DIVERSITY_IMAGES]) / mean_distance(real[:DIVERSITY_IMAGES]),
        "neighbours": neighbour_figures(made.small[:NEIGHBOURS], training),
        "smoothness": {"z": circle_figures(model, z_circle), "w_by_group": circle_figures(model, w_circle)},
        "mixing": mixing_figures(base, mixed, other),
    }


def sampled(model: Model, z: NDArray[np.float64]) -> Iterator[Bytes]:
    """Pictures of z [n, 512], in batches."""
    for start in _progress(range(0, len(z), BATCH), model.name):
        yield np.stack(list(model.pictures(model.everywhere(model.w(z[start : start + BATCH])))))


def neighbour_figures(small: Bytes, training: TrainingSet) -> Figures:
    """How near pictures are to the most alike of the training images seen, and of as many that were not.

    Who copies is nearer to what was seen. `suspicious` is the share of pictures for which the one distance over the
    other is smaller than for all but 1 % of new training images: about 0.01 where nothing is copied, however plain
    the pictures are. Distances are rms over pixels, of 1.
    """
    seen, new = nearest(small, training.seen.small).distance, nearest(small, training.new.small).distance
    others = training.other.small[:NEIGHBOURS]
    by_chance = nearest(others, training.seen.small).distance / nearest(others, training.new.small).distance
    return {
        "closest": float(seen.min()),
        "median": float(np.median(seen)),
        "median_to_new": float(np.median(new)),
        "suspicious": float(np.mean(seen / np.maximum(new, 1e-6) < np.quantile(by_chance, CLOSEST))),
    }


def z_circle(model: Model, number: int) -> Floats:
    """ws [101, num_ws, 512] once round a random great circle of z."""
    one, two = normals(Z_SEED, CIRCLES, (CIRCLE_COUNT, 2, W_DIM))[number]
    two = two - one * (one @ two) / (one @ one)
    two *= np.linalg.norm(one) / np.linalg.norm(two)
    return model.everywhere(model.w(_round(one, two)))


def w_circle(model: Model, number: int) -> Floats:
    """The same as sound moves: independent Gaussians per dimension of W, another circle for each layer group."""
    stats = model.generator.stats
    ends = normals(Z_SEED, CIRCLES, (CIRCLE_COUNT, len(GROUPS), 2, W_DIM))[number]
    coarse, middle, fine = ((stats.mean + stats.std * _round(*pair)).astype(np.float32) for pair in ends)
    return model.by_group(coarse, middle, fine)


def _round(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    angle = 2.0 * np.pi * np.arange(STEPS + 1)[:, None] / STEPS
    circle: NDArray[np.float64] = np.cos(angle) * one + np.sin(angle) * two
    return circle


def circle_figures(model: Model, circle: Callable[[Model, int], Floats]) -> Figures:
    """Steps of 1 % of the way: mean change of a pixel, of 1, and the worst circle's largest over its median."""
    circles = [step_sizes(model.pictures(circle(model, number))) for number in range(CIRCLE_COUNT)]
    return {
        "median_step": float(np.median(np.concatenate(circles))),
        "largest_jump": max(largest_jump(steps) for steps in circles),
    }


def mixed_ws(model: Model, base: Floats, other: Floats, group: str) -> Floats:
    """`base` with the layers of one group driven by `other`; both w [n, 512]."""
    return model.by_group(*(other if name == group else base for name in GROUPS))


def mixing_figures(base: Bytes, mixed: dict[str, Bytes], other: Bytes) -> Figures:
    """What each layer group changes, of what another picture altogether would."""
    before, unrelated = looks(base), looks(other)
    return {group: change(before, looks(pictures), unrelated) for group, pictures in mixed.items()}


def _progress(items: Any, what: str) -> Any:
    console = Console(stderr=True)
    return track(items, what, console=console, disable=not console.is_terminal)
