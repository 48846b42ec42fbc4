"""The operator's window on a real display: opened, touched, typed into, killed and closed while the show goes on."""

import contextlib
import os
import signal

import psutil
import pytest
from x_hands import Hands

from live import Run
from livelav.core.params import PARAMS
from livelav.core.processor import WATCHING
from livelav.show.operator_window import TITLE

pytestmark = pytest.mark.rig


@pytest.fixture
def show(tmp_path, rig):
    """The picture in a corner, so that there is room beside it."""
    run = Run(tmp_path, "--input", "demo", "--size", "320x180", headless=False)
    try:
        run.playing()
        yield run
    finally:
        run.end()


@pytest.fixture
def picture(rig):
    with contextlib.closing(Hands(rig.env["DISPLAY"])) as hands:
        yield hands


@pytest.fixture
def operator(rig):
    with contextlib.closing(Hands(rig.env["DISPLAY"], TITLE)) as hands:
        yield hands


def drawn(rig, operator):
    """Whether the window is there and shows something."""
    if (place := operator.place()) is None:
        return False
    x, y, width, height = place
    return rig.screenshot()[y : y + height, x : x + width].std() > 5


def amber(rig, operator):
    """Whether something at the window's foot is what needs the eye."""
    x, y, width, height = operator.place()
    foot = rig.screenshot()[y + 3 * height // 4 : y + height, x : x + width]
    return bool((foot == (255, 176, 32)).all(axis=2).any())


def own_pid(run):
    """The operator's process: the one that stands back for the others. None while there is none."""
    return next((child.pid for child in psutil.Process(run.process.pid).children() if child.nice() == WATCHING), None)


def until(run, condition, what):
    """Waits, and sees to it that the show goes on meanwhile."""
    run.wait_for(lambda _: condition(), what)
    presented = run.stats["present"]["presented"]
    run.wait_for(lambda s: s["present"]["presented"] > presented, "pictures go on")


def bar(operator, name):
    """Left and right end of a parameter's bar in the window and its height, found as an eye does: by its place."""
    from imgui_bundle import imgui
    from test_operator import bar_of, drawn, view

    from livelav.live.booth import actions
    from livelav.show.panels import Panels

    context = imgui.create_context()
    imgui.get_io().set_ini_filename(None)
    imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures
    panels = Panels(actions())
    _x, _y, width, height = operator.place()
    drawn(panels, view(), size=(float(width), float(height)))
    left, top, right, bottom = bar_of(panels, name)
    imgui.destroy_context(context)
    return left, right, round((top + bottom) / 2)


def test_it_opens_by_its_key_moves_the_show_by_mouse_and_keys_and_closes_alone(show, rig, picture, operator):
    assert operator.place() is None
    picture.press("o")
    until(show, lambda: drawn(rig, operator), "the window is there")
    x, _y, width, _height = operator.place()
    assert x >= 320 and x + width <= rig.screenshot().shape[1], "beside the picture"

    left, right, y = bar(operator, "show.saturation")
    operator.drag([(round(left + share * (right - left)), y) for share in (0.5, 0.6, 0.75)])
    stats = show.wait_for(lambda s: s["settings"]["show.saturation"] > 1.4, "the mouse has dragged the bar")
    assert stats["settings"]["show.saturation"] == pytest.approx(1.5, abs=0.03)
    untouched = {p.name for p in PARAMS if p.name not in ("show.saturation", "tempo.bpm")}  # the music sets that one
    assert all(stats["settings"][p.name] == p.default for p in PARAMS if p.name in untouched)

    operator.press("Left")
    show.wait_for(lambda s: s["settings"]["show.saturation"] < 1.49, "the arrow turns what was dragged")
    operator.press("n")
    show.wait_for(lambda s: s["preset"] is not None, "a key of the show")

    operator.ask_to_close()
    until(show, lambda: operator.place() is None, "it is gone")
    picture.press("o")
    until(show, lambda: drawn(rig, operator), "it is there again")
    operator.press("o")
    until(show, lambda: operator.place() is None, "its own key closes it, too")
    assert not any(show.stats["restarts"].values())


def test_killed_it_comes_back_and_the_show_goes_on(show, rig, picture, operator):
    picture.press("o")
    until(show, lambda: drawn(rig, operator), "the window is there")
    first = own_pid(show)
    os.kill(first, signal.SIGKILL)
    until(show, lambda: own_pid(show) not in (None, first) and drawn(rig, operator), "the window is back")
    stats = show.wait_for(lambda s: s["restarts"]["operator"] == 1, "it is counted")
    assert stats["restarts"]["synth"] == stats["restarts"]["capture"] == 0
    show.process.send_signal(signal.SIGTERM)
    code, _said = show.finish(5.0)
    assert code == 0


def test_blackout_reaches_the_show_while_a_value_is_written(show, rig, picture, operator):
    def is_black():
        x, y, width, height = picture.place()
        return rig.screenshot()[y : y + height, x : x + width].max() < 8

    picture.press("o")
    until(show, lambda: drawn(rig, operator), "the window is there")
    assert not is_black()
    operator.press("Return")
    now_s = show.stats["seconds"]
    show.wait_for(lambda s: s["seconds"] > now_s + 2.0, "the field is open")
    for sign in ("3", "b", "Return"):
        operator.press(sign)
    show.wait_for(lambda s: s["settings"]["audio.gain"] == 3.0, "the number was written, without a letter in it")
    until(show, is_black, "the picture is black")


def test_the_cross_ends_no_locked_show_and_a_signal_does(show, picture):
    picture.press("space")
    picture.ask_to_close()
    presented = show.stats["present"]["presented"]
    show.wait_for(lambda s: s["present"]["presented"] > presented + 60, "the show goes on")
    show.process.send_signal(signal.SIGINT)
    code, said = show.finish(5.0)
    assert code == 0 and "the window stays open" in said


def test_silence_is_said_in_amber(tmp_path, rig, operator):
    run = Run(tmp_path, "--input", "loopback", "--size", "320x180", "--operator", headless=False)
    try:
        run.playing()
        until(run, lambda: drawn(rig, operator), "the window is there")
        until(run, lambda: amber(rig, operator), "it says that nothing is heard")
    finally:
        run.end()


def test_without_the_library_one_line_says_so_and_the_show_goes_on(tmp_path, rig, monkeypatch):
    (tmp_path / "imgui_bundle.py").write_text("raise ImportError('no such library here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    run = Run(tmp_path, "--input", "demo", "--size", "320x180", "--operator", "--seconds", "4", headless=False)
    code, said = run.finish()
    assert code == 0 and run.stats["present"]["presented"] > 5
    assert said.count("no window for the operator (no such library here)") == 1 and "pip install imgui-bundle" in said
