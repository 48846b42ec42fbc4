"""Shader files to programs over meshes, and a compiler's complaint to one line with file and line number.

Knows nothing of what they draw. Runs in the thread that owns the context.
"""

import re
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


def build(
    ctx: moderngl.Context, vertex: str, fragment: str, *defines: str, folder: Path | None = None
) -> moderngl.Program:
    """Compiles and links two files of `folder` (the shipped shaders by default), with preprocessor `defines` set.

    Raises DisplayError naming file and line.
    """
    folder = folder or data_dir("shaders")
    try:
        return ctx.program(
            vertex_shader=_source(folder / vertex, defines), fragment_shader=_source(folder / fragment, defines)
        )
    except moderngl.Error as error:
        raise DisplayError(_complaint(str(error), folder, vertex, fragment, len(defines))) from error


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
        if name in program:
            program[name] = value


def _source(path: Path, defines: tuple[str, ...]) -> str:
    try:
        version, _, rest = path.read_text(encoding="utf-8").partition("\n")
    except OSError as error:
        raise DisplayError(f"cannot read shader {path}: {error.strerror}; install livelav again") from error
    return "\n".join([version, *(f"#define {name}" for name in defines), rest])


def _complaint(text: str, folder: Path, vertex: str, fragment: str, added: int) -> str:
    """One line from a compiler's many; `added` lines were put in behind the first."""
    name = vertex if "vertex_shader" in text else fragment
    for line in text.splitlines():
        if "error" in line.lower() and (found := _LINE.search(line)):
            reason = line[found.end() :].lstrip(" ):0123456789(").removeprefix("error: ")
            return f"shader {folder / name} line {int(found[1]) - added}: {reason}; mend it there"
    return f"shaders {folder / vertex} and {fragment} do not link: {' '.join(text.split())}; mend them there"
