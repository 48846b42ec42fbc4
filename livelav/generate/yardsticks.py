"""What engines are measured by: random networks of any size, the plain torch module, the largest convolution,
and what memory is taken.

For `livelav bench --engines` alone; never on the live path. Engines are imported only where asked for.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np
import psutil
from numpy.typing import NDArray

from livelav.core.values import Bytes, Floats
from livelav.generate.backend import OWN_NOISE
from livelav.generate.layout import Config, Layer

CHANNELS, SIZE = 512, 64  # of the large convolution: 3x3
PEAK_FLOP = 2 * CHANNELS**2 * 9 * SIZE**2
RUNS = 8
BATCH, QUEUED = 16, 20  # on a card: enough to fill a large one, and to make setting off count for nothing


def random_tensors(config: Config) -> dict[str, NDArray[np.float32]]:
    """Tensors as a network has them at birth, with some noise."""
    rng = np.random.default_rng(0)
    tensors = {name: rng.standard_normal(shape, np.float32) for name, shape in config.tensor_shapes.items()}
    for name, tensor in tensors.items():
        if name.endswith(".affine.bias"):
            tensor[...] = 1.0
        elif name.endswith((".bias", "w_avg")):
            tensor[...] = 0.0
        elif name.endswith("noise_strength"):
            tensors[name] = np.array(0.1, np.float32)
    return tensors


def flop(config: Config) -> int:
    """Of the convolutions of one image, upsampling filters among them; a multiply-add counts two."""
    return 2 * sum(map(_multiply_adds, config.layers))


def _multiply_adds(layer: Layer) -> int:
    own = layer.inputs * layer.outputs * layer.kernel**2 * layer.input_resolution**2
    return own + (16 * layer.outputs * layer.resolution**2 if layer.kind == "up" else 0)


class PlainModule:
    """The trainable network as it is, in float32 on the processor: what every engine is compared with."""

    name = "torch module fp32"
    streams = 1

    def __init__(self, config: Config, tensors: dict[str, NDArray[np.float32]], threads: int) -> None:
        import torch

        from livelav.generate.stylegan2 import StyleGAN2

        torch.set_num_threads(threads)
        self._torch, self._network = torch, StyleGAN2.from_tensors(config, tensors).synthesis
        self._num_ws = config.num_ws

    def synthesize(self, ws: Floats, noise: Floats = OWN_NOISE) -> Bytes:
        """See backend.Backend; `noise` is not looked at."""
        with self._torch.inference_mode():
            image = self._network(self._torch.from_numpy(ws[None]))[0]
            levels = (image * 127.5 + 128.0).clamp(0.0, 255.0).to(self._torch.uint8)
            pixels: Bytes = levels.permute(1, 2, 0).contiguous().numpy()
        return pixels

    def warmup(self) -> None:
        """See backend.Backend."""
        self.synthesize(np.zeros((self._num_ws, 512), np.float32))


def held_mb() -> dict[str, float]:
    """What is taken of each device's memory now, in MiB: `cpu` by this process, `cuda` of the card that torch takes, by
    anyone, where there is one."""
    held = {"cpu": psutil.Process().memory_info().rss / 2**20}
    with suppress(ImportError, RuntimeError):  # no torch; or a card whose driver gives no answer
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
            torch.cuda.empty_cache()  # what was freed could be taken again unseen
            free, whole = torch.cuda.mem_get_info()
            held["cuda"] = (whole - free) / 2**20
    return held


def device_of(backend_name: str) -> str:
    """Which device's memory an engine of that name fills: cpu, cuda, or another's, such as gpu."""
    return next((word for word in backend_name.split() if word in ("cuda", "gpu")), "cpu")


def grown_mb(before: Mapping[str, float], after: Mapping[str, float], device: str) -> int | None:
    """By how much that device's memory filled; None where nothing is known of it."""
    return round(after[device] - before[device]) if device in before and device in after else None


def peak_gflops(engine: str, precision: str, threads: int) -> float:
    """What the engine reaches in its best run of one large convolution, GFLOP/s; of those on a card, what torch reaches
    there in float16."""
    if engine in ("torch cuda", "tensorrt"):
        return _card_gflops()
    if engine == "openvino":
        work = _openvino_conv(precision, threads)
    else:
        import torch

        torch.set_num_threads(threads)
        work = torch_conv(precision)
    best_s = float("inf")
    for _ in range(RUNS):
        began_s = time.perf_counter()
        work()
        best_s = min(best_s, time.perf_counter() - began_s)
    return PEAK_FLOP / best_s / 1e9


def _card_gflops() -> float:
    """By the card's own clock, between two events around convolutions that wait in its queue."""
    import torch

    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        work = torch_conv("fp16", "cuda", BATCH)
        work()  # the first picks an algorithm
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        best_ms = float("inf")
        for _ in range(RUNS):
            begin.record()
            for _ in range(QUEUED):
                work()
            end.record()
            end.synchronize()
            best_ms = min(best_ms, begin.elapsed_time(end))
    return BATCH * QUEUED * PEAK_FLOP / best_ms / 1e6


def _openvino_conv(precision: str, threads: int) -> Callable[[], object]:
    import openvino as ov
    from openvino import opset13 as op

    from livelav.generate.openvino_backend import cpu_options

    x = op.parameter([1, CHANNELS, SIZE, SIZE], np.float32, name="x")
    kernel = op.constant(np.full((CHANNELS, CHANNELS, 3, 3), 1e-3, np.float32))
    y = op.convolution(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    model = ov.Model([op.result(op.reduce_max(y, op.constant(np.array([1, 2, 3])), False))], [x], "conv")
    request = ov.Core().compile_model(model, "CPU", cpu_options(precision, threads)).create_infer_request()
    feed = {"x": np.ones((1, CHANNELS, SIZE, SIZE), np.float32)}
    return lambda: request.infer(feed)


def torch_conv(precision: str, device: str = "cpu", batch: int = 1) -> Callable[[], object]:
    """The large convolution, of `batch` pictures: PEAK_FLOP each."""
    import torch

    from livelav.generate.torch_backend import PRECISIONS

    dtype = PRECISIONS[precision]
    x = torch.ones(batch, CHANNELS, SIZE, SIZE, dtype=dtype, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.full((CHANNELS, CHANNELS, 3, 3), 1e-3, dtype=dtype, device=device)
    weight = weight.contiguous(memory_format=torch.channels_last)

    def work() -> object:
        with torch.inference_mode():
            return torch.nn.functional.conv2d(x, weight, padding=1)

    return work
