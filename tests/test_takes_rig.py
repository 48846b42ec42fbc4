"""A real show in a real window that listens to a real sink, taken, and made again from its take."""

import json
import os
import signal
import socket

import av
import numpy as np
import pytest
from test_generate_library import write_small

from live import Run, livelav
from livelav.control.osc import LOOPBACK, Message, pack
from livelav.core.store import models_dir
from livelav.takes.format import LINES, Take

pytestmark = pytest.mark.rig

RATE_HZ = 48_000


def music(seconds):
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tone = np.sin(2 * np.pi * 220 * 2 ** (np.floor(t / 0.25) % 8 / 12) * t)
    return np.repeat((0.5 * np.exp(-8 * (t % 0.25)) * tone).astype(np.float32)[:, None], 2, axis=1)


@pytest.fixture
def show(tmp_path, rig):
    """(run, what sends it OSC) of a show in a window, with a take."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    flags = ("--size", "480x270", "--osc", str(port), "--take", "show.take")
    run = Run(tmp_path, "--input", "loopback", *flags, headless=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def say(address, *arguments):
            sender.sendto(pack([Message(address, arguments)]), (LOOPBACK, port))

        try:
            run.playing()
            yield run, say
        finally:
            if run.process.poll() is None:
                run.end()


def play(show, rig):
    """Some seconds of music, and hands at work meanwhile."""
    run, say = show
    begin = run.stats["seconds"]
    with rig.playing(music(14.0), RATE_HZ):
        run.wait_for(lambda s: s["features"]["rms_db"] > -40, "the music is heard")
        say("/mapping/norm", 1.75)
        run.wait_for(lambda s: s["settings"]["mapping.norm"] == 1.75, "a knob")
        say("/preset", "pulse")
        run.wait_for(lambda s: s["preset"] == "pulse", "a recall")
        say("/show/hue", 40.0)
        run.wait_for(lambda s: s["settings"]["show.hue"] == 40.0 and s["seconds"] > begin + 10, "ten seconds of it")
    return run.stats


def made_again(folder, run_s):
    """What a render of the take says; the video is as long as the take."""
    code, _, err = livelav(folder, "render", "show.take", "-o", "again.mp4", "--size", "96x64", "--fps", "30")
    assert code == 0, err
    with av.open(str(folder / "again.mp4")) as container:
        pictures = sum(1 for _ in container.decode(video=0))
        container.seek(0)
        heard = [frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)]
        rate_hz = container.streams.audio[0].rate
    sound = np.concatenate(heard)
    seconds = len(sound) / rate_hz
    assert seconds == pytest.approx(run_s, abs=1.5)
    assert pictures == pytest.approx(30 * seconds, abs=1)
    assert np.abs(sound).max() > 0.2 * 2**31, "the music is in it"
    return err


def test_a_show_is_made_again_from_its_take(tmp_path, show, rig):
    run, _ = show
    stats = play(show, rig)
    assert stats["peak_rss_mb"]["taker"] > 0 and not any(stats["restarts"].values())
    run.process.send_signal(signal.SIGTERM)
    code, err = run.finish()
    assert code == 0, err
    take = Take(tmp_path / "show.take")
    done = [json.loads(line) for line in (take.path / LINES).read_text().splitlines()[1:]]
    assert [one["do"] for one in done if one["do"] != "tempo"] == ["set", "play", "begin", "set"]
    assert take.sha256 == stats["model"]["sha256"] and take.encoder == stats["encoder"]["name"]
    assert "wrote again.mp4" in made_again(tmp_path, run.stats["seconds"])


def pictures_of(path):
    """[n, height, width, 3], int."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)


def test_a_change_of_model_is_made_again_where_it_was_seen(tmp_path, show, rig):
    run, say = show
    models_dir().mkdir(parents=True, exist_ok=True)
    write_small(models_dir() / "small.safetensors")
    with rig.playing(music(14.0), RATE_HZ):
        run.wait_for(lambda s: s["features"]["rms_db"] > -40 and s["seconds"] > 3, "the music is heard")
        for address, value in (
            ("contour", 0.0),
            ("drift", 0.0),
            ("flash_limit", 60.0),
        ):  # what remembers other pictures
            say(f"/show/{address}", value)
        say("/preset/morph", 1.0)
        say("/model", "small")
        run.wait_for(lambda s: s["model"]["name"] == "small", "the other model")
        seen_s = run.stats["seconds"]
        run.wait_for(lambda s: s["seconds"] > seen_s + 2, "it plays alone")
    run.process.send_signal(signal.SIGTERM)
    assert run.finish()[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "show.take" / LINES).read_text().splitlines()[1:]]
    fades = [line for line in lines if line["do"] == "fade"]
    assert [(line["model"], line["seconds"]) for line in fades] == [("small", 1.0), ("small", 0.0)]
    begin, end = (line["at"] * 30 // RATE_HZ for line in fades)
    assert end - begin == pytest.approx(30, abs=4)
    made = {}
    for name, flags in {"take": (), "default": ("--model", "default"), "small": ("--model", "small")}.items():
        order = ("-o", f"{name}.mkv", "--lossless", "--size", "96x64", "--fps", "30", *flags)
        code, _, err = livelav(tmp_path, "render", "show.take", *order)
        assert code == 0 and "goes on" not in err, err
        made[name] = pictures_of(tmp_path / f"{name}.mkv")
    assert np.abs(made["take"] - made["default"])[: begin - 1].max() == 0
    assert np.abs(made["take"] - made["small"])[end + 2 :].mean(axis=(1, 2, 3)).max() < 1
    assert np.abs(made["default"] - made["small"])[end + 2 :].mean() > 5


def test_a_show_that_is_killed_leaves_a_take_of_all_but_its_last_second(tmp_path, show, rig):
    run, _ = show
    play(show, rig)
    seconds = run.stats["seconds"]
    os.kill(run.process.pid, signal.SIGKILL)
    run.finish()
    assert "wrote again.mp4" in made_again(tmp_path, seconds)
