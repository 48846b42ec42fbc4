"""Files and the demo play in real time, whole and in order; what cannot be played is refused in one line."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livelav.audio import demo
from livelav.audio.demo import DemoSource
from livelav.audio.file import FileSource
from livelav.audio.source import Source
from livelav.audio.sources import SourceRequest, find_source
from livelav.core.clock import FakeClock
from livelav.core.errors import SourceError
from livelav.core.values import Block, Floats


def music(seconds: float, rate_hz: int, channels: int = 2) -> Floats:
    t = np.arange(int(seconds * rate_hz))[:, None] / rate_hz
    return (0.4 * np.sin(2 * np.pi * 220 * t * np.arange(1, channels + 1))).astype(np.float32)


def blocks(source: Source) -> Iterator[Block]:
    """Until the end of the file."""
    while True:
        try:
            block = source.read(1.0)
        except EOFError:
            return
        if block is not None:
            yield block


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (44_100, 2), (48_000, 6), (192_000, 8)])
def test_a_file_comes_whole_and_in_order(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path, samples = tmp_path / "a.wav", music(0.7, rate_hz, channels)
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    source = FileSource(path, False, FakeClock())
    assert (source.info.rate_hz, source.info.channels) == (rate_hz, channels)
    played = np.concatenate([b.samples for b in blocks(source)])
    assert np.array_equal(played, samples)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_the_usual_formats_play(tmp_path: Path, suffix: str) -> None:
    path, samples = tmp_path / f"a.{suffix}", music(1.0, 44_100)
    soundfile.write(path, samples, 44_100)
    played = np.concatenate([b.samples for b in blocks(FileSource(path, False, FakeClock()))])
    assert len(played) == pytest.approx(len(samples), abs=2_500)
    assert np.sqrt(np.mean(played**2)) == pytest.approx(np.sqrt(np.mean(samples**2)), rel=0.1)


def test_a_file_keeps_time(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(2.0, 44_100), 44_100)
    clock = FakeClock(100.0)
    source, played = FileSource(path, False, clock), 0
    for block in blocks(source):
        played += len(block.samples)
        assert block.captured_s == pytest.approx(100.0 + played / 44_100)
        assert clock.now_s() == pytest.approx(block.captured_s, abs=1e-6) or played == 2 * 44_100
        assert source.position == played
    assert played == 2 * 44_100


def test_nothing_comes_before_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(1.0, 48_000), 48_000)
    clock = FakeClock()
    source = FileSource(path, False, clock)
    assert source.read(0.001) is None
    assert clock.now_s() == pytest.approx(0.001)
    assert source.read(0.1) is not None


def test_after_a_long_pause_the_rest_is_not_played_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(2.0, 48_000), 48_000)
    clock = FakeClock()
    source = FileSource(path, False, clock)
    assert source.read(1.0) is not None
    clock.sleep(60.0)  # the lid was closed
    late = source.read(1.0)
    assert late is not None and late.captured_s == pytest.approx(clock.now_s())
    assert source.read(0.001) is None


def test_a_loop_has_no_seam(tmp_path: Path) -> None:
    path, samples = tmp_path / "a.wav", music(0.31, 48_000)
    soundfile.write(path, samples, 48_000, subtype="FLOAT")
    source, played = FileSource(path, True, FakeClock()), []
    while sum(map(len, played)) < 3 * len(samples):
        block = source.read(1.0)
        assert block is not None
        played.append(block.samples)
    assert np.array_equal(np.concatenate(played)[: 3 * len(samples)], np.tile(samples, (3, 1)))


def test_a_file_that_is_deleted_plays_on(tmp_path: Path) -> None:
    path, samples = tmp_path / "a.wav", music(1.0, 48_000)
    soundfile.write(path, samples, 48_000, subtype="FLOAT")
    source = FileSource(path, False, FakeClock())
    first = source.read(1.0)
    path.unlink()
    assert first is not None
    assert len(first.samples) + sum(len(b.samples) for b in blocks(source)) == len(samples)


def test_a_truncated_file_plays_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(4.0, 48_000), 48_000, subtype="FLOAT")
    path.write_bytes(path.read_bytes()[: 2 * 48_000 * 8])
    played = sum(len(b.samples) for b in blocks(FileSource(path, False, FakeClock())))
    assert played == pytest.approx(2 * 48_000, abs=100)


def broken(folder: Path, fault: str) -> Path:
    path = folder / f"{fault}.wav"
    match fault:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("these are words\n" * 100)
        case "noise":
            path.write_bytes(np.random.default_rng(0).bytes(5_000))
        case "no samples":
            soundfile.write(path, np.zeros((0, 2), np.float32), 48_000)
        case "slow":
            soundfile.write(path, np.zeros((100, 2), np.float32), 4_000)
        case "fast":
            soundfile.write(path, np.zeros((100, 2), np.float32), 384_000)
        case "folder":
            path.mkdir()
    return path


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("empty", "is empty"),
        ("text", "no sound file"),
        ("noise", "no sound file"),
        ("no samples", "0 samples"),
        ("slow", "4000 Hz"),
        ("fast", "384000 Hz"),
        ("folder", "is a folder"),
        ("missing", "does not exist"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(tmp_path: Path, fault: str, reason: str) -> None:
    path = broken(tmp_path, fault)
    opener = find_source(SourceRequest(str(path)), FakeClock())
    with pytest.raises(SourceError, match=reason) as caught:
        opener()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_request_finds_file_and_demo(tmp_path: Path) -> None:
    path = tmp_path / "a set without suffix"
    soundfile.write(path, music(0.1, 48_000), 48_000, format="WAV")
    assert find_source(SourceRequest(str(path)), FakeClock())().info.kind == "file"
    assert find_source(SourceRequest("demo"), FakeClock())().info.kind == "demo"


def test_an_empty_request_is_refused() -> None:
    with pytest.raises(SourceError, match="empty"):
        find_source(SourceRequest("  "), FakeClock())


@pytest.fixture(scope="module")
def loop() -> Floats:
    return demo.compose()


def test_the_demo_is_the_same_each_time_and_within_full_scale(loop: Floats) -> None:
    assert loop.shape == (demo.LENGTH, 2) and loop.dtype == np.float32
    assert np.array_equal(loop, demo.compose())
    assert 0.5 < np.abs(loop).max() < 1
    assert -18 < 10 * np.log10(np.mean(loop**2)) < -10


def test_the_demo_has_no_seam(loop: Floats) -> None:
    """The kick strikes on the seam as on every beat: the step into it is no larger than at the others."""
    steps = np.abs(np.diff(np.concatenate([loop, loop[:1]]), axis=0)).max(1)
    beats = steps.reshape(-1, demo.BEAT)
    assert steps[-1] <= beats[:, -1].max()


def test_the_demo_has_a_beat(loop: Floats) -> None:
    """The energy rises at each beat, where the kick is, more than half-way between two."""
    energy = (loop**2).sum(1)
    windows = energy.reshape(-1, demo.STEP).mean(1)
    on, before = windows[0::4], np.roll(windows, 1)[0::4]
    assert np.mean(on > before) > 0.9


def test_the_demo_moves_through_its_chords(loop: Floats) -> None:
    """Twelve pitch classes of each bar: chords of different name look different, the same chord alike."""
    bars = loop.sum(1).reshape(demo.BARS, -1)
    spectrum = np.abs(np.fft.rfft(bars * np.hanning(bars.shape[1]))) ** 2
    hz = np.fft.rfftfreq(bars.shape[1], 1 / demo.RATE_HZ)
    audible = (hz > 200) & (hz < 1_000)
    pitch = np.round(12 * np.log2(hz[audible] / 440)).astype(int) % 12
    chroma = np.stack([spectrum[:, audible][:, pitch == p].sum(1) for p in range(12)], axis=1)
    chroma /= np.linalg.norm(chroma, axis=1, keepdims=True)
    alike = chroma @ chroma.T
    assert alike[0, 4] > 0.9  # Am9 in both halves
    neighbours = [alike[bar, (bar + 1) % demo.BARS] for bar in range(demo.BARS)]
    assert max(neighbours) < 0.85 and np.median(neighbours) < 0.5


def test_the_demo_plays_round_and_round(loop: Floats) -> None:
    source, played, count = DemoSource(FakeClock()), [], 0
    while count < demo.LENGTH + 10_000:
        block = source.read(1.0)
        assert block is not None
        played.append(block.samples)
        count += len(block.samples)
    assert np.array_equal(np.concatenate(played), np.concatenate([loop, loop[: count - demo.LENGTH]]))
