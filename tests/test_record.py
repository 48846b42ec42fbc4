"""Recording: sight and sound stay together, whatever comes; the file plays, whatever ends it."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from livelav.core.clock import FakeClock
from livelav.core.errors import StorageError
from livelav.core.shm import Board, Latest, RingReader, SampleRing
from livelav.core.values import Block, Bytes, Floats
from livelav.show import record as record_module
from livelav.show.muxer import Muxer
from livelav.show.record import (
    PICTURE_FIELDS,
    RECORD_FIELDS,
    RecordConfig,
    Recorder,
    contact_sheet,
    run_recorder,
)
from livelav.show.soundtrack import RATE_HZ, Soundtrack

CTX = multiprocessing.get_context("spawn")
START_S = 1000.0
SIZE = (96, 64)
FPS = 30


def flat(light: int, size: tuple[int, int] = SIZE) -> Bytes:
    return np.full((size[1], size[0], 4), light, np.uint8)


def clicks(times_s: list[float], seconds: float, rate_hz: float) -> Floats:
    """Silence with a 2 ms burst at each of the times."""
    sound = np.zeros((round(seconds * rate_hz), 2), np.float32)
    burst = np.sin(np.arange(round(0.002 * rate_hz)) * 1.3)[:, None] * 0.9
    for at_s in times_s:
        at = round(at_s * rate_hz)
        sound[at : at + len(burst)] = burst
    return sound


def blocks(sound: Floats, rate_hz: float, start_s: float = START_S, size: int = 441) -> list[Block]:
    cut = [sound[i : i + size] for i in range(0, len(sound), size)]
    ends = np.cumsum([len(c) for c in cut])
    return [Block(c, start_s + end / rate_hz, rate_hz) for c, end in zip(cut, ends, strict=True)]


def flashes_seen(path: Path) -> list[float]:
    """Times at which a picture turns bright."""
    with av.open(str(path)) as container:
        frames = [(float(f.time), f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    lit = [light > 128 for _, light in frames]
    return [t for (t, _), now, before in zip(frames[1:], lit[1:], lit[:-1], strict=True) if now and not before]


def sound_of(path: Path) -> tuple[float, Floats]:
    """(time of the first sample, samples [n] of both channels' mean)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return float(frames[0].time), np.concatenate([f.to_ndarray().mean(0) for f in frames])


def clicks_heard(path: Path) -> list[float]:
    first_s, sound = sound_of(path)
    loud = np.flatnonzero(np.abs(sound) > 0.25)
    begins = loud[np.insert(np.diff(loud) > RATE_HZ // 10, 0, True)]
    return [first_s + i / RATE_HZ for i in begins]


def length_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return max(float(f.time) for f in container.decode(video=0))


class Timeline:
    """Stands for main and for the stop flag: publishes one picture and its sound each time it is asked, then stops."""

    def __init__(self, clock: FakeClock, count: int, publish: Callable[[int], None]) -> None:
        self._clock, self._count, self._publish, self._at = clock, count, publish, 0

    def is_set(self) -> bool:
        self._clock.sleep(1 / FPS)
        if self._at < self._count:
            self._publish(self._at)
            self._at += 1
            return False
        return True

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.sleep(timeout or 0.0)
        return False


def record(
    path: Path, count: int, publish: Callable[[int, Latest, SampleRing], None], size: tuple[int, int] = SIZE
) -> tuple[Board, list[dict[str, Any]]]:
    """Runs a recorder over a scripted show; returns its figures and what it said."""
    clock = FakeClock(START_S)
    ring, pictures = SampleRing(), Latest(4 * size[0] * size[1], "u1", PICTURE_FIELDS)
    board, said = Board(RECORD_FIELDS), list[dict[str, Any]]()
    stop = Timeline(clock, count, lambda n: publish(n, pictures, ring))
    Recorder(RecordConfig(path, size, FPS), RingReader(ring), pictures, board, said.append, stop, clock).run()
    return board, said


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("rate_hz", [48_000, 44_100])
def test_a_flash_and_its_click_stay_together(tmp_path: Path, suffix: str, rate_hz: int) -> None:
    path, times = tmp_path / f"take{suffix}", [1.0, 2.0, 4.5, 5.0]
    muxer = Muxer(path, SIZE, FPS)
    sound = blocks(clicks(times, 6.0, rate_hz), rate_hz)
    for n in range(6 * FPS):
        muxer.add_picture(flat(255 if any(t <= n / FPS < t + 0.1 for t in times) else 16), START_S + n / FPS)
        while sound and sound[0].captured_s <= START_S + (n + 1) / FPS:
            muxer.add_sound(sound.pop(0))
    muxer.close()
    seen, heard = flashes_seen(path), clicks_heard(path)
    assert len(seen) == len(heard) == len(times)
    assert np.abs(np.subtract(seen, heard)).max() < 1 / FPS + 0.010
    assert np.abs(np.diff(seen) - np.diff(times)).max() < 1e-3 + 1 / FPS
    assert length_s(path) == pytest.approx(6.0, abs=0.1)


def test_pictures_keep_the_times_they_were_shown_at(tmp_path: Path) -> None:
    path, times = tmp_path / "take.mp4", [0.0, 0.016, 0.05, 0.6, 0.61, 2.0]
    muxer = Muxer(path, SIZE, 60)
    for at_s in [*times, times[-1], 1.0]:  # the last two are not later than what came before: left out
        muxer.add_picture(flat(100), START_S + at_s)
    muxer.close()
    with av.open(str(path)) as container:
        stamps = [float(f.time) for f in container.decode(video=0)]
    assert np.subtract(stamps, stamps[0]) == pytest.approx(times, abs=1e-3)


def test_top_is_top_and_red_is_red(tmp_path: Path) -> None:
    def publish(n: int, pictures: Latest, ring: SampleRing) -> None:
        picture = flat(0)
        picture[SIZE[1] // 2 :, :, 0] = 255  # the upper half, bottom row first
        pictures.publish(picture, START_S + n / FPS, *SIZE)

    record(tmp_path / "take.mp4", 5, publish)
    with av.open(str(tmp_path / "take.mp4")) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert shown[8, 48] == pytest.approx([255, 0, 0], abs=12)
    assert shown[56, 48] == pytest.approx([0, 0, 0], abs=12)


@pytest.mark.parametrize("size", [(97, 65), (97, 64), (96, 65)])
def test_odd_sizes_are_cut_to_even_ones(tmp_path: Path, size: tuple[int, int]) -> None:
    muxer = Muxer(tmp_path / "take.mp4", size, FPS)
    for n in range(3):
        muxer.add_picture(flat(100, size), START_S + n / FPS)
    muxer.close()
    with av.open(str(tmp_path / "take.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == SIZE


def test_a_window_that_changed_its_size_is_scaled(tmp_path: Path) -> None:
    muxer = Muxer(tmp_path / "take.mp4", SIZE, FPS)
    for n, size in enumerate([SIZE, (300, 200), (31, 17)]):
        muxer.add_picture(flat(100, size), START_S + n / FPS)
    muxer.close()
    with av.open(str(tmp_path / "take.mp4")) as container:
        assert [(f.width, f.height) for f in container.decode(video=0)] == [SIZE] * 3


def test_a_show_without_sound_has_a_silent_track_as_long_as_its_pictures(tmp_path: Path) -> None:
    muxer = Muxer(tmp_path / "take.mkv", SIZE, FPS)
    for n in range(4 * FPS):
        muxer.add_picture(flat(100), START_S + n / FPS)
        muxer.keep_up(START_S + n / FPS)
    muxer.close()
    _, sound = sound_of(tmp_path / "take.mkv")
    assert len(sound) / RATE_HZ > 2.5
    assert not sound.any()


def placed(track: Soundtrack, sound: list[Block]) -> Floats:
    return np.concatenate([track.add(block) for block in sound])


def test_sound_begins_with_the_first_picture() -> None:
    sound = np.arange(RATE_HZ, dtype=np.float32)[:, None].repeat(2, 1)
    out = placed(Soundtrack(START_S + 0.3141), blocks(sound, RATE_HZ))
    assert out[0, 0] == pytest.approx(0.3141 * RATE_HZ, abs=1)
    late = placed(Soundtrack(START_S - 0.02), blocks(sound + 1, RATE_HZ))
    assert np.flatnonzero(late[:, 0])[0] == pytest.approx(0.02 * RATE_HZ, abs=1)


def test_a_gap_becomes_silence_and_what_follows_is_in_its_place() -> None:
    sound = np.ones((RATE_HZ, 2), np.float32)
    out = placed(Soundtrack(START_S), blocks(sound, RATE_HZ) + blocks(sound, RATE_HZ, START_S + 3.0))
    assert len(out) == pytest.approx(4 * RATE_HZ, abs=2)
    assert out[: RATE_HZ - 2].all() and out[3 * RATE_HZ + 2 :].all()
    assert not out[RATE_HZ + 2 : 3 * RATE_HZ - 2].any()


def test_a_source_that_comes_back_at_another_rate_goes_on_in_its_place() -> None:
    before = blocks(clicks([0.5], 1.0, 44_100), 44_100)
    after = blocks(clicks([0.5], 1.0, 96_000), 96_000, START_S + 1.0)
    out = placed(Soundtrack(START_S), before + after)
    assert len(out) == pytest.approx(2 * RATE_HZ, abs=RATE_HZ // 500)
    loud = np.flatnonzero(np.abs(out[:, 0]) > 0.3) / RATE_HZ
    assert loud[0] == pytest.approx(0.5, abs=0.002)
    assert loud[-1] == pytest.approx(1.502, abs=0.002)


@pytest.mark.parametrize("error", [-200e-6, 200e-6])
def test_two_clocks_that_disagree_are_followed_without_a_tear(error: float) -> None:
    """Ten minutes of a sound card that is 200 ppm off, its blocks late by up to 8 ms at random."""
    track, rng, block = Soundtrack(START_S), np.random.default_rng(1), np.ones((2400, 2), np.float32)
    for n in range(1, 12_000):
        at_s = START_S + n * 0.05 * (1 + error)
        out = track.add(Block(block, at_s + rng.uniform(0, 0.008), RATE_HZ))
        assert abs(len(out) - len(block)) <= 1 or n == 1, "worked off one sample at a time"
        assert out[-len(block) :].all(), "no silence in it"
    assert track.position / RATE_HZ == pytest.approx(at_s - START_S, abs=0.012)


def test_sound_that_stays_away_is_silence_until_it_returns_in_its_place() -> None:
    track = Soundtrack(START_S)
    track.add(Block(np.ones((480, 2), np.float32), START_S + 0.01, RATE_HZ))
    assert len(track.keep_up(START_S + 0.9)) == 0, "it may only be late"
    assert not track.keep_up(START_S + 3.0).any()
    assert track.position == pytest.approx(2.5 * RATE_HZ, abs=1)
    out = track.add(Block(np.ones((480, 2), np.float32), START_S + 3.01, RATE_HZ))
    assert track.position == pytest.approx(3.01 * RATE_HZ, abs=1)
    assert out[-480:].all()


def test_the_recorder_counts_what_it_wrote_and_what_it_missed(tmp_path: Path) -> None:
    def publish(n: int, pictures: Latest, ring: SampleRing) -> None:
        for part in (0.0, 0.5):  # two at once: the first of each pair is lost
            pictures.publish(flat(n), START_S + (n + part) / FPS, *SIZE)
        ring.write(np.zeros((1600, 2), np.float32), START_S + (n + 1) / FPS, 48_000)

    board, said = record(tmp_path / "take.mp4", 30, publish)
    assert (board["images"], board["dropped"], board["live"]) == (30, 30, 0)
    assert board["seconds"] == pytest.approx(29 / FPS, abs=0.01)
    assert board["bytes"] == (tmp_path / "take.mp4").stat().st_size
    assert said == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("take.avi", ".mp4 or .mkv"), ("nowhere/take.mp4", "no folder"), ("there.mp4", "it exists")],
)
def test_a_file_that_cannot_be_begun_is_refused_in_one_line(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "there.mp4").write_bytes(b"precious")
    _, said = record(tmp_path / name, 1, lambda *_: None)
    assert [event["kind"] for event in said] == ["error"]
    assert expected in said[0]["text"] and "\n" not in said[0]["text"]
    assert (tmp_path / "there.mp4").read_bytes() == b"precious"


def test_the_recorder_says_for_how_long_the_disk_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spare = 1 << 30
    monkeypatch.setattr(record_module, "free_bytes", lambda _path: record_module.LEAST_FREE_BYTES + spare)

    def publish(n: int, pictures: Latest, ring: SampleRing) -> None:
        pictures.publish(flat(n % 200), START_S + n / FPS, *SIZE)

    board, _said = record(tmp_path / "take.mp4", 150, publish)
    assert board["left_s"] == pytest.approx(spare / (board["bytes"] / board["seconds"]), rel=0.5)


def test_a_full_disk_ends_the_recording_well_and_not_the_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([1 << 40, 1 << 40, 1 << 40, 1 << 29])
    monkeypatch.setattr(record_module, "free_bytes", lambda _path: next(free))
    path = tmp_path / "take.mp4"

    def publish(n: int, pictures: Latest, ring: SampleRing) -> None:
        pictures.publish(flat(n % 200), START_S + n / FPS, *SIZE)

    board, said = record(path, 200, publish)
    assert [event["kind"] for event in said] == ["warning", "ended"]
    assert "512 MiB free" in said[0]["text"] and "1024 are needed" in said[0]["text"]
    assert 1 < board["images"] < 200 and board["live"] == 0
    assert length_s(path) > 0


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a system with limits on the size of files")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_disk_that_refuses_is_one_error_and_what_is_there_plays(tmp_path: Path, suffix: str) -> None:
    import resource

    path, rng = tmp_path / f"take{suffix}", np.random.default_rng(0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    muxer = Muxer(path, SIZE, FPS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*free some space"):
            for n in range(1000):
                muxer.add_picture(rng.integers(0, 255, (SIZE[1], SIZE[0], 4), np.uint8), START_S + n / FPS)
                muxer.keep_up(START_S + n / FPS)
        with contextlib.suppress(StorageError):
            muxer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.stat().st_size <= 300_000
    played = 0
    with av.open(str(path)) as container, contextlib.suppress(av.error.InvalidDataError):  # where it was cut off
        for _ in container.decode(video=0):
            played += 1
    assert played > FPS // 2


def test_a_recorder_started_again_goes_on_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "take.mp4"
    path.write_bytes(b"what the crash left")
    clock = FakeClock(START_S)
    ring, pictures = SampleRing(), Latest(4 * SIZE[0] * SIZE[1], "u1", PICTURE_FIELDS)
    board, said = Board(RECORD_FIELDS), list[dict[str, Any]]()
    board["images"] = 12  # of its former life
    stop = Timeline(clock, 5, lambda n: pictures.publish(flat(9), START_S + n / FPS, *SIZE))
    Recorder(RecordConfig(path, SIZE, FPS), RingReader(ring), pictures, board, said.append, stop, clock).run()
    assert path.read_bytes() == b"what the crash left"
    assert length_s(tmp_path / "take-2.mp4") > 0
    assert board["images"] == 17 and "take-2.mp4" in said[0]["text"]


def started(path: Path, ring: SampleRing, pictures: Latest, board: Board) -> tuple[Any, Any, Connection]:
    """A recorder process that is ready for pictures."""
    stop = CTX.Event()
    ours, theirs = CTX.Pipe(duplex=False)
    process = CTX.Process(
        target=run_recorder, args=(RecordConfig(path, SIZE, 4 * FPS), ring, pictures, board, stop, theirs), daemon=True
    )
    process.start()
    wait_for(lambda: board["live"] > 0 or ours.poll())
    return process, stop, ours


def wait_for(true: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until_s, "the recorder does not answer"
        time.sleep(0.001)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_what_was_recorded_survives_a_kill(tmp_path: Path, suffix: str) -> None:
    path, count = tmp_path / f"take{suffix}", 6 * FPS
    ring, pictures = SampleRing(), Latest(4 * SIZE[0] * SIZE[1], "u1", PICTURE_FIELDS)
    board, rng = Board(RECORD_FIELDS), np.random.default_rng(0)
    start_s = time.monotonic()  # where sound is late, the recorder goes by the real clock
    process, _, _ = started(path, ring, pictures, board)
    for n in range(count):
        ring.write(np.zeros((1600, 2), np.float32), start_s + (n + 1) / FPS, 48_000)
        pictures.publish(rng.integers(0, 255, (SIZE[1], SIZE[0], 4), np.uint8), start_s + n / FPS, *SIZE)
        wait_for(lambda n=n: board["images"] > n)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with av.open(str(path)) as container:
        kept = sum(1 for _ in container.decode(video=0))
    with av.open(str(path)) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert kept >= 0.9 * count
    assert heard >= 0.9 * count * 1600


def test_ctrl_c_is_left_to_main_and_stop_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "take.mp4"
    ring, pictures = SampleRing(), Latest(4 * SIZE[0] * SIZE[1], "u1", PICTURE_FIELDS)
    board = Board(RECORD_FIELDS)
    start_s = time.monotonic()
    process, stop, _ = started(path, ring, pictures, board)
    for n in range(10):
        pictures.publish(flat(n), start_s + n / FPS, *SIZE)
        wait_for(lambda n=n: board["images"] > n)
        os.kill(process.pid, signal.SIGINT)
    stop.set()
    process.join(10)
    assert process.exitcode == 0
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10


def test_a_contact_sheet_shows_moments_from_first_to_last(tmp_path: Path) -> None:
    from PIL import Image

    muxer = Muxer(tmp_path / "take.mp4", SIZE, FPS)
    for n in range(2 * FPS):
        muxer.add_picture(flat(4 * n), START_S + n / FPS)
    muxer.close()
    contact_sheet(tmp_path / "take.mp4", tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    cells = [sheet[r * 326 + 160, c * 486 + 240] for r in range(3) for c in range(4)]
    assert sheet.shape == (3 * 326 - 6, 4 * 486 - 6)
    assert np.all(np.diff(np.array(cells, int)) > 0)
    with pytest.raises(StorageError, match="cannot read"):
        contact_sheet(tmp_path / "none.mp4", tmp_path / "sheet2.png")
