"""Videos of whole sounds: the same stages as live, exact in time, the same every time, and nothing lost on the way."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from live import DEADLINE_S
from livelav.audio.whole import WholeSound
from livelav.chain import Chain
from livelav.core.drive import Drive
from livelav.core.errors import LivelavError, SourceError, StorageError
from livelav.core.params import Settings
from livelav.core.presets import SEED
from livelav.core.values import Block
from livelav.encode.calibration import passage
from livelav.encode.encoder import load_encoder
from livelav.flags import first_scene
from livelav.generate.files import read_checkpoint
from livelav.generate.library import find_model
from livelav.importing import load_generator
from livelav.mapping.mapper import Mapper
from livelav.render import rendering
from livelav.render.offline import Script, track_stats
from livelav.render.rendering import render
from livelav.show.provenance import read_provenance

RATE_HZ = 44_100
pytestmark = pytest.mark.usefixtures("one_generator")
SMALL = {"fps": "30", "size": (96, 64), "start": None, "end": None, "supersample": "1", "lossless": False}


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@pytest.fixture(scope="module")
def stats():
    return read_checkpoint(find_model("default")).stats


@pytest.fixture(scope="module")
def music(tmp_path_factory) -> Path:
    """1.5 s and a bit, so that neither pictures nor blocks come out even."""
    path = tmp_path_factory.mktemp("sound") / "music.wav"
    both = np.stack([passage(RATE_HZ, 1.51, 3), passage(RATE_HZ, 1.51, 4)], axis=1)
    soundfile.write(path, both, RATE_HZ, "PCM_16")
    return path


def rendered(sound: Path, output: Path, **changes) -> Path:
    render(sound, output, **({"preset": None, "seed": None, "force": False} | SMALL | changes))
    return output


def pictures_of(path: Path) -> tuple[list[float], np.ndarray]:
    """When each is shown, and [n, height, width, 3]."""
    with av.open(str(path)) as container:
        space = "ITU709" if container.streams.video[0].format.name == "yuv420p" else None
        frames = [
            (frame.time, frame.to_ndarray(format="rgb24", src_colorspace=space)) for frame in container.decode(video=0)
        ]
    return [time_s for time_s, _ in frames], np.stack([pixels for _, pixels in frames])


def sound_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        rows = [frame.to_ndarray().reshape(-1, frame.layout.nb_channels) for frame in container.decode(audio=0)]
    return np.concatenate(rows)


# ---- what is to be seen when


def test_the_same_sound_gives_the_same_ws_as_a_show_that_heard_it_in_other_blocks(encoder, stats) -> None:
    sound = passage(encoder.sample_rate, 2.0, 1)[:, None]
    steps = list(Script(encoder, stats, first_scene(None, None, {}), Fraction(75)).steps(iter([sound]), 24_000))
    chain = Chain(encoder, Mapper(stats, encoder, SEED))
    frames = []
    for start in range(0, len(sound), 777):
        frames += chain.push(Block(sound[start : start + 777], 0.0, 24_000.0), Settings())
    assert len(steps) == 150 and len(frames) == 150
    for step, frame in zip(steps, frames, strict=True):
        assert np.array_equal(step.controls.ws, frame.controls.ws)


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(60), Fraction(144)])
def test_an_attack_is_seen_in_the_picture_that_is_shown_when_it_is_heard(encoder, stats, fps) -> None:
    sound, at_s = 1e-4 * np.random.default_rng(0).standard_normal((RATE_HZ, 1)).astype(np.float32), 0.6
    sound[round(at_s * RATE_HZ) : round(at_s * RATE_HZ) + 2000] += 0.5
    steps = list(
        Script(encoder, stats, first_scene(None, None, {}), fps).steps(iter(np.array_split(sound, 9)), RATE_HZ)
    )
    assert [step.number for step in steps] == list(range(len(steps)))
    assert len(steps) == int(fps) + (fps != int(fps)), "as many as begin within the second"
    first = next(step for step in steps if step.moment.onset > 0.5)
    assert abs(first.time_s - at_s) <= 1 / encoder.frame_rate + 1 / fps


def test_a_whole_tracks_statistics_are_those_of_its_embeddings(encoder, stats) -> None:
    sound = passage(encoder.sample_rate, 4.0, 2)
    found = track_stats(encoder, iter(np.array_split(sound[:, None], 7)), 24_000, Settings())
    embeddings, _ = encoder.step(sound, encoder.primed_state())
    assert found.mean == pytest.approx(embeddings.mean(axis=0), abs=1e-3)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(embeddings.std(axis=0), rel=0.02, abs=1e-3)
    scene = first_scene(None, None, {"mapping_mode": "track"}, live=False)
    steps = list(Script(encoder, stats, scene, Fraction(30), found).steps(iter([sound[:, None]]), 24_000))
    assert np.isfinite(steps[-1].controls.ws).all()


# ---- the file


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_is_as_long_as_its_sound_and_the_sound_is_the_same(music: Path, tmp_path: Path, suffix: str) -> None:
    path = rendered(music, tmp_path / f"video{suffix}")
    times_s, pictures = pictures_of(path)
    assert len(times_s) == 46, "one for each thirtieth that begins within 1.51 s"
    assert times_s == pytest.approx([n / 30 for n in range(46)], abs=0.0006)
    assert pictures.std() > 10
    original, _ = soundfile.read(music, dtype="int32", always_2d=True)
    assert np.array_equal(sound_of(path), original)


def test_a_video_says_how_it_was_made(music: Path, tmp_path: Path) -> None:
    path = rendered(music, tmp_path / "video.mp4", preset="pulse", seed="9", start="0.5", end="0.8", show_hue="11")
    made = read_provenance(path)
    assert made.scene.seed == 9 and made.scene.settings["show.hue"] == 11.0
    assert made.scene.settings == first_scene("pulse", "9", {"show_hue": "11"}).settings
    assert (made.model, made.encoder, made.fps, made.size) == ("default", "embedded", 30, (96, 64))
    assert made.model_sha256 == hashlib.sha256(find_model("default").read_bytes()).hexdigest()
    assert (made.sound, made.rate_hz, made.start_s, made.end_s) == ("music.wav", RATE_HZ, 0.5, 0.8)
    assert made.sound_sha256 == hashlib.sha256(music.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_same_file_every_time_with_generators_of_their_own(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(rendering, "load_generator", load_generator)
    one, other = (rendered(music, tmp_path / f"{n}{suffix}", preset="pulse", end="0.7") for n in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone fills memory that is handed out")
@pytest.mark.parametrize("lossless", [False, True])
def test_what_lies_in_memory_that_is_handed_out_is_in_no_video(tmp_path: Path, lossless: bool) -> None:
    videos = []
    for filled_with in ("1", "170"):
        path = tmp_path / f"{filled_with}.mkv"
        command = [sys.executable, "-P", "-c", FILM, str(path), str(int(lossless))]
        subprocess.run(command, env={**os.environ, "MALLOC_PERTURB_": filled_with}, check=True, timeout=DEADLINE_S)
        with av.open(str(path)) as container:
            videos.append([bytes(packet) for packet in container.demux(video=0)])
    assert len(videos[0]) > 30 and videos[0] == videos[1]


FILM = """
import sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from livelav.show.film import Film

