"""The virtual rig carries what it says: sound from sink to monitor, pictures, MIDI; and leaves nothing behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import rig as rig_tool
from numpy.typing import NDArray
from rig import FIRST, MIC, SECOND, SINK, Rig, RigError

RATE_HZ = 48_000
TOOL = [sys.executable, rig_tool.__file__]


@contextlib.contextmanager
def recording(rig: Rig, source: str = f"{SINK}.monitor") -> Iterator["subprocess.Popen[bytes]"]:
    """A recorder that has begun to deliver float32 stereo on its stdout."""
    command = [
        "pacat",
        "--record",
        f"--device={source}",
        "--format=float32le",
        f"--rate={RATE_HZ}",
        "--latency-msec=10",
    ]
    with subprocess.Popen(command, env=rig.env, stdout=subprocess.PIPE) as recorder:
        assert recorder.stdout is not None
        try:
            recorder.stdout.read(8)
            yield recorder
        finally:
            recorder.kill()


def heard(recorder: "subprocess.Popen[bytes]", seconds: float) -> NDArray[np.float32]:
    assert recorder.stdout is not None
    return np.frombuffer(recorder.stdout.read(int(seconds * RATE_HZ) * 8), np.float32).reshape(-1, 2)


def tone(seconds: float) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@pytest.mark.rig
@pytest.mark.parametrize(("sink", "source"), [(SINK, f"{SINK}.monitor"), (rig_tool.MIC_SINK, MIC)])
def test_what_is_played_into_a_sink_is_heard_at_its_source(rig: Rig, sink: str, source: str) -> None:
    with recording(rig, source) as recorder:
        player = threading.Thread(target=rig.play, args=(tone(0.5), RATE_HZ, sink))
        player.start()
        samples = heard(recorder, 1.0)
        player.join()
    loud = samples[np.abs(samples[:, 0]) > 1e-3]
    assert len(loud) > 0.4 * RATE_HZ
    assert np.abs(loud).max() == pytest.approx(0.5, abs=0.01)
    spectrum = np.abs(np.fft.rfft(samples[:, 0]))
    assert np.fft.rfftfreq(len(samples), 1 / RATE_HZ)[spectrum.argmax()] == pytest.approx(440, abs=3)


@pytest.mark.rig
def test_a_sink_can_be_unplugged_and_comes_back_at_another_rate(rig: Rig) -> None:
    rig.unload_sink(SINK)
    assert SINK not in rig.sinks()
    with pytest.raises(RigError, match="no sink 'lav' to unload"):
        rig.unload_sink(SINK)
    rig.load_sink(SINK, rate_hz=44_100)
    assert f"{SINK}.monitor" in rig.sources()
    rates = {line.split("\t")[1]: line.split()[5] for line in rig.pactl("list", "short", "sinks").splitlines()}
    assert rates == {SINK: "44100Hz", rig_tool.MIC_SINK: "48000Hz"}
    rig.unload_sink(SINK)
    rig.load_sink(SINK)


@pytest.mark.rig
def test_the_sound_server_can_be_killed_and_started_again(rig: Rig) -> None:
    rig.kill_sound()
    assert not rig.sound_lives()
    with pytest.raises(RigError):
        rig.sinks()
    rig.start_sound()
    assert {SINK, rig_tool.MIC_SINK} <= set(rig.sinks())


@pytest.mark.rig
def test_the_screen_is_read_back_exactly(rig: Rig) -> None:
    drawing = """
import sys, glfw, moderngl
assert glfw.init()
glfw.window_hint(glfw.DECORATED, False)
window = glfw.create_window(320, 200, "", None, None)
glfw.set_window_pos(window, 100, 50)
glfw.make_context_current(window)
context = moderngl.create_context()
for _ in range(20):
    context.clear(1.0, 128 / 255, 0.0)
    glfw.swap_buffers(window)
    glfw.poll_events()
