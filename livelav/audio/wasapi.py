"""Windows: what the default speaker plays, through WASAPI loopback.

The PortAudio that sounddevice carries has no loopback, soundcard has; while nothing plays, WASAPI delivers nothing
and soundcard fills in the silence, so a block always comes. Not testable where this was written: see the README.
"""

import contextlib
import time

from livelav.audio.source import BLOCK, SourceInfo
from livelav.core.errors import SourceError
from livelav.core.values import Block

_RATE_HZ = 48_000  # Windows converts to it; the mixer's own rate is not told
_WATCH_S = 0.5


class WasapiLoopback:
    """Follows the default speaker. Raises SourceError wherever WASAPI fails."""

    patience_s = 0.5
    xruns = 0

    def __init__(self) -> None:
        import soundcard

        try:
            self._speaker = soundcard.default_speaker()
            device = soundcard.get_microphone(self._speaker.id, include_loopback=True)
            self._recorder = device.recorder(samplerate=_RATE_HZ, channels=2, blocksize=BLOCK)
            self._recorder.__enter__()
        except (RuntimeError, IndexError, OSError) as error:
            raise SourceError(f"no speaker to listen to: {error}; connect one, or use --input demo") from error
        self.info = SourceInfo("loopback", self._speaker.name, float(_RATE_HZ), 2)
        self._watched_s = time.monotonic()

    def read(self, timeout_s: float) -> Block | None:
        import soundcard

        try:
            if time.monotonic() - self._watched_s > _WATCH_S:
                self._watched_s = time.monotonic()
                if soundcard.default_speaker().id != self._speaker.id:
                    raise SourceError("the default speaker is another now")
            samples = self._recorder.record(None)
        except (RuntimeError, IndexError, OSError) as error:
            raise SourceError(f"{self.info.name!r} is gone: {error}") from error
        return Block(samples, time.monotonic(), float(_RATE_HZ)) if len(samples) else None

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._recorder.__exit__(None, None, None)


def default_speaker_name() -> str:
    """Raises SourceError where there is none."""
    import soundcard

    try:
        return str(soundcard.default_speaker().name)
    except (RuntimeError, IndexError, OSError) as error:
        raise SourceError(f"no speaker to listen to: {error}; connect one, or use --input demo") from error
