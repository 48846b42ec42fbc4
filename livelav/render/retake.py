"""What a take is rendered with: the scene that its show began with, and the few flags that may say otherwise.

What hands moved is the take's: parameters, preset, seed and the choices of songs cannot be given. What made the
pictures may be another: model, encoder, engine, noise maps. Models that the show changed to are taken from the library
by their names, never from a file that a take names. Runs in main.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from livelav.control.commands import FadeTo
from livelav.core.errors import ModelError, ParamError, TakeError
from livelav.core.params import CHOICES, PARAMS, argument
from livelav.core.scene import Drawn, Scene
from livelav.core.values import Bytes, WStats
from livelav.encode.encoder import FETCHABLE
from livelav.flags import first_scene
from livelav.generate.library import Generator, list_models, model_stats
from livelav.render.casting import Part
from livelav.takes.format import Take

Load = Callable[[Drawn], Generator]

_ENCODERS = ("embedded", *FETCHABLE)
_KEPT = 3  # generators: two that are seen, and one more for pictures that are still being made


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


class Cast:
    """The generators that a take's picture goes over to, each loaded when it is first drawn; the last few are kept."""

    def __init__(self, take: Take, first: Generator, drawn: Drawn, noise: str | None, load: Load) -> None:
        """`first` is the one that it begins with, as `drawn`; `noise` the maps of all of them, where the take is not to
        say that. `load` gives another."""
        self._load, self._noise, self._lock = load, noise, threading.Lock()
        self._kept = {drawn: (first, threading.Lock())}
        self._here: dict[str, tuple[str, WStats] | None] = {}  # names that the take tells of; None: not here
        self.troubles: list[str] = []  # for the operator, in a line each
        if take.changes_model and not take.fades:
            self.troubles.append(f"{take.path} tells of no other model that was seen: all of it is of {first.name}")
        for fade in take.fades:
            if fade.model not in self._here:
                self._here[fade.model] = self._look_for(fade, take)
        self.drawn = tuple(dict.fromkeys(self._meant(fade) for fade in take.fades if self._here[fade.model]))

    @property
    def words(self) -> str:
        """All that its pictures are made of, to tell it from others."""
        return repr([(*drawn, here[0]) for drawn in self.drawn if (here := self._here[drawn.model])])

    def _look_for(self, fade: FadeTo, take: Take) -> tuple[str, WStats] | None:
        try:
            if fade.model not in list_models():  # a name is all that a take may say
                raise ModelError(f"model {fade.model!r} of {take.path} is not here")
            here = model_stats(fade.model)
        except ModelError as error:
            self.troubles.append(f"{error}: what plays before it goes on")
            return None
        if fade.sha256 != here[0] and fade.model != take.model:
            self.troubles.append(f"model {fade.model} is another here than in {take.path}: its pictures are, too")
        return here

    def others(self, fade: FadeTo) -> tuple[Drawn, WStats] | None:
        """See Casting."""
        here = self._here.get(fade.model)
        return (self._meant(fade), here[1]) if here else None

    def draw(self, part: Part) -> Bytes:
        """Its image; from any thread. Raises ModelError, BackendError."""
        generator, turn = self._loaded(part.drawn)
        with turn if generator.streams == 1 else contextlib.nullcontext():  # an engine for one thread at a time
            return generator.synthesize(part.controls.ws, part.controls.noise)

    def _loaded(self, drawn: Drawn) -> tuple[Generator, threading.Lock]:
        with self._lock:
            if (found := self._kept.pop(drawn, None)) is None:
                while len(self._kept) >= _KEPT:
                    del self._kept[next(iter(self._kept))]  # that was asked for the longest ago
                found = self._load(drawn), threading.Lock()
                if (here := self._here.get(drawn.model)) and found[0].sha256 != here[0]:
                    raise ModelError(f"model {drawn.model} was changed while it was rendered; render again")
            self._kept[drawn] = found
            return found

    def _meant(self, fade: FadeTo) -> Drawn:
        return Drawn(fade.model, self._noise or fade.noise)


def differences(take: Take, generator: Generator) -> Iterator[str]:
    """Where the video cannot be what was seen, one line each."""
    if generator.name == take.model and generator.sha256 != take.sha256:
        yield f"model {generator.name} is another here than in {take.path}: its pictures are, too"
    if take.strange:
        names = ", ".join(take.strange[:5]) + ", ..." * (len(take.strange) > 5)
        yield f"{take.path} moves what this livelav does not know, which is left out: {names}"
