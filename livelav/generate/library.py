"""Generators by name: those shipped with livelav and those in the user's models folder; and how one is loaded.

Knows files and backends, nothing of sound or windows. Engines are imported only when one is built.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from livelav.core.errors import (
    BackendError,
    MissingBackendError,
    ModelError,
    StorageError,
    UnbuiltBackendError,
    nearest,
)
from livelav.core.processor import physical_cores
from livelav.core.store import PACKAGE, listing, models_dir
from livelav.core.values import Bytes, Floats, WStats, noise_factors
from livelav.generate.backend import Backend
from livelav.generate.devices import has_cuda
from livelav.generate.files import SUFFIX, is_generator, read_card, read_checkpoint
from livelav.generate.layout import NoiseMode
from livelav.generate.static import StaticNetwork, static_network

# What auto tries, best first. With a card: tensorrt only where its engine lies ready, since building takes minutes; a
# show builds it while it plays on the next.
PREFERENCE = ("openvino", "torch cpu")
PREFERENCE_WITH_CUDA = ("tensorrt", "torch cuda", *PREFERENCE)
OPENVINO_ON = ("openvino gpu", "openvino cpu")
NAMES = ("openvino", "torch", "tensorrt")  # what can be asked for; torch takes the card where there is one

OnProgress = Callable[[str], None]
Building = Literal["first", "never", "alone"]

_SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Generator:
    """One loaded model on one engine. `synthesize` is for `streams` threads at a time."""

    name: str
    sha256: str
    stats: WStats
    resolution: int  # px; images are square
    backend: Backend
    reasons: tuple[str, ...]  # why other engines do not run it, one line each
    path: Path
    engine: str  # engine and device that run it: "openvino gpu"
    threads: int
    noise_mode: NoiseMode
    first_s: float  # what its first image took
    failed: tuple[str, ...] = ()  # engines on devices that did not run it, or no longer do
    unbuilt: str = ""  # the engine that comes before, but has to be built first

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was stepped around, one line each."""
        return tuple(f"{reason}; going on with {self.backend_name}" for reason in self.reasons)

    @property
    def num_ws(self) -> int:
        return self.stats.num_ws

    @property
    def streams(self) -> int:
        return self.backend.streams

    @property
    def backend_name(self) -> str:
        return self.backend.name

    def synthesize(self, ws: Floats, noise: Floats | float = 1.0) -> Bytes:
        """ws [num_ws, 512] float32 to a new image [height, width, 4], RGBA, alpha 255.

        `noise` multiplies the noise maps: a number, 1 being the model's own strength, or [2, 3] as
        values.noise_factors says. Raises BackendError; `step_down` then gives the same model on another engine.
        """
        assert ws.shape == (self.num_ws, len(self.stats.mean)), f"ws of shape {ws.shape} for {self.num_ws} layers"
        factors = noise if isinstance(noise, np.ndarray) else noise_factors(noise)
        return self.backend.synthesize(np.ascontiguousarray(ws, np.float32), factors)


def load_generator(
    name_or_path: str | os.PathLike[str] = "default",
    backend: str = "auto",
    threads: int | None = None,
    noise_mode: NoiseMode = "const",
    on_progress: OnProgress = lambda _text: None,
    streams: int = 1,
    building: Building = "first",
) -> Generator:
    """Reads a model and builds it on an engine, which has made an image then: the next takes no longer than any later.

    `backend` is openvino, torch, tensorrt, or auto: what this machine prefers. An engine that fails to build or to make
    its first image is followed by the next one, and `warnings` say so; not where one is asked for by name and is not
    installed, for that is told before anything is shown.
    `threads` is the number of CPU threads for one image; None takes the physical cores. `noise_mode` is const (the
    model's own maps), random (drawn anew for every image) or none. `on_progress` is told in words how far an engine is
    that takes minutes to build: one call at a time, from any thread. `streams`: how many images are to be made at a
    time, where the engine can: more of them in all, each of them later. `building`: what comes of an engine that takes
    minutes to build: one asked for by name is built `first`, as auto never does; it is `never` built, so that the next
    one runs the model and `unbuilt` names that one; or it is built `alone`, and where it fails no other is tried.
    Raises ModelError for a model that is missing or unreadable, BackendError where no engine runs it, of which
    MissingBackendError where that one is not installed.
    """
    path, threads = find_model(name_or_path), threads or physical_cores()
    return _load(path, backend, threads, noise_mode, on_progress, streams, building)


