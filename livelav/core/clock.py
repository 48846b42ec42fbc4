"""Time: one monotonic clock that all processes share, and one that tests move by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """What paces a loop."""

    def now_s(self) -> float:
        """Seconds, never going back."""
        ...

    def sleep(self, seconds: float) -> None: ...


class MonotonicClock:
    """The machine's. CLOCK_MONOTONIC is the same in every process, so its readings may cross between them."""

    def now_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class FakeClock:
    """Moves only when told, or when somebody sleeps on it."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._now_s += max(seconds, 0.0)


class Pacer:
    """Says when the next of evenly spaced moments is due; late ones are skipped, never made up for."""

    def __init__(self, rate_hz: float, now_s: float) -> None:
        self.period_s = 1.0 / rate_hz
        self.due_s = now_s

    def advance(self, now_s: float) -> int:
        """Moves `due_s` behind `now_s` by whole periods; returns how many moments were missed."""
        if now_s < self.due_s - 0.5 * self.period_s:
            return 0  # nobody is that early but a display of another pace
        steps = max(int((now_s - self.due_s) / self.period_s) + 1, 1)
        self.due_s += steps * self.period_s
        return steps - 1
