"""A person's hands on livelav's window, and what a desktop does to it, through libX11 on the rig's display."""

import ctypes
from collections.abc import Sequence


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
    """What a person and a desktop do to one of livelav's windows, through libX11 on the rig's display."""

    def __init__(self, display: str, title: str = "livelav") -> None:
        self._title = title.encode()
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
        """The window of that title; without a window manager all of them are the root's own children."""
        ignored, listed, count = ctypes.c_ulong(), ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_uint()
        self._x.XQueryTree(self._display, self._root, *(ctypes.byref(out) for out in (ignored, ignored, listed, count)))
        for child in listed[: count.value]:
            name = ctypes.c_char_p()
            self._x.XFetchName(self._display, ctypes.c_ulong(child), ctypes.byref(name))
            if name.value == self._title:
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

    def press(self, key: str, control: bool = False, shift: bool = False) -> None:
        """Presses and releases a key, by X11's name for it, while Control and Shift are held or not."""
        symbol = ctypes.c_ulong(self._x.XStringToKeysym(key.encode()))
        code = self._x.XKeysymToKeycode(self._display, symbol)
        for kind in (2, 3):  # KeyPress, KeyRelease
            self._time_ms += 10  # GLFW takes a press without a later time for a repetition
            event = _Event(type=kind)
            event.rest[0], event.rest[2] = self._root.value, self._time_ms
            for place, value in ((6 * 8 - 8, 4 * control + shift), (6 * 8 - 4, code)):  # the modifiers, and the key
                ctypes.memmove(ctypes.byref(event.rest, place), ctypes.byref(ctypes.c_uint(value)), 4)
            self._send(event)

    def drag(self, places: Sequence[tuple[int, int]]) -> None:
        """Presses the mouse's first button at the first place of the window, moves it, lets it go at the last."""
        self._mouse(6, places[0])  # MotionNotify
        self._mouse(4, places[0], button=1)  # ButtonPress
        for place in places[1:]:
            self._mouse(6, place, state=1 << 8)
        self._mouse(5, places[-1], state=1 << 8, button=1)  # ButtonRelease

    def _mouse(self, kind: int, place: tuple[int, int], state: int = 0, button: int = 0) -> None:
        self._time_ms += 10
        event = _Event(type=kind)
        event.rest[0], event.rest[2] = self._root.value, self._time_ms
        for at, value in ((24, place[0]), (28, place[1]), (40, state), (44, button)):
            ctypes.memmove(ctypes.byref(event.rest, at), ctypes.byref(ctypes.c_uint(value)), 4)
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
