"""`livelav score` on real videos: ours, strangers', and what is none."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from PIL import Image

from livelav import scoring
from livelav.audio.whole import WholeSound
from livelav.cli import cli
from livelav.core.errors import ScoreError, SourceError, StorageError
from livelav.encode.calibration import passage
from livelav.encode.encoder import load_encoder
from livelav.generate.files import read_checkpoint
from livelav.generate.library import find_model, load_generator
from livelav.render.offline import Pictures, Script, by
from livelav.render.rendering import render
from livelav.score.sound import ANALYSIS_HZ
from livelav.score.video import VideoPictures
from livelav.scoring import INSTALL, random_steps, score
from livelav.show.film import Film
from livelav.show.headless import HeadlessSurface
from livelav.show.provenance import of_json, read_provenance
from livelav.show.renderer import Renderer

RATE_HZ = 24_000
SECONDS = 11


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that livelav rendered, by a preset that draws with the sound."""
    folder = tmp_path_factory.mktemp("video")
    soundfile.write(folder / "music.wav", passage(RATE_HZ, SECONDS, 3), RATE_HZ, "PCM_16")
    flags = {"preset": "pulse", "seed": "4", "fps": "24", "size": (96, 54), "start": None, "end": None}
    render(folder / "music.wav", folder / "ours.mkv", supersample="1", lossless=False, force=False, **flags)
    return folder / "ours.mkv"


def film(
    path: Path, seconds: float = 6.0, sound_s: float | None = None, comment: str = "", fps: Fraction = Fraction(25)
) -> Path:
    """A stranger's video: noise, and pictures of a brightness that grows by 1 with each."""
    sound = passage(RATE_HZ, seconds if sound_s is None else sound_s, 5)[:, None]
    made = Film(path, (64, 48), fps, (RATE_HZ, 1), lossless=True, comment=comment)
    for part in np.array_split(sound, 20):
        made.add_sound(part)
    for number in range(round(seconds * fps)):
        made.add_picture(np.full((48, 64, 4), min(number + 20, 250), np.uint8))
    made.close()
    return path


def moving(path: Path, seconds: int = 12) -> Path:
    """A stranger's video whose pictures have nothing to do with its sound."""
    cloud = cv2.resize(np.random.default_rng(1).integers(0, 256, (20, 20, 4), np.uint8), (200, 200))
    made = Film(path, (64, 48), Fraction(25), (RATE_HZ, 1))
    for second in range(seconds):
        made.add_sound(passage(RATE_HZ, 1.0, second)[:, None])
    for number in range(25 * seconds):
        x, y = (int(60 + 60 * np.sin(number / period)) for period in (31.0, 17.0))
        made.add_picture(np.ascontiguousarray(cloud[y : y + 48, x : x + 64]))
    made.close()
    return path


# ---- a video of ours


@pytest.fixture(scope="module")
def scored(ours: Path) -> dict:
    return score(ours, ours.with_name("pairs.png"))


def test_a_video_of_ours_is_held_against_both_controls(scored: dict, ours: Path) -> None:
    assert json.loads(json.dumps(scored, allow_nan=False))["video"] == "ours.mkv"
    assert (scored["seconds"], scored["segments"], scored["notes"]) == (SECONDS, 1, [])
    assert set(scored["correlations"]) == {"procrustes", "adjusted_rv", "pwcca", "smi"}
    for measure, found in scored["correlations"].items():
        assert set(found["controls"]) == {"shuffled", "random"}
        assert found["score"]["mean"] == pytest.approx(found["whole"], abs=2e-5), measure
        for control in found["controls"].values():
            above = found["score"]["mean"] - control["score"]["mean"]
            assert control["excess"]["mean"] == pytest.approx(above, abs=2e-5)
    quoted = scored["quoted"]
    over = {n: c["excess"]["mean"] for n, c in scored["correlations"]["procrustes"]["controls"].items()}
    assert quoted["excess"]["mean"] == over[quoted["over"]] == min(over.values())
    with Image.open(ours.with_name("pairs.png")) as picture:
        assert picture.width > 800 and np.asarray(picture).std() > 5


def test_the_same_video_has_the_same_score(scored: dict, ours: Path) -> None:
    again = score(ours)
    assert again["pairs"] == scored["pairs"] and again["quoted"] == scored["quoted"]


