"""A sequencer's MIDI clock to a tempo: 24 ticks a beat, each of them late by some milliseconds, the tempo steady.

Wires lose a tick now and then. After a gap in which some may have been lost it is seen where the following ones come:
on the beat as it was, so much further on, or late and then close together, or slower from now on.

Source: MIDI 1.0 Detailed Specification 4.2.1 (timing clock, start, continue, stop). Knows no port and no clock.
"""

from collections import deque
from statistics import median

from livelav.control.messages import TransportKind
from livelav.core.tempo import Tempo, fitted

TICKS_A_BEAT, TICKS_A_SIXTEENTH = 24, 6
_REMEMBERED = 4 * TICKS_A_BEAT
_FEWEST = 12  # ticks before a tempo is told
_GAP_S = 0.5  # slower is no clock: 5 beats a minute
_LONG = 1.5  # ticks from one to the next: one may have been lost
_MOST_LOST = 6  # at once; where more are missing the sequencer has paused
_WATCHED = 12  # ticks after a gap, by which is seen what it was


class ClockFollower:
    """One port's clock."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)  # (number since the start, when)
        self._number = 0
        self._stopped: int | None = None  # where the song stands, while it does: some go on ticking
        self.starts = 0  # how often the song was started, or put to another place
        self._before: Tempo | None = None  # of the ticks before a gap; None: there was none lately
        self._gap_number = self._since_gap = 0  # the first tick after it; how many there were after the latest one

    def step(self, kind: TransportKind, at_s: float) -> Tempo | None:
        """The tempo, once with every beat; None in between, and where it is not known yet."""
        match kind:
            case "start":  # the next tick is the first of a bar
                self.go_to(0)
                self._stopped = None
            case "stop":
                self._forget()
                self._stopped = self._number
            case "continue":
                self._forget()
                self._number = self._number if self._stopped is None else self._stopped
                self._stopped = None
            case "clock":
                return self._tick(at_s)
        return None

    def go_to(self, sixteenths: int) -> None:
        """The song stands there, in sixteenths from its start; the next tick is the first behind it."""
        self._forget()
        self._number = sixteenths * TICKS_A_SIXTEENTH
        self._stopped = self._number if self._stopped is not None else None
        self.starts += 1

    def _tick(self, at_s: float) -> Tempo | None:
        if self._ticks and not 0.0 <= at_s - self._ticks[-1][1] < _GAP_S:
            self._forget()
        self._watch(at_s)
        self._ticks.append((self._number, at_s))
        self._number += 1
        if self._before and self._since_gap == _WATCHED:
            self._count_lost(self._before)
        if len(self._ticks) < _FEWEST or (self._number - 1) % TICKS_A_BEAT:
            return None
        return self._tempo(_REMEMBERED)

    def _watch(self, at_s: float) -> None:
        """Looks for a gap before a tick that comes now."""
        if len(self._ticks) < _FEWEST:
            return
        first, last = self._ticks[-min(len(self._ticks), TICKS_A_BEAT)], self._ticks[-1]
        is_long = at_s - last[1] > _LONG * (last[1] - first[1]) / (last[0] - first[0])
        self._since_gap = 1 if is_long else self._since_gap + 1
        if is_long and not self._before:
            self._before, self._gap_number = self._tempo(TICKS_A_BEAT), self._number
        elif self._number - self._gap_number > 2 * TICKS_A_BEAT:
            self._before = None  # gap upon gap: it is another tempo, or nobody can say

    def _count_lost(self, before: Tempo) -> None:
        """Numbers the ticks since the gap anew, where some before them were lost."""
        self._before = None
        since = [self._ticks.pop() for _ in range(_WATCHED)][::-1]
        late = [before.beats(at_s) * TICKS_A_BEAT - number for number, at_s in since]  # ticks
        half = _WATCHED // 2
        lost = round(median(late[half:]))
        if not 1 <= lost <= _MOST_LOST or abs(median(late[half:]) - median(late[:half])) > 0.5:
            lost = 0  # they were late themselves, or the tempo is another one
        self._ticks.extend((number + lost, at_s) for number, at_s in since)
        self._number += lost

    def _tempo(self, count: int) -> Tempo | None:
        """By so many of the last ticks; None where they came all at once."""
        numbers, times_s = zip(*list(self._ticks)[-count:], strict=True)
        return fitted(times_s, numbers, TICKS_A_BEAT) if times_s[-1] > times_s[0] else None

    def _forget(self) -> None:
        self._ticks.clear()
        self._before = None
