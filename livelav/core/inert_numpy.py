"""numpy's arrays, dtypes and scalars out of strangers' pickles: kept as Records, made into arrays when asked for.

numpy itself is never called with what a file says before that has been checked: the kind of number must be on a list,
and the shape must account for every byte that is there. See inert.py. Pure.
"""

import math
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.inert import MAX_FILE_BYTES, Maker, PlainDataError, Record, Table, recorder

MAX_DIMENSIONS = 16
_KINDS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})
_OLD, _NEW = "numpy.core", "numpy._core"  # its name changed with numpy 2

NUMPY: Table = MappingProxyType(
    {
        ("numpy", "dtype"): recorder("dtype"),
        ("numpy", "ndarray"): "numpy.ndarray",  # a marker, and no Record: a pickle could set its state for ever
        **{(f"{core}.multiarray", "_reconstruct"): Maker(lambda *_: Record("ndarray", ())) for core in (_OLD, _NEW)},
        **{(f"{core}.multiarray", "scalar"): recorder("scalar") for core in (_OLD, _NEW)},
        **{(f"{core}.numeric", "_frombuffer"): recorder("buffer") for core in (_OLD, _NEW)},
    }
)


def array(value: Record) -> NDArray[Any]:
    """A read-only view of a Record "ndarray" or "buffer". Raises PlainDataError for any other and for damaged ones."""
    if value.kind == "ndarray" and type(value.state) is tuple and len(value.state) == 5:
        _, shape, dtype, fortran, data = value.state
    elif value.kind == "buffer" and len(value.args) == 4:
        data, dtype, shape, order = value.args
        fortran = order == "F"
    else:
        raise PlainDataError(f"a {value.kind} where an array is due")
    numbers = np.frombuffer(_whole(data, _dtype(dtype), shape), _dtype(dtype))
    return numbers.reshape(shape, order="F" if fortran is True else "C")


def nbytes(value: Record) -> int:
    """What such a Record carries."""
    data = value.state[-1] if type(value.state) is tuple and value.state else value.args[0] if value.args else b""
    return len(data) if type(data) in (bytes, bytearray) else 0


def number(value: Any) -> float | None:
    """A plain number or a Record "scalar"; None where it is neither."""
    if type(value) in (int, float):
        return float(value) if abs(value) < 1e300 else None
    if type(value) is Record and value.kind == "scalar" and len(value.args) == 2:
        dtype, data = value.args
        return float(np.frombuffer(_whole(data, _dtype(dtype), ()), _dtype(dtype))[0])
    return None


def _dtype(record: Any) -> np.dtype[Any]:
    """numpy pickles a dtype as its name, and then a state that begins with a version and the order of bytes."""
    if type(record) is not Record or record.kind != "dtype" or not record.args or type(record.args[0]) is not str:
        raise PlainDataError("an array without a kind of number")
    name, state = record.args[0], record.state
    if name not in _KINDS:
        raise PlainDataError(f"an array of {name[:20]}, which is no plain number")
    if state is not None and (
        type(state) is not tuple or len(state) < 5 or state[1] not in ("<", "|", "=") or state[2:5] != (None,) * 3
    ):
        raise PlainDataError("an array of big-endian or compound numbers; only plain little-endian ones are read")
    return np.dtype(name).newbyteorder("<")


def _whole(data: Any, dtype: np.dtype[Any], shape: Any) -> bytes | bytearray:
    """The data, if the shape accounts for every byte."""
    if type(data) not in (bytes, bytearray) or type(shape) is not tuple or len(shape) > MAX_DIMENSIONS:
        raise PlainDataError("an array without a shape and numbers")
    if any(type(n) is not int or not 0 < n <= MAX_FILE_BYTES for n in shape):
        raise PlainDataError("an array whose shape is made of no proper numbers")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise PlainDataError(f"an array of shape {shape} with {len(data)} bytes: truncated?")
    whole: bytes | bytearray = data
    return whole
