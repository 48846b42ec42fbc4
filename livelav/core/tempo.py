"""The beat: a tempo that runs by itself, tapped by hand or fitted to ticks. Knows no clock: the time is passed in."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

BEATS_A_BAR = 4
_MOST_TAPS = 16
_TAP_GAP_S = 2.5  # after so long a pause a tap begins anew
_TAP_JUMP = 0.3  # so much longer or shorter than the beat, and it begins anew, too


@dataclass(frozen=True, slots=True)
class Tempo:
    """Beats per minute, and a time at which a bar began."""

    bpm: float
    origin_s: float

    @property
    def period_s(self) -> float:
        """Length of a beat."""
        return 60.0 / self.bpm

    def beats(self, now_s: float) -> float:
        """Beats since the origin; the fraction is the phase."""
        return (now_s - self.origin_s) / self.period_s

    def next_s(self, now_s: float, every: float) -> float:
        """When the next multiple of `every` beats comes; now, where one is just here."""
        count = math.ceil(self.beats(now_s) / every - 1e-6)
        return self.origin_s + count * every * self.period_s

    def beside(self, other: "Tempo", now_s: float, step: float = 1.0) -> "Tempo":
        """The same beats, so counted (in multiples of `step`) that the bar goes on as with the other tempo."""
        apart = round((other.beats(now_s) - self.beats(now_s)) / step) * step
        return replace(self, origin_s=self.origin_s - apart * self.period_s)

    def at_bpm(self, bpm: float, now_s: float) -> "Tempo":
        """Another speed, and the same place in the bar."""
        return Tempo(bpm, now_s - self.beats(now_s) * 60.0 / bpm)

    def scaled(self, factor: float, now_s: float) -> "Tempo":
        """Twice or half as fast; the bar that plays now began when it did."""
        bar_s = self.origin_s + math.floor(self.beats(now_s) / BEATS_A_BAR) * BEATS_A_BAR * self.period_s
        return Tempo(self.bpm * factor, bar_s)

    def moved(self, seconds: float) -> "Tempo":
        """All beats later by so much."""
        return replace(self, origin_s=self.origin_s + seconds)


def fitted(times_s: Sequence[float], numbers: Sequence[int], per_beat: float = 1.0) -> Tempo:
    """The steady tempo nearest to moments that were counted `numbers` ticks from a bar's beginning.

    Least squares: single moments may come early or late, their tempo does not. At least two different numbers.
    """
    mean_s, mean = sum(times_s) / len(times_s), sum(numbers) / len(numbers)
    spread = sum((n - mean) ** 2 for n in numbers)
    tick_s = sum((n - mean) * (t - mean_s) for n, t in zip(numbers, times_s, strict=True)) / spread
    return Tempo(60.0 / (per_beat * tick_s), mean_s - mean * tick_s)


class Taps:
    """A hand that taps the beat; the first tap is a bar's first beat."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=_MOST_TAPS)
        self._first = 0  # number of the oldest one that is remembered

    def tap(self, now_s: float) -> Tempo | None:
        """The tempo so far; None where this is a first tap."""
        times = self._times_s
        if times:
            gap_s = now_s - times[-1]
            usual_s = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else gap_s
            if gap_s > _TAP_GAP_S or abs(gap_s - usual_s) > _TAP_JUMP * usual_s:
                times.clear()
                self._first = 0
        if len(times) == _MOST_TAPS:
            self._first += 1
        times.append(now_s)
        if len(times) < 2 or times[-1] <= times[0]:
            return None
        return fitted(times, range(self._first, self._first + len(times)))