def test_random_motion_is_drawn_as_the_video_was(ours: Path) -> None:
    """The video's own steps, drawn as random ones are, look like the video."""
    made, sound = read_provenance(ours), WholeSound(ours)
    generator = load_generator(made.model)
    script = Script(load_encoder(made.encoder), generator.stats, made.scene, made.fps)
    surface = HeadlessSurface(made.size)
    pictures = Pictures(by(generator), Renderer(surface.ctx, surface.software), surface.fbo, made.size)
    shown = VideoPictures(ours).pictures(48)
    far = []
    for step, small in zip(script.steps(sound.blocks(), sound.rate_hz), shown, strict=False):
        far.append(np.abs(pictures.make(step)[..., :3].astype(float) - small).mean())
    surface.close()
    assert len(far) == 48
    assert max(far) < 12, "of 255: one of them was compressed"


def test_random_steps_keep_what_moves_them_but_for_its_time(ours: Path) -> None:
    made, sound = read_provenance(ours), WholeSound(ours)
    stats = read_checkpoint(find_model(made.model)).stats
    script = Script(load_encoder(made.encoder), stats, made.scene, Fraction(ANALYSIS_HZ))
    steps = list(script.steps(sound.blocks(), sound.rate_hz))
    found = random_steps(steps, Fraction(ANALYSIS_HZ), 24, 1)
    assert [step.number for step in found] == list(range(len(steps) + 24))
    for times_s in ([step.moment.time_s for step in found], [step.moment.shown_s for step in found]):
        assert np.diff(times_s) == pytest.approx(1 / ANALYSIS_HZ), "what is judged over time, as flashes, goes on in it"
    assert sorted(s.moment.onset for s in found[: len(steps)]) == sorted(s.moment.onset for s in steps)
    ws, own = (np.stack([step.controls.ws for step in some[: len(steps)]]) for some in (found, steps))
    assert ws.std(axis=0).mean() == pytest.approx(own.std(axis=0).mean(), rel=0.35)
    moves = [np.abs(np.diff(some, axis=0)).mean() for some in (ws, own)]
    assert moves[0] == pytest.approx(moves[1], rel=0.25)
    ways = [(some - some.mean(axis=0)).reshape(len(some), -1) for some in (ws, own)]
    related = (ways[0] * ways[1]).sum() / np.sqrt(np.square(ways[0]).sum() * np.square(ways[1]).sum())
    assert abs(related) < 0.5


def test_a_figure_is_printed_with_its_controls(ours: Path, monkeypatch: pytest.MonkeyPatch, scored: dict) -> None:
    monkeypatch.setattr(scoring, "score", lambda *_: scored)
    said = CliRunner().invoke(cli, ["score", str(ours)], catch_exceptions=False).output
    assert all(word in said for word in ("procrustes", "shuffled", "random", "to quote", "one segment", "pairs that"))
    told = CliRunner().invoke(cli, ["score", str(ours), "--json"], catch_exceptions=False).output
    assert json.loads(told)["quoted"] == scored["quoted"]


# ---- a stranger's


def test_a_strangers_video_is_held_against_itself_alone(tmp_path: Path) -> None:
    found = score(moving(tmp_path / "theirs.mp4"))
    assert set(found["correlations"]["procrustes"]["controls"]) == {"shuffled"} == {found["quoted"]["over"]}
    assert len(found["notes"]) == 1 and "does not say how livelav rendered it" in found["notes"][0]
    assert found["segments"] == 1 and found["quoted"]["excess"]["low"] is None


