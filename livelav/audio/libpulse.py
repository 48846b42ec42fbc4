"""A connection to a PulseAudio or PipeWire server on which no call can block for ever.

Every wait has a deadline, also when the server is stopped, so the caller keeps its own heartbeat and a dead server
is an error in one line. Runs in one thread of one process (libpulse's own main loop, turned by hand); nothing here
knows what the sound is for. Source: the client API of libpulse, https://freedesktop.org/software/pulseaudio/doxygen/.
"""

import ctypes
import time
from collections.abc import Callable
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from livelav.core.errors import SourceError
from livelav.core.values import Floats

REMEDY = "start PulseAudio or PipeWire (`systemctl --user start pipewire-pulse`), or choose another --input"

_FLOAT32LE = 5
_READY, _FAILED, _TERMINATED = 4, 5, 6  # states of a context
_STREAM_READY, _STREAM_FAILED, _STREAM_TERMINATED = 2, 3, 4
_NO_AUTOSPAWN = 1
_INTERPOLATE_TIMING, _AUTO_TIMING_UPDATE, _DONT_MOVE, _ADJUST_LATENCY = 0x2, 0x8, 0x200, 0x2000
_NONE = 0xFFFFFFFF
_OPERATION_RUNNING = 0
_ENOUGH = 0.75  # of a block, to be read


class _SampleSpec(Structure):
    _fields_ = (("format", c_int), ("rate", c_uint32), ("channels", c_uint8))


class _ChannelMap(Structure):
    _fields_ = (("channels", c_uint8), ("map", c_int * 32))


class _Volume(Structure):
    _fields_ = (("channels", c_uint8), ("values", c_uint32 * 32))


class _BufferAttr(Structure):
    _fields_ = tuple((name, c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


class _SourceInfo(Structure):
    """The head of pa_source_info; the rest is never read."""

    _fields_ = (
        ("name", c_char_p),
        ("index", c_uint32),
        ("description", c_char_p),
        ("sample_spec", _SampleSpec),
        ("channel_map", _ChannelMap),
        ("owner_module", c_uint32),
        ("volume", _Volume),
        ("mute", c_int),
        ("monitor_of_sink", c_uint32),
    )


class _ServerInfo(Structure):
    """The head of pa_server_info."""

    _fields_ = (
        ("user_name", c_char_p),
        ("host_name", c_char_p),
        ("server_version", c_char_p),
        ("server_name", c_char_p),
        ("sample_spec", _SampleSpec),
        ("default_sink_name", c_char_p),
        ("default_source_name", c_char_p),
    )


_SOURCE_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_SourceInfo), c_int, c_void_p)
_SERVER_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_ServerInfo), c_void_p)

# name without pa_: (result, arguments)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "mainloop_new": (c_void_p, ()),
    "mainloop_free": (None, (c_void_p,)),
    "mainloop_get_api": (c_void_p, (c_void_p,)),
    "mainloop_prepare": (c_int, (c_void_p, c_int)),
    "mainloop_poll": (c_int, (c_void_p,)),
    "mainloop_dispatch": (c_int, (c_void_p,)),
    "context_new": (c_void_p, (c_void_p, c_char_p)),
    "context_connect": (c_int, (c_void_p, c_char_p, c_int, c_void_p)),
    "context_disconnect": (None, (c_void_p,)),
    "context_unref": (None, (c_void_p,)),
    "context_get_state": (c_int, (c_void_p,)),
    "context_errno": (c_int, (c_void_p,)),
    "context_get_source_info_list": (c_void_p, (c_void_p, _SOURCE_CALLBACK, c_void_p)),
    "context_get_server_info": (c_void_p, (c_void_p, _SERVER_CALLBACK, c_void_p)),
    "operation_get_state": (c_int, (c_void_p,)),
    "operation_cancel": (None, (c_void_p,)),
    "operation_unref": (None, (c_void_p,)),
    "strerror": (c_char_p, (c_int,)),
    "stream_new": (c_void_p, (c_void_p, c_char_p, POINTER(_SampleSpec), c_void_p)),
    "stream_connect_record": (c_int, (c_void_p, c_char_p, POINTER(_BufferAttr), c_int)),
    "stream_disconnect": (c_int, (c_void_p,)),
    "stream_unref": (None, (c_void_p,)),
    "stream_get_state": (c_int, (c_void_p,)),
    "stream_get_device_name": (c_char_p, (c_void_p,)),
    "stream_get_latency": (c_int, (c_void_p, POINTER(c_uint64), POINTER(c_int))),
    "stream_readable_size": (c_size_t, (c_void_p,)),
    "stream_peek": (c_int, (c_void_p, POINTER(c_void_p), POINTER(c_size_t))),
    "stream_drop": (c_int, (c_void_p,)),
}


