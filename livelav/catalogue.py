"""Generators and encoders under one roof, for `livelav models`: what there is, its card, and removing it."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from livelav.core.errors import ModelError, nearest, one_line
from livelav.encode import encoder as encoders
from livelav.encode.fetch import SOURCES
from livelav.generate.library import ModelInfo, list_models, model_info, remove_model

DEEPEST, WIDEST = 4, 30  # of a card that is told: parts in parts, columns of names
SHORT = 4  # things that a part says, to be told in one line


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `livelav models list`."""

    name: str
    kind: str  # generator or encoder
    state: str  # shipped, yours, broken, fetched, or to fetch
    note: str


def catalogue() -> list[Entry]:
    """Generators first; reads their cards."""
    entries = []
    for name in list_models():
        try:
            entries.append(_generator(model_info(name)))
        except ModelError as error:  # the others are listed all the same
            entries.append(Entry(name, "generator", "broken", str(error)))
    entries.append(Entry("embedded", "encoder", "shipped", f"24 kHz, licence {encoders.card('embedded')['licence']}"))
    for source in SOURCES.values():
        fetched = os.path.isfile(encoders.fetched_path(source.name))
        entries.append(Entry(source.name, "encoder", "fetched" if fetched else "to fetch", source.licence))
    return entries


def _generator(info: ModelInfo) -> Entry:
    notes = [f"{info.resolution} px", f"{info.parameters / 1e6:.1f} M parameters"]
    if info.labels:
        notes.append(f"{info.labels} labels")
    if info.imported_from:
        notes.append(f"from {info.imported_from} ({info.layout})")
    elif info.trained is not True:
        notes.append("no card" if info.trained is None else "untrained")
    return Entry(
        info.name, "generator", "shipped" if info.shipped else "yours", ", ".join([*notes, f"licence {info.licence}"])
    )


def names() -> tuple[str, ...]:
    """What has a name already, generators first."""
    return (*list_models(), "embedded", *SOURCES)


def card(name: str) -> dict[str, Any]:
    """All that is known of a generator or encoder. Raises ModelError, or WeightsError if not fetched."""
    if name == "embedded" or name in SOURCES:
        return encoders.card(name)
    known = names()
    if name not in known and not os.path.exists(name):
        raise ModelError(f"no model {name!r}{nearest(name, known)}; `livelav models list` names what there is")
    facts = asdict(model_info(name))
    return {**facts.pop("card"), **facts}


def told(facts: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """A card's lines, for people; its parts are set in, though not without end: strangers write cards, too."""
    wide = min(max(map(len, facts), default=0), WIDEST)
    for name, value in facts.items():
        if isinstance(value, dict) and depth < DEEPEST and not _is_short(value):
            text, rows = "", list(told(value, depth + 1))
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            text, rows = "", list(map(_text, value))
        else:
            text, rows = _text(value), []
        yield one_line(f"{name:{wide}}  {text}".rstrip())
        yield from (one_line(f"  {row}") for row in rows)


def _is_short(part: Mapping[str, Any]) -> bool:
    return len(part) <= SHORT and not any(isinstance(value, dict | list) for value in part.values())


def _text(value: Any) -> str:
    if isinstance(value, dict) and _is_short(value):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def remove(name: str) -> str:
    """Deletes what was fetched or imported; returns its name. Raises ModelError."""
    if name in SOURCES:
        path = encoders.fetched_path(name)
        if not os.path.isfile(path):
            raise ModelError(f"encoder {name} was not fetched: there is nothing to remove")
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)
    else:
        remove_model(name)
    return name
