"""A controller that nobody holds: sends moves at random moments and says when. One half of a measurement of hands.

Body of a small process of its own. Not part of a show.
"""

import contextlib
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from livelav.core.errors import MidiError
from livelav.core.quiet import mute_drivers
from livelav.core.shm import StopFlag

PORT = "bench"


def play_controller(
    moves: Sequence[Sequence[int]], apart_s: tuple[float, float], times: Connection, stop: StopFlag
) -> None:
    """Sends `moves` in turn, so far apart (least, most), and the monotonic time at which each was handed over.

    Raises MidiError where no port can be opened that others see.
    """
    port, rng, count = open_controller(PORT), np.random.default_rng(0), 0
    with contextlib.suppress(BrokenPipeError):
        while not stop.wait(rng.uniform(*apart_s)):
            times.send(time.monotonic())
            port.send_message(moves[count % len(moves)])
            count += 1
    port.delete()


def open_controller(name: str) -> Any:
    """A port `out` of a controller of that name, in the first MIDI system that this machine runs: the one that a show
    listens to.

    Raises MidiError where none can be made.
    """
    import rtmidi

    mute_drivers()
    for api in rtmidi.get_compiled_api():
        try:
            port = rtmidi.MidiOut(api, name=name)
            port.open_virtual_port("out")
            return port
        except (rtmidi.RtMidiError, NotImplementedError, OSError):
            continue
    raise MidiError("no MIDI port can be made here (Windows has none); sudo modprobe snd-seq, or start JACK")
