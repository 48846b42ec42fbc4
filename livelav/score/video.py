"""Reads a video's pictures for judging: small, in order, at ANALYSIS_HZ whatever rate the video has. Streamed; PyAV.

Picture n is the one that is shown when the sound has lasted n / ANALYSIS_HZ.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from livelav.core.errors import SourceError
from livelav.core.values import Bytes
from livelav.score.pictures import small_size
from livelav.score.sound import ANALYSIS_HZ

_MOST_PX = 64 << 20  # of one picture: more than any film has, and little enough to be held
_SLACK_S = 1e-3  # Matroska counts in milliseconds: what is due now must not seem to come next
_LAST_S = 0.25  # that the last picture is shown for, where nothing says how long
_BT709 = 1


class VideoPictures:
    """The pictures of one file."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError where there is no video that has both pictures and sound."""
        import av

        if path.is_dir():
            raise SourceError(f"{path} is a folder: name a video")
        if not path.exists():
            raise SourceError(f"{path} does not exist: check the name")
        if not path.is_file() or path.stat().st_size == 0:
            raise SourceError(f"{path} is empty or no regular file: name a video")
        try:
            with av.open(str(path.absolute()), metadata_errors="replace") as container:
                if not container.streams.video:
                    raise SourceError(f"{path} holds no pictures: name a video")
                if not container.streams.audio:
                    raise SourceError(f"{path} holds no sound, so there is nothing that its pictures could follow")
                stream: Any = container.streams.video[0]
                if stream.codec_context is None:
                    raise SourceError(f"{path} holds pictures of a kind that cannot be decoded: convert it to H.264")
                self.size = stream.width, stream.height
                # as the file says, which may be wrong; 0 where it says nothing
                self.seconds = (
                    float((stream.duration or 0) * (stream.time_base or 0)) or (container.duration or 0) / 1e6
                )
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"{path} cannot be read as a video ({reason}): is it whole?") from error
        if not 0 < self.size[0] * self.size[1] <= _MOST_PX:
            raise SourceError(f"{path} has pictures of {self.size[0]}x{self.size[1]} px: at most {_MOST_PX} are read")
        self.path = path
        self.damage = ""  # what broke off, once it has

    def pictures(self, most: int) -> Iterator[Bytes]:
        """[height, width, 3] each, `most` at most. A still stays for as long as it is shown."""
        last: Any = None
        shown: Bytes | None = None  # `last`, small
        count, last_s, ends_s = 0, 0.0, 0.0
        for frame, time_s in self._frames():
            while last is not None and count < most and count / ANALYSIS_HZ < time_s - _SLACK_S:
                shown = self._small(last) if shown is None else shown
                yield shown
                count += 1
            if count >= most:
                return
            # the last one is shown as long as the one before it was
            ends_s = time_s + (_LAST_S if last is None else min(max(time_s - last_s, 0.0), _LAST_S))
            last, last_s, shown = frame, time_s, None
        while last is not None and count < most and count / ANALYSIS_HZ < ends_s - _SLACK_S:
            shown = self._small(last) if shown is None else shown
            yield shown
            count += 1

    def _frames(self) -> Iterator[tuple[Any, float]]:
        """Each with its time in seconds of the sound."""
        import av

        try:
            with av.open(str(self.path.absolute()), metadata_errors="replace") as container:
                sound, stream = container.streams.audio[0], container.streams.video[0]
                zero_s = float((sound.start_time or 0) * (sound.time_base or 0))
                stream.thread_type = "AUTO"
                for frame in container.decode(stream):
                    if frame.time is not None:
                        yield frame, frame.time - zero_s
        except (av.FFmpegError, OSError) as error:
            self.damage = f"{self.path} is damaged ({getattr(error, 'strerror', None) or error}): it ends there"

    def _small(self, frame: Any) -> Bytes:
        width, height = small_size(*self.size)
        matrix = {"src_colorspace": "ITU709"} if frame.colorspace == _BT709 and not frame.format.is_rgb else {}
        small = frame.reformat(width, height, "rgb24", interpolation="AREA", **matrix)
        return np.asarray(small.to_ndarray(), np.uint8)