context.finish()
print("drawn", flush=True)
sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", drawing], env=rig.env, **pipes) as window:
        assert window.stdout is not None
        assert window.stdout.readline() == b"drawn\n"
        screen = rig.screenshot()
        window.communicate()
    assert screen.shape == (720, 1280, 3)
    assert (screen[50:250, 100:420] == (255, 128, 0)).all()
    assert not (screen[:49] == (255, 128, 0)).all(axis=2).any()


@pytest.mark.rig
def test_a_second_monitor_is_unplugged_comes_back_and_leaves_no_process() -> None:
    with rig_tool.running(640, 480, monitors=2, sound=False) as desk:
        connected = [line.split()[:3] for line in desk.xrandr().splitlines() if " connected" in line]
        assert [name for name, *_ in connected] == [FIRST, SECOND]
        assert "640x480+0+0" in desk.xrandr() and f"{SECOND} connected 1024x576+640+0" in desk.xrandr()
        assert desk.screenshot().shape == (576, 640 + 1024, 3)
        desk.unplug(SECOND)
        assert f"{SECOND} connected 1" not in desk.xrandr()
        desk.plug(SECOND, "800x600", x=700)
        assert f"{SECOND} connected 800x600+700+0" in desk.xrandr()
        with pytest.raises(RigError, match=r"^xrandr .*cannot find mode"):
            desk.plug(SECOND, "3x3")
        [pid] = [int(file.read_text()) for file in desk.folder.glob("*.pid")]
        assert alive(pid)
    assert not alive(pid) and not desk.folder.exists()


@pytest.mark.rig
def test_midi_passes_between_two_clients(rig: Rig) -> None:
    talk = """
import queue, rtmidi
heard = queue.Queue()
out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="sender")
inp = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="hearer")
out.open_virtual_port("knobs")
inp.set_callback(lambda event, _: heard.put(event[0]))
inp.open_port(next(i for i, name in enumerate(inp.get_ports()) if "knobs" in name))
out.send_message([0xB0, 20, 64])
print(heard.get(timeout=5))
inp.close_port(); out.close_port(); inp.delete(); out.delete()
"""
    done = subprocess.run(
        [sys.executable, "-c", talk], env=rig.env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.strip() == "[176, 20, 64]", done.stderr


@pytest.mark.rig
@pytest.mark.parametrize("end", [None, signal.SIGTERM, signal.SIGKILL])
def test_a_second_rig_stands_beside_and_leaves_no_process(rig: Rig, end: signal.Signals | None) -> None:
    pids_of = 'for file in $LIVELAV_RIG_DIR/*.pid; do printf "%s " $(cat $file); done'
    tell = f"{pids_of}; echo $LIVELAV_RIG_DIR $DISPLAY; read _; exit 7"
    with subprocess.Popen([*TOOL, "run", "bash", "-c", tell], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as second:
        assert second.stdout is not None
        *pids, folder, display = second.stdout.readline().decode().split()
        assert len(pids) == 4
        assert Path(folder) != rig.folder
        assert display != os.environ["DISPLAY"]
        assert all(alive(int(pid)) for pid in pids)
        if end is None:
            second.communicate(b"\n")
        else:
            second.send_signal(end)
            second.communicate()
    assert second.returncode == {None: 7, signal.SIGTERM: 143, signal.SIGKILL: -9}[end]
    if end == signal.SIGKILL:
        for pid in map(int, pids):  # Linux tells its programs, and they take a moment to end
            psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
    assert not any(alive(int(pid)) for pid in pids)
    assert Path(folder).exists() == (end == signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "true").symlink_to("/bin/true")
    for extra, packages in (
        ([], "jackd2 pulseaudio pulseaudio-utils util-linux xvfb"),
        (["--monitors", "2"], "jackd2 pulseaudio pulseaudio-utils util-linux x11-xserver-utils xserver-xorg-core"),
    ):
        command = [*TOOL, "run", *extra, "true"]
        done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"sudo apt-get install {packages}" in done.stderr


def test_outside_of_a_rig_nothing_attaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVELAV_RIG", raising=False)
    with pytest.raises(RigError, match=r"tools/rig\.py run"):
        Rig.attach()
