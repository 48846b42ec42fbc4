"""The operator's panels without a display: they stay inside any window, and draw no more than what has changed."""

import math
from typing import Any

import glfw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imgui_bundle import imgui

from livelav.control.commands import Toggle
from livelav.control.keys import KEYS
from livelav.core.params import PARAMS, Settings
from livelav.live.booth import actions
from livelav.show.operator import Meters
from livelav.show.operator_window import _ALWAYS, _FONT, _LARGEST, _SMALLEST, OperatorWindow, best_place
from livelav.show.panels import Panels

REST = Meters(-20.0, 0.5, 0.1, 0.3, 0.01, tuple(range(-48, 0)), 0)


def view(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "values": Settings().as_dict(), "ghosts": {}, "movers": {"mapping.norm": "cc 20"}, "driven": {},
        "picked": "mapping.norm", "waits": False, "touched": "", "bpm": 120.0, "origin_s": 0.0, "beat_source": "set",
        "preset": "calm", "changed": False, "fade_left_s": 0.0, "cued": None, "notes": "", "next": ["pulse", ""],
        "number": 0, "songs": ["calm", "pulse", "storm"], "switches": {"operator": True},
        "figures": [["picture", "60", False]], "alarms": [],
        "models": ["default", "lava"], "model": "lava", "plays": "default",
    }  # fmt: skip
    return plain | changes


LONG = "a name that goes on and on " * 6
CROWDED = view(
    ghosts={p.name: p.hi for p in PARAMS}, movers={p.name: LONG for p in PARAMS}, waits=True, beat_source=LONG,
    driven={p.name: (LONG, p.hi) for p in PARAMS},
    preset=LONG, changed=True, fade_left_s=29.9, cued=[LONG, 16.0], notes=LONG, next=[LONG, LONG], number=499,
    songs=[LONG] * 500, switches={name: True for name, _, _ in actions()}, figures=[[LONG, LONG, True]] * 20,
    alarms=[["!", LONG, True]] * 9, models=[LONG] * 100, model=LONG, plays=LONG,
)  # fmt: skip


@pytest.fixture
def panels():
    """Panels, and Dear ImGui in memory: no window, no card."""
    context = imgui.create_context()
    io = imgui.get_io()
    io.set_ini_filename(None)
    io.backend_flags |= imgui.BackendFlags_.renderer_has_textures
    io.fonts.add_font_from_file_ttf(str(_FONT), 16.0)  # the window's own, for texts to be as wide as there
    made = Panels(actions())
    yield made
    imgui.destroy_context(context)


def drawn(panels, view, meters=REST, size=(1280.0, 800.0), before=lambda: None):
    """One drawing; returns (whether anything changed, how many vertices that took)."""
    io = imgui.get_io()
    io.display_size, io.delta_time = imgui.ImVec2(*size), 0.1
    before()
    imgui.new_frame()
    changed = panels.draw(size, view, meters)
    imgui.render()
    return changed, imgui.get_draw_data().total_vtx_count


@pytest.mark.parametrize("size", [(640.0, 400.0), (1280.0, 800.0), (700.0, 1600.0), (3840.0, 2160.0)])
@pytest.mark.parametrize("shown", [view(), CROWDED, view(picked="blackout", preset="", songs=[], next=None)])
def test_everything_stays_inside_the_window_and_its_panel(panels, size, shown) -> None:
    drawn(panels, shown, size=size)
    for name, strokes in panels.brush._shown.items():
        _method, (left, top), (right, bottom), *_rest = strokes[0]  # a panel's ground is its first stroke
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1], name
        for method, *arguments in strokes[1:]:
            if method in ("add_rect_filled", "add_rect"):
                (x0, y0), (x1, y1), *_ = arguments
                assert left - 1 <= x0 <= x1 + 2.1 and x1 <= right + 1 and top - 1 <= y0 <= y1 <= bottom + 1, name
            elif method == "add_text":
                letter, (x, y), _colour, text, _wrap, (x0, _y0, x1, _y1) = arguments
                assert left - 1 <= x0 <= x and x0 < x1 <= right + 1, (name, text)
                assert top - 1 <= y and y + letter <= bottom + 1, (name, text)


def said(panels, panel="foot"):
    """All text that stands in a panel and is seen whole, by its letters' size."""
    return {
        stroke[4]: stroke[1]
        for stroke in panels.brush._shown[panel]
        if stroke[0] == "add_text"
        and stroke[2][0] + panels.brush.width(stroke[4], stroke[1] / panels.brush.letter) <= stroke[6][2] + 1
    }


