"""Who has the processor first where there is not enough of it: who presents pictures, before who makes them, before who
keeps them. An image that is not made is made up for by the shader; a picture that comes late is a jerk that all see.

And work that nobody waits for stands back for a while: Linux gives niceness to each thread, and to new ones that of the
thread which makes them; an ordinary user may raise it but not lower it again, so here only who may undo it raises it.
Where others leave nothing over, whoever waits after all calls the process forward.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

MAKING, BESIDES, WATCHING = 4, 9, 14  # niceness beside main's 0: two fifths of its weight, a seventh, a twentieth
_NICE = 5  # a third of the weight
_CAP_SYS_NICE = 1 << 23


def stand_behind(nice: int) -> None:
    """For good, by so much; to be called before any thread is made. On Windows it does nothing."""
    if hasattr(os, "nice"):
        os.nice(nice)


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
    """Gives a process of ours that stands back the right to the processor of those that make pictures."""
    if may_return():
        _set_all(os.getpriority(os.PRIO_PROCESS, 0) + MAKING, str(pid))


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
