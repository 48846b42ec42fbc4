"""Devices of PortAudio, recorded by rtmixer: a C callback fills a lock-free ring, Python only empties it.

No Python runs in the driver's thread, so the interpreter's lock cannot make it late. PortAudio reads the list of
devices only when it starts, probes them all then, and may hang in that or in closing: open and close are called only
in a process that can be killed, and the list for `livelav devices` is made by a child (`python -m` of this module).
"""

import json
import os
import sys
import time
from typing import Any

import numpy as np

from livelav.audio.source import BLOCK, Kind, SourceInfo
from livelav.core.errors import SourceError, nearest
from livelav.core.values import Block

_RING = 1 << 16  # samples; the capture loop gives up on a silent stream long before this is full
_POLL_S = 0.001
_STATS_S = 1.0
_VIRTUAL_CHANNELS = 8  # ALSA plugins claim 32 or more inputs and mix them down themselves: ask for two
RATES_HZ = (8_000, 192_000)


def _sounddevice() -> Any:
    """sounddevice with a fresh list of devices. Raises SourceError where PortAudio is not installed."""
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    try:
        import sounddevice
    except OSError as error:
        raise SourceError("PortAudio is not installed: `apt install libportaudio2`, or use --input demo") from error
    try:
        sounddevice._terminate()
        sounddevice._initialize()
    except sounddevice.PortAudioError as error:
        raise SourceError(f"PortAudio does not start: {error}; check the sound driver") from error
    return sounddevice


def portaudio_inputs() -> list[dict[str, Any]]:
    """{name, api, rate_hz, channels, default} of each input. May hang in a driver. Raises SourceError."""
    sounddevice = _sounddevice()
    apis = sounddevice.query_hostapis()
    default = sounddevice.default.device[0]
    return [
        {
            "name": device["name"],
            "api": apis[device["hostapi"]]["name"],
            "rate_hz": float(device["default_samplerate"]),
            "channels": int(device["max_input_channels"]),
            "default": index == default,
        }
        for index, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


class PortAudioStream:
    """One input device, recorded at its own default rate."""

    patience_s = 0.5  # an unplugged device may leave a stream that is active and silent

    def __init__(self, kind: Kind, name: str | None = None, api: str | None = None) -> None:
        """Opens the input of that name and API, the default one without. Raises SourceError. May hang in a driver."""
        sounddevice = _sounddevice()
        import rtmixer

        index = self._index(sounddevice, name, api)
        device = sounddevice.query_devices(index)
        claimed = int(device["max_input_channels"])
        channels = claimed if claimed <= _VIRTUAL_CHANNELS else 2
        try:
            self._recorder = rtmixer.Recorder(
                device=index,
                channels=channels,
                samplerate=min(max(device["default_samplerate"], RATES_HZ[0]), RATES_HZ[1]),
                blocksize=BLOCK,
                latency="low",
            )
            self._ring = rtmixer.RingBuffer(4 * channels, _RING)
            self._recorder.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise SourceError(f"{device['name']!r} cannot be opened: {error}; close what else uses it") from error
        self._recorder.record_ringbuffer(self._ring)
        self.info = SourceInfo(kind, device["name"], float(self._recorder.samplerate), channels)
        # PortAudio counts from a block's first sample; its last one is younger by the block
        self._age_s = max(float(self._recorder.latency) - BLOCK / self.info.rate_hz, 0.0)
        self.xruns = 0
        self._stats: Any = None
        self._stats_s = time.monotonic()

    @staticmethod
    def _index(sounddevice: Any, name: str | None, api: str | None) -> int:
        if name is None:
            if (index := int(sounddevice.default.device[0])) < 0:
                raise SourceError("no microphone: connect one, or use --input demo; `livelav devices` lists all")
            return index
        apis, names = sounddevice.query_hostapis(), []
        for index, device in enumerate(sounddevice.query_devices()):
            if device["max_input_channels"] > 0 and api in (None, apis[device["hostapi"]]["name"]):
                if device["name"] == name:
                    return index
                names.append(device["name"])
        raise SourceError(f"no input device {name!r}{nearest(name, names)}; `livelav devices` lists all")

    def read(self, timeout_s: float) -> Block | None:
        deadline_s = time.monotonic() + timeout_s
        while not (ready := self._ring.read_available):
            if not self._recorder.active:
                raise SourceError(f"{self.info.name!r} stopped")
            if time.monotonic() >= deadline_s:
                return None
            time.sleep(_POLL_S)
        now_s = time.monotonic()
        self._count_xruns(now_s)
        samples = np.frombuffer(self._ring.read(ready), np.float32).reshape(-1, self.info.channels)
        return Block(samples, now_s - self._age_s, self.info.rate_hz)

    def _count_xruns(self, now_s: float) -> None:
        """Asks the callback for its counters once a second, and takes the answer to the question before."""
        if now_s - self._stats_s < _STATS_S:
            return
        self._stats_s = now_s
        if self._stats is not None and self._stats not in self._recorder.actions:
            self.xruns += int(self._stats.stats.input_overflows)
            self._stats = None
        if self._stats is None:
            self._stats = self._recorder.fetch_and_reset_stats()

    def close(self) -> None:
        self._recorder.abort()
        self._recorder.close()


if __name__ == "__main__":
    # the list for `livelav devices`, made where a hanging driver can be killed
    json.dump(portaudio_inputs(), sys.stdout)
