"""Sound that lies ready, delivered as a driver would: in small blocks, when their time has come."""

from livelav.core.clock import Clock
from livelav.core.values import Block, Floats

BLOCK_S = 0.005
_LATE_S = 0.5  # after a longer pause of the machine the rest is played from now on, not all at once


class PacedPlayer:
    """Hands out the blocks of a stream in real time, counted in samples against a clock, so it never drifts."""

    def __init__(self, rate_hz: int, clock: Clock) -> None:
        self.rate_hz, self._clock = rate_hz, clock
        self.block = max(round(rate_hz * BLOCK_S), 1)
        self._start_s = clock.now_s()
        self._played = 0

    def due_s(self, samples: int) -> float:
        """When the last of the next `samples` will have been heard."""
        return self._start_s + (self._played + samples) / self.rate_hz

    def wait(self, timeout_s: float) -> bool:
        """Sleeps until the next block is due, at most `timeout_s`; says whether it is."""
        now_s, due_s = self._clock.now_s(), self.due_s(self.block)
        if now_s - due_s > _LATE_S:
            self._start_s += now_s - due_s
            return True
        self._clock.sleep(min(due_s - now_s, timeout_s))
        return due_s - now_s <= timeout_s

    def play(self, samples: Floats) -> Block:
        """The block [n, channels] that is due now, stamped with the moment at which its last sample was."""
        captured_s = self.due_s(len(samples))
        self._played += len(samples)
        return Block(samples, captured_s, float(self.rate_hz))
