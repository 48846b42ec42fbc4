"""A scene as the plain tree that JSON holds, every value exact, and back from what a stranger may have changed.

Knows no file: who keeps scenes says where.
"""

from typing import Any

from livelav.core.drive import checked as checked_drive
from livelav.core.params import BY_NAME, CHOICES, Choice, Settings
from livelav.core.presets import SEEDS, is_binds
from livelav.core.scene import Scene


def scene_tree(scene: Scene) -> dict[str, Any]:
    """All of it."""
    return {
        "seed": scene.seed,
        "choices": dict(scene.choices),
        "settings": scene.settings.as_dict(),
        "binds": [dict(bind) for bind in scene.binds],
        "drives": {name: str(drive) for name, drive in scene.drives.items()},
    }


def scene_of(tree: Any) -> Scene:
    """The scene that `scene_tree` made `tree` of; what it does not name has its default.

    Raises ValueError, KeyError, TypeError or ParamError for anything else.
    """
    if not all(isinstance(part, dict) for part in (tree, tree["choices"], tree["settings"])):
        raise ValueError("of another shape")
    if type(seed := tree["seed"]) is not int or seed not in SEEDS:
        raise ValueError("seed")
    if not is_binds(binds := tree.get("binds", [])):
        raise ValueError("binds")
    drives = {name: checked_drive(name, text) for name, text in tree.get("drives", {}).items() if name in BY_NAME}
    choices = {choice.name: choice.checked(known_words(choice, tree["choices"])) for choice in CHOICES}
    # an effect whose file is gone since must not keep the show from going on
    values = {name: value for name, value in tree["settings"].items() if name in BY_NAME or "." not in name}
    return Scene(Settings().with_values(values), choices, seed, drives, tuple(binds))


def known_words(choice: Choice, words: dict[str, Any]) -> Any:
    """What `words` say of a choice, without effects that are not here; its default where they say nothing."""
    word = words.get(choice.name, choice.default)
    if choice.several and isinstance(word, str):
        return " ".join(one for one in choice.words(word) if one in choice.options)
    return word
