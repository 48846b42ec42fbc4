"""Reads torch files of strangers: their tensors as descriptions, which become views of the file's own bytes.

Both of torch.save's layouts: an archive with a pickle and a file for each storage, and the older one, a few pickles and
then the raw numbers. torch is not needed, and no length that a file states is believed: see inert.py. Pure.
"""

import functools
import io
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.inert import (
    MAX_FILE_BYTES,
    Budget,
    Maker,
    PlainDataError,
    Table,
    budget,
    guarded,
    read_pickle,
    said,
)

MAX_ENTRIES = 20_000  # of an archive
MAX_EXTRA_BYTES = 1 << 18  # of its entries' extra fields, over which zipfile takes quadratic time; torch has few
MAX_DIMENSIONS = 16
LONGEST_NAME = 100  # of a storage; torch gives them numbers

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older layout
_LEGACY_VERSION = 1001

BFLOAT16 = np.dtype([("bfloat16", "<u2")])  # numpy has none: the upper half of a float32's bits


@dataclass(frozen=True, slots=True)
class Storage:
    """A named run of numbers in a torch file."""

    dtype: np.dtype[Any]
    key: str
    size: int  # numbers, not bytes
    read: Callable[[str], bytes | memoryview]

    def array(self) -> NDArray[Any]:
        """All of it, read-only [size]. Raises PlainDataError where the file has not exactly that many bytes."""
        data = guarded(lambda: self.read(self.key), f"storage {self.key}")
        if len(data) != self.size * self.dtype.itemsize:
            expected = self.size * self.dtype.itemsize
            raise PlainDataError(f"storage {self.key} has {len(data)} bytes where {expected} are due: truncated?")
        return np.frombuffer(data, self.dtype)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A torch tensor as the file describes it; known to lie within its storage and to be no larger than that."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def array(self) -> NDArray[Any]:
        """A read-only view [shape]; a float32 copy of bfloat16. Raises PlainDataError where it is not whole."""
        item = self.storage.dtype.itemsize
        strides = tuple(stride * item for stride in self.strides)
        data = self.storage.array()
        view: NDArray[Any] = guarded(
            lambda: np.ndarray(self.shape, data.dtype, data, self.offset * item, strides), "tensor"
        )
        if view.dtype == BFLOAT16:
            return (view["bfloat16"].astype(np.uint32) << 16).view(np.float32)
        return view


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """torch._utils._rebuild_tensor_v2, checked."""
    if type(storage) is not Storage:
        raise PlainDataError("a tensor without a storage")
    if type(shape) is not tuple or type(strides) is not tuple:
        raise PlainDataError("a tensor without a shape and strides")
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        raise PlainDataError(f"a tensor of {len(shape)} dimensions and {len(strides)} strides")
    if any(type(n) is not int or not 0 <= n <= MAX_FILE_BYTES for n in (offset, *shape, *strides)):
        raise PlainDataError("a tensor whose shape or strides are no proper numbers")
    end = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) + 1
    size = math.prod(shape)
    if size and (end > storage.size or size > storage.size):
        raise PlainDataError(f"a tensor of shape {tuple(shape)} in a storage of {storage.size} numbers")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _typed_tensor(storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any, _hooks: Any, dtype: Any) -> Tensor:
    """torch._utils._rebuild_tensor_v3: over a storage of plain bytes, with the kind of number named apart."""
    if type(storage) is not Storage or not isinstance(dtype, np.dtype) or storage.dtype.itemsize != 1:
        raise PlainDataError("a tensor without a storage of bytes")
    return _tensor(replace(storage, dtype=dtype, size=storage.size // dtype.itemsize), offset, shape, strides)


_DTYPES = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": BFLOAT16,
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "uint64": np.dtype("<u8"),
    "uint32": np.dtype("<u4"),
    "uint16": np.dtype("<u2"),
    "uint8": np.dtype("u1"),
}

TORCH: Table = MappingProxyType(
    {
        ("collections", "OrderedDict"): Maker(lambda: {}),
        ("torch._utils", "_rebuild_tensor_v2"): Maker(_tensor),
        ("torch._utils", "_rebuild_tensor_v3"): Maker(_typed_tensor),
        ("torch._utils", "_rebuild_parameter"): Maker(lambda data, requires_grad, hooks: data),
        ("torch", "DoubleStorage"): np.dtype("<f8"),
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "HalfStorage"): np.dtype("<f2"),
        ("torch", "LongStorage"): np.dtype("<i8"),
        ("torch", "IntStorage"): np.dtype("<i4"),
        ("torch", "ShortStorage"): np.dtype("<i2"),
        ("torch", "CharStorage"): np.dtype("i1"),
        ("torch", "ByteStorage"): np.dtype("u1"),
        ("torch", "BoolStorage"): np.dtype("?"),
        ("torch", "BFloat16Storage"): BFLOAT16,
        ("torch.storage", "UntypedStorage"): np.dtype("u1"),
        **{("torch", name): dtype for name, dtype in _DTYPES.items()},
    }
)


