"""The whole program, as processes: it plays, survives, stops, and leaves nothing behind."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from live import DEADLINE_S, Run, gone, livelav
from livelav.chain import Chain
from livelav.control.osc import LOOPBACK, Message, OscIn, pack
from livelav.core.params import Settings
from livelav.core.processor import MAKING
from livelav.core.values import Block
from livelav.encode.encoder import load_encoder
from livelav.generate.library import load_generator
from livelav.mapping.mapper import Mapper

RECORD = {
    "version", "seconds", "first_picture_s", "source", "encoder", "model", "backend", "capture", "encode", "generate",
    "present", "latency_ms", "midi", "osc", "settings", "features", "ws", "restarts", "peak_rss_mb",
    "preset", "seed", "tempo", "link", "operator",
}  # fmt: skip


@pytest.fixture(scope="module")
def warm_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch, own_folders, warm_cache):
    """The compiled generator is kept from test to test."""
    monkeypatch.setenv("LIVELAV_CACHE", str(warm_cache))


@pytest.fixture
def run(tmp_path):
    runs = []

    def start(*args, **kwargs):
        runs.append(Run(tmp_path, *args, **kwargs))
        return runs[-1]

    yield start
    for one in runs:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def shared_memory():
    """What Python's shared memory and semaphores are called there; sound servers have names of their own."""
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir() if path.name.startswith(("psm_", "pym-", "sem.mp"))}


def test_it_plays_the_demo_and_tells_what_it_did(run):
    live = run("--input", "demo", "--seconds", "2", "--preset", "calm", "--show-hue", "30")
    code, err = live.finish()
    assert code == 0, err
    stats = live.stats
    assert stats.keys() == RECORD
    assert stats["source"]["kind"] == "demo"
    assert stats["encoder"] == {"name": "embedded", "frame_rate": 75.0}
    assert stats["model"]["resolution"] == 256
    assert stats["settings"]["show.hue"] == 30
    assert (stats["preset"], stats["seed"]) == ("calm", 11)
    assert stats["tempo"] == {"bpm": 120.0, "source": "set", "confidence": 0.0}, "it has hardly begun to listen"
    assert stats["generate"]["images"] > 20 and stats["encode"]["frames"] > 100
    assert stats["ws"]["spread"] > 0.02 and stats["features"]["rms_db"] > -60
    assert stats["capture"]["overruns"] == stats["capture"]["xruns"] == 0
    assert stats["restarts"] == {"capture": 0, "synth": 0, "midi": 0}


