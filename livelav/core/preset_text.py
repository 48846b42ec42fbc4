"""A scene as the text of a preset file; comments, order and whatever else stands in a file that was there are kept."""

import tomllib
from collections.abc import Container, Mapping
from typing import Any

import tomlkit

from livelav.core.errors import PresetError
from livelav.core.params import CHOICES, PARAMS
from livelav.core.presets import MAX_BINDS, SCHEMA, Binds, leaves, problems_in
from livelav.core.scene import Scene

_ALSO = ("encoder",)  # choices that a preset names although a running show cannot change them
_DIGITS = 6


def preset_text(scene: Scene, name: str, before: str | None = None) -> str:
    """The file's new text, which says `scene` and nothing that is wrong.

    `before` is what it held; where that is no preset, or written in a way that cannot be gone on with, it is left.
    """
    if before is not None:
        try:
            text = _written(tomlkit.parse(before), scene)
            if _says(text, scene):
                return text
        except Exception:  # tomlkit reads forms of TOML that it cannot add to, and raises whatever it then stumbles on
            pass
    return _written(_fresh(name), scene)


def _written(document: tomlkit.TOMLDocument, scene: Scene) -> str:
    document["schema"] = SCHEMA
    before: Any = document.get("params")
    tables: dict[str, Mapping[str, Any]] = {
        "choices": _choices(scene),
        "params": _params(scene, dict(leaves(before.unwrap())) if hasattr(before, "items") else ()),
        "drive": _drives(scene),
    }
    if "drive" in document:
        _clear(document["drive"], tables["drive"])
    for key, values in tables.items():
        if not values:
            continue
        if not hasattr(document.get(key), "items"):
            document[key] = tomlkit.table()
        for name, value in values.items():
            _put(document[key], name, value)
    _bind(document, scene.binds)
    return tomlkit.dumps(document)


def with_binds(text: str, binds: Binds) -> str:
    """A preset's text, carrying these bindings and no others. Raises PresetError where it cannot be gone on with."""
    try:
        document = tomlkit.parse(text)
        _bind(document, binds)
        written = tomlkit.dumps(document)
        if not problems_in(written) and tomllib.loads(written).get("bind", []) == list(binds):
            return written
    except Exception as error:  # as in preset_text
        raise PresetError(f"the preset is written in a way that bindings cannot be added to ({error})") from error
    raise PresetError(f"the preset cannot carry {len(binds)} bindings, at most {MAX_BINDS}")


def _bind(document: tomlkit.TOMLDocument, binds: Binds) -> None:
    if _plain(document.get("bind", [])) != list(binds):
        document["bind"] = tomlkit.aot()
        for bind in binds:
            document["bind"].append(tomlkit.item(dict(bind)))


def _says(text: str, scene: Scene) -> bool:
    """Whether a text is a preset, and that one."""
    tree = tomllib.loads(text)
    choices, params = (dict(leaves(tree[key])) for key in ("choices", "params"))
    said = _choices(scene).items() <= choices.items() and _params(scene, params).items() <= params.items()
    said = said and _drives(scene) == dict(leaves(tree.get("drive", {}))) and tree.get("bind", []) == list(scene.binds)
    return said and not problems_in(text)


def _choices(scene: Scene) -> dict[str, str | int]:
    named = {c.name: scene.choices[c.name] for c in CHOICES if c.scene or c.name in _ALSO}
    return {"seed": scene.seed, **named}


def _params(scene: Scene, before: Container[str]) -> dict[str, float]:
    """All of the song, and what the evening's the preset named `before`: that it does not lose, nor gain."""
    return {
        p.name: min(max(float(f"{scene.settings[p.name]:.{_DIGITS}g}"), p.lo), p.hi)
        for p in PARAMS
        if p.scope == "song" or (p.scope == "evening" and p.name in before)
    }


def _drives(scene: Scene) -> dict[str, str]:
    return {name: str(drive) for name, drive in scene.drives.items()}


def _plain(binds: Any) -> list[Any]:
    """tomlkit's tables as others compare them."""
    return [bind.unwrap() for bind in binds]


def _fresh(name: str) -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    document["schema"] = SCHEMA
    document["name"] = name.replace("-", " ").replace("_", " ").capitalize()
    return document


def _clear(table: Any, kept: Container[str], prefix: str = "") -> None:
    """Takes out what is no longer said, however it is written there."""
    for key in list(table):
        if hasattr(table[key], "items"):
            _clear(table[key], kept, f"{prefix}{key}.")
        elif prefix + key not in kept:
            del table[key]


def _put(table: Any, name: str, value: Any) -> None:
    """Sets `mapping.norm`, however it is written there: as a dotted key, a quoted one or in a table of its own."""
    head, _, rest = name.partition(".")
    if not rest or name in table:
        table[name] = value
    elif hasattr(table.get(head), "items"):
        _put(table[head], rest, value)
    else:
        table.append(tomlkit.key(name.split(".")), value)
