"""Effect files: what the comment lines on top of one declare, and which there are, shipped ones and the user's own.

    // Mirrors around the middle.
    // kind fold
    // param amount 0 0 1 "how far out they reach"
    // param sides 6 2 16 "how many there are"
    // param turn 0 -180 180 deg "where the first one stands"

A file is named as the effect, and so is the function in it that is called. Its first parameter is the amount: 0 by
default, and at 0 the effect is not drawn. `log` before the help makes a knob's travel logarithmic; `uses show.feedback`
takes a parameter of the table itself. Reading is bounded in time and memory whatever the bytes; the code below the
header is text here. Knows no OpenGL. Runs in every process, as the parameter table does.
"""

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from livelav.core.errors import EffectError
from livelav.core.store import config_dir, data_dir

# image: works on the enlarged image, once for each. warp: says where to look, smoothly, so that it is asked for at the
# corners of a grid alone. fold: says where to look for each pixel. echo: sees the last picture. colour: works on what
# is seen.
Kind = Literal["image", "fold", "warp", "echo", "colour"]
SIGNATURES: dict[Kind, str] = {  # in the order in which they act, unless another is asked for
    "image": "vec4 {}(vec2 at)",
    "fold": "vec2 {}(vec2 place)",
    "warp": "vec2 {}(vec2 place)",
    "echo": "vec3 {}(vec3 colour, vec2 place)",
    "colour": "vec3 {}(vec3 colour, vec2 place)",
}
GIVEN = frozenset({"image", "glow", "last", "time", "frames", "texel", "once"})  # what the code finds under these names
SUFFIX = ".glsl"
MAX_BYTES, MAX_FILES, MAX_KNOBS = 24 << 10, 64, 8

_NAME = re.compile(r"[a-z][a-z0-9]{0,23}")
_KNOB_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
_RESERVED = frozenset({"set", "knob", "chain"})  # other flags and addresses begin so
_NUMBER = r"([-+0-9.eE]{1,16})"
_KNOB = re.compile(
    rf'(\S{{1,40}}) {_NUMBER} {_NUMBER} {_NUMBER}(?: ([a-zA-Z/%]{{1,12}}))??(?: (log))? "([^"|]{{1,100}})"'
)


@dataclass(frozen=True, slots=True)
class Knob:
    """One parameter that a file declares; fields as those of `params.Param`."""

    name: str
    default: float
    lo: float
    hi: float
    unit: str
    curve: Literal["lin", "log"]
    help: str


@dataclass(frozen=True, slots=True)
class Effect:
    """One file."""

    name: str
    kind: Kind
    knobs: tuple[Knob, ...]
    uses: tuple[str, ...]  # parameters of the table; the first is the amount where there are any
    path: Path
    text: str
    params: tuple[str, ...] = field(init=False)  # of the table, all that its code is given; the first is the amount

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", (*self.uses, *(f"{self.name}.{knob.name}" for knob in self.knobs)))

    @property
    def has_once(self) -> bool:
        """Whether it has something to find out that depends on its parameters alone."""
        return f"mat4 {self.name}_once(" in self.text

    def mentions(self, name: str) -> bool:
        """Whether a word stands in it, be it in a comment."""
        return name in self.text


def is_shipped(effect: Effect) -> bool:
    """Whether it came with livelav, as whoever made livelav has drawn it."""
    return effect.path.parent == folders()[1]


def folders() -> tuple[Path, Path]:
    """The user's own folder, and the shipped one; an effect in the first stands before its namesake in the second."""
    return config_dir() / "shaders", data_dir("shaders") / "effects"


def find_effects(places: Iterable[Path] | None = None) -> tuple[tuple[Effect, ...], tuple[str, ...]]:
    """(all effects in the order in which they act, what is wrong with the files that were left out, a line each)"""
    found: dict[str, Effect] = {}
    troubles = []
    for folder in folders() if places is None else places:
        for path in effect_files(folder):
            if path.stem in found:
                continue
            try:
                found[path.stem] = read_effect(path)
            except EffectError as error:
                troubles.append(str(error))
    kinds = list(SIGNATURES)
    return tuple(sorted(found.values(), key=lambda one: (kinds.index(one.kind), one.name))), tuple(troubles)


