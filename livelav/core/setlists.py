"""Set lists: TOML files that put presets in the order of an evening, with a note for each song.

    schema = 1
    name = "Saturday"
    [[song]]
    preset = "calm"
    notes = "starts with the piano alone; blackout at the end"

One is found by name in the user's `sets`, or given as a file. Read with the same suspicion as presets.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from livelav.core.bounded_toml import is_text, read_toml
from livelav.core.errors import PresetError, nearest
from livelav.core.presets import is_preset_name, list_presets
from livelav.core.store import config_dir, listing

SCHEMA = 1
MOST = 500  # songs
_LONGEST = 500  # characters of a note


@dataclass(frozen=True, slots=True)
class Song:
    """One entry: a preset by name, and what the operator is to be reminded of."""

    preset: str
    notes: str = ""


def every_preset() -> tuple[Song, ...]:
    """What is played through where nobody made a set list: all presets in order of their names."""
    return tuple(Song(listed.name) for listed in list_presets())


def load_set_list(name_or_path: str) -> tuple[Song, ...]:
    """The songs of that set list. Raises PresetError with the first thing that is wrong."""
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
    else:
        folder = config_dir() / "sets"
        known = [found.stem for found in listing(folder, ".toml")]
        if name_or_path not in known:
            raise PresetError(
                f"no set list {name_or_path[:80]!r} in {folder}{nearest(name_or_path[:80], known)}; "
                "name one that is there, or a .toml file"
            )
        path = folder / f"{name_or_path}.toml"
    tree, _ = read_toml(path, "set list", PresetError)
    if type(tree.get("schema")) is not int or tree["schema"] != SCHEMA:
        raise PresetError(f"{path}: write `schema = {SCHEMA}` on top; a newer livelav reads other schemas")
    if unknown := set(tree) - {"schema", "name", "song"}:
        raise PresetError(f"{path}: no key {sorted(unknown)[0][:80]!r}; there are schema, name and [[song]]")
    songs = tree.get("song")
    if not isinstance(songs, list) or not 1 <= len(songs) <= MOST:
        raise PresetError(f"{path}: write [[song]] for each song, from 1 to {MOST} of them")
    return tuple(_song(entry, f"{path}: [[song]] {number}") for number, entry in enumerate(songs, start=1))


def lists_naming(preset: str) -> list[Path]:
    """The user's set lists that have that preset in them, as far as they can be read."""
    found = []
    for path in listing(config_dir() / "sets", ".toml"):
        with contextlib.suppress(PresetError):
            if any(song.preset == preset for song in load_set_list(str(path))):
                found.append(path)
    return found


def _song(entry: object, where: str) -> Song:
    if not isinstance(entry, dict) or set(entry) - {"preset", "notes"} or "preset" not in entry:
        raise PresetError(f"{where}: it has a preset, and may have notes, and nothing else")
    preset, notes = entry["preset"], entry.get("notes", "")
    if not (isinstance(preset, str) and is_preset_name(preset)):
        raise PresetError(f"{where}: preset must be the name of one, as `livelav presets list` has it")
    if not is_text(notes, _LONGEST):
        raise PresetError(f"{where}: notes must be plain text of at most {_LONGEST} characters")
    return Song(preset, notes)
