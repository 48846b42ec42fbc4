"""A whole sound file, from its start to its end and as fast as it is asked for: what a render listens to.

Reads what libsndfile reads, and of anything else that PyAV opens (m4a, video) the first sound track. Streamed, so that
eight hours cost no more memory than a minute. Knows no clock.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from livelav.audio.file import open_sound
from livelav.core.errors import SourceError
from livelav.core.values import Floats

if TYPE_CHECKING:
    from livelav.audio.track import Track

_BLOCK = 8_192  # samples
_LONGEST = 1 << 60  # samples
_LOSS_S = 1.0  # compressed files may state their length a little wrong


class WholeSound:
    """`blocks` may be asked for again and again: each time it begins at the start."""

    def __init__(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> None:
        """From `start_s` to `end_s` of it, or to its end. Raises SourceError for what cannot be played."""
        self.path, self.start_s, self.end_s = path, start_s, end_s
        self._track: Track | None = None
        is_guess = False
        try:
            sound = open_sound(path)
            facts = sound.samplerate, sound.channels, sound.frames
            sound.close()
            if sound.frames > _LONGEST:  # a FLAC file whose writer was killed; libsndfile reads on beyond its end
                raise SourceError(f"{path} does not say how long it is: copy it to another format")
        except SourceError as error:
            if not path.is_file() or path.stat().st_size == 0:
                raise
            self._track = _track(path, error)
            found = self._track.facts
            facts, is_guess = (found.rate_hz, found.channels, found.length), found.is_guess
        self.rate_hz, self.channels, length = map(int, facts)
        self._is_sure = length > 0 and not is_guess
        self._first, self._stated = round(start_s * self.rate_hz), length
        self._last = None if end_s is None else round(end_s * self.rate_hz)  # None: wherever it ends
        if (self._is_sure and self._first >= length) or (self._last is not None and self._first >= self._last):
            raise SourceError(
                f"{path} is {length / self.rate_hz:.1f} s long: nothing of it lies from {start_s:g} to "
                f"{'its end' if end_s is None else f'{end_s:g} s'}"
            )
        self.damage = ""  # what is missing of it, once it was heard

    @property
    def seconds(self) -> float:
        """How long it is, as the file says, which may be wrong; 0 where it says nothing."""
        return max(self._due - self._first, 0) / self.rate_hz

    @property
    def is_exact(self) -> bool:
        """Whether `seconds` is, to the sample."""
        return self._track is None and self._stated > 0

    @property
    def _due(self) -> int:
        """The sample that it should end at."""
        return self._stated if self._last is None else min(self._last, self._stated or self._last)

    def blocks(self) -> Iterator[Floats]:
        """[n, channels], as many as there are."""
        self.damage = ""
        passed = 0
        for block in self._track.blocks() if self._track else self._read():
            end = len(block) if self._last is None else max(self._last - passed, 0)
            part = block[max(self._first - passed, 0) : end]
            passed += len(block)
            if len(part):
                yield part
            if self._last is not None and passed >= self._last:
                break
        if self._is_sure and self._due - passed > _LOSS_S * self.rate_hz:
            ends_s, due_s = passed / self.rate_hz, self._due / self.rate_hz
            self.damage = f"{self.path} is damaged: it ends at {ends_s:.1f} s of {due_s:.1f}"
        elif self._track and self._track.silent_s:
            self.damage = f"{self.path} is damaged: {self._track.silent_s:.2g} s of it are silent"

    def _read(self) -> Iterator[Floats]:
        import soundfile

        with open_sound(self.path) as sound:
            try:
                while len(block := sound.read(_BLOCK, "float32", always_2d=True)):
                    yield np.asarray(block)
            except soundfile.LibsndfileError:
                return  # damaged: it ends here
            except OSError as error:
                raise SourceError(f"{self.path} broke off: {error}; is the disk still there?") from error


def _track(path: Path, refused: SourceError) -> "Track":
    """See Track. Raises SourceError."""
    from livelav.audio.track import Track  # PyAV is heavy

    return Track(path, refused)
