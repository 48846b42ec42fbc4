"""An evening, played by script: keys in the real window, a controller over real MIDI, the built-in demo for music.

With LIVELAV_SHOTS=FOLDER the window is photographed at every step, to be looked at.
"""

import contextlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from test_midi_rig import Controller
from x_hands import Hands

from live import Run
from livelav.control.banks import learnt
from livelav.control.commands import Begin, Follow, Play
from livelav.core.params import BY_NAME
from livelav.core.presets import list_presets, load_preset
from livelav.core.running import read_running, running_path
from livelav.core.store import config_dir
from livelav.desk.teaching import ROWS
from livelav.takes.format import SOUND, Take

pytestmark = pytest.mark.rig

SIZE = (640, 360)
TAUGHT = {70: "mapping.norm", 71: "show.hue", 72: "show.contour", 73: "show.feedback"}  # controller: parameter
BPM = 120.0


class Gig:
    """One evening's hands, eyes and photographs."""

    def __init__(self, run, rig, hands):
        self.run, self._rig, self._hands = run, rig, hands
        self._row, self._photographs = 0, 0

    def press(self, *keys):
        for key in keys:
            self._hands.press(key)

    def save_as_new(self):
        self._hands.press("s", control=True, shift=True)

    def pick(self, name):
        """Walks to a row of the list by the nearer way."""
        count = len(ROWS)
        steps = (ROWS.index(name) - self._row) % count
        self.press(*(["Down"] * steps if steps <= count // 2 else ["Up"] * (count - steps)))
        self._row = ROWS.index(name)

    def picture(self):
        """The middle of the window, which the HUD leaves free, 0..255."""
        x, y, width, height = self._hands.place()
        return self._rig.screenshot()[y + height // 2 : y + height, x + width // 2 : x + width].astype(np.int16)

    def photograph(self, what):
        if folder := os.environ.get("LIVELAV_SHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._photographs += 1
            self._rig.save_screenshot(Path(folder) / f"{self._photographs:02}-{what}.png")

    def wait_for_picture(self, condition, what):
        self.run.wait_for(lambda _: condition(self.picture()), what)

    def wait_for_preset(self, song):
        """Until all that belongs to a song is as the preset has it."""
        wanted = load_preset(song).settings
        ours = [p.name for p in BY_NAME.values() if p.scope == "song"]
        self.run.wait_for(
            lambda s: all(s["settings"][name] == pytest.approx(wanted[name], rel=1e-4, abs=1e-4) for name in ours),
            f"{song} is there",
        )

    def stands(self, name, knob):
        wanted = BY_NAME[name].value(knob)
        self.run.wait_for(lambda s: s["settings"][name] == pytest.approx(wanted), f"{name} is at {wanted:g}")


@pytest.fixture
def controller(rig):
    one = Controller()
    yield one
    if not one.out.is_deleted:
        one.unplug()


@pytest.fixture
def gig(tmp_path, rig, controller):
    size = "x".join(map(str, SIZE))
    run = Run(
        tmp_path,
        *(
            "--input",
            "demo",
            "--size",
            size,
            "--preset-morph-beats",
            "4",
            "--preset-cue",
            "4",
            "--take",
            "evening.take",
        ),
        headless=False,
    )
    try:
        run.playing()
        run.wait_for(lambda s: s["midi"]["ports"] == ["knobs:out"], "it hears the controller")
        with contextlib.closing(Hands(rig.env["DISPLAY"])) as hands:
            yield Gig(run, rig, hands)
    finally:
        run.end()


def teach(gig, controller, number, name):
    gig.pick(name)
    gig.press("l")
    time.sleep(0.3)
    for value in (40, 44, 49, 55, 60):
        controller.turn(number, value)
        time.sleep(0.04)
    before = len(learnt())
    gig.run.wait_for(lambda _: len(learnt()) > before or name in {one.target for one in learnt()}, f"{name} is learnt")


def learn_four_knobs(gig, controller):
    for number, name in TAUGHT.items():
        teach(gig, controller, number, name)
        controller.turn(number, 90)
        gig.stands(name, 90 / 127)
    gig.photograph("learnt")


def tap_the_tempo(gig):
    begin_s = time.monotonic()
    for tap in range(5):
        time.sleep(max(begin_s + tap * 60.0 / BPM - time.monotonic(), 0.0))
        gig.press("t")
    gig.run.wait_for(  # statistics are written once a second: the first that say so may know two taps only
        lambda s: s["tempo"]["source"] == "tapped" and s["tempo"]["bpm"] == pytest.approx(BPM, abs=6.0),
        f"{BPM:g} bpm are tapped",
    )


def save_three_presets(gig, controller):
    """Their names."""
    folder, songs = config_dir() / "presets", []
    for knob in (10, 60, 120):
        controller.turn(71, knob)
        gig.stands("show.hue", knob / 127)
        gig.save_as_new()
        gig.run.wait_for(lambda _: len(list(folder.glob("*.toml"))) > len(songs), "it is saved")
        (new,) = {path.stem for path in folder.glob("*.toml")}.difference(songs)
        songs.append(new)
    assert len({load_preset(song).changes["show.hue"] for song in songs}) == 3
    gig.photograph("saved")
    return songs


def recall_all(gig, controller, songs):
    """By program changes: what was saved in the show follows the shipped presets."""
    shipped = sum(listed.shipped for listed in list_presets())
    for number in (1, 2, 0):
        song = songs[number]
        program = [0xC0, shipped + number]
        controller.out.send_message(program)
        gig.run.say_again = lambda program=program: controller.out.send_message(program)
        gig.run.wait_for(lambda s, song=song: s["preset"] == song, f"{song} is played")
        gig.run.say_again = None
        gig.photograph(f"to-{song}")
        gig.wait_for_preset(song)
        gig.photograph(f"at-{song}")


def assert_recalls_began_with_a_bar(path, songs):
    """By what the take noted of the evening."""
    rate_hz = sf.info(path / SOUND).samplerate
    done = [(at_s, command) for at_s, command in Take(path).commands(rate_hz)]
    begun = []
    for number, (at_s, command) in enumerate(done):
        if isinstance(command, Follow):
            bar_s, origin_s = 4 * 60.0 / command.bpm, at_s + command.bar_s
        elif isinstance(command, Begin):
            name = next(before.name for _, before in reversed(done[:number]) if isinstance(before, Play))
            begun.append((name, (at_s - origin_s + 0.5 * bar_s) % bar_s - 0.5 * bar_s))
    assert {name for name, _ in begun} >= set(songs)
    assert max(abs(off_s) for _, off_s in begun) < 0.1, "in time"


def pull_the_controller_out_and_back(gig, controller):
    """The controller that is there then."""
    controller.unplug()
    gig.run.wait_for(lambda s: s["midi"]["ports"] == [], "the controller is gone")
    again = Controller()
    gig.run.wait_for(lambda s: s["midi"]["ports"] == ["knobs:out"], "and back")
    held = gig.run.stats["settings"]["mapping.norm"]
    again.turn(70, 127)  # far from where the value stands: it must come past
    again.turn(72, 1)
    again.turn(72, 127)
    gig.stands("show.contour", 1.0)
    assert gig.run.stats["settings"]["mapping.norm"] == held
    return again


def black_out_and_panic(gig, song):
    gig.press("h")  # the audience sees no HUD
    gig.press("b")
    gig.wait_for_picture(lambda picture: picture.max() <= 8, "black")
    gig.photograph("blackout")
    gig.press("b")
    gig.wait_for_picture(lambda picture: picture.max() >= 60, "light again")
    gig.press("BackSpace")
    gig.wait_for_preset(song)
    gig.photograph("panic")


def test_an_evening(gig, controller, tmp_path):
    run = gig.run
    gig.press("h")
    gig.photograph("begin")
    learn_four_knobs(gig, controller)
    tap_the_tempo(gig)
    songs = save_three_presets(gig, controller)
    recall_all(gig, controller, songs)
    again = pull_the_controller_out_and_back(gig, controller)
    black_out_and_panic(gig, songs[0])
    assert not any(run.stats["restarts"].values())

    run.wait_for(lambda _: running_path().exists() and songs[0] in running_path().read_text(), "it is noted")
    settings = run.stats["settings"]
    gig.press("q", "q")
    assert run.finish()[0] == 0
    assert read_running(running_path()).ended
    assert_recalls_began_with_a_bar(tmp_path / "evening.take", songs)
    again.unplug()

    (tmp_path / "again").mkdir()
    morning = Run(tmp_path / "again", "--input", "demo", "--resume")
    try:
        stats = morning.wait_for(lambda s: s["present"]["presented"] > 5, "it goes on")
        assert stats["preset"] == songs[0]
        assert stats["settings"] == pytest.approx(settings)
        assert {one.target for one in learnt()} == set(TAUGHT.values())
    finally:
        morning.end()
