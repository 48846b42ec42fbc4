"""The window on two monitors that come, go and change their mode; and what a desktop does to windows."""

import contextlib
import ctypes
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rig as rig_tool
from rig import FIRST, SECOND, Rig, RigError

from live import Run, livelav

pytestmark = pytest.mark.rig

WHOLE_SECOND = (1280, 0, 1024, 576)  # x, y, width, height of the second monitor
ARGUMENTS = ("--input", "demo", "--show-aspect", "fill", "--size", "480x270")


class _Event(ctypes.Structure):
    """What XKeyEvent and XClientMessageEvent begin with; `rest` is the one's or the other's."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("rest", ctypes.c_ulong * 19),
    )


class Hands:
    """What a person and a desktop do to livelav's window, through libX11 on the rig's display."""

    def __init__(self, display: str) -> None:
        self._x = x = ctypes.CDLL("libX11.so.6")
        for function in ("XOpenDisplay", "XDefaultRootWindow", "XInternAtom", "XStringToKeysym"):
            getattr(x, function).restype = ctypes.c_void_p
        x.XKeysymToKeycode.restype = ctypes.c_ubyte
        self._display = ctypes.c_void_p(x.XOpenDisplay(display.encode()))
        assert self._display
        self._root = ctypes.c_ulong(x.XDefaultRootWindow(self._display))
        self._time_ms = 1
        # a window that goes while it is asked about is no reason for libX11 to end the tests, as it would
        self._survive = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: 0)
        x.XSetErrorHandler.restype = ctypes.c_void_p
        self._before = ctypes.c_void_p(x.XSetErrorHandler(self._survive))

    def close(self) -> None:
        self._x.XCloseDisplay(self._display)
        self._x.XSetErrorHandler(self._before)

    def window(self) -> ctypes.c_ulong | None:
        """The window that is called livelav; without a window manager all of them are the root's own children."""
        ignored, listed, count = ctypes.c_ulong(), ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_uint()
        self._x.XQueryTree(self._display, self._root, *(ctypes.byref(out) for out in (ignored, ignored, listed, count)))
        for child in listed[: count.value]:
            name = ctypes.c_char_p()
            self._x.XFetchName(self._display, ctypes.c_ulong(child), ctypes.byref(name))
            if name.value == b"livelav":
                return ctypes.c_ulong(child)
        return None

    def place(self) -> tuple[int, int, int, int] | None:
        """x, y, width and height of the window's picture; None while there is no window."""
        if (window := self.window()) is None:
            return None
        root, x, y = ctypes.c_ulong(), ctypes.c_int(), ctypes.c_int()
        width, height, border, depth = (ctypes.c_uint() for _ in range(4))
        out = (root, x, y, width, height, border, depth)
        self._x.XGetGeometry(self._display, window, *(ctypes.byref(value) for value in out))
        assert border.value == 0
        return x.value, y.value, width.value, height.value

    def press(self, key: str) -> None:
        """Presses and releases a key, by X11's name for it."""
        symbol = ctypes.c_ulong(self._x.XStringToKeysym(key.encode()))
        code = self._x.XKeysymToKeycode(self._display, symbol)
        for kind in (2, 3):  # KeyPress, KeyRelease
            self._time_ms += 10  # GLFW takes a press without a later time for a repetition
            event = _Event(type=kind)
            event.rest[0], event.rest[2] = self._root.value, self._time_ms
            ctypes.memmove(ctypes.byref(event.rest, 6 * 8 - 4), ctypes.byref(ctypes.c_uint(code)), 4)
            self._send(event)

    def ask_to_close(self) -> None:
        """What a window manager does when its cross is clicked."""
        event = _Event(type=33)  # ClientMessage
        event.rest[0], event.rest[1] = self._atom("WM_PROTOCOLS"), 32
        event.rest[2] = self._atom("WM_DELETE_WINDOW")
        self._send(event)

    def resize(self, width: int, height: int) -> None:
        self._x.XResizeWindow(self._display, self.window(), width, height)
        self._x.XSync(self._display, 0)

    def hide(self) -> None:
        """Minimises, as a window manager does it: the window is no longer mapped."""
        self._x.XUnmapWindow(self._display, self.window())
        self._x.XSync(self._display, 0)

    def show(self) -> None:
        self._x.XMapWindow(self._display, self.window())
        self._x.XSync(self._display, 0)

    def _atom(self, name: str) -> int:
        return int(self._x.XInternAtom(self._display, name.encode(), 0))

    def _send(self, event: _Event) -> None:
        window = event.window = self.window()
        self._x.XSendEvent(self._display, window, 0, 0, ctypes.byref(event))
        self._x.XSync(self._display, 0)


