"""Runs a generator with OpenVINO on the CPU, in float16 or bfloat16 where it computes in it, or on an Intel GPU.

In what the network computes best is measured at the first start and kept; the engine itself is kept from the second
one on, when it is built alone. For the CPU, too: on two cores, busy besides, one of 256 px took 0.7 to 0.8 s to build
and 0.25 s to read back, 11 MB on disk; and what a model that comes does not compute, the one that plays may. A GPU's
engine is kept at once, since building it compiles its kernels. No GPU was tried.
Runs in the thread that calls it; the engine's own threads are its affair. Named _backend because `openvino` is the
package itself.
"""

import contextlib
import io
import os
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.errors import BackendError, MissingBackendError
from livelav.core.values import W_DIM, Bytes, Floats
from livelav.generate import engine_cache
from livelav.generate.backend import OWN_NOISE, one_row
from livelav.generate.engine_cache import Key
from livelav.generate.layout import NoiseMode
from livelav.generate.static import FORM, StaticNetwork
from livelav.generate.trials import preferred, seconds

try:
    import openvino as ov

    from livelav.generate.openvino_graph import build_graph
except ImportError as error:
    raise MissingBackendError(
        f"openvino cannot be loaded ({error}): pip install openvino, or --backend torch"
    ) from error

NOISE_SEED = 0
LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # set on oneDNN, which has a CPU do less than OpenVINO says of it


class OpenVINOBackend:
    """One compiled network. Synchronous; used by `streams` threads at a time."""

    def __init__(
        self,
        network: StaticNetwork,
        threads: int,
        noise_mode: NoiseMode = "const",
        precision: str | None = None,
        device: str | None = None,
        streams: int = 1,
    ) -> None:
        """`device` is CPU or GPU; None tries the machine's Intel GPU, if it has one, and the CPU, and takes the GPU
        unless it is much slower. `precision` is f16, bf16 or f32; None takes the best that the device computes in. What
        None and None came to is kept: a start that knows it builds nothing else, and the same network draws the same.
        `streams`: how many images the CPU computes at a time, `threads` together; noise that is drawn knows an order,
        so those are made one by one.
        Raises BackendError."""
        core = ov.Core()
        streams = 1 if noise_mode == "random" else min(streams, threads)
        weighed = _Weighed(core, network, threads, noise_mode, streams)
        chosen = weighed.before() if device is None and precision is None else None
        if chosen is None:
            chosen = weighed.best(device, precision)
        name, self._compiled = chosen
        self._compiled.begin_again()
        self.name = f"openvino {name}"
        self.streams = self._compiled.streams

    def synthesize(self, ws: Floats, noise: Floats = OWN_NOISE) -> Bytes:
        """See backend.Backend."""
        return self._compiled.synthesize(ws, noise)

    def warmup(self) -> None:
        """See backend.Backend."""
        self._compiled.warmup()
        self._compiled.begin_again()


class _Weighed:
    """What one network can be compiled to here, and which of it is the best: measured once, and then known."""

    def __init__(self, core: Any, network: StaticNetwork, threads: int, noise_mode: NoiseMode, streams: int) -> None:
        self._core, self._network, self._noise_mode = core, network, noise_mode
        self._threads, self._streams = threads, streams

    def before(self) -> tuple[str, "_Compiled"] | None:
        """What was the best at an earlier start; None where that is not known, or it cannot be built any more."""
        if not self._network.sha256 or (kept := engine_cache.read(self._key)) is None:
            return None
        device, _, precision = kept.decode().partition(" ")
        built, _failures = self._build([device], precision, keeps=True)
        return next(iter(built.items()), None)

    def best(self, device: str | None, precision: str | None) -> tuple[str, "_Compiled"]:
        """See OpenVINOBackend. Raises BackendError."""
        built, failures = self._build([device] if device else _devices(self._core), precision)
        if not built:
            raise BackendError(
                f"openvino cannot build this generator ({_line(failures[-1])}); try --backend torch"
            ) from failures[-1]
        name = preferred(seconds(built))
        if self._network.sha256 and device is None and precision is None:
            before, _, took = name.partition(" ")
            engine_cache.write(self._key, f"{before.upper()} {took}".encode())
        return name, built[name]

    def _build(
        self, devices: Sequence[str], precision: str | None, keeps: bool = False
    ) -> tuple[dict[str, "_Compiled"], list[RuntimeError]]:
        """What is worth being weighed, by device and precision, best first; and what went wrong. `keeps`: the CPU's
        engines, which are of no use where another one turns out to be better."""
        core, network, noise_mode = self._core, self._network, self._noise_mode
        built: dict[str, _Compiled] = {}
        failures: list[RuntimeError] = []
        for name in devices:
            try:
                precisions = [precision] if precision else _precisions(core, name, network)
            except RuntimeError as error:  # a driver that is broken, or a device that went: another may run
                failures.append(error)
                continue
            for one in precisions:
                options = _options(name, one, self._threads, self._streams)
                key: Key | None = None
                try:
                    graph = build_graph(network, noise_mode, one)
                    if network.sha256 and (keeps or name != "CPU"):
                        compiled, key = compile_cached(core, graph, network, name, options, noise_mode)
                    else:
                        compiled = core.compile_model(graph, name, options)
                    took = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
                    requests = self._streams if name == "CPU" else 1
                    ready = _Compiled(compiled, network, noise_mode, requests, key)
                except RuntimeError as error:  # some CPUs, and limits set on oneDNN, promise more than they keep
                    if key is not None:
                        engine_cache.forget(key)
                    failures.append(error)
                    continue
                if precision and took != precision:  # limits set on oneDNN: it computes in another without a word
                    failures.append(RuntimeError(f"it computes in {took} instead of {precision}"))
                    continue
                built[f"{name.lower()} {took}"] = ready
                if one != "f16" or name != "CPU":  # the CPU's float16 is weighed against the next
                    break
        return built, failures

    @property
    def _key(self) -> Key:
        """Of what was the best."""
        return Key(
            sha256=self._network.sha256,
            resolution=self._network.config.resolution,
            engine=f"openvino {ov.get_version()} form {FORM} best",
            device=f"{_names(self._core)}, {self._threads} threads, {self._streams} streams",
            precision="",
            noise_mode=self._noise_mode,
        )


