"""Plays clicks into the default sink and says when each was written: one half of a latency measurement.

Body of a small process of its own. Not part of a show.
"""

import contextlib
import time
from multiprocessing.connection import Connection

import numpy as np

from livelav.core.shm import StopFlag

_RATE_HZ = 48000
_BLOCK = 256
_LOUD = 0.8
_APART_S = 2.0, 2.5  # the encoder remembers a click for 1.5 s


def play_clicks(times: Connection, stop: StopFlag) -> None:
    """Silence with a 4 ms burst of noise every 2 to 2.5 s; sends the monotonic time at which each was handed over."""
    import soundcard

    rng = np.random.default_rng(0)
    silence = np.zeros((_BLOCK, 2), np.float32)
    click = silence.copy()
    click[:200] = _LOUD * rng.uniform(-1, 1, (200, 1))
    due_s = time.monotonic() + 1.0
    with contextlib.suppress(BrokenPipeError), soundcard.default_speaker().player(_RATE_HZ, blocksize=_BLOCK) as player:
        while not stop.is_set():
            if time.monotonic() < due_s:
                player.play(silence)
                continue
            times.send(time.monotonic())
            player.play(click)
            due_s += rng.uniform(*_APART_S)
