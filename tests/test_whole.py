"""Whole sounds as strangers have them: cut, damaged, of odd kinds. All that can be heard of them is, at its time."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from livelav.audio.whole import WholeSound
from livelav.core.errors import SourceError

RATE_HZ = 48_000
SECONDS = 6.0


def tone(channels: int = 1, seconds: float = SECONDS) -> np.ndarray:
    """[n, channels], louder from second to second."""
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    mono = 0.1 * (1 + np.floor(times_s)) * np.sin(2 * np.pi * 440.0 * times_s)
    return np.repeat(mono[:, None], channels, axis=1).astype(np.float32)


def written(path: Path, sound: np.ndarray, codec: str = "aac", title: str = "", **options: str) -> Path:
    with av.open(str(path), "w", options=options) as container:
        layout = {1: "mono", 2: "stereo"}[sound.shape[1]]
        stream = container.add_stream(codec, rate=RATE_HZ, layout=layout)
        if title:
            container.metadata["title"] = title
        for start in range(0, len(sound), 1024):
            part = np.ascontiguousarray(sound[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(part, "fltp", layout)
            frame.sample_rate, frame.pts = RATE_HZ, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def heard(whole: WholeSound) -> np.ndarray:
    return np.concatenate(list(whole.blocks()))


def loudness(sound: np.ndarray) -> Iterator[float]:
    """Of every second."""
    for start in range(0, len(sound) - RATE_HZ + 1, RATE_HZ):
        yield float(np.sqrt(np.square(sound[start : start + RATE_HZ]).mean()))


def test_a_damaged_packet_is_silent_and_what_follows_is_in_time(tmp_path: Path) -> None:
    path = written(tmp_path / "song.m4a", tone(), movflags="faststart")
    content = bytearray(path.read_bytes())
    at = len(content) // 4
    content[at : at + 400] = bytes(255 - byte for byte in content[at : at + 400])
    path.write_bytes(content)
    whole = WholeSound(path)
    sound = heard(whole)
    assert len(sound) == pytest.approx(SECONDS * RATE_HZ, abs=0.05 * RATE_HZ)
    assert list(loudness(sound))[3:5] == pytest.approx(list(loudness(tone()))[3:5], rel=0.1)
    assert "is damaged" in whole.damage and "silent" in whole.damage
    written(tmp_path / "good.m4a", tone())
    good = WholeSound(tmp_path / "good.m4a")
    assert len(heard(good)) and good.damage == ""


def test_a_track_that_is_cut_says_where_it_ends(tmp_path: Path) -> None:
    path = written(tmp_path / "song.m4a", tone(), movflags="faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    whole = WholeSound(path)
    assert 1.0 < len(heard(whole)) / RATE_HZ < 5.0
    assert "it ends at" in whole.damage and "of 6.0" in whole.damage
    part = WholeSound(path, end_s=1.0)
    assert len(heard(part)) == RATE_HZ and part.damage == ""


def test_channels_that_change_on_the_way_are_heard_on(tmp_path: Path) -> None:
    one, two = (written(tmp_path / f"{n}.aac", tone(n, 2.0), format="adts") for n in (1, 2))
    path = tmp_path / "both.aac"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    whole = WholeSound(path)
    sound = heard(whole)
    assert sound.shape[1] == whole.channels == 1
    assert len(sound) == pytest.approx(4.0 * RATE_HZ, abs=0.1 * RATE_HZ)


def test_a_title_in_another_encoding_is_no_reason_to_be_silent(tmp_path: Path) -> None:
    path = written(tmp_path / "song.mka", tone(), title="Fuer Elise")
    path.write_bytes(path.read_bytes().replace(b"Fuer Elise", b"F\xfcr  Elise"))
    assert len(heard(WholeSound(path)))


def test_sound_that_nobody_can_decode_is_one_error(tmp_path: Path) -> None:
    path = written(tmp_path / "song.mka", tone())
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_ZZZ"))
    with pytest.raises(SourceError, match="cannot be decoded"):
        WholeSound(path)


def test_a_guessed_length_refuses_nothing(tmp_path: Path) -> None:
    """Of a bare stream nobody knows it but by reading all: what is loud first seems shorter than it is."""
    sound = np.concatenate([tone(1, 3.0), np.zeros((27 * RATE_HZ, 1), np.float32)])
    sound[: 3 * RATE_HZ, 0] += 0.3 * np.random.default_rng(0).standard_normal(3 * RATE_HZ).astype(np.float32)
    path = written(tmp_path / "song.aac", sound)
    assert WholeSound(path).seconds < 20.0, "or this shows nothing"
    whole = WholeSound(path, start_s=25.0)
    assert len(heard(whole)) > 4 * RATE_HZ and whole.damage == ""
