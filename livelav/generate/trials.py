"""Which of several builds of one network to take: each is run a few times, in turns, and the quickest of each counts.

What a processor is quick in cannot be read off its features: some compute in float16 without a matrix unit for it.
"""

import math
import time
from collections.abc import Mapping
from typing import Protocol

from livelav.core.errors import BackendError

ROUNDS = 4
ENOUGH_S = 2.0  # no further round is begun after so long: a large network on a small processor is told apart at once
MUCH_SLOWER = 1.5  # times as long as the quickest


class Runs(Protocol):
    """Something that can be run to see how long it takes."""

    def warmup(self) -> None: ...


def seconds(built: Mapping[str, Runs]) -> dict[str, float]:
    """What each takes at its quickest; nothing is run for one alone. Raises BackendError where none of several runs."""
    best_s = dict.fromkeys(built, math.inf)
    began_s = time.perf_counter()
    for turn in range(ROUNDS if len(built) > 1 else 0):  # in turns: another program's load falls on all of them
        if turn > 0 and time.perf_counter() - began_s > ENOUGH_S:
            break
        for name, one in built.items():
            start_s = time.perf_counter()
            try:
                if name in best_s:
                    one.warmup()
                    best_s[name] = min(best_s[name], time.perf_counter() - start_s)
            except BackendError:  # it was built and does not run: another may
                del best_s[name]
                if not best_s:
                    raise
    return best_s


def preferred(taken_s: Mapping[str, float]) -> str:
    """The first, unless another takes much less time. Callers put the most exact first."""
    return next(name for name, one_s in taken_s.items() if one_s <= MUCH_SLOWER * min(taken_s.values()))
