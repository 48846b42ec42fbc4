"""Standing back from the processor: only where there is a way back, and back it is, for every thread."""

import os
import subprocess
import sys
import threading

import pytest

from livelav.core.background import MAKING, call_forward, in_the_background, may_return

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="niceness of threads is Linux's")


def niceness() -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir("/proc/self/task")}


def test_threads_made_meanwhile_come_back_too() -> None:
    if not may_return():
        pytest.skip("this user may not lower niceness again")
    before, done = niceness(), threading.Event()
    with in_the_background():
        other = threading.Thread(target=done.wait)
        other.start()
        assert min(niceness()) > max(before)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as late:
            assert os.getpriority(os.PRIO_PROCESS, late.pid) > max(before)
            os.setpriority(os.PRIO_PROCESS, 0, max(before))
            call_forward(late.pid)
            assert os.getpriority(os.PRIO_PROCESS, late.pid) == max(before) + MAKING
    assert niceness() == before
    done.set()
    other.join()


def test_an_ordinary_user_is_left_alone() -> None:
    """Nice for good would be worse than not at all."""
    code = (
        "import os, resource, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from livelav.core.background import in_the_background, may_return\n"
        "os.setgroups([]) if os.geteuid() == 0 else None\n"
        "os.setuid(65534) if os.geteuid() == 0 else None\n"
        "before = os.getpriority(os.PRIO_PROCESS, 0)\n"
        "with in_the_background(): pass\n"
        "print(before == os.getpriority(os.PRIO_PROCESS, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, os.getcwd()], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
