"""The flash limiter: holds light back where a large part of the picture would flash more often than is safe.

A flash is a rise and a fall of relative luminance by 0.1 or more of full white, from below 0.8. What counts is how
many of them a place shows within a second, where over a quarter of the picture does so at the same time: a light that
moves across flashes each place in turn, and may. A rise too many is not let through: the whole picture is dimmed until
it is none.

Source: WCAG 2.2, success criterion 2.3.1, general flashes (red flashes are not treated apart). Knows no clock.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Bytes, Floats

SAMPLED = (64, 36)  # pixels across and down that a picture is judged by
BLOCK = 4  # of them make a place, by each side
OFF = 60.0  # flashes a second: a limit that limits nothing

_STEP, _DARKER_THAN, _AREA, _WINDOW_S = 0.1, 0.8, 0.25, 1.0
_JUST_NONE = 0.95 * _STEP  # what is let through of a rise that must be none
_RELEASE_S = 0.4  # in which the light doubles once nothing flashes any more
_GAMMA = 2.2
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)

Mask = NDArray[np.bool_]


def places(pixels: Bytes) -> Floats:
    """Relative luminance, 0..1, of each place of a picture [36, 64, 4], 0..255."""
    linear = (pixels[..., :3] / np.float32(255.0)) ** np.float32(_GAMMA) @ _WEIGHTS
    height, width = linear.shape
    mean: Floats = linear.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean(axis=(1, 3))
    return mean


class FlashLimiter:
    """Told of every picture before it is shown. `acts` while it holds light back."""

    def __init__(self) -> None:
        self._extreme: Floats | None = None  # of each place since its last change of direction, as it was shown
        self._is_up = np.zeros(0, bool)
        self._rises: deque[tuple[float, Floats]] = deque()
        self._over_s = np.zeros(0)  # when a place last rose once too often, where it is up since; else long ago
        self._scale = 1.0  # of luminance, in the picture shown last
        self._shown_s = 0.0

    @property
    def acts(self) -> bool:
        return self._scale < 0.99

    def step(self, luminance: Floats, now_s: float, most: float) -> float:
        """What to multiply the picture's colours by, as displays take them; `most` flashes a second pass."""
        if self._extreme is None:
            self._extreme, self._is_up = luminance.copy(), np.zeros(luminance.shape, bool)
            self._over_s = np.full(luminance.shape, -np.inf)
        since_s = min(max(now_s - self._shown_s, 0.0), 10.0 * _RELEASE_S)
        wanted = min(self._scale * 2.0 ** (since_s / _RELEASE_S), 1.0)
        self._shown_s = now_s
        while self._rises and now_s - self._rises[0][0] > _WINDOW_S:
            self._rises.popleft()
        counts = sum((mask for _, mask in self._rises), np.zeros(luminance.shape, np.float32))
        spent = ~self._is_up & (counts >= np.floor(most)) & (self._extreme < _DARKER_THAN)
        self._scale = wanted if most >= OFF else self._allowed(luminance, wanted, spent, now_s)
        self._note(self._scale * luminance, spent, now_s)
        return float(self._scale ** (1.0 / _GAMMA))

    def _allowed(self, luminance: Floats, wanted: float, spent: Mask, now_s: float) -> float:
        """The largest scale up to `wanted` at which no more than a quarter of all places are up once too often."""
        assert self._extreme is not None
        falling = self._is_up & (wanted * luminance <= self._extreme - _STEP)
        already = (now_s - self._over_s < _WINDOW_S) & ~falling
        more = max(int(_AREA * luminance.size) - int(already.sum()), 0)  # so many may follow
        highest = np.where(spent, (self._extreme + _JUST_NONE) / np.maximum(luminance, 1e-6), np.inf)
        return float(min(wanted, np.partition(highest, more, axis=None)[more]))

    def _note(self, shown: Floats, spent: Mask, now_s: float) -> None:
        """Where each place stands now, and which rose; `spent` are those that should not have."""
        assert self._extreme is not None
        rose = ~self._is_up & (shown >= self._extreme + _STEP) & (self._extreme < _DARKER_THAN)
        fell = self._is_up & (shown <= self._extreme - _STEP)
        further = np.where(self._is_up, np.maximum(self._extreme, shown), np.minimum(self._extreme, shown))
        self._extreme = np.where(rose | fell, shown, further)
        self._is_up = (self._is_up | rose) & ~fell
        self._over_s = np.where(rose & spent, now_s, np.where(self._is_up, self._over_s, -np.inf))
        if rose.any():
            self._rises.append((now_s, rose.astype(np.float32)))
