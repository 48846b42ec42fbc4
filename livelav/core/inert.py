"""Reads strangers' pickles and torch files as plain data; nothing in them is ever imported, called or executed.

A pickle is a small program. This runs only those of its instructions that make plain values, over the standard
library's own parser of them, within bounds on their number. Where a pickle names a class or function, that name is
looked up in an exact table of (module, name); whatever stands there is ours. Tensors stay descriptions until asked
for, and are then views of the file's own bytes. torch is not needed.

It does not know what the data mean, and a tree it returns may hold itself or be nested very deep: whoever walks one
must bound the walk. Any fault in a file is a PlainDataError; the caller says which file and what to do.

Work is bounded by the file's own length: no instruction costs more than what it takes off the stack, so that naming
one large value many times over gains nothing, and what a file holds inside itself is counted with it.

Pure; no process or thread of its own. Sources: the standard library's pickletools; torch.save's two layouts.
"""

import functools
import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_OPERATIONS = 500_000  # the largest known checkpoint needs less than half
MAX_ARGUMENTS = 16  # of one call
MAX_ENTRIES = 20_000  # of an archive
MAX_DIMENSIONS = 16
MAX_FILE_BYTES = 2 << 30
LARGEST_KEY = 1 << 60  # whole numbers below it have different hashes, so no dictionary grows slow

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of torch's older layout
_LEGACY_VERSION = 1001


class PlainDataError(ValueError):
    """A file that is damaged, or that holds more than plain data."""


@dataclass(frozen=True, slots=True)
class Maker:
    """A table entry that a pickle may apply to arguments: our function, in place of the one it names."""

    make: Callable[..., Any]


@dataclass(slots=True)
class Record:
    """What stands where a pickle would have made an object: what it was to be made of, and nothing alive."""

    kind: str
    args: tuple[Any, ...]
    state: Any = None


Table = Mapping[tuple[str, str], Any]
Budget = Iterator[int]  # as many as instructions are left, for a file and all that is nested in it


def recorder(kind: str) -> Maker:
    """A table entry that makes Records of that kind."""
    return Maker(lambda *args: Record(kind, args))


