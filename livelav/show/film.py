"""Writes a video of pictures at one rate, and of sound that is kept as it was: exact in length and in time.

Picture n is shown from n / fps on, and sample m is heard at m / rate, from the file's first moment: nothing is
measured, so nothing drifts. H.264, or every bit of every picture; the sound as FLAC of 24 bits, cut at full scale.
Half a second to a fragment, each handed to the system when it is complete: what was written until then plays, whatever
comes. Runs where it is called; knows no show.
"""

import errno
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from livelav.core.errors import StorageError
from livelav.core.values import Bytes, Floats
from livelav.show.container import CONTAINERS, FRAGMENT_S
from livelav.show.provenance import KEY

MOST_CHANNELS = 8  # that FLAC holds
_REORDER = (
    2  # pictures that may be encoded before one that is shown earlier: x264's pyramid of B-pictures, not if lossless
)
_QUICKER = "subme=1:trellis=0:analyse=i4x4,i8x8"  # half the work, as good a picture, a tenth more bytes
# What x264 learns from pictures to come (its macroblock tree) it reads, on processors with AVX-512 and for most widths,
# from memory that nobody wrote: other files of the same pictures. Without it they are as good, in as many bytes.
_REPEATABLE = "no-mbtree=1"
_FULL_SCALE = (1 << 31) - 1
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Film:
    """One open file."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: Fraction,
        sound: tuple[int, int],
        lossless: bool = False,
        comment: str = "",
    ) -> None:
        """`size`: even numbers of pixels unless `lossless`; `sound`: rate in Hz and channels, MOST_CHANNELS at most;
        `comment`: what the file says of itself, see provenance.

        Raises StorageError.
        """
        self._path, self._fps = path, fps
        self.is_refused = False  # whether the disk took less than it was given
        self._rate_hz, self.channels = sound
        self.pictures = self.samples = 0
        try:
            # a Matroska file is marked with a random number else
            options = {**CONTAINERS[path.suffix.lower()], "fflags": "bitexact"}
            self._container = av.open(str(path.absolute()), "w", options=options)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}; choose another folder") from error
        self._container.metadata[KEY] = comment
        self._video: Any = self._container.add_stream("libx264rgb" if lossless else "libx264", rate=fps)
        self._video.width, self._video.height = self.size = size
        self._video.pix_fmt = "rgb24" if lossless else "yuv420p"
        self._is_lossless = lossless
        context = self._video.codec_context
        context.gop_size = max(round(fps * FRAGMENT_S), 1)
        if not lossless:
            context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709, as they are converted
            context.color_range = 1  # 16..235
        lossy = {"crf": "17", "x264-params": f"{_QUICKER}:{_REPEATABLE}"}
        self._video.options = {"preset": "veryfast", **({"qp": "0"} if lossless else lossy)}
        layout = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels}c")
        self._audio: Any = self._container.add_stream("flac", rate=self._rate_hz, layout=layout, format="s32")
        self._audio.codec_context.options = {"compression_level": "5"}

    def add_picture(self, pixels: Bytes) -> None:
        """The next one: RGBA [height, width, 4], top row first; one of another size is averaged down.

        Raises StorageError where the disk refuses.
        """
        width, height = self.size
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgba")
        colour: dict[str, Any] = {} if self._is_lossless else {"dst_colorspace": "ITU709", "dst_color_range": "MPEG"}
        # in one thread: to wait for others, while cores are busy, takes longer
        frame = frame.reformat(width, height, self._video.pix_fmt, interpolation="AREA", threads=1, **colour)
        frame.pts, frame.time_base = self.pictures, 1 / self._fps
        self.pictures += 1
        self._write(self._video, frame)

    def keep_picture(self, packet: Any) -> None:
        """The next one, in the order of encoding, of a film of the same make: `packet.pts` is its number. None after
        one that was added. Raises StorageError where the disk refuses.
        """
        packet.stream, packet.time_base = self._video, 1 / self._fps
        packet.dts = self.pictures - (0 if self._is_lossless else _REORDER)
        self.pictures += 1
        try:
            self._container.mux(packet)
        except OSError as error:
            raise self._refused(error) from error

    def add_sound(self, samples: Floats) -> None:
        """The next samples [n, channels]. Raises StorageError where the disk refuses."""
        samples = np.nan_to_num(samples, posinf=0.0, neginf=0.0)
        whole = np.clip(samples.astype(np.float64) * (_FULL_SCALE + 1), -_FULL_SCALE - 1, _FULL_SCALE).astype(np.int32)
        frame = av.AudioFrame.from_ndarray(whole.reshape(1, -1), "s32", self._audio.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = self._rate_hz, self.samples, Fraction(1, self._rate_hz)
        self.samples += len(samples)
        self._write(self._audio, frame)

    def close(self) -> None:
        """Writes what is held back and ends the file. Raises StorageError."""
        try:
            for stream, some in ((self._video, self.pictures), (self._audio, self.samples)):
                if some:
                    self._container.mux(stream.encode(None))
            self._container.close()
        except OSError as error:
            raise self._refused(error) from error

    def _write(self, stream: Any, frame: Any) -> None:
        try:
            self._container.mux(stream.encode(frame))
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StorageError:
        self.is_refused = True
        remedy = "free some space" if error.errno in _FULL else "choose another folder"
        return StorageError(f"cannot write {self._path}: {error.strerror}; {remedy}")
