"""Going on with a video that was cut off: whether it can be, and how much of it is there. Runs in main."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from livelav.audio.whole import WholeSound
from livelav.core.errors import SourceError, StorageError
from livelav.core.scene import Scene
from livelav.show.provenance import Provenance, of_json, read_provenance

if TYPE_CHECKING:
    from livelav.show.unfinished import Unfinished

REMEMBERED_S = 12.0  # after which pictures have forgotten how echoes, light and level were
_ROUNDING_S = 0.002  # .mkv counts in milliseconds


@dataclass(frozen=True, slots=True)
class Begun:
    """What there is: nothing, unless it says otherwise."""

    unfinished: "Unfinished | None" = None
    again: int = 0  # the first picture to be drawn: those before it leave no trace in those that are yet to be made

    @property
    def kept(self) -> int:
        """Pictures that are taken over."""
        return self.unfinished.kept if self.unfinished else 0

    @property
    def pictures(self) -> int:
        """In all."""
        return self.unfinished.pictures if self.unfinished else 0

    def is_complete(self, whole: WholeSound, unseen_s: float) -> bool:
        """Whether it has all pictures and all sound, but for the first `unseen_s`. Where a sound's length is a guess,
        that is not known."""
        one = self.unfinished
        if one is None or not whole.is_exact:
            return False
        seconds = whole.seconds - unseen_s
        return one.pictures >= seconds * one.fps and one.heard_s > seconds - _ROUNDING_S


def begun(output: Path, order: Provenance, draws_noise: bool) -> Begun:
    """What there is of a video that was begun by the same order. Raises StorageError where it is none, or another's.

    `draws_noise`: any of its generators draws new maps for every image."""
    from livelav.show.unfinished import unfinished  # PyAV is heavy

    try:
        said = read_provenance(output)
    except SourceError as error:
        raise StorageError(f"cannot go on: {error}, with --force") from error
    now = of_json(order.as_json())
    for name in (one.name for one in fields(Provenance)):
        if (was := getattr(said, name)) != getattr(now, name):
            what = f"{name} {was}, not {getattr(now, name)}"
            if name == "scene":
                what = _other(said.scene, now.scene)
            elif name == "sound_sha256":
                what = "another sound or take, or with other models than those that are here"
            # auto weighs engines against each other, and a busy machine may mislead it
            remedy = "try again when less else runs; --force" if name == "engine" else "--force"
            raise StorageError(f"cannot go on with {output}: it was begun with {what}; {remedy} renders it anew")
    found = unfinished(output, said.fps)
    # drawn noise goes on from image to image: then all of them are made again
    return Begun(found, 0 if draws_noise else max(found.kept - round(REMEMBERED_S * said.fps), 0))


def _other(then: Scene, now: Scene) -> str:
    """The first thing that tells two scenes apart."""
    was, is_now = (
        {**one.settings.as_dict(), **one.choices, "seed": one.seed, "drives": dict(one.drives)} for one in (then, now)
    )
    name = next(name for name in was if was[name] != is_now[name])
    return f"{name} {was[name]}, not {is_now[name]}"
