"""A sequencer's MIDI clock to a tempo: 24 ticks a beat, each of them late by some milliseconds, the tempo steady.

Source: MIDI 1.0 Detailed Specification 4.2.1 (timing clock, start, continue, stop). Knows no port and no clock.
"""

from collections import deque

from livelav.control.messages import TransportKind
from livelav.core.tempo import Tempo, fitted

TICKS_A_BEAT = 24
_REMEMBERED = 4 * TICKS_A_BEAT
_FEWEST = 12  # ticks before a tempo is told
_GAP_S = 0.5  # slower is no clock: 5 beats a minute


class ClockFollower:
    """One port's clock."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)  # (number since the start, when)
        self._number = 0

    def step(self, kind: TransportKind, at_s: float) -> Tempo | None:
        """The tempo, once with every beat; None in between, and where it is not known yet."""
        match kind:
            case "start":  # the next tick is the first of a bar
                self._forget()
                self._number = 0
            case "continue" | "stop":
                self._forget()
            case "clock":
                return self._tick(at_s)
        return None

    def _tick(self, at_s: float) -> Tempo | None:
        if self._ticks and not 0.0 <= at_s - self._ticks[-1][1] < _GAP_S:
            self._forget()
        self._ticks.append((self._number, at_s))
        self._number += 1
        if len(self._ticks) < _FEWEST or (self._number - 1) % TICKS_A_BEAT:
            return None
        numbers, times_s = zip(*self._ticks, strict=True)
        return fitted(times_s, numbers, TICKS_A_BEAT) if times_s[-1] > times_s[0] else None

    def _forget(self) -> None:
        self._ticks.clear()
