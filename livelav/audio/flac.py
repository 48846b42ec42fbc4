"""Sound into a FLAC file as it comes: lossless, and playable up to the last tenth of a second whatever ends its writer.

24 bits: what cards and files give comes back to the last bit; what is beyond full scale is cut off there. Knows no
clock. Runs where it is called.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from livelav.audio.bits import FULL_SCALE, in_24_bits
from livelav.core.errors import StorageError
from livelav.core.values import Floats


class FlacFile:
    """One open file of stereo sound."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        """Raises StorageError."""
        self._path = path
        self.rate_hz, self.samples = rate_hz, 0
        try:
            self._container = av.open(str(path.absolute()), "w", format="flac", options={"flush_packets": "1"})
        except OSError as error:
            raise self._refused(error) from error
        self._stream: Any = self._container.add_stream("flac", rate=rate_hz, layout="stereo", format="s32")

    @property
    def bytes(self) -> int:
        """What is on the disk so far."""
        return self._path.stat().st_size if self._path.exists() else 0

    def add(self, samples: Floats) -> None:
        """The next samples [n, 2]. Raises StorageError where the disk refuses."""
        packed = (in_24_bits(samples) * FULL_SCALE).astype(np.int32) << 8
        frame = av.AudioFrame.from_ndarray(packed.reshape(1, -1), "s32", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = self.rate_hz, self.samples, Fraction(1, self.rate_hz)
        self.samples += len(samples)
        self._write(frame)

    def close(self) -> None:
        """Writes what is held back and ends the file. Raises StorageError."""
        try:
            if self.samples:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except OSError as error:
            raise self._refused(error) from error

    def _write(self, frame: Any) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write {self._path}: {error.strerror}; free some space")
