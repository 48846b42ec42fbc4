"""The fixed random linear map from sound to W, and the other seeded vectors.

One seed gives the same numbers for ever and on every machine: raw PCG64 bits (whose stream numpy guarantees) are
made into normals here, by Box and Muller, because numpy may change how its own normals are drawn.
Source: LAV (arXiv 2505.10101), section on the random projection.
"""

import math

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import CHROMA_BINS, EMBEDDING_DIM, W_DIM, Floats

# Which of a seed's independent streams feeds what: part of the format, never renumbered.
PROJECTION, ONSET, CHROMA = 0, 1, 2


def normals(seed: int, stream: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Independent standard normals, float64, fixed for ever by (seed, stream). `seed` is a whole number >= 0."""
    count = int(np.prod(shape))
    raw = np.random.PCG64([seed, stream]).random_raw(2 * count)
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # 53 bits, never 0 or 1
    radius = np.sqrt(-2.0 * np.log(uniform[:count]))
    normal: NDArray[np.float64] = radius * np.cos(2.0 * np.pi * uniform[count:])
    return normal.reshape(shape)


def projection(seed: int) -> Floats:
    """A [512, 128]: i.i.d. normal with variance 1/128, so that a unit-variance embedding stays one."""
    return (normals(seed, PROJECTION, (W_DIM, EMBEDDING_DIM)) / math.sqrt(EMBEDDING_DIM)).astype(np.float32)


def onset_direction(seed: int) -> Floats:
    """[512], unit variance per dimension: where an attack pushes."""
    return normals(seed, ONSET, (W_DIM,)).astype(np.float32)


def chroma_vectors(seed: int) -> Floats:
    """[12, 512], unit variance per dimension: where each pitch class pulls."""
    return normals(seed, CHROMA, (CHROMA_BINS, W_DIM)).astype(np.float32)
