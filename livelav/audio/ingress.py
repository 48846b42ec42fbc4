"""From whatever a driver delivers to finite stereo: the one gate through which all sound comes in."""

from functools import cache

import numpy as np

from livelav.core.values import Floats

LIMIT = 8.0  # 18 dB over full scale: clipped sound passes as it is, absurd values do not

_HALF = 0.7071

# channels: gain of each into left; right is its mirror (order of WAV files: FL FR FC LFE ...; ITU-R BS.775, no LFE)
_SURROUND: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((1, 1),),
    2: ((1, 0), (0, 1)),
    3: ((1, 0), (0, 1), (_HALF, _HALF)),
    4: ((1, 0), (0, 1), (_HALF, 0), (0, _HALF)),
    5: ((1, 0), (0, 1), (_HALF, _HALF), (_HALF, 0), (0, _HALF)),
    6: ((1, 0), (0, 1), (_HALF, _HALF), (0, 0), (_HALF, 0), (0, _HALF)),
    7: ((1, 0), (0, 1), (_HALF, _HALF), (0, 0), (0.5, 0.5), (_HALF, 0), (0, _HALF)),
    8: ((1, 0), (0, 1), (_HALF, _HALF), (0, 0), (_HALF, 0), (0, _HALF), (_HALF, 0), (0, _HALF)),
}


@cache
def fold(channels: int) -> Floats:
    """Gains [channels, 2] into left and right; beyond 7.1 odd inputs go left, even ones right, at equal power."""
    if channels in _SURROUND:
        return np.array(_SURROUND[channels], np.float32)
    gains = np.zeros((channels, 2), np.float32)
    gains[0::2, 0], gains[1::2, 1] = 1, 1
    gains /= np.sqrt((gains**2).sum(0))
    return gains


def to_stereo(samples: Floats) -> tuple[Floats, int]:
    """Samples [n, channels] to a fresh [n, 2] within +-LIMIT, and how many values were NaN or infinite (now 0)."""
    finite = np.isfinite(samples)
    cleaned = samples.size - int(np.count_nonzero(finite))
    if cleaned:
        samples = np.where(finite, samples, np.float32(0))
    if samples.shape[1] != 2:
        # bounded first: the sum of huge values would be infinite again
        samples = np.clip(samples, -1e30, 1e30) @ fold(samples.shape[1])
    return np.clip(samples, -LIMIT, LIMIT), cleaned
