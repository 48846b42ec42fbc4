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
    """Text that goes on a fragment shader's end, with what is declared for it alone; errors in it name `path`."""

    path: Path
    text: str
    before: str = ""
    after: str = ""


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
    parts: Sequence[Part] = (),
    end: str = "",
) -> moderngl.Program:
    """Compiles and links two files of `folder` (the shipped shaders by default), with preprocessor `defines` set, the
    second with `parts` and then the text `end` added.

    Raises ShaderError naming file and line.
    """
    folder = folder or data_dir("shaders")
    text = [_source(folder / fragment, defines)]
    for number, part in enumerate(parts, start=1):
        text += [part.before, f"#line {number * _STRIDE + 1}", part.text, part.after]
    text += [f"#line {(len(parts) + 1) * _STRIDE}", end] if end else []
    try:
        return ctx.program(vertex_shader=_source(folder / vertex, defines), fragment_shader="\n".join(text))
    except moderngl.Error as error:
        files = [folder / fragment, *(part.path for part in parts)]
        raise _complaint(str(error), folder / vertex, files, len(defines)) from error


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


def texture_of(target: moderngl.Framebuffer) -> moderngl.Texture:
    """What a framebuffer with one texture draws into."""
    texture = target.color_attachments[0]
    assert isinstance(texture, moderngl.Texture)
    return texture


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


def _complaint(text: str, vertex: Path, files: Sequence[Path], added: int) -> ShaderError:
    """One line from a compiler's many; `added` lines were put in behind the first of the shipped files."""
    in_vertex = "vertex_shader" in text
    for line in text.splitlines():
        if "error" in line.lower() and (found := _LINE.search(line)):
            source, number = divmod(int(found[1]), _STRIDE)
            path = vertex if in_vertex else files[min(source, len(files) - 1)]
            reason = line[found.end() :].lstrip(" ):0123456789(").removeprefix("error: ")
            return ShaderError(f"shader {path} line {number - (source == 0) * added}: {reason}; mend it there", path)
    return ShaderError(
        f"shaders {vertex} and {', '.join(path.name for path in files)} do not link: {' '.join(text.split())}; "
        "mend them there"
    )
