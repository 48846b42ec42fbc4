"""Strangers' pickles become plain data or one error; nothing in them runs and no length field is believed."""

import collections
import contextlib
import io
import os
import pickle
import pickletools
import resource
import subprocess
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livelav.core import inert, inert_torch
from livelav.core.inert import PlainDataError, Record, read_pickle, recorder
from livelav.core.inert_torch import read_torch

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.sets(st.text()),
)


def load(content: bytes, table: inert.Table | None = None) -> Any:
    return read_pickle(io.BytesIO(content), table or {})


@given(PLAIN, st.sampled_from([2, 3, 4, 5]))
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    table = {("builtins", "set"): inert.Maker(set), ("__builtin__", "set"): inert.Maker(set)}
    table |= {("_codecs", "encode"): inert.Maker(lambda text, _: text.encode("latin1"))}
    table |= {("__builtin__", "bytes"): inert.Maker(bytes)}
    assert load(pickle.dumps(value, protocol), table) == value


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
@example(b"\x80\x04]\x94h\x00a.")  # a list that holds itself
@example(b"0.")
@example(b"(t(")
def test_any_bytes_give_a_value_or_the_one_error(content: bytes) -> None:
    for read in (load, read_torch):
        try:
            read(content)
        except PlainDataError:
            continue


_OPCODES = [op.code.encode("latin-1") for op in pickletools.opcodes]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_OPCODES) | st.binary(min_size=1, max_size=4), max_size=60))
def test_any_opcodes_give_a_value_or_the_one_error(program: list[bytes]) -> None:
    with contextlib.suppress(PlainDataError):
        load(b"\x80\x04" + b"".join(program) + b".")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (b"\x96\xff\xff\xff\xff\x00\x00\x00\x00.", "damaged"),  # BYTEARRAY8 of 4 GiB
        (b"\x8e\xff\xff\xff\xff\x01\x00\x00\x00a.", "damaged"),  # BINBYTES8 of 8 GiB
        (b"\x97.", "NEXT_BUFFER"),
        (b"\x82\x01.", "EXT1"),
        (b"cos\nsystem\n.", r"os\.system, which is code"),
        (b"\x8c\x02os\x8c\x06system\x93.", r"os\.system, which is code"),
        (b"(K\x01ios\nsystem\n.", "INST"),
        (b"\x8c\x02os)R.", "cannot be called"),
        (b"K\x01K\x02\x86Q.", "outside itself"),
        (b"Pabc\n.", "PERSID"),
        (b"}))s.", "no plain value"),
        (b"K\x01}b.", "state of what has none"),
        (b"K\x01.", ""),
        (b"K\x01", "damaged"),
        (b"\x85.", "takes more"),
        (b"h\x07.", "damaged"),
        (b"Nr\xff\xff\xff\xff.", "out of order"),  # a memo index of 4 Gi
    ],
)
def test_what_plain_data_does_not_need_is_refused(program: bytes, reason: str) -> None:
    if not reason:
        assert load(program) == 1
        return
    with pytest.raises(PlainDataError, match=reason):
        load(program)


def test_an_endless_pickle_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inert, "MAX_OPERATIONS", 1000)
    with pytest.raises(PlainDataError, match="more than 1000"):
        load(b"N" * 2000 + b".")


def test_deep_nests_do_not_overflow_anything() -> None:
    deep = load(b")" + b"\x85" * 200_000 + b".")
    assert type(deep) is tuple
    with pytest.raises(PlainDataError, match="no plain value"):
        load(b"}" + b")" + b"\x85" * 200_000 + b"Ns.")


def nested(times: int) -> bytes:
    """A tuple of two that are one, and so on: 2^times leaves."""
    return b")q\x00" + b"0h\x00h\x00\x86q\x00" * times


def colliding(n: int) -> bytes:
    """A key and its value; all such keys have the hash 0."""
    return b"\x8a\x0a" + (n * ((1 << 61) - 1)).to_bytes(10, "little") + b"N"


@pytest.mark.parametrize(
    "program",
    [
        nested(60) + b"\x8c\x01x\x93.",  # a name, to be said in a message
        b"}" + nested(60) + b"Ns.",  # a key, to be hashed
        b"}(" + b"".join(map(colliding, range(1, 99_999))) + b"u.",
        b"ctorch._utils\n_rebuild_tensor_v2\nq\x00(" + b"N" * 99_999 + b"tq\x01" + b"h\x00h\x01R" * 99_999 + b".",
    ],
    ids=["name", "key", "keys of one hash", "arguments"],
)
def test_little_that_would_be_endless_work(program: bytes) -> None:
    with pytest.raises(PlainDataError):
        load(program, inert_torch.TORCH)


