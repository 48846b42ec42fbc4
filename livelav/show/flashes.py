"""The flash limiter: holds light back where a large part of the picture would flash more often than is safe.

A flash is a rise and a fall of relative luminance by 0.1 or more of full white, from below 0.8; or of saturated red, by
how much it outshines green and blue, by 1/16 or more. What counts is how many of either a place shows within a second,
where over a quarter of the picture does so at the same time: a light that moves across flashes each place in turn, and
may. A rise too many is not let through: the whole picture is dimmed until it is none.

Source: WCAG 2.2, success criterion 2.3.1, general and red flashes. Knows no clock.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Bytes, Floats

SAMPLED = (64, 36)  # pixels across and down that a picture is judged by
BLOCK = 4  # of them make a place, by each side
OFF = 60.0  # flashes a second: a limit that limits nothing

_STEP = np.array([0.1, 20 / 320], np.float32)[:, None, None]  # of luminance, of red
_DARKER_THAN = np.array([0.8, np.inf], np.float32)[:, None, None]  # where a rise begins that counts
_AREA, _WINDOW_S = 0.25, 1.0
_SATURATED = 0.8  # red's share of all three
_JUST_NONE = 0.95 * _STEP  # what is let through of a rise that must be none
_RELEASE_S = 0.4  # in which the light doubles once nothing flashes any more
_GAMMA = 2.2
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)

Mask = NDArray[np.bool_]


def places(pixels: Bytes) -> Floats:
    """[2, 9, 16]: relative luminance and excess of saturated red, both 0..1, of each place of a picture [36, 64, 4]."""
    linear = (pixels[..., :3] / np.float32(255.0)) ** np.float32(_GAMMA)
    red, others = linear[..., 0], linear[..., 1] + linear[..., 2]
    excess = np.where(red >= _SATURATED * (red + others), np.maximum(red - others, 0.0), np.float32(0.0))
    both = np.stack([linear @ _WEIGHTS, excess])
    _, height, width = both.shape
    mean: Floats = both.reshape(2, height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean(axis=(2, 4))
    return mean


class FlashLimiter:
    """Told of every picture before it is shown. `acts` while it holds light back."""

    def __init__(self) -> None:
        self._extreme: Floats | None = None  # of each place since its last change of direction, as it was shown
        self._is_up = np.zeros(0, bool)
        self._rises: deque[tuple[float, Mask]] = deque()  # of the last second
        self._counts = np.zeros(0, np.int64)  # of them, for each place
        self._over_s = np.zeros(0)  # when a place last rose once too often, where it is up since; else long ago
        self._scale = 1.0  # of luminance, in the picture shown last
        self._shown_s = 0.0

    @property
    def acts(self) -> bool:
        return self._scale < 0.99

    def step(self, light: Floats, now_s: float, most: float) -> float:
        """What to multiply the picture's colours by, as displays take them; `most` flashes a second pass.

        `light` is [2, rows, columns], as `places` has it.
        """
        if self._extreme is None:
            self._extreme, self._is_up = light.copy(), np.zeros(light.shape, bool)
            self._over_s, self._counts = np.full(light.shape, -np.inf), np.zeros(light.shape, np.int64)
        since_s = min(max(now_s - self._shown_s, 0.0), 10.0 * _RELEASE_S)
        wanted = min(self._scale * 2.0 ** (since_s / _RELEASE_S), 1.0)
        self._shown_s = now_s
        while self._rises and now_s - self._rises[0][0] > _WINDOW_S:
            self._counts -= self._rises.popleft()[1]
        spent = ~self._is_up & (self._counts >= np.floor(most)) & (self._extreme < _DARKER_THAN)
        self._scale = wanted if most >= OFF else self._allowed(light, wanted, spent, now_s)
        self._note(self._scale * light, spent, now_s)
        return float(self._scale ** (1.0 / _GAMMA))

    def _allowed(self, light: Floats, wanted: float, spent: Mask, now_s: float) -> float:
        """The largest scale up to `wanted` at which no more than a quarter of all places are up once too often."""
        assert self._extreme is not None
        falling = self._is_up & (wanted * light <= self._extreme - _STEP)
        already = (now_s - self._over_s < _WINDOW_S) & ~falling
        highest = np.where(spent, (self._extreme + _JUST_NONE) / np.maximum(light, 1e-6), np.inf)
        for kind in range(len(light)):
            more = max(int(_AREA * light[kind].size) - int(already[kind].sum()), 0)  # so many may follow
            wanted = min(wanted, float(np.partition(highest[kind], more, axis=None)[more]))
        return wanted

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
            self._rises.append((now_s, rose))
            self._counts += rose
