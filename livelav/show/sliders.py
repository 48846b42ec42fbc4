"""The panel of all parameters: each one's name, the control that moves it, and a bar that a mouse drags.

Rows, ranges and knob laws are the table's. It answers with events; knows no command and no engine. Runs in the
operator's process.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement, groupby, pairwise
from typing import Any

from imgui_bundle import imgui

from livelav.core.params import EFFECTS, PARAMS, Param
from livelav.show.brush import ACCENT, AMBER, DIM, FILL, GREY, PANEL, PICKED, TRACK, WHITE, Box, Brush

Group = tuple[str, list[Param]]

_ROW = 1.75  # letters from row to row, where there is room
_NAME, _VALUE = 0.42, 0.25  # of a row's width; the bar has the rest
_COLUMNS = 3
_WHEEL = 1 / 64  # of a knob, by each notch


class Sliders:
    """Remembers what the mouse drags, and which value is being written."""

    def __init__(self, brush: Brush, ask: Callable[..., None]) -> None:
        """`ask(kind, **what)` takes what hands ask for."""
        self._brush, self._ask = brush, ask
        self._held: tuple[str, float] | None = None  # what the mouse drags, and where it has it
        self._writing: Param | None = None
        self._text = ""
        self._field: tuple[Box, float] | None = None  # where the written value stands; None until that is known
        self._is_new = False  # whether the field opens with this drawing

    def write(self, param: Param, value: float) -> None:
        """Lets a value be typed in the place of its bar."""
        self._writing, self._text, self._is_new = param, f"{value:.4g}", True

    def draw(self, box: Box, view: Mapping[str, Any]) -> None:
        """All parameters by their rooms, in columns."""
        brush, letter = self._brush, self._brush.letter
        with brush.panel("parameters", box, PANEL, anew=self._writing is not None):
            inside = box.inset(0.6 * letter)
            columns = _columns()
            row_h = min(_ROW * letter, inside.h / max(map(_rows, columns)))
            gap = 1.0 * letter
            for number, groups in enumerate(columns):
                place = inside.part(number / len(columns), (number + 1) / len(columns))
                self._column(Box(place.x, place.y, place.w - gap, place.h), groups, row_h, view)
        if self._writing is not None and self._field is not None:
            self._draw_field(self._writing, *self._field)

    def _column(self, box: Box, groups: Sequence[Group], row_h: float, view: Mapping[str, Any]) -> None:
        size = min(row_h / self._brush.letter / 1.45, 1.05)
        number = 0
        for group, params in groups:
            title = box.row(number, row_h)
            self._brush.say(Box(title.x, title.y + 0.1 * row_h, title.w, title.h), group.upper(), DIM, 0.76 * size)
            for offset, param in enumerate(params, start=1):
                self._row(box.row(number + offset, row_h), param, size, view)
            number += len(params) + 1

    def _row(self, row: Box, param: Param, size: float, view: Mapping[str, Any]) -> None:
        brush, letter, name = self._brush, self._brush.letter, param.name
        is_picked = name == view["picked"]
        waits = is_picked and view["waits"]
        if is_picked:
            brush.rect(row, PICKED)
            brush.rect(Box(row.x, row.y, 0.2 * letter, row.h), AMBER if waits else ACCENT)
        label = Box(row.x + 0.5 * letter, row.y, _NAME * row.w - letter, row.h)
        if brush.hit(f"pick {name}", label):
            self._ask("pick", name=name)
        short, is_part = _label(param)
        if is_part:
            label = Box(label.x + 0.8 * letter, label.y, label.w - 0.8 * letter, label.h)
        ink = WHITE if is_picked or name == view["touched"] else GREY
        took = brush.say(label, short, ink, brush.fitting(short, label.w, size))
        drive, driven = view["driven"].get(name, ("", None))
        mover = "LEARN" if waits else " ".join(filter(None, (drive and f"~ {drive}", view["movers"].get(name, ""))))
        beside = Box(label.x + took + 0.5 * letter, row.y, label.w - took - 0.5 * letter, row.h)
        brush.say(beside, mover, AMBER if waits else DIM, 0.74 * size, align=1.0)
        bar = row.part(_NAME, 1.0 - _VALUE)
        bar = Box(bar.x, bar.y + 0.13 * row.h, bar.w, 0.74 * row.h)
        value = self._bar(bar, param, view)
        if driven is not None:
            brush.rect(Box(bar.x + param.knob(driven) * (bar.w - 2.0), bar.y, 2.0, bar.h), AMBER)
        place = row.part(1.0 - _VALUE, 1.0)
        place = Box(place.x, place.y, place.w - 0.3 * letter, place.h)
        if self._writing is param:
            self._field = Box(place.x + 0.3 * letter, bar.y + 0.06 * row.h, place.w, 0.88 * row.h), size
        else:
            text = f"{value:.3g} {param.unit}".strip()
            brush.say(place, text, WHITE, brush.fitting(text, place.w, 0.95 * size), align=1.0)

    def _bar(self, bar: Box, param: Param, view: Mapping[str, Any]) -> float:
        """As long as the knob's travel; returns the value that it shows."""
        brush, name = self._brush, param.name
        brush.hit(f"bar {name}", bar)
        value = self._dragged(bar, param, float(view["values"][name]))
        knob = param.knob(value)
        brush.rect(bar, TRACK, 0.15)
        zero = param.knob(0.0) if param.lo < 0.0 < param.hi else 0.0  # of what goes both ways the middle is the start
        brush.rect(bar.part(*sorted((zero, knob))), FILL, 0.15)
        brush.rect(Box(bar.x + knob * (bar.w - 2.0), bar.y, 2.0, bar.h), ACCENT)
        if (ghost := view["ghosts"].get(name)) is not None:
            self._ghost(bar, param.knob(ghost))
        return value

    def _dragged(self, bar: Box, param: Param, value: float) -> float:
        """Where the mouse puts it; else `value`. A double click, or one with Ctrl, lets it be written."""
        name, io = param.name, imgui.get_io()
        if imgui.is_item_activated():
            self._ask("pick", name=name)
            if io.key_ctrl or imgui.is_mouse_double_clicked(0):
                self.write(param, value)
                return value
        was_held = self._held is not None and self._held[0] == name
        if imgui.is_item_active() or (was_held and imgui.is_item_deactivated()):  # where it is let go counts, too
            asked = param.value((io.mouse_pos.x - bar.x) / bar.w)
            if self._held != (name, asked):
                self._held = name, asked
                self._ask("set", name=name, value=asked)
            return asked
        if was_held:
            self._held = None
        if imgui.is_item_hovered() and io.mouse_wheel:
            asked = param.value(param.knob(value) + io.mouse_wheel * max(_WHEEL, param.notch))
            self._ask("set", name=name, value=asked)
            return asked
        return value

    def _ghost(self, bar: Box, knob: float) -> None:
        """Where the controller's knob stands that must come past first."""
        x, half = bar.x + knob * bar.w, 0.3 * self._brush.letter
        self._brush.rect(Box(x - 0.5, bar.y, 1.0, bar.h), WHITE)
        for y, down in ((bar.y, 1.0), (bar.y + bar.h, -1.0)):
            self._brush.triangle((x - half, y), (x + half, y), (x, y + down * half * 1.2), WHITE)

    def _draw_field(self, param: Param, bar: Box, size: float) -> None:
        """The value, written by keys: Enter takes it, Escape leaves it."""
        letter = 0.95 * size * self._brush.letter
        imgui.set_cursor_screen_pos((bar.x, bar.y))
        imgui.push_font(None, letter)
        imgui.set_next_item_width(bar.w)
        imgui.push_style_var(imgui.StyleVar_.frame_padding, (0.4 * letter, max((bar.h - letter) / 2, 0.0)))
        imgui.push_style_color(imgui.Col_.frame_bg, TRACK)
        imgui.push_style_color(imgui.Col_.text, WHITE)
        if self._is_new:
            imgui.set_keyboard_focus_here()
        flags = imgui.InputTextFlags_
        options = flags.enter_returns_true | flags.auto_select_all | flags.chars_scientific
        entered, self._text = imgui.input_text("##value", self._text, options)
        imgui.pop_style_color(2)
        imgui.pop_style_var()
        imgui.pop_font()
        if entered:
            with_number = _number(self._text)
            if with_number is not None:
                self._ask("set", name=param.name, value=min(max(with_number, param.lo), param.hi))
        if entered or (not self._is_new and imgui.is_item_deactivated()):
            self._writing = self._field = None
        self._is_new = False


def _number(text: str) -> float | None:
    """What was written; None where that is no number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _rows(groups: Sequence[Group]) -> int:
    return sum(len(params) + 1 for _group, params in groups)


def _columns() -> list[list[Group]]:
    """All parameters by their rooms, those of effects in one, in columns as even as can be."""
    effects = {name for effect in EFFECTS for name in effect.params if name.startswith(effect.name)}

    def room(param: Param) -> str:
        return "effects" if param.name in effects else param.name.split(".")[0]

    groups = [(name, list(params)) for name, params in groupby(sorted(PARAMS, key=lambda p: p.name in effects), room)]
    cuts = combinations_with_replacement(range(len(groups) + 1), _COLUMNS - 1)
    ways = ([groups[a:b] for a, b in pairwise((0, *cut, len(groups)))] for cut in cuts)
    return min(ways, key=lambda columns: max(map(_rows, columns)))


def _label(param: Param) -> tuple[str, bool]:
    """What a row is called, and whether it belongs to the one above: all that an effect has besides its amount."""
    room, _, word = param.name.partition(".")
    if any(effect.name == room for effect in EFFECTS):
        return (room, False) if word == "amount" else (word.replace("_", " "), True)
    return word.replace("_", " "), False
