"""Where the show stands, kept on disk every few seconds: after a crash or a power cut it goes on from there."""

import contextlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from livelav.core.drive import checked as checked_drive
from livelav.core.errors import LivelavError, StorageError
from livelav.core.params import BY_NAME, CHOICES, Choice, Settings
from livelav.core.presets import SEEDS, is_binds
from livelav.core.scene import Scene
from livelav.core.store import config_dir

SCHEMA = 1
_LARGEST = 64 << 10  # bytes


@dataclass(frozen=True, slots=True)
class Running:
    """What is kept. `ended` says that the show ended as it should."""

    scene: Scene
    preset: str | None
    ended: bool = False

    def as_json(self) -> bytes:
        """The file's content."""
        binds = [dict(bind) for bind in self.scene.binds]
        facts = {
            "schema": SCHEMA,
            "ended": self.ended,
            "preset": self.preset,
            **scene_facts(self.scene),
            "binds": binds,
        }
        return (json.dumps(facts, indent=2) + "\n").encode()


def scene_facts(scene: Scene) -> dict[str, Any]:
    """A scene without its bindings, as plain JSON values."""
    return {
        "seed": scene.seed,
        "choices": dict(scene.choices),
        "settings": scene.settings.as_dict(),
        "drives": {name: str(drive) for name, drive in scene.drives.items()},
    }


def scene_of(facts: dict[str, Any]) -> Scene:
    """The inverse of `scene_facts`. What belongs to effects that are not here is left out.

    Raises ValueError, KeyError, TypeError and LivelavError for what is no scene.
    """
    if not all(isinstance(part, dict) for part in (facts["choices"], facts["settings"], facts.get("drives", {}))):
        raise ValueError("of another shape")
    if type(seed := facts["seed"]) is not int or seed not in SEEDS:
        raise ValueError("seed")
    drives = {name: checked_drive(name, text) for name, text in facts.get("drives", {}).items() if name in BY_NAME}
    choices = {choice.name: choice.checked(known_words(choice, facts["choices"])) for choice in CHOICES}
    # an effect whose file is gone since must not keep the show from going on
    values = {name: value for name, value in facts["settings"].items() if name in BY_NAME or "." not in name}
    return Scene(Settings().with_values(values), choices, seed, drives)


def running_path() -> Path:
    """One for each user, as one show runs at a time."""
    return config_dir() / "running.json"


def cut_off_path() -> Path:
    """Where the state of a show that was cut off is put aside, until the show after the next one."""
    return config_dir() / "cut-off.json"


def last_show() -> Running:
    """Where the last show stood; or, if it was begun after one that had been cut off, where that one did.

    Raises StorageError where there was none.
    """
    with contextlib.suppress(StorageError):
        last = read_running(running_path())
        if not last.ended:
            return last
    return read_running(cut_off_path() if cut_off_path().exists() else running_path())


def put_aside() -> bool:
    """Makes way for a new show; whether the last one was cut off, which can still be resumed then."""
    was_cut_off = False
    with contextlib.suppress(StorageError, OSError):
        was_cut_off = not read_running(running_path()).ended
        if was_cut_off:
            os.replace(running_path(), cut_off_path())
        else:
            cut_off_path().unlink(missing_ok=True)
    return was_cut_off


def read_running(path: Path) -> Running:
    """Raises StorageError where there is none, or it is broken: then there is nowhere to go on from."""
    try:
        with path.open("rb") as file:
            facts = json.loads(file.read(_LARGEST))
        return _checked(facts)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, LivelavError) as error:
        reason = getattr(error, "strerror", None) or f"it is no state of a show ({error})"
        raise StorageError(f"cannot go on from {path}: {str(reason)[:200]}; start without --resume") from error


def _checked(facts: Any) -> Running:
    if not isinstance(facts, dict):
        raise ValueError("of another shape")
    if facts["schema"] != SCHEMA or type(facts["ended"]) is not bool:
        raise ValueError("of another livelav")
    preset = facts["preset"]
    if not (preset is None or isinstance(preset, str)):
        raise ValueError("preset")
    if not is_binds(binds := facts.get("binds", [])):
        raise ValueError("binds")
    return Running(replace(scene_of(facts), binds=tuple(binds)), preset, facts["ended"])


def known_words(choice: Choice, words: dict[str, Any]) -> Any:
    """What `words` say of a choice, without effects that are not here; its default where they say nothing."""
    word = words.get(choice.name, choice.default)
    if choice.several and isinstance(word, str):
        return " ".join(one for one in choice.words(word) if one in choice.options)
    return word
