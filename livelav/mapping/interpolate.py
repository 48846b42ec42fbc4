"""Controls for a tick that falls between two encoder frames, where the display is faster than the encoder."""

import numpy as np

from livelav.core.values import Controls


def between(before: Controls, newest: Controls, share: float) -> Controls:
    """The way from `before` (share 0) to `newest` (share 1); at most one frame late."""
    if share >= 1.0:
        return newest
    share = max(share, 0.0)
    ws = before.ws + np.float32(share) * (newest.ws - before.ws)
    noise = before.noise + np.float32(share) * (newest.noise - before.noise)
    return Controls(ws, noise, newest.captured_s)
