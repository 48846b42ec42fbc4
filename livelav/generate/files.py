"""A generator's file: safetensors with its config in the metadata and the statistics of its W among the tensors.

The only format at rest. Reading runs nothing from the file, checks every name, shape and number, and needs neither
torch nor openvino. A card beside it (same name, .json) says where it comes from and on what terms.
"""

import errno
import functools
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from livelav.core.errors import ModelError
from livelav.core.inert import MAX_FILE_BYTES
from livelav.core.store import write_atomic
from livelav.core.values import W_DIM, Floats, WStats
from livelav.generate.layout import Config

FORMAT = "livelav.stylegan2.1"
METADATA_KEY = "livelav"
SUFFIX = ".safetensors"
FOREIGN = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".onnx")
LARGEST_HEADER = 1 << 17  # bytes; one of 2048 px has 19 KB. Its text takes seven times as much memory, if it will
LARGEST_CARD = 1 << 16  # bytes

Tensors = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One generator as its file holds it."""

    config: Config
    tensors: dict[str, NDArray[np.floating]]  # names and shapes of config.tensor_shapes; float16 or float32
    stats: WStats
    sha256: str  # of the whole file


def write_checkpoint(
    path: Path,
    config: Config,
    tensors: Tensors,
    w_mean: NDArray[np.floating],
    w_std: NDArray[np.floating],
    by_label: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
) -> None:
    """Writes a generator atomically, its tensors in the dtypes given. Raises StorageError, or ModelError where
    `tensors` are not those of `config`.

    `w_mean` and `w_std` [512]; `by_label` the same of each label, [labels, 512], where `config` has labels.
    """
    whole = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    whole |= {"stats.w_mean": np.asarray(w_mean, np.float32), "stats.w_std": np.asarray(w_std, np.float32)}
    if by_label:
        mean, std = by_label
        whole |= {"stats.label_mean": np.asarray(mean, np.float32), "stats.label_std": np.asarray(std, np.float32)}
    _check(config, whole, str(path))
    # one key: safetensors writes several in an order that changes from run to run
    header = {"format": FORMAT, "config": config.as_dict()}
    write_atomic(path, save(whole, {METADATA_KEY: json.dumps(header, sort_keys=True)}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads and checks a whole file. Raises ModelError: missing, not ours, truncated, of another architecture."""
    if path.suffix.lower() in FOREIGN:
        raise ModelError(
            f"cannot play {path} as it is: `livelav models import {path}` makes it a model of yours, and "
            f"`livelav --model {path}` does so and plays it"
        )
    config, content = _read(path)
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ModelError(f"cannot read {path}: damaged or truncated ({error}); fetch or write it anew") from error
    except MemoryError as error:
        raise _too_large(path) from error
    _check(config, tensors, str(path))
    stats = WStats(
        mean=np.asarray(tensors.pop("stats.w_mean"), np.float32),
        std=np.asarray(tensors.pop("stats.w_std"), np.float32),
        w_avg=np.asarray(tensors["mapping.w_avg"], np.float32),
        resolutions=config.ws_resolutions,
        label_mean=_float32(tensors.pop("stats.label_mean", None)),
        label_std=_float32(tensors.pop("stats.label_std", None)),
    )
    return Checkpoint(config, tensors, stats, hashlib.sha256(content).hexdigest())


def is_generator(path: Path) -> bool:
    """By its header alone: False for encoders and other files, true for a generator that is truncated further on.

    A file that was looked at before is not opened again while it has not changed: a show asks what there is, too."""
    try:
        facts = path.stat()
        return _is_generator(path, facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    except (OSError, ValueError):
        return False


@functools.lru_cache(maxsize=1024)
def _is_generator(path: Path, *_facts: int) -> bool:
    with _open(path) as file:
        try:
            return _header(file).get("format") == FORMAT
        except ValueError:
            return False


def read_card(path: Path) -> dict[str, Any]:
    """What the card beside a model's file says; empty where there is none or it is not readable."""
    try:
        with _open(path.with_suffix(".json")) as file:
            content = file.read(LARGEST_CARD + 1)
        card = json.loads(content) if len(content) <= LARGEST_CARD else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return card if isinstance(card, dict) else {}


def _open(path: Path) -> BinaryIO:
    """Raises OSError, also for what is no regular file: a device or pipe might never end, or never begin."""
    if not S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return path.open("rb")


def _read(path: Path) -> tuple[Config, bytes]:
    """The config, and all of the file, once it is known that it is no larger than such a generator can be."""
    try:
        with _open(path) as file:
            config = _config(_header(file), path)
            size = os.fstat(file.fileno()).st_size
            if size > _most_bytes(config):
                raise _too_large(path)
            file.seek(0)
            return config, file.read(size)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}; `livelav models list` names what there is") from error
    except ValueError as error:
        raise ModelError(f"cannot read {path}: not a safetensors file; `livelav models list` names some") from error
    except MemoryError as error:
        raise _too_large(path) from error


def _most_bytes(config: Config) -> int:
    """How long the file of such a generator can be, in the widest of numbers."""
    return min(8 + LARGEST_HEADER + 8 * sum(map(math.prod, _shapes(config).values())), MAX_FILE_BYTES)


def _too_large(path: Path) -> ModelError:
    return ModelError(f"cannot read {path}: more bytes than its generator has, or than there is memory; write it anew")


def _header(file: BinaryIO) -> dict[str, Any]:
    """What livelav wrote into a safetensors file's metadata; empty where it wrote nothing.
    Such a file begins with the length of its JSON header as a little-endian uint64: ValueError where this does not."""
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= LARGEST_HEADER:
        raise ValueError("no safetensors header")
    try:
        header = json.loads(file.read(length))
    except RecursionError as error:
        raise ValueError("no safetensors header") from error
    if not isinstance(header, dict):
        raise ValueError("no safetensors header")
    try:
        ours = json.loads(header["__metadata__"][METADATA_KEY])
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return ours if isinstance(ours, dict) else {}


def _config(header: Mapping[str, Any], path: Path) -> Config:
    if header.get("format") != FORMAT:
        raise ModelError(f"{path} is no generator in livelav's layout ({FORMAT}); `livelav models list` names some")
    values = header.get("config")
    if not isinstance(values, dict):
        raise ModelError(f"{path} has no readable config; fetch or write it anew")
    return Config.from_dict(values)


def _float32(array: NDArray[np.floating] | None) -> Floats | None:
    return None if array is None else np.asarray(array, np.float32)


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Name to shape of all that a file has."""
    shapes = config.tensor_shapes | {"stats.w_mean": (W_DIM,), "stats.w_std": (W_DIM,)}
    if config.labels:
        shapes |= {"stats.label_mean": (config.labels, W_DIM), "stats.label_std": (config.labels, W_DIM)}
    return shapes


def _check(config: Config, tensors: Tensors, what: str) -> None:
    expected = _shapes(config)
    for name, shape in expected.items():
        if name not in tensors:
            raise ModelError(f"{what} lacks the tensor {name}: not a whole generator of its config; write it anew")
        found = tensors[name]
        if found.shape != shape or found.dtype.kind != "f":
            raise ModelError(
                f"{what} has {name} as {found.dtype} {list(found.shape)} where floats {list(shape)} are due; "
                f"write it anew"
            )
        if not np.isfinite(found).all():
            raise ModelError(f"{what} has numbers in {name} that are not finite; fetch or write it anew")
    surplus = sorted(set(tensors) - set(expected))
    if surplus:
        raise ModelError(f"{what} has the tensor {surplus[0]}, which its config does not know; write it anew")
