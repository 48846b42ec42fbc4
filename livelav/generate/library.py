"""Generators by name: those shipped with livelav and those in the user's models folder; and how one is loaded.

Knows files and backends, nothing of sound or windows. Engines are imported only when one is built.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from livelav.core.errors import BackendError, ModelError, StorageError, nearest
from livelav.core.store import PACKAGE, listing, models_dir
from livelav.core.values import Bytes, Floats, WStats
from livelav.generate.backend import Backend
from livelav.generate.files import SUFFIX, is_generator, read_card, read_checkpoint
from livelav.generate.layout import NoiseMode
from livelav.generate.static import StaticNetwork, static_network

PREFERENCE = ("openvino", "torch")

_SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Generator:
    """One loaded model on one engine. `synthesize` is for one thread at a time."""

    name: str
    sha256: str
    stats: WStats
    resolution: int  # px; images are square
    backend: Backend
    warnings: tuple[str, ...]  # what was stepped around while loading, one line each

    @property
    def num_ws(self) -> int:
        return self.stats.num_ws

    @property
    def backend_name(self) -> str:
        return self.backend.name

    def synthesize(self, ws: Floats, noise: float = 1.0) -> Bytes:
        """ws [num_ws, 512] float32 to a new image [height, width, 4], RGBA, alpha 255.

        `noise` multiplies the noise maps; 1 is the model's own strength. Raises BackendError.
        """
        assert ws.shape == (self.num_ws, len(self.stats.mean)), f"ws of shape {ws.shape} for {self.num_ws} layers"
        return self.backend.synthesize(np.ascontiguousarray(ws, np.float32), noise)

    def warmup(self) -> None:
        """Makes one image and drops it, so that the next takes no longer than any later one."""
        self.backend.warmup()


def load_generator(
    name_or_path: str | os.PathLike[str] = "default",
    backend: str = "auto",
    threads: int | None = None,
    noise_mode: NoiseMode = "const",
) -> Generator:
    """Reads a model and builds it on an engine.

    `backend` is openvino, torch, or auto: the first of them that builds. `threads` is the number of CPU threads for
    one image; None takes the physical cores. `noise_mode` is const (the model's own maps), random (drawn anew for
    every image) or none.
    Raises ModelError for a model that is missing or unreadable, BackendError where no engine builds.
    """
    path = find_model(name_or_path)
    checkpoint = read_checkpoint(path)
    network = static_network(checkpoint.config, checkpoint.tensors)
    engine, warnings = _build(network, backend, threads or physical_cores(), noise_mode)
    return Generator(
        name=path.stem,
        sha256=checkpoint.sha256,
        stats=checkpoint.stats,
        resolution=checkpoint.config.resolution,
        backend=engine,
        warnings=warnings,
    )


def physical_cores() -> int:
    """As many threads as help: two on one core wait for each other."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


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


def remove_model(name: str) -> None:
    """Deletes one of the user's models, its card and its pictures. Raises ModelError for a shipped or unknown one,
    StorageError where the folder may not be written."""
    path = models_dir() / f"{name}{SUFFIX}"
    if not is_name(name) or not os.path.isfile(path):
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


def _build(
    network: StaticNetwork, backend: str, threads: int, noise_mode: NoiseMode
) -> tuple[Backend, tuple[str, ...]]:
    """One engine asked for by name must build; with auto the next one steps in, and a warning says so."""
    if backend != "auto":
        return _build_one(network, backend, threads, noise_mode), ()
    failures: list[str] = []
    for name in PREFERENCE:
        try:
            return _build_one(network, name, threads, noise_mode), tuple(failures)
        except BackendError as error:
            failures.append(str(error))
    raise BackendError(f"no engine runs this generator: {' | '.join(failures)}")


def _build_one(network: StaticNetwork, backend: str, threads: int, noise_mode: NoiseMode) -> Backend:
    try:
        return _engine(network, backend, threads, noise_mode)
    except BackendError:
        raise
    except Exception as error:  # whatever a broken installation throws, another engine may still do
        raise BackendError(f"{backend} does not run here: {type(error).__name__}: {error}; reinstall it") from error


def _engine(network: StaticNetwork, backend: str, threads: int, noise_mode: NoiseMode) -> Backend:
    if backend == "openvino":
        from livelav.generate.openvino_backend import OpenVINOBackend

        return OpenVINOBackend(network, threads, noise_mode)
    if backend == "torch":
        from livelav.generate.torch_backend import TorchBackend

        return TorchBackend(network, threads, noise_mode)
    raise BackendError(
        f"no backend {backend!r}{nearest(backend, PREFERENCE)}; it must be one of auto, {', '.join(PREFERENCE)}"
    )


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
