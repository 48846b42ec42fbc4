"""Checkpoints made to do harm, each with a line on what it tries: to run something, reach out, use up the machine.

`gadgets()` gives (what it tries, the file's bytes). Every one is to end in one CheckpointError.
"""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator

from x_programs import (
    LEGACY_HEAD,
    PROTO,
    STOP,
    array,
    blob,
    call,
    dtype,
    integer,
    legacy,
    mapping,
    module,
    named,
    named_dict,
    network,
    reference,
    tensor,
    text,
)

TWO, FOUR = b"\x80\x02", b"\x80\x04"
NOTHING = b")"
MANY = 100_000
HUGE = 1 << 20

CALLS: tuple[tuple[str, str, bytes, str], ...] = (
    ("os", "system", text("true"), "a shell"),
    ("posix", "system", text("true"), "a shell, under its module's real name"),
    ("nt", "system", text("ver"), "a shell on Windows"),
    ("os", "popen", text("true"), "a shell and what it says"),
    ("os", "execv", text("/bin/true"), "another program in place of this one"),
    ("os", "execlp", text("true"), "the same by the search path"),
    ("os", "spawnlp", text("true"), "a child"),
    ("os", "posix_spawn", text("/bin/true"), "a child without a shell"),
    ("os", "fork", b"", "a second process"),
    ("os", "kill", integer(1), "a signal"),
    ("os", "_exit", integer(0), "an end without a word"),
    ("os", "remove", text("/nowhere"), "a file's end"),
    ("os", "putenv", text("PATH"), "another environment"),
    ("os", "startfile", text("calc"), "a program on Windows"),
    ("subprocess", "Popen", text("true"), "a child"),
    ("subprocess", "run", text("true"), "a child that is waited for"),
    ("subprocess", "check_output", text("true"), "a child's output"),
    ("subprocess", "getoutput", text("true"), "a shell's output"),
    ("commands", "getoutput", text("true"), "a shell in Python 2"),
    ("platform", "popen", text("true"), "a shell by a side door"),
    ("pty", "spawn", text("true"), "a terminal with a child in it"),
    ("webbrowser", "open", text("http://127.0.0.1"), "a browser"),
    ("socket", "create_connection", b"N", "a connection"),
    ("socket", "socket", b"", "a socket"),
    ("urllib.request", "urlopen", text("http://127.0.0.1"), "a page"),
    ("http.client", "HTTPConnection", text("127.0.0.1"), "a server"),
    ("ftplib", "FTP", text("127.0.0.1"), "another kind of server"),
    ("smtplib", "SMTP", text("127.0.0.1"), "a letter"),
    ("builtins", "eval", text("1"), "an expression"),
    ("builtins", "exec", text("1"), "statements"),
    ("builtins", "compile", text("1"), "code"),
    ("builtins", "__import__", text("this"), "a module"),
    ("builtins", "getattr", b"N", "an attribute, and from it anything"),
    ("builtins", "setattr", b"N", "a changed attribute"),
    ("builtins", "open", text("was-run"), "a file"),
    ("builtins", "input", b"", "a wait for ever"),
    ("builtins", "breakpoint", b"", "a debugger"),
    ("builtins", "map", b"N", "calls later on"),
    ("builtins", "bytearray", integer(1 << 31), "two gigabytes of zeros"),
    ("builtins", "range", integer(1 << 40), "a very long range"),
    ("builtins", "pow", integer(1 << 40), "a very large number"),
    ("builtins", "object", b"", "a bare object, to hang a state on"),
    ("builtins", "type", b"N", "a class"),
    ("builtins", "globals", b"", "everybody's names"),
    ("builtins", "exit", b"", "an end"),
    ("__builtin__", "eval", text("1"), "an expression in Python 2"),
    ("__builtin__", "file", text("was-run"), "a file in Python 2"),
    ("__main__", "main", b"", "whatever the program itself has"),
    ("importlib", "import_module", text("this"), "a module"),
    ("importlib.machinery", "SourceFileLoader", text("x"), "a module from a file"),
    ("runpy", "run_path", text("x.py"), "a script"),
    ("runpy", "_run_code", text("1"), "code"),
    ("code", "interact", b"", "a prompt"),
    ("pdb", "run", text("1"), "a debugger"),
    ("timeit", "timeit", text("1"), "statements, a million times"),
    ("cProfile", "run", text("1"), "statements, measured"),
    ("trace", "Trace", b"", "statements, traced"),
    ("functools", "partial", named("os", "system"), "a call that is kept for later"),
    ("functools", "reduce", b"N", "a chain of calls"),
    ("operator", "attrgetter", text("system"), "a getter"),
    ("operator", "methodcaller", text("system"), "a caller"),
    ("operator", "itemgetter", integer(0), "a getter of items"),
    ("itertools", "repeat", b"N", "something without end"),
    ("itertools", "product", b"N", "all of everything"),
    ("types", "CodeType", integer(0), "code from numbers"),
    ("types", "FunctionType", b"N", "a function from code"),
    ("types", "SimpleNamespace", b"", "a thing with attributes"),
    ("marshal", "loads", blob(b"\xe3"), "compiled code"),
    ("pickle", "loads", blob(b"cos\nsystem\n."), "a pickle in the pickle"),
    ("_pickle", "loads", blob(b"N."), "the same in C"),
    ("pickle", "Unpickler", b"N", "another reader"),
    ("dill", "loads", blob(b"N."), "a reader that can do more"),
    ("cloudpickle.cloudpickle", "_fill_function", b"N", "a function that was pickled whole"),
    ("joblib", "load", text("x"), "another file"),
    ("shelve", "open", text("x"), "a database of pickles"),
    ("yaml", "unsafe_load", text("x"), "another language that makes objects"),
    ("codecs", "decode", blob(b"x"), "a codec, which may unpack a lot"),
    ("_codecs", "encode", text("x"), "an encoder"),
    ("zlib", "decompress", blob(zlib.compress(bytes(HUGE))), "a bomb of zeros"),
    ("bz2", "decompress", blob(b"BZh"), "another bomb"),
    ("ctypes", "CDLL", text("libc.so.6"), "the machine itself"),
    ("ctypes", "string_at", integer(0), "any place in memory"),
    ("mmap", "mmap", integer(-1), "memory"),
    ("signal", "raise_signal", integer(15), "a signal"),
    ("threading", "Thread", b"", "a thread"),
    ("multiprocessing", "Process", b"", "a process"),
    ("concurrent.futures", "ProcessPoolExecutor", b"", "many processes"),
    ("asyncio", "run", b"N", "a loop"),
    ("shutil", "rmtree", text("/nowhere"), "a folder's end"),
    ("tempfile", "mkdtemp", b"", "a folder"),
    ("pathlib", "Path", text("/"), "a path"),
    ("io", "open", text("was-run"), "a file"),
    ("io", "FileIO", text("was-run"), "a file, one floor below"),
    ("sqlite3", "connect", text("was-run"), "a database"),
    ("logging.config", "listen", integer(9), "a server that runs what it is sent"),
    ("distutils.file_util", "write_file", text("was-run"), "a file"),
    ("lib2to3.pgen2.grammar", "Grammar.loads", blob(b"N."), "a pickle by way of a grammar"),
    ("linecache", "getlines", text("/etc/passwd"), "the lines of a file"),
    ("copyreg", "_reconstructor", named("builtins", "object"), "an object of any class"),
    ("copyreg", "__newobj__", named("builtins", "object"), "the same by another name"),
    ("copyreg", "add_extension", text("os"), "a shorter way in for the next pickle"),
    ("collections", "deque", b"", "a container that nobody needs"),
    ("collections", "defaultdict", named("os", "getcwd"), "a call at each missing key"),
    ("numpy", "load", text("x.npy"), "a file that may hold pickles"),
    ("numpy", "fromfile", text("/dev/zero"), "a file without end"),
    ("numpy", "memmap", text("/dev/zero"), "memory over a file"),
    ("numpy", "zeros", integer(1 << 40), "a terabyte"),
    ("numpy", "save", text("was-run"), "a file"),
    ("numpy.testing._private.utils", "runstring", text("1"), "statements"),
    ("numpy.testing", "rundocs", text("x"), "examples"),
    ("numpy.ctypeslib", "load_library", text("x"), "a library"),
    ("numpy.f2py.crackfortran", "myeval", text("1"), "an expression"),
    ("numpy.f2py.diagnose", "run_command", text("true"), "a shell"),
    ("numpy.distutils.exec_command", "exec_command", text("true"), "a shell"),
    ("numpy", "matrix", text("1"), "a text that is taken for numbers"),
    ("torch", "load", text("x.pt"), "another file"),
    ("torch.serialization", "load", text("x.pt"), "the same"),
    ("torch.hub", "load", text("x/y"), "a repository and its code"),
    ("torch.hub", "load_state_dict_from_url", text("http://127.0.0.1"), "a download"),
    ("torch.jit", "load", text("x.pt"), "a program of torch"),
    ("torch._jit_internal", "boolean_dispatch", b"N", "a dispatcher"),
    ("torch.jit.unsupported_tensor_ops", "execWrapper", text("1"), "statements"),
    ("torch.utils.collect_env", "run", text("true"), "a shell"),
    ("torch.utils.bottleneck.__main__", "run_cprofile", text("1"), "statements"),
    ("torch.utils._config_module", "load_config", blob(b"N."), "a pickle"),
    ("torch._dynamo.guards", "GuardBuilder.get", text("1"), "an expression"),
    ("torch._inductor.codecache", "compile_file", text("x"), "a compiler"),
    ("torch._utils", "_rebuild_wrapper_subclass", b"N", "a tensor of any class"),
    ("torch._utils", "_rebuild_sparse_tensor", b"N", "a sparse tensor"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy", b"N", "a tensor on a device"),
    ("torch._tensor", "_rebuild_from_type_v2", named("os", "system"), "a call of the file's choice"),
    ("torch.nn.modules.linear", "Linear", b"", "a real module"),
    ("torch_utils.persistence", "_src_to_module", text("import this"), "the source text of the file"),
    ("torch_utils.persistence", "import_hook", b"N", "a hook into the loader"),
    ("dnnlib.util", "call_func_by_name", text("os.system"), "any function by name"),
    ("dnnlib.util", "open_url", text("http://127.0.0.1"), "a download"),
    ("dnnlib.tflib.network", "Network.run", b"N", "a method of what it may name"),
    ("pip", "main", text("install"), "a package"),
    ("pip._internal.cli.main", "main", text("install"), "the same in a newer pip"),
    ("setuptools", "setup", b"", "a build"),
    ("livelav.core.store", "write_atomic", text("was-run"), "livelav's own functions"),
)  # fmt: skip


def gadgets() -> Iterator[tuple[str, bytes]]:
    for number, (owner, name, arguments, what) in enumerate(CALLS):
        yield f"{owner}.{name}: {what}", _placed(number, call(named(owner, name), arguments))
    yield from _opcodes()
    yield from _names()
    yield from _storages()
    yield from _arrays()
    yield from _networks()
    yield from _crowds()
    yield from _bombs()
    yield from _archives()


def generator(*items: tuple[bytes, bytes]) -> bytes:
    """A whole pickle whose G_ema has that state."""
    return PROTO + mapping((text("G_ema"), module(mapping(*items)))) + STOP


def parameters(*items: tuple[bytes, bytes]) -> bytes:
    return generator((text("_parameters"), mapping(*items)))


def variables(*pairs: tuple[str, bytes]) -> bytes:
    return PROTO + b"NN" + network(*pairs) + b"\x87" + STOP


def rosinality(*items: tuple[bytes, bytes]) -> bytes:
    return PROTO + mapping((text("g_ema"), mapping(*items))) + STOP


def vector(size: int, key: bytes = text("0")) -> bytes:
    """A tensor of so many bytes, in a torch file."""
    parts = (reference(size, "ByteStorage", key), b"K\x00", integer(size) + b"\x85", b"K\x01\x85", b"\x89", b"}")
    return call(named("torch._utils", "_rebuild_tensor_v2"), *parts)


def many(count: int) -> list[tuple[bytes, bytes]]:
    """So many names of what was kept as the ninth."""
    return [(text(f"w{number}"), b"h\x09") for number in range(count)]


def legacy_file(tree: bytes, size: int, key: bytes = text("0")) -> bytes:
    """A torch file of the older layout with that tree, and one storage of so many bytes."""
    return LEGACY_HEAD + TWO + tree + STOP + TWO + b"](" + key + b"e." + struct.pack("<q", size) + bytes(size)


def _placed(number: int, value: bytes) -> bytes:
    """In turn where a program, a network, an attribute, a tensor, a storage, another network or an archive would be."""
    nested = blob(legacy(1, bytes(4)).replace(named("torch", "FloatStorage"), value))
    return (
        PROTO + value + STOP,
        PROTO + mapping((text("G_ema"), value)) + STOP,
        generator((text("conv_clamp"), value)),
        parameters((text("weight"), value)),
        PROTO + call(named("torch.storage", "_load_from_bytes"), nested) + STOP,
        PROTO + value + value + b"N\x87" + STOP,
        archive(value),
    )[number % 7]


def _opcodes() -> Iterator[tuple[str, bytes]]:
    """Instructions that plain data do not need."""
    yield "INST: a class and its making in one", TWO + b"(" + text("true") + b"ios\nsystem\n."
    yield "OBJ: a class below its arguments", TWO + b"(cos\nsystem\n" + text("true") + b"o."
    yield "NEWOBJ of a class that is not on the list", TWO + named("subprocess", "Popen") + text("true") + b"\x85\x81."
    yield "NEWOBJ_EX with keywords", FOUR + named("subprocess", "Popen") + b")}\x92."
    yield "NEWOBJ_EX of what is on the list", FOUR + named("dnnlib.util", "EasyDict") + b")}\x92."
    yield "EXT1: a short name from the registry", TWO + b"\x82\x01)R."
    yield "EXT2", TWO + b"\x83\x01\x00)R."
    yield "EXT4", TWO + b"\x84\x01\x00\x00\x00)R."
    yield "EXT4 with a negative number", TWO + b"\x84\xff\xff\xff\xff)R."
    yield "PERSID: something outside, as a line", TWO + b"P../../etc/passwd\n."
    yield "BINPERSID where nothing is outside", TWO + text("storage") + b"\x85Q."
    yield "NEXT_BUFFER", b"\x80\x05\x97."
    yield "READONLY_BUFFER", b"\x80\x05N\x98."
    yield "DUP", TWO + b"N2" * 100 + b"."
    yield "STRING with an escape", TWO + b"S'\\x41'\n."
    yield "UNICODE with an escape", TWO + b"V\\ud800\n."
    yield "INT of a thousand digits", TWO + b"I" + b"9" * 1000 + b"\n."
    yield "LONG of a million digits, which takes minutes to read", TWO + b"L" + b"9" * HUGE + b"L\n."
    yield "LONG4 of a megabyte", TWO + b"\x8b" + struct.pack("<i", HUGE) + b"\x7f" * HUGE + STOP
    yield "LONG4 of negative length", TWO + b"\x8b\xff\xff\xff\xff."
    yield "FLOAT that is no number", TWO + b"Fnan\n."
    yield "PROTO 255", b"\x80\xffN."
    yield "PROTO once more in the middle", TWO + b"N\x80\x05\x80\x00."
    yield "a pickle of protocol 0, in text", b"cos\nsystem\n(S'true'\ntR."
    yield "POP of an empty stack", TWO + b"0" * 10 + STOP
    yield "POP_MARK without a mark", TWO + b"1."
    yield "STOP with nothing made", TWO + STOP
    yield "nothing after the first byte", b"\x80"
    yield "an instruction that there is none of", TWO + b"\xff."
    yield "REDUCE of a text", TWO + text("os.system") + b")R."
    yield "REDUCE with a list for arguments", TWO + named("collections", "OrderedDict") + b"]R."
    yield "REDUCE of a tensor", TWO + tensor((1,), (1,), 1, bytes(4)) + b")R."
    yield "BUILD of a function's attributes", TWO + named("collections", "OrderedDict") + b"}b."
    yield "BUILD of a marker for every later file", TWO + named("numpy", "ndarray") + mapping((text("x"), b"N")) + b"b."
    yield "BUILD of a dtype of ours", TWO + named("torch", "FloatStorage") + b"Nb."
    yield "BUILD of a tensor", TWO + tensor((1,), (1,), 1, bytes(4)) + b"}b."
    for name in ("__class__", "__dict__", "__setstate__", "__reduce__", "__reduce_ex__", "__del__", "__init__"):
        state = mapping((text(name), named("numpy", "dtype")))
        yield f"BUILD with {name}", TWO + mapping((text("G_ema"), module(b"}") + state + b"b")) + STOP
    slots = b"N" + mapping((text("state"), b"N")) + b"\x86"
    yield "BUILD with slots", TWO + mapping((text("G_ema"), module(b"}") + slots + b"b")) + STOP
    yield "SETITEM with a list as key", TWO + b"}]Ns."
    yield "SETITEMS with one item", TWO + b"}(Nu."
    yield "SETITEMS of a record", TWO + module(b"}") + b"(" + text("x") + b"Nu."
    yield "APPENDS to a tuple", TWO + b")(Ne."
    yield "ADDITEMS to a list", FOUR + b"](N\x90."
    yield "MEMOIZE of nothing", FOUR + b"\x94."
    yield "BINGET of what was never kept", TWO + b"h\x05."
    yield "LONG_BINPUT at four billion", TWO + b"Nr\xff\xff\xff\xff."
    yield "a second pickle behind the first", TWO + b"N." + TWO + named("os", "system") + text("true") + b"\x85R."


def _names() -> Iterator[tuple[str, bytes]]:
    """Ways to write a name."""
    yield "GLOBAL with a dotted name", TWO + named("torch", "_utils.os.system") + text("true") + b"\x85R."
    yield "GLOBAL with a carriage return", TWO + b"cos\r\nsystem\r\n)R."
    yield "GLOBAL of empty names", TWO + b"c\n\n)R."
    yield "GLOBAL without its second line", TWO + b"cos\nsystem"
    yield "GLOBAL beyond ASCII", TWO + "cоs\nsystem\n)R.".encode()
    yield "GLOBAL with bytes that are no text", TWO + b"c\xff\xfe\n\x80\n)R."
    yield "GLOBAL with an escape", TWO + b"c\\x6fs\nsystem\n)R."
    yield "GLOBAL of a megabyte", TWO + b"c" + b"o" * HUGE + b"\nsystem\n)R."
    yield "GLOBAL with zeros", TWO + b"cos\0\nsystem\0\n)R."
    yield "GLOBAL with colours for the terminal", TWO + b"c\x1b[2J\n\x1b]0;x\x07\n)R."
    yield "STACK_GLOBAL with numbers", FOUR + b"K\x01K\x02\x93."
    yield "STACK_GLOBAL with a tuple that holds itself often", FOUR + _doubled(60) + text("x") + b"\x93."
    yield "STACK_GLOBAL with bytes", FOUR + blob(b"os") + blob(b"system") + b"\x93."
    yield "STACK_GLOBAL with a line break", FOUR + text("os\nsystem") + text("x\ny") + b"\x93."
    yield "STACK_GLOBAL with half a surrogate", FOUR + text("\ud800") + text("\udfff") + b"\x93."
    yield "STACK_GLOBAL of os.system", FOUR + text("os") + text("system") + b"\x93" + text("true") + b"\x85R."
    yield "a name in the manner of Python 2", TWO + named("__builtin__", "apply") + b")R."


def _storages() -> Iterator[tuple[str, bytes]]:
    """torch's tensors that are not what they say."""
    load, float_storage = named("torch.storage", "_load_from_bytes"), named("torch", "FloatStorage")

    def weight(value: bytes) -> bytes:
        return parameters((text("weight"), value))

    def nested(content: bytes) -> bytes:
        return weight(call(load, blob(content)))

    def of(shape: tuple[int, ...], strides: tuple[int, ...], data: bytes = bytes(16), offset: int = 0) -> bytes:
        return weight(tensor(shape, strides, 4, data, offset))

    good = legacy(4, bytes(16))
    yield "a nested file that calls a shell", nested(good.replace(b"ctorch\nFloatStorage\n", b"cos\nsystem\n"))
    yield "a nested file that nests another", nested(LEGACY_HEAD + TWO + call(load, blob(good)) + STOP)
    yield "a nested file that is an archive", nested(archive(b"N"))
    yield "a nested file that is nothing", nested(b"")
    yield "a nested file cut short", nested(good[:-9])
    yield "a nested file with a storage too many", nested(good.replace(b"](", b"](" + text("1")))
    count = struct.pack("<q", 4)
    yield "a nested file that counts its numbers wrong", nested(good.replace(count, struct.pack("<q", -4)))
    yield "a nested file of 2^62 numbers", nested(good.replace(count, struct.pack("<q", 1 << 62)))
    yield "a nested file that is no bytes", weight(call(load, text("x")))
    yield "a nested file given twice", weight(call(load, blob(good), blob(good)))
    key = text("k" * HUGE)
    named_long = mapping((text("g_ema"), mapping((text("a"), vector(4, key) + b"q\x09"), *many(900))))
    yield "nine hundred tensors in a storage with a name of a megabyte", legacy_file(named_long, 4, key)
    yield "a name of a megabyte of a storage that is not whole", archive(named_long)
    yield "storage keys that are a nest", nested(legacy(4, bytes(16), key=_doubled(60)))
    yield "a system that is no dictionary", nested(good.replace(text("little_endian"), text("little_engine")))
    yield "a tensor beyond its storage", of((1000,), (1,))
    yield "a tensor that begins beyond it", of((1,), (1,), offset=9)
    yield "a tensor before it", of((1,), (1,), offset=-1)
    yield "a tensor with a stride backwards", of((2,), (-1,))
    yield "a tensor with strides of zero, blown up", of((1 << 20, 1 << 20), (0, 0))
    yield "a tensor of 2^80 numbers", of((1 << 20,) * 4, (0,) * 4)
    yield "a tensor of no numbers but 2^60 rows", of((0, 1 << 30, 1 << 30), (0, 0, 0))
    yield "a tensor of 64 dimensions", of((1,) * 64, (1,) * 64)
    yield "a tensor of more dimensions than strides", of((1, 1), (1,))
    yield "a storage shorter than it says", of((4,), (1,), bytes(3))
    one = call(load, blob(good))

    def rebuilt(storage: bytes, shape: bytes = b")", name: str = "_rebuild_tensor_v2", rest: bytes = b"") -> bytes:
        return weight(call(named("torch._utils", name), storage, b"K\x00", shape, shape, b"\x89", b"}", rest))

    yield "a tensor over no storage", rebuilt(b"N")
    yield "a tensor whose shape is a text", rebuilt(one, text("ab"))
    yield "a tensor of truth values for a shape", rebuilt(one, b"\x88\x85")
    yield "a tensor that is a class", weight(float_storage)
    typed = "_rebuild_tensor_v3"
    yield "a tensor of a type over numbers of another", rebuilt(one, b")", typed, named("torch", "float64"))
    yield "a tensor of a type that is a text", rebuilt(one, b")", typed, text("float64"))
    hook = call(named("torch._utils", "_rebuild_parameter"), b"N", b"\x88", named("os", "system"))
    yield "a parameter with hooks", weight(hook)
    key, little = text("0") + text("cpu"), text("little_endian")
    yield "a dictionary for a storage's key", nested(good.replace(key, b"}" + text("cpu")))
    yield "an old file that is big-endian", good.replace(little + b"\x88", little + b"\x89")
    yield "an old file with a shell in its third pickle", good.replace(little, named("os", "system"))


def _arrays() -> Iterator[tuple[str, bytes]]:
    """numpy's arrays that are not what they say."""

    def of(value: bytes) -> bytes:
        return variables(("lod", value))

    yield "an array of objects: pointers from a file", of(array((1,), bytes(8), dtype("O8", "|")))
    yield "an array of objects by another name", of(array((1,), bytes(8), dtype("object")))
    yield "an array of texts", of(array((1,), bytes(8), dtype("U2")))
    yield "an array of voids", of(array((1,), bytes(8), dtype("V8")))
    yield "an array of dates", of(array((1,), bytes(8), dtype("M8[s]")))
    yield "an array of records", of(array((1,), bytes(8), dtype("f4,O")))
    fields = b"N" + text("a") + b"\x85}"
    yield "a dtype that hides objects in its fields", of(array((1,), bytes(8), dtype("f8", "<", fields)))
    yield "a dtype that hides an array of objects", of(array((1,), bytes(8), dtype("f8", "<", dtype("O8") + b"NN")))
    yield "a dtype of big-endian numbers", of(array((1,), bytes(8), dtype("f8", ">")))
    yield "a dtype with a state that is a text", of(array((1,), bytes(8), dtype("f8") + text("state") + b"b"))
    yield "a dtype that is a function", of(array((1,), bytes(8), named("numpy", "dtype")))
    yield "a dtype of a class", of(array((1,), bytes(8), call(named("numpy", "dtype"), named("numpy", "ndarray"))))
    yield "an array of 2^62 numbers", of(array((1 << 31, 1 << 31), bytes(8), dtype("f8")))
    yield "an array whose size overflows to eight bytes", of(array((1 << 32, 1 << 32, 1), bytes(8), dtype("u1")))
    yield "an array of negative size", of(array((-1, -8), bytes(8), dtype("u1")))
    yield "an array with too few bytes", of(array((4,), bytes(8), dtype("f8")))
    yield "an array of no numbers and many rows", of(array((0, 1 << 40), b"", dtype("f8")))
    yield "an array of 40 dimensions", of(array((1,) * 40, bytes(8), dtype("f8")))
    rebuilt = named("numpy.core.multiarray", "_reconstruct")
    for name in ("matrix", "memmap", "recarray", "ma.MaskedArray"):
        yield f"an array of the kind {name}", of(call(rebuilt, named("numpy", name), b"K\x00\x85", blob(b"b")))
    yield "an array without a state", of(call(rebuilt, named("numpy", "ndarray"), b"K\x00\x85", blob(b"b")))
    yield (
        "an array with a dictionary for a state",
        of(call(rebuilt, named("numpy", "ndarray"), b")", blob(b"b")) + b"}b"),
    )
    scalar, buffer = named("numpy._core.multiarray", "scalar"), named("numpy._core.numeric", "_frombuffer")
    yield "a number that is an object", generator((text("conv_clamp"), call(scalar, dtype("O8"), blob(bytes(8)))))
    layer = module(mapping((text("conv_clamp"), call(scalar, dtype("O8"), blob(bytes(8))))))
    yield "a clamp that is an object", generator((text("_modules"), mapping((text("conv1"), layer))))
    yield "a buffer of objects", of(call(buffer, blob(bytes(8)), dtype("O8"), b"K\x01\x85", text("C")))
    yield "a buffer that is a text", of(call(buffer, text("12345678"), dtype("f8"), b"K\x01\x85", text("C")))
    yield (
        "a buffer in an order that there is none of",
        of(call(buffer, blob(bytes(8)), dtype("f8"), b"K\x02\x85", text("Z"))),
    )
    yield "a bytearray of 4 GiB in 20 bytes", b"\x80\x05\x96" + struct.pack("<Q", 1 << 32) + b"x."


def _networks() -> Iterator[tuple[str, bytes]]:
    """Trees that have no end, or another shape than a network."""

    def named_ema(value: bytes) -> bytes:
        return PROTO + mapping((text("G_ema"), value)) + STOP

    def children(*names: str) -> bytes:
        return mapping((text("_modules"), mapping(*((text(name), b"h\x02") for name in names))))

    # the record is kept before its state is filled, so that it can be put into itself
    loop = named("torch_utils.persistence", "_reconstruct_persistent_obj") + b"}q\x05\x85Rq\x02h\x05" + text("state")
    yield "a module that holds itself", named_ema(loop + children("a") + b"s0")
    yield "a module that holds itself a thousand times", named_ema(loop + children(*map(str, range(999))) + b"s0")
    tower = chain = module(b"}") + b"q\x02"
    for _ in range(40):
        tower += b"0" + module(children("a", "b")) + b"q\x02"
    yield "a tower of modules, each twice in the next", named_ema(tower)
    for _ in range(3000):
        chain += b"0" + module(children("a")) + b"q\x02"
    yield "modules three thousand deep", named_ema(chain)
    long_name = mapping((text("_modules"), mapping((text("a" * HUGE), module(b"}")))))
    yield "a module with a name of a megabyte", named_ema(module(long_name))
    yield "a dictionary that holds itself", PROTO + b"}q\x00" + text("G_ema") + b"h\x00s" + STOP
    yield "a dictionary that is its own state dict", PROTO + b"}q\x00" + text("g_ema") + b"h\x00s" + STOP
    yield "a list of variables that holds itself", variables(("lod", b"]q\x00h\x00a"))
    many = b"}(" + b"".join(text(str(n)) + b"N" for n in range(MANY)) + b"u"
    yield "a module with 10^5 parameters", generator((text("_parameters"), many))
    state = mapping((text("variables"), b"]"), (text("components"), many))
    crowd = named("dnnlib.tflib.network", "Network") + b")\x81" + state + b"b"
    yield "a network with 10^5 components", PROTO + b"NN" + crowd + b"\x87" + STOP
    rest = b"".join(text(f"w{n}") + b"h\x09" for n in range(900))
    for what, shape in (("small", (1, 1)), ("large", (HUGE, 1))):
        one = tensor(shape, (1, 1), HUGE, bytes(4 * HUGE)) + b"q\x09"
        yield (
            f"nine hundred {what} tensors that are one",
            generator((text("_parameters"), b"}(" + text("a") + one + rest + b"u")),
        )
    yield "parameters that are a list", generator((text("_parameters"), b"]"))
    yield "parameters with numbers for names", generator((text("_parameters"), mapping((b"K\x01", named_dict()))))
    yield "a generator that is a text", named_ema(text("Generator"))
    yield "a generator of nothing", generator()
    yield "a state dict of texts", rosinality((text("input.input"), text("print(1)")))
    number = tensor((1,), (1,), 1, bytes(4))
    yield "a style of a number with 3 digits too many", rosinality((text("style.999999.weight"), number))
    filters = mapping((text("g_ema"), mapping((text("convs.0.blur.kernel"), vector(80 * HUGE)))))
    yield "a filter of 80 MiB", legacy_file(filters, 80 * HUGE)
    truths = array((60 * HUGE,), bytes(60 * HUGE), dtype("b1", "|"))
    yield "a bias of 60 MiB, to each of which 1 is to be added", variables(("synthesis/4x4/Conv/mod_bias", truths))
    yield "a block of 2^99 px", rosinality((text("convs.99.conv.weight"), number))
    yield "a tuple of nothing", PROTO + b"NNN\x87."
    yield "a discriminator alone", PROTO + mapping((text("D"), module(b"}"))) + STOP
    yield "training's networks alone", PROTO + mapping((text("G"), module(b"}")), (text("D"), module(b"}"))) + STOP


def _crowds() -> Iterator[tuple[str, bytes]]:
    """Little that is named so often that it would be much."""
    for length in (980, 80):
        what = f"a million tensors of {length} letters each"
        names = [f"{n:0{length}}" for n in range(1000)]
        leaf = module(mapping((text("_parameters"), mapping(*((text(name), b"\x88") for name in names)))))
        crowd = mapping((text("_modules"), b"}(" + b"".join(text(f"m{n}") + b"h\x07" for n in range(999)) + b"u"))
        yield (
            f"{what}, in a module named often",
            PROTO + leaf + b"q\x070" + mapping((text("G_ema"), module(crowd))) + STOP,
        )
        leaf = network(*((name, b"N") for name in names)) + b"q\x07"
        crowd = b"}(" + b"".join(text(f"m{n}") + b"h\x07" for n in range(1000)) + b"u"
        state = mapping((text("variables"), b"]"), (text("components"), crowd))
        trunk = named("dnnlib.tflib.network", "Network") + b")\x81" + state + b"b"
        yield f"{what}, in a component named often", PROTO + b"N" + leaf + trunk + b"\x87" + STOP
    nothing = mapping(*((text(f"{n}"), b"N") for n in range(1000))) + b"q\x08"
    leaf = module(mapping((text("_parameters"), nothing), (text("_buffers"), b"h\x08")))
    crowd = mapping((text("_modules"), b"}(" + b"".join(text(f"m{n}") + b"h\x07" for n in range(999)) + b"u"))
    yield (
        "two million parameters that are none",
        PROTO + leaf + b"q\x070" + mapping((text("G_ema"), module(crowd))) + STOP,
    )


def _doubled(times: int) -> bytes:
    """A tuple of two that are one, and so on: 2^times leaves, in a few bytes."""
    return b")q\x63" + b"0h\x63h\x63\x86q\x63" * times


def _laid_out(bits: int) -> tuple[list[int], int]:
    """Numbers that fill the places of a dictionary of 2^bits in the order in which CPython looks for a free one, and
    one more for which it passes most of them."""
    mask = (1 << bits) - 1
    slots = [1]
    while len(slots) < (2 << bits) // 3 - 8:
        slots.append((5 * slots[-1] + 1) & mask)
    place = {slot: number for number, slot in enumerate(slots)}
    for number in range(1 + mask + 1, 1 << 31, mask + 1):
        rest, at = number, number & mask
        while rest and at in place:
            rest >>= 5
            at = (5 * at + rest + 1) & mask
        if place.get(at, len(slots)) < len(slots) // 4:
            return slots, number
    raise AssertionError("there is one")


def _bombs() -> Iterator[tuple[str, bytes]]:
    """Little that becomes much, or takes for ever."""
    yield "a billion laughs in tuples", PROTO + _doubled(60) + STOP
    yield "a billion laughs as a generator", PROTO + mapping((text("G_ema"), _doubled(60))) + STOP
    yield "a billion laughs in lists", PROTO + b"]q\x00" + b"0](h\x00h\x00eq\x00" * 60 + STOP
    yield "a billion laughs as a key", PROTO + b"}" + _doubled(60) + b"Ns" + STOP
    yield "a billion laughs as a key of a set", PROTO + b"\x8f(" + _doubled(60) + b"\x90" + STOP
    yield "tuples 10^5 deep", PROTO + b")" + b"\x85" * MANY + STOP
    yield "lists 10^5 deep", PROTO + b"](" * MANY + b"e" * MANY + STOP
    yield "dictionaries 10^5 deep", PROTO + (b"}" + text("a")) * MANY + b"N" + b"s" * MANY + STOP
    record, tf = (
        named("torch_utils.persistence", "_reconstruct_persistent_obj"),
        named("dnnlib.tflib.network", "Network"),
    )
    yield "records 10^5 deep", PROTO + record * MANY + b"N" + b"\x85R" * MANY + STOP
    yield "states 10^5 deep", PROTO + (tf + b")\x81") * MANY + b"N" + b"b" * MANY + STOP
    yield "marks without end", PROTO + b"(" * (2 * HUGE) + STOP
    yield "as many values as there may be instructions", PROTO + b"\x8f" * (2 * HUGE) + STOP
    yield "as many values, and all remembered", PROTO + b"\x8f\x94" * HUGE + STOP
    key = b"\x8a\x09" + ((1 << 61) - 1).to_bytes(9, "little")
    same = b"".join(b"\x8a\x0a" + (n * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for n in range(1, MANY))
    yield "a hundred thousand keys of one hash", PROTO + b"}(" + key + b"N" + same + b"u" + STOP
    yield "the same as a set", PROTO + b"\x8f(" + same.replace(b"N\x8a\x0a", b"\x8a\x0a") + b"\x90" + STOP
    slots, last = _laid_out(17)
    for what, number in (("whole", integer), ("whole floating", lambda n: b"G" + struct.pack(">d", n))):
        keys = b"".join(number(n) + b"N" for n in slots)
        program = number(last) + b"q\x050}(" + keys + b"u" + b"h\x05Ns" * 90_000
        yield f"{what} numbers as keys that lie in each other's way", PROTO + program + STOP
    program = b"".join(b"r" + struct.pack("<I", n) for n in [*slots, *[last] * 300_000])
    yield "things remembered in each other's way", PROTO + b"N" + program + STOP
    make = named("torch_utils.persistence", "_reconstruct_persistent_obj") + b"q\x01(" + b"N" * MANY + b"tq\x02"
    yield "a call with 10^5 arguments, again and again", PROTO + make + b"0" + b"h\x01h\x02R0" * MANY + b"N" + STOP
    items = named("builtins", "set") + b"q\x01](" + b"N" * MANY + b"eq\x02"
    yield "a set of a long list, again and again", PROTO + items + b"0" + b"h\x01h\x02\x85R0" * MANY + b"N" + STOP
    load = named("torch.storage", "_load_from_bytes")
    content = legacy(HUGE, bytes(4 * HUGE))
    again = load + b"q\x01" + blob(content) + b"q\x02" + b"0h\x01h\x02\x85R" * MANY
    yield "one nested file, read 10^5 times", PROTO + again + STOP
    busy = legacy(1, bytes(4)).replace(b"}(", b"N0" * 200_000 + b"}(", 1)
    yield "nested files of many instructions", PROTO + (load + blob(busy) + b"\x85R0") * 10 + b"N" + STOP
    rebuild = named("torch._utils", "_rebuild_tensor_v2") + b"q\x01" + call(load, blob(legacy(1, bytes(4)))) + b"q\x02"
    long = b"(" + b"K\x00" * MANY + b"tq\x03"
    again = b"h\x01(h\x02K\x00h\x03h\x03\x89}tR0" * 50_000
    yield "a shape of 10^5 dimensions, again and again", PROTO + rebuild + long + again + STOP
    parts = reference(1)[:-2] + b"N" * MANY + b"tq\x03"
    yield "a reference of 10^5 parts, again and again", LEGACY_HEAD + TWO + parts + b"h\x03Q0" * MANY + b"N."
    yield "a text of 2 GiB in 10 bytes", PROTO + b"X\xff\xff\xff\x7fabc."
    yield "a text of 2^63 bytes", PROTO + b"\x8d" + b"\xff" * 7 + b"\x7fabc."
    yield "bytes of 4 GiB", PROTO + b"B\xff\xff\xff\xff."
    yield "a frame of 2^60 bytes", PROTO + b"\x95" + struct.pack("<Q", 1 << 60) + b"N."
    yield "a frame of negative length", PROTO + b"\x95" + b"\xff" * 8 + b"N."
    yield "frames within frames", PROTO + (b"\x95" + struct.pack("<Q", 9)) * 1000 + b"N."
    yield "a text that is no text", PROTO + b"X\x02\x00\x00\x00\xff\xfe."


def archive(value: bytes, *entries: tuple[str, bytes], pack: int = zipfile.ZIP_STORED) -> bytes:
    """A torch file whose pickle leaves that value, and more."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", pack) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two entries with one name
        for name, data in (("archive/data.pkl", TWO + value + STOP), ("archive/version", b"3\n"), *entries):
            target.writestr(name, data)
    return buffer.getvalue()


def _archives() -> Iterator[tuple[str, bytes]]:
    """Archives that lie."""

    def tree(outside: bytes) -> bytes:
        vector = (outside, b"K\x00", b"K\x04\x85", b"K\x01\x85", b"\x89", b"}")
        rebuilt = call(named("torch._utils", "_rebuild_tensor_v2"), *vector)
        return mapping((text("g_ema"), mapping((text("input.input"), rebuilt))))

    usual, storage, shell = tree(reference(4)), ("archive/data/0", bytes(16)), named("os", "system")
    good = archive(usual, storage)
    yield "an archive that calls a shell", archive(call(shell, text("true")))
    yield "an archive without its storage", archive(usual)
    yield "an archive with a storage cut short", archive(usual, ("archive/data/0", bytes(3)))
    yield "an archive with a storage too long", archive(usual, ("archive/data/0", bytes(HUGE)))
    zeros = ("archive/data/0", bytes(16 * HUGE))
    yield "a bomb of zeros, compressed", archive(usual, zeros, pack=zipfile.ZIP_DEFLATED)
    yield "the same by another method", archive(usual, zeros, pack=zipfile.ZIP_BZIP2)
    yield "two pickles of one name", archive(usual, ("archive/data.pkl", TWO + shell + STOP))
    yield "two pickles of two names", archive(usual, ("other/data.pkl", TWO + shell + STOP))
    yield "a storage with a path upwards", archive(tree(reference(4, key=text("../../../etc/passwd"))))
    yield "a storage with a path from the root", archive(tree(reference(4, key=text("/etc/passwd"))))
    yield "entries with a path upwards", archive(usual, ("../../was-run", b"x"))
    yield "an archive without a pickle", archive(usual).replace(b"data.pkl", b"data.pk1")
    yield "an archive of 10^5 entries", _crowd(MANY)
    yield "a hundred entries with 64 KiB of extra fields each", _crowd(100, bytes(65532))
    yield "an archive cut short", good[:-30]
    yield "an archive with another before it", b"PK\x03\x04" + bytes(100) + good
    yield "an archive that is only its end", b"PK\x05\x06" + bytes(18)
    end = good.rindex(b"PK\x05\x06")
    yield "a directory that lies elsewhere", good[: end + 16] + struct.pack("<I", 0) + good[end + 20 :]
    yield "a directory of 4 GiB", good[: end + 12] + b"\xff\xff\xff\xff" + good[end + 16 :]
    first = good.index(b"PK\x01\x02")
    yield "an entry that says 2 GiB", good[: first + 24] + b"\xff\xff\xff\x7f" + good[first + 28 :]
    yield "an entry of negative place", good[: first + 42] + b"\xff\xff\xff\xff" + good[first + 46 :]
    third = good.rindex(b"PK\x01\x02")
    yield "entries that overlap", good[: third + 42] + struct.pack("<I", 0) + good[third + 46 :]
    yield "an entry that is said to be locked", good[: first + 8] + b"\x01\x00" + good[first + 10 :]
    yield "numbers of the other end", archive(usual, storage, ("archive/byteorder", b"big"))
    yield "a tensor in a storage that is a view", archive(tree(reference(4, view=b"}")))
    yield "a storage of negative size", archive(tree(reference(-4)))
    yield "a storage of a kind that there is none of", archive(tree(reference(4, "QInt8Storage")))
    yield "a reference that is no tuple", archive(text("storage") + b"Q")
    yield "a reference with parts missing", archive(text("storage") + b"\x85Q")


def _crowd(count: int, extra: bytes = b"") -> bytes:
    """The directory of an archive, and nothing of what it announces."""
    names = [f"a/{number}".encode() for number in range(count)]
    head, tail = b"PK\x01\x02" + bytes(24), struct.pack("<H", len(extra)) + bytes(14)
    directory = b"".join(head + struct.pack("<H", len(name)) + tail + name + extra for name in names)
    numbers = struct.pack("<HHHHIIH", 0, 0, count % 65536, count % 65536, len(directory), 0, 0)
    return directory + b"PK\x05\x06" + numbers
