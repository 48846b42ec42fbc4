"""A child that dies, hangs or ends is noticed, killed and started again, with the same shared memory."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from livelav.core.shm import Board, StopFlag
from livelav.live.supervisor import Child

DEADLINE_S = 20.0


def work(board, stop, events):
    """Lives as the capture and synth processes do: a heartbeat until told to stop."""
    board["live"] = 1.0
    events.send({"kind": "hello", "pid": os.getpid()})
    while not stop.is_set():
        board["heartbeat_s"] = time.monotonic()
        time.sleep(0.005)
    events.send({"kind": "bye"})


def listen(board, stop, words, events):
    """Says back what it was told, but nothing while it is told to wait."""
    board["live"] = 1.0
    while not stop.is_set():
        board["heartbeat_s"] = time.monotonic()
        if words.poll(0.005):
            told = words.recv()
            time.sleep(told.get("wait_s", 0.0))
            board["taken"] += 1
            events.send(told)


def crash(board, stop, events):
    events.send({"kind": "error", "text": "what broke"})


def fault(board, stop, events):
    raise ValueError("a number was odd")


def die(board, stop, events):
    os._exit(7)


def end(board, stop, events):
    events.send({"kind": "ended"})


@pytest.fixture
def make_child():
    ctx = multiprocessing.get_context("spawn")
    children = []

    def make(target, hung_after_s=1.0, **options):
        board, stop = Board(("heartbeat_s", "live", "taken")), StopFlag()
        child = Child(ctx, "test", target, (board, stop), board, hung_after_s, **options)
        children.append((child, stop))
        child.start(time.monotonic())
        return child, stop

    yield make
    for child, stop in children:
        stop.set()
        child.stop(1.0)


def wait_for(child, kind):
    """Polls until an event of that kind comes; returns it."""
    until_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < until_s:
        for event in child.poll(time.monotonic()):
            if event["kind"] == kind:
                return event
        time.sleep(0.01)
    raise AssertionError(f"no {kind!r} within {DEADLINE_S} s")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_child_that_dies_or_hangs_is_back(make_child, number):
    child, _ = make_child(work)
    first = wait_for(child, "hello")["pid"]
    os.kill(first, number)
    assert "starting it again" in wait_for(child, "restart")["text"]
    assert wait_for(child, "hello")["pid"] != first
    assert child.restarts == 1 and child.was_live
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_sleep_of_the_whole_machine_is_no_fault_of_the_child(make_child):
    child, _ = make_child(work)
    wait_for(child, "hello")
    later_s = time.monotonic() + 3600.0
    assert child.poll(later_s) == []
    assert child.poll(later_s + 0.2) == [] and child.restarts == 0
    late = [event for n in range(2, 20) for event in child.poll(later_s + n * 0.2)]
    assert [event["kind"] for event in late][:1] == ["restart"]


def test_crashes_are_counted_and_forgotten_after_a_minute(make_child):
    child, _ = make_child(die)
    assert "code 7" in wait_for(child, "restart")["text"]
    wait_for(child, "restart")
    assert child.crashes(time.monotonic()) == child.restarts == 2
    assert child.crashes(time.monotonic() + 100) == 0
    assert not child.was_live


def test_a_fault_is_one_line_and_no_traceback(make_child, capfd):
    child, _ = make_child(fault)
    text = wait_for(child, "warning")["text"]
    assert "ValueError" in text and "a number was odd" in text and "test_supervisor.py" in text
    wait_for(child, "restart")
    assert capfd.readouterr().err == ""


def test_what_could_not_begin_is_told_and_may_start_over_otherwise(make_child):
    child, _ = make_child(crash)
    assert wait_for(child, "error")["text"] == "what broke"
    child._target = work
    child.start_over(child.args, time.monotonic())
    wait_for(child, "hello")
    assert child.restarts == 0


def test_a_child_that_ended_by_itself_stays_ended(make_child):
    child, _ = make_child(end)
    wait_for(child, "ended")
    child.stop(5.0)
    assert child.poll(time.monotonic() + 1000) == []
    assert child.restarts == 0


def test_a_child_is_told_only_what_it_has_room_for_and_a_new_one_begins_anew(make_child):
    child, _ = make_child(listen, is_told=True)
    for number in range(3):
        assert child.listens
        child.tell({"kind": "echo", "number": number})
        assert wait_for(child, "echo")["number"] == number
    child.tell({"kind": "echo", "wait_s": 30.0})
    assert not child.listens, "it has not taken that"
    os.kill(child.pid, signal.SIGKILL)
    wait_for(child, "restart")
    assert not child.listens
    child.start(time.monotonic())
    assert child.listens
    child.tell({"kind": "echo", "number": 7})
    assert wait_for(child, "echo")["number"] == 7


def test_one_that_is_dismissed_is_gone_for_good_and_main_did_not_wait(make_child):
    child, _ = make_child(work)
    pid = wait_for(child, "hello")["pid"]
    os.kill(pid, signal.SIGSTOP)  # also where it hears nothing any more
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    child.dismiss()
    until_s = time.monotonic() + DEADLINE_S
    while not child.is_gone and time.monotonic() < until_s:
        assert child.poll(time.monotonic()) == []
        time.sleep(0.005)
    assert child.is_gone and child.pid is None and child.restarts == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert before is None or len(os.listdir("/proc/self/fd")) < before, "its pipes are closed"
    assert child.poll(time.monotonic() + 1000) == [] and child.stop(1.0) == []


def test_stop_is_followed_and_last_words_are_heard(make_child):
    child, stop = make_child(work)
    wait_for(child, "hello")
    stop.set()
    assert [event["kind"] for event in child.stop(5.0)] == ["bye"]
    assert child.pid is None


def test_a_child_leaves_when_main_is_killed():
    """main is killed by -9: nobody is left to stop its children, so they leave by themselves."""
    main = subprocess.Popen(
        [sys.executable, __file__],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=os.path.dirname(__file__),
    )
    assert main.stdout is not None
    pid = int(main.stdout.readline())
    main.kill()
    main.wait()
    until_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < until_s:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the child outlived main")


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    figures, flag = Board(("heartbeat_s", "live")), StopFlag()
    lone = Child(context, "lone", work, (figures, flag), figures, 5.0)
    lone.start(time.monotonic())
    print(wait_for(lone, "hello")["pid"], flush=True)
    time.sleep(60)
