"""Presets recalled in a running show by keys in its real window, by a controller's program changes, and by OSC."""

import contextlib
import socket
import time

import pytest
from test_midi_rig import Controller
from x_hands import Hands

from live import Run
from livelav.control.osc import LOOPBACK, Message, pack
from livelav.core.presets import load_preset
from livelav.core.running import read_running, running_path
from livelav.core.store import config_dir, data_dir

pytestmark = pytest.mark.rig

SONGS = ("calm", "harmony", "pulse", "storm")


@pytest.fixture
def evening(tmp_path):
    """Flags of a show with a set list."""
    path = tmp_path / "evening.toml"
    path.write_text("schema = 1\n" + "".join(f'[[song]]\npreset = "{song}"\n' for song in SONGS))
    return ("--show-brightness", "0.7", "--preset-morph", "0.5", "--set-list", str(path))


def stands_at(name):
    """Whether all is as that preset has it, what belongs to the evening as it was, and the tempo whatever is heard."""
    preset = load_preset(name)
    wanted = preset.settings.as_dict() | {"show.brightness": 0.7, "preset.morph": 0.5}

    def stands(stats):
        settings = stats["settings"] | {"tempo.bpm": wanted["tempo.bpm"]}
        return (stats["preset"], stats["seed"], settings) == (name, preset.seed, wanted)

    return stands


@pytest.fixture
def show(tmp_path, rig, evening):
    run = Run(tmp_path, "--input", "demo", *evening, "--size", "480x270", headless=False)
    try:
        run.playing()
        yield run
    finally:
        run.end()


def test_keys_recall_presets_and_a_lock_holds_them_off(show, rig):
    with contextlib.closing(Hands(rig.env["DISPLAY"])) as hands:
        hands.press("2")
        show.wait_for(stands_at("harmony"), "the second preset is there")
        hands.press("n")
        show.wait_for(stands_at("pulse"), "the next one")
        hands.press("space")
        hands.press("1")
        hands.press("p")
        hands.press("space")
        hands.press("n")
        show.wait_for(stands_at("storm"), "what was pressed while locked did nothing")
        hands.press("u")
        hands.press("u")
        show.wait_for(stands_at("harmony"), "two recalls undone")
    assert not any(show.stats["restarts"].values())


def test_a_controller_and_osc_recall_presets_and_a_hand_is_undone_by_panic(tmp_path, rig, evening):
    controller = Controller()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    run = Run(tmp_path, "--input", "demo", *evening, "--osc", str(port))
    try:
        run.wait_for(lambda s: s["midi"]["ports"] == ["knobs:out"], "it hears the controller")
        controller.out.send_message([0xC0, 3])
        run.say_again = lambda: controller.out.send_message([0xC0, 3])
        run.wait_for(stands_at("storm"), "program change 4")
        run.say_again = None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(pack([Message("/preset", ("calm",))]), (LOOPBACK, port))
            run.wait_for(stands_at("calm"), "by OSC")
            run.say_again = lambda: controller.turn(20, 0, 127)  # past what was recalled
            run.say_again()
            run.wait_for(lambda s: s["settings"]["mapping.norm"] == 4.0, "a hand moves what was recalled")
            run.say_again = None
            sender.sendto(pack([Message("/panic")]), (LOOPBACK, port))
            run.wait_for(stands_at("calm"), "panic")
    finally:
        run.end()
        controller.unplug()


def test_a_sequencer_gives_the_tempo_and_a_tapping_hand_too(tmp_path, rig, evening):
    controller = Controller()
    run = Run(tmp_path, "--input", "demo", *evening)
    try:
        run.wait_for(lambda s: s["midi"]["ports"] == ["knobs:out"], "it hears the controller")
        begin_s, tick_s = time.monotonic(), 60.0 / 140.0 / 24
        controller.out.send_message([0xFA])
        tempo = {"source": "", "bpm": 0.0}
        for tick in range(24 * 70):  # half a minute at most: JACK may lose a tick, which is heard for some beats
            time.sleep(max(begin_s + tick * tick_s - time.monotonic(), 0.0))
            controller.out.send_message([0xF8])
            if tick > 24 * 14 and tick % 24 == 0:
                tempo = run.stats["tempo"]
                if tempo["source"] == "clock of knobs:out" and abs(tempo["bpm"] - 140.0) < 0.5:
                    break
        assert tempo["source"] == "clock of knobs:out"
        assert tempo["bpm"] == pytest.approx(140.0, abs=0.5)
        run.wait_for(lambda s: abs(s["settings"]["tempo.bpm"] - 140.0) < 0.5, "the parameter follows")
    finally:
        run.end()
        controller.unplug()


def test_what_was_saved_outlives_a_crash_and_the_show_goes_on_where_it_stood(show, rig, tmp_path):
    with contextlib.closing(Hands(rig.env["DISPLAY"])) as hands:
        hands.press("4")
        show.wait_for(stands_at("storm"), "the fourth preset is there")
        hands.press("s", control=True)
        own = config_dir() / "presets" / "storm.toml"
        show.wait_for(lambda _: own.exists(), "it is saved")
        assert load_preset(own).settings == load_preset(data_dir("presets") / "storm.toml").settings
        hands.press("n")
        show.wait_for(stands_at("calm"), "another one")
        show.wait_for(lambda _: running_path().exists() and '"calm"' in running_path().read_text(), "it is noted")
    show.process.kill()
    show.process.communicate()
    (tmp_path / "again").mkdir()
    again = Run(tmp_path / "again", "--input", "demo", "--resume")
    try:
        again.wait_for(stands_at("calm"), "it goes on where it stood")
        again.process.terminate()
        assert again.finish() == (0, "")
    finally:
        again.end()
    assert read_running(running_path()).ended
