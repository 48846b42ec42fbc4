"""Presets: TOML files that say how a show begins; read with suspicion, because they travel between strangers.

    schema = 1
    name = "Calm"
    author = "..."
    notes = "..."
    [choices]                      # keys of CHOICES, and `seed`
    [params]                       # keys of PARAMS; what is not named keeps its default
    mapping.norm = 0.7
    [drive]                        # what moves a parameter besides a hand: see drive.py
    show.hue = "sine 8 0.1"
    [[bind]]                       # what a control moves while the preset is played: as in a bank, see banks.py
    control = "cc 30"
    to = "show.hue"

A preset is found by name among the user's and then the shipped ones, or given as a file. It holds plain values
only: reading one opens no other file, fetches nothing and runs nothing, and is bounded in time and memory whatever
the bytes. Does not know who uses the values.
"""

import itertools
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livelav.core.bounded_toml import is_text, line_of, read_toml
from livelav.core.drive import Drives
from livelav.core.drive import checked as checked_drive
from livelav.core.errors import ParamError, PresetError, StorageError, nearest
from livelav.core.generations import KEPT, generation, read_kept
from livelav.core.params import BY_NAME, CHOICE_BY_NAME, Settings
from livelav.core.store import config_dir, data_dir, listing, sync

SCHEMA = 1
MAX_PROBLEMS = 20  # a file with more is no preset; finding the nearest name for each would take long
MAX_BINDS = 256
SEEDS = range(2**32)
SEED = 8  # where none is named: of ten, its colours over the demo and over music were the best to look at

Binds = tuple[Mapping[str, Any], ...]  # tables as in a bank, not yet checked

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TABLES = ("choices", "params", "drive")
_TEXTS = {"name": 80, "author": 80, "notes": 2_000}  # key: most characters


@dataclass(frozen=True, slots=True)
class Preset:
    """What a file says: `changes` and `choices` hold only what it names."""

    name: str
    changes: Mapping[str, float]
    choices: Mapping[str, str]
    drives: Drives
    binds: Binds = ()
    seed: int = SEED
    author: str = ""
    notes: str = ""

    @property
    def settings(self) -> Settings:
        """The whole snapshot: defaults where the file is silent."""
        return Settings().with_values(self.changes)


@dataclass(frozen=True, slots=True)
class Listed:
    """A preset that can be asked for by name; its file may yet turn out to be broken."""

    name: str
    path: Path
    shipped: bool


def load_preset(name_or_path: str | Path) -> Preset:
    """The preset of that name, or in that `.toml` file. Raises PresetError with the first thing that is wrong."""
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        path = Path(name_or_path)
    else:
        path = _find(name_or_path)
    return preset_of(*read_toml(path, "preset", PresetError), path)


def preset_of(tree: dict[str, Any], text: str, path: Path) -> Preset:
    """What a file says: its tree, and its text for messages. Raises PresetError with the first thing that is wrong."""
    for problem in _problems(tree, text, path):
        raise PresetError(problem)
    choices = dict(leaves(tree.get("choices", {})))
    seed = choices.pop("seed", SEED)
    changes = {key: float(value) for key, value in leaves(tree.get("params", {}))}
    drives = {key: checked_drive(key, text) for key, text in leaves(tree.get("drive", {}))}
    texts = {key: tree[key] for key in _TEXTS if key in tree}
    return Preset(
        **({"name": path.stem} | texts),
        changes=changes,
        choices=choices,
        drives=drives,
        binds=tuple(tree.get("bind", ())),
        seed=seed,
    )


def recall_preset(name: str, unwritten: Callable[[Path], bytes | None] = lambda _path: None) -> tuple[Preset, str]:
    """The preset of that name and "", or, where its file is broken, the newest sound one saved before, and why.

    `unwritten`: what was saved to a file and is not on disk yet. Raises PresetError where there is none of all these.
    """
    (own, _), *_ = _folders()
    path = own / f"{name}.toml"
    if is_preset_name(name) and (content := unwritten(path)) is not None:
        text = content.decode()
        return preset_of(tomllib.loads(text), text, path), ""
    return read_kept(_find(name), load_preset)


def preset_source(path: Path) -> str | None:
    """The text that a save to `path` should go on from: its own, or the shipped preset's of that name; None without."""
    for found in (path, *(listed.path for listed in list_presets() if listed.name == path.stem)):
        try:
            return read_toml(found, "preset", PresetError)[1]
        except PresetError:
            continue
    return None


def is_of_newer(text: str | None) -> bool:
    """Whether a preset's text says that a newer livelav wrote it."""
    try:
        schema = tomllib.loads(text or "").get("schema")
    except (ValueError, RecursionError):
        return False
    return type(schema) is int and schema > SCHEMA


def check_preset(path: Path) -> list[str]:
    """All that is wrong with a file, one line each with file and line number; empty where it is good."""
    try:
        tree, text = read_toml(path, "preset", PresetError)
    except PresetError as error:
        return [str(error)]
    return list(itertools.islice(_problems(tree, text, path), MAX_PROBLEMS))


def problems_in(text: str) -> list[str]:
    """The same of a text that is TOML."""
    return list(itertools.islice(_problems(tomllib.loads(text), text, Path("preset")), MAX_PROBLEMS))


def list_presets() -> list[Listed]:
    """All presets that can be asked for by name, in order; the user's own stand before shipped ones of that name."""
    found: dict[str, Listed] = {}
    for folder, shipped in _folders():
        for path in listing(folder, ".toml"):
            if is_preset_name(path.stem):
                found.setdefault(path.stem, Listed(path.stem, path, shipped))
    return sorted(found.values(), key=lambda listed: listed.name)


