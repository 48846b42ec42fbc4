"""Runs a generator on an NVIDIA card with TensorRT, or with TensorRT for RTX, in float16.

Building tries many ways to compute each layer on this very card and takes minutes (TensorRT for RTX: seconds, and more
at the first image). So the engine is kept on disk, and what was measured on the way besides, for the next model.
Buffers, streams and the recording of the whole as a CUDA graph are torch's. Written from the documented interface; the
parsing and building were run with TensorRT for RTX, which needs no card for them, and nothing was run on a card.

Runs in the thread that calls it; while building, TensorRT's own threads report progress, one at a time.
Sources: docs.nvidia.com/deeplearning/tensorrt and /tensorrt-rtx, the Python interface.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from livelav.core.errors import BackendError, MissingBackendError, UnbuiltBackendError
from livelav.core.processor import BESIDES, stand_behind
from livelav.core.values import W_DIM, Bytes, Floats
from livelav.generate import engine_cache
from livelav.generate.backend import OWN_NOISE
from livelav.generate.engine_cache import Key
from livelav.generate.layout import NoiseMode
from livelav.generate.onnx_graph import RGBA, onnx_model
from livelav.generate.static import FORM, StaticNetwork

INSTALL = "pip install 'livelav[nvidia]' (or [nvidia-rtx] for RTX cards), or --backend torch"

try:
    import tensorrt as trt
except ImportError:
    try:
        import tensorrt_rtx as trt
    except ImportError as error:
        raise MissingBackendError(f"tensorrt cannot be loaded ({error}): {INSTALL}") from error
try:
    import torch
    from torch import Tensor

    from livelav.generate.cuda import Recording
except ImportError as error:
    raise MissingBackendError(f"torch cannot be loaded ({error}): pip install torch, or --backend openvino") from error

PRECISION = "fp16"
IS_RTX = trt.__name__.startswith("tensorrt_rtx")
ENGINE = f"{trt.__name__} {trt.__version__} form {FORM}"
STEP_PERCENT = 5  # between two reports of progress in other words

OnProgress = Callable[[str], None]


class TensorRTBackend:
    """One engine on the card that torch takes. Synchronous; used by one thread at a time."""

    streams = 1

    def __init__(
        self,
        network: StaticNetwork,
        noise_mode: NoiseMode = "const",
        on_progress: OnProgress = lambda _text: None,
        builds: bool = True,
    ) -> None:
        """Reads the engine from the cache folder, or builds it, which takes minutes; meanwhile `on_progress` is told
        in words how far that is, one call at a time, from any thread. Raises BackendError: where it is not there and
        `builds` says no, UnbuiltBackendError."""
        if not network.config.fits_half:
            raise BackendError(
                "this model bounds its activations too widely or not at all, and float16 ends at 65504: "
                "tensorrt is not for it; --backend torch"
            )
        self._num_ws = network.config.num_ws
        self._log = Log()
        self._untried: list[Key] = []  # of what was read from the cache folder, until an image was made with it
        try:
            self._device = torch.device("cuda", torch.cuda.current_device())
            engine = self._engine(network, noise_mode, on_progress, builds)
            self._play(engine, network, noise_mode)
        except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
            self._forget_untried(error)
            raise BackendError(f"tensorrt cannot run this generator ({_line(error)}); try --backend torch") from error
        self.name = f"{trt.__name__.replace('_', '-')} cuda {PRECISION}"

    @torch.inference_mode()
    def synthesize(self, ws: Floats, noise: Floats = OWN_NOISE) -> Bytes:
        """See backend.Backend."""
        try:
            image = self._recording(ws, noise)
        except RuntimeError as error:
            self._forget_untried(error)
            raise BackendError(f"tensorrt failed ({_line(error)}); try --backend torch") from error
        self._untried = []
        return image

    def warmup(self) -> None:
        """See backend.Backend."""
        self.synthesize(torch.zeros(self._num_ws, W_DIM).numpy())

    def _forget_untried(self, error: Exception) -> None:
        """The next start builds them anew rather than fail for ever."""
        if not isinstance(error, torch.OutOfMemoryError):  # which tells of the card's other users
            for key in self._untried:
                engine_cache.forget(key)

    def _engine(self, network: StaticNetwork, noise_mode: NoiseMode, on_progress: OnProgress, builds: bool) -> Any:
        """The engine, ready to be given a context. Raises RuntimeError."""
        key = engine_key(network, noise_mode)
        self._runtime = trt.Runtime(self._log)
        if (kept := engine_cache.read(key)) is not None:
            if (engine := self._runtime.deserialize_cuda_engine(kept)) is not None:
                self._untried.append(key)
                return engine
            engine_cache.forget(key)
        if not builds:
            raise UnbuiltBackendError("TensorRT has to build its engine for this card first")
        onnx = onnx_model(network, noise_mode, PRECISION).SerializeToString()
        # in a thread that stands behind, with those that it makes: of a show, another process plays meanwhile
        with ThreadPoolExecutor(1, initializer=stand_behind, initargs=(BESIDES,)) as aside:
            built = aside.submit(build_engine, onnx, self._log, on_progress, timing_key()).result()
        if network.sha256:
            engine_cache.write(key, built)
        if (engine := self._runtime.deserialize_cuda_engine(built)) is None:
            raise RuntimeError(self._log.last)
        return engine

    @torch.inference_mode()
    def _play(self, engine: Any, network: StaticNetwork, noise_mode: NoiseMode) -> None:
        """Makes the context and records its work. Raises RuntimeError."""
        runtime_cache = options = None
        if IS_RTX:  # which compiles its kernels at the first image, and can keep them
            options = engine.create_runtime_config()
            runtime_cache = options.create_runtime_cache()
            kernels = _kernels_key(network, noise_mode)
            if (kept := engine_cache.read(kernels)) is not None:
                try:
                    runtime_cache.deserialize(kept)
                    self._untried.append(kernels)
                except RuntimeError:  # of another driver, say: they are compiled anew
                    engine_cache.forget(kernels)
                    runtime_cache = options.create_runtime_cache()
            options.set_runtime_cache(runtime_cache)
            context = engine.create_execution_context(options)
        else:
            context = engine.create_execution_context()
        if context is None:
            raise RuntimeError(self._log.last)
        self._kept_alive = engine, context, options, runtime_cache  # the recording holds addresses of theirs
        size = network.config.resolution
        image = torch.zeros(size, size, RGBA, dtype=torch.uint8, device=self._device)
        log = self._log

        def work(ws: Tensor, noise: Tensor, maps: Mapping[str, Tensor]) -> Tensor:
            places = {"ws": ws, "image": image, **maps} | ({} if noise_mode == "none" else {"noise": noise})
            for name, tensor in places.items():
                if not context.set_tensor_address(name, tensor.data_ptr()):
                    raise RuntimeError(log.last)
            if not context.execute_async_v3(torch.cuda.current_stream(self._device).cuda_stream):
                raise RuntimeError(log.last)
            return image

        drawn = network.drawn_shapes if noise_mode == "random" else {}
        recordable = getattr(context, "is_stream_capturable", lambda _stream: True)
        self._recording = Recording(work, self._num_ws, drawn, self._device, recordable)
        if runtime_cache is not None and network.sha256:
            engine_cache.write(_kernels_key(network, noise_mode), bytes(runtime_cache.serialize()))


def engine_key(network: StaticNetwork, noise_mode: NoiseMode, device: str = "") -> Key:
    """Under which this card's engine is kept. Raises RuntimeError where there is no card."""
    return Key(network.sha256, network.config.resolution, ENGINE, device or _card(), PRECISION, noise_mode)