def _load() -> SimpleNamespace:
    """libpulse's functions, typed, without their `pa_`. Raises SourceError where it is not installed."""
    try:
        library = ctypes.CDLL("libpulse.so.0")
    except OSError as error:
        raise SourceError(
            "libpulse.so.0 is not installed: `apt install libpulse0`, or choose another --input"
        ) from error
    functions = {name: getattr(library, "pa_" + name) for name in _FUNCTIONS}
    for name, (result, arguments) in _FUNCTIONS.items():
        functions[name].restype, functions[name].argtypes = result, arguments
    return SimpleNamespace(**functions)


@dataclass(frozen=True, slots=True)
class PulseSource:
    """One source of the server."""

    name: str  # its id: "lav.monitor"
    description: str  # what desktops show: "Monitor of Built-in Audio"
    rate_hz: int
    channels: int
    monitor: bool  # plays back what a sink is given


@dataclass(frozen=True, slots=True)
class PulseDefaults:
    """What the server would take where nobody names a device."""

    sink: str
    source: str


class PulseConnection:
    """One connection. Thread: whichever made it, and no other."""

    def __init__(self, timeout_s: float = 0.5) -> None:
        """Connects. Raises SourceError where no server answers within `timeout_s`."""
        self._pa = _load()
        self._loop = self._pa.mainloop_new()
        self._context = self._pa.context_new(self._pa.mainloop_get_api(self._loop), b"livelav")
        self._callbacks: list[Any] = []  # libpulse holds these; Python must not free them under it
        self._pa.context_connect(self._context, None, _NO_AUTOSPAWN, None)
        try:
            if not self.pump_until(lambda: self._pa.context_get_state(self._context) == _READY, timeout_s):
                raise SourceError(f"the sound server did not answer within {timeout_s:g} s: {REMEDY}")
        except SourceError:
            self.close()
            raise

    def close(self) -> None:
        """Never blocks: what the server still has to say is not waited for."""
        if self._loop is not None:
            self._pa.context_disconnect(self._context)
            self._pa.context_unref(self._context)
            self._pa.mainloop_free(self._loop)
            self._loop = None

    def pump(self, timeout_s: float) -> None:
        """Waits for the server's next word, at most `timeout_s`, and takes it in. Raises SourceError if it is gone."""
        pa, loop = self._pa, self._loop
        self._check()
        if pa.mainloop_prepare(loop, max(int(timeout_s * 1e6), 0)) >= 0 and pa.mainloop_poll(loop) >= 0:
            pa.mainloop_dispatch(loop)
        self._check()

    def _check(self) -> None:
        if self._pa.context_get_state(self._context) in (_FAILED, _TERMINATED):
            raise SourceError(f"no sound server: {self._reason()}; {REMEDY}")

    def pump_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Takes in the server's words until `done`, or for `timeout_s`; says whether it was done."""
        deadline_s = time.monotonic() + timeout_s
        while not done():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            self.pump(left_s)
        return True

    def _reason(self) -> str:
        return str(self._pa.strerror(self._pa.context_errno(self._context)).decode(errors="replace")).lower()

    def _ask(self, start: Callable[[], Any], timeout_s: float) -> None:
        """Starts a query and waits until it was answered. Raises SourceError."""
        operation = start()
        if not operation:
            raise SourceError(f"the sound server took no question: {self._reason()}; {REMEDY}")
        try:
            if not self.pump_until(lambda: self._pa.operation_get_state(operation) != _OPERATION_RUNNING, timeout_s):
                raise SourceError(f"the sound server did not answer within {timeout_s:g} s: {REMEDY}")
        finally:
            self._pa.operation_cancel(operation)
            self._pa.operation_unref(operation)

    def sources(self, timeout_s: float = 0.5) -> list[PulseSource]:
        """All sources, in the server's order. Raises SourceError."""
        found: list[PulseSource] = []

        def on_source(_context: Any, info: Any, end: int, _data: Any) -> None:
            if end == 0:
                entry, spec = info.contents, info.contents.sample_spec
                name, description = entry.name.decode(errors="replace"), entry.description.decode(errors="replace")
                found.append(PulseSource(name, description, spec.rate, spec.channels, entry.monitor_of_sink != _NONE))

        callback = _SOURCE_CALLBACK(on_source)
        self._ask(lambda: self._pa.context_get_source_info_list(self._context, callback, None), timeout_s)
        return found

    def defaults(self, timeout_s: float = 0.5) -> PulseDefaults:
        """The default sink and source. Raises SourceError."""
        found: list[PulseDefaults] = []
        callback = self._on_server(found.append)
        self._ask(lambda: self._pa.context_get_server_info(self._context, callback, None), timeout_s)
        return found[-1]

    def watch_defaults(self, on_defaults: Callable[[PulseDefaults], None]) -> Callable[[], None]:
        """Returns a function that asks for the defaults without waiting; `on_defaults` runs inside a later `pump`."""
        callback = self._on_server(on_defaults)
        self._callbacks.append(callback)

        def ask() -> None:
            operation = self._pa.context_get_server_info(self._context, callback, None)
            if operation:
                self._pa.operation_unref(operation)

        return ask

    @staticmethod
    def _on_server(take: Callable[[PulseDefaults], None]) -> Any:
        def on_server(_context: Any, info: Any, _data: Any) -> None:
            if info:
                sink, source = (info.contents.default_sink_name or b""), (info.contents.default_source_name or b"")
                take(PulseDefaults(sink.decode(errors="replace"), source.decode(errors="replace")))

        return _SERVER_CALLBACK(on_server)

    def record(self, source: str, rate_hz: int, channels: int, block: int, timeout_s: float = 0.5) -> "PulseRecording":
        """Starts to record float32 from the source of that name, `block` samples at a time. Raises SourceError."""
        return PulseRecording(self, self._pa, self._context, source, rate_hz, channels, block, timeout_s)


