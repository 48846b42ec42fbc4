"""Controllers over a real MIDI server, the rig's JACK: they move the running show, vanish, and come back."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from live import Run, livelav
from livelav.core.params import BY_NAME

pytestmark = pytest.mark.rig
rtmidi = pytest.importorskip("rtmidi")

STORM_S = float(os.environ.get("LIVELAV_STORM_S", "3"))  # 20 for the README's figure
NAMES = ["mapping.norm", "mapping.slope", "smoothing.coarse", "smoothing.middle", "smoothing.fine"]


class Controller:
    """A box with knobs, in this process, that livelav's process hears."""

    def __init__(self, name="knobs"):
        self.out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=name)
        self.out.open_virtual_port("out")
        self._last = {}

    def turn(self, number, *values):
        for value in values:
            self.out.send_message([0xB0, number, value])
        self._last[number] = value

    def say_again(self):
        """Where every knob stands: without real-time rights JACK loses single messages."""
        for number, value in self._last.items():
            self.out.send_message([0xB0, number, value])

    def unplug(self):
        self.out.delete()


@pytest.fixture
def controller(rig):
    one = Controller()
    yield one
    if not one.out.is_deleted:
        one.unplug()


@pytest.fixture
def show(tmp_path, controller):
    run = Run(tmp_path, "--input", "demo", "--tempo-hearing", "0")  # the music moves nothing
    try:
        run.wait_for(lambda s: s["midi"]["ports"] == ["knobs:out"], "it hears the controller")
        run.say_again = controller.say_again
        yield run
    finally:
        run.end()


def stands(name, knob):
    return lambda stats: stats["settings"][name] == pytest.approx(BY_NAME[name].value(knob))


def test_the_missions_knobs_move_the_running_show(show, controller):
    for i, name in enumerate(NAMES):
        controller.turn(20 + i, 100, 30 + i)
        show.wait_for(stands(name, (30 + i) / 127), f"{name} is where the knob stands")


def test_a_controller_that_was_pulled_out_is_heard_again_and_picks_up(show, controller):
    controller.turn(20, 64)
    held = show.wait_for(stands("mapping.norm", 64 / 127), "the knob is heard")["settings"]
    controller.unplug()
    show.say_again = None
    show.wait_for(lambda s: s["midi"]["ports"] == [], "it is gone")
    assert show.stats["settings"] == held, "values stay"
    again = Controller()
    back_s = time.monotonic()
    show.wait_for(lambda s: s["midi"]["ports"] == ["knobs:out"], "it is back")
    assert time.monotonic() - back_s < 3.0, "2 s, and the statistics are a second old"

    def turn_below():
        again.turn(20, 10)
        again.turn(21, 0, 127)  # a mark: what came before it has arrived, too

    turn_below()
    show.say_again = turn_below  # all of it, for a knob that stands is not picked up
    show.wait_for(stands("mapping.slope", 1.0), "the other knob passed its value")
    assert show.stats["settings"]["mapping.norm"] == held["mapping.norm"], "10 is not where the value stands"
    again.turn(20, 10, 90)
    show.say_again = lambda: again.turn(20, 10, 90)
    show.wait_for(stands("mapping.norm", 90 / 127), "it came past")
    again.unplug()


def test_a_storm_ends_where_the_knobs_stand_and_the_picture_goes_on(show, controller):
    """10,000 messages a second for STORM_S."""
    calm = show.stats["present"]
    begin_s = time.monotonic()
    for i in range(round(10_000 * STORM_S)):
        controller.turn(20 + i % 5, i * 7 % 128)
        if i % 50 == 0 and (ahead_s := begin_s + i / 10_000 - time.monotonic()) > 0:
            time.sleep(ahead_s)
    for i in range(5):
        controller.turn(20 + i, 11 * i)
    for i, name in enumerate(NAMES):
        show.wait_for(stands(name, 11 * i / 127), f"{name} is where the knob stands")
    stats = show.stats
    print(f"{time.monotonic() - begin_s:.1f} s, {stats['midi']}, {stats['present']}")
    assert stats["midi"]["lost"] == 0
    assert stats["midi"]["messages"] > 20_000 * STORM_S / 3  # JACK itself drops what its buffers cannot hold
    assert not any(stats["restarts"].values())
    assert stats["present"]["presented"] > calm["presented"] + 60


