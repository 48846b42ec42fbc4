"""Pickles by chance: of opcodes, or of phrases that lead deep into the reader; and mutants of good files.

Needs nothing but a random.Random; the same one gives the same programs. Sentences are mostly well made, since a program
that fails at its first opcode proves nothing.
"""

import pickletools
import random
import struct

PROTO, STOP = b"\x80\x04", b"."
WORDS = (
    "G_ema", "g_ema", "state", "_modules", "_parameters", "_buffers", "synthesis", "mapping", "b4", "conv1", "torgb",
    "weight", "const", "variables", "components", "static_kwargs", "fc0", "affine", "f4", "O8", "<", "storage", "0",
    "cpu", "little_endian", "conv_clamp", "latent_avg", "style.1.weight", "input.input", "dlatent_avg", "b8",
)  # fmt: skip
KNOWN = (
    ("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor_v3"),
    ("torch._utils", "_rebuild_parameter"), ("torch", "FloatStorage"), ("torch", "BFloat16Storage"),
    ("torch", "float32"), ("torch.storage", "UntypedStorage"), ("torch.storage", "_load_from_bytes"),
    ("numpy", "dtype"), ("numpy", "ndarray"), ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"), ("numpy._core.numeric", "_frombuffer"), ("builtins", "set"),
    ("dnnlib.util", "EasyDict"), ("dnnlib.tflib.network", "Network"),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"),
)  # fmt: skip
HOSTILE = (
    ("os", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("subprocess", "Popen"), ("posix", "system"),
    ("numpy", "load"), ("torch", "load"), ("pickle", "loads"), ("copyreg", "_reconstructor"), ("builtins", "object"),
)  # fmt: skip
KINDS = ("f4", "f8", "O8")
ARGUMENTS = {"uint1": 1, "uint2": 2, "int4": 4, "uint4": 4, "uint8": 8, "float8": 8}


def text(word: str) -> bytes:
    data = word.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def blob(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def integer(n: int) -> bytes:
    return (
        b"J" + struct.pack("<i", n) if -(1 << 31) <= n < 1 << 31 else b"\x8a\x09" + n.to_bytes(9, "little", signed=True)
    )


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def mapping(*items: tuple[bytes, bytes]) -> bytes:
    return b"}(" + b"".join(key + value for key, value in items) + b"u"


LEGACY_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02" + mapping(
    (text("little_endian"), b"\x88")
) + STOP  # fmt: skip


def reference(size: int, kind: str = "FloatStorage", key: bytes = text("0"), view: bytes = b"N") -> bytes:
    """What a torch file keeps outside its pickle."""
    return b"(" + text("storage") + named("torch", kind) + key + text("cpu") + integer(size) + view + b"tQ"


def legacy(size: int, data: bytes, kind: str = "FloatStorage", key: bytes = text("0")) -> bytes:
    """A storage as torch writes one into a pickle."""
    tree, keys = b"\x80\x02" + reference(size, kind) + STOP, b"\x80\x02](" + key + b"e."
    return LEGACY_HEAD + tree + keys + struct.pack("<q", size) + data


def tensor(shape: tuple[int, ...], strides: tuple[int, ...], size: int, data: bytes, offset: int = 0) -> bytes:
    storage = call(named("torch.storage", "_load_from_bytes"), blob(legacy(size, data)))
    numbers = [b"(" + b"".join(map(integer, one)) + b"t" for one in (shape, strides)]
    return call(named("torch._utils", "_rebuild_tensor_v2"), storage, integer(offset), *numbers, b"\x89", named_dict())


def named_dict() -> bytes:
    return call(named("collections", "OrderedDict"))


def dtype(name: str = "f4", order: str = "<", fields: bytes = b"NNN") -> bytes:
    state = b"(K\x03" + text(order) + fields + integer(-1) + integer(-1) + b"K\x00t"
    return call(named("numpy", "dtype"), text(name), b"\x89", b"\x88") + state + b"b"


def array(shape: tuple[int, ...], data: bytes, kind: bytes) -> bytes:
    made = call(named("numpy._core.multiarray", "_reconstruct"), named("numpy", "ndarray"), b"K\x00\x85", blob(b"b"))
    return made + b"(K\x01(" + b"".join(map(integer, shape)) + b"t" + kind + b"\x89" + blob(data) + b"tb"


def module(state: bytes) -> bytes:
    meta = mapping(
        (text("class_name"), text("Generator")), (text("module_src"), text("print(1)")), (text("state"), state)
    )
    return call(named("torch_utils.persistence", "_reconstruct_persistent_obj"), meta)


def network(*variables: tuple[str, bytes]) -> bytes:
    """TensorFlow's."""
    pairs = b"](" + b"".join(text(name) + value + b"\x86" for name, value in variables) + b"e"
    state = mapping((text("variables"), pairs), (text("components"), b"}"), (text("static_kwargs"), b"}"))
    return named("dnnlib.tflib.network", "Network") + b")\x81" + state + b"b"


class _Author:
    """Writes one program."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    def value(self, depth: int = 0) -> bytes:
        """A phrase that leaves one value."""
        draw = self.draw
        plain = (
            lambda: text(draw.choice(WORDS)),
            lambda: integer(draw.choice((0, 1, 3, 4, 512, -1, 1 << 31, draw.randrange(1 << 40)))),
            lambda: draw.choice((b"N", b"\x88", b"\x89", b"]", b"}", b")", b"\x8f", b"h\x00")),
            lambda: b"G" + draw.randbytes(8),
            lambda: blob(draw.randbytes(draw.choice((0, 1, 4, 16)))),
            lambda: named(*draw.choice(KNOWN)),
            lambda: b"(" + self.opcodes(3) + b"t",
        )
        if depth > 4 or draw.random() < 0.4:
            return draw.choice(plain)()
        return draw.choice(
            (
                lambda: b"(" + self.values(depth) + draw.choice((b"t", b"l", b"d", b"\x90")),
                lambda: self.mapping(depth),
                lambda: call(named(*draw.choice(KNOWN)), *(self.value(depth + 1) for _ in range(draw.randrange(5)))),
                lambda: self.value(depth + 1) + self.value(depth + 1) + b"b",
                self.tensor,
                lambda: array(
                    (draw.choice((1, 4, 512)), 4), draw.randbytes(64), dtype(draw.choice(("f4", "f8", "O8")))
                ),
                lambda: module(self.mapping(depth)),
                lambda: network((draw.choice(WORDS), self.value(depth + 1))),
                lambda: draw.choice((b"\x94", b"q\x00", b"h\x00", b"0")).join((self.value(depth + 1),) * 2) + b"\x86",
                lambda: named(*draw.choice(HOSTILE)),
            )
        )()

    def values(self, depth: int) -> bytes:
        return b"".join(self.value(depth + 1) for _ in range(self.draw.randrange(5)))

    def mapping(self, depth: int) -> bytes:
        items = [(text(self.draw.choice(WORDS)), self.value(depth + 1)) for _ in range(self.draw.randrange(5))]
        return mapping(*items)

    def tensor(self) -> bytes:
        draw = self.draw
        numbers = [tuple(draw.choice((0, 1, 2, 4, 512)) for _ in range(draw.randrange(4))) for _ in (0, 1)]
        size = draw.choice((1, 4, 16))
        return tensor(*numbers, size, draw.randbytes(draw.choice((4 * size, 4 * size, 3))), draw.choice((0, 0, 1)))

    def opcodes(self, most: int) -> bytes:
        """Any of them, with arguments that are mostly of the right length."""
        draw, made = self.draw, b""
        for _ in range(draw.randrange(most)):
            opcode = draw.choice(pickletools.opcodes)
            made += opcode.code.encode("latin-1")
            if opcode.arg is None:
                continue
            if opcode.arg.name in ARGUMENTS:
                made += draw.randbytes(ARGUMENTS[opcode.arg.name])
            elif opcode.arg.n == pickletools.UP_TO_NEWLINE or opcode.arg.name.endswith("pair"):
                made += "\n".join(draw.choice(KNOWN + HOSTILE)).encode() + b"\n"
            else:  # a length of 1, 4 or 8 bytes, and so many
                width = {-2: 1, -3: 4, -4: 4, -5: 8}.get(opcode.arg.n, 1)
                length = draw.choice((0, 3, 255, (1 << 8 * width) - 1)) % (1 << 8 * width)
                made += length.to_bytes(width, "little") + draw.randbytes(min(length, 8))
        return made


def program(draw: random.Random) -> bytes:
    """One pickle: opcodes alone, or phrases, in the place where a generator would be or in any."""
    author = _Author(draw)
    kind = draw.randrange(6)
    if kind == 0:
        return PROTO + author.opcodes(60) + STOP
    if kind == 1:
        return PROTO + author.value() + STOP
    if kind == 2:
        return PROTO + b"NN" + author.value() + b"\x87" + STOP
    if kind == 3:
        return PROTO + mapping((text("g_ema"), author.mapping(0)), (text("latent_avg"), author.value())) + STOP
    if kind == 4:
        return PROTO + mapping((text("G_ema"), module(author.mapping(0)))) + STOP
    return PROTO + b"NN" + network(*((draw.choice(WORDS), author.value()) for _ in range(3))) + b"\x87" + STOP


def mutant(draw: random.Random, content: bytes) -> bytes:
    """A good file after one to four accidents, mostly where it is not zero, as its tensors are to be."""
    made = bytearray(content)
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(made)) if draw.random() < 0.1 else _full(draw, made)
        match draw.randrange(6):
            case 0:
                made[at] ^= 1 << draw.randrange(8)
            case 1:
                made[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, *b"().0bRcthqs}]Q"))
            case 2:
                del made[at : at + draw.choice((1, 2, 8, 100))]
            case 3:
                made[at:at] = draw.choice((b"0", b"(", b"N", b"}", b"h\x00", b"cos\nsystem\n", draw.randbytes(4)))
            case 4:
                length = draw.choice((1, 8, 40))
                other = draw.randrange(len(made))
                made[at : at + length] = made[other : other + length]
            case 5 if draw.random() < 0.2:
                del made[at:]
        made = made or bytearray(b"\x80")
    return bytes(made)


def _full(draw: random.Random, made: bytearray) -> int:
    """A place that is not zero, or close to one."""
    at = draw.randrange(len(made))
    end = min(len(made), at + (1 << 21))
    return min(len(made) - 1, end - len(made[at:end].lstrip(b"\0")) + draw.randrange(200))
