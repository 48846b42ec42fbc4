"""What the operator's window shows, and what hands ask for there: parameters, tempo, sound, presets, switches, alarms.

Everything is laid out anew for each drawing, in multiples of one letter's height, so that all of it fits any window.
Dark and still: amber is for what needs the eye and for nothing else. It draws what it is handed and answers with
events; it knows no command, no engine and no file. Runs in the operator's process.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgui_bundle import imgui

from livelav.core.params import BY_NAME
from livelav.core.tempo import BEATS_A_BAR
from livelav.show.brush import ACCENT, AMBER, DIM, FILL, GREY, GROUND, HOT, PANEL, TRACK, WHITE, Box, Brush
from livelav.show.sliders import Sliders
from livelav.show.spectrum import FLOOR_DB

if TYPE_CHECKING:
    from livelav.show.operator import Meters

Event = dict[str, Any]
View = Mapping[str, Any]

_WIDE, _HIGH = 1280.0, 800.0  # the window that a letter of _LETTER suits
_LETTER, _SMALLEST = 18.0, 8.0
_LINE = 1.4  # letters from line to line
_METER_DB = -60.0  # the left end of the level's bar
_STEP_TOP = 0.1  # of W: the right end of its bar
_BUTTON = 1.8  # letters from row to row of buttons
_COLUMNS = 3  # of buttons, and of presets at most
_MODEL_ROWS = 2
_FIGURES, _ALARMS = 4, 3  # lines at the foot
_FIGURE_SIZES = (0.88, 0.8, 0.72)  # of its figures: the first at which all of them have a place
_FIGURE_PART = 0.42  # of a line: what one may take, whatever strangers call their devices
_HELP = (
    "arrows pick and turn   Enter does or writes it   Tab goes to the presets and back   L learns   all keys act here"
)


class Panels:
    """Remembers where the arrows move: among the parameters, or among the presets."""

    def __init__(self, actions: Sequence[tuple[str, str, str]] = ()) -> None:
        """`actions` are all buttons: name, key, and the group that it belongs to."""
        self.brush = Brush()
        self._actions = actions
        self._sliders = Sliders(self.brush, self._ask)
        self._in_presets = False
        self._cursor = 0  # among the presets
        self._asked: list[Event] = []
        self._view: View = {}

    # -- hands

    def asked(self) -> list[Event]:
        """What hands asked for since the last call."""
        asked, self._asked = self._asked, []
        return asked

    def take(self, keys: Sequence[str], view: View) -> list[Event]:
        """What keys ask for: Tab and Enter here, arrows among the presets here, all others of the show."""
        songs = view.get("songs", ())
        for key in keys:
            if key == "TAB":
                self._in_presets = not self._in_presets and bool(songs)
                self._cursor = view.get("number") or 0
            elif self._in_presets and key in ("UP", "DOWN"):
                self._cursor = (self._cursor + (1 if key == "DOWN" else -1)) % len(songs)
            elif self._in_presets and key == "ENTER":
                self._ask("recall", number=self._cursor + 1)
            elif key == "ENTER" and view:
                self._do(view)
            else:
                self._ask("key", name=key)
        return self.asked()

    def _do(self, view: View) -> None:
        """Sets off what is picked, or lets its value be written."""
        if view["picked"] in BY_NAME:
            self._sliders.write(BY_NAME[view["picked"]], view["values"][view["picked"]])
        else:
            self._ask("act", name=view["picked"])

    def _ask(self, kind: str, **what: Any) -> None:
        if kind == "pick":
            self._in_presets = False
        self._asked.append({"kind": kind, **what})

    # -- the whole

    def draw(self, size: tuple[float, float], view: View, meters: "Meters") -> bool:
        """All of it, in a window of that size; whether anything has changed on it."""
        self._view = view
        brush, (width, height) = self.brush, size
        letter = max(min(width / _WIDE, height / _HIGH) * _LETTER, _SMALLEST)
        brush.letter, brush.is_dirty = letter, False
        gap, line = 0.6 * letter, _LINE * letter
        top = Box(gap, gap, width - 2 * gap, 2.1 * letter)
        body = Box(gap, top.y + top.h + gap, top.w, height - top.y - top.h - 2 * gap)
        left, right = body.part(0.0, 0.6), body.part(0.6, 1.0)
        left = Box(left.x, left.y, left.w - gap, left.h)
        foot_h, picked_h = (_FIGURES + _ALARMS) * line + 1.2 * letter, 3 * line + 1.2 * letter
        params_h = left.h - foot_h - picked_h - 2 * gap
        beat_rows = -(-len(self._group("beat")) // _COLUMNS)
        tempo_h, sound_h = (3.6 + _BUTTON * beat_rows) * letter, 12.4 * letter
        presets_y = right.y + tempo_h + sound_h + 2 * gap
        with _whole_window(size):
            imgui.push_font(None, letter)
            self._switches(top)
            self._sliders.draw(Box(left.x, left.y, left.w, params_h), view)
            self._picked(Box(left.x, left.y + params_h + gap, left.w, picked_h))
            self._foot(Box(left.x, left.y + left.h - foot_h, left.w, foot_h))
            self._tempo(Box(right.x, right.y, right.w, tempo_h), meters.beat)
            self._sound(Box(right.x, right.y + tempo_h + gap, right.w, sound_h), meters)
            self._presets(Box(right.x, presets_y, right.w, right.y + right.h - presets_y))
            imgui.pop_font()
        return brush.is_dirty

    def _title(self, box: Box, text: str, is_lit: bool = False) -> Box:
        """Writes a panel's title; returns the room below it."""
        letter = self.brush.letter
        inside = box.inset(0.6 * letter)
        self.brush.say(inside.row(0, 0.9 * letter), text.upper(), ACCENT if is_lit else DIM, 0.76)
        down = 1.3 * letter
        return Box(inside.x, inside.y + down, inside.w, inside.h - down)

    def _button(self, hit: str, event: Event, box: Box, text: str, key: str, lit: int | None = None) -> None:
        """A button with its key; `lit` is its colour while what it stands for is on."""
        brush = self.brush
        if brush.hit(hit, box):
            self._asked.append(event)
        brush.rect(box, lit or (HOT if imgui.is_item_hovered() else TRACK), 0.2)
        ink, faint = (GROUND, GROUND) if lit in (AMBER, ACCENT) else (WHITE, GREY if lit else DIM)
        inner = box.narrowed(0.45 * brush.letter)
        gap = 0.3 * brush.letter
        for_key = max(inner.w - gap - brush.width(text, 0.92), 0.4 * inner.w)
        room = inner.w - gap - brush.say(inner, key, faint, brush.fitting(key, for_key, 0.74), align=1.0)
        brush.say(Box(inner.x, inner.y, room, inner.h), text, ink, brush.fitting(text, room, 0.92))

    def _action(self, name: str, key: str, box: Box, lit: int | None = None) -> None:
        self._button(f"act {name}", {"kind": "act", "name": name}, box, name.replace("-", " "), key, lit)
        if name == self._view["picked"]:
            self.brush.frame(box, AMBER if self._view["waits"] else ACCENT)

    def _group(self, group: str) -> list[tuple[str, str]]:
        return [(name, key) for name, key, of in self._actions if of == group]

    def _buttons(self, group: str, box: Box, columns: int, row_h: float) -> None:
        """All actions of a group, row by row."""
        gap = 0.3 * self.brush.letter
        for number, (name, key) in enumerate(self._group(group)):
            row, column = divmod(number, columns)
            cell = box.row(row, row_h).part(column / columns, (column + 1) / columns)
            last = column == columns - 1
            self._action(name, key, Box(cell.x, cell.y, cell.w - (0 if last else gap), cell.h - gap))

    # -- the panels

    def _switches(self, box: Box) -> None:
        named, gap = self._group("switch"), 0.4 * self.brush.letter
        with self.brush.panel("switches", box, GROUND):
            for number, (name, key) in enumerate(named):
                cell = box.part(number / len(named), (number + 1) / len(named))
                quiet = name in ("hud", "operator", "fullscreen")  # nothing that an audience would miss
                lit = (FILL if quiet else AMBER) if self._view["switches"].get(name) else None
                self._action(
                    name, key, Box(cell.x, cell.y, cell.w - (gap if number < len(named) - 1 else 0), cell.h), lit
                )

    def _picked(self, box: Box) -> None:
        """What the arrows turn: in words, with what moves it, and the two buttons that teach it."""
        view, brush, line = self._view, self.brush, _LINE * self.brush.letter
        name, waits, param = view["picked"], view["waits"], BY_NAME.get(view["picked"])
        with brush.panel("picked", box, PANEL):
            inside = box.inset(0.6 * brush.letter)
            words = inside.part(0.0, 0.74)
            took = brush.say(words.row(0, line), name, WHITE, 1.15)
            after = Box(words.x + took + brush.letter, words.y, words.w - took - brush.letter, line)
            brush.say(after, f"{float(view['values'][name]):.4g} {param.unit}" if param else "", ACCENT, 1.15)
            help_text = param.help if param else "an action: Enter or the right arrow sets it off"
            brush.say(words.row(1, line), help_text, GREY, 0.92)
            mover = view["movers"].get(name, "")
            text = f"moved by {mover}" if mover else "no control moves it"
            text = "LEARN: move the control that is to move it" if waits else text
            brush.say(words.row(2, line), text, AMBER if waits else DIM, 0.92)
            teach = inside.part(0.77, 1.0)
            for number, (word, key) in enumerate((("stop" if waits else "learn", "L"), ("forget", "DELETE"))):
                cell = Box(teach.x, teach.y + number * 1.25 * line, teach.w, 1.1 * line)
                lit = AMBER if waits and key == "L" else None
                self._button(f"teach {key}", {"kind": "key", "name": key}, cell, word, key.title(), lit)
            if not self._in_presets:
                brush.frame(box, AMBER if waits else DIM)

    def _tempo(self, box: Box, beat: int) -> None:
        view, brush, letter = self._view, self.brush, self.brush.letter
        with brush.panel("tempo", box, PANEL):
            inside = box.inset(0.6 * letter)
            line = inside.row(0, 2.2 * letter)
            took = brush.say(line, f"{view['bpm']:.1f}", WHITE, 2.1)
            unit = Box(line.x + took + 0.3 * letter, line.y + 0.4 * letter, 3 * letter, line.h - 0.4 * letter)
            brush.say(unit, "bpm", DIM, 0.9)
            for one in range(BEATS_A_BAR):
                colour = (WHITE if one == 0 else ACCENT) if one == beat % BEATS_A_BAR else TRACK
                x = line.x + 0.42 * line.w + one * 1.8 * letter
                brush.disc(x, line.y + line.h / 2, 0.6 * letter, colour)
            place = line.part(0.66, 1.0)
            text = view["beat_source"]
            brush.say(place, text, GREY, brush.fitting(text, place.w, 0.92), align=1.0)
            down = 2.5 * letter
            self._buttons("beat", Box(inside.x, inside.y + down, inside.w, inside.h - down), _COLUMNS, _BUTTON * letter)

    def _sound(self, box: Box, meters: "Meters") -> None:
        brush, letter = self.brush, self.brush.letter
        line = 1.35 * letter
        with brush.panel("sound", box, PANEL):
            inside = box.inset(0.6 * letter)
            is_clipped = meters.peak >= 0.999
            text = "CLIPS" if is_clipped else f"{meters.level_db:.0f} dB"
            self._meter(inside.row(0, line), "level", 1.0 - meters.level_db / _METER_DB, text, is_clipped)
            bars = Box(inside.x, inside.y + 1.2 * line, inside.w, inside.h - 4.4 * line)
            brush.rect(bars, TRACK)
            for number, db in enumerate(meters.bars_db):
                column = bars.part(number / len(meters.bars_db), (number + 1) / len(meters.bars_db))
                high = min(max(1.0 - db / FLOOR_DB, 0.0), 1.0) * column.h
                brush.rect(Box(column.x, column.y + column.h - high, max(column.w - 1.0, 1.0), high), FILL)
            rest = Box(inside.x, inside.y + inside.h - 3 * line, inside.w, 3 * line)
            self._meter(rest.row(0, line), "onset", meters.onset, f"{meters.onset:.1f}")
            self._meter(rest.row(1, line), "spread in W", meters.spread, f"{meters.spread:.2f}")
            self._meter(rest.row(2, line), "step in W", meters.step / _STEP_TOP, f"{meters.step:.3f}")

    def _meter(self, row: Box, name: str, share: float, text: str, warns: bool = False) -> None:
        brush = self.brush
        brush.say(row.part(0.0, 0.26), name, GREY, 0.92)
        middle = row.part(0.26, 0.83)
        bar = Box(middle.x, middle.y + 0.28 * row.h, middle.w, 0.44 * row.h)
        brush.rect(bar, TRACK)
        brush.rect(bar.part(0.0, min(max(share, 0.0), 1.0)), AMBER if warns else ACCENT)
        brush.say(row.part(0.83, 1.0), text, AMBER if warns else WHITE, 0.92, align=1.0)

    def _presets(self, box: Box) -> None:
        brush, letter = self.brush, self.brush.letter
        button_h, line = _BUTTON * letter, _LINE * letter
        rows = -(-len(self._group("preset")) // _COLUMNS)
        with brush.panel("presets", box, PANEL):
            inside = self._title(box, "presets", self._in_presets)
            lines = list(self._what_plays())
            for number, (text, colour) in enumerate(lines):
                brush.say(inside.row(number, line), text, colour, 1.1 if number == 0 else 0.95)
            foot_h = rows * button_h
            models_h = 1.4 * letter * min(-(-len(self._view["models"]) // _COLUMNS), _MODEL_ROWS)
            room = inside.h - len(lines) * line - foot_h - models_h - 0.8 * letter
            self._songs(Box(inside.x, inside.y + (len(lines) + 0.2) * line, inside.w, room), 1.4 * letter)
            models_y = inside.y + inside.h - foot_h - models_h
            self._models(Box(inside.x, models_y, inside.w, models_h), 1.4 * letter)
            foot = Box(inside.x, inside.y + inside.h - foot_h + 0.3 * letter, inside.w, foot_h)
            self._buttons("preset", foot, _COLUMNS, button_h)
            if self._in_presets:
                brush.frame(box, DIM)

    def _what_plays(self) -> Iterator[tuple[str, int]]:
        """What is played, cued and comes next."""
        view = self._view
        fading = f"   {view['fade_left_s']:.1f} s to go" if view["fade_left_s"] else ""
        changed = "   changed" if view["changed"] else ""
        yield f"{view['preset'] or 'no preset'}{fading}{changed}", WHITE if view["preset"] else DIM
        if view["notes"]:
            yield view["notes"], GREY
        if view["cued"]:
            name, beats = view["cued"]
            yield f"cued: {name} in {beats:.0f} beats", ACCENT
        if view["next"]:
            name, notes = view["next"]
            yield f"next: {name}{'   ' if notes else ''}{notes}", GREY

    def _songs(self, box: Box, line: float) -> None:
        """As much of the list as fits, in columns; what is played, or the arrows' cursor, is always among it."""
        brush, songs, number = self.brush, self._view["songs"], self._view["number"]
        rows = int(box.h / line)
        fits = _COLUMNS * rows
        if not fits:
            return
        page = (self._cursor if self._in_presets else number or 0) // fits * fits
        for at, name in enumerate(songs[page : page + fits], start=page):
            column, row = divmod(at - page, rows)
            cell = box.row(row, line).part(column / _COLUMNS, (column + 1) / _COLUMNS)
            cell = Box(cell.x, cell.y, cell.w - 0.3 * brush.letter, cell.h - 2.0)
            if brush.hit(f"song {at}", cell):
                self._ask("recall", number=at + 1)
            is_hot, is_played = imgui.is_item_hovered(), at == number
            if is_played or is_hot:
                brush.rect(cell, FILL if is_played else TRACK, 0.15)
            is_cued = self._view["cued"] is not None and self._view["cued"][0] == name
            if is_cued or (self._in_presets and at == self._cursor):
                brush.frame(cell, WHITE if is_cued else ACCENT)
            inner = cell.narrowed(0.3 * brush.letter)
            brush.say(inner, str(at + 1), WHITE if is_played else DIM, 0.74)
            after = max(brush.width("00"), brush.width(str(at + 1), 0.74) + 0.3 * brush.letter)
            brush.say(Box(inner.x + after, inner.y, inner.w - after, inner.h), name, WHITE if is_played else GREY, 0.95)

    def _models(self, box: Box, line: float) -> None:
        """The generators that there are, the page with the one asked for; framed until it plays."""
        brush, names, asked = self.brush, self._view["models"], self._view["model"]
        fits = _COLUMNS * _MODEL_ROWS
        page = (names.index(asked) if asked in names else 0) // fits * fits
        for at, name in enumerate(names[page : page + fits]):
            row, column = divmod(at, _COLUMNS)
            cell = box.row(row, line).part(column / _COLUMNS, (column + 1) / _COLUMNS)
            cell = Box(cell.x, cell.y, cell.w - 0.3 * brush.letter, cell.h - 2.0)
            if brush.hit(f"model {at}", cell):
                self._ask("model", name=name)
            is_hot, plays = imgui.is_item_hovered(), name == self._view["plays"]
            if plays or is_hot:
                brush.rect(cell, FILL if plays else TRACK, 0.15)
            if name == asked and not plays:
                brush.frame(cell, WHITE)
            brush.say(cell.narrowed(0.3 * brush.letter), name, WHITE if plays else GREY, 0.95)

    def _foot(self, box: Box) -> None:
        """The machine's figures, those that warn first; below them, always at the same place, what is wrong."""
        with self.brush.panel("foot", box, PANEL):
            inside = box.inset(0.6 * self.brush.letter)
            line = _LINE * self.brush.letter
            self._figures(Box(inside.x, inside.y, inside.w, _FIGURES * line), line)
            below = Box(inside.x, inside.y + _FIGURES * line, inside.w, _ALARMS * line)
            if self._view["alarms"]:
                self._alarms(below, line)
            else:
                self.brush.say(below.row(_ALARMS - 1, line), _HELP, DIM, 0.82)

    def _figures(self, box: Box, line: float) -> None:
        brush, gap = self.brush, 0.4 * self.brush.letter
        figures = sorted(self._view["figures"], key=lambda figure: not figure[2])
        for size in _FIGURE_SIZES:
            rooms = [min(brush.width(text, size), _FIGURE_PART * box.w) for _label, text, _warns in figures]
            wides = [brush.width(figure[0], size) + gap + room for figure, room in zip(figures, rooms, strict=True)]
            cells = _flowed(box, line, wides, 1.6 * brush.letter)
            if len(cells) == len(figures):
                break
        for (label, text, warns), room, cell in zip(figures, rooms, cells, strict=False):
            took = brush.say(cell, label, DIM, size) + gap
            after = Box(cell.x + took, cell.y, min(room, cell.w - took), line)
            brush.say(after, text, AMBER if warns else GREY, size)

    def _alarms(self, box: Box, line: float) -> None:
        """What is wrong now, side by side, so that all of it is there; below it warnings, in a line each."""
        brush, letter = self.brush, self.brush.letter
        mark = 0.8 * letter
        standing = [f"{label}: {text}" for label, text, _warns in self._view["alarms"] if label != "!"]
        passing = [text for label, text, _warns in self._view["alarms"] if label == "!"]
        cells = _flowed(box, line, [mark + brush.width(text, 1.05) for text in standing], 1.2 * letter)
        taken = 1 + round((cells[-1].y - box.y) / line) if cells else 0
        cells += [box.row(number, line) for number in range(taken, _ALARMS)]
        for text, cell in zip([*standing, *passing], cells, strict=False):
            brush.rect(Box(cell.x, cell.y + 0.12 * line, 0.25 * letter, 0.76 * line), AMBER)
            brush.say(Box(cell.x + mark, cell.y, cell.w - mark, line), text, AMBER, 1.05)


def _flowed(box: Box, line: float, wides: Sequence[float], gap: float) -> list[Box]:
    """A place of its width for each, from left to right and line by line, for as many as there is room."""
    cells: list[Box] = []
    x, y = box.x, box.y
    for wide in wides:
        if x > box.x and x + wide > box.x + box.w:
            x, y = box.x, y + line
        if y + line > box.y + box.h + 0.5:
            break
        cells.append(Box(x, y, min(wide, box.w), line))
        x += wide + gap
    return cells


@contextlib.contextmanager
def _whole_window(size: tuple[float, float]) -> Iterator[None]:
    """Dear ImGui's one window, as large as the real one, with nothing of its own."""
    imgui.set_next_window_pos((0, 0))
    imgui.set_next_window_size(size)
    imgui.push_style_var(imgui.StyleVar_.window_padding, (0, 0))
    imgui.push_style_var(imgui.StyleVar_.window_border_size, 0.0)
    flags = imgui.WindowFlags_
    bare = flags.no_decoration | flags.no_background | flags.no_move | flags.no_saved_settings | flags.no_nav
    imgui.begin("operator", None, bare | flags.no_bring_to_front_on_focus | flags.no_scroll_with_mouse)
    yield
    imgui.end()
    imgui.pop_style_var(2)