@pytest.mark.parametrize(("empty", "add"), [(b"}", b"(K\x01Nu"), (b"\x8f", b"(K\x01\x90")], ids=["dictionary", "set"])
def test_keys_are_few(empty: bytes, add: bytes) -> None:
    """At once or one by one: numbers can be laid out so that each new one is compared with all that are there."""
    each = [add.replace(b"K\x01", b"M" + n.to_bytes(2, "little")) for n in range(inert.MOST_KEYS + 1)]
    assert len(load(empty + b"".join(each[:-1]) + b".")) == inert.MOST_KEYS
    at_once = b"(" + b"".join(one[1:-1] for one in each) + add[-1:]
    for program in (b"".join(each), at_once):
        with pytest.raises(PlainDataError, match="more than 1000 keys"):
            load(empty + program + b".")


def test_what_is_remembered_is_numbered_in_order() -> None:
    counted = b"".join(b"r" + n.to_bytes(4, "little") for n in range(1, 3000))
    assert load(b"N" + counted + b".") is None, "as Python 2 does, from 1"
    with pytest.raises(PlainDataError, match="out of order"):
        load(b"N" + counted + b"r" + (1 << 20).to_bytes(4, "little") + b".")


def test_a_storage_has_a_short_name() -> None:
    """All that is said of it has that name."""
    known = {"0": bytes(4), "k" * 1_000_000: bytes(4)}
    resolve = inert_torch._storages(known.__getitem__)
    good, long = (("storage", np.dtype("<f4"), key, "cpu", 1) for key in known)
    assert resolve(good).array() == 0
    with pytest.raises(PlainDataError, match="proper name"):
        resolve(long)


def test_what_is_nested_is_counted_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inert, "MAX_OPERATIONS", 1000)
    left = inert.budget()
    assert read_pickle(io.BytesIO(b"N" + b"0N" * 450 + b"."), {}, left=left) is None
    with pytest.raises(PlainDataError, match="more than 1000"):
        read_pickle(io.BytesIO(b"N" + b"0N" * 450 + b"."), {}, left=left)


def test_archives_with_two_entries_of_one_name_or_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            target.writestr("archive/data.pkl", b"N.")
    with pytest.raises(PlainDataError, match="two entries"):
        read_torch(buffer.getvalue())
    monkeypatch.setattr(inert_torch, "MAX_ENTRIES", 1)
    with pytest.raises(PlainDataError, match="more than 1 entries"):
        read_torch(buffer.getvalue())


def test_a_table_turns_classes_into_records() -> None:
    content = pickle.dumps(collections.Counter(a=1), 2)
    counted = load(content, {("collections", "Counter"): recorder("counter")})
    assert isinstance(counted, Record)
    assert (counted.kind, counted.args) == ("counter", ({"a": 1},))
    with pytest.raises(PlainDataError, match=r"collections\.Counter"):
        load(content, {("collections", "OrderedDict"): recorder("dict"), ("collections.Counter", ""): 1})


def saved(value: Any, old_layout: bool) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not old_layout)
    return buffer.getvalue()


@pytest.mark.parametrize("old_layout", [False, True])
def test_tensors_equal_what_torch_saved(old_layout: bool) -> None:
    import torch

    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "whole": base,
        "turned": base.T,
        "part": base[1:3, ::2],
        "scalar": torch.tensor(3.5, dtype=torch.float64),
        "empty": torch.zeros(0, 5),
        "half": torch.ones(3, dtype=torch.float16),
        "long": torch.tensor([[1, -2]]),
        "bytes": torch.tensor([1, 255], dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
        "unsigned": torch.tensor([[1, 65535]], dtype=torch.uint16),  # in a storage of bytes
    }
    tree = read_torch(saved({**tensors, "learned": torch.nn.Parameter(base)}, old_layout))
    for name, tensor in {**tensors, "learned": base}.items():
        found = tree[name].array()
        np.testing.assert_array_equal(found, tensor.numpy())
        assert found.dtype == tensor.numpy().dtype
        assert not found.flags.writeable


@pytest.mark.parametrize("old_layout", [False, True])
def test_bfloat16_becomes_float32(old_layout: bool) -> None:
    import torch

    tensor = torch.tensor([[1.0, -2.5, 3e38], [0.1, float("inf"), 1e-39]]).to(torch.bfloat16)
    found = read_torch(saved(tensor.T, old_layout)).array()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, tensor.T.float().numpy())


