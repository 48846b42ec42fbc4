"""Shared memory: what one real process writes, another reads whole, in order and with the right times."""

import multiprocessing
from multiprocessing.context import SpawnContext
from multiprocessing.synchronize import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livelav.core.shm import Board, Histogram, Latest, RingReader, Rows, SampleRing, StopFlag

CTX: SpawnContext = multiprocessing.get_context("spawn")
CAPACITY = 1 << 12


def ramp(start: int, n: int) -> np.ndarray:
    """Samples [n, 2] that tell their own number, exact in float32 for the first 16 million."""
    numbers = np.arange(start, start + n, dtype=np.float32)
    return np.stack([numbers, -numbers], axis=1)


def write_ramp(ring: SampleRing, total: int, ready: Event) -> None:
    ready.wait(30)
    for start in range(0, total, 256):
        ring.write(ramp(start, 256), start / 48_000, 48_000.0)


def publish_counts(latest: Latest, total: int, ready: Event) -> None:
    ready.wait(30)
    for i in range(1, total + 1):
        latest.publish(np.full(latest.capacity, i, np.int64), float(i))


@pytest.fixture
def ring() -> SampleRing:
    return SampleRing(CAPACITY)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=40), most=st.integers(1, 900))
def test_every_sample_comes_once_and_in_order(sizes: list[int], most: int) -> None:
    ring = SampleRing(CAPACITY)
    reader = RingReader(ring)
    written, read = 0, []
    for n in sizes:
        ring.write(ramp(written, n), 0.0, 48_000.0)
        written += n
        while (block := reader.read(most)) is not None:
            read.append(block.samples)
    assert np.array_equal(np.concatenate(read), ramp(0, written))
    assert reader.overruns == 0


def test_samples_keep_their_capture_time(ring: SampleRing) -> None:
    reader = RingReader(ring)
    ring.write(ramp(0, 480), 10.0, 48_000.0)
    first, second = reader.read(120), reader.read()
    assert first is not None and second is not None
    assert first.captured_s == pytest.approx(10.0 - 360 / 48_000)
    assert second.captured_s == 10.0


def test_a_late_reader_loses_the_oldest_and_counts_them(ring: SampleRing) -> None:
    reader = RingReader(ring)
    for start in range(0, 3 * CAPACITY, 256):
        ring.write(ramp(start, 256), 0.0, 48_000.0)
    block = reader.read()
    assert block is not None
    assert block.samples[0, 0] == reader.overruns > 0
    assert block.samples[-1, 0] == 3 * CAPACITY - 1
    assert np.all(np.diff(block.samples[:, 0]) == 1)


def test_a_block_never_mixes_rates(ring: SampleRing) -> None:
    reader = RingReader(ring)
    ring.write(ramp(0, 100), 1.0, 48_000.0)
    ring.write(ramp(100, 200), 2.0, 44_100.0)
    blocks = [reader.read(), reader.read()]
    assert [(b.rate_hz, len(b.samples)) for b in blocks if b] == [(48_000.0, 100), (44_100.0, 200)]
    assert reader.read() is None


def test_a_late_reader_gets_each_rate_right_after_several_changes(ring: SampleRing) -> None:
    reader = RingReader(ring)
    written = []
    for i, rate_hz in enumerate((48_000.0, 44_100.0, 96_000.0, 8_000.0)):
        ring.write(ramp(100 * i, 100), float(i + 1), rate_hz)
        written.append((rate_hz, 100 * i, i + 1.0))
    read = []
    while (block := reader.read()) is not None:
        read.append((block.rate_hz, int(block.samples[0, 0]), block.captured_s))
    assert read == written


def test_a_gap_in_time_does_not_move_the_samples_before_it(ring: SampleRing) -> None:
    reader = RingReader(ring)
    ring.write(ramp(0, 100), 1.0, 48_000.0)
    ring.write(ramp(100, 100), 61.0, 48_000.0)  # the source was away for a minute
    block = reader.read(100)
    assert block is not None
    assert block.captured_s == pytest.approx(1.0)


def test_a_reader_starts_with_what_comes_next(ring: SampleRing) -> None:
    ring.write(ramp(0, 100), 1.0, 48_000.0)
    reader = RingReader(ring)
    assert reader.read() is None
    ring.write(ramp(100, 10), 2.0, 48_000.0)
    block = reader.read()
    assert block is not None and block.samples[0, 0] == 100


def test_a_write_larger_than_the_ring_is_read_as_an_overrun(ring: SampleRing) -> None:
    reader = RingReader(ring)
    ring.write(ramp(0, 3 * CAPACITY), 0.0, 48_000.0)
    block = reader.read()
    assert block is not None
    assert block.samples[0, 0] == reader.overruns
    assert block.samples[-1, 0] == 3 * CAPACITY - 1


def test_readers_of_another_process_never_see_torn_samples() -> None:
    ring, ready, total = SampleRing(CAPACITY), CTX.Event(), 2_000_128
    reader = RingReader(ring)
    writer = CTX.Process(target=write_ramp, args=(ring, total, ready))
    writer.start()
    ready.set()
    expected, seen = 0, 0
    while expected < total and (writer.is_alive() or ring.newest()[0] > reader.position):
        lost = reader.overruns
        if (block := reader.read(700)) is None:
            continue
        expected += reader.overruns - lost
        assert block.samples[0, 0] == expected
        assert np.all(np.diff(block.samples[:, 0]) == 1)
        assert np.array_equal(block.samples[:, 0], -block.samples[:, 1])
        expected += len(block.samples)
        seen += len(block.samples)
    writer.join(10)
    assert expected == total
    assert seen > 0


