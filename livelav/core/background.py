"""Stands back for a while: work that nobody waits for leaves the processor to others where the system lets it return.

Linux gives niceness to each thread, and to new ones that of the thread which makes them; an ordinary user may raise it
but not lower it again. So it is raised only by who may undo that: for good would be worse than not at all. Where others
leave nothing over, whoever waits after all calls the process forward.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_NICE = 5  # a third of the weight
_CAP_SYS_NICE = 1 << 23


@contextlib.contextmanager
def in_the_background() -> Iterator[None]:
    """Meanwhile this process, with the threads that it makes, has less right to the processor than others."""
    if not may_return():
        yield
        return
    before = os.getpriority(os.PRIO_PROCESS, 0)
    _set_all(before + _NICE)
    try:
        yield
    finally:
        _set_all(before)


def call_forward(pid: int) -> None:
    """Gives a process of ours that stands back the same right to the processor as this one has."""
    if may_return():
        _set_all(os.getpriority(os.PRIO_PROCESS, 0), str(pid))


def may_return() -> bool:
    """Whether niceness that this process raises can be lowered again."""
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, ValueError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        able = next(line for line in status.splitlines() if line.startswith("CapEff:"))
        if int(able.split()[1], 16) & _CAP_SYS_NICE:
            return True
    import resource  # which is not there on Windows

    # limit 20 is niceness 0, 1 is niceness 19
    return 20 - resource.getrlimit(resource.RLIMIT_NICE)[0] <= os.getpriority(os.PRIO_PROCESS, 0)


def _set_all(nice: int, process: str = "self") -> None:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for thread in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, int(thread), nice)
