"""The capture process: real processes, real files; every sample reaches the ring once, and troubles are told."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from livelav.audio.capture import CAPTURE_FIELDS, SILENCE_DB, Capture, CaptureConfig, LevelMeter, run_capture
from livelav.audio.sources import SourceRequest
from livelav.core.clock import FakeClock
from livelav.core.shm import Board, RingReader, SampleRing, StopFlag
from livelav.core.values import Block, Floats

CTX: SpawnContext = multiprocessing.get_context("spawn")
PATIENCE_S = 15.0  # how long a test waits for what must come, before it fails


@dataclass
class Running:
    """A capture process and all that it shares with the test."""

    process: BaseProcess
    ring: SampleRing
    reader: RingReader
    board: Board
    events: Connection
    stop: StopFlag

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of that kind."""
        deadline_s = time.monotonic() + PATIENCE_S
        while self.events.poll(max(deadline_s - time.monotonic(), 0)):
            event: dict[str, Any] = self.events.recv()
            if event["kind"] == kind:
                return event
        raise AssertionError(f"no {kind!r} came")

    def blocks(self) -> Iterator[Block]:
        """What comes through the ring."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            if (block := self.reader.read()) is not None:
                yield block
                deadline_s = time.monotonic() + PATIENCE_S
            else:
                time.sleep(0.002)
        raise AssertionError("no more sound came")


@contextmanager
def capturing(request: str, loop: bool = False, retry_first: bool = False) -> Iterator[Running]:
    ring, board, stop = SampleRing(), Board(CAPTURE_FIELDS), StopFlag()
    events, theirs = CTX.Pipe(duplex=False)
    config = CaptureConfig(SourceRequest(request, loop), retry_first)
    process = CTX.Process(target=run_capture, args=(config, ring, board, stop, theirs))
    running = Running(process, ring, RingReader(ring), board, events, stop)
    process.start()
    theirs.close()
    try:
        yield running
    finally:
        stop.set()
        process.join(PATIENCE_S)
        if process.exitcode is None:
            process.kill()
    assert process.exitcode == 0


def capture_at_once(path: Path) -> tuple[Floats, Board, list[dict[str, Any]]]:
    """The same loop in this process with a clock that flies: (samples, figures, events)."""
    ring, board = SampleRing(), Board(CAPTURE_FIELDS)
    reader, events = RingReader(ring), list[dict[str, Any]]()
    config = CaptureConfig(SourceRequest(str(path)))
    Capture(config, ring, board, StopFlag(), events.append, FakeClock(1.0)).run()
    blocks = list(iter(reader.read, None))
    return np.concatenate([b.samples for b in blocks]) if blocks else np.zeros((0, 2), np.float32), board, events


def stamped(n: int) -> Floats:
    """Samples [n, 2] that tell their own number, exact in float32."""
    return np.repeat((np.arange(n) % 65_536 / 65_536).astype(np.float32)[:, None], 2, axis=1)


def test_a_file_arrives_whole_from_another_process(tmp_path: Path) -> None:
    path, samples = tmp_path / "ramp.wav", stamped(24_000)
    soundfile.write(path, samples, 48_000, subtype="FLOAT")
    with capturing(str(path)) as running:
        source = running.event("source")
        assert (source["name"], source["source_kind"]) == ("ramp.wav", "file")
        assert (source["rate"], source["channels"]) == (48_000, 2)
        assert running.event("ended") == {"kind": "ended"}
    received = np.concatenate([b.samples for b in iter(running.reader.read, None)])
    assert np.array_equal(received, samples)
    assert running.reader.overruns == 0
    assert running.board["samples"] == len(samples)
    assert running.board["blocks"] == 100
    assert running.board["live"] == 0


def test_figures_tell_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "mono.wav"
    t = np.arange(44_100) / 44_100
    soundfile.write(path, np.sin(2 * np.pi * 441 * t).astype(np.float32), 44_100, subtype="FLOAT")
    samples, board, events = capture_at_once(path)
    assert [e["kind"] for e in events] == ["source", "ended"]
    assert np.array_equal(samples[:, 0], samples[:, 1])
    assert (board["rate_hz"], board["channels"], board["cleaned"], board["xruns"]) == (44_100, 1, 0, 0)
    assert board["heartbeat_s"] == pytest.approx(2.0, abs=0.01)
    assert board["last_sound_s"] == pytest.approx(2.0, abs=0.11)
    assert board["peak_rss_mb"] > 1


def test_broken_values_are_cleaned_and_counted(tmp_path: Path) -> None:
    path, samples = tmp_path / "nan.wav", np.full((4_800, 3), 0.25, np.float32)
    samples[100:200, 0], samples[300, 1], samples[400, 2] = np.nan, np.inf, -np.inf
    soundfile.write(path, samples, 48_000, subtype="FLOAT")
    received, board, _ = capture_at_once(path)
    assert len(received) == 4_800 and np.isfinite(received).all()
    assert board["cleaned"] == 102


def test_silence_is_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.full((48_000, 2), 1e-5, np.float32), 48_000, subtype="FLOAT")
    _, board, _ = capture_at_once(path)
    assert board["last_sound_s"] == 0
    assert board["samples"] == 48_000


@pytest.mark.parametrize("request_", ["/nonexistent/song.wav", "no such device at all"])
def test_what_cannot_be_opened_at_first_is_an_error(request_: str) -> None:
    with capturing(request_) as running:
        text = running.event("error")["text"]
    assert request_ in text and "\n" not in text
    assert running.ring.writes == 0


def test_a_restarted_process_waits_for_its_source(tmp_path: Path) -> None:
    path = tmp_path / "late.wav"
    with capturing(str(path), retry_first=True) as running:
        assert "does not exist" in running.event("warning")["text"]
        beaten_s = running.board["heartbeat_s"]
        whole = tmp_path / "whole.wav"
        soundfile.write(whole, stamped(4_800), 48_000, subtype="FLOAT")
        whole.rename(path)
        assert running.event("source")["name"] == "late.wav"
        running.event("ended")
    assert running.board["heartbeat_s"] > beaten_s
    assert running.board["reconnects"] == 1
    assert running.board["samples"] == 4_800


def test_an_interrupt_does_not_end_it_but_the_flag_does() -> None:
    with capturing("demo") as running:
        running.event("source")
        assert running.process.pid is not None
        os.kill(running.process.pid, signal.SIGINT)
        written = running.ring.writes
        blocks = running.blocks()
        while running.ring.writes < written + 20:
            next(blocks)
        assert running.process.is_alive()
        assert running.board["live"] == 1
        assert running.board["level_db"] < 0


def test_capture_times_follow_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, stamped(24_000), 48_000, subtype="FLOAT")
    with capturing(str(path), loop=True) as running:
        count, first_s = 0, 0.0
        for block in running.blocks():
            count += len(block.samples)
            first_s = first_s or block.captured_s - count / 48_000
            assert block.captured_s - count / 48_000 == pytest.approx(first_s, abs=1e-6)
            assert block.captured_s <= time.monotonic()
            if count > 48_000:
                break


def test_a_full_scale_sine_measures_minus_three_decibels() -> None:
    meter = LevelMeter()
    assert meter.level_db == SILENCE_DB
    sine = np.repeat(np.sin(2 * np.pi * np.arange(4_800) / 48)[:, None], 2, axis=1).astype(np.float32)
    assert meter.add(sine, 48_000.0)
    assert meter.level_db == pytest.approx(-3.01, abs=0.01)
    assert not meter.add(sine[:2_400], 48_000.0)
    assert meter.add(0 * sine[:2_400], 48_000.0)
    assert meter.level_db == pytest.approx(-6.02, abs=0.01)
    assert meter.add(0 * sine, 48_000.0)
    assert meter.level_db == SILENCE_DB
