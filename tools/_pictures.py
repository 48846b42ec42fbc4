"""What sets of pictures are like, in numbers: a fixed feature set, and the distances and figures made from it.

Knows no model, no training set and no file: arrays in, numbers out. The features are a random convolutional network
whose weights are drawn once and for ever from `core.normals`. So every model is judged alike, on every machine, and
nothing in the judge was trained on photographs. On each scale of an image pyramid two layers of random filters are
rectified, as in a scattering transform: the first sees edges and colour contrast, the second how they are arranged.

Sources: Heusel et al. 2017, arXiv 1706.08500 (Fréchet distance of Gaussians); Ustyuzhaninov et al. 2016,
arXiv 1606.00021 (random multi-scale filters describe texture); Bruna and Mallat 2013, arXiv 1203.1513 (scattering).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals
from livelav.core.values import Bytes

Array = NDArray[np.float64]

SIZE = 256  # px; what pictures are brought to, so that a smaller one counts as the blurred one that it is
SCALES = (256, 128, 64, 32, 16, 8)  # px
FIRST, SECOND = 8, 16  # filters per scale
LAYOUT = 4  # cells across of the smallest picture, which is kept as it is
MOMENTS_AT = 64  # px; where mean and covariance of colour are taken
WEIGHTS_SEED = 20_25
# Responses are taken as logarithms, since blur and grain are factors. An amplitude of two grey levels is all but
# invisible: below it the logarithm levels off, or else an unseen ripple would weigh as much as a missing line.
VISIBLE = 2 / 127.5


class FeatureSet:
    """Images to features [n, 345]: texture and contrast on six scales, layout, colour. Immutable."""

    def __init__(self) -> None:
        self._layers = [(_filters(2 * i, FIRST, 3), _filters(2 * i + 1, SECOND, FIRST)) for i in range(len(SCALES))]

    @torch.inference_mode()
    def __call__(self, pictures: Bytes) -> Array:
        """[n, h, w, 3] uint8 to [n, 345] float64. One picture's features do not depend on the others."""
        x = to_tensor(pictures)
        if x.shape[-1] != SIZE or x.shape[-2] != SIZE:
            shrinks = min(x.shape[-2:]) >= SIZE
            x = F.interpolate(x, (SIZE, SIZE), mode="area" if shrinks else "bicubic")
        found: list[Tensor] = []
        for size, (first, second) in zip(SCALES, self._layers, strict=True):
            x = x if size == SIZE else F.avg_pool2d(x, 2)
            edges = F.conv2d(x, first).abs()
            # the largest pictures skip every other place: a quarter of the work for the same statistics
            arranged = F.conv2d(edges, second, stride=2 if size >= 64 else 1).abs()
            found += [_strengths(edges), _strengths(arranged)]
            if size == MOMENTS_AT:
                found.append(_colour_moments(x))
        found.append(F.avg_pool2d(x, SCALES[-1] // LAYOUT).flatten(1))
        result: Array = torch.cat(found, dim=1).double().numpy()
        return result


def to_tensor(pictures: Bytes) -> Tensor:
    """[n, h, w, 3] uint8 to [n, 3, h, w] float32, -1..1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def to_bytes(images: Tensor) -> Bytes:
    """[n, 3, h, w], nominally -1..1, to [n, h, w, 3] uint8, as generators round."""
    pictures: Bytes = (images * 127.5 + 128.0).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return pictures


def _filters(stream: int, outputs: int, inputs: int) -> Tensor:
    """Random 3x3 kernels [outputs, inputs, 3, 3] of unit energy that are blind to even areas."""
    kernels = normals(WEIGHTS_SEED, stream, (outputs, inputs, 3, 3))
    kernels -= kernels.mean(axis=(2, 3), keepdims=True)
    kernels /= np.sqrt((kernels**2).sum(axis=(1, 2, 3), keepdims=True))
    return torch.from_numpy(kernels).float()


def _strengths(responses: Tensor) -> Tensor:
    """Per map of [n, c, h, w]: how strong it is, and how much of that is in few places. [n, 2c]."""
    mean = responses.mean((2, 3))
    spread = (responses.square().mean((2, 3)) - mean.square()).clamp_min(0.0).sqrt()
    strength = torch.log(mean + VISIBLE)
    return torch.cat([strength, torch.log(spread + VISIBLE) - strength], dim=1)


def _colour_moments(images: Tensor) -> Tensor:
    """[n, 9]: mean of red, green, blue and the upper triangle of their covariance."""
    pixels = images.flatten(2)
    mean = pixels.mean(2)
    centred = pixels - mean[..., None]
    covariance = centred @ centred.transpose(1, 2) / pixels.shape[2]
    row, column = np.triu_indices(3)
    return torch.cat([mean, covariance[:, row, column]], dim=1)


@dataclass(frozen=True, slots=True)
class Scaler:
    """Brings features to the mean 0 and the spread 1 that they have over a training set."""

    mean: Array
    std: Array

    @classmethod
    def of(cls, features: Array) -> "Scaler":
        return cls(features.mean(0), np.maximum(features.std(0), 1e-6))

    def __call__(self, features: Array) -> Array:
        return (features - self.mean) / self.std


def frechet_distance(a: Array, b: Array) -> float:
    """Between the Gaussians fitted to a [n, d] and b [m, d]; 0 where they agree. Both n and m should be well above d.

        |mean_a - mean_b|^2 + trace(A + B - 2 (A^1/2 B A^1/2)^1/2)

    The root's trace is a sum over eigenvalues of a symmetric matrix: nothing complex can arise.
    """
    assert min(len(a), len(b)) > 1, "a covariance needs at least two pictures"
    mean = a.mean(0) - b.mean(0)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(np.atleast_2d(cov_a))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    crossed = np.linalg.eigvalsh(root @ np.atleast_2d(cov_b) @ root)
    total = mean @ mean + np.trace(np.atleast_2d(cov_a)) + np.trace(np.atleast_2d(cov_b))
    return max(float(total - 2.0 * np.sqrt(np.maximum(crossed, 0.0)).sum()), 0.0)


def mean_distance(features: Array) -> float:
    """Between two different members of [n, d], on average."""
    return float(np.sqrt(_square_distances(features, features)).sum() / (len(features) * (len(features) - 1)))


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each of n pictures the most alike of m others."""

    index: NDArray[np.int64]  # [n], of the others
    distance: Array  # [n], rms over pixels and colours, of 1


def nearest(pictures: Bytes, others: Bytes) -> Nearest:
    """Among thumbnails [n, s, s, 3] and [m, s, s, 3] uint8."""
    pixels = pictures[0].size
    squares = _square_distances(*(p.reshape(len(p), pixels) / 255.0 for p in (pictures, others)))
    index = squares.argmin(1)
    return Nearest(index, np.sqrt(squares[np.arange(len(index)), index] / pixels))


def _square_distances(a: Array, b: Array) -> Array:
    """[n, m] between the rows of [n, d] and [m, d]; exactly 0 for a row and itself."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2.0 * a @ b.T
    if a is b:
        np.fill_diagonal(squares, 0.0)
    return np.maximum(squares, 0.0)


def thumbnails(pictures: Bytes, size: int) -> Bytes:
    """[n, h, w, 3] to [n, size, size, 3] by averaging; smaller ones are enlarged."""
    return to_bytes(F.interpolate(to_tensor(pictures), (size, size), mode="area"))


def step_sizes(pictures: Iterable[Bytes]) -> Array:
    """Mean change of a pixel, of 1, from each picture [h, w, 3] to the next."""
    return np.array([np.abs(b.astype(np.int16) - a).mean() / 255.0 for a, b in _pairs(pictures)])


def _pairs(pictures: Iterable[Bytes]) -> Iterator[tuple[Bytes, Bytes]]:
    before: Bytes | None = None
    for picture in pictures:
        if before is not None:
            yield before, picture
        before = picture


def largest_jump(steps: Array) -> float:
    """The largest step over the median one; 0 where nothing moves at all."""
    return float(steps.max() / max(np.median(steps), 1e-6))


@dataclass(frozen=True, slots=True)
class Looks:
    """Three descriptions of n pictures, each as blind to the other two as it can be."""

    layout: Array  # [n, 64] luminance of 8 x 8 cells, each picture's at mean 0 and norm 1: where it is light
    form: Array  # [n, 20] how edges of luminance share out over four directions and five scales
    colour: Array  # [n, 5] mean, spread and correlation of the two chroma axes, per mean light


@torch.inference_mode()
def looks(pictures: Bytes) -> Looks:
    """Of [n, h, w, 3] uint8."""
    x = F.interpolate(to_tensor(pictures), (SIZE, SIZE), mode="area")
    red, green, blue = (x.double() / 2 + 0.5).unbind(1)
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    cells = F.avg_pool2d(light[:, None], SIZE // 8).flatten(1).numpy()
    cells = cells - cells.mean(1, keepdims=True)
    cells = cells / np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-6)
    chroma = torch.stack([red - green, (red + green) / 2 - blue], 1).flatten(2)
    chroma = chroma / (light.mean((1, 2)) + VISIBLE)[:, None, None]
    mean, spread = chroma.mean(2), chroma.std(2)
    together = ((chroma - mean[..., None]).prod(1).mean(1) / (spread.prod(1) + VISIBLE**2))[:, None]
    return Looks(cells, _edge_shares(light), torch.cat([mean, spread, together], 1).numpy())


def _edge_shares(light: Tensor) -> Array:
    """Logarithms of edge energy by direction and scale [n, 20], less their mean: contrast alone changes nothing."""
    x = light[:, None]
    found: list[Tensor] = []
    for _ in range(5):
        upper, lower = x[:, :, :-1], x[:, :, 1:]
        edges = (
            lower - upper,
            x[..., 1:] - x[..., :-1],
            lower[..., 1:] - upper[..., :-1],
            lower[..., :-1] - upper[..., 1:],
        )
        found += [edge.square().mean((1, 2, 3)) for edge in edges]
        x = F.avg_pool2d(x, 2)
    shares = torch.log(torch.stack(found, 1) + VISIBLE**2)
    result: Array = (shares - shares.mean(1, keepdim=True)).numpy()
    return result


def change(before: Looks, after: Looks, unrelated: Looks) -> dict[str, float]:
    """How far `after` is from `before` in layout, form and colour; 1: as far as from an `unrelated` picture."""
    amounts: dict[str, float] = {}
    for name in ("layout", "form", "colour"):
        a, b, c = (getattr(those, name) for those in (before, after, unrelated))
        scale = np.maximum(np.concatenate([a, c]).std(0), 1e-6) if name != "layout" else 1.0
        far = np.linalg.norm((a - c) / scale, axis=1).mean()
        amounts[name] = float(np.linalg.norm((a - b) / scale, axis=1).mean() / far) if far > 0 else 0.0
    return amounts