def test_latest_is_whole_and_never_goes_back() -> None:
    latest, ready, total = Latest(20_000, "i8", ("number",)), CTX.Event(), 3_000
    writer = CTX.Process(target=publish_counts, args=(latest, total, ready))
    writer.start()
    ready.set()
    seen = reads = 0
    while seen < total and (writer.is_alive() or latest.published > seen):
        if (found := latest.read(seen)) is None:
            continue
        number, payload, fields = found
        assert number > seen
        assert payload.min() == payload.max() == number == fields["number"]
        seen, reads = number, reads + 1
    writer.join(10)
    assert seen == total
    assert reads > 10


def test_latest_is_empty_until_published_and_read_once() -> None:
    latest = Latest(6, "u1")
    assert latest.read() is None
    latest.publish(np.arange(6, dtype=np.uint8).reshape(2, 3))
    found = latest.read()
    assert found is not None and found[0] == 1 and found[1].tolist() == list(range(6))
    assert latest.read(seen=1) is None


def test_latest_refuses_what_does_not_fit() -> None:
    with pytest.raises(AssertionError, match="7 elements for a slot of 6"):
        Latest(6, "u1").publish(np.zeros(7, np.uint8))


def wait_for(stop: StopFlag, board: Board) -> None:
    board["blocks"] = stop.wait(60.0)


def test_a_stop_flag_reaches_a_process_that_waits_for_it() -> None:
    stop, board = StopFlag(), Board(("blocks",))
    child = CTX.Process(target=wait_for, args=(stop, board))
    child.start()
    assert not stop.wait(0.01)
    stop.set()
    child.join(30)
    assert child.exitcode == 0 and board["blocks"] == 1


def fill_board(board: Board) -> None:
    board["blocks"] = 3.0


def test_a_board_is_seen_by_the_process_that_did_not_write_it() -> None:
    board = Board(("blocks", "samples"))
    child = CTX.Process(target=fill_board, args=(board,))
    child.start()
    child.join(30)
    assert board.as_dict() == {"blocks": 3.0, "samples": 0.0}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.002, 900_000), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentiles_are_within_one_percent(durations: list[float], q: float) -> None:
    histogram = Histogram()
    for ms in durations:
        histogram.add(ms)
    true = float(np.quantile(durations, q, method="inverted_cdf"))
    found = histogram.percentile(q)
    assert found is not None and abs(found / true - 1) < 0.011
    assert histogram.count == len(durations)


def test_an_empty_histogram_has_no_percentiles() -> None:
    assert Histogram().percentiles(50, 99) == {"p50": None, "p99": None}


@pytest.mark.parametrize("ms", [0.0, -1.0, 1e-9, 1e12])
def test_durations_out_of_range_count_at_the_ends(ms: float) -> None:
    histogram = Histogram()
    histogram.add(ms)
    found = histogram.percentile(0.5)
    assert found is not None and 0.9e-3 < found < 1.1e6


def test_a_reader_that_joins_late_may_hear_what_was_played_before(ring: SampleRing) -> None:
    reader = RingReader(ring)
    reader.rewind()
    assert reader.read() is None, "nothing was"
    for number in range(40):
        ring.write(np.full((128, 2), number, np.float32), number * 0.01, 48_000.0)
    late = RingReader(ring)
    late.rewind()
    heard = []
    while block := late.read():
        heard.append(block.samples[:, 0])
    played = np.concatenate(heard)
    assert np.array_equal(played, np.repeat(np.arange(24, 40), 128)), "half of what the ring holds, to the last sample"
    assert late.overruns == 0
    ring.write(np.ones((10, 2), np.float32), 1.0, 48_000.0)
    assert len(late.read().samples) == 10, "and then what comes"


def test_two_histograms_are_told_as_one() -> None:
    one, other, both = (Histogram() for _ in range(3))
    for n in range(1, 200):
        (one if n % 3 else other).add(n)
        both.add(n)
    assert one.percentiles(1, 50, 99, also=other) == both.percentiles(1, 50, 99)


def write_rows(rows: Rows, total: int, ready: Event) -> None:
    ready.wait(30)
    for n in range(total):
        rows.write([float(n)] * 50)


def test_rows_come_whole_and_in_order_and_who_is_late_goes_on_with_those_that_stand() -> None:
    rows, ready, total = Rows(50, 64), CTX.Event(), 20_000
    writer = CTX.Process(target=write_rows, args=(rows, total, ready), daemon=True)
    writer.start()
    ready.set()
    number, seen = 0, 0
    while number < total:
        if found := rows.read(number):
            at, row = found
            assert at >= number and row == [float(at)] * 50
            number, seen = at + 1, seen + 1
    writer.join(10)
    assert 0 < seen <= total and rows.written == total and rows.read(total) is None
    assert rows.read(0) == (total - 56, [float(total - 56)] * 50)
