"""Controllers with lights and motors over a real MIDI server, the rig's JACK: they show what the running show does."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from live import DEADLINE_S, Run
from livelav.control.banks import SCHEMA
from livelav.control.messages import Control, Decoder, Moved
from livelav.control.osc import LOOPBACK, Message, pack
from livelav.core.params import BY_NAME, PARAMS

pytestmark = pytest.mark.rig
rtmidi = pytest.importorskip("rtmidi")

PORT = "box capture:MIDI 1"
BLACKOUT = Control("note", 36, 9)
KNOBS = {Control("cc", 20 + i, 0): p.name for i, p in enumerate(PARAMS) if p.name != "tempo.bpm"}
BANK = "\n".join(
    [
        f'schema = {SCHEMA}\nname = "box"\nport = "box"',
        *(f'[[bind]]\ncontrol = "{control}"\nto = "{name}"' for control, name in KNOBS.items()),
        f'[[bind]]\ncontrol = "{BLACKOUT}"\nto = "blackout"\nmode = "press"\nlights = [12, 60]',
    ]
)


class Box:
    """A controller in this process that can be heard and told. It `shows` what it was told last."""

    def __init__(self, echoes=False):
        self.echoes, self.shows, self.told = echoes, {}, 0
        self._decoder = Decoder()
        self.out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="box capture")
        self.out.open_virtual_port("MIDI 1")
        self.input = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="box playback", queue_size_limit=4_096)
        self.input.open_virtual_port("MIDI 1")

    def look(self):
        """Takes what came."""
        while (event := self.input.get_message()) is not None:
            self.told += 1
            moved = self._decoder.step(event[0])
            if isinstance(moved, Moved):
                self.shows[moved.control] = moved.value
            if self.echoes:
                self.out.send_message(event[0])

    def wait_until(self, condition, what):
        until_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < until_s, f"{what}; it shows {self.shows}"
            time.sleep(0.005)
            self.look()

    def rest(self, seconds):
        """For so long; returns how many messages came."""
        before, until_s = self.told, time.monotonic() + seconds
        while time.monotonic() < until_s:
            time.sleep(0.005)
            self.look()
        return self.told - before

    def unplug(self):
        for port in (self.out, self.input):
            if not port.is_deleted:
                port.delete()


@pytest.fixture
def plug_in(rig):
    """Makes boxes, that are there until they are unplugged, or the test is over."""
    boxes = []

    def make(echoes=False):
        boxes.append(Box(echoes))
        return boxes[-1]

    yield make
    for box in boxes:
        box.unplug()


@pytest.fixture
def show(tmp_path, own_folders, rig):
    """Starts shows, that listen to OSC on `port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    banks = own_folders / "config" / "banks"
    banks.mkdir(parents=True)
    (banks / "box.toml").write_text(BANK)
    runs = []

    def start(*args):
        runs.append(run := Run(tmp_path, "--input", "demo", "--osc", str(port), *args))
        run.port = port
        return run

    yield start
    for run in runs:
        run.process.terminate()
        run.finish()


def send(run, *messages):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(pack(list(messages)), (LOOPBACK, run.port))


def knob(stats, name):
    return round(127 * BY_NAME[name].knob(stats["settings"][name]))


def is_true(box, stats):
    """Whether everything on the box stands where the show does."""
    return all(box.shows.get(control) == knob(stats, name) for control, name in KNOBS.items())


def test_a_box_shows_the_show_from_its_coming_and_again_after_it_was_away(show, plug_in):
    box = plug_in()
    run = show()
    box.wait_until(lambda: run.stats and is_true(box, run.stats), "it is told all when it comes")
    assert box.shows[BLACKOUT] == 12
    box.rest(4.0)
    stats = run.wait_for(lambda s: s["midi"]["sent"] >= box.told, "it is counted")
    assert stats["midi"]["sent"] == 2 * (len(KNOBS) + 1), "and all once more, for a wire may lose something"
    send(run, Message("/knob/show/hue", (0.8,)), Message("/blackout"))
    hue = next(control for control, name in KNOBS.items() if name == "show.hue")
    box.wait_until(lambda: box.shows[hue] == round(0.8 * 127) and box.shows[BLACKOUT] == 60, "it follows OSC")

    box.unplug()
    run.wait_for(lambda s: s["midi"]["ports"] == [], "it is gone")
    again = plug_in()
    again.wait_until(lambda: is_true(again, run.stats) and again.shows[BLACKOUT] == 60, "it is told all again")


def test_a_hand_is_not_worked_against_and_finds_its_fader_where_it_left_it(show, plug_in):
    box, control = plug_in(), Control("cc", 20, 0)
    run = show()
    box.wait_until(lambda: run.stats and is_true(box, run.stats), "it is told all")
    box.rest(4.0)
    for position in range(10, 110):
        box.out.send_message([0xB0, control.number, position])
        time.sleep(0.01)
    assert box.rest(0.1) == 0
    box.wait_until(lambda: box.shows[control] == 109, "and then the truth")
    assert box.rest(3.0) <= 1
    assert box.rest(2.0) == 0


def test_a_box_that_sends_back_all_it_gets_settles_and_moves_nothing(show, plug_in):
    box = plug_in(echoes=True)
    run = show("--tempo-hearing", "0")  # the music moves nothing meanwhile
    box.wait_until(lambda: run.stats and is_true(box, run.stats), "it is told all")
    box.rest(4.0)
    before = run.stats
    send(run, Message("/knob/show/zoom", (0.61803,)), Message("/blackout"))
    box.wait_until(lambda: box.shows[BLACKOUT] == 60, "it follows OSC")
    assert box.rest(4.0) <= 3
    assert box.rest(2.0) == 0
    after = run.stats
    wanted = before["settings"] | {"show.zoom": BY_NAME["show.zoom"].value(0.61803)}
    assert after["settings"] == pytest.approx(wanted), "to the last bit, not as seven bits have it"
    assert box.shows[BLACKOUT] == 60
    assert after["midi"]["messages"] > len(KNOBS), "it did send back"


def test_a_new_midi_process_tells_everything_again(show, plug_in):
    box = plug_in()
    run = show()
    box.wait_until(lambda: run.stats and is_true(box, run.stats), "it is told all")
    box.shows.clear()
    os.kill(midi_process(run), signal.SIGKILL)
    run.wait_for(lambda s: s["restarts"]["midi"] > 0, "it is started again")
    box.wait_until(lambda: is_true(box, run.stats), "everything once more")


def midi_process(run):
    """The child that has loaded the MIDI library."""
    (pid,) = [pid for pid in run.children().values() if "_rtmidi" in Path(f"/proc/{pid}/maps").read_text()]
    return pid


def test_it_can_be_switched_off(show, plug_in):
    box = plug_in()
    run = show("--midi-out", "off")
    run.wait_for(lambda s: s["midi"]["ports"] == [PORT], "it is heard")
    assert box.rest(2.0) == 0
    run.say_again = lambda: box.out.send_message([0xB0, 20, 127])
    run.wait_for(lambda s: s["settings"][KNOBS[Control("cc", 20, 0)]] == PARAMS[0].hi, "and moves the show")
    assert box.rest(1.0) == 0


def test_lights_go_out_with_the_show(show, plug_in):
    box = plug_in()
    run = show()
    run.wait_for(lambda s: s["midi"]["ports"] == [PORT], "it is heard")
    send(run, Message("/blackout"))
    box.wait_until(lambda: box.shows.get(BLACKOUT) == 60, "the pad is lit")
    for knob_at in range(40):  # it is told of something at the very end, too
        send(run, Message("/knob/show/hue", (knob_at / 40,)))
        box.rest(0.005)
    run.process.terminate()
    box.wait_until(lambda: box.shows[BLACKOUT] == 0, "it is dark")