@pytest.mark.parametrize("name", ["/etc/passwd", "../../model.pkl", "none-of-ours", "http://example.org/x.pkl"])
def test_what_it_says_of_itself_opens_no_file(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a stranger chose what is loaded")

    monkeypatch.setattr(scoring, "load_generator", forbidden)
    monkeypatch.setattr(scoring, "load_encoder", forbidden)
    made = read_provenance(ours)
    for choice in ("model", "encoder"):
        sly = replace(made, scene=replace(made.scene, choices={**made.scene.choices, choice: name}))
        path = film(tmp_path / f"{choice}.mkv", comment=sly.as_json())
        assert name in read_provenance(path).as_json()
        found = score(path)
        assert set(found["correlations"]["smi"]["controls"]) == {"shuffled"}
        assert any("is not installed" in note for note in found["notes"])


def test_another_model_of_the_same_name_draws_nothing(ours: Path, tmp_path: Path) -> None:
    other = replace(of_json(read_provenance(ours).as_json()), model_sha256="ab" * 32)
    found = score(film(tmp_path / "other.mkv", comment=other.as_json()))
    assert set(found["correlations"]["smi"]["controls"]) == {"shuffled"}
    assert any("another here" in note for note in found["notes"])


def test_sound_and_pictures_of_other_lengths_are_scored_where_both_are(tmp_path: Path) -> None:
    shorter = score(film(tmp_path / "shorter.mkv", 6.0, sound_s=9.0))
    longer = score(film(tmp_path / "longer.mp4", 9.0, sound_s=6.0))
    for found, says in ((shorter, "9.0 s of sound and 6"), (longer, "6.0 s of sound and 9")):
        assert found["seconds"] == pytest.approx(6.0, abs=0.3)
        assert any(says in note for note in found["notes"]), found["notes"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_of_a_video_that_was_cut_off_there_is_what_there_is(tmp_path: Path, suffix: str) -> None:
    whole = moving(tmp_path / f"whole{suffix}", 14).read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    assert 5.0 <= score(cut)["seconds"] < 13.0


# ---- the pictures of a video


@pytest.mark.parametrize("fps", [Fraction(12), Fraction(24), Fraction(30000, 1001), Fraction(60)])
def test_each_picture_is_the_one_that_is_shown_at_its_moment(tmp_path: Path, fps: Fraction) -> None:
    path = film(tmp_path / "grey.mkv", 3.0, fps=fps)
    shown = [int(picture.mean().round()) for picture in VideoPictures(path).pictures(60)]
    due = [min(20 + int((Fraction(n, ANALYSIS_HZ) + Fraction(1, 1000)) * fps), 250) for n in range(60)]
    assert shown == due


def test_pictures_end_where_the_video_does(tmp_path: Path) -> None:
    path = film(tmp_path / "short.mkv", 2.0)
    assert abs(len(list(VideoPictures(path).pictures(999))) - 48) <= 2


def test_a_picture_that_is_shown_for_years_is_not_counted_out(tmp_path: Path) -> None:
    path = tmp_path / "years.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream("flac", rate=RATE_HZ, layout="mono")
        for number, pts in enumerate((0, 25 * 86_400 * 365)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    pictures: Iterator[np.ndarray] = VideoPictures(path).pictures(300)
    assert len(list(pictures)) == 300


# ---- what is none


def mute(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_what_is_no_video_with_sound_is_one_line(tmp_path: Path, ours: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 999)
    (tmp_path / "cut.mp4").write_bytes(ours.read_bytes()[:300])
    soundfile.write(tmp_path / "sound.wav", passage(RATE_HZ, 1.0, 1), RATE_HZ)
    for name, says in {
        "none.mp4": "does not exist",
        "": "is a folder",
        "empty.mp4": "is empty",
        "noise.mp4": "cannot be read as a video",
        "cut.mp4": "cut.mp4",
        "sound.wav": "no pictures",
        mute(tmp_path / "mute.mp4").name: "holds no sound",
        film(tmp_path / "short.mp4", 2.0).name: "5 s are the least",
    }.items():
        with pytest.raises(SourceError, match=says) as caught:
            score(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_without_its_packages_it_says_what_to_install(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "librosa" else there(name))
    with pytest.raises(ScoreError, match=r"score needs librosa.*pip install librosa") as caught:
        score(ours)
    assert INSTALL in str(caught.value)


def test_a_picture_that_cannot_be_written_is_told_of_before_the_work(tmp_path: Path) -> None:
    video = moving(tmp_path / "theirs.mkv", 6)
    there = tmp_path / "pairs.png"
    there.write_bytes(b"precious")
    content = video.read_bytes()
    for picture, says in ((tmp_path / "none" / "pairs.png", "no folder"), (video, r"\.png"), (there, "--force")):
        with pytest.raises(StorageError, match=f"cannot write .*{says}"):
            score(tmp_path / "is-not-looked-at.mp4", picture)
    assert (video.read_bytes(), there.read_bytes()) == (content, b"precious")
    score(video, there, force=True)
    assert Image.open(there).format == "PNG"


def test_a_title_in_another_encoding_and_pictures_nobody_can_decode(tmp_path: Path) -> None:
    video = film(tmp_path / "theirs.mkv", comment="Fuer Elise")
    content = video.read_bytes()
    video.write_bytes(content.replace(b"Fuer Elise", b"F\xfcr  Elise"))
    assert len(list(VideoPictures(video).pictures(9))) == 9
    with pytest.raises(SourceError, match="does not say how livelav"):
        read_provenance(video)
    video.write_bytes(content.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/AVC"))
    with pytest.raises(SourceError, match="cannot be decoded"):
        VideoPictures(video)