film = Film(Path(sys.argv[1]), (100, 60), Fraction(30), (48_000, 2), lossless=bool(int(sys.argv[2])))
grain = np.random.default_rng(1).integers(0, 256, (80, 130, 4), dtype=np.uint8)
for n in range(40):
    film.add_picture(grain[n // 4 : n // 4 + 60, n : n + 100] // 3 + 2 * n)
film.close()
"""


def test_lossless_keeps_every_bit_and_takes_odd_sizes(music: Path, tmp_path: Path) -> None:
    odd = pictures_of(rendered(music, tmp_path / "odd.mkv", lossless=True, size=(97, 63), end="0.3"))[1]
    assert odd.shape[1:] == (63, 97, 3)
    exact, near = (
        pictures_of(rendered(music, tmp_path / f"{lossless}.mkv", lossless=lossless, end="0.3", seed="0"))[1]
        for lossless in (True, False)  # of colours that are not so deep that subsampling cuts them off
    )
    assert np.abs((near - exact.astype(int)).mean(axis=(0, 1, 2))).max() < 2, (
        "colours, but for their subsampling, are those drawn"
    )


def test_what_is_drawn_finer_has_the_size_that_was_asked_for(music: Path, tmp_path: Path) -> None:
    plain, finer = (
        pictures_of(rendered(music, tmp_path / f"{n}.mkv", supersample=str(n), end="0.2"))[1].astype(int)
        for n in (1, 3)
    )
    assert finer.shape == plain.shape
    assert 0 < np.abs(finer - plain).mean() < 10


def test_a_part_of_a_sound(music: Path, tmp_path: Path) -> None:
    path = rendered(music, tmp_path / "part.mkv", start="0.5", end="1.25")
    original, _ = soundfile.read(music, dtype="int32", always_2d=True)
    assert np.array_equal(sound_of(path), original[round(0.5 * RATE_HZ) : round(1.25 * RATE_HZ)])
    assert len(pictures_of(path)[0]) == 23


def test_the_sound_of_a_video_can_be_rendered(music: Path, tmp_path: Path) -> None:
    first = rendered(music, tmp_path / "first.mp4")
    again = rendered(first, tmp_path / "again.mkv")
    assert np.array_equal(sound_of(again), sound_of(first))


# ---- what cannot be


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"size": (97, 64)}, "98x64"),
        ({"fps": "0"}, "from 1 to 240"),
        ({"supersample": "9"}, "from 1 to 8"),
        ({"start": "7"}, "1.5 s long"),
        ({"start": "1", "end": "0.5"}, "nothing of it"),
        ({"preset": "clam"}, "calm"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    music: Path, tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(LivelavError, match=says):
        rendered(music, tmp_path / "video.mp4", **changes)
    assert not (tmp_path / "video.mp4").exists()


def test_a_video_that_exists_is_written_over_only_if_told(music: Path, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(StorageError, match="exists"):
        rendered(music, path)
    assert path.read_bytes() == b"precious"
    rendered(music, path, force=True, end="0.2")
    assert len(pictures_of(path)[0]) == 6
    with pytest.raises(StorageError, match="the sound itself"):
        rendered(path, path, force=True)
    with pytest.raises(StorageError, match="mp4 or"):
        rendered(music, tmp_path / "video.avi")


@pytest.mark.parametrize("content", [b"", b"noise" * 999])
def test_what_is_no_sound_is_one_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sound.wav").write_bytes(content)
    with pytest.raises(SourceError, match=r"sound\.wav"):
        rendered(tmp_path / "sound.wav", tmp_path / "video.mp4")


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="holds no sound"):
        rendered(tmp_path / "mute.mp4", tmp_path / "video.mp4")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_truncated_sound_gives_what_there_is_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    noise = 0.2 * np.random.default_rng(0).standard_normal((RATE_HZ, 1))
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    soundfile.write(whole, noise, RATE_HZ)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    path = rendered(cut, tmp_path / "video.mkv")
    assert 12 <= len(pictures_of(path)[0]) <= 16
    assert abs(len(sound_of(path)) / RATE_HZ - len(pictures_of(path)[0]) / 30) < 1 / 30


def test_sound_that_is_no_number_harms_only_its_moment(encoder, stats) -> None:
    sound = passage(encoder.sample_rate, 1.0, 6)[:, None]
    sound[6_000:6_003, 0] = np.nan, np.inf, -np.inf
    steps = list(Script(encoder, stats, first_scene(None, None, {}), Fraction(30)).steps(iter([sound]), 24_000))
    assert all(np.isfinite(step.controls.ws).all() for step in steps)


def test_an_attack_between_two_pictures_is_not_lost(encoder, stats) -> None:
    sound = 1e-4 * np.random.default_rng(0).standard_normal((48_000, 2)).astype(np.float32)
    sound[20_000:21_000] += 0.5
    steps = list(Script(encoder, stats, first_scene(None, None, {}), Fraction(2)).steps(iter([sound]), 24_000))
    assert [step.moment.onset > 0.5 for step in steps].count(True) >= 1


def test_a_drive_moves_the_mapping_as_often_as_there_are_frames(encoder, stats) -> None:
    drives = {"generate.psi": Drive.parse("square 0.5 1")}
    scene = replace(first_scene(None, None, {"tempo_bpm": "120"}), drives=drives)
    sound = passage(encoder.sample_rate, 2.0, 7)[:, None]
    steps = list(Script(encoder, stats, scene, Fraction(60)).steps(iter([sound]), 24_000))
    spread = np.array([np.abs(step.controls.ws - stats.w_avg).mean() for step in steps])
    wide = spread[12:] > 0.5 * spread.max()
    assert 6 <= np.count_nonzero(np.diff(wide.astype(int))) <= 16, "it opens and closes four times a second"


def test_a_video_that_fails_leaves_the_one_before_it(music: Path, tmp_path: Path) -> None:
    path = rendered(music, tmp_path / "video.mp4", end="0.2")
    before = path.read_bytes()
    (tmp_path / "header.wav").write_bytes(music.read_bytes()[:44])
    with pytest.raises(SourceError):
        rendered(tmp_path / "header.wav", path, force=True)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["header.wav", "video.mp4"]


def test_interrupted_it_leaves_a_video_of_what_was_made(tmp_path: Path) -> None:
    sound, path = tmp_path / "long.wav", tmp_path / "video.mp4"
    soundfile.write(sound, passage(RATE_HZ, 120.0, 5), RATE_HZ)
    command = [sys.executable, "-m", "livelav", "render", str(sound), "-o", str(path), "--size", "96x64"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    until_s = time.monotonic() + DEADLINE_S
    while not path.exists() or path.stat().st_size < 100_000:
        assert time.monotonic() < until_s and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130 and "stopped at" in said
    times_s, _ = pictures_of(path)
    assert times_s[-1] > 0.5
    assert abs(len(sound_of(path)) / RATE_HZ - times_s[-1]) < 0.3


def test_a_disk_that_refuses_is_one_error(music: Path, tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*free some space"):
            rendered(music, tmp_path / "video.mkv", lossless=True, size=(320, 180))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("bytes_taken", [0, 40_000])
def test_a_disk_that_refuses_leaves_the_video_that_is_there(music: Path, tmp_path: Path, bytes_taken: int) -> None:
    """What it took by then may be a video too, if a shorter one: only nothing never takes another's place."""
    import resource

    path = rendered(music, tmp_path / "video.mkv", lossless=True, size=(320, 180), end="0.2")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_taken, before[1]))
    try:
        with pytest.raises(StorageError, match="free some space"):
            rendered(music, path, lossless=True, size=(320, 180), force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(pictures_of(path)[0]) >= 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["video.mkv"]


def test_eight_hours_are_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "night.wav"
    with soundfile.SoundFile(path, "w", 8_000, 1, "PCM_U8") as file:
        for _ in range(8 * 60):
            file.write(np.zeros(60 * 8_000, np.float32))
    whole = WholeSound(path)
    assert whole.seconds == 8 * 3600
    lengths = [len(block) for block in whole.blocks()]
    assert sum(lengths) == 8 * 3600 * 8_000 and max(lengths) <= 8_192
