"""The generator's image, on the card, enlarged once per image: bicubic colour, and the level that lines follow.

Done at the image's own scale, so that a pass over a whole window needs one linear tap where it would need sixteen:
on a processor that draws, taps are what a picture costs. There an image that is large enough stays as large as it is,
and linear taps do the whole way: that looks the same, and enlarging it took longer than all lines and glow. Runs in the
thread that owns the context.
"""

from pathlib import Path

import moderngl
import numpy as np

from livelav.core.values import Bytes, Floats, Image
from livelav.show.grade import grade
from livelav.show.kept import Kept
from livelav.show.levels import CELLS, LevelRange, Spline, level_field
from livelav.show.shaders import EVERYWHERE, build, mesh, release, set_uniforms
from livelav.show.targets import Size

SIDE = 1024  # images are enlarged to this many pixels
SOFTWARE_SIDE = 256  # the same where the processor draws
FRAME = 2  # the outermost pixels: see across.frag


class Passes:
    """The two programs; streams of images may share them."""

    def __init__(self, ctx: moderngl.Context, folder: Path | None = None) -> None:
        """Raises DisplayError where a shader does not compile."""
        self.across = mesh(ctx, build(ctx, "full.vert", "across.frag", folder=folder), EVERYWHERE)
        self.down = mesh(ctx, build(ctx, "full.vert", "down.frag", folder=folder), EVERYWHERE)

    def close(self) -> None:
        """Gives them back."""
        for one in (self.across, self.down):
            release(one)


class Enlarger:
    """Holds the newest image of one stream and its enlargement."""

    def __init__(self, ctx: moderngl.Context, software: bool, passes: Passes) -> None:
        """`software`: the processor draws."""
        self._ctx, self._software, self._passes = ctx, software, passes
        self._way: _Drawn | _Computed | None = None
        self._ways = Kept(self._way_of, lambda way: way.release())
        self._has_image = self._stale = False
        self._grade = (0.0, 1.0)
        self.version = 0  # another one with each enlargement
        self.range = LevelRange()

    def set_image(self, image: Image) -> None:
        """Takes an image; enlarging waits until `texture` is asked for, so images nobody sees cost little."""
        height, width, channels = image.pixels.shape
        assert channels == 4, "images are RGBA: three channels upload ten times slower"
        if self._way is None or self._way.size != (width, height):
            self._way = self._ways[width, height]
        level = level_field(image.pixels)
        self.range.aim(level)
        self._way.take(image.pixels, level)
        self._has_image = self._stale = True

    def texture(self, hue_deg: float, saturation: float) -> moderngl.Texture | None:
        """The enlargement, graded: float, rgb from 0 (a little over 1 at edges), level in alpha.

        None before the first image. Draws, where there is something new, through texture units 0 and 1.
        """
        if self._way is None or not self._has_image:
            return None
        if self._stale or self._grade != (hue_deg, saturation):
            self._way.make(grade(hue_deg, saturation), self._stale)
            self.version += 1
        self._stale, self._grade = False, (hue_deg, saturation)
        return self._way.full

    @property
    def has_image(self) -> bool:
        return self._has_image

    def forget(self) -> None:
        """Until the next image there is none. The memory stays: to have it anew takes longer than a picture may."""
        self._has_image, self.range = False, LevelRange()

    def close(self) -> None:
        """Gives the textures back."""
        self._ways.close()
        self._way = None

    def _way_of(self, size: Size) -> "_Drawn | _Computed":
        width, height = size
        side = SOFTWARE_SIDE if self._software else SIDE
        if self._software and max(width, height) >= side:
            return _Computed(self._ctx, width, height)
        return _Drawn(self._ctx, self._passes, width, height, side)


class _Drawn:
    """Enlarged across, then both ways."""

    def __init__(self, ctx: moderngl.Context, passes: Passes, width: int, height: int, side: int) -> None:
        self._passes, self.size, self._down = passes, (width, height), Spline(height, CELLS)
        scale = max(side / max(width, height), 1.0)
        wide, tall = round(width * scale), round(height * scale)
        self._image, self._levels = ctx.texture(self.size, 4), ctx.texture((CELLS, height), 1, dtype="f4")
        self._image.filter = self._levels.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._wide, self.full = ctx.texture((wide, height), 4, dtype="f4"), _full(ctx, wide, tall)
        self._into_wide, self._into_full = ctx.framebuffer([self._wide]), ctx.framebuffer([self.full])

    def take(self, pixels: Bytes, level: Floats) -> None:
        """`level`: [CELLS, CELLS]."""
        self._image.write(np.ascontiguousarray(pixels))
        self._levels.write(self._down(level))

    def make(self, matrix: Floats, is_new: bool) -> None:
        """`matrix`: what a colour is graded by, [3, 3]; `is_new`: it is not the grade alone that is."""
        if is_new:
            self._image.use(0)
            self._levels.use(1)
            set_uniforms(self._passes.across.program, image=0, levels=1, width=self._wide.width)
            self._into_wide.use()
            self._passes.across.render()
        self._wide.use(0)
        set_uniforms(self._passes.down.program, source=0, height=self.full.height, grade=tuple(matrix.T.ravel()))
        self._into_full.use()
        self._passes.down.render()

    def release(self) -> None:
        for one in (self._into_wide, self._into_full, self._image, self._levels, self._wide, self.full):
            one.release()


class _Computed:
    """As large as it is, what is asked of an enlargement worked out without drawing."""

    def __init__(self, ctx: moderngl.Context, width: int, height: int) -> None:
        self.size, self.full = (width, height), _full(ctx, width, height)
        self._across, self._down = Spline(width, CELLS), Spline(height, width)
        self._seen = np.zeros((height, width, 4), np.float32)
        self._graded = np.zeros_like(self._seen)

    def take(self, pixels: Bytes, level: Floats) -> None:
        """See `_Drawn`."""
        seen = self._seen
        np.multiply(pixels, np.float32(1 / 255), out=seen)
        seen[:FRAME], seen[-FRAME:] = seen[FRAME], seen[-FRAME - 1]
        seen[:, :FRAME], seen[:, -FRAME:] = seen[:, FRAME, None], seen[:, -FRAME - 1, None]
        seen[..., 3] = self._down(np.ascontiguousarray(self._across(level.T).T))

    def make(self, matrix: Floats, _is_new: bool) -> None:
        """See `_Drawn`."""
        if np.array_equal(matrix, np.eye(3)):
            self.full.write(self._seen)
            return
        red, green, blue, level = np.moveaxis(self._seen, -1, 0)
        for channel, (r, g, b) in enumerate(matrix.astype(np.float32)):  # no matrix product: see levels.py
            np.maximum(r * red + g * green + b * blue, np.float32(0), out=self._graded[..., channel])
        self._graded[..., 3] = level
        self.full.write(self._graded)

    def release(self) -> None:
        self.full.release()


def _full(ctx: moderngl.Context, width: int, height: int) -> moderngl.Texture:
    # float32: half floats filter slower on a processor, and their steps would show in the lines
    texture = ctx.texture((width, height), 4, dtype="f4")
    texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
    texture.repeat_x = texture.repeat_y = False
    return texture
