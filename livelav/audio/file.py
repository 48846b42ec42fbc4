"""A sound file played in real time: anything that libsndfile reads (wav, flac, ogg, mp3, ...).

Streamed from the disk, so a set of many hours costs no memory, and a file that is deleted while it plays goes on
(the system keeps an open file; where it does not, the error says how far it came).
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from livelav.audio.paced import PacedPlayer
from livelav.audio.source import SourceInfo
from livelav.core.clock import Clock
from livelav.core.errors import SourceError
from livelav.core.values import Block, Floats

_READ_BLOCKS = 50  # in one visit to the disk: a quarter of a second
_LOSS_S = 1.0  # compressed files may state their length a little wrong; truncated ones simply end
RATES_HZ = (8_000, 192_000)


def open_sound(path: Path) -> Any:
    """The file, opened by soundfile at its start. Raises SourceError for all that is no sound that can be played."""
    if os.path.isdir(path):
        raise SourceError(f"{path} is a folder: --input takes a sound file (wav, flac, ogg, mp3)")
    if not os.path.exists(path):
        raise SourceError(f"{path} does not exist: check the name, or see `livelav devices` for devices")
    import soundfile

    try:
        if not path.is_file():
            raise SourceError(f"{path} is no regular file: --input takes a sound file (wav, flac, ogg, mp3)")
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty: --input takes a sound file (wav, flac, ogg, mp3)")
        sound = soundfile.SoundFile(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}; check its permissions") from error
    except (soundfile.LibsndfileError, TypeError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        if reason.startswith("File does not exist"):  # what it says of an mp3 without a single whole frame
            reason = "nothing in it can be decoded"
        raise SourceError(
            f"{path} is no sound file that can be played ({reason}): use wav, flac, ogg or mp3"
        ) from error
    if not RATES_HZ[0] <= sound.samplerate <= RATES_HZ[1]:
        sound.close()
        raise SourceError(f"{path} has {sound.samplerate} Hz: convert it to {RATES_HZ[0]} to {RATES_HZ[1]} Hz")
    if sound.frames == 0:
        sound.close()
        raise SourceError(f"{path} holds no sound (0 samples): choose another file")
    return sound


class FileSource:
    """A file as a source; `position` counts the samples played, from 0 again in each turn of a loop."""

    patience_s = 0.5
    xruns = 0

    def __init__(self, path: Path, loop: bool, clock: Clock) -> None:
        """Raises SourceError."""
        self._path, self._loop = path, loop
        self._sound = open_sound(path)
        self.info = SourceInfo("file", path.name, float(self._sound.samplerate), self._sound.channels)
        self._player = PacedPlayer(self._sound.samplerate, clock)
        self._read = 0  # samples taken from the disk in this turn
        self._damage = ""
        self._ready = self._take()
        if not len(self._ready):
            self._sound.close()
            reason = self._damage or "nothing in it can be decoded"
            raise SourceError(f"{path} is no sound file that can be played ({reason}): use wav, flac, ogg or mp3")

    @property
    def position(self) -> int:
        return self._read - len(self._ready)

    def read(self, timeout_s: float) -> Block | None:
        if not self._player.wait(timeout_s):
            return None
        if not len(self._ready):
            self._fetch()
        block, self._ready = np.split(self._ready, [self._player.block])
        return self._player.play(block)

    def _fetch(self) -> None:
        """Reads on, from the start again in a loop. Raises SourceError, EOFError (with a text: it ended too soon)."""
        self._ready = self._take()
        if not len(self._ready):
            rate_hz = self._sound.samplerate
            if self._sound.frames - self._read > _LOSS_S * rate_hz and not self._path.exists():
                raise SourceError(f"{self._path} broke off at {self._read / rate_hz:.1f} s: is the disk still there?")
            if not self._loop:
                broken = f"{self._path} is damaged after {self._read / rate_hz:.1f} s ({self._damage}): it ended there"
                raise EOFError(broken if self._damage else "")
            self._sound.seek(0)
            self._read = 0
            self._ready = self._take()
            if not len(self._ready):
                raise SourceError(f"{self._path} cannot be read again from its start: is the disk still there?")
            if len(self._ready) < self._player.block:  # a turn shorter than a block: as many turns as fill one
                turns = -(-self._player.block // len(self._ready))
                self._ready = np.tile(self._ready, (turns, 1))
                self._read = len(self._ready)

    def _take(self) -> Floats:
        import soundfile

        try:
            samples: Floats = self._sound.read(_READ_BLOCKS * self._player.block, "float32", always_2d=True)
        except soundfile.LibsndfileError as error:  # damaged: it ends here, for to open it again would not mend it
            self._damage = str(error).strip().rstrip(".")
            return np.zeros((0, self._sound.channels), np.float32)
        except OSError as error:
            raise SourceError(f"{self._path} broke off: {error}; is the disk still there?") from error
        self._read += len(samples)
        return samples

    def close(self) -> None:
        self._sound.close()
