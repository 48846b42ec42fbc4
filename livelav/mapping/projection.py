"""The fixed random linear map from sound to W, and the other seeded vectors.

One seed gives the same numbers for ever and on every machine (`core.normals`).
Source: LAV (arXiv 2505.10101), section on the random projection.
"""

import math

import numpy as np

from livelav.core.normals import normals
from livelav.core.values import CHROMA_BINS, EMBEDDING_DIM, W_DIM, Floats

# Which of a seed's independent streams feeds what: part of the format, never renumbered. From LATENTS on, one each.
PROJECTION, ONSET, CHROMA, LATENTS = 0, 1, 2, 16


def projection(seed: int) -> Floats:
    """A [512, 128]: i.i.d. normal with variance 1/128, so that a unit-variance embedding stays one."""
    return (normals(seed, PROJECTION, (W_DIM, EMBEDDING_DIM)) / math.sqrt(EMBEDDING_DIM)).astype(np.float32)


def onset_direction(seed: int) -> Floats:
    """[512], unit variance per dimension: where an attack pushes."""
    return normals(seed, ONSET, (W_DIM,)).astype(np.float32)


def chroma_vectors(seed: int) -> Floats:
    """[12, 512], unit variance per dimension: where each pitch class pulls."""
    return normals(seed, CHROMA, (CHROMA_BINS, W_DIM)).astype(np.float32)


def latent(seed: int, number: int) -> Floats:
    """[512], unit variance per dimension: a place in W to be at, the one of that number."""
    return normals(seed, LATENTS + number, (W_DIM,)).astype(np.float32)
