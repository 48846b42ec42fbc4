"""Generators and encoders under one roof, for `livelav models`: what there is, its card, and removing it."""

import os
from dataclasses import asdict, dataclass
from typing import Any

from livelav.core.errors import ModelError, nearest
from livelav.encode import encoder as encoders
from livelav.encode.fetch import SOURCES
from livelav.generate.library import list_models, model_info, remove_model


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `livelav models list`."""

    name: str
    kind: str  # generator or encoder
    state: str  # shipped, yours, fetched, or to fetch
    note: str


def catalogue() -> list[Entry]:
    """Generators first; reads their cards."""
    entries = []
    for name in list_models():
        info = model_info(name)
        trained = {True: "", False: ", untrained", None: ", no card"}[info.trained]
        note = f"{info.resolution} px, {info.parameters / 1e6:.1f} M parameters{trained}, licence {info.licence}"
        entries.append(Entry(name, "generator", "shipped" if info.shipped else "yours", note))
    entries.append(Entry("embedded", "encoder", "shipped", f"24 kHz, licence {encoders.card('embedded')['licence']}"))
    for source in SOURCES.values():
        fetched = os.path.isfile(encoders.fetched_path(source.name))
        entries.append(Entry(source.name, "encoder", "fetched" if fetched else "to fetch", source.licence))
    return entries


def card(name: str) -> dict[str, Any]:
    """All that is known of a generator or encoder. Raises ModelError, or WeightsError if not fetched."""
    if name == "embedded" or name in SOURCES:
        return encoders.card(name)
    known = [*list_models(), "embedded", *SOURCES]
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
