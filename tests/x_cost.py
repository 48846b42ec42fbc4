"""What a piece of work itself costs the processor, in the noise of a machine that does other things."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")

_SUSPECT_S, _AGAIN = 0.0003, 3


class Costs:
    """Adds up and keeps the largest. Work that seems dear is done again: an interrupt is not its own cost."""

    def __init__(self) -> None:
        self.total_s = self.slowest_s = 0.0

    def of(self, work: Callable[[], Result]) -> Result:
        result, took_s = _timed(work)
        self.total_s += took_s
        if took_s > _SUSPECT_S:
            took_s = min(took_s, *(_timed(work)[1] for _ in range(_AGAIN)))
        self.slowest_s = max(self.slowest_s, took_s)
        return result

    def __str__(self) -> str:
        return f"{self.total_s:.1f} s of the processor's, the slowest {self.slowest_s * 1000:.2f} ms"


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    begin_s = time.thread_time()
    result = work()
    return result, time.thread_time() - begin_s


@contextmanager
def nothing_else_collected() -> Iterator[None]:
    """Else what all other tests have left would be looked through in the middle of the work."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