class PulseRecording:
    """A record stream that ends, rather than moves, when its source goes."""

    def __init__(
        self,
        connection: PulseConnection,
        pa: SimpleNamespace,
        context: Any,
        source: str,
        rate_hz: int,
        channels: int,
        block: int,
        timeout_s: float,
    ) -> None:
        self._connection, self._pa, self._channels, self.source = connection, pa, channels, source
        self._enough = _ENOUGH * block * channels * 4
        self.holes = 0  # places where the server lost sound and said so
        spec = _SampleSpec(_FLOAT32LE, rate_hz, channels)
        self._stream = pa.stream_new(context, b"capture", byref(spec), None)
        if not self._stream:
            raise SourceError(f"the sound server refuses {channels} channels at {rate_hz} Hz; choose another --input")
        attr = _BufferAttr(_NONE, _NONE, _NONE, _NONE, block * channels * 4)
        flags = _INTERPOLATE_TIMING | _AUTO_TIMING_UPDATE | _DONT_MOVE | _ADJUST_LATENCY
        pa.stream_connect_record(self._stream, source.encode(), byref(attr), flags)
        try:
            if not connection.pump_until(self._ready, timeout_s):
                raise SourceError(f"source {source!r} did not start within {timeout_s:g} s; choose another --input")
        except SourceError:
            self.close()
            raise

    def _ready(self) -> bool:
        state = self._pa.stream_get_state(self._stream)
        if state in (_STREAM_FAILED, _STREAM_TERMINATED):
            raise SourceError(
                f"source {self.source!r} is gone or refuses to record; `livelav devices` lists the sources"
            )
        return bool(state == _STREAM_READY)

    def _readable(self) -> bool:
        return self._ready() and self._pa.stream_readable_size(self._stream) >= self._enough

    def close(self) -> None:
        """Never blocks."""
        if self._stream:
            self._pa.stream_disconnect(self._stream)
            self._pa.stream_unref(self._stream)
            self._stream = None

    @property
    def device(self) -> str:
        """The source that it records now."""
        name = self._pa.stream_get_device_name(self._stream)
        return name.decode(errors="replace") if name else ""

    @property
    def latency_s(self) -> float:
        """Age of the next sample to be read, by the server's account; 0 where it knows none."""
        micros, negative = c_uint64(), c_int()
        if self._pa.stream_get_latency(self._stream, byref(micros), byref(negative)) < 0 or negative.value:
            return 0.0
        return micros.value * 1e-6

    def read(self, timeout_s: float) -> Floats | None:
        """All samples [n, channels] that have come, once they are about a block, or after `timeout_s`; None if none
        did. Servers hand out halves of what they are asked for, and to read each costs the picture time.

        Raises SourceError where the source or the server is gone.
        """
        self._connection.pump_until(self._readable, timeout_s)
        pieces = []
        data, size = c_void_p(), c_size_t()
        while self._pa.stream_readable_size(self._stream):
            self._pa.stream_peek(self._stream, byref(data), byref(size))
            if not size.value:
                break
            if data.value:
                pieces.append(np.frombuffer(ctypes.string_at(data.value, size.value), np.float32))
            else:
                self.holes += 1
                pieces.append(np.zeros(size.value // 4, np.float32))
            self._pa.stream_drop(self._stream)
        return np.concatenate(pieces).reshape(-1, self._channels) if pieces else None