def step_down(generator: Generator, error: BackendError) -> Generator:
    """The same model on the next engine and device, because those of `generator` failed to run with `error`; `failed`
    remembers them. An engine that failed on a card may still run on the processor.

    Raises BackendError where nothing is left that has not failed."""
    failed = (*generator.failed, generator.engine)
    if not _left(failed):
        raise BackendError(f"no engine is left for this generator: {error}")
    return _load(generator.path, "auto", generator.threads, generator.noise_mode, failed=failed, reasons=(str(error),))


def _left(failed: tuple[str, ...]) -> list[str]:
    """What may still run after those have failed, best first."""
    openvino = "openvino"
    if any(one in failed for one in OPENVINO_ON):  # it takes the processor only where no card is there, or a slow one
        openvino = "openvino cpu"
    names = (openvino if name == "openvino" else name for name in preference())
    return [name for name in names if name not in failed]


def _load(
    path: Path,
    backend: str,
    threads: int,
    noise_mode: NoiseMode,
    on_progress: OnProgress = lambda _text: None,
    streams: int = 1,
    building: Building = "never",
    failed: tuple[str, ...] = (),
    reasons: tuple[str, ...] = (),
) -> Generator:
    """The first that runs of the one asked for and those that are left after `failed`, for `reasons`. Raises
    BackendError."""
    checkpoint = read_checkpoint(path)
    network = static_network(checkpoint.config, checkpoint.tensors, checkpoint.sha256)
    asked, unbuilt = () if backend == "auto" else (_checked(backend),), ""
    beyond = () if network.config.fits_half else ("tensorrt",)  # known without trying it
    while names := (*asked, *_left((*failed, *beyond))):
        engine, is_asked, asked = names[0], bool(asked), ()
        try:
            builds = is_asked and building != "never"
            built = build(network, engine, threads, noise_mode, None, on_progress, streams, builds)
            engine = _place(engine, built)
            begin_s = time.perf_counter()
            built.warmup()
            first_s = time.perf_counter() - begin_s
            break
        except UnbuiltBackendError:
            failed = (*failed, engine)
            if is_asked or backend == "auto":  # else nobody wants it
                unbuilt = engine
        except BackendError as error:
            is_missing = isinstance(error, MissingBackendError)
            if is_asked and (is_missing or building == "alone"):
                raise
            failed = (*failed, _torch_on() if engine == "torch" else engine)
            if engine != "tensorrt" or not is_missing:  # which livelav does without unless somebody installs it
                reasons = (*reasons, str(error))
    else:
        raise BackendError(f"no engine runs this generator: {' | '.join(reasons)}")
    return Generator(
        name=path.stem,
        sha256=checkpoint.sha256,
        stats=checkpoint.stats,
        resolution=checkpoint.config.resolution,
        backend=built,
        reasons=reasons,
        path=path,
        engine=engine,
        threads=threads,
        noise_mode=noise_mode,
        first_s=first_s,
        failed=failed,
        unbuilt=unbuilt,
    )