def test_osc_moves_it_and_is_told_what_moved(run):
    mirror = OscIn((LOOPBACK, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((LOOPBACK, 0))
        port = sender.getsockname()[1] - 1  # the sender's own is taken; its neighbour hardly ever
        live = run("--input", "demo", "--osc", str(port), "--osc-out", str(mirror.port))
        live.playing()
        sender.sendto(pack([Message("/show/hue", (30.0,)), Message("/knob/mapping/norm", (0.0,))]), (LOOPBACK, port))
        sender.sendto(b"garbage", (LOOPBACK, port))
        live.wait_for(lambda s: s["settings"]["show.hue"] == 30 and s["osc"]["ignored"] == 1, "it heard both")
    assert live.stats["settings"]["mapping.norm"] == 0
    assert {("show.hue", 30.0), ("mapping.norm", 0.0)} <= {(c.name, c.value) for c in mirror.take()}
    mirror.close()


@pytest.mark.parametrize(
    "args",
    [["--headless", "--size", "64x64", "--input", "demo", "--osc", "off", "--seconds", "0.5"], ["doctor"], ["devices"]],
)
def test_no_module_comes_from_the_folder_that_it_is_started_in(tmp_path, args):
    """A stranger's zip may hold more than a preset."""
    for name in ("json", "random", "struct", "multiprocessing", "numpy", "torch", "rtmidi", "sounddevice"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'w')")
    script = shutil.which("livelav", path=Path(sys.executable).parent)
    subprocess.run([script, *args], cwd=tmp_path, capture_output=True, timeout=DEADLINE_S, check=False)
    assert not (tmp_path / "RAN").exists()


def test_a_taken_osc_port_is_told_and_the_show_goes_on(run):
    with contextlib.closing(OscIn((LOOPBACK, 0))) as other:
        code, err = run("--input", "demo", "--seconds", "1", "--osc", str(other.port)).finish()
    assert code == 0
    assert "choose another with --osc" in err


def test_live_ws_are_those_of_the_same_stages_in_a_plain_loop(run, tmp_path):
    trace = tmp_path / "trace.npz"
    code, err = run("--input", "demo", "--seconds", "2", "--seed", "7", "--trace", str(trace)).finish()
    assert code == 0, err
    heard = np.load(trace)
    assert len(heard["ws"]) > 100
    encoder, generator = load_encoder(None), load_generator("default")
    chain = Chain(encoder, Mapper(generator.stats, encoder, seed=7))
    samples, rates_hz = heard["samples"], np.repeat(heard["rates_hz"], heard["lengths"])
    changes = [*(np.flatnonzero(np.diff(rates_hz)) + 1), len(samples)]
    ws, start = [], 0
    while start < len(samples):  # in other pieces than live
        stop = min(start + 1000, *(change for change in changes if change > start))
        block = Block(samples[start:stop], 0.0, float(rates_hz[start]))
        ws += [frame.controls.ws for frame in chain.push(block, Settings())]
        start = stop
    n = min(len(ws), len(heard["ws"]))
    assert n >= len(heard["ws"]) - 4
    assert np.abs(np.array(ws[:n]) - heard["ws"][:n]).max() < 1e-5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_within_two_seconds_and_leaves_nothing(run, number):
    before = shared_memory()
    live = run("--input", "demo")
    live.playing()
    pids = list(live.children().values())
    begin_s = time.monotonic()
    live.process.send_signal(number)
    code, err = live.finish(5.0)
    assert code == 0, err
    assert time.monotonic() - begin_s < 2.0
    assert gone(pids, 1.0)
    assert shared_memory() <= before
    assert "Traceback" not in err


def test_nothing_is_left_when_main_is_killed(run):
    before = shared_memory()
    live = run("--input", "demo")
    live.playing()
    pids = list(live.children().values())
    assert len(pids) >= 2
    live.process.kill()
    live.process.communicate()
    assert gone(pids, 5.0)
    assert shared_memory() <= before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="niceness of threads is Linux's")
def test_who_presents_has_the_processor_before_who_makes_images(run):
    """Each thread of theirs: an engine's, too."""
    live = run("--input", "demo")
    live.playing()
    ours = os.getpriority(os.PRIO_PROCESS, live.process.pid)
    synth = next(pid for pid in live.children().values() if "openvino" in Path(f"/proc/{pid}/maps").read_text())
    found = [os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir(f"/proc/{synth}/task")]
    assert len(found) > 3
    assert sum(nice != ours + MAKING for nice in found) <= 1, "one only waits for main to end"
    everybody = [int(thread) for pid in live.children().values() for thread in os.listdir(f"/proc/{pid}/task")]
    assert {os.sched_getscheduler(thread) for thread in everybody} == {os.SCHED_OTHER}, "main alone stands in front"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_dead_and_hung_children_are_back_while_the_picture_stays(run, number):
    live = run("--input", "demo")
    live.playing()
    for pid in [pid for name, pid in live.children().items() if name != "tracker"]:
        os.kill(pid, number)
    then = live.stats["present"]["presented"]
    stats = live.wait_for(
        lambda s: s["restarts"]["capture"] and s["restarts"]["synth"] and s["present"]["presented"] > then + 60,
        "both are back and pictures went on",
    )
    images, blocks = stats["generate"]["images"], stats["capture"]["blocks"]
    live.wait_for(
        lambda s: s["generate"]["images"] > images + 30 and s["capture"]["blocks"] > blocks, "new images come"
    )
    live.process.send_signal(signal.SIGTERM)
    code, err = live.finish(5.0)
    assert code == 0, err
    assert "starting it again" in err


def test_a_second_instance_exits_with_3_and_names_the_first(run, tmp_path):
    live = run("--input", "demo")
    live.playing()
    code, _, err = livelav(tmp_path, "--input", "demo", "--headless", "--seconds", "1")
    assert code == 3
    assert str(live.process.pid) in err


def test_without_a_display_it_writes_a_video_and_a_contact_sheet(tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    code, _, err = livelav(tmp_path, "--input", "demo", "--seconds", "2", "--size", "320x180")
    assert code == 0, err
    assert [path.suffix for path in sorted((tmp_path / "livelav-show").iterdir())] == [".mp4", ".png"]
    assert "no display" in err


def test_without_loopback_it_says_so_and_plays_the_demo(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nobody")
    live = run("--input", "loopback")
    stats = live.wait_for(lambda s: s["source"]["kind"] == "demo", "the demo plays")
    assert stats["restarts"]["capture"] == 0
    live.process.send_signal(signal.SIGTERM)
    code, err = live.finish()
    assert code == 0, err
    assert "playing 'demo' instead" in err


def test_a_file_ends_the_show_with_it(run, tmp_path):
    import soundfile

    sound = tmp_path / "sound.flac"
    noise = 0.1 * np.random.default_rng(0).standard_normal((44100, 1))
    soundfile.write(sound, noise, 44100)
    live = run("--input", str(sound), "--trace", str(tmp_path / "trace.npz"))
    code, err = live.finish()
    assert code == 0, err
    heard = np.load(tmp_path / "trace.npz")
    samples = heard["samples"][np.repeat(heard["rates_hz"], heard["lengths"]) == 44100]
    assert np.allclose(samples[:44100], noise, atol=1e-3), "it was heard from its first sample to its last"
    assert live.stats["capture"]["samples"] == 44100
    assert live.stats["source"]["rate"] == 44100


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--preset", "clam"], "calm"),
        (["--mapping-norm", "9"], "from 0 to 4"),
        (["--mapping-norm", "loud"], "from 0 to 4"),
        (["--mapping-norm", "nan"], "from 0 to 4"),
        (["--seed", "-1"], "whole number"),
        (["--seed", "1.5"], "whole number"),
        (["--size", "0x0"], "WIDTHxHEIGHT"),
        (["--fps", "0"], "from 1 to 240"),
        (["--backend", "openvno"], "openvino"),
        (["--mapping-mode", "track"], "whole file"),
        (["--stats", "nowhere/stats.json"], "choose another"),
        (["--record", "nowhere/show.mp4"], "make it first"),
        (["--record", "show.avi"], ".mp4 or .mkv"),
        (["--model", "defualt"], "default"),
        (["--model", "missing.safetensors"], "missing.safetensors"),
        (["--model", "noise.safetensors"], "noise.safetensors"),
        (["--encoder", "encodec-24khz"], "livelav models fetch encodec-24khz"),
        (["--encoder", "noise.safetensors"], "noise.safetensors"),
        (["--input", "missing.wav"], "missing.wav"),
        (["--input", "noise.wav"], "noise.wav"),
        (["--input", "empty.wav"], "empty.wav"),
        (["--input", "./"], "folder"),
        (["--input", ""], "empty"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, args, says):
    (tmp_path / "noise.wav").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "noise.safetensors").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "empty.wav").write_bytes(b"")
    code, _, err = livelav(
        tmp_path,
        "--headless",
        "--size",
        "64x64",
        "--osc",
        "off",  # another show may have the port, which is told in a line of its own
        "--seconds",
        "1",
        *(["--input", "demo"] if "--input" not in args else []),
        *args,
    )
    assert code == 1
    assert says in err
    assert len(err.strip().splitlines()) == 1, err


def test_unknown_flags_are_usage_errors(tmp_path):
    code, _, err = livelav(tmp_path, "--mapping-nrom", "1")
    assert code == 2
    assert "--mapping-norm" in err


def test_it_plays_without_a_cache_that_can_be_written(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LIVELAV_CACHE", str(tmp_path / "file" / "cache"))
    code, err = run("--input", "demo", "--seconds", "1").finish()
    assert code == 0, err


def test_stages_load_nothing_they_do_not_need():
    """main draws, capture listens: neither has a neural network in memory."""
    code = "import sys, livelav.play; print(sys.modules.keys() & {'torch', 'openvino', 'soundcard', 'rtmixer'})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"
