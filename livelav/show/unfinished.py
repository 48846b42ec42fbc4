"""The pictures of a video that was cut off, as they were encoded: what a render that goes on need not make again.

A film's pictures come in groups that need no other, each begun with a key picture. The last group may be cut in its
middle and is left; all before it is whole. Reads a file as it is, whatever it ends with. Runs where it is called.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A video of `fps` pictures a second that Film wrote."""

    path: Path
    fps: Fraction
    kept: int  # pictures from the first on that can be taken over
    pictures: int  # in all
    heard_s: float  # how far its sound goes

    def packets(self) -> Iterator[Any]:
        """The kept pictures, encoded, in the file's order."""
        with closing(_packets(self.path)) as packets:
            left, plain = self.kept, None
            for packet in packets:
                if packet.stream.type != "video":
                    continue
                if not left:
                    return
                left -= 1
                # files hold H.264 in another form than encoders give, which is the one that muxers take beside theirs
                plain = plain or av.BitStreamFilterContext("h264_mp4toannexb", packet.stream)
                number = _number(packet, self.fps)  # the filter empties the packet
                (kept,) = plain.filter(packet)
                kept.pts = number
                yield kept


def unfinished(path: Path, fps: Fraction) -> Unfinished:
    """What there is of it; nothing where it cannot be read."""
    kept = pictures = total = 0
    newest, heard_s = -1, 0.0
    with closing(_packets(path)) as packets:
        for packet in packets:
            if packet.stream.type != "video":
                heard_s = max(heard_s, float((packet.pts + packet.duration) * packet.time_base))
                continue
            number = _number(packet, fps)
            # all of those before it and no other: then nothing is missing, and nothing came twice
            if packet.is_keyframe and number == pictures and newest == number - 1 and 2 * total == number * newest:
                kept = number
            pictures, total, newest = pictures + 1, total + number, max(newest, number)
    return Unfinished(path, fps, kept, pictures, heard_s)


def _packets(path: Path) -> Generator[Any, None, None]:
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            for packet in container.demux():
                if packet.is_corrupt:
                    return
                if packet.size and packet.pts is not None and packet.time_base:
                    yield packet
    except (av.FFmpegError, OSError, ValueError):
        return  # it was cut here


def _number(packet: Any, fps: Fraction) -> int:
    number: int = round(packet.pts * packet.time_base * fps)
    return number
