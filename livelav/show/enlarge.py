"""The generator's image, on the card, enlarged once per image: bicubic colour, and the level that lines follow.

Done at the image's own scale, so that a pass over a whole window needs one linear tap where it would need sixteen:
on a processor that draws, taps are what a picture costs. Runs in the thread that owns the context.
"""

from dataclasses import dataclass
from pathlib import Path

import moderngl
import numpy as np

from livelav.core.values import Image
from livelav.show.grade import grade
from livelav.show.levels import CELLS, LevelRange, Spline, level_field
from livelav.show.shaders import EVERYWHERE, build, mesh, release, set_uniforms

SIDE = 1024  # images are enlarged to this many pixels
SOFTWARE_SIDE = 320  # the same where the processor draws; linear taps do the rest of the way


@dataclass(frozen=True, slots=True)
class _Stages:
    """An image on its way: as it came with its level, enlarged across, enlarged both ways."""

    image: moderngl.Texture  # [height, width] RGBA
    levels: moderngl.Texture  # [height, CELLS]
    wide: moderngl.Texture
    full: moderngl.Texture
    into_wide: moderngl.Framebuffer
    into_full: moderngl.Framebuffer

    def release(self) -> None:
        for one in (self.into_wide, self.into_full, self.image, self.levels, self.wide, self.full):
            one.release()


class Passes:
    """The programs; streams of images may share them."""

    def __init__(self, ctx: moderngl.Context, folder: Path | None = None) -> None:
        """Raises DisplayError where a shader does not compile."""
        self.across = mesh(ctx, build(ctx, "full.vert", "across.frag", folder=folder), EVERYWHERE)
        self._down = mesh(ctx, build(ctx, "full.vert", "down.frag", folder=folder), EVERYWHERE)
        self._graded = mesh(ctx, build(ctx, "full.vert", "down.frag", "GRADED", folder=folder), EVERYWHERE)

    def down(self, hue_deg: float, saturation: float) -> moderngl.VertexArray:
        """The second pass, which grades only where something changes by it: on a processor a fifth of what it costs."""
        if (hue_deg, saturation) == (0.0, 1.0):
            return self._down
        set_uniforms(self._graded.program, grade=tuple(grade(hue_deg, saturation).T.ravel()))
        return self._graded

    def close(self) -> None:
        """Gives them back."""
        for one in (self.across, self._down, self._graded):
            release(one)


class Enlarger:
    """Holds the newest image of one stream and its enlargement."""

    def __init__(self, ctx: moderngl.Context, software: bool, passes: Passes) -> None:
        """`software`: the processor draws."""
        self._ctx, self._passes = ctx, passes
        self._side = SOFTWARE_SIDE if software else SIDE
        self._stages: _Stages | None = None
        self._spline = Spline(1)  # of the image's height
        self._stale = False
        self._grade = (0.0, 1.0)
        self.version = 0  # another one with each enlargement
        self.range = LevelRange()

    def set_image(self, image: Image) -> None:
        """Uploads an image; enlarging waits until `texture` is asked for, so images nobody sees cost little."""
        height, width, channels = image.pixels.shape
        assert channels == 4, "images are RGBA: three channels upload ten times slower"
        if self._stages is None or self._stages.image.size != (width, height):
            if self._stages is not None:
                self._stages.release()
            self._stages = _stages(self._ctx, width, height, self._side)
            self._spline = Spline(height)
        level = level_field(image.pixels)
        self.range.aim(level)
        self._stages.image.write(np.ascontiguousarray(image.pixels))
        self._stages.levels.write(self._spline(level))
        self._stale = True

    def texture(self, hue_deg: float, saturation: float) -> moderngl.Texture | None:
        """The enlargement, graded: float, rgb from 0 (a little over 1 at edges), level in alpha.

        None before the first image. Draws, where there is something new, through texture units 0 and 1.
        """
        stages = self._stages
        if stages is None:
            return None
        if self._stale:
            stages.image.use(0)
            stages.levels.use(1)
            set_uniforms(self._passes.across.program, image=0, levels=1, width=stages.wide.width)
            stages.into_wide.use()
            self._passes.across.render()
        if self._stale or self._grade != (hue_deg, saturation):
            stages.wide.use(0)
            down = self._passes.down(hue_deg, saturation)
            set_uniforms(down.program, source=0, height=stages.full.height)
            stages.into_full.use()
            down.render()
            self.version += 1
        self._stale, self._grade = False, (hue_deg, saturation)
        return stages.full

    @property
    def has_image(self) -> bool:
        return self._stages is not None

    def forget(self) -> None:
        """Gives the textures back: until the next image there is none."""
        if self._stages is not None:
            self._stages.release()
            self._stages, self.range = None, LevelRange()


def _stages(ctx: moderngl.Context, width: int, height: int, side: int) -> _Stages:
    scale = max(side / max(width, height), 1.0)
    wide, tall = round(width * scale), round(height * scale)
    image, levels = ctx.texture((width, height), 4), ctx.texture((CELLS, height), 1, dtype="f4")
    # float32: half floats filter slower on a processor, and their steps would show in the lines
    across, full = ctx.texture((wide, height), 4, dtype="f4"), ctx.texture((wide, tall), 4, dtype="f4")
    image.filter = levels.filter = across.filter = (moderngl.NEAREST, moderngl.NEAREST)
    full.filter = (moderngl.LINEAR, moderngl.LINEAR)
    for one in (image, levels, across, full):
        one.repeat_x = one.repeat_y = False
    return _Stages(image, levels, across, full, ctx.framebuffer([across]), ctx.framebuffer([full]))