def timing_key(device: str = "") -> Key:
    """Under which is kept what was measured while building: of any model, on this card. Raises RuntimeError."""
    return Key("", 0, f"{ENGINE} timings", device or _card(), PRECISION, "")


def _kernels_key(network: StaticNetwork, noise_mode: NoiseMode) -> Key:
    return Key(network.sha256, network.config.resolution, f"{ENGINE} kernels", _card(), PRECISION, noise_mode)


def _card() -> str:
    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()} sm{major}{minor} cuda {torch.version.cuda}"


class Log(trt.ILogger):  # type: ignore[misc]
    """Keeps the last error and says nothing."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.last = "it gives no reason"

    def log(self, severity: Any, msg: str) -> None:
        """Called by TensorRT, from any thread."""
        if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
            self.last = _line(RuntimeError(msg))


class Progress(trt.IProgressMonitor):  # type: ignore[misc]
    """Tells in words how far the building is; the outermost phase counts. Thread-safe, as TensorRT asks."""

    def __init__(self, on_progress: OnProgress) -> None:
        trt.IProgressMonitor.__init__(self)
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._phases: dict[str, int] = {}  # steps of those that are within no other
        self._percent = 0

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Called by TensorRT."""
        with self._lock:
            if not parent_phase:
                self._phases[phase_name] = max(num_steps, 1)
                self._percent = 0
            self._tell()

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Called by TensorRT; True lets it go on."""
        with self._lock:
            if phase_name in self._phases:
                self._percent = min(100 * (step + 1) // self._phases[phase_name], 100)
            self._tell()
        return True

    def phase_finish(self, phase_name: str) -> None:
        """Called by TensorRT."""
        with self._lock:
            self._phases.pop(phase_name, None)

    def _tell(self) -> None:
        whole = self._percent // STEP_PERCENT * STEP_PERCENT
        self._on_progress(f"building the TensorRT engine for this card, once: {whole} %")


def build_engine(onnx: bytes, log: Log, on_progress: OnProgress, timings: Key | None = None) -> bytes:
    """An engine for the model as it is typed. Raises RuntimeError."""
    builder = trt.Builder(log)
    definition = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(definition, log)
    if not parser.parse(onnx):
        raise RuntimeError(parser.get_error(0).desc() if parser.num_errors else log.last)
    config = builder.create_builder_config()
    monitor = Progress(on_progress)  # must outlive the build
    config.progress_monitor = monitor
    timing_cache = None
    if timings is not None and not IS_RTX:  # which measures nothing while it builds
        timing_cache = config.create_timing_cache(engine_cache.read(timings) or b"")
        config.set_timing_cache(timing_cache, ignore_mismatch=False)
    built = builder.build_serialized_network(definition, config)
    if built is None:
        raise RuntimeError(log.last)
    if timing_cache is not None and timings is not None:
        with contextlib.suppress(RuntimeError):
            engine_cache.write(timings, bytes(timing_cache.serialize()))
    return bytes(built)


def _line(error: Exception) -> str:
    """The first line of what it says."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
