"""Writes pictures and sound into one video file that plays whatever happens to its writer.

H.264 and AAC in fragmented mp4 or in mkv, by the file's extension, half a second to a fragment, each handed to the
system when it is complete. Pictures keep the times they were presented at: the file has as many as there were, at
the rate there was. Runs in the recorder process; the only user of PyAV's muxers.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from livelav.core.errors import StorageError
from livelav.core.values import Block, Bytes, Floats
from livelav.show.container import CONTAINERS, FRAGMENT_S, checked_path
from livelav.show.soundtrack import RATE_HZ, Soundtrack

TICKS_HZ = 90_000  # of picture times


class Muxer:
    """One open file. Times are monotonic seconds; the first picture's is the file's zero."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float, preset: str = "ultrafast") -> None:
        """`size`: width and height, made even; `fps`: the rate aimed at. Raises StorageError."""
        self._path = checked_path(path)
        self.size = size[0] // 2 * 2, size[1] // 2 * 2
        try:
            self._container = av.open(str(path.absolute()), "w", options=dict(CONTAINERS[path.suffix.lower()]))
        except OSError as error:
            raise StorageError(f"cannot record to {path}: {error.strerror}; choose another folder") from error
        self._video: Any = self._container.add_stream("libx264", rate=max(round(fps), 1))
        self._video.width, self._video.height = self.size
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = Fraction(1, TICKS_HZ)
        context.gop_size = max(round(fps * FRAGMENT_S), 1)  # every fragment can be entered
        context.thread_count = 2  # the show has the processor first
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709, as the pictures are converted
        context.color_range = 1  # 16..235
        # no look-ahead and no B-pictures: what a picture became is written before the next one comes
        self._video.options = {"preset": preset, "tune": "zerolatency", "crf": "20"}
        self._audio: Any = self._container.add_stream("aac", rate=RATE_HZ, layout="stereo", bit_rate=192_000)
        self._resample_audio = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
        self._start_s: float | None = None
        self._soundtrack: Soundtrack | None = None
        self._last_tick = -1

    @property
    def seconds(self) -> float:
        """Length of the picture so far."""
        return max(self._last_tick, 0) / TICKS_HZ

    @property
    def bytes(self) -> int:
        """What is on the disk so far."""
        return self._path.stat().st_size if self._path.exists() else 0

    def add_picture(self, pixels: Bytes, presented_s: float) -> None:
        """Adds [height, width, 4] RGBA, top row first, of any size, shown at `presented_s`.

        A picture not later than the one before is left out. Raises StorageError where the disk refuses.
        """
        if self._start_s is None:
            self._start_s = presented_s
            self._soundtrack = Soundtrack(presented_s)
        tick = round((presented_s - self._start_s) * TICKS_HZ)
        if tick <= self._last_tick:
            return
        width, height = self.size
        if pixels.shape[0] - height in {0, 1} and pixels.shape[1] - width in {0, 1}:
            pixels = pixels[:height, :width]  # odd: cut, for scaling by one pixel would blur it all
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgba")
        # in one thread: to wait for others, while cores are busy, takes longer
        frame = frame.reformat(width, height, "yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", threads=1)
        frame.pts, frame.time_base = tick, Fraction(1, TICKS_HZ)
        self._last_tick = tick
        self._write(self._video, frame)

    def add_sound(self, block: Block) -> None:
        """Adds a block [n, 2]; sound from before the first picture is left out. Raises StorageError."""
        if self._soundtrack is not None:
            self._write_sound(self._soundtrack.add(block))

    def keep_up(self, now_s: float) -> None:
        """Fills in silence where sound stays away: no fragment is complete without. Raises StorageError."""
        if self._soundtrack is not None:
            self._write_sound(self._soundtrack.keep_up(now_s))

    def close(self) -> None:
        """Writes what is held back and ends the file. Raises StorageError."""
        try:
            if self._start_s is not None:
                for stream in (self._video, self._audio):
                    self._container.mux(stream.encode(None))
            self._container.close()
        except OSError as error:
            raise self._refused(error) from error

    def _write_sound(self, samples: Floats) -> None:
        if len(samples) == 0 or self._soundtrack is None:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "flt", "stereo")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = self._soundtrack.position - len(samples)
        for planar in self._resample_audio.resample(frame):
            self._write(self._audio, planar)

    def _write(self, stream: Any, frame: Any) -> None:
        try:
            self._container.mux(stream.encode(frame))
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write {self._path}: {error.strerror}; free some space")