class _Compiled:
    """One network on one device in one precision."""

    def __init__(
        self, compiled: Any, network: StaticNetwork, noise_mode: NoiseMode, streams: int = 1, key: Key | None = None
    ) -> None:
        """`key`: of the cache folder, where it was read back from there. Raises RuntimeError."""
        self.streams = streams
        self._untried = key  # until it has made an image
        self._free: SimpleQueue[Any] = SimpleQueue()  # requests that nobody waits for
        for _ in range(streams):
            self._free.put(compiled.create_infer_request())
        self._num_ws = network.config.num_ws
        self._noisy = noise_mode != "none"
        self._drawn = network.drawn_shapes if noise_mode == "random" else {}
        self.begin_again()

    def begin_again(self) -> None:
        """Draws noise from its start, whatever trials took."""
        self._random = np.random.default_rng(NOISE_SEED)

    def synthesize(self, ws: Floats, noise: Floats) -> Bytes:
        feed: dict[str, NDArray[np.float32]] = {"ws": ws}
        if self._noisy:
            feed["noise"] = one_row(noise) if self._drawn else noise
        for name, shape in self._drawn.items():
            feed[name] = self._random.standard_normal(shape, np.float32)
        request = self._free.get()
        try:
            request.infer(feed)
            image: Bytes = request.get_output_tensor().data[0].copy()
            self._untried = None
        except RuntimeError as error:
            if self._untried is not None:  # the next start builds it anew rather than fail for ever
                engine_cache.forget(self._untried)
            raise BackendError(f"openvino failed ({_line(error)}); try --backend torch") from error
        finally:
            self._free.put(request)
        return image

    def warmup(self) -> None:
        self.synthesize(np.zeros((self._num_ws, W_DIM), np.float32), OWN_NOISE)


def _devices(core: Any) -> list[str]:
    """What to try, best first: a GPU leaves the processor to sound and window."""
    return ["GPU", "CPU"] if any(name.split(".")[0] == "GPU" for name in core.available_devices) else ["CPU"]


def _names(core: Any) -> str:
    """Of the devices, and what they compute in."""
    names = []
    for device in _devices(core):
        try:
            names.append(_described(core, device))
        except RuntimeError:  # a driver that is broken
            names.append(f"{device} unknown")
    return ", ".join(names)


def _described(core: Any, device: str) -> str:
    """A device as its driver has it, with all that decides what it computes in. Raises RuntimeError."""
    able = sorted(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
    limits = [os.environ.get(name) for name in LIMITS]
    return f"{device} {core.get_property(device, 'FULL_DEVICE_NAME')} {able} {limits}"


def _precisions(core: Any, device: str, network: StaticNetwork) -> list[str]:
    """What to try, best first. float16 is eight times as exact as bfloat16 and, with a matrix unit for it, at most a
    fifth slower: slow motion stays calm where bfloat16 shimmers. But its range asks for a network whose activations
    are clamped."""
    able = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    half = ["f16"] if "FP16" in able and network.config.fits_half else []
    return [*half, *(["bf16"] if "BF16" in able and device == "CPU" else []), "f32"]


def _options(device: str, precision: str, threads: int, streams: int) -> dict[str, Any]:
    if device == "CPU":
        return cpu_options(precision, threads, streams)
    return {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}


def cpu_options(precision: str, threads: int, streams: int = 1) -> dict[str, Any]:
    """How a network is compiled for the processor."""
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        **({"NUM_STREAMS": streams} if streams > 1 else {}),
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the window and the encoder need the same cores
    }


def compile_cached(
    core: Any, graph: Any, network: StaticNetwork, device: str, options: dict[str, Any], noise_mode: NoiseMode
) -> tuple[Any, Key | None]:
    """(the engine, its key where it was read back from the cache folder); else it was built and put there. Raises
    RuntimeError."""
    key = Key(
        sha256=network.sha256,
        resolution=network.config.resolution,
        engine=f"openvino {ov.get_version()} form {FORM}",
        device=f"{_described(core, device)} {sorted(options.items())}",
        precision=options["INFERENCE_PRECISION_HINT"],
        noise_mode=noise_mode,
    )
    if (kept := engine_cache.read(key)) is not None:
        try:
            return core.import_model(io.BytesIO(kept), device, options), key
        except RuntimeError:  # of another driver, say, though it calls itself the same
            engine_cache.forget(key)
    compiled = core.compile_model(graph, device, options)
    with contextlib.suppress(RuntimeError):  # a device that cannot give its engines away builds them each time
        engine = io.BytesIO()
        compiled.export_model(engine)
        engine_cache.write(key, engine.getvalue())
    return compiled, None


def _line(error: Exception) -> str:
    """The last line of an engine's report, which is the one that says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
