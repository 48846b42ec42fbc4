"""The operator's HUD: rows of text and a level meter in a corner of the window.

Rows are handed in as text, so it knows no figure's meaning. It is drawn after everything else, straight into the
window: recordings and headless videos never carry it. Runs in the thread that owns the context.
The font is Aileron, which Pillow carries and its author put into the public domain.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import moderngl
import numpy as np

from livelav.show.shaders import build, mesh, release, set_uniforms
from livelav.show.surface import Surface

if TYPE_CHECKING:
    from PIL import Image as Pixmap
    from PIL.ImageDraw import ImageDraw

HudRow = tuple[str, str, bool]  # what it is, how it stands, whether that needs the operator's eye


class GhostRow(NamedTuple):
    """A parameter whose knob stands elsewhere: drawn as the knob's way from end to end, with both on it."""

    label: str
    text: str
    value: float  # 0..1 of the way
    knob: float


LONGEST = 160  # characters of a row: what strangers call their devices and addresses must not fill the memory
REFRESH_S = 0.25  # text slower than this to draw is read no faster
WHITE, GREY, AMBER = (235, 235, 235, 255), (150, 150, 150, 255), (255, 176, 32, 255)
_LINE = 1.4  # letters from row to row
_TRAVEL = 8  # letters: how long a knob's travel is drawn
GROUND, GROOVE = (0, 0, 0, 170), (80, 80, 80, 255)


class Hud:
    """Draws the newest rows at most four times a second, and the meter every time."""

    def __init__(self, surface: Surface, folder: Path | None = None) -> None:
        """`folder`: other shaders than the shipped. Raises DisplayError where one does not compile."""
        self._surface, ctx = surface, surface.ctx
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
        self._panel = mesh(ctx, build(ctx, "panel.vert", "hud.frag", folder=folder), corners)
        self._texture: moderngl.Texture | None = None
        self._rows: tuple[HudRow | GhostRow, ...] = ()
        self._window = (0, 0)
        self._asked_s = float("-inf")

    def draw(self, now_s: float, rows: Callable[[], Sequence[HudRow | GhostRow]], level: float) -> None:
        """Draws over what the surface holds; call it only while the HUD is shown.

        `rows` is asked at most four times a second; `level` 0..1 fills the meter every time.
        """
        size = width, height = self._surface.size
        text_px = _text_px(size)
        if self._texture is None or self._window != size or now_s - self._asked_s >= REFRESH_S:
            self._asked_s = now_s
            fresh = tuple(map(_cut, rows()))
            if self._texture is None or self._window != size or self._rows != fresh:
                self._rows, self._window = fresh, size
                self._write(_sheet(fresh[: _fits(height, text_px)], text_px))
        assert self._texture is not None
        across, down = self._texture.size
        left, bottom = -1 + 2 * text_px / width, 1 - 2 * (text_px + down) / height
        self._surface.fbo.use()
        self._surface.fbo.viewport = (0, 0, width, height)
        ctx = self._surface.ctx
        ctx.enable(moderngl.BLEND)
        ctx.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        self._texture.use(0)
        set_uniforms(
            self._panel.program,
            text=0,
            level=min(max(level, 0.0), 1.0),
            place=(left, bottom, 2 * across / width, 2 * down / height),
            meter=_meter(across, down, text_px),
        )
        self._panel.render(moderngl.TRIANGLE_STRIP)
        ctx.disable(moderngl.BLEND)

    def close(self) -> None:
        """Gives texture and program back."""
        if self._texture is not None:
            self._texture.release()
        release(self._panel)

    def _write(self, sheet: "Pixmap.Image") -> None:
        if self._texture is None or self._texture.size != sheet.size:
            if self._texture is not None:
                self._texture.release()
            self._texture = self._surface.ctx.texture(sheet.size, 4)
            self._texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
            self._texture.repeat_x = self._texture.repeat_y = False
        self._texture.write(sheet.tobytes())


def _text_px(size: tuple[int, int]) -> int:
    """Height of the letters: readable across a booth, whatever the window."""
    return max(round(min(size) / 45), 12)


def _fits(height: int, text_px: int) -> int:
    """How many rows a window of that height has room for: the last ones are the first that it does without."""
    return max((height - 4 * text_px) // round(_LINE * text_px), 1)


def _cut(row: HudRow | GhostRow) -> HudRow | GhostRow:
    if isinstance(row, GhostRow):
        return row._replace(text=row.text[:LONGEST])
    return row[0], row[1][:LONGEST], row[2]


def _sheet(rows: Sequence[HudRow | GhostRow], text_px: int) -> "Pixmap.Image":
    """The panel's picture: two columns of text, and room for the meter below. Its width changes in coarse steps."""
    from PIL import Image as Pixmap  # here: a show without HUD starts without Pillow
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(text_px)
    line, margin = round(_LINE * text_px), text_px // 2
    after_travel = (_TRAVEL + 1) * text_px
    labels = max((int(font.getlength(row[0])) for row in rows), default=0)
    texts = max((int(font.getlength(row[1])) + after_travel * isinstance(row, GhostRow) for row in rows), default=0)
    step = 8 * text_px
    width = -(-(labels + texts + text_px + 2 * margin) // step) * step
    sheet = Pixmap.new("RGBA", (width, line * len(rows) + text_px + 2 * margin), GROUND)
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top, left = margin + number * line, margin + labels + text_px
        draw.text((margin, top), row[0], GREY, font)
        if isinstance(row, GhostRow):
            _draw_travel(draw, left, top + round(0.6 * text_px), text_px, row)
            draw.text((left + after_travel, top), row.text, WHITE, font)
        else:
            draw.text((left, top), row[1], AMBER if row[2] else WHITE, font)
    return sheet


def _draw_travel(draw: "ImageDraw", left: int, middle: int, text_px: int, row: GhostRow) -> None:
    """Filled up to the value, with a mark over where the knob stands."""
    value, ghost = (left + min(max(at, 0.0), 1.0) * _TRAVEL * text_px for at in (row.value, row.knob))
    half, mark = max(text_px // 8, 1), text_px // 3
    draw.rectangle((left, middle - half, left + _TRAVEL * text_px, middle + half), GROOVE)
    draw.rectangle((left, middle - half, value, middle + half), GREY)
    draw.polygon(((ghost - mark, middle - 2 * mark), (ghost + mark, middle - 2 * mark), (ghost, middle + half)), WHITE)


def _meter(across: int, down: int, text_px: int) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the meter in a panel of that many pixels, 0..1 from its top."""
    margin = text_px // 2
    return margin / across, (down - margin - text_px // 2) / down, (across - margin) / across, (down - margin) / down
