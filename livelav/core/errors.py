"""What may go wrong for a user. Each message is one line: what, value, range, remedy.

The command line prints it and exits with 1; nothing below the command line prints. Programming errors are
asserts, not these.
"""

import contextlib
import difflib
import sys
from collections.abc import Iterable

LONGEST = 600  # characters of one message


class LivelavError(Exception):
    """A fault that a user can mend; its text says how, whatever names were given, in one line."""

    exit_code = 1

    def __str__(self) -> str:
        return one_line(super().__str__())


class ParamError(LivelavError):
    """An unknown parameter or choice, or a value out of its range."""


class PresetError(LivelavError):
    """A preset that is missing, unreadable or names what does not exist."""


class MidiError(LivelavError):
    """A binding, bank file or MIDI port that is wrong or missing."""


class OscError(LivelavError):
    """An OSC packet that is broken, or an address that cannot be listened or sent to."""


class LinkError(LivelavError):
    """Ableton Link was asked for and is not installed, or does not load."""


class ScoreError(LivelavError):
    """What scores are measured with is not installed."""


class SourceError(LivelavError):
    """A sound source that is missing, unreadable, or gave nothing."""


class WeightsError(LivelavError):
    """An encoder's weights that are missing, truncated, of another model, or not plain data."""


class ModelError(LivelavError):
    """A generator's file that is missing, unreadable, or of an architecture that livelav does not play."""


class CheckpointError(LivelavError):
    """A stranger's checkpoint that is damaged, more than plain data, or of a network that livelav does not play."""


class BackendError(LivelavError):
    """An engine that is not installed, or that refused to build or run a network."""


class MissingBackendError(BackendError):
    """An engine that is not installed: nothing but an installation brings it."""


class UnbuiltBackendError(BackendError):
    """An engine that could run a network once it is built, which takes minutes, and was not to be built now."""


class EffectError(LivelavError):
    """An effect's file that is unreadable, or whose header or code is wrong."""


class DisplayError(LivelavError):
    """No display, or one that gives no OpenGL 3.3 core context."""


class StorageError(LivelavError):
    """A folder or file that cannot be written."""


class TakeError(LivelavError):
    """A take that is damaged, made by a newer livelav, or none at all."""


class InstanceError(LivelavError):
    """Another livelav runs already."""

    exit_code = 3


def one_line(text: str) -> str:
    """Text with strangers' names in it, as one line that cannot move a terminal's cursor, cut in its middle if long."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    half = LONGEST // 2
    return safe if len(safe) <= LONGEST else f"{safe[:half]} [...] {safe[-half:]}"


def tell(text: str) -> None:
    """One line to whoever watches the terminal; nobody need watch, and a closed one ends no show."""
    with contextlib.suppress(OSError, ValueError):
        print(f"livelav: {one_line(text)}", file=sys.stderr, flush=True)


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: ` (did you mean 'x'?)` for the closest known name, or the empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f" (did you mean {found[0]!r}?)" if found else ""