def budget() -> Budget:
    """For one file."""
    return iter(range(MAX_OPERATIONS))


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
        data = _guarded(lambda: self.read(self.key), f"storage {self.key}")
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
        view: NDArray[Any] = _guarded(
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


def read_pickle(
    stream: io.BytesIO, table: Table, persistent: Callable[[Any], Any] | None = None, left: Budget | None = None
) -> Any:
    """Runs one pickle from where `stream` stands; leaves it just behind.

    `table` gives what each (module, name) stands for: a value of ours, or a Maker. `persistent` resolves what the
    pickle keeps outside itself. `left` is the file's budget where this is not all of it. Raises PlainDataError for
    anything else, however damaged or hostile the bytes are.
    """
    return _guarded(lambda: _run(stream, _Machine(table, persistent), budget() if left is None else left), "pickle")


def read_torch(content: bytes, table: Table = TORCH) -> Any:
    """What torch.save put into these bytes, in either of its layouts, with Tensors and Storages in it.

    Raises PlainDataError for anything but plain data and what `table` names.
    """
    if len(content) > MAX_FILE_BYTES:
        raise PlainDataError(f"{len(content)} bytes, more than the {MAX_FILE_BYTES} that are read")
    if content[:2] == b"PK":
        return _guarded(lambda: _read_zip(content, table), "archive")
    return read_legacy(content, table, budget())


def read_legacy(content: bytes, table: Table, left: Budget) -> Any:
    """As read_torch, of the older layout alone: the one that is found inside other pickles."""
    return _guarded(lambda: _read_legacy(content, table, left), "torch file")


def _guarded(work: Callable[[], Any], what: str) -> Any:
    """Damaged input makes the standard library raise many kinds of error; all of them mean the same to us."""
    try:
        return work()
    except PlainDataError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        NotImplementedError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:
        raise PlainDataError(f"the {what} is damaged ({type(error).__name__}: {str(error)[:100]})") from error


def _read_zip(content: bytes, table: Table) -> Any:
    if content.count(b"PK\1\2") > MAX_ENTRIES:  # each entry is announced so, and the library would list them all
        raise PlainDataError(f"an archive of more than {MAX_ENTRIES} entries")
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
            raise PlainDataError(f"storage {_said(key)} is not the one that was announced")
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
            raise PlainDataError(f"a reference to something that is no storage: {_said(kind)}")
        if not isinstance(key, str) or type(size) is not int or not 0 <= size <= MAX_FILE_BYTES:
            raise PlainDataError("a storage without a proper name and size")
        return Storage(dtype, key, size, read)

    return resolve


_OPERATIONS = MappingProxyType({operation.code.encode("latin-1"): operation for operation in pickletools.opcodes})
_CONSTANTS: Mapping[str, Any] = MappingProxyType({"NONE": None, "NEWTRUE": True, "NEWFALSE": False})
_EMPTY: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
)
_TUPLES: Mapping[str, int] = MappingProxyType({"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3})
_LITERALS = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
    | {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
_ASSEMBLING = frozenset(
    {"TUPLE", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "REDUCE", "NEWOBJ", "BUILD"}
    | {"GLOBAL", "STACK_GLOBAL", "BINPERSID"}
)
_RUN = (
    frozenset({"PROTO", "FRAME", "MARK", "POP", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"})
    | _CONSTANTS.keys()
    | _EMPTY.keys()
    | _TUPLES.keys()
    | _LITERALS
    | _ASSEMBLING
)


def _run(stream: io.BytesIO, machine: "_Machine", left: Budget) -> Any:
    # pickletools only reads each instruction's argument. It reads from memory, where no length field can make it
    # allocate more than there is; reading from a file, it could.
    for _ in left:
        operation = _OPERATIONS.get(stream.read(1))
        if operation is None:
            raise PlainDataError("its pickle is damaged or truncated")
        if operation.name not in _RUN:
            raise PlainDataError(f"its pickle uses {operation.name}, which plain data does not need")
        if operation.name == "STOP":
            return machine.stack.pop()
        if operation.name == "GLOBAL":  # pickletools would interpret escapes in these two lines
            argument: Any = tuple(stream.readline().rstrip(b"\n").decode("ascii") for _ in range(2))
        else:
            argument = operation.arg.reader(stream) if operation.arg else None
        machine.execute(operation.name, argument)
    raise PlainDataError(f"a pickle of more than {MAX_OPERATIONS} instructions")


class _Machine:
    """The pickle machine, without the instructions that reach outside it."""

    def __init__(self, table: Table, persistent: Callable[[Any], Any] | None) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._table, self._persistent = table, persistent

    def execute(self, name: str, argument: Any) -> None:
        """One instruction of those that are run, by its name in pickletools."""
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [self._last(_TUPLES[name])]
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name == "POP":
            stack.pop()
        elif name in _ASSEMBLING:
            self._assemble(name, argument)

    def _assemble(self, name: str, argument: Any) -> None:
        """The instructions that put values together."""
        match name:
            case "TUPLE":
                self.stack.append(tuple(self._marked()))
            case "APPEND":
                self._extend([self.stack.pop()])
            case "APPENDS":
                self._extend(self._marked())
            case "SETITEM":
                self._update([self.stack.pop(-2), self.stack.pop()])
            case "SETITEMS":
                self._update(self._marked())
            case "ADDITEMS":
                self._include(self._marked())
            case "GLOBAL":
                self._look_up(*argument)
            case "STACK_GLOBAL":
                self._look_up(self.stack.pop(-2), self.stack.pop())
            case "REDUCE" | "NEWOBJ":
                self._make(self.stack.pop(-2), self.stack.pop())
            case "BUILD":
                self._build(self.stack.pop())
            case "BINPERSID":
                self._resolve(self.stack.pop())

    def _last(self, n: int) -> tuple[Any, ...]:
        if len(self.stack) < n:
            raise PlainDataError("its pickle takes more than it made")
        return tuple(self.stack[-n:])

    def _marked(self) -> list[Any]:
        start = self._marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise PlainDataError("its pickle appends to what is no list")
        self.stack[-1].extend(items)

    def _update(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise PlainDataError("its pickle sets items of what is no dictionary")
        self.stack[-1].update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def _include(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not set:
            raise PlainDataError("its pickle adds to what is no set")
        self.stack[-1].update(map(_key, items))

    def _look_up(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str or (module, name) not in self._table:
            raise PlainDataError(f"it calls for {_said(module)}.{_said(name)}, which is code and not plain data")
        self.stack.append(self._table[module, name])

    def _make(self, maker: Any, args: Any) -> None:
        if type(maker) is not Maker or type(args) is not tuple or len(args) > MAX_ARGUMENTS:
            raise PlainDataError("its pickle calls what cannot be called")
        self.stack.append(maker.make(*args))

    def _build(self, state: Any) -> None:
        target = self.stack[-1]
        if type(target) is Record:
            target.state = state
        elif type(target) is not dict:  # attributes of a dictionary, such as a state dict's _metadata, are left out
            raise PlainDataError("its pickle sets the state of what has none")

    def _resolve(self, reference: Any) -> None:
        if self._persistent is None:
            raise PlainDataError("its pickle refers to something outside itself")
        self.stack.append(self._persistent(reference))


def _key(key: Any) -> Any:
    """Only flat keys: hashing a deeply nested one would overflow the interpreter's stack."""
    if key is not None and type(key) not in (str, int, bytes, bool, float):
        raise PlainDataError("its pickle uses a key that is no plain value")
    if type(key) is int and abs(key) >= LARGEST_KEY:
        raise PlainDataError("its pickle uses a number as key that is larger than any address")
    return key


def _said(name: Any) -> str:
    """A name of the file's, for a message. Of other values only the kind: the text of a nest may have no end."""
    return name[:60] if type(name) is str else f"[{type(name).__name__}]"
