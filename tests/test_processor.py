"""Standing back from the processor: only where there is a way back, and back it is, for every thread. And in front:

only who presents, and only where that is granted.
"""

import os
import subprocess
import sys
import threading

import pytest

from livelav.core.processor import MAKING, call_forward, in_the_background, may_return

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="niceness of threads is Linux's")


def niceness(*threads: int | None) -> set[int]:
    """Of those; 0 is this one. Libraries have threads of their own, which stand wherever they like."""
    return {os.getpriority(os.PRIO_PROCESS, thread or 0) for thread in threads}


def test_threads_made_meanwhile_come_back_too() -> None:
    if not may_return():
        pytest.skip("this user may not lower niceness again")
    (before,), done = niceness(0), threading.Event()
    with in_the_background():
        other = threading.Thread(target=done.wait, daemon=True)
        other.start()
        assert min(niceness(0, other.native_id)) > before
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as late:
            assert os.getpriority(os.PRIO_PROCESS, late.pid) > before
            os.setpriority(os.PRIO_PROCESS, 0, before)
            call_forward(late.pid)
            assert os.getpriority(os.PRIO_PROCESS, late.pid) == before + MAKING
    assert niceness(0, other.native_id) == {before}
    done.set()
    other.join()


_IN_FRONT = """
import os, resource, subprocess, sys, threading
sys.path.insert(0, sys.argv[1])
from livelav.core.processor import stand_in_front
{before}
def policies():
    tasks = map(int, os.listdir("/proc/self/task"))
    return sorted(os.sched_getscheduler(task) & ~os.SCHED_RESET_ON_FORK for task in tasks)
def one_more_thread():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
one_more_thread()
granted = stand_in_front()
one_more_thread()
policy_of_a_child = ["cut", "-d", " ", "-f", "41", "/proc/self/stat"]
child = subprocess.run(policy_of_a_child, capture_output=True, text=True).stdout.strip()
print(granted, policies(), child, sep='|')
"""


def in_a_child(before: str) -> str:
    code = _IN_FRONT.format(before=before)
    return subprocess.run([sys.executable, "-c", code, os.getcwd()], capture_output=True, text=True, check=True).stdout


def test_in_front_is_who_presents_and_nobody_else() -> None:
    """Neither a thread before, nor one after, nor a child."""
    may = subprocess.run(["chrt", "--rr", "1", "true"], capture_output=True, check=False).returncode == 0
    if not may:
        pytest.skip("this user may not have real-time scheduling")
    assert in_a_child("").split("|") == ["True", str([os.SCHED_OTHER] * 2 + [os.SCHED_RR]), f"{os.SCHED_OTHER}\n"]


@pytest.mark.parametrize(
    "before",
    [
        # the kernel would end a process that runs for so long without a rest
        "resource.setrlimit(resource.RLIMIT_RTTIME, (200_000, 200_000))",
        "resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0)); os.geteuid() or os.setuid(65534)",
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",  # nothing would be left to the others
    ],
    ids=["watched by the kernel", "an ordinary user", "on one core"],
)
def test_in_front_changes_nothing_where_it_is_not_granted(before: str) -> None:
    assert in_a_child(before).split("|") == ["False", str([os.SCHED_OTHER] * 3), f"{os.SCHED_OTHER}\n"]


def test_an_ordinary_user_is_left_alone() -> None:
    """Nice for good would be worse than not at all."""
    code = (
        "import os, resource, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from livelav.core.processor import in_the_background, may_return\n"
        "os.setgroups([]) if os.geteuid() == 0 else None\n"
        "os.setuid(65534) if os.geteuid() == 0 else None\n"
        "before = os.getpriority(os.PRIO_PROCESS, 0)\n"
        "with in_the_background(): pass\n"
        "print(before == os.getpriority(os.PRIO_PROCESS, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, os.getcwd()], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