def read_torch(content: bytes, table: Table = TORCH) -> Any:
    """What torch.save put into these bytes, in either of its layouts, with Tensors and Storages in it.

    Raises PlainDataError for anything but plain data and what `table` names.
    """
    if len(content) > MAX_FILE_BYTES:
        raise PlainDataError(f"{len(content)} bytes, more than the {MAX_FILE_BYTES} that are read")
    if content[:2] == b"PK":
        return guarded(lambda: _read_zip(content, table), "archive")
    return read_legacy(content, table, budget())


def read_legacy(content: bytes, table: Table, left: Budget) -> Any:
    """As read_torch, of the older layout alone: the one that is found inside other pickles."""
    return guarded(lambda: _read_legacy(content, table, left), "torch file")


def _read_zip(content: bytes, table: Table) -> Any:
    _check_directory(content)
    archive = zipfile.ZipFile(io.BytesIO(content))  # over memory: nothing to close
    entries = {info.filename: info for info in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise PlainDataError("an archive with two entries of one name")
    if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
        raise PlainDataError("its archive is compressed; torch never does that")
    if sum(info.file_size for info in entries.values()) > len(content):
        raise PlainDataError("its archive claims to hold more than the file is long")
    root = next((name[: -len("data.pkl")] for name in entries if name.endswith("/data.pkl")), None)
    if root is None:
        raise PlainDataError("an archive without data.pkl: no file of torch")

    if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
        raise PlainDataError("its numbers are big-endian; only little-endian files are read")
    # many tensors may share a storage: it is read once
    resolve = _storages(functools.cache(lambda key: archive.read(f"{root}data/{key}")))
    return read_pickle(io.BytesIO(archive.read(f"{root}data.pkl")), table, resolve)


def _check_directory(content: bytes) -> None:
    """zipfile lists whatever is announced, before it can be asked how much that is."""
    at, entries, extra_bytes = -1, 0, 0
    while (at := content.find(b"PK\1\2", at + 1)) >= 0:  # chance may write this among the numbers, but not often
        entries += 1
        extra_bytes += int.from_bytes(content[at + 30 : at + 32], "little")
        if entries > MAX_ENTRIES or extra_bytes > MAX_EXTRA_BYTES:
            raise PlainDataError(f"an archive of more than {MAX_ENTRIES} entries, or with much beside them")


def _read_legacy(content: bytes, table: Table, left: Budget) -> Any:
    """A few small pickles, then for each storage an int64 count and its raw numbers."""
    stream = io.BytesIO(content)

    def plain() -> Any:
        return read_pickle(stream, {}, left=left)

    if plain() != LEGACY_MAGIC or plain() != _LEGACY_VERSION:
        raise PlainDataError("neither of torch's file layouts")
    system = plain()
    if not system["little_endian"]:
        raise PlainDataError("its numbers are big-endian; only little-endian files are read")
    blobs: dict[str, memoryview] = {}
    known: dict[str, Storage] = {}
    resolve = _storages(blobs.__getitem__)

    def remember(reference: Any) -> Storage:
        storage = resolve(reference)
        return known.setdefault(storage.key, storage)

    tree = read_pickle(stream, table, remember, left)
    for key in plain():
        (count,) = struct.unpack("<q", stream.read(8))
        if type(key) is not str or key not in known or count != known[key].size:
            raise PlainDataError(f"storage {said(key)} is not the one that was announced")
        start, length = stream.tell(), count * known[key].dtype.itemsize
        blobs[key] = memoryview(content)[start : start + length]
        stream.seek(start + length)
    return tree


def _storages(read: Callable[[str], bytes | memoryview]) -> Callable[[Any], Storage]:
    """Resolves torch's persistent references ("storage", type, key, location, size[, view])."""

    def resolve(reference: Any) -> Storage:
        if type(reference) is not tuple or len(reference) not in (5, 6):
            raise PlainDataError("a reference to something that is no storage")
        kind, dtype, key, _, size, *view = reference
        if kind != "storage" or not isinstance(dtype, np.dtype) or any(part is not None for part in view):
            raise PlainDataError(f"a reference to something that is no storage: {said(kind)}")
        if type(key) is not str or len(key) > LONGEST_NAME:  # each tensor's messages have it
            raise PlainDataError("a storage without a proper name")
        if type(size) is not int or not 0 <= size <= MAX_FILE_BYTES:
            raise PlainDataError("a storage without a proper size")
        return Storage(dtype, key, size, read)

    return resolve