def rename_preset(old: str, new: str) -> Path:
    """Gives one of the user's presets another name, and its earlier generations with it; returns its file.

    Raises PresetError, StorageError; then all is as it was, or goes on where it stopped when it is asked for again.
    """
    source = _find(old)
    folder, _ = _folders()[0]
    if source.parent != folder:
        raise PresetError(f"preset {old} is shipped and keeps its name: recall it and save it as a new one")
    if not is_preset_name(new):
        raise PresetError(f"{new[:80]!r} is no name: use lower-case letters, digits, - and _ (64 at most)")
    if any(listed.name == new for listed in list_presets()):
        raise PresetError(f"there is a preset {new} already: choose another name")
    target = folder / f"{new}.toml"
    try:
        for number in range(KEPT, -1, -1):  # the newest last: until then there is a preset of the old name
            if generation(source, number).exists():
                os.rename(generation(source, number), generation(target, number))
        sync(folder)
    except OSError as error:
        raise StorageError(f"cannot rename {source}: {error.strerror}; check the folder's permissions") from error
    return target


def is_preset_name(text: str) -> bool:
    """Whether a preset can have that name."""
    return _SLUG.fullmatch(text) is not None


def _folders() -> tuple[tuple[Path, bool], ...]:
    return (config_dir() / "presets", False), (data_dir("presets"), True)


def _find(name: str) -> Path:
    if not is_preset_name(name):
        raise PresetError(
            f"preset {name[:80]!r}: a name has lower-case letters, digits, - and _ (64 at most), or is a .toml file"
        )
    for folder, _ in _folders():
        path = folder / f"{name}.toml"
        if os.path.exists(path):
            if not path.resolve().is_relative_to(folder.resolve()):
                raise PresetError(f"{path} leads out of its folder: put the file itself there")
            return path
    known = [listed.name for listed in list_presets()]
    raise PresetError(f"no preset {name!r}{nearest(name, known)}; `livelav presets list` shows them all")


def _problems(tree: dict[str, Any], text: str, path: Path) -> Iterator[str]:
    """What is wrong with a parsed file, one line each, in the file's order of tables."""

    def at(key: str, problem: str) -> str:
        line = line_of(key, text)
        return f"{path}{f':{line}' if line else ''}: {problem}"

    schema = tree.get("schema")
    if type(schema) is not int or schema < 1:
        yield at("schema", f"write `schema = {SCHEMA}` on top: it says which livelav can read the file")
    elif schema > SCHEMA:
        yield at("schema", f"made for a newer livelav (this one reads schema {SCHEMA}): update livelav")
        return
    for key, value in tree.items():
        if key in _TEXTS and not is_text(value, _TEXTS[key]):
            yield at(key, f"{key} must be plain text of at most {_TEXTS[key]} characters")
        elif key in _TABLES and not isinstance(value, dict):
            yield at(key, f"{key} must be a table: write [{key}] on a line of its own")
        elif key == "bind" and not is_binds(value):
            yield at(key, f"bind must be written as [[bind]], of words and numbers, at most {MAX_BINDS} times")
        elif key not in (known := ("schema", "bind", *_TABLES, *_TEXTS)):
            yield at(key, f"no key {key[:80]!r} in a preset{nearest(key[:80], known)}")
    for table, found in (("choices", _choice_problem), ("params", _param_problem), ("drive", _drive_problem)):
        for key, value in leaves(tree.get(table, {})):
            if problem := found(key, value):
                yield at(f"{table}.{key}", problem)


def is_binds(value: object) -> bool:
    """Whether that may be bindings; what they say is checked by who knows controllers."""
    return (
        isinstance(value, list)
        and len(value) <= MAX_BINDS
        and all(isinstance(bind, dict) and all(map(_is_plain, bind.values())) for bind in value)
    )


def _is_plain(value: object) -> bool:
    """Whether TOML and JSON both have it, alone or a few of it: no dates, and nothing without an end."""
    if isinstance(value, list):
        return all(not isinstance(one, list) and _is_plain(one) for one in value)
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _choice_problem(key: str, value: object) -> str | None:
    if key == "seed":
        good = type(value) is int and value in SEEDS
        return None if good else f"seed must be a whole number from 0 to {SEEDS[-1]}"
    if key not in CHOICE_BY_NAME:
        return f"no choice {key[:80]!r}{nearest(key[:80], [*CHOICE_BY_NAME, 'seed'])}"
    if not is_text(value, 500):
        return f"{key} must be plain text, not {type(value).__name__}"
    try:
        CHOICE_BY_NAME[key].checked(value)  # type: ignore[arg-type]
    except ParamError as error:
        return str(error)
    return None


def _param_problem(key: str, value: object) -> str | None:
    if key not in BY_NAME:
        return f"no parameter {key[:80]!r}{nearest(key[:80], BY_NAME)}"
    param = BY_NAME[key]
    if param.scope == "operator":
        return f"{key} is the operator's to set: a preset cannot; leave it out"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{key} must be a number from {param.lo:g} to {param.hi:g}, not {type(value).__name__}"
    try:
        # a whole number may have thousands of digits, which Python refuses to print
        param.checked(value if isinstance(value, float) or abs(value) < 2**53 else float("inf"))
    except ParamError as error:
        return str(error)
    return None


def _drive_problem(key: str, value: object) -> str | None:
    if not is_text(value, 500):
        return f"drive {key[:80]} must be text like `sine 4 0.25`, not {type(value).__name__}"
    try:
        checked_drive(key, str(value))
    except ParamError as error:
        return str(error)
    return None


def leaves(table: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of all that is no table."""
    if not isinstance(table, dict):
        return
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