STANDING = [
    ["FLASHES", "held back", True], ["SILENT", "nothing heard for 120 s", True], ["NO IMAGES", "for 12 s", True],
    ["RECONNECTING", "no sound from the source for 12 s", True], ["DISK", "room for 14 min more of the take", True],
    ["DISK", "99 MiB left where presets are saved", True], ["quit?", "press Q again", True],
]  # fmt: skip
WARNINGS = [["!", f"something went wrong, number {n}", True] for n in (3, 2, 1)]


@pytest.mark.parametrize("size", [(640.0, 400.0), (1280.0, 800.0), (3840.0, 2160.0)])
def test_alarms_that_stand_are_always_seen_and_the_newest_warnings_below(panels, size) -> None:
    drawn(panels, view(alarms=[["SILENT", "nothing heard for 9 s", True], *WARNINGS]), size=size)
    seen = {text for text in said(panels) if "heard" in text or "wrong" in text}
    assert seen == {"SILENT: nothing heard for 9 s", *(text for _label, text, _warns in WARNINGS[:2])}
    drawn(panels, view(alarms=[*STANDING, *WARNINGS]), size=size)
    assert {f"{label}: {text}" for label, text, _warns in STANDING} <= said(panels).keys()


FIGURES = [
    ["picture", "60 a second, 47 new, at 50 %", False], ["latency", "65 ms", False],
    ["source", "Monitor of Built-in Audio Analog Stereo", False],
    ["recording", "4711 s, 0 dropped, room for 37 h", False],
    ["take", "4711 s, room for 37 h", False], ["MIDI", "APC40 mkII, Launchpad Mini, nanoKONTROL2", False],
    ["Link", "peers: 3", False], ["OSC", "/show/hue /smoothing/coarse /preset /tap /mapping/norm", False],
    ["encoder", "encodec-24khz", False], ["model", "default on openvino cpu bf16, loading lava: 40 %", False],
    ["dropped", "128 samples, 17 pictures late", True], ["restarts", "2", True],
]  # fmt: skip


@pytest.mark.parametrize("size", [(640.0, 400.0), (1280.0, 800.0), (3840.0, 2160.0)])
def test_every_figure_has_its_place_and_those_that_warn_come_first(panels, size) -> None:
    drawn(panels, view(figures=FIGURES), size=size)
    strokes = [stroke[4] for stroke in panels.brush._shown["foot"] if stroke[0] == "add_text"]
    assert {label for label, _text, _warns in FIGURES} <= said(panels).keys()
    assert {"peers: 3", "4711 s, 0 dropped, room for 37 h", "2"} <= said(panels).keys()
    assert strokes[:4] == ["dropped", "128 samples, 17 pictures late", "restarts", "2"]


def test_what_has_not_changed_is_not_drawn_again(panels) -> None:
    assert drawn(panels, view())[0]
    drawn(panels, view())
    changed, vertices = drawn(panels, view())
    assert not changed and vertices == 0
    changed, some = drawn(panels, view(), Meters(-3.0, 0.5, 0.1, 0.3, 0.01, (-5,) * 48, 0))
    panels.brush.forget()
    everything = drawn(panels, view())[1]
    assert changed and 0 < some < everything / 2


def test_a_mouse_drags_a_value_and_picks_its_row(panels) -> None:
    io = imgui.get_io()
    drawn(panels, view())
    bar = bar_of(panels, "mapping.norm")
    at = bar[0] + 0.75 * (bar[2] - bar[0]), (bar[1] + bar[3]) / 2
    drawn(panels, view(), before=lambda: io.add_mouse_pos_event(*at))
    drawn(panels, view(), before=lambda: io.add_mouse_button_event(0, True))
    asked = panels.asked()
    assert {"kind": "pick", "name": "mapping.norm"} in asked
    (value,) = [event["value"] for event in asked if event["kind"] == "set"]
    assert value == pytest.approx(3.0, abs=4.0 / (bar[2] - bar[0])), "to the pixel"
    drawn(panels, view(), before=lambda: io.add_mouse_pos_event(9_999.0, at[1]))
    assert panels.asked() == [{"kind": "set", "name": "mapping.norm", "value": 4.0}]
    drawn(panels, view(), before=lambda: [io.add_mouse_pos_event(-9.0, at[1]), io.add_mouse_button_event(0, False)])
    assert panels.asked() == [{"kind": "set", "name": "mapping.norm", "value": 0.0}], "moved and let go at once"
    drawn(panels, view(), before=lambda: io.add_mouse_pos_event(*at))
    drawn(panels, view())
    assert panels.asked() == []


def bar_of(panels, name):
    """left, top, right, bottom of a parameter's bar: the box left of which its name is written."""
    strokes = panels.brush._shown["parameters"]
    short = name.split(".")[1]
    first = next(n for n, stroke in enumerate(strokes) if stroke[0] == "add_text" and stroke[4] == short)
    _method, (left, top), (right, bottom), *_ = next(s for s in strokes[first:] if s[0] == "add_rect_filled")
    return left, top, right, bottom