def effect_files(folder: Path) -> list[Path]:
    """The files in a folder that may be effects, in order; none where it is missing. At most MAX_FILES of them."""
    try:
        some = itertools.islice(folder.iterdir(), 16 * MAX_FILES)
        return sorted(path for path in some if path.name.endswith(SUFFIX) and not path.name.startswith("."))[:MAX_FILES]
    except OSError:
        return []


def read_effect(path: Path) -> Effect:
    """The effect in that file. Raises EffectError naming file and line."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise EffectError(f"effect {path} is no file: put a text file there")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise EffectError(f"cannot read effect {path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise EffectError(f"effect {path} is larger than {MAX_BYTES >> 10} KiB: this is no effect")
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise EffectError(f"effect {path} is not UTF-8 text (byte {error.start})") from error
    if "\0" in text:
        raise EffectError(f"effect {path} is no text: it has a zero byte")
    return _parsed(path, text)


def _parsed(path: Path, text: str) -> Effect:
    name = path.stem
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise EffectError(f"effect {path}: a file is named in lower-case letters and digits, and not {name[:40]!r}")
    kind: Kind | None = None
    knobs: list[Knob] = []
    uses: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.startswith("//"):
            break
        word, _, rest = line[2:].strip().partition(" ")
        where = f"effect {path} line {number}"
        if word == "kind":
            kind = next((known for known in SIGNATURES if known == rest.strip()), None)
            if kind is None:
                raise EffectError(f"{where}: kind is {rest[:40]!r}: it must be one of {', '.join(SIGNATURES)}")
        elif word == "uses":
            uses.append(rest.strip()[:80])
        elif word == "param":
            knobs.append(_knob(name, rest, where, first=not knobs and not uses))
        if len(knobs) + len(uses) > MAX_KNOBS:
            raise EffectError(f"{where}: more than {MAX_KNOBS} parameters: leave some out")
    if kind is None:
        raise EffectError(f"effect {path}: write `// kind warp` on top, or another of {', '.join(SIGNATURES)}")
    if not knobs and not uses:
        raise EffectError(f'effect {path}: write `// param amount 0 0 1 "how strong"` on top: it needs an amount')
    if len(names := [knob.name for knob in knobs]) != len(set(names)):
        raise EffectError(f"effect {path}: a parameter is declared twice: rename one of {', '.join(names)}")
    returns = SIGNATURES[kind].partition(" ")[0]
    if not re.search(rf"^{returns}\s{{1,8}}{name}\s{{0,8}}\(", text, re.MULTILINE):
        raise EffectError(f"effect {path}: it must define `{SIGNATURES[kind].format(name)}`, as its kind is {kind}")
    return Effect(name, kind, tuple(knobs), tuple(uses), path, text)


def _knob(effect: str, declared: str, where: str, first: bool) -> Knob:
    found = _KNOB.fullmatch(" ".join(declared[:400].split()))
    if found is None:
        raise EffectError(f'{where}: write NAME DEFAULT LOWEST HIGHEST, a unit or `log` or neither, and "what it does"')
    name, numbers, help_text = found[1], found.group(2, 3, 4), found[7]
    if not _KNOB_NAME.fullmatch(name) or name in GIVEN or name == effect:
        raise EffectError(f"{where}: {name!r} is no name for a parameter: use lower-case letters, digits and _")
    try:
        default, lo, hi = map(float, numbers)
    except ValueError:
        default = math.nan
    if not (math.isfinite(default) and lo <= default <= hi and lo < hi < 1e6 and lo > -1e6):
        raise EffectError(f"{where}: {' '.join(numbers)}: default, lowest and highest must be numbers in that range")
    if first and default != 0:
        raise EffectError(f"{where}: the first parameter is the amount: its default must be 0, not {default:g}")
    if found[6] and lo <= 0:
        raise EffectError(f"{where}: a logarithmic knob must begin above 0, not at {lo:g}")
    if not help_text.isprintable():
        raise EffectError(f"{where}: the help must be plain text")
    return Knob(name, default, lo, hi, found[5] or "", "log" if found[6] else "lin", help_text)
