"""The MIDI library at its edge: clients of the machine's MIDI system, and what its ports are called.

Translates the driver's errors. On Linux ALSA's sequencer is taken if there is one, else JACK; PipeWire speaks both.
"""

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from livelav.core.errors import MidiError

if TYPE_CHECKING:
    import rtmidi  # loaded where a client is made only

CLIENT = "livelav"
WAITING = 1 << 15  # messages that an input keeps until it is asked: 3 s of a storm, 1 MB

_ALSA_ADDRESS = re.compile(r" \d+:\d+$")  # " 20:0": another one each time that it is plugged in
_WINDOWS_NUMBER = re.compile(r" \d+$")
_WORD = re.compile(r"[^\W_]+")
_WAY = re.compile(r"(?:midi)?(?:in|out|input|output|capture|playback)(\d*)")  # which way a port's name says it goes


def new_input() -> "rtmidi.MidiIn":
    """A client that can listen. Raises MidiError where there is no MIDI."""
    return _client("MidiIn", queue_size_limit=WAITING)


def new_output() -> "rtmidi.MidiOut":
    """A client that can send. Raises MidiError where there is no MIDI."""
    return _client("MidiOut")


def _client(kind: Literal["MidiIn", "MidiOut"], **options: int) -> "rtmidi.MidiIn | rtmidi.MidiOut":
    """One of the first MIDI system that this machine runs."""
    try:
        import rtmidi
    except ImportError as error:
        raise MidiError(f"no MIDI here ({error}); pip install python-rtmidi") from error
    os.environ["JACK_NO_START_SERVER"] = "1"  # nobody asked for a sound server
    reasons = []
    for api in rtmidi.get_compiled_api():
        try:
            return getattr(rtmidi, kind)(api, name=CLIENT, **options)
        except (rtmidi.RtMidiError, OSError) as error:
            reasons.append(str(error))
    why = ", ".join(reasons) or "none in this build"
    raise MidiError(f"no MIDI here ({why}); sudo modprobe snd-seq, or start JACK")


def ports_of(looker: "rtmidi.MidiIn | rtmidi.MidiOut") -> list[str]:
    """The system's names of all ports that a client can open, in its order. Raises MidiError."""
    import rtmidi

    try:
        return list(looker.get_ports())
    except rtmidi.RtMidiError as error:
        raise MidiError(f"MIDI gives no list of ports ({error}); restart its server") from error


def plain(raw: str) -> str:
    """A port's name without what changes each time that it is plugged in."""
    name = _ALSA_ADDRESS.sub("", raw)
    return _WINDOWS_NUMBER.sub("", name) if sys.platform == "win32" else name


def beside(inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """Each input's output on the same box, by the system's names of both.

    They must be alike in every word but those for the way they go (in, out, capture, playback): a box of another
    model would not know what it is told, and a synthesiser would play it. Twins are told apart by their order.
    """
    pairs = {} if sys.platform == "win32" else {raw: raw for raw in inputs if raw in outputs}
    left = [raw for raw in outputs if raw not in pairs.values()]
    for raw in inputs:
        other = next((one for one in left if _words(one) == _words(raw)), None) if raw not in pairs else None
        if other is not None:
            pairs[raw] = other
            left.remove(other)
    return pairs


def _words(raw: str) -> list[str]:
    """`capture_1` and `playback_1` are both `1`."""
    words = [way[1] if (way := _WAY.fullmatch(word)) else word for word in _WORD.findall(plain(raw).lower())]
    return [word for word in words if word]