@pytest.fixture(scope="module")
def desk() -> Iterator[Rig]:
    """Two monitors beside the rig that the other tests run in; without sound."""
    with rig_tool.running(monitors=2, sound=False) as desk:
        yield desk


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def on_the_desk(desk: Rig, own_folders: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is started belongs to the desk, and finds the generator compiled by the test before."""
    for name, value in (desk.env | {"LIVELAV_CACHE": str(compiled)}).items():
        monkeypatch.setenv(name, value)
    yield
    desk.plug(FIRST, "1280x720", x=0)
    desk.plug(SECOND)


@pytest.fixture
def hands(desk: Rig) -> Iterator[Hands]:
    with contextlib.closing(Hands(desk.env["DISPLAY"])) as hands:
        yield hands


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(*args: str) -> Run:
        runs.append(Run(tmp_path, *ARGUMENTS, *args, headless=False))
        runs[-1].playing()
        return runs[-1]

    yield start
    for one in runs:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def within(seconds: float, what: str, holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until_s, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def goes_on(show: Run) -> None:
    """The count of pictures presented keeps rising, and so does that of new images."""
    before = show.stats
    show.wait_for(
        lambda s: (
            s["present"]["presented"] > before["present"]["presented"] + 5
            and s["generate"]["images"] > before["generate"]["images"]
        ),
        "the show goes on",
    )


def picture(desk: Rig, place: tuple[int, int, int, int]) -> np.ndarray:
    x, y, width, height = place
    return desk.screenshot()[y : y + height, x : x + width]


def is_moving(desk: Rig, place: tuple[int, int, int, int]) -> bool:
    """Whether the picture there fills its place and changes."""
    before = picture(desk, place)
    time.sleep(0.05)
    after = picture(desk, place)
    return is_filled(after) and not np.array_equal(before, after)


def is_filled(pixels: np.ndarray) -> bool:
    """Whether there is a picture in every corner: the root window is black."""
    height, width = pixels.shape[0] // 4, pixels.shape[1] // 4
    corners = [pixels[:height, :width], pixels[:height, -width:], pixels[-height:, :width], pixels[-height:, -width:]]
    return all(corner.max() > 20 for corner in corners) and float(pixels.std()) > 2


def ends_in_time(show: Run, hands: Hands) -> None:
    hands.ask_to_close()
    begin_s = time.monotonic()
    code, err = show.finish()
    assert code == 0, err
    assert time.monotonic() - begin_s < 2.0
    assert err == ""


def test_fullscreen_on_the_second_monitor_through_a_night(run: Callable[..., Run], desk: Rig, hands: Hands) -> None:
    show = run("--fullscreen", "--monitor", "1", "--show-contour", "0")
    assert hands.place() == WHOLE_SECOND
    assert is_filled(picture(desk, WHOLE_SECOND))
    assert picture(desk, (0, 0, 1280, 720)).max() == 0

    hands.press("f")
    within(1, "F leaves, back into a window on that monitor", lambda: hands.place() == (1552, 153, 480, 270))
    hands.press("f")
    within(1, "F returns", lambda: hands.place() == WHOLE_SECOND)
    hands.press("Escape")
    within(1, "Escape leaves", lambda: hands.place() == (1552, 153, 480, 270))
    hands.press("f")
    within(1, "F covers the same monitor again", lambda: hands.place() == WHOLE_SECOND)

    desk.unplug(SECOND)
    within(2, "the operator's monitor gets a small window", lambda: hands.place() == (400, 225, 480, 270))
    goes_on(show)
    desk.plug(SECOND)
    within(2, "the monitor that came back is covered", lambda: hands.place() == WHOLE_SECOND)

    desk.plug(SECOND, "800x600", x=1280)
    within(2, "its new mode is covered", lambda: hands.place() == (1280, 0, 800, 600))
    within(2, "with a picture that moves", lambda: is_moving(desk, (1280, 0, 800, 600)))
    desk.plug(SECOND, x=1440)
    within(2, "its new place is covered", lambda: hands.place() == (1440, 0, 1024, 576))

    desk.unplug(SECOND)
    desk.unplug(FIRST)
    time.sleep(0.3)
    desk.plug(FIRST, "1280x720", x=0)
    desk.plug(SECOND)
    within(2, "after all monitors went, it is covered", lambda: hands.place() == WHOLE_SECOND)
    within(2, "with a picture that moves", lambda: is_moving(desk, WHOLE_SECOND))
    ends_in_time(show, hands)


def test_a_window_on_the_second_monitor_is_resized_minimised_and_closed(
    run: Callable[..., Run], desk: Rig, hands: Hands
) -> None:
    show = run("--monitor", SECOND)
    assert hands.place() == (1552, 153, 480, 270)
    for size in ((700, 300), (240, 400), (90, 1)):
        hands.resize(*size)
        place = (1552, 153, *size)
        within(2, f"a window of {size}", lambda place=place: hands.place() == place)
        if size[1] > 1:
            within(2, f"a picture of {size}", lambda place=place: is_filled(picture(desk, place)))
    hands.resize(480, 270)
    hands.hide()
    within(1, "it is hidden", lambda: picture(desk, WHOLE_SECOND).max() == 0)
    goes_on(show)
    hands.show()
    within(1, "it is back, and plays", lambda: is_moving(desk, (1552, 153, 480, 270)))
    ends_in_time(show, hands)


def test_devices_lists_the_monitors_with_their_numbers(tmp_path: Path) -> None:
    code, out, _err = livelav(tmp_path, "devices", "--json")
    assert code == 0
    assert [(m["name"], m["x"], m["width"]) for m in json.loads(out)["monitors"]] == [
        (FIRST, 0, 1280),
        (SECOND, 1280, 1024),
    ]


def test_a_wrong_monitor_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    code, out, err = livelav(tmp_path, *ARGUMENTS, "--fullscreen", "--monitor", "2")
    assert (code, out) == (1, "")
    assert err == f"livelav: monitor '2' does not exist; choose one of: 0 {FIRST}, 1 {SECOND}\n"


def test_a_second_display_server_that_cannot_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig_tool, "XORG_CONF", rig_tool.XORG_CONF.replace('Driver "dummy"', 'Driver "none"'))
    with pytest.raises(RigError, match=r"^display did not start: no screens found$"), rig_tool.running(monitors=2):
        pass
