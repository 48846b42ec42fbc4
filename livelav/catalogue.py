"""Generators and encoders under one roof, for `livelav models`: what there is, its card, and removing it."""

import os
from dataclasses import asdict, dataclass
from typing import Any

from livelav.core.errors import ModelError, nearest
from livelav.encode import encoder as encoders
from livelav.encode.fetch import SOURCES
from livelav.generate.library import ModelInfo, list_models, model_info, remove_model


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
