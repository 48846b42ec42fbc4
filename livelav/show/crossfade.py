"""Two streams of images, each enlarged for itself, and the picture's way from one to the other.

Mixed as they lie on the card, before anything else is drawn of them: light as two projectors' light adds up, and the
level along a quarter of a circle, since the mean of two fields that do not know each other is flatter than either and
would have fewer lines. Lines of one so bend into those of the other. While one stream is seen alone nothing is mixed.
All memory is kept for the next time: to have it anew takes longer than a picture may. Runs in the thread that owns the
context.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import moderngl

from livelav.core.values import Image
from livelav.show.enlarge import Enlarger, Passes
from livelav.show.kept import Kept
from livelav.show.shaders import EVERYWHERE, build, mesh, release, set_uniforms
from livelav.show.targets import make_target, release_target, texture_of


@dataclass(frozen=True, slots=True)
class Seen:
    """What a picture is drawn of."""

    texture: moderngl.Texture  # rgb, and in alpha the level
    version: object  # another one where the texture's content is
    centre: float  # of the level, and how far it spreads
    spread: float


class Crossfade:
    """Holds the newest image of both."""

    def __init__(self, ctx: moderngl.Context, software: bool, folder: Path | None = None) -> None:
        """`software`: the processor draws. Raises DisplayError where a shader does not compile."""
        self._passes = Passes(ctx, folder)
        self._streams = Enlarger(ctx, software, self._passes), Enlarger(ctx, software, self._passes)
        self._mix = mesh(ctx, build(ctx, "full.vert", "mix.frag", folder=folder), EVERYWHERE)
        self._targets = Kept(lambda size: make_target(ctx, size, "f4"), release_target)
        self._mixed: moderngl.Framebuffer | None = None
        self._drawn: object = None  # what it shows

    def set_image(self, image: Image, stream: int) -> None:
        """The newest of `stream`, 0 or 1."""
        self._streams[stream].set_image(image)

    def step(self, dt: float) -> None:
        """Goes on by `dt` seconds."""
        for stream in self._streams:
            stream.range.step(dt)

    def seen(self, balance: float, hue_deg: float, saturation: float) -> Seen | None:
        """What is to be drawn of, graded; `balance` is 0 for the first stream alone, 1 for the second.

        None before the first image. Draws, where there is something new, through texture units 0 and 1.
        """
        first, second = self._streams
        if balance <= 0.0 and first.has_image:
            second.forget()
        elif balance >= 1.0 and second.has_image:
            first.forget()
        found = []
        for number, stream in enumerate(self._streams):
            if (texture := stream.texture(hue_deg, saturation)) is not None:
                found.append(Seen(texture, (number, stream.version), stream.range.centre, stream.range.spread))
        if len(found) < 2:
            return found[0] if found else None
        return self._mixture(found[0], found[1], balance)

    def forget(self) -> None:
        """Back to before the first image."""
        for stream in self._streams:
            stream.forget()

    def close(self) -> None:
        """Gives textures and programs back."""
        for stream in self._streams:
            stream.close()
        self._targets.close()
        self._mixed = None
        release(self._mix)
        self._passes.close()

    def _mixture(self, first: Seen, second: Seen, balance: float) -> Seen:
        size = max(first.texture.size, second.texture.size)
        if self._mixed is None or self._mixed.size != size:
            self._mixed, self._drawn = self._targets[size], None
        version = first.version, second.version, balance, first.spread, second.spread
        centre = (1.0 - balance) * first.centre + balance * second.centre
        spread = (1.0 - balance) * first.spread + balance * second.spread
        now = Seen(texture_of(self._mixed), version, centre, spread)
        if version == self._drawn:
            return now
        self._drawn = version
        angle = 0.5 * math.pi * balance
        first.texture.use(0)
        second.texture.use(1)
        set_uniforms(
            self._mix.program,
            first=0,
            second=1,
            balance=balance,
            shares=(math.cos(angle) * spread / first.spread, math.sin(angle) * spread / second.spread),
            centres=(first.centre, second.centre),
            centre=centre,
        )
        self._mixed.use()
        self._mix.render()
        return now
