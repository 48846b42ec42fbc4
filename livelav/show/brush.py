"""What the operator's panels are drawn with: boxes, text, bars; and nothing is drawn twice that has not changed.

Strokes of a panel are collected first and handed to Dear ImGui only where they differ from those that the window shows
already: on a processor without a graphics card, filling pixels is what a second window costs. Knows no panel and no
meaning. Runs in the operator's process.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imgui_bundle import imgui

_SMALLEST = 0.6  # of the size asked for
_KEPT_WIDTHS = 4096  # of texts


def _colour(red: int, green: int, blue: int) -> int:
    return 0xFF << 24 | blue << 16 | green << 8 | red


GROUND, PANEL, TRACK, HOT = _colour(13, 14, 16), _colour(21, 23, 26), _colour(35, 38, 42), _colour(48, 52, 57)
WHITE, GREY, DIM = _colour(230, 232, 234), _colour(152, 157, 162), _colour(98, 103, 108)
FILL, ACCENT, AMBER = _colour(48, 88, 104), _colour(112, 192, 216), _colour(255, 176, 32)
PICKED = _colour(32, 43, 49)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the window, in its units."""

    x: float
    y: float
    w: float
    h: float

    def row(self, number: float, height: float) -> "Box":
        """The row of that number and height, counted from the top."""
        return Box(self.x, self.y + number * height, self.w, height)

    def inset(self, by: float) -> "Box":
        """Smaller on all sides."""
        return Box(self.x + by, self.y + by, self.w - 2 * by, self.h - 2 * by)

    def narrowed(self, by: float) -> "Box":
        """Smaller on the left and on the right."""
        return Box(self.x + by, self.y, self.w - 2 * by, self.h)

    def part(self, begin: float, end: float) -> "Box":
        """From `begin` to `end` of its width, 0 to 1."""
        return Box(self.x + begin * self.w, self.y, (end - begin) * self.w, self.h)


class Brush:
    """One for a window. All sizes of text are in `letter`s."""

    def __init__(self) -> None:
        self.letter = 16.0  # height of the text, in units of the window
        self.is_dirty = False  # whether anything was drawn since this was last set to False
        self._strokes: list[tuple[Any, ...]] = []
        self._shown: dict[str, list[tuple[Any, ...]]] = {}
        self._widths: dict[tuple[str, float], float] = {}

    def forget(self) -> None:
        """The window shows nothing of it any more: all is drawn anew."""
        self._shown.clear()

    @contextlib.contextmanager
    def panel(self, name: str, box: Box, ground: int, anew: bool = False) -> Iterator[None]:
        """Everything that is drawn meanwhile stands on `ground` in `box`, and nothing of it outside.

        `anew` draws it whatever the window shows: for what others draw over it.
        """
        self._strokes = []
        self.rect(box, ground)
        yield
        if self._strokes == self._shown.get(name) and not anew:
            return
        self._shown[name], self.is_dirty = self._strokes, True
        draw, font = imgui.get_window_draw_list(), imgui.get_font()
        for method, *arguments in self._strokes:
            if method == "add_text":
                draw.add_text(font, *arguments)
            else:
                getattr(draw, method)(*arguments)

    def hit(self, name: str, box: Box) -> bool:
        """Whether the mouse clicks there; after it imgui's questions about the last item mean this place."""
        imgui.set_cursor_screen_pos((box.x, box.y))
        return imgui.invisible_button(name, (max(box.w, 1.0), max(box.h, 1.0)))

    def rect(self, box: Box, colour: int, rounding: float = 0.0) -> None:
        """A filled box; `rounding` in letters."""
        corners = (box.x, box.y), (box.x + box.w, box.y + box.h)
        self._strokes.append(("add_rect_filled", *corners, colour, rounding * self.letter))

    def frame(self, box: Box, colour: int) -> None:
        """The outline of a box, inside of it."""
        corners = (box.x + 0.5, box.y + 0.5), (box.x + box.w - 0.5, box.y + box.h - 0.5)
        self._strokes.append(("add_rect", *corners, colour))

    def disc(self, x: float, y: float, radius: float, colour: int) -> None:
        self._strokes.append(("add_circle_filled", (x, y), radius, colour, 24))

    def triangle(self, a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], colour: int) -> None:
        self._strokes.append(("add_triangle_filled", a, b, c, colour))

    def say(self, box: Box, text: str, colour: int, size: float = 1.0, align: float = 0.0) -> float:
        """Text in the middle of the box's height, `align` 0 at its left and 1 at its right, cut where the box ends.

        Returns its width.
        """
        letter, wide = size * self.letter, self.width(text, size)
        at = math.floor(box.x + max(box.w - wide, 0.0) * align), round(box.y + (box.h - letter) / 2)
        ends = (box.x - 1.0, box.y - letter, box.x + box.w + 1.0, box.y + box.h + letter)
        if text and box.w > 0:
            self._strokes.append(("add_text", letter, at, colour, text, 0.0, ends))
        return wide

    def fitting(self, text: str, room: float, size: float = 1.0) -> float:
        """The size at which a text fits in that much room: `size`, or less, but never too small to be read."""
        return size * min(max(room / max(self.width(text, size), 1.0), _SMALLEST), 1.0)

    def width(self, text: str, size: float = 1.0) -> float:
        """Of a text, in units of the window."""
        key = text, size * self.letter
        if key not in self._widths:
            if len(self._widths) >= _KEPT_WIDTHS:
                self._widths.clear()
            imgui.push_font(None, key[1])
            self._widths[key] = imgui.calc_text_size(text).x
            imgui.pop_font()
        return self._widths[key]
