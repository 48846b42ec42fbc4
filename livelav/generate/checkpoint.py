"""Strangers' StyleGAN2 checkpoints become a Config and tensors of ours; nothing in such a file is ever run.

NVIDIA's pickles name functions that build the network from source text in the file. Here these names stand for inert
records (core/inert.py), and the text is never looked at. What kind of generator it is, is read off the tensors' own
shapes; every one is then checked against that. Does not load torch. Pure but for reading one file.

Which names lie where: foreign.py. Our own files: files.py.
"""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from livelav.core import inert
from livelav.core.errors import CheckpointError, ModelError
from livelav.core.inert import Maker, Record, Table
from livelav.core.inert_numpy import NUMPY
from livelav.core.inert_torch import LEGACY_MAGIC, TORCH, Storage, read_legacy, read_torch
from livelav.core.normals import normals
from livelav.core.values import W_DIM
from livelav.generate.foreign import Parts, from_nvidia, from_rosinality, from_tensorflow
from livelav.generate.layout import Architecture, Config

REMEDY = (
    "livelav reads square StyleGAN2 generators from 32 to 2048 px, with z and w of 512 numbers: NVIDIA's .pkl, from "
    "PyTorch or TensorFlow, and rosinality's .pt"
)
NOISE_SEED = 0


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a stranger's file holds, as ours."""

    layout: str  # "stylegan2-ada", "stylegan3-era stylegan2", "tensorflow", "rosinality"
    config: Config
    tensors: dict[str, NDArray[np.floating]]  # names and shapes of config.tensor_shapes; float16 or float32
    has_w_avg: bool  # False: `mapping.w_avg` is all zeros, for whoever imports it to compute


def read_foreign(path: Path) -> Foreign:
    """The generator in that file. Raises CheckpointError: missing, damaged, more than plain data, or no StyleGAN2."""
    try:
        return _assemble(_parts(_read(path)))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}; {REMEDY}") from error
    except MemoryError as error:
        raise CheckpointError(f"cannot read {path}: it takes more memory than there is; {REMEDY}") from error
    except (inert.PlainDataError, CheckpointError, ModelError) as error:
        raise CheckpointError(f"cannot read {path}: {error}; {REMEDY}") from error


def _read(path: Path) -> bytes:
    """All of it, once it looks like a file that might be meant."""
    facts = path.stat()
    if not S_ISREG(facts.st_mode):  # a device or pipe might never end, or never begin
        raise CheckpointError("no regular file")
    if facts.st_size > inert.MAX_FILE_BYTES:
        raise CheckpointError(f"{facts.st_size} bytes, more than the {inert.MAX_FILE_BYTES} that are read")
    with path.open("rb") as file:
        if file.read(2)[:1] not in (b"\x80", b"P"):
            raise CheckpointError("neither a pickle nor a torch file")
        file.seek(0)
        return file.read(facts.st_size)


def _parts(content: bytes) -> Parts:
    limit_bytes = len(content)
    if content[:2] == b"PK":
        tree = read_torch(content, _ROSINALITY)
    else:
        left = inert.budget()
        tree = inert.read_pickle(io.BytesIO(content), _nvidia(left), left=left)
        if type(tree) is int and tree == LEGACY_MAGIC:
            tree = read_legacy(content, _ROSINALITY, left)
    del content
    if type(tree) is tuple and len(tree) == 3:
        return from_tensorflow(tree[2], limit_bytes)
    if type(tree) is dict and "G_ema" in tree:
        return from_nvidia(tree["G_ema"], limit_bytes)
    if type(tree) is dict and "g_ema" in tree:
        return from_rosinality(tree, limit_bytes)
    raise CheckpointError(f"no generator in it, but {_described(tree)}")


def _described(tree: Any) -> str:
    if type(tree) is dict:
        names = [key[:30] for key in list(tree)[:8] if type(key) is str]
        return f"a dictionary of {', '.join(names) or 'nothing with a name'}"
    if type(tree) is tuple:
        return f"{len(tree)} things in a row"
    return f"a single {tree.kind}" if type(tree) is Record else "something else"


_ROSINALITY: Table = {**TORCH, **NUMPY, ("argparse", "Namespace"): inert.recorder("namespace")}


def _nvidia(left: inert.Budget) -> Table:
    """Made anew for each file: a tensor's bytes are a torch file of their own, read once however often it is named."""
    known: dict[int, tuple[bytes, Storage]] = {}

    def load_from_bytes(content: Any) -> Storage:
        if type(content) is not bytes:
            raise inert.PlainDataError("a storage that is not made of bytes")
        if id(content) not in known:
            storage = read_legacy(content, TORCH, left)
            if type(storage) is not Storage:
                raise inert.PlainDataError("a storage that holds something else")
            known[id(content)] = content, storage  # `content` is kept, so that its id stays its own
        return known[id(content)][1]

    return {
        **TORCH,
        **NUMPY,
        ("builtins", "set"): inert.recorder("set"),
        ("__builtin__", "set"): inert.recorder("set"),
        ("dnnlib.util", "EasyDict"): Maker(lambda: {}),
        ("dnnlib.tflib.network", "Network"): inert.recorder("tensorflow"),
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): inert.recorder("module"),
        ("torch.storage", "_load_from_bytes"): Maker(load_from_bytes),
    }


