"""Reads strangers' pickles as plain data; nothing in them is ever imported, called or executed.

A pickle is a small program. This runs only those of its instructions that make plain values, over the standard
library's own parser of them, within bounds on their number. Where a pickle names a class or function, that name is
looked up in an exact table of (module, name); whatever stands there is ours. torch's tensors and numpy's arrays have
such tables in inert_torch.py and inert_numpy.py.

It does not know what the data mean, and a tree it returns may hold itself or be nested very deep: whoever walks one
must bound the walk. Any fault in a file is a PlainDataError; the caller says which file and what to do.

Work is bounded by the file's own length: no instruction costs more than what it takes off the stack, so that naming
one large value many times over gains nothing, and what a file holds inside itself is counted with it. Only a look-up
among keys may cost as much as there are keys, where a file lays them out so; hence none has many.

Pure; no process or thread of its own. Source: the standard library's pickletools.
"""

import io
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

MAX_OPERATIONS = 500_000  # three StyleGAN2 networks of 1024 px in one pickle take 66,000
MAX_ARGUMENTS = 16  # of one call
MAX_FILE_BYTES = 2 << 30
LONGEST_KEY = 1_000
LARGEST_KEY = 1 << 60  # whole numbers below it have different hashes
MAX_GAP = 255  # between the numbers under which things are remembered: pickles count them up
MOST_KEYS = 1_000  # of one dictionary or set; numbers that are laid out for it make each look-up pass all of them


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


def read_pickle(
    stream: io.BytesIO, table: Table, persistent: Callable[[Any], Any] | None = None, left: Budget | None = None
) -> Any:
    """Runs one pickle from where `stream` stands; leaves it just behind.

    `table` gives what each (module, name) stands for: a value of ours, or a Maker. `persistent` resolves what the
    pickle keeps outside itself. `left` is the file's budget where this is not all of it. Raises PlainDataError for
    anything else, however damaged or hostile the bytes are.
    """
    return guarded(lambda: _run(stream, _Machine(table, persistent), budget() if left is None else left), "pickle")


def guarded(work: Callable[[], Any], what: str) -> Any:
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
            if argument > len(self._memo) + MAX_GAP:
                raise PlainDataError("its pickle remembers things out of order")
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
        _check_room(self.stack[-1], len(items) // 2)
        self.stack[-1].update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def _include(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not set:
            raise PlainDataError("its pickle adds to what is no set")
        _check_room(self.stack[-1], len(items))
        self.stack[-1].update(map(_key, items))

    def _look_up(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str or (module, name) not in self._table:
            raise PlainDataError(f"it calls for {said(module)}.{said(name)}, which is code and not plain data")
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


def _check_room(target: dict[Any, Any] | set[Any], more: int) -> None:
    if len(target) + more > MOST_KEYS:
        raise PlainDataError(f"its pickle has a dictionary or set of more than {MOST_KEYS} keys")


def _key(key: Any) -> Any:
    """Only flat keys: hashing a deeply nested one would overflow the interpreter's stack."""
    if key is not None and type(key) not in (str, int, bytes, bool, float):
        raise PlainDataError("its pickle uses a key that is no plain value")
    if type(key) in (str, bytes) and len(key) > LONGEST_KEY:  # equal ones are compared whole, each time
        raise PlainDataError("its pickle uses a key that is longer than any name")
    if type(key) is int and abs(key) >= LARGEST_KEY:
        raise PlainDataError("its pickle uses a number as key that is larger than any address")
    return key


def said(name: Any) -> str:
    """A name of the file's, for a message. Of other values only the kind: the text of a nest may have no end."""
    return name[:60] if type(name) is str else f"[{type(name).__name__}]"
