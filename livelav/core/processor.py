"""How our own processes share the processor where there is not enough of it: who presents pictures comes before who
makes them, before who keeps them. An image that is not made is made up for by the shader; a picture that comes late is
a jerk that all see.

Work that nobody waits for stands back for a while: Linux gives niceness to each thread, and to new ones that of the
thread which makes them; an ordinary user may raise it but not lower it again, so here only who may undo it raises it.
Where others leave nothing over, whoever waits after all calls the process forward.

Between equals the kernel may let a thread wait for a tick or two, half a picture; who presents asks therefore for
real-time scheduling, as sound servers do, and has it where the user may (`ulimit -r`).
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

MAKING, BESIDES, WATCHING = 4, 9, 14  # niceness beside main's 0: two fifths of its weight, a seventh, a twentieth
_NICE = 5  # a third of the weight
_REAL_TIME = 1  # the least there is: sound servers are before it
_CAP_SYS_NICE = 1 << 23


def physical_cores() -> int:
    """As many threads as help: two on one core wait for each other."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def draw_without_threads() -> None:
    """Before the first surface, where images are made beside the drawing: of few cores, llvmpipe then takes the thread
    that draws. To wait for its own, while others compute, would cost more."""
    if physical_cores() <= 2:
        os.environ.setdefault("LP_NUM_THREADS", "0")


def stand_behind(nice: int) -> None:
    """For good, by so much; to be called before any thread is made. On Windows it does nothing."""
    if hasattr(os, "nice"):
        os.nice(nice)


def stand_in_front() -> bool:
    """For good, this thread waits for no ordinary one; those that it makes are ordinary, and so are processes.

    Says whether it is granted; without that nothing changes.
    """
    if not sys.platform.startswith("linux") or len(os.sched_getaffinity(0)) < 2:
        return False  # of a single core, drawing that is dear would leave nothing to all others
    import resource  # which is not there on Windows

    if resource.getrlimit(resource.RLIMIT_RTTIME)[0] != resource.RLIM_INFINITY:
        return False  # one long turn, a shader that is compiled, and the kernel would end the show
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_REAL_TIME))
    except OSError:
        return False
    return True


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
    import resource

    # limit 20 is niceness 0, 1 is niceness 19
    return 20 - resource.getrlimit(resource.RLIMIT_NICE)[0] <= os.getpriority(os.PRIO_PROCESS, 0)


def _set_all(nice: int, process: str = "self") -> None:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for thread in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, int(thread), nice)
