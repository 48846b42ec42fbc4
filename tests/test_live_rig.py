"""Sound played into a sink becomes pictures in a window; both are real ones, of the virtual rig."""

import signal
import time

import numpy as np
import pytest

from live import DEADLINE_S, Run

pytestmark = pytest.mark.rig

STILL = ("--show-drift", "0", "--show-contour", "0", "--smoothing-coarse", "0.1", "--smoothing-middle", "0.1")
RATE_HZ = 48000


@pytest.fixture
def show(tmp_path):
    """livelav in a window on the rig's display, listening to the rig's sink."""
    run = Run(tmp_path, "--input", "loopback", *STILL, headless=False)
    try:
        run.playing()
        yield run
    finally:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
            run.finish(10.0)


def changed(rig, pause_s=0.1):
    """Share of the window's pixels that differ visibly between two moments."""
    before = rig.screenshot().astype(np.int16)
    time.sleep(pause_s)  # the time between the two is what is looked at
    return float((np.abs(rig.screenshot().astype(np.int16) - before).max(axis=2) > 8).mean())


def until(condition, what):
    until_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < until_s:
        if condition():
            return
    raise AssertionError(f"not within {DEADLINE_S} s: {what}")


def music(seconds=3.0):
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    beat = np.exp(-8 * (t % 0.25))
    tone = np.sin(2 * np.pi * 220 * 2 ** (np.floor(t / 0.25) % 8 / 12) * t)
    return np.repeat((0.5 * beat * tone).astype(np.float32)[:, None], 2, axis=1)


def test_the_window_dances_to_the_sink_and_rests_in_silence(show, rig):
    until(lambda: changed(rig) < 0.001, "the picture rests in silence")
    assert rig.screenshot().std() > 10, "the window shows a picture"
    with rig.playing(music(), RATE_HZ):
        until(lambda: changed(rig) > 0.2, "the picture moves with the music")
        stats = show.wait_for(lambda s: s["features"]["rms_db"] > -40, "the music is heard")
        assert stats["source"]["kind"] == "loopback"
    until(lambda: changed(rig) < 0.001, "the picture rests again")
    show.wait_for(lambda s: s["features"]["rms_db"] < -70, "silence is heard")


def test_a_server_that_dies_comes_back_into_the_picture(show, rig):
    rig.kill_sound()
    presented = show.stats["present"]["presented"]
    show.wait_for(lambda s: s["present"]["presented"] > presented + 60, "pictures go on without a sound server")
    rig.start_sound()
    with rig.playing(music(8.0), RATE_HZ):
        until(lambda: changed(rig) > 0.2, "the picture moves with the music again")
    assert show.wait_for(lambda s: s["capture"]["reconnects"] >= 1, "it reconnected")["restarts"]["synth"] == 0
