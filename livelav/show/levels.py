"""The level field whose lines are drawn: a smooth, signed mix of an image's channels, and how far it spreads.

A generator's noise would make lines along single pixels ragged, so the field is built from 64 means each way. The
spread makes `show.density` mean the same for pale and for glaring pictures. Numpy only, and no matrix products: they
would wake the threads of its BLAS, which go on spinning on cores that the generator needs. Runs in main.
"""

import math

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Bytes, Floats

CELLS = 64
MIX = (0.5 / 255, 0.9 / 255, -0.6 / 255)  # signed: lines follow changes of hue and not of light alone
LEAST_SPREAD = 0.03  # an even picture's grain is not made into lines
FOLLOW_S = 0.7


def level_field(pixels: Bytes) -> Floats:
    """[CELLS, CELLS] smoothed means of the level, for pixels [height, width, 4]; colours 0..1."""
    height, width, _ = pixels.shape
    # two samples a cell each way say enough: the cost is the same for every size of image
    rows, columns = ((np.arange(2 * CELLS) * n + n // 2) // (2 * CELLS) for n in (height, width))
    red, green, blue = np.moveaxis(pixels[rows].take(columns, axis=1)[..., :3].astype(np.float32), -1, 0)
    level = red * np.float32(MIX[0]) + green * np.float32(MIX[1]) + blue * np.float32(MIX[2])
    level = level[:, ::2] + level[:, 1::2]
    level = 0.25 * (level[::2] + level[1::2])
    wide = np.pad(level, 1, mode="edge")
    down = 0.25 * (wide[:-2] + wide[2:]) + 0.5 * wide[1:-1]
    return np.asarray(0.25 * (down[:, :-2] + down[:, 2:]) + 0.5 * down[:, 1:-1], np.float32)


class Spline:
    """The cubic B-spline through CELLS rows, at the centres of `count` rows of pixels."""

    def __init__(self, count: int) -> None:
        at = (np.arange(count) + 0.5) * CELLS / count - 0.5
        base = np.floor(at).astype(int)
        t = at - base
        weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]) / 6
        self._rows: NDArray[np.intp] = np.clip(base + np.arange(-1, 3)[:, None], 0, CELLS - 1)
        self._weights: Floats = weights.astype(np.float32)[:, :, None]

    def __call__(self, level: Floats) -> Floats:
        """[count, n] from [CELLS, n]."""
        out = self._weights[0] * level[self._rows[0]]
        for weight, rows in zip(self._weights[1:], self._rows[1:], strict=True):
            out += weight * level[rows]
        return np.asarray(out, np.float32)


class LevelRange:
    """Centre and spread of the level, followed slowly: a new image must not make every line jump."""

    def __init__(self) -> None:
        self._target: tuple[float, float] | None = None
        self.centre, self.spread = 0.0, 1.0

    def aim(self, level: Floats) -> None:
        """Takes what a new image has; the first one at once."""
        first = self._target is None
        self._target = float(level.mean()), max(float(level.std()), LEAST_SPREAD)
        if first:
            self.centre, self.spread = self._target

    def step(self, dt: float) -> None:
        """Goes on towards it for `dt` seconds."""
        if self._target is not None:
            gain = -math.expm1(-dt / FOLLOW_S)
            self.centre += gain * (self._target[0] - self.centre)
            self.spread += gain * (self._target[1] - self.spread)