def test_nothing_of_a_storm_is_lost_while_the_picture_stands(show, controller):
    """Main is held up for 1.5 s, and 15,000 messages come meanwhile."""
    os.kill(show.process.pid, signal.SIGSTOP)
    try:
        for i in range(15_000):
            controller.turn(20 + i % 5, i * 7 % 128)
            if i % 50 == 49:
                time.sleep(0.005)
    finally:
        os.kill(show.process.pid, signal.SIGCONT)
    for i in range(5):
        controller.turn(20 + i, 11 * i)
    for i, name in enumerate(NAMES):
        show.wait_for(stands(name, 11 * i / 127), f"{name} is where the knob stands")
    assert show.stats["midi"]["lost"] == 0
    assert show.stats["midi"]["messages"] > 10_000


def test_a_controller_asked_for_by_name_is_waited_for(tmp_path, rig):
    run = Run(tmp_path, "--input", "demo", "--midi", "fader box")
    try:
        run.playing()
        other, wanted = Controller("knobs"), Controller("Fader Box")
        stats = run.wait_for(lambda s: s["midi"]["ports"], "the one that was asked for")
        assert stats["midi"]["ports"] == ["Fader Box:out"]
        other.unplug()
        wanted.unplug()
    finally:
        run.process.terminate()
    code, err = run.finish()
    assert code == 0
    assert "no MIDI controller 'fader box' so far" in err


def test_devices_name_the_controllers_and_the_monitor_tells_what_they_do(tmp_path, controller):
    code, out, _ = livelav(tmp_path, "devices", "--json")
    assert code == 0
    assert json.loads(out)["midi"] == ["knobs:out"]
    monitor = subprocess.Popen(
        [sys.executable, "-m", "livelav", "midi", "monitor", "--seconds", "5"], stdout=subprocess.PIPE, text=True
    )
    assert monitor.stdout.readline() == "listening to knobs:out\n"
    controller.turn(20, 127)
    controller.turn(99, 1)
    controller.out.send_message([0xFA])
    assert monitor.stdout.readline() == "knobs:out: cc 20 ch 1 = 127 of 127: mapping.norm = 4\n"
    assert monitor.stdout.readline() == "knobs:out: start\n"
    assert monitor.wait(20) == 0


def test_a_control_is_learnt_and_moves_the_show(tmp_path, controller, monkeypatch):
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path / "config"))
    command = [sys.executable, "-m", "livelav", "midi", "learn", "show.hue"]
    learning = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert "move the control" in learning.stdout.readline()
    time.sleep(1.0)  # a hand takes longer
    for value in (60, 61, 63, 64, 66):
        controller.turn(77, value)
        time.sleep(0.05)
    assert learning.communicate(timeout=20)[0] == "knobs:out: cc 77 ch 1 (absolute) moves show.hue\n"
    run = Run(tmp_path, "--input", "demo")
    try:
        run.wait_for(lambda s: s["midi"]["ports"], "it hears the controller")
        controller.turn(77, 127)
        run.say_again = controller.say_again
        run.wait_for(stands("show.hue", 1.0), "what was learnt moves it")
    finally:
        run.end()
    code, out, _ = livelav(tmp_path, "midi", "unlearn", "show.hue")
    assert (code, out) == (0, "forgot cc 77 ch 1 of knobs:out\n")


def test_learning_says_when_nothing_moves(tmp_path, controller):
    code, _, err = livelav(tmp_path, "midi", "learn", "show.hue", "--seconds", "1")
    assert code == 1
    assert err == "livelav: nothing was moved within 1 s; controllers heard: knobs:out\n"


@contextlib.contextmanager
def served(name):
    """A JACK server of that name and a controller that turns its knob for ever, both in processes of their own."""
    jack = subprocess.Popen(
        ["jackd", "-r", "-n", name, "-d", "dummy", "-r48000", "-p128", "-C0", "-P0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    subprocess.run(["jack_wait", "-s", name, "-w", "-t", "10"], capture_output=True, check=True)
    turning = subprocess.Popen([sys.executable, "-c", TURNING], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        turning.kill()
        jack.terminate()
        for process in (turning, jack):
            process.wait(20)


TURNING = """
import time, rtmidi
out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="knobs")
out.open_virtual_port("out")
while True:
    out.send_message([0xB0, 20, 64])
    time.sleep(0.1)
"""


def test_controllers_are_heard_again_after_the_midi_server_was_restarted(tmp_path, rig, monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name := f"livelav-again-{os.getpid()}")
    with served(name):
        run = Run(tmp_path, "--input", "demo")
        run.wait_for(stands("mapping.norm", 64 / 127), "the knob is heard")
    try:
        run.wait_for(lambda s: s["midi"]["ports"] == [], "the server is gone, and its ports with it")
        with served(name):
            before = run.stats["midi"]["messages"]
            run.wait_for(lambda s: s["midi"]["messages"] > before, "the knob is heard again")
    finally:
        run.process.terminate()
    assert run.finish()[0] == 0
