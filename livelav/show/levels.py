"""The level field whose lines are drawn: a smooth, signed mix of an image's channels, and how far it spreads.

A generator's noise would make lines along single pixels ragged, so the field is built from 64 means each way. The
spread makes `show.density` mean the same for pale and for glaring pictures. No matrix products: they would wake the
threads of numpy's BLAS, which go on spinning on cores that the generator needs. Runs in main.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Bytes, Floats

CELLS = 64
LEAST_SPREAD = 0.03  # an even picture's grain is not made into lines
FOLLOW_S = 0.7

# of red, green, blue; signed: lines follow changes of hue and not of light alone
_MIX = np.array([[0.5 / 255, 0.9 / 255, -0.6 / 255, 0.0]], np.float32)
_BELL = np.array([0.25, 0.5, 0.25], np.float32)


def level_field(pixels: Bytes) -> Floats:
    """[CELLS, CELLS] smoothed means of the level, for pixels [height, width, 4]; colours 0..1."""
    # two samples a cell each way say enough: the cost is the same for every size of image
    samples = cv2.resize(pixels, (2 * CELLS, 2 * CELLS), interpolation=cv2.INTER_NEAREST)
    cells = cv2.resize(samples.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    level = cv2.transform(cells, _MIX)
    return np.asarray(cv2.sepFilter2D(level, -1, _BELL, _BELL, borderType=cv2.BORDER_REPLICATE), np.float32)


class Spline:
    """The cubic B-spline through CELLS rows of `width` numbers, at the centres of `count` rows of pixels."""

    def __init__(self, count: int, width: int) -> None:
        at = (np.arange(count) + 0.5) * CELLS / count - 0.5
        base = np.floor(at).astype(int)
        t = at - base
        weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]) / 6
        self._rows: NDArray[np.intp] = np.clip(base + np.arange(-1, 3)[:, None], 0, CELLS - 1)
        self._weights: Floats = weights.astype(np.float32)[:, :, None]
        self._taken, self._sum = np.empty((2, count, width), np.float32)

    def __call__(self, level: Floats) -> Floats:
        """[count, width] from [CELLS, width]; valid until the next call."""
        for i, (weights, rows) in enumerate(zip(self._weights, self._rows, strict=True)):
            part = self._taken if i else self._sum
            np.take(level, rows, axis=0, out=part, mode="clip")
            np.multiply(part, weights, out=part)
            if i:
                np.add(self._sum, part, out=self._sum)
        return self._sum


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
