"""The first sound track of whatever PyAV opens, from its start to its end: m4a, video and the like.

Streamed. What cannot be decoded is silent, so that all after it is heard at its time. Knows no clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from livelav.audio.file import RATES_HZ
from livelav.core.errors import SourceError
from livelav.core.values import Floats

_LONGEST_S = 10.0  # of one packet; a damaged file may say anything


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of its track."""

    rate_hz: int
    channels: int
    length: int  # samples; 0: nobody knows
    is_guess: bool  # whether the length is one: the whole file's, or what FFmpeg reckons from a few bare packets


class Track:
    """`blocks` may be asked for again and again: each time it begins at the start."""

    def __init__(self, path: Path, refused: SourceError) -> None:
        """Raises SourceError where there is no sound; `refused` where it is nothing that can be opened."""
        self._path = path
        self.silent_s = 0.0  # of the last time, what could not be decoded
        try:
            with _opened(path) as container:
                self.facts = _facts(path, container)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise refused from error

    def blocks(self) -> Iterator[Floats]:
        """[n, channels] at the rate that the file begins with."""
        self.silent_s = 0.0
        rate_hz, channels = self.facts.rate_hz, self.facts.channels
        try:
            with _opened(self._path) as container:
                stream: Any = container.streams.audio[0]
                to_floats = _ToFloats(stream.codec_context.layout.name, rate_hz)
                for packet in container.demux(stream):
                    try:
                        frames = packet.decode()
                    except av.InvalidDataError:
                        lost_s = min(float((packet.duration or 0) * (packet.time_base or 0)), _LONGEST_S)
                        self.silent_s += lost_s
                        yield np.zeros((round(lost_s * rate_hz), channels), np.float32)
                        continue
                    for frame in frames:
                        yield from (part.reshape(-1, channels) for part in to_floats.of(frame))
        except (av.FFmpegError, OSError):
            return  # it ends here


class _ToFloats:
    """Frames to samples of one layout and rate, also where the frames' own change on the way."""

    def __init__(self, layout: str, rate_hz: int) -> None:
        self._layout, self._rate_hz = layout, rate_hz
        self._begin()

    def of(self, frame: Any) -> Iterator[Floats]:
        """Interleaved."""
        try:
            parts = self._resampler.resample(frame)
        except ValueError:  # it takes one kind of frame only
            self._begin()
            parts = self._resampler.resample(frame)
        for part in parts:
            yield np.asarray(part.to_ndarray(), np.float32)

    def _begin(self) -> None:
        self._resampler = av.AudioResampler(format="flt", layout=self._layout, rate=self._rate_hz)


def _opened(path: Path) -> Any:
    # a title in another encoding than was agreed on is no reason to be silent
    return av.open(str(path.absolute()), metadata_errors="replace")


def _facts(path: Path, container: Any) -> Facts:
    if not container.streams.audio:
        raise SourceError(f"{path} holds no sound: choose a file that does")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise SourceError(f"{path} holds sound of a kind that cannot be decoded: convert it to flac or wav")
    rate_hz, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise SourceError(f"{path} has {rate_hz} Hz: convert it to {RATES_HZ[0]} to {RATES_HZ[1]} Hz")
    track_s = float((stream.duration or 0) * (stream.time_base or 0))
    is_bare = bool(container.format.flags & av.format.Flags.generic_index.value)
    length = round((track_s or (container.duration or 0) / 1e6) * rate_hz)
    return Facts(rate_hz, channels, length, is_bare or not track_s)
