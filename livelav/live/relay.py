"""What the synth that plays hands to the one that comes: all that its stages remember of the sound, at one sample.

The one that comes asks, the one that plays answers between two blocks; from that sample on both hear the same and make
the same of it. Bytes are pickled, as multiprocessing's own pipes do it: they lie in memory that only our processes map,
and never in a file. Runs in synth processes.
"""

import pickle
from dataclasses import dataclass

import numpy as np

from livelav.chain import Chain
from livelav.core.scene import Wanted
from livelav.core.shm import Board, Latest
from livelav.mapping.blend import Blend

_LARGEST = 1 << 25  # bytes; four mappings at 150 frames a second take 20 MB, one at 75 takes 3
_PROTOCOL = 5


@dataclass(frozen=True, slots=True)
class Baton:
    """One synth's memory, without what it knows by itself: weights, and the model."""

    encoder: str
    chain: Chain
    blend: Blend
    wanted: Wanted  # what main wanted when this was heard
    wanted_seen: int
    write: int  # of the ring, in which the next sample lies
    position: int  # its running number
    rate_hz: float
    accounted_s: float  # sound up to then was heard, or is still awaited


class Relay:
    """Shared memory. `ask` and `taken` are for the one that comes, `asked` and `give` for the one that plays."""

    def __init__(self) -> None:
        self._asks, self._given = Board(("count",)), Latest(_LARGEST, "u1")

    @property
    def asked(self) -> float:
        """How often somebody asked."""
        return self._asks["count"]

    def ask(self) -> int:
        """Asks; returns how many answers there were before."""
        self._asks["count"] += 1
        return self._given.published

    def give(self, baton: Baton) -> None:
        """Answers, unless that is too much to tell."""
        content = pickle.dumps(baton, _PROTOCOL)
        if len(content) <= _LARGEST:
            self._given.publish(np.frombuffer(content, np.uint8))

    def taken(self, before: int) -> Baton | None:
        """The answer, if there is one, to who was told of so many `before`."""
        if (newest := self._given.read(before)) is None:
            return None
        baton: Baton = pickle.loads(newest[1].tobytes())
        return baton
