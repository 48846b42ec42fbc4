"""Sources of a PulseAudio or PipeWire server: the monitor of what is played, microphones, any other by its name.

A loopback follows the default sink (or PULSE_SOURCE where that is set), as a listener would; a source that was named
is never exchanged for another: when it goes, the stream ends and the capture loop waits for its return.
"""

import os
import time

from livelav.audio.libpulse import PulseConnection, PulseDefaults, PulseSource
from livelav.audio.source import BLOCK, Kind, SourceInfo
from livelav.core.errors import SourceError, nearest
from livelav.core.values import Block

_WATCH_S = 0.25  # how often the server is asked whether its defaults are still the same
_MOST_CHANNELS = 2  # the server folds more down itself: it knows where they stand


def loopback_name(sources: list[PulseSource], defaults: PulseDefaults) -> str:
    """The source that `loopback` takes: PULSE_SOURCE, else the default sink's monitor. Raises SourceError."""
    named = os.environ.get("PULSE_SOURCE")
    wanted = named or f"{defaults.sink}.monitor"
    names = [s.name for s in sources]
    if wanted in names:
        return wanted
    if named:
        raise SourceError(f"PULSE_SOURCE is {named!r}, which the sound server lacks{nearest(named, names)}")
    monitors = [s.name for s in sources if s.monitor]
    if not monitors:
        raise SourceError("the sound server has no output to listen to: connect one, or use --input demo")
    return monitors[0]


def mic_name(sources: list[PulseSource], defaults: PulseDefaults) -> str:
    """The source that `mic` takes: the default one, else the first that is no monitor. Raises SourceError."""
    mics = [s.name for s in sources if not s.monitor]
    if not mics:
        raise SourceError("the sound server has no microphone: connect one, or use --input loopback")
    return defaults.source if defaults.source in mics else mics[0]


class PulseStream:
    """One source of the server, as stereo float32 at its own rate."""

    # A stream whose source or server goes says so; one that only stalls goes on by itself, and loses less so.
    patience_s = 3.0

    def __init__(self, kind: Kind, name: str | None = None) -> None:
        """Opens the source of that name; without one, what the server takes for this kind now. Raises SourceError."""
        self._connection = PulseConnection()
        try:
            sources, self._began = self._connection.sources(), self._connection.defaults()
            choose = mic_name if kind == "mic" else loopback_name
            source = self._find(sources, name or choose(sources, self._began))
            self._recording = self._connection.record(
                source.name, source.rate_hz, min(source.channels, _MOST_CHANNELS), BLOCK
            )
        except SourceError:
            self._connection.close()
            raise
        self._kind, self._named, self._defaults = kind, name, self._began
        self.info = SourceInfo(kind, source.description, float(source.rate_hz), source.channels)
        self._ask = self._connection.watch_defaults(self._on_defaults)
        self._asked_s = time.monotonic()

    @staticmethod
    def _find(sources: list[PulseSource], name: str) -> PulseSource:
        for source in sources:
            if source.name == name:
                return source
        known = [s.name for s in sources]
        raise SourceError(f"the sound server has no source {name!r}{nearest(name, known)}; see `livelav devices`")

    def _on_defaults(self, defaults: PulseDefaults) -> None:
        self._defaults = defaults

    @property
    def xruns(self) -> int:
        return self._recording.holes

    def read(self, timeout_s: float) -> Block | None:
        samples = self._recording.read(timeout_s)
        now_s = time.monotonic()
        if now_s - self._asked_s > _WATCH_S:
            self._asked_s = now_s
            self._check()
        if samples is None:
            return None
        # what is left unread after this block would be `latency` old, and nothing is left: so is its last sample
        return Block(samples, now_s - self._recording.latency_s, self.info.rate_hz)

    def _check(self) -> None:
        """Raises SourceError where the stream was moved, or the server's default is another than when it began."""
        source = self._recording.source
        if self._recording.device != source:
            raise SourceError(f"{source!r} was moved to {self._recording.device!r}")
        if self._named is None and self._followed(self._defaults) != self._followed(self._began):
            raise SourceError(f"the default is {self._followed(self._defaults)!r} now")
        self._ask()

    def _followed(self, defaults: PulseDefaults) -> str | None:
        """Which of the defaults this stream goes along with."""
        if self._kind == "mic":
            return defaults.source
        return os.environ.get("PULSE_SOURCE") or defaults.sink

    def close(self) -> None:
        self._recording.close()
        self._connection.close()
