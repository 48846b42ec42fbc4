"""The window: GLFW and an OpenGL 3.3 core context; keys in, pictures out.

Fullscreen always takes the monitor's current mode. Another mode would have to be undone when that monitor is
unplugged, and GLFW dies of an X error trying. Knows no key's meaning. Runs in main's first thread, as GLFW demands.
"""

from dataclasses import dataclass
from typing import Any

import glfw
import moderngl

from livelav.core.errors import DisplayError
from livelav.show.surface import is_software

TITLE = "livelav"
REMEDY = "set DISPLAY or log in to a desktop, or run with --headless"

_NAMED_KEYS = {
    glfw.KEY_SPACE: "SPACE",
    glfw.KEY_ESCAPE: "ESCAPE",
    glfw.KEY_ENTER: "ENTER",
    glfw.KEY_TAB: "TAB",
    glfw.KEY_BACKSPACE: "BACKSPACE",
    glfw.KEY_LEFT: "LEFT",
    glfw.KEY_RIGHT: "RIGHT",
    glfw.KEY_UP: "UP",
    glfw.KEY_DOWN: "DOWN",
}


@dataclass(frozen=True, slots=True)
class Monitor:
    """One screen; `rate_hz` is 0 where the display does not say."""

    name: str
    x: int
    y: int
    width: int
    height: int
    rate_hz: int


def monitors() -> list[Monitor]:
    """The screens of this machine, the primary one first, as `--monitor` numbers them from 0.

    Thread: main's first; not while a Window is open. Raises DisplayError without a display.
    """
    _start_glfw()
    try:
        return [_describe(handle) for handle in glfw.get_monitors()]
    finally:
        glfw.terminate()


class Window:
    """See `surface.Surface`. One at a time: GLFW is one per process, and closing the window ends it."""

    def __init__(self, size: tuple[int, int] = (1280, 720)) -> None:
        """Raises DisplayError without a display or OpenGL 3.3."""
        _start_glfw()
        try:
            self._window = _create(size)
            glfw.make_context_current(self._window)
            self.ctx = moderngl.create_context(require=330)
        except DisplayError:
            glfw.terminate()
            raise
        except Exception as error:  # the binding raises bare Exceptions and ValueErrors alike
            glfw.terminate()
            raise DisplayError(
                f"the display gives no OpenGL 3.3 ({error}); update its driver, or --headless"
            ) from error
        self._pressed: list[str] = []
        self._windowed = (0, 0, *size)
        self._wanted: str | None = None  # name of the monitor to cover
        self._closed = False
        glfw.set_key_callback(self._window, self._on_key)
        glfw.swap_interval(1)
        self.software = is_software(self.ctx)
        self.fbo = self.ctx.screen

    @property
    def size(self) -> tuple[int, int]:
        width, height = glfw.get_framebuffer_size(self._window)
        return max(width, 1), max(height, 1)  # a minimised window has none

    @property
    def blocks(self) -> bool:
        """A software renderer has no vertical blank to wait for, nor has a display that names no refresh rate."""
        return not self.software and _describe(self._monitor_here()).rate_hz > 0

    @property
    def should_close(self) -> bool:
        return bool(glfw.window_should_close(self._window))

    @property
    def fullscreen(self) -> bool:
        return bool(glfw.get_window_monitor(self._window))

    def poll(self) -> list[str]:
        glfw.poll_events()
        if self._wanted is not None and not self.fullscreen:
            self._cover_again(self._wanted)
        pressed, self._pressed = self._pressed, []
        return pressed

    def present(self) -> None:
        glfw.swap_buffers(self._window)

    def set_fullscreen(self, on: bool, monitor: str | None = None) -> None:
        """See `surface.Surface`. A monitor that is unplugged and comes back is covered again by the next `poll`."""
        if on:
            handle = self._monitor_here() if monitor is None else _find(monitor)
            if not self.fullscreen:
                self._windowed = (*glfw.get_window_pos(self._window), *glfw.get_window_size(self._window))
            self._wanted = _describe(handle).name
            self._cover(handle)
        else:
            self._wanted = None
            if self.fullscreen:
                no_monitor: Any = None
                glfw.set_window_monitor(self._window, no_monitor, *self._windowed, glfw.DONT_CARE)
                glfw.set_input_mode(self._window, glfw.CURSOR, glfw.CURSOR_NORMAL)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.ctx.release()
            glfw.terminate()

    def _on_key(self, _window: Any, key: int, scancode: int, action: int, _mods: int) -> None:
        if action == glfw.PRESS and (name := _key_name(key, scancode)):
            self._pressed.append(name)

    def _cover(self, handle: Any) -> None:
        mode = glfw.get_video_mode(handle)
        glfw.set_window_monitor(self._window, handle, 0, 0, *mode.size, mode.refresh_rate or glfw.DONT_CARE)
        glfw.set_input_mode(self._window, glfw.CURSOR, glfw.CURSOR_HIDDEN)

    def _cover_again(self, name: str) -> None:
        """The monitor went, and the window survived as one: back onto it when a monitor of that name is there."""
        for handle in glfw.get_monitors():
            if _describe(handle).name == name:
                self._cover(handle)

    def _monitor_here(self) -> Any:
        """The monitor that shows most of the window; the primary one where none does."""
        if handle := glfw.get_window_monitor(self._window):
            return handle
        x, y = glfw.get_window_pos(self._window)
        width, height = glfw.get_window_size(self._window)

        def shown(handle: Any) -> int:
            m = _describe(handle)
            across = min(x + width, m.x + m.width) - max(x, m.x)
            down = min(y + height, m.y + m.height) - max(y, m.y)
            return max(across, 0) * max(down, 0)

        return max(_handles(), key=shown)


