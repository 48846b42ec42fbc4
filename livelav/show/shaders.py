"""Shader files to programs over meshes, and a compiler's complaint to one line with file and line number.

Knows nothing of what they draw. Runs in the thread that owns the context.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moderngl
import numpy as np

from livelav.core.errors import DisplayError
from livelav.core.store import data_dir
from livelav.core.values import Floats

EVERYWHERE = np.array([[-1, -1], [3, -1], [-1, 3]], np.float32)  # one triangle over the whole window

# Mesa and Intel: 0:12(5): error; NVIDIA: 0(12) : error; macOS and AMD: ERROR: 0:12:
_LINE = re.compile(r"\b\d+[:(](\d+)")
# Lines of the first text added are numbered from this, of the second from twice this: some errors come with no other
# sign of where they are, as Mesa forgets the number of the text in half of them.
_STRIDE = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """Text that goes on a shader's end, with what is declared for it alone; errors in it name `path`."""

    path: Path
    text: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Addition:
    """What goes on a shader's end: parts, and then a text of whose correctness nobody doubts."""

    parts: tuple[Part, ...] = ()
    end: str = ""


class ShaderError(DisplayError):
    """A shader that does not compile. `path` is the file to blame, None where that cannot be told."""

    def __init__(self, text: str, path: Path | None = None) -> None:
        super().__init__(text)
        self.path = path


def build(
    ctx: moderngl.Context,
    vertex: str,
    fragment: str,
    *defines: str,
    folder: Path | None = None,
    added: tuple[Addition, Addition] = (Addition(), Addition()),
) -> moderngl.Program:
    """Compiles and links two files of `folder` (the shipped shaders by default), with preprocessor `defines` set, each
    with what is `added` to it.

    Raises ShaderError naming file and line.
    """
    folder = folder or data_dir("shaders")
    paths = folder / vertex, folder / fragment
    texts = [_source(path, defines, one) for path, one in zip(paths, added, strict=True)]
    try:
        return ctx.program(vertex_shader=texts[0], fragment_shader=texts[1])
    except moderngl.Error as error:
        files = [[path, *(part.path for part in one.parts)] for path, one in zip(paths, added, strict=True)]
        raise _complaint(str(error), files[0], files[1], len(defines)) from error


def mesh(ctx: moderngl.Context, program: moderngl.Program, corners: Floats) -> moderngl.VertexArray:
    """`program` over `corners` [n, 2], which it knows as `corner`. `release` gives all of it back."""
    buffer = ctx.buffer(np.ascontiguousarray(corners, np.float32).tobytes())
    made = ctx.vertex_array(program, [(buffer, "2f", "corner")])
    made.extra = buffer
    return made


def release(made: moderngl.VertexArray) -> None:
    """Gives back a mesh with its program."""
    made.extra.release()
    made.program.release()
    made.release()


def set_uniforms(program: moderngl.Program, **values: Any) -> None:
    """Sets uniforms by name; one that the compiler left out because nothing depends on it is no fault."""
    for name, value in values.items():
        if program.get(name, None) is not None:
            program[name] = value


def _source(path: Path, defines: tuple[str, ...], added: Addition) -> str:
    try:
        version, _, rest = path.read_text(encoding="utf-8").partition("\n")
    except OSError as error:
        raise DisplayError(f"cannot read shader {path}: {error.strerror}; install livelav again") from error
    lines = [version, *(f"#define {name}" for name in defines), rest]
    for number, part in enumerate(added.parts, start=1):
        lines += [part.before, f"#line {number * _STRIDE + 1}", part.text, part.after]
    return "\n".join([*lines, added.end])


def _complaint(text: str, vertex: Sequence[Path], fragment: Sequence[Path], defines: int) -> ShaderError:
    """One line from a compiler's many, for the files of either shader; so many lines went in behind their first."""
    files = vertex if "vertex_shader" in text else fragment
    for line in text.splitlines():
        if "error" in line.lower() and (found := _LINE.search(line)):
            source, number = divmod(int(found[1]), _STRIDE)
            path = files[min(source, len(files) - 1)]
            reason = line[found.end() :].lstrip(" ):0123456789(").removeprefix("error: ")
            return ShaderError(f"shader {path} line {number - (source == 0) * defines}: {reason}; mend it there", path)
    names = ", ".join(path.name for path in fragment)
    return ShaderError(f"shaders {vertex[0]} and {names} do not link: {' '.join(text.split())}; mend them there")