def test_a_value_is_written_by_keys_alone_and_stays_in_its_range(panels) -> None:
    io = imgui.get_io()
    assert panels.take(["ENTER"], view()) == []
    for _ in range(3):
        drawn(panels, view())
    assert io.want_text_input, "keys go into the field now, and not to the show"
    drawn(panels, view(), before=lambda: [io.add_input_character(ord(sign)) for sign in "99"])
    drawn(panels, view())
    drawn(panels, view(), before=lambda: io.add_key_event(imgui.Key.enter, True))
    drawn(panels, view(), before=lambda: io.add_key_event(imgui.Key.enter, False))
    assert panels.asked() == [{"kind": "set", "name": "mapping.norm", "value": 4.0}]
    drawn(panels, view())
    assert not io.want_text_input


def test_while_a_value_is_written_blackout_fade_and_freeze_still_reach_the_show(panels, monkeypatch) -> None:
    monkeypatch.setattr("livelav.show.operator_window.key_name", lambda key, _scancode, _mods: chr(key))
    io, window = imgui.get_io(), object.__new__(OperatorWindow)  # its keys, without a display
    window._pressed = []

    def typed(letters: str) -> list[str]:
        for letter in letters:
            window._on_key(None, ord(letter), 0, glfw.PRESS, 0)
            drawn(panels, view(), before=lambda letter=letter: io.add_input_character(ord(letter.lower())))
        return window.pressed()

    assert typed("BNZD") == ["B", "N", "Z", "D"]
    panels.take(["ENTER"], view())
    for _ in range(3):
        drawn(panels, view())
    assert io.want_text_input
    assert typed("B2NZD") == ["B", "Z", "D"]
    drawn(panels, view(), before=lambda: io.add_key_event(imgui.Key.enter, True))
    drawn(panels, view(), before=lambda: io.add_key_event(imgui.Key.enter, False))
    assert panels.asked() == [{"kind": "set", "name": "mapping.norm", "value": 2.0}], "and no letter is in the number"
    assert set(_ALWAYS) == {
        key for key, what in KEYS.items() if what.command in map(Toggle, ("blackout", "fade", "freeze"))
    }


def test_keys_alone_reach_presets_actions_and_the_show(panels) -> None:
    shown = view()
    assert panels.take(["B", "DOWN", "CTRL+S"], shown) == [{"kind": "key", "name": n} for n in ("B", "DOWN", "CTRL+S")]
    assert panels.take(["TAB", "DOWN", "DOWN", "ENTER", "N"], shown) == [
        {"kind": "recall", "number": 3},
        {"kind": "key", "name": "N"},
    ]
    assert panels.take(["DOWN", "ENTER"], shown) == [{"kind": "recall", "number": 1}], "round the end"
    assert panels.take(["TAB", "DOWN"], shown) == [{"kind": "key", "name": "DOWN"}]
    assert panels.take(["ENTER"], view(picked="blackout")) == [{"kind": "act", "name": "blackout"}]
    assert panels.take(["TAB", "UP"], view(songs=[])) == [{"kind": "key", "name": "UP"}], "no list, no cursor"


AREA = st.tuples(st.integers(-4000, 4000), st.integers(-4000, 4000), st.integers(640, 4000), st.integers(480, 2500))


@given(st.lists(AREA, min_size=1, max_size=3), st.none() | AREA, st.sampled_from([1.0, 1.5, 2.0]))
def test_the_window_lies_in_one_monitor_and_beside_the_picture_where_there_is_room(monitors, picture, scale) -> None:
    x, y, width, height = best_place(monitors, picture, scale)
    home = [m for m in monitors if m[0] <= x and m[1] <= y and x + width <= m[0] + m[2] and y + height <= m[1] + m[3]]
    assert home and 0 < width <= _LARGEST[0] * scale and 0 < height <= _LARGEST[1] * scale
    if picture is not None and math.prod(overlap(home[0], picture)) == 0:
        assert math.prod(overlap((x, y, width, height), picture)) == 0


def test_of_two_monitors_it_takes_the_one_without_the_picture() -> None:
    laptop, projector = (0, 0, 1366, 768), (1366, 0, 1920, 1080)
    for picture, home in ((projector, laptop), (laptop, projector)):
        x, _y, width, height = best_place([laptop, projector], picture, 1.0)
        assert home[0] <= x and x + width <= home[0] + home[2]
        assert width >= _SMALLEST[0] and height >= _SMALLEST[1]


def overlap(one, other) -> list[int]:
    return [max(min(one[n] + one[n + 2], other[n] + other[n + 2]) - max(one[n], other[n]), 0) for n in (0, 1)]