def _start_glfw() -> None:
    # errors are asked for where they can happen; GLFW's own report would print below the command line
    glfw.ERROR_REPORTING = "ignore"
    if not glfw.init():
        raise DisplayError(f"no display: {_last_error()}; {REMEDY}")


def _create(size: tuple[int, int]) -> Any:
    for hint, value in (
        (glfw.CONTEXT_VERSION_MAJOR, 3),
        (glfw.CONTEXT_VERSION_MINOR, 3),
        (glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE),
        (glfw.OPENGL_FORWARD_COMPAT, True),  # macOS gives a core context only so
        (glfw.DEPTH_BITS, 0),
        (glfw.STENCIL_BITS, 0),
        (glfw.AUTO_ICONIFY, False),  # a click on the operator's screen must not take the show off the other
    ):
        glfw.window_hint(hint, value)
    window = glfw.create_window(*size, TITLE, None, None)
    if not window:
        raise DisplayError(f"no window of {size[0]}x{size[1]} with OpenGL 3.3: {_last_error()}; {REMEDY}")
    return window


def _last_error() -> str:
    _code, text = glfw.get_error()
    return _decoded(text).strip() if text else "GLFW gives no reason"


def _decoded(text: bytes | str) -> str:
    """GLFW's text: bytes from its binding, although its types say str."""
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def _handles() -> list[Any]:
    handles = glfw.get_monitors()
    if not handles:
        raise DisplayError("no monitor is connected; plug one in, or run with --headless")
    return list(handles)


def _describe(handle: Any) -> Monitor:
    mode = glfw.get_video_mode(handle)
    x, y = glfw.get_monitor_pos(handle)
    return Monitor(_decoded(glfw.get_monitor_name(handle)), x, y, mode.size.width, mode.size.height, mode.refresh_rate)


def _find(monitor: str) -> Any:
    """The handle of a monitor given by its number from 0, or by its name. Raises DisplayError."""
    handles = _handles()
    names = [_describe(handle).name for handle in handles]
    if monitor.isdecimal() and int(monitor) < len(handles):
        return handles[int(monitor)]
    if monitor in names:
        return handles[names.index(monitor)]
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(names))
    raise DisplayError(f"monitor {monitor!r} does not exist; choose one of: {listed}")


def _key_name(key: int, scancode: int) -> str | None:
    """The name on the key cap (so Q is Q on every keyboard layout), or of the key where it writes nothing."""
    if key in _NAMED_KEYS:
        return _NAMED_KEYS[key]
    printed = glfw.get_key_name(key, scancode)
    if printed and len(printed) == 1 and printed.isascii():
        return str(printed).upper()
    # a layout of another script: the key's place on a Latin keyboard
    return chr(key) if glfw.KEY_0 <= key <= glfw.KEY_Z else None
