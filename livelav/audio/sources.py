"""From `--input` to an open source: loopback, mic, demo, a file, or a device by number or name."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from livelav.audio.devices import MACOS_REMEDY, PULSE, WASAPI_LOOPBACK, DeviceInfo, find_device, survey_devices
from livelav.audio.source import Source
from livelav.core.clock import Clock
from livelav.core.errors import SourceError

Opener = Callable[[], Source]

# What ends so, or is written with a folder before it, was meant as a file even where there is none.
_SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif", ".m4a", ".aac")


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What the user asked for."""

    input: str = "loopback"
    loop: bool = False  # a file begins again at its end


def find_source(request: SourceRequest, clock: Clock) -> Opener:
    """What opens the source, as often as it must be reopened. May ask for devices (tenths of a second).

    `loopback` and `mic` mean whatever is the default at each opening; a device, once found, is only ever itself.
    Raises SourceError for a word that means nothing here; the opener raises it for what cannot be opened.
    """
    word = request.input.strip()
    if not word:
        raise SourceError("--input is empty: use loopback, mic, demo, a file, or a device (`livelav devices`)")
    if word == "demo":
        from livelav.audio.demo import DemoSource

        return lambda: DemoSource(clock)
    if word == "loopback":
        return _open_loopback
    if word == "mic":
        return _open_mic
    path = Path(os.path.expanduser(word))
    if os.path.isfile(path) or path.suffix.lower() in _SOUND_SUFFIXES or path.name != word:
        from livelav.audio.file import FileSource

        return lambda: FileSource(path, request.loop, clock)
    survey = survey_devices()
    if not survey.devices:
        raise SourceError(f"no input {word!r}: " + "; ".join(survey.troubles or ("this machine has no input device",)))
    return device_opener(find_device(word, survey.devices))


def device_opener(device: DeviceInfo) -> Opener:
    """What opens exactly this device."""

    def open_device() -> Source:
        if device.api == PULSE:
            from livelav.audio.pulse import PulseStream

            return PulseStream(device.kind, device.id)
        if device.api == WASAPI_LOOPBACK:
            return _open_loopback()
        from livelav.audio.portaudio import PortAudioStream

        return PortAudioStream(device.kind, device.id, device.api)

    return open_device


def _open_loopback() -> Source:
    if platform.system() == "Windows":
        from livelav.audio.wasapi import WasapiLoopback

        return WasapiLoopback()
    if platform.system() == "Darwin":
        for device in survey_devices().devices:
            if device.would_take:
                return device_opener(device)()
        raise SourceError(MACOS_REMEDY)
    from livelav.audio.pulse import PulseStream

    return PulseStream("loopback")


def _open_mic() -> Source:
    if platform.system() == "Linux":
        from livelav.audio.pulse import PulseStream

        try:
            return PulseStream("mic")
        except SourceError as server_trouble:
            from livelav.audio.portaudio import PortAudioStream

            try:
                return PortAudioStream("mic")
            except SourceError:
                raise server_trouble from None
    from livelav.audio.portaudio import PortAudioStream

    return PortAudioStream("mic")