def test_tensors_that_leave_their_storage_are_refused() -> None:
    storage = inert_torch.Storage(np.dtype("<f4"), "0", 6, lambda key: bytes(24))
    make = inert_torch.TORCH["torch._utils", "_rebuild_tensor_v2"].make
    assert make(storage, 0, (2, 3), (3, 1), False, {}).array().shape == (2, 3)
    for offset, shape, strides in [
        (1, (2, 3), (3, 1)),
        (0, (7,), (1,)),
        (0, (6, 6), (0, 1)),  # one storage blown up by strides of zero
        (0, (1 << 40,), (0,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (True,), (1,)),
        (0, (2,), (1, 1)),
        (0, (1,) * 40, (1,) * 40),
    ]:
        with pytest.raises(PlainDataError, match="tensor"):
            make(storage, offset, shape, strides, False, {})


def test_archives_that_lie_about_their_size_are_refused() -> None:
    import torch

    content = saved(torch.zeros(1000), old_layout=False)
    source = zipfile.ZipFile(io.BytesIO(content))
    squeezed, doubled = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(PlainDataError, match="compressed"):
        read_torch(squeezed.getvalue())
    with zipfile.ZipFile(doubled, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[: len(data) // 2] if "data/" in name else data)
    with pytest.raises(PlainDataError, match="truncated"):
        read_torch(doubled.getvalue()).array()


def test_flipped_bytes_give_a_value_or_the_one_error() -> None:
    import torch

    draw = np.random.default_rng(0)
    for old_layout in (False, True):
        content = saved({"a": torch.zeros(3), "b": [torch.ones(2, 2), "text"]}, old_layout)
        for _ in range(300):
            mutant = bytearray(content)
            for at in draw.integers(0, len(mutant), 3):
                mutant[at] = draw.integers(256)
            try:
                tree = read_torch(bytes(mutant))
                for tensor in [tree["a"], *tree["b"]] if type(tree) is dict and {"a", "b"} <= set(tree) else []:
                    if isinstance(tensor, inert_torch.Tensor):
                        tensor.array()
            except (PlainDataError, TypeError):  # TypeError: our own unpacking of a changed tree, just above
                continue


_GADGETS = """
    import io, pickle, resource, sys
    from livelav.core.inert import PlainDataError, read_pickle
    from livelav.core.inert_torch import TORCH

    class Gadget:
        def __init__(self, call, *args): self.call, self.args = call, args
        def __reduce__(self): return self.call, self.args

    import builtins, codecs, functools, importlib, operator, os, runpy, shutil, subprocess, types
    gadgets = [
        Gadget(os.system, "true"), Gadget(os.popen, "true"), Gadget(subprocess.Popen, ["true"]),
        Gadget(builtins.eval, "1"), Gadget(builtins.exec, "1"), Gadget(builtins.__import__, "this"),
        Gadget(builtins.compile, "1", "x", "eval"), Gadget(builtins.open, "/dev/null"), Gadget(getattr, 1, "real"),
        Gadget(importlib.import_module, "this"), Gadget(runpy.run_path, "x"), Gadget(shutil.rmtree, "/nowhere"),
        Gadget(functools.partial, os.system, "true"), Gadget(operator.attrgetter("system"), "os"),
        Gadget(codecs.decode, b"x", "zlib"), Gadget(types.SimpleNamespace), Gadget(builtins.bytearray, 1 << 33),
    ]
    programs = [pickle.dumps(g, p) for g in gadgets for p in (2, 4)]
    programs += [b"\\x80\\x04\\x96" + (1 << 32).to_bytes(8, "little") + b".", b"\\x8d" + b"\\xff" * 8 + b"."]
    programs += [b"\\x95" + (1 << 40).to_bytes(8, "little") + b".", b"N" + b"r\\xff\\xff\\xff\\xff" + b"0" * 5 + b"."]
    programs += [b"ctorch.storage\\n_load_from_bytes\\n(C\\x01at\\x85R.", b"cnumpy\\nload\\n."]
    seen, watching = [], False
    sys.addaudithook(lambda event, args: seen.append(event) if watching else None)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))  # a length field that is believed ends in MemoryError
    watching = True
    refused = 0
    for program in programs:
        try:
            read_pickle(io.BytesIO(program), TORCH)
        except PlainDataError:
            refused += 1
    watching = False
    print(refused, len(programs), sorted(set(seen)))
"""


def test_gadgets_reach_nothing(tmp_path: Path) -> None:
    """Python's own audit events are the witness: no import, open, compile, exec or process is ever asked for."""
    script = tmp_path / "gadgets.py"
    script.write_text(textwrap.dedent(_GADGETS))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    refused, total, events = done.stdout.strip().split(" ", 2)
    assert (refused, events) == (total, "[]")
    assert int(total) > 30


def test_a_large_state_is_read_without_copies() -> None:
    import torch

    content = saved({str(i): torch.zeros(1 << 20) for i in range(8)}, old_layout=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tree = read_torch(content)
    views = [tree[str(i)].array() for i in range(8)]
    assert sum(view.nbytes for view in views) == 32 << 20
    assert all(not view.flags.owndata for view in views)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 48 << 10  # kB; io.BytesIO shares the bytes
