"""Figures about the running program: memory and rates."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import psutil

from livelav.core.shm import Board

_SHORT_S = 2.0


class PeakMemory:
    """The largest resident size of this process at any of its calls."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._peak_mb = 0.0

    def peak_mb(self) -> float:
        """In MiB; shared libraries count in full in every process that maps them."""
        self._peak_mb = max(self._peak_mb, self._process.memory_info().rss / 2**20)
        return self._peak_mb


def stolen_s() -> float:
    """For how long the host of this virtual machine had its processors do something else while there was work, all of
    them together, in steps of 10 ms. 0 where there is no host, and where nobody says (macOS, Windows)."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


class Rate:
    """Events per second over the last two seconds, from a counter read now and then."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, float]] = deque()

    def step(self, count: float, now_s: float) -> float:
        """Takes the counter's reading; returns the rate (0 until two readings are known)."""
        if self._readings and now_s - self._readings[-1][0] > _SHORT_S:
            self._readings.clear()  # nobody looked meanwhile: what was then is not now
        self._readings.append((now_s, count))
        while len(self._readings) > 2 and now_s - self._readings[1][0] >= _SHORT_S:
            self._readings.popleft()
        then_s, then = self._readings[0]
        return (count - then) / (now_s - then_s) if now_s > then_s else 0.0


def picked(board: Board, *names: str) -> dict[str, int]:
    """Counters of a board as whole numbers."""
    return {name: int(board[name]) for name in names}


def rounded(values: Mapping[str, Any], digits: int = 4) -> dict[str, Any]:
    """Floats shortened for reading; anything else as it is."""
    return {k: round(v, digits) if isinstance(v, float) else v for k, v in values.items()}
