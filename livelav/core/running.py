"""Where the show stands, kept on disk every few seconds: after a crash or a power cut it goes on from there."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livelav.core.errors import LivelavError, StorageError
from livelav.core.presets import is_preset_name
from livelav.core.scene import Scene
from livelav.core.scene_json import scene_of, scene_tree
from livelav.core.store import config_dir

SCHEMA = 1
_LARGEST = 1 << 20  # bytes: two scenes, each of which may carry bindings
DARK = ("", "blackout", "fade")  # the switch that keeps the light off; empty: none


@dataclass(frozen=True, slots=True)
class Running:
    """What is kept. `ended` says that the show ended as it should.

    What can be undone, and the other side of A/B, are not: they belong to the hands of that hour.
    """

    scene: Scene
    preset: str | None
    ended: bool = False
    recalled: Scene | None = None  # what panic comes back to; None: the scene itself
    named: tuple[str, ...] = ()  # what the preset names, also of what belongs to the evening
    number: int | None = None  # of the preset in the list, counted from 0
    set_list: str | None = None  # the list's name, or its file; None: all presets
    added: tuple[str, ...] = ()  # presets that were saved since and follow in the list
    dark: str = ""  # one of DARK

    def as_json(self) -> bytes:
        """The file's content."""
        facts = {
            "schema": SCHEMA,
            "ended": self.ended,
            "preset": self.preset,
            **scene_tree(self.scene),
            "recalled": scene_tree(self.recalled) if self.recalled else None,
            "named": self.named,
            "number": self.number,
            "set_list": self.set_list,
            "added": self.added,
            "dark": self.dark,
        }
        return (json.dumps(facts, indent=2) + "\n").encode()


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
    preset, set_list, number = facts["preset"], facts.get("set_list"), facts.get("number")
    if not all(text is None or isinstance(text, str) for text in (preset, set_list)):
        raise ValueError("preset or set_list")
    if not (number is None or (type(number) is int and number >= 0)):
        raise ValueError("number")
    if (dark := facts.get("dark", "")) not in DARK:
        raise ValueError("dark")
    recalled = scene_of(facts["recalled"]) if facts.get("recalled") is not None else None
    if recalled and recalled.key.mode == "track":
        raise ValueError("no live show is normalised by a whole track")
    named, added = _texts(facts, "named"), _texts(facts, "added")
    if not all(map(is_preset_name, added)):
        raise ValueError("added")
    return Running(scene_of(facts), preset, facts["ended"], recalled, named, number, set_list, added, dark)


def _texts(facts: dict[str, Any], key: str) -> tuple[str, ...]:
    texts = facts.get(key, [])
    if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise ValueError(key)
    return tuple(texts)