def _assemble(parts: Parts) -> Foreign:
    """Finds the Config that the tensors have the shapes of, and checks every one of them."""
    config = _config(parts)
    shapes, found = config.tensor_shapes, dict(parts.tensors)
    has_w_avg = "mapping.w_avg" in found
    if not has_w_avg:
        found["mapping.w_avg"] = np.zeros(W_DIM, np.float32)
    if parts.layout == "rosinality":
        _draw_missing_noise(found, config)
    if surplus := sorted(set(found) - set(shapes)):
        raise CheckpointError(f"a tensor {surplus[0]}, which a StyleGAN2 generator of its size has not")
    tensors: dict[str, NDArray[np.floating]] = {}
    for name, shape in shapes.items():
        if name not in found:
            raise CheckpointError(f"a generator without {name}")
        tensor = found[name]
        if tensor.shape != shape or tensor.dtype.kind != "f":
            raise CheckpointError(f"{name} as {tensor.dtype} {list(tensor.shape)} where floats {list(shape)} are due")
        with np.errstate(over="ignore"):
            tensor = np.asarray(tensor, np.float16 if tensor.dtype == np.float16 else np.float32, order="C")
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"numbers in {name} that are not finite")
        tensors[name] = tensor
    return Foreign(parts.layout, config, tensors, has_w_avg)


def _config(parts: Parts) -> Config:
    found = parts.tensors
    const = _shape(found, "synthesis.b4.const", 3)
    if const[1:] != (4, 4):
        raise CheckpointError(f"a picture that is not square: it grows from {const[1]} x {const[2]}, not 4 x 4")
    blocks = sorted(int(m[1]) for name in found if (m := re.fullmatch(r"synthesis\.b(\d{1,9})\.conv1\.weight", name)))
    if not blocks or blocks != [4 << i for i in range(len(blocks))]:
        raise CheckpointError(f"a generator of blocks of {', '.join(map(str, blocks[:12])) or 'no'} px")
    resolution = blocks[-1]
    channels = {block: _shape(found, f"synthesis.b{block}.conv1.weight", 4)[0] for block in blocks}
    layers = len([name for name in found if re.fullmatch(r"mapping\.fc\d+\.weight", name)])
    labels = _shape(found, "mapping.embed.weight", 2)[1] if "mapping.embed.weight" in found else 0
    _check_latents(found, layers, labels)
    rgb = [block for block in blocks if f"synthesis.b{block}.torgb.weight" in found]
    architecture = "resnet" if f"synthesis.b{resolution}.skip.weight" in found else "skip" if len(rgb) > 1 else "orig"
    if parts.architecture not in (None, architecture):
        raise CheckpointError(f"a generator that calls itself {parts.architecture[:30]} and is built as {architecture}")
    # the least base that gives each block at least its channels; where the counts follow the rule, it gives no more
    base, most = max(block * n for block, n in channels.items()), max(channels.values())
    config = Config(
        resolution=resolution,
        channel_base=base,
        channel_max=most,
        architecture=cast(Architecture, architecture),
        mapping_layers=layers,
        conv_clamp=parts.conv_clamp,
        labels=labels,
    )
    if any(config.channels(block) != n for block, n in channels.items()):
        counts = ", ".join(f"{n} at {block} px" for block, n in channels.items())
        raise CheckpointError(f"a generator of channels that halve in no known way: {counts}")
    return config


def _check_latents(found: Mapping[str, NDArray[Any]], layers: int, labels: int) -> None:
    """z and w have 512 numbers each here."""
    if not layers:
        raise CheckpointError("a generator without a mapping network")
    w, embedded = _shape(found, f"mapping.fc{layers - 1}.weight", 2)[0], 0
    if labels:
        embedded = _shape(found, "mapping.embed.weight", 2)[0]
    z = _shape(found, "mapping.fc0.weight", 2)[1] - embedded
    if (z, w) != (W_DIM, W_DIM):
        raise CheckpointError(f"a generator whose z has {z} numbers and w {w} where {W_DIM} are due")


def _shape(found: Mapping[str, NDArray[Any]], name: str, dimensions: int) -> tuple[int, ...]:
    if name not in found:
        some = ", ".join(sorted(found)[:4])
        raise CheckpointError(f"no StyleGAN2 generator: it has {some or 'nothing'}, and no {name}")
    shape = found[name].shape
    if len(shape) != dimensions or not math.prod(shape):
        raise CheckpointError(f"{name} of shape {list(shape)}")
    return shape


def _draw_missing_noise(found: dict[str, NDArray[Any]], config: Config) -> None:
    """Some files hold no noise maps, because their program drew new ones for each picture. Ours are drawn once, of the
    same kind, and always the same."""
    for number, layer in enumerate(config.layers):
        name = f"synthesis.{layer.name}.noise_const"
        if layer.kind != "rgb" and name not in found:
            found[name] = normals(NOISE_SEED, number, (layer.resolution,) * 2).astype(np.float32)
