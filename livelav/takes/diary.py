"""What a synth writes down of what its stages heard, and by which settings, in order; the taker reads it.

So a take is of the very sound that the show was made of: from the sample on with which the stages began, with the
silence that a synth heard where no sound came, and with settings that change where they did. Knows no process; written
in a synth, read in the taker.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from livelav.core.scene import PACKED
from livelav.core.shm import Rows


@dataclass(frozen=True, slots=True)
class Entry:
    """One block, before it is heard: either the ring's samples that end at `position`, or silence of its own."""

    begins: bool  # before it, the stages begin anew: they remember nothing of what came before
    write: int  # of the ring, in which the next sample lies
    position: int  # that sample's running number
    samples: int  # of the ring
    silence: int  # samples
    captured_s: float  # when the last one reached us
    rate_hz: float
    told: tuple[float, ...]  # a Wanted, packed


_FACTS = 7


class Diary:
    """Shared memory for half a minute. One writer: the synth that sits there."""

    def __init__(self) -> None:
        self._rows = Rows(_FACTS + PACKED)

    def add(self, entry: Entry) -> None:
        """Writer only. Never blocks."""
        place = entry.write, entry.position
        counts = entry.samples, entry.silence
        self._rows.write([entry.begins, *place, *counts, entry.captured_s, entry.rate_hz, *entry.told])

    def since(self, number: int) -> Iterator[tuple[int, Entry]]:
        """(the next one's number, entry) from that number on, as far as they are written and still stand."""
        while found := self._rows.read(number):
            at, (begins, write, position, samples, silence, captured_s, rate_hz, *told) = found
            number = at + 1
            place = int(write), int(position)
            counts = int(samples), int(silence)
            yield number, Entry(bool(begins), *place, *counts, captured_s, rate_hz, tuple(told))
