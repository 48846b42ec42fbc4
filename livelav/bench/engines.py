"""The engines' table: model by engine by precision, each beside the plain torch module, timed in turns.

Turns let another program's load fall on all of them, so ratios within one run are what to trust. A p99 stands where
enough images were made for one, else a longer run gives it. Memory is what the device that computes holds more once an
engine has made an image: the process's own on the processor, all that is taken of the card on CUDA, by the card's own
account; of other cards nothing is known.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from livelav.core.errors import BackendError
from livelav.core.processor import physical_cores
from livelav.generate.backend import Backend
from livelav.generate.devices import has_cuda
from livelav.generate.files import read_checkpoint
from livelav.generate.layout import Config
from livelav.generate.library import build, find_model
from livelav.generate.static import static_network
from livelav.generate.yardsticks import PlainModule, device_of, flop, grown_mb, held_mb, peak_gflops, random_tensors

BUILDS = (
    ("openvino", "f16"), ("openvino", "bf16"), ("openvino", "f32"), ("torch cpu", "bf16"), ("torch cpu", "fp32"),
)  # fmt: skip
ON_CUDA = (("torch cuda", "fp16"), ("tensorrt", "fp16"))
MODELS = {
    "256 px, 4096/128": Config(256, 4096, 128, conv_clamp=256.0),
    "512 px, 8192/64": Config(512, 8192, 64, conv_clamp=256.0),
}
LARGE = {"1024 px, 32768/512": Config(1024, 32768, 512, conv_clamp=256.0)}
TURN = 3  # images of one engine, before the next one's
LEAST_RUNS, MOST_RUNS = 6, 300
RUNS_FOR_P99 = 100  # of fewer it would be the slowest

Row = dict[str, Any]
Build = tuple[str, str]  # engine and precision
Peaks = dict[Build, float]


def engines(large: bool, seconds: float, threads: int = 0) -> list[Row]:
    """One row for each model, engine and precision that builds here; `seconds` of turns for each model. `threads` of
    the processor; 0: its cores."""
    threads = threads or physical_cores()
    builds: tuple[Build, ...] = (*(ON_CUDA if has_cuda() else ()), *BUILDS)
    peaks: Peaks = {}
    _look_for_peaks(peaks, builds, threads)
    checkpoint = read_checkpoint(find_model("default"))
    rows = _model("default, 256 px", checkpoint.config, checkpoint.tensors, builds, threads, seconds)
    for name, config in (MODELS | (LARGE if large else {})).items():
        rows += _model(name, config, random_tensors(config), builds, threads, seconds)
    _look_for_peaks(peaks, builds, threads)
    for row in rows:
        if peak := peaks.get(row.pop("peak_of")):
            row |= {"peak_gflops": round(peak), "of_peak": round(row["gflops"] / peak, 3)}
    return rows


def _look_for_peaks(peaks: Peaks, builds: tuple[Build, ...], threads: int) -> None:
    """Before a run and after it: one look may fall into a moment in which others have the machine."""
    for one in builds:
        with suppress(Exception):  # not installed, or not able here: then there are no rows of it
            peaks[one] = max(peaks.get(one, 0.0), peak_gflops(*one, threads))


def _model(model: str, config: Config, tensors: Any, builds: Any, threads: int, seconds: float) -> list[Row]:
    network = static_network(config, tensors)
    rows: list[Row] = []
    built: list[Backend] = []
    for engine, precision in (("module", "fp32"), *builds):
        before_mb, began_s = held_mb(), time.perf_counter()
        with suppress(BackendError):
            if engine == "module":
                made: Backend = PlainModule(config, tensors, threads)
            else:
                made = build(network, engine, threads, precision=precision)
            made.warmup()
            took_s = time.perf_counter() - began_s
            built.append(made)
            rows.append(
                {"model": model, "engine": made.name, "build_s": round(took_s, 2)}
                | {"memory_mb": grown_mb(before_mb, held_mb(), device_of(made.name))}
                | {"peak_of": ("torch cpu", "fp32") if engine == "module" else (engine, precision)}
            )
    ws = np.random.default_rng(1).standard_normal((config.num_ws, 512), np.float32)
    took: list[list[float]] = [[] for _ in built]
    ends_s = time.perf_counter() + seconds
    while len(took[0]) < LEAST_RUNS or (time.perf_counter() < ends_s and len(took[0]) < MOST_RUNS):
        for backend, taken in zip(built, took, strict=True):
            backend.synthesize(ws)  # after another's turn weights are far, and its threads may spin for a while yet
            for _ in range(TURN):
                began_s = time.perf_counter()
                backend.synthesize(ws)
                taken.append(time.perf_counter() - began_s)
    work = flop(config) / 1e9
    plain_s = float(np.median(took[0]))
    for row, taken in zip(rows, took, strict=True):
        p50_s, p99_s = np.percentile(taken, [50, 99])
        row |= {
            "p50_ms": round(p50_s * 1000, 2),
            "p99_ms": round(p99_s * 1000, 2) if len(taken) >= RUNS_FOR_P99 else None,
            "images_s": round(1 / p50_s, 1),
            "gflops": round(work / p50_s, 1),
            "times_plain": round(plain_s / p50_s, 2),
            "runs": len(taken),
        }
    return rows


def markdown(rows: list[Row]) -> Iterator[str]:
    """The table, as the README has it."""
    yield "| model | engine | p50 ms | p99 ms | images/s | GFLOP/s | of peak | times plain | memory MiB | build s |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for r in rows:
        memory, p99_ms = ("-" if r[name] is None else r[name] for name in ("memory_mb", "p99_ms"))
        share = f"{100 * r['of_peak']:.0f} %" if "of_peak" in r else ""
        yield (
            f"| {r['model']} | {r['engine']} | {r['p50_ms']} | {p99_ms} | {r['images_s']} | {r['gflops']:.0f} "
            f"| {share} | {r['times_plain']} | {memory} | {r['build_s']} |"
        )
