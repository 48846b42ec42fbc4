"""What a take is rendered with: the scene that its show began with, and the few flags that may say otherwise.

What hands moved is the take's: parameters, preset, seed and the choices of songs cannot be given. What made the
pictures may be another: model, encoder, engine, noise maps. Runs in main.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from livelav.core.errors import ParamError, TakeError
from livelav.core.params import CHOICES, PARAMS, argument
from livelav.core.scene import Scene
from livelav.encode.encoder import FETCHABLE
from livelav.generate.library import Generator, list_models
from livelav.play import first_scene
from livelav.takes import Take

_ENCODERS = ("embedded", *FETCHABLE)


def scene_of_take(take: Take, preset: str | None, seed: str | None, flags: dict[str, Any]) -> Scene:
    """The scene to begin with. Raises ParamError for a flag that is the take's, TakeError for what is not here."""
    taken = [("--preset", preset), ("--seed", seed)]
    taken += [(p.flag, flags.get(argument(p.name))) for p in PARAMS]
    taken += [(c.flag, flags.get(argument(c.name))) for c in CHOICES if c.scope == "song"]
    for flag, value in taken:
        if value is not None:
            raise ParamError(f"{flag} {value}: {take.path} says what was played; leave it out, or render {take.sound}")
    if flags.get("model") is None and take.model not in list_models():
        raise TakeError(f"{take.path} was played on model {take.model!r}, which is not here: give another by --model")
    if flags.get("encoder") is None and take.encoder not in _ENCODERS:
        raise TakeError(
            f"{take.path} was heard by encoder {take.encoder!r}, a file: give that, or another, by --encoder"
        )
    before = replace(
        take.scene, choices={**take.scene.choices, "model": take.model, "encoder": take.encoder, "backend": "auto"}
    )
    return first_scene(None, None, flags, before, live=False)


def differences(take: Take, generator: Generator) -> Iterator[str]:
    """Where the video cannot be what was seen, one line each."""
    if take.changes_model:
        yield f"{take.path} changes the model: all of the video is of {generator.name}"
    if generator.name == take.model and generator.sha256 != take.sha256:
        yield f"model {generator.name} is another here than in {take.path}: its pictures are, too"
    if take.strange:
        names = ", ".join(take.strange[:5]) + ", ..." * (len(take.strange) > 5)
        yield f"{take.path} moves what this livelav does not know, which is left out: {names}"
