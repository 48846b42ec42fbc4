"""From normalised embedding to w: leaky tanh, scale to W, and what the hand-made features add.

Sources: LAV (arXiv 2505.10101) for the leaky tanh and the scaling; Brouwer (2020, 2022) for onset and chroma.
"""

from typing import Literal

import numpy as np

from livelav.core.values import Floats, WStats

Placement = Literal["inside", "outside"]

# Music peaks at about a quarter of full scale in rms; loudness 1 means that.
_FULL_RMS = 0.25


def leaky_tanh(x: Floats, slope: float) -> Floats:
    """tanh(x) + slope * x: bounds the bulk, keeps a trace of the outliers."""
    return np.asarray(np.tanh(x) + np.float32(slope) * x)


def scale_to_w(n: Floats, stats: WStats, y: float, slope: float, placement: Placement) -> Floats:
    """n [512], about unit variance, to w [512].

    `inside` bounds before scaling, which keeps the centre of W where it is; `outside` is the paper's wording, for
    models whose W lies within +-1.
    """
    if placement == "inside":
        return stats.mean + stats.std * leaky_tanh(np.float32(y) * n, slope)
    return leaky_tanh(stats.mean + np.float32(y) * stats.std * n, slope)


def push(onset: float, chroma: Floats, direction: Floats, vectors: Floats, amounts: tuple[float, float]) -> Floats:
    """What to add to n's scale, [512] in units of W's standard deviation: amounts are (onset, chroma)."""
    return np.float32(amounts[0] * onset) * direction + np.float32(amounts[1]) * (chroma @ vectors)


def loudness(rms: float) -> float:
    """0 in silence, 1 in loud music."""
    return min(rms / _FULL_RMS, 1.0)
