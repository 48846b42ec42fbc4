"""Samples as 24 bits hold them: what a take keeps, and what is heard while a show is taken. Knows no file."""

import numpy as np

from livelav.core.values import Floats

FULL_SCALE = 1 << 23


def in_24_bits(samples: Floats) -> Floats:
    """The nearest that 24 bits can say, exact as float32; what is beyond full scale is cut off there."""
    whole = np.clip(np.rint(samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1)
    return np.asarray(whole * np.float32(1 / FULL_SCALE), np.float32)
