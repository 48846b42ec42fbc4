"""Which inputs this machine has, loopbacks first, and which one a word of the user means.

Asking never hangs: the sound server is asked with a deadline, PortAudio in a child that is killed when it is late.
A trouble (no server, no PortAudio) is a line in the survey, not an error: the rest of the list still stands.
"""

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from livelav.audio.source import Kind
from livelav.core.child import python
from livelav.core.errors import SourceError, nearest

_CHILD_S = 4.0
PULSE = "PulseAudio"
WASAPI_LOOPBACK = "WASAPI loopback"

# Windows and Linux show one device under several APIs: the earlier is the better way in.
_API_ORDER = (PULSE, WASAPI_LOOPBACK, "Windows WASAPI", "Core Audio", "ASIO", "JACK Audio Connection Kit", "ALSA")
_VIRTUAL_LOOPBACKS = ("blackhole", "loopback", "soundflower")

MACOS_REMEDY = "macOS has no loopback of its own: install BlackHole (`brew install blackhole-2ch`) and play into it"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One input; `name` or `number` after `--input` opens it."""

    number: int
    kind: Kind  # loopback, mic or device
    name: str  # as people see it
    id: str  # as the API knows it
    api: str
    rate_hz: float
    channels: int
    would_take: bool  # what `--input loopback` would open


@dataclass(frozen=True, slots=True)
class DeviceSurvey:
    """All inputs found, and a line for each place that could not be asked."""

    devices: tuple[DeviceInfo, ...]
    troubles: tuple[str, ...]


def survey_devices() -> DeviceSurvey:
    """Asks the sound server and PortAudio. Takes some tenths of a second, never more than about six seconds."""
    found: list[DeviceInfo] = []
    troubles: list[str] = []
    for ask in (_server_devices, _portaudio_devices):
        try:
            found += ask()
        except SourceError as error:
            troubles.append(str(error))
    kinds = ("loopback", "mic", "device")
    found.sort(key=lambda d: (kinds.index(d.kind), not d.would_take, _rank(d)))
    return DeviceSurvey(tuple(replace(d, number=i) for i, d in enumerate(found)), tuple(troubles))


def list_devices() -> list[DeviceInfo]:
    """The inputs alone."""
    return list(survey_devices().devices)


def _rank(device: DeviceInfo) -> int:
    return _API_ORDER.index(device.api) if device.api in _API_ORDER else len(_API_ORDER)


def _server_devices() -> list[DeviceInfo]:
    """What only the system's own sound server can give: loopbacks, and on Linux its microphones too."""
    if platform.system() == "Windows":
        from livelav.audio.wasapi import default_speaker_name

        return [DeviceInfo(0, "loopback", default_speaker_name(), "", WASAPI_LOOPBACK, 48_000.0, 2, True)]
    if platform.system() == "Darwin":
        return []
    from livelav.audio.libpulse import PulseConnection
    from livelav.audio.pulse import loopback_name

    connection = PulseConnection()
    try:
        sources, defaults = connection.sources(), connection.defaults()
    finally:
        connection.close()
    try:
        taken = loopback_name(sources, defaults)
    except SourceError:
        taken = ""
    return [
        DeviceInfo(
            number=0,
            kind="loopback" if s.monitor else "mic",
            name=s.description,
            id=s.name,
            api=PULSE,
            rate_hz=float(s.rate_hz),
            channels=s.channels,
            would_take=s.name == taken,
        )
        for s in sources
    ]


def _portaudio_devices() -> list[DeviceInfo]:
    command = python("livelav.audio.portaudio")
    try:
        answer = subprocess.run(command, capture_output=True, timeout=_CHILD_S, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"PortAudio did not answer within {_CHILD_S:g} s: is a sound driver hanging?") from error
    if answer.returncode != 0:
        last = answer.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise SourceError(f"PortAudio gives no list: {last[0].removeprefix('livelav.core.errors.SourceError: ')}")
    return portaudio_entries(json.loads(answer.stdout), mac=platform.system() == "Darwin")


def portaudio_entries(inputs: Sequence[dict[str, Any]], mac: bool) -> list[DeviceInfo]:
    """PortAudio's inputs as devices. On macOS a virtual device is the loopback, the first of them the one taken."""
    entries: list[DeviceInfo] = []
    for entry in inputs:
        virtual = mac and any(word in entry["name"].lower() for word in _VIRTUAL_LOOPBACKS)
        kind: Kind = "loopback" if virtual else "mic" if entry["default"] else "device"
        taken = virtual and not any(e.would_take for e in entries)
        entries.append(
            DeviceInfo(0, kind, entry["name"], entry["name"], entry["api"], entry["rate_hz"], entry["channels"], taken)
        )
    return entries


def find_device(word: str, devices: Sequence[DeviceInfo]) -> DeviceInfo:
    """The input that `word` means: its number, its whole name, or a part of it that no other has (case ignored).

    Raises SourceError for none (naming the nearest) and for several (naming them).
    """
    if word.isascii() and word.isdigit():
        if int(word) < len(devices):
            return devices[int(word)]
        last = f"0 to {len(devices) - 1}" if devices else "none, for no input was found"
        raise SourceError(f"no input device {word}: numbers are {last}; `livelav devices` lists them")
    low = word.lower()
    exact = [d for d in devices if low in (d.name.lower(), d.id.lower())]
    matches = exact or [d for d in devices if low in d.name.lower() or low in d.id.lower()]
    best = [d for d in matches if _rank(d) == min(_rank(m) for m in matches)]
    if len(best) == 1:
        return best[0]
    if best:
        names = ", ".join(f"{d.number} {d.name!r}" for d in best)
        raise SourceError(f"{word!r} may be any of {names}: say more of the name, or the number")
    hint = nearest(word, [name for d in devices for name in (d.name, d.id)])
    raise SourceError(f"no input {word!r}: not a file, nor a device{hint}; `livelav devices` lists them")
