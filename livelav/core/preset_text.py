"""A scene as the text of a preset file; comments, order and whatever else stands in a file that was there are kept."""

from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from livelav.core.params import CHOICES, PARAMS
from livelav.core.presets import SCHEMA
from livelav.core.scene import Scene

_ALSO = ("model", "encoder")  # choices that a preset names although a running show cannot change them
_DIGITS = 6


def preset_text(scene: Scene, name: str, before: str | None = None) -> str:
    """The file's new text. `before` is what it held; where that is no TOML it is written anew."""
    try:
        document = tomlkit.parse(before) if before else _fresh(name)
    except TOMLKitError:
        document = _fresh(name)
    document["schema"] = SCHEMA
    choices, params = (_table(document, key) for key in ("choices", "params"))
    _put(choices, "seed", scene.seed)
    for choice in CHOICES:
        if choice.scene or choice.name in _ALSO:
            _put(choices, choice.name, scene.choices[choice.name])
    for p in PARAMS:
        if p.scope == "song":
            _put(params, p.name, min(max(float(f"{scene.settings[p.name]:.{_DIGITS}g}"), p.lo), p.hi))
    return tomlkit.dumps(document)


def _fresh(name: str) -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    document["schema"] = SCHEMA
    document["name"] = name.replace("-", " ").replace("_", " ").capitalize()
    return document


def _table(document: tomlkit.TOMLDocument, key: str) -> Any:
    if not hasattr(document.get(key), "items"):
        document[key] = tomlkit.table()
    return document[key]


def _put(table: Any, name: str, value: Any) -> None:
    """Sets `mapping.norm`, however it is written there: as a dotted key, a quoted one or in a table of its own."""
    head, _, rest = name.partition(".")
    if not rest or name in table:
        table[name] = value
    elif hasattr(table.get(head), "items"):
        _put(table[head], rest, value)
    else:
        table.append(tomlkit.key(name.split(".")), value)
