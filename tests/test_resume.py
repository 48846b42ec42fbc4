"""A render that was cut off goes on: the video is then what it would have been, wherever the cut was."""

import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_render import RATE_HZ, pictures_of, rendered, sound_of

from live import DEADLINE_S
from livelav.core.errors import LivelavError, ParamError, StorageError
from livelav.encode.calibration import passage
from livelav.render.resuming import REMEMBERED_S
from livelav.show.provenance import read_provenance
from livelav.show.unfinished import unfinished

pytestmark = pytest.mark.usefixtures("one_generator")
EXACT = {"lossless": True, "fps": "20"}


@pytest.fixture(scope="module")
def music(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "music.wav"
    soundfile.write(path, np.stack([passage(RATE_HZ, 3.26, n) for n in (3, 4)], axis=1), RATE_HZ, "PCM_16")
    return path


@pytest.fixture(scope="module", params=[".mp4", ".mkv"])
def whole(request, music: Path, tmp_path_factory) -> Path:
    return rendered(music, tmp_path_factory.mktemp("whole") / f"whole{request.param}", preset="pulse", **EXACT)


@pytest.fixture(scope="module")
def second(music: Path, tmp_path_factory) -> bytes:
    """A video of the first second, cut off."""
    return rendered(music, tmp_path_factory.mktemp("second") / "video.mp4", end="1").read_bytes()[:-9_000]


def same(one: Path, other: Path) -> bool:
    (times, pictures), (other_times, other_pictures) = pictures_of(one), pictures_of(other)
    sounds = np.array_equal(sound_of(one), sound_of(other))
    return times == other_times and np.array_equal(pictures, other_pictures) and sounds


@pytest.mark.parametrize("share", [0.35, 0.64, 0.999])
def test_wherever_it_is_cut_it_becomes_what_it_would_have_been(
    music: Path, whole: Path, tmp_path: Path, share: float
) -> None:
    cut = tmp_path / f"video{whole.suffix}"
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    assert 0 < unfinished(cut, Fraction(20)).kept < 66 or share < 0.4
    rendered(music, cut, preset="pulse", resume=True, **EXACT)
    assert same(cut, whole)
    assert read_provenance(cut) == read_provenance(whole)
    assert [path.name for path in tmp_path.iterdir()] == [cut.name]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pictures_that_are_there_are_not_made_again(music: Path, tmp_path: Path, suffix: str) -> None:
    lossy = rendered(music, tmp_path / f"whole{suffix}")
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(lossy.read_bytes()[: int(0.8 * lossy.stat().st_size)])
    rendered(music, cut, resume=True)
    (times, pictures), (whole_times, whole_pictures) = pictures_of(cut), pictures_of(lossy)
    assert times == whole_times and np.array_equal(sound_of(cut), sound_of(lossy))
    assert np.array_equal(pictures[:45], whole_pictures[:45]), "the very same, encoded once"
    assert np.abs(pictures.astype(int) - whole_pictures).mean() < 1.0


def test_what_a_picture_remembers_is_there_again_after_a_long_part_that_is_not_drawn(tmp_path: Path) -> None:
    seconds = REMEMBERED_S + 8.0
    sound = tmp_path / "long.wav"
    soundfile.write(sound, passage(RATE_HZ, seconds, 5), RATE_HZ, "PCM_16")
    order = {"fps": "12", "lossless": True, "show_feedback": "0.8", "size": (64, 48)}
    whole = rendered(sound, tmp_path / "whole.mkv", **order)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: int(0.95 * whole.stat().st_size)])
    rendered(sound, cut, resume=True, **order)
    pictures, whole_pictures = pictures_of(cut)[1], pictures_of(whole)[1]
    assert pictures.shape == whole_pictures.shape
    apart = np.abs(pictures.astype(int) - whole_pictures)
    assert apart.max() <= 1 and (apart > 0).mean() < 1e-3, "but for rounding"


def started(sound: Path, path: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "livelav", "render", str(sound), "-o", str(path), "--size", "96x64", "--lossless"]
    return subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def grown(process: subprocess.Popen[str], path: Path, size: int) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < until_s and process.poll() is None
        time.sleep(0.02)


def test_killed_and_killed_again_while_it_goes_on_and_stopped_it_comes_to_its_end(tmp_path: Path) -> None:
    sound, path, whole = tmp_path / "music.wav", tmp_path / "video.mp4", tmp_path / "whole.mp4"
    soundfile.write(sound, passage(RATE_HZ, 4.0, 7), RATE_HZ, "PCM_16")
    killed = started(sound, path)
    grown(killed, path, 600_000)
    killed.kill()
    killed.communicate(timeout=DEADLINE_S)
    size = path.stat().st_size
    again = started(sound, path, "--resume")
    grown(again, tmp_path / ".new-video.mp4", 100_000)
    again.kill()
    again.communicate(timeout=DEADLINE_S)
    assert path.stat().st_size == size, "what was there is there until there is more"
    stopped = started(sound, path, "--resume")
    grown(stopped, tmp_path / ".new-video.mp4", size + 300_000)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate(timeout=DEADLINE_S)
    assert stopped.returncode == 130 and "stopped at" in said
    assert path.stat().st_size > size
    rendered(sound, path, resume=True, lossless=True, fps="60")
    assert same(path, rendered(sound, whole, lossless=True, fps="60"))


def test_a_complete_video_is_left_as_it_is(
    music: Path, whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"video{whole.suffix}"
    path.write_bytes(whole.read_bytes())
    rendered(music, path, preset="pulse", resume=True, **EXACT)
    assert path.read_bytes() == whole.read_bytes()
    assert "is complete" in capfd.readouterr().err


def test_where_there_is_nothing_it_begins(music: Path, tmp_path: Path) -> None:
    assert len(pictures_of(rendered(music, tmp_path / "video.mp4", resume=True, end="0.5"))[0]) == 15


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": "3"}, "seed"),
        ({"show_hue": "20"}, r"show\.hue 0.0, not 20"),
        ({"fps": "24"}, "fps 30, not 24"),
        ({"size": (64, 64)}, "size"),
        ({"lossless": True}, "lossless"),
        ({"start": "0.1"}, "start_s"),
        ({"supersample": "2"}, "supersample"),
    ],
)
def test_another_order_is_refused(
    music: Path, second: bytes, tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(second)
    with pytest.raises(StorageError, match=says):
        rendered(music, path, resume=True, **({"end": "1"} | changes))
    assert path.read_bytes() == second


def test_another_sound_is_refused_and_so_is_what_livelav_did_not_make(music: Path, tmp_path: Path) -> None:
    path, other = rendered(music, tmp_path / "video.mp4", end="0.5"), tmp_path / "music.wav"
    soundfile.write(other, passage(RATE_HZ, 3.26, 9), RATE_HZ)
    with pytest.raises(StorageError, match="another sound"):
        rendered(other, path, resume=True, end="0.5")
    for content in (b"", b"noise" * 99, path.read_bytes()[:40]):
        foreign = tmp_path / "foreign.mp4"
        foreign.write_bytes(content)
        with pytest.raises(LivelavError, match="cannot go on"):
            rendered(music, foreign, resume=True, end="0.5")
        assert foreign.read_bytes() == content
    with pytest.raises(ParamError, match="one of them"):
        rendered(music, path, resume=True, force=True)
