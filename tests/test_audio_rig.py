"""Capture against a real sound server: nothing is lost, and whatever is pulled out is back when it returns."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from rig import MIC_SINK, SINK, Rig
from test_audio_capture import PATIENCE_S, Running, capturing

from livelav.audio.devices import PULSE, list_devices, survey_devices
from livelav.audio.libpulse import PulseConnection
from livelav.core.errors import SourceError
from livelav.core.values import Floats

pytestmark = pytest.mark.rig

RATE_HZ = 48_000
PERIOD = 65_536
RAMP_S = float(os.environ.get("LIVELAV_RAMP_S", "3"))  # 60 for the README's figure


def ramp(seconds: float) -> Floats:
    """Samples [n, 2] that tell their own number, from 1 on, modulo PERIOD; exact in float32."""
    return np.repeat(((np.arange(int(seconds * RATE_HZ)) + 1) % PERIOD / PERIOD).astype(np.float32)[:, None], 2, axis=1)


@contextmanager
def playing_steadily(rig: Rig, samples: Floats) -> Iterator[None]:
    """Plays samples [n, 2] meanwhile, from half a second of buffer: one that starves leaves holes."""
    path = rig.folder / "steady.f32"
    samples.astype("<f4").tofile(path)
    shape = [f"--rate={RATE_HZ}", "--channels=2", "--format=float32le", "--raw", "--latency-msec=500"]
    command = ["pacat", "--playback", f"--device={SINK}", *shape, str(path)]
    with subprocess.Popen(command, env=rig.env, stdin=subprocess.DEVNULL) as player:
        try:
            yield
        finally:
            player.kill()
    path.unlink()


def hear(running: Running, seconds: float) -> Floats:
    """So much of what comes next, left channel."""
    pieces: list[Floats] = []
    for block in running.blocks():
        pieces.append(block.samples[:, 0])
        if sum(map(len, pieces)) >= seconds * RATE_HZ:
            break
    return np.concatenate(pieces)


def hear_loud(running: Running) -> None:
    """Returns when something loud comes in."""
    for block in running.blocks():
        if np.abs(block.samples).max() > 0.1:
            return


def settle(running: Running) -> None:
    """Returns when the capture delivers, after what it said of that was read."""
    running.event("source")
    next(running.blocks())


@contextmanager
def tone(rig: Rig, sink: str = SINK) -> Iterator[None]:
    """Something loud plays meanwhile."""
    t = np.arange(30 * RATE_HZ) / RATE_HZ
    with rig.playing((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), sink=sink):
        yield


@contextmanager
def busy_cores() -> Iterator[None]:
    """Every core counts for somebody else meanwhile."""
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_not_a_sample_is_lost(rig: Rig) -> None:
    with capturing("loopback") as running:
        settle(running)
        with playing_steadily(rig, ramp(RAMP_S + 1.0)), busy_cores():
            heard = hear(running, RAMP_S)
        assert running.board["xruns"] == running.reader.overruns == 0
    numbers = np.round(heard * PERIOD).astype(int)
    assert np.array_equal(numbers / PERIOD, heard)  # nobody changed a bit of it
    numbers = numbers[np.flatnonzero(numbers)[0] :]
    assert len(numbers) > (RAMP_S - 1.0) * RATE_HZ
    # should the player starve all the same, it leaves silence; a number that is missing would be our loss
    played = numbers[numbers > 0]
    jumps = np.diff(played) % PERIOD
    assert np.isin(jumps, (1, 2)).all()
    assert (played[1:][jumps == 2] == 1).all()  # over the ramp's own 0


@pytest.mark.parametrize("rate_hz", [44_100, 96_000])
def test_a_source_keeps_its_own_rate(rig: Rig, rate_hz: int) -> None:
    rig.load_sink("other", rate_hz)
    try:
        with capturing("other.monitor") as running:
            assert running.event("source")["rate"] == rate_hz
            with tone(rig, "other"):
                hear_loud(running)
    finally:
        rig.unload_sink("other")


def test_a_sink_that_is_pulled_out_is_back_when_it_returns(rig: Rig) -> None:
    with capturing("loopback") as running:
        settle(running)
        for turn, rate_hz in enumerate((44_100, 48_000)):
            rig.unload_sink(SINK)
            running.event("warning")
            rig.load_sink(SINK, rate_hz)
            assert running.event("source")["rate"] == rate_hz
            with tone(rig):
                hear_loud(running)
            assert running.board["reconnects"] == turn + 1


@pytest.mark.parametrize("source", ["loopback", "lav_monitor"])  # through libpulse, and through PortAudio
def test_a_server_that_was_killed_is_found_again(rig: Rig, source: str) -> None:
    with capturing(source) as running:
        settle(running)
        rig.kill_sound()
        running.event("warning")
        rig.start_sound()
        running.event("source")
        with tone(rig):
            hear_loud(running)
        assert running.board["reconnects"] >= 1


def test_a_server_that_hangs_is_waited_for_with_a_beating_heart(rig: Rig) -> None:
    with capturing("loopback") as running:
        settle(running)
        rig.stop_sound()
        try:
            running.event("warning")  # after seconds without a sample it tries to open anew, in vain
            beaten_s = running.board["heartbeat_s"]
            deadline_s = time.monotonic() + PATIENCE_S
            while running.board["heartbeat_s"] < beaten_s + 1.0:
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
            assert running.board["live"] == 0
        finally:
            rig.continue_sound()
        with tone(rig):
            hear_loud(running)


def test_a_loopback_follows_the_default_sink(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULSE_SOURCE")
    rig.load_sink("other")
    try:
        with capturing("loopback") as running, tone(rig, "other"):
            assert SINK in running.event("source")["name"]
            rig.pactl("set-default-sink", "other")
            assert "other" in running.event("source")["name"]
            hear_loud(running)
    finally:
        rig.pactl("set-default-sink", SINK)
        rig.unload_sink("other")


def test_a_named_source_is_never_exchanged_for_another(rig: Rig) -> None:
    rig.load_sink("other")
    with capturing("other.monitor") as running, tone(rig):
        settle(running)
        rig.unload_sink("other")
        running.event("warning")
        while (block := running.reader.read()) is not None:
            assert np.abs(block.samples).max() == 0
        rig.load_sink("other")
        assert "other" in running.event("source")["name"]
    rig.unload_sink("other")


@pytest.mark.parametrize("word", ["mic", "lavmic", "lav_mic"])
def test_microphones_by_kind_and_name(rig: Rig, word: str) -> None:
    """lavmic is a source of the server, lav_mic the same one through ALSA and PortAudio."""
    with capturing(word) as running, tone(rig, MIC_SINK):
        assert running.event("source")["source_kind"] in {"mic", "device"}
        hear_loud(running)


def test_portaudio_delivers_what_is_played_and_keeps_count(rig: Rig) -> None:
    with capturing("lav_monitor") as running, tone(rig):
        settle(running)
        hear_loud(running)
        blocks, count = running.blocks(), 0
        first = next(blocks)
        while count < 2 * first.rate_hz:
            block = next(blocks)
            count += len(block.samples)
    # what went missing on the way would be missing from the count, for the stamps go on
    assert count / (block.captured_s - first.captured_s) == pytest.approx(block.rate_hz, rel=0.02)
    assert np.abs(block.samples).max() == pytest.approx(0.5, abs=0.05)


def test_devices_are_listed_loopbacks_first(rig: Rig) -> None:
    found = list_devices()
    taken = [d for d in found if d.would_take]
    assert [d.id for d in taken] == [f"{SINK}.monitor"] == [found[0].id]
    assert {d.id: d.kind for d in found if d.api == PULSE} == {
        f"{SINK}.monitor": "loopback",
        f"{MIC_SINK}.monitor": "loopback",
        "lavmic": "mic",
    }
    assert any(d.api == "ALSA" for d in found)


def test_a_hanging_server_does_not_hang_the_survey(rig: Rig) -> None:
    rig.stop_sound()
    try:
        survey = survey_devices()
    finally:
        rig.continue_sound()
    assert not [d for d in survey.devices if d.api == PULSE]
    assert any("did not answer" in trouble for trouble in survey.troubles)


def test_a_source_that_is_missing_is_refused_with_the_nearest(rig: Rig) -> None:
    connection = PulseConnection()
    try:
        with pytest.raises(SourceError, match="is gone or refuses"):
            connection.record("nothing.monitor", RATE_HZ, 2, 256)
    finally:
        connection.close()


def test_connections_leave_nothing_open(rig: Rig) -> None:
    """Reconnecting all night must not run out of descriptors."""
    code = (
        "import os\n"
        "from livelav.audio.pulse import PulseStream\n"
        "counts = []\n"
        "for _ in range(6):\n"
        "    stream = PulseStream('loopback')\n"
        "    stream.read(1.0)\n"
        "    stream.close()\n"
        "    counts.append(len(os.listdir('/proc/self/fd')))\n"
        "assert counts[-1] == counts[0], counts\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 0, done.stderr
