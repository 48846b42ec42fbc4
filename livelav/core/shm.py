"""What processes share: a sample ring, newest-wins slots, rows in order, boards of figures, histograms.

Each has exactly one writer; readers only read, so a dead or stopped process never blocks another. All of it lives
in anonymous shared memory of multiprocessing's heap: it has no name, is handed to a child when that is started, and is
gone with the last process that maps it, whatever killed the others. What nobody writes to takes no memory: room for the
largest image costs what the images take that come.

Order between processes: data first, the counter that announces it last. x86 keeps that order for plain stores;
on ARM nothing here forces it, so there a reader may, very rarely, see a block or image that is not yet whole.
"""

import math
import time
from collections.abc import Iterator, Sequence
from multiprocessing.heap import BufferWrapper
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Block, Floats

CHANNELS = 2
_SMALL_BYTES = 1 << 17  # what is counted and looked up begins as zeros; samples and images are read once written
_ANCHORS = 1 << 12  # writes that are remembered: more than fill the ring


class _Shared:
    """Anonymous shared arrays that survive being handed to a spawned child: the views are made anew there."""

    def __init__(self, **layout: tuple[str, int]) -> None:
        # not RawArray, which writes zeros to all of it
        self._raw = {name: (code, BufferWrapper(np.dtype(code).itemsize * n)) for name, (code, n) in layout.items()}
        self._view()
        for array in self._arrays.values():
            if array.nbytes <= _SMALL_BYTES:
                array[:] = 0

    def _view(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {
            n: np.frombuffer(raw.create_memoryview(), dtype=code) for n, (code, raw) in self._raw.items()
        }

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_arrays"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._view()


class SampleRing(_Shared):
    """Stereo float32 samples from one writer to any number of readers, each with a cursor of its own.

    The writer never waits: a reader that falls behind by more than the ring loses the oldest samples and counts
    them as overrun. Every write leaves an anchor (samples in all, capture time of the last, rate), so a reader knows
    when each sample was captured and at which rate.

        samples   ... already overwritten | whole ............................... | being written |
                                            total - 7/8 capacity                  total           + at most 1/8
    """

    def __init__(self, capacity: int = 1 << 18) -> None:
        super().__init__(samples=("f4", capacity * CHANNELS), anchors=("f8", _ANCHORS * 3), writes=("i8", 1))
        self.capacity = capacity

    def write(self, samples: Floats, captured_s: float, rate_hz: float) -> None:
        """Adds samples [n, 2] whose last one reached us at `captured_s`. Writer only. Never blocks."""
        piece = self.capacity // 8
        for start in range(0, len(samples), piece):
            part = samples[start : start + piece]
            self._write(part, captured_s - (len(samples) - start - len(part)) / rate_hz, rate_hz)

    def _write(self, samples: Floats, captured_s: float, rate_hz: float) -> None:
        ring = self._arrays["samples"].reshape(-1, CHANNELS)
        writes = self.writes
        total, _, _ = self.anchor(writes - 1)
        at = total % self.capacity
        head = min(len(samples), self.capacity - at)
        ring[at : at + head] = samples[:head]
        ring[: len(samples) - head] = samples[head:]
        self._arrays["anchors"].reshape(-1, 3)[writes % _ANCHORS] = (total + len(samples), captured_s, rate_hz)
        self._arrays["writes"][0] = writes + 1

    @property
    def writes(self) -> int:
        """How many writes there were; they are numbered from 0."""
        return int(self._arrays["writes"][0])

    def anchor(self, write: int) -> tuple[int, float, float]:
        """(samples in all up to the end of that write, capture time of its last, rate in Hz); zeros before any."""
        total, captured_s, rate_hz = self._arrays["anchors"].reshape(-1, 3)[write % _ANCHORS]
        return int(total), float(captured_s), float(rate_hz)

    def holds(self, write: int, position: int, share: float = 7 / 8) -> bool:
        """Whether samples from `position` on, which lie in that write or later ones, still stand; see the drawing."""
        total, _, _ = self.anchor(self.writes - 1)
        return total - position <= share * self.capacity and self.writes - write <= share * _ANCHORS

    def slice(self, start: int, stop: int) -> Floats:
        """A copy of samples [start, stop) by their running number; the caller checks that they still stand."""
        ring = self._arrays["samples"].reshape(-1, CHANNELS)
        at, n = start % self.capacity, stop - start
        head = min(n, self.capacity - at)
        return np.concatenate([ring[at : at + head], ring[: n - head]])


class RingReader:
    """One reader's cursor in a SampleRing; starts at the newest sample. Not shared."""

    def __init__(self, ring: SampleRing, share: float = 3 / 4) -> None:
        """It may fall behind by that share of the ring, at most 7/8."""
        self._ring, self._share = ring, share
        self._write = ring.writes  # the write in which the next sample lies
        self.position, _, _ = ring.anchor(self._write - 1)
        self.overruns = 0

    def rewind(self) -> None:
        """Goes back as far as there is time to read on from before the writer comes round: some seconds of sound."""
        ring, write = self._ring, self._ring.writes
        while write > 0 and ring.holds(write - 1, ring.anchor(write - 2)[0], share=1 / 2):
            write -= 1
        self._write = write
        self.position, _, _ = ring.anchor(write - 1)

    @property
    def has_more(self) -> bool:
        """Whether `read` has something to give."""
        return self._write < self._ring.writes

    @property
    def place(self) -> tuple[int, int]:
        """(write in which the next sample lies, that sample's running number)"""
        return self._write, self.position

    def go_to(self, write: int, position: int) -> None:
        """To the `place` of another reader of the ring."""
        self._write, self.position = write, position

    def read(self, most: int = 1 << 14) -> Block | None:
        """The next samples (at most `most`, all of one rate), or None where none are new."""
        ring = self._ring
        self._skip_lost()
        write, stop, captured_s, rate_hz = self._write, self.position, 0.0, 0.0
        while write < ring.writes and stop < self.position + most:
            end, end_s, end_rate_hz = ring.anchor(write)
            if rate_hz not in (0.0, end_rate_hz):
                break
            stop, rate_hz = min(end, self.position + most), end_rate_hz
            captured_s = end_s - (end - stop) / rate_hz
            if stop < end:
                break
            write += 1
        if stop == self.position:
            return None
        samples = ring.slice(self.position, stop)
        if not ring.holds(self._write, self.position):
            return self.read(most)  # the writer overtook us while we copied: count it and go on behind it
        self._write, self.position = write, stop
        return Block(samples, captured_s, rate_hz)

    def _skip_lost(self) -> None:
        """Goes on to the oldest whole write, with some room before the writer, if the next sample is gone."""
        before = self.position
        # room by default, for the writer goes on while we copy
        while not self._ring.holds(self._write, self.position, share=self._share):
            behind = self._ring.writes - _ANCHORS * 3 // 4
            self._write = max(self._write + 1, behind)
            self.position, _, _ = self._ring.anchor(self._write - 1)
        self.overruns += self.position - before


class Latest(_Shared):
    """A slot in which the newest wins: one writer, any number of readers, nobody waits.

    Three buffers in turn: a reader has two whole publishing periods to make its copy, and notices if it did not.
    """

    _SLOTS = 3

    def __init__(self, capacity: int, dtype: str, fields: Sequence[str] = ()) -> None:
        """`capacity` elements of `dtype` at most, and one float64 for each of `fields` beside them."""
        super().__init__(
            payload=(dtype, capacity * self._SLOTS),
            meta=("f8", (len(fields) + 1) * self._SLOTS),
            published=("i8", 1),
        )
        self.capacity, self.fields = capacity, tuple(fields)

    @property
    def published(self) -> int:
        return int(self._arrays["published"][0])

    def publish(self, payload: NDArray[Any], *meta: float) -> None:
        """Copies `payload` in (any shape, at most `capacity` elements). Writer only. Never blocks."""
        assert payload.size <= self.capacity, f"{payload.size} elements for a slot of {self.capacity}"
        assert len(meta) == len(self.fields), f"meta must be {self.fields}"
        n = self.published
        slot = n % self._SLOTS
        self._arrays["payload"].reshape(self._SLOTS, -1)[slot, : payload.size] = payload.reshape(-1)
        self._arrays["meta"].reshape(self._SLOTS, -1)[slot] = (payload.size, *meta)
        self._arrays["published"][0] = n + 1

    def read(self, seen: int = 0) -> tuple[int, NDArray[Any], dict[str, float]] | None:
        """(number, copy of the payload as one row, fields by name), or None if nothing is newer than number `seen`."""
        while (n := self.published) > seen:
            slot = (n - 1) % self._SLOTS
            size, *meta = self._arrays["meta"].reshape(self._SLOTS, -1)[slot]
            payload = self._arrays["payload"].reshape(self._SLOTS, -1)[slot, : int(size)].copy()
            if self.published - n < self._SLOTS - 1:
                return n, payload, dict(zip(self.fields, map(float, meta), strict=True))
        return None


class Rows(_Shared):
    """Rows of float64 in order, from one writer to any number of readers, each with a number of its own.

    The writer never waits: the oldest rows are overwritten, and who comes too late for them goes on with those that
    still stand.
    """

    def __init__(self, width: int, capacity: int = 1 << 12) -> None:
        super().__init__(rows=("f8", width * capacity), written=("i8", 1))
        self.capacity = capacity

    @property
    def written(self) -> int:
        """How many rows there were; they are numbered from 0."""
        return int(self._arrays["written"][0])

    def write(self, row: Sequence[float]) -> None:
        """Adds one of `width` numbers. Writer only. Never blocks."""
        n = self.written
        self._arrays["rows"].reshape(self.capacity, -1)[n % self.capacity] = row
        self._arrays["written"][0] = n + 1

    def read(self, number: int) -> tuple[int, list[float]] | None:
        """(its number, that row), or the oldest that stands if it is gone; None where it is not written yet."""
        while number < (written := self.written):
            # an eighth of room: the writer goes on while we copy
            number = max(number, written - self.capacity * 7 // 8)
            row = self._arrays["rows"].reshape(self.capacity, -1)[number % self.capacity].tolist()
            if self.written - number < self.capacity:
                return number, row
        return None


class Board(_Shared):
    """Named float64 figures: one writer, any number of readers; each figure is whole, the set is not atomic."""

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(figures=("f8", len(fields)))
        self._index = {name: i for i, name in enumerate(fields)}

    def __getitem__(self, name: str) -> float:
        return float(self._arrays["figures"][self._index[name]])

    def __setitem__(self, name: str, value: float) -> None:
        self._arrays["figures"][self._index[name]] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def as_dict(self) -> dict[str, float]:
        return {name: self[name] for name in self}


class Histogram(_Shared):
    """Counts of durations in buckets 1 % wide from 1 us to 1,000 s: percentiles of a whole night in 17 kB."""

    _STEP = math.log(1.01)
    _BUCKETS = int(math.log(1e9) / _STEP) + 2

    def __init__(self) -> None:
        super().__init__(counts=("i8", self._BUCKETS))

    def add(self, ms: float) -> None:
        """Counts one duration. Writer only."""
        bucket = int(math.log(max(ms, 1e-3) / 1e-3) / self._STEP)
        self._arrays["counts"][min(bucket, self._BUCKETS - 1)] += 1

    @property
    def count(self) -> int:
        return int(self._arrays["counts"].sum())

    def percentile(self, q: float, also: "Histogram | None" = None) -> float | None:
        """The duration in ms that a share `q` (0..1) stays under, to 1 %; None where nothing was counted."""
        counts = self._arrays["counts"]
        cumulative = np.cumsum(counts + also._arrays["counts"] if also else counts)
        if cumulative[-1] == 0:
            return None
        bucket = int(np.searchsorted(cumulative, q * cumulative[-1]))
        return 1e-3 * math.exp((bucket + 0.5) * self._STEP)

    def percentiles(self, *qs: int, also: "Histogram | None" = None) -> dict[str, float | None]:
        """{"p50": ms, ...} for whole percents, of what was counted here and in `also`, if that is given."""
        return {f"p{q}": None if (ms := self.percentile(q / 100, also)) is None else round(ms, 3) for q in qs}


class StopFlag(_Shared):
    """Raised once by main; the same calls as `multiprocessing.Event`, but nothing in the file system to be left."""

    def __init__(self) -> None:
        super().__init__(flag=("u1", 1))

    def set(self) -> None:
        self._arrays["flag"][0] = 1

    def is_set(self) -> bool:
        return bool(self._arrays["flag"][0])

    def wait(self, timeout: float | None = None) -> bool:
        """Sleeps until the flag is raised, `timeout` seconds at most; whether it is raised."""
        until_s = math.inf if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.02))
        return self.is_set()
