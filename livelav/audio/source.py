"""What every source of sound is to the capture process; knows no driver."""

from dataclasses import dataclass
from typing import Literal, Protocol

from livelav.core.values import Block

Kind = Literal["loopback", "mic", "device", "file", "demo"]

BLOCK = 256  # samples asked of a driver at a time: 5.3 ms at 48 kHz


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is being listened to."""

    kind: Kind
    name: str
    rate_hz: float  # the source's own; nothing is resampled on the way in
    channels: int  # the source's own; blocks are always stereo


class Source(Protocol):
    """An open source. Thread: the one that opened it."""

    @property
    def info(self) -> SourceInfo: ...

    @property
    def patience_s(self) -> float:
        """After how long without a sample it is better opened again than waited for."""
        ...

    @property
    def xruns(self) -> int:
        """Places where the driver said that sound was lost, since it was opened."""
        ...

    def read(self, timeout_s: float) -> Block | None:
        """Samples [n, channels] as they came, after waiting at most about `timeout_s`; None if none did.

        Raises SourceError where the source is gone or became another, EOFError at the end of a file (with a text: it
        ended sooner than it should).
        """
        ...

    def close(self) -> None:
        """May hang for ever where the driver does: only a process that can be killed calls it."""
        ...