def list_models() -> tuple[str, ...]:
    """Names of all models that can be loaded by name; `default` first."""
    return tuple(sorted(_models(), key=lambda name: (name != "default", name)))


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """The file meant: a plain name is looked up among the models, anything else is a path. Raises ModelError."""
    text = os.fspath(name_or_path)
    if not is_name(text):
        return Path(text)
    models = _models()
    if text not in models:
        raise ModelError(f"no model {text!r}{nearest(text, models)}; `livelav models list` names what there is")
    return models[text]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What `livelav models info` shows."""

    name: str
    path: str
    shipped: bool
    architecture: str
    resolution: int
    channel_base: int
    channel_max: int
    num_ws: int
    parameters: int
    sha256: str
    labels: int  # classes of pictures that it tells apart; 0: none
    layout: str  # of the file that it was imported from; empty where it was not
    imported_from: str  # that file's name
    licence: str  # "unknown" without a card
    trained: bool | None  # None where no card says so
    w_std_mean: float  # how wide W is: its standard deviation, averaged over the dimensions
    w_std_min: float
    w_std_max: float
    card: dict[str, Any]  # all that the card says


def model_info(name_or_path: str | os.PathLike[str]) -> ModelInfo:
    """What is known of one model; its whole file is read and checked. Raises ModelError."""
    path = find_model(name_or_path)
    checkpoint, card = read_checkpoint(path), read_card(path)
    config, std = checkpoint.config, checkpoint.stats.std
    source = card.get("source")
    return ModelInfo(
        name=path.stem,
        path=str(path),
        shipped=path.parent == _shipped_dir(),
        architecture=config.architecture,
        resolution=config.resolution,
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        num_ws=config.num_ws,
        parameters=sum(tensor.size for tensor in checkpoint.tensors.values()),
        sha256=checkpoint.sha256,
        labels=config.labels,
        layout=str(card.get("layout", "")),
        imported_from=str(source["name"]) if isinstance(source, dict) and "name" in source else "",
        licence=str(card.get("licence", "unknown")),
        trained=not card["untrained"] if isinstance(card.get("untrained"), bool) else None,
        w_std_mean=float(std.mean()),
        w_std_min=float(std.min()),
        w_std_max=float(std.max()),
        card=card,
    )


def model_stats(name: str) -> tuple[str, WStats]:
    """(the file's sha256, its W) of one model, without an engine. Raises ModelError."""
    checkpoint = read_checkpoint(find_model(name))
    return checkpoint.sha256, checkpoint.stats


def remove_model(name: str) -> None:
    """Deletes one of the user's models, its card and its pictures. Raises ModelError for a shipped or unknown one,
    StorageError where the folder may not be written."""
    path = models_dir() / f"{name}{SUFFIX}"
    if not is_name(name) or not is_generator(path):
        own = sorted(name for name, path in _models().items() if path.parent != _shipped_dir())
        raise ModelError(
            f"no model {name!r} of your own to remove{nearest(name, own)}; you have: {', '.join(own) or 'none'}"
        )
    try:
        path.unlink()
        for suffix in (".json", ".png"):
            path.with_suffix(suffix).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error.strerror}; change the folder's permissions") from error


def preference() -> tuple[str, ...]:
    """The engines that this machine prefers, best first."""
    return PREFERENCE_WITH_CUDA if has_cuda() else PREFERENCE


def _torch_on() -> str:
    """Which of its devices torch takes where it may choose."""
    return "torch cuda" if has_cuda() else "torch cpu"


def _place(engine: str, built: Backend) -> str:
    """Engine and device: where an engine has several, what was built says which it took."""
    return " ".join(built.name.split()[:2]) if engine in ("openvino", "torch") else engine


def _checked(backend: str) -> str:
    """A name that can be asked for. Raises BackendError."""
    if backend not in (*NAMES, *PREFERENCE_WITH_CUDA, *OPENVINO_ON):
        raise BackendError(
            f"no backend {backend!r}{nearest(backend, NAMES)}; it must be one of auto, {', '.join(NAMES)}"
        )
    return backend


def build(
    network: StaticNetwork,
    engine: str,
    threads: int,
    noise_mode: NoiseMode = "const",
    precision: str | None = None,
    on_progress: OnProgress = lambda _text: None,
    streams: int = 1,
    builds: bool = True,
) -> Backend:
    """A network on one of PREFERENCE_WITH_CUDA or OPENVINO_ON. `precision` in that engine's own words; None lets it
    choose. `streams` as in load_generator. Raises BackendError: of an engine that takes minutes to build, where
    `builds` says no, UnbuiltBackendError."""
    try:
        name, _, device = engine.partition(" ")
        if name == "openvino":
            from livelav.generate.openvino_backend import OpenVINOBackend

            return OpenVINOBackend(network, threads, noise_mode, precision, device.upper() or None, streams)
        if engine == "tensorrt":
            from livelav.generate.tensorrt_backend import TensorRTBackend

            return TensorRTBackend(network, noise_mode, on_progress, builds)
        from livelav.generate.torch_backend import TorchBackend

        return TorchBackend(network, threads, noise_mode, device or None, precision)
    except BackendError:
        raise
    except Exception as error:  # whatever a broken installation throws, another engine may still do
        raise BackendError(f"{engine} does not run here: {type(error).__name__}: {error}; reinstall it") from error


def _models() -> dict[str, Path]:
    """Name to file; what is shipped cannot be hidden by a file of the same name."""
    found: dict[str, Path] = {}
    for folder in (models_dir(), _shipped_dir()):
        for path in listing(folder, SUFFIX):
            if is_name(path.stem) and is_generator(path):
                found[path.stem] = path
    return found


def is_name(text: str) -> bool:
    """Whether a model can be called that; all else that names one is a path."""
    return len(text) <= LONGEST_NAME and _SLUG.fullmatch(text) is not None


def _shipped_dir() -> Path:
    return PACKAGE / "models"
