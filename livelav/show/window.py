"""The window: GLFW and an OpenGL 3.3 core context; keys in, pictures out.

Fullscreen always takes the monitor's current mode. Another mode would have to be undone when that monitor is
unplugged, and GLFW dies of an X error trying. A monitor that goes leaves a window; when it is back, under the same
name, it is covered again. Knows no key's meaning. Runs in main's first thread, as GLFW demands.
"""

from dataclasses import dataclass
from typing import Any

import glfw
import moderngl

from livelav.core.errors import DisplayError
from livelav.core.values import Bytes
from livelav.show.blit import Blit
from livelav.show.surface import is_software

TITLE = "livelav"
REMEDY = "set DISPLAY or log in to a desktop, or run with --headless"
NO_MONITOR = "no monitor is connected; plug one in, or run with --headless"

_POLLS_PER_LOOK = 10  # a look at the monitors asks the display server; at 60 polls a second six of them are enough

_SIGNS = {glfw.KEY_KP_ADD: "+", glfw.KEY_KP_SUBTRACT: "-", glfw.KEY_EQUAL: "+"}
_NAMED_KEYS = {
    glfw.KEY_SPACE: "SPACE",
    glfw.KEY_ESCAPE: "ESCAPE",
    glfw.KEY_ENTER: "ENTER",
    glfw.KEY_TAB: "TAB",
    glfw.KEY_BACKSPACE: "BACKSPACE",
    glfw.KEY_DELETE: "DELETE",
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
    start_glfw()
    try:
        return [monitor for _handle, monitor in listed_monitors()]
    finally:
        glfw.terminate()


class Window:
    """See `surface.Surface`. One at a time: GLFW is one per process, and closing the window ends it."""

    def __init__(self, size: tuple[int, int] = (1280, 720), monitor: str | None = None) -> None:
        """Opens on a monitor, given by number or name, and later covers that one; None leaves it to the desktop.

        Raises DisplayError without a display or OpenGL 3.3, and for a monitor that does not exist.
        """
        start_glfw()
        try:
            home = None if monitor is None else _find(monitor)
            self._window = create_window(TITLE, size, _centred(home[0], *size) if home else None)
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
        self._home = home[1].name if home else None  # by name: numbers change when another monitor goes
        self._pressed: list[str] = []
        self._windowed = (0, 0, *size)
        self._wanted: Monitor | None = None  # the monitor to cover, as it was when last covered
        self._covers = False  # and whether the window has its size, or had when the monitor went
        self._namesakes = 1  # how many had its name then
        self._polls = 0
        self._closed = False
        glfw.set_key_callback(self._window, self._on_key)
        glfw.set_framebuffer_size_callback(self._window, self._on_size)
        self._on_size(self._window, *glfw.get_framebuffer_size(self._window))
        glfw.swap_interval(1)
        self.software = is_software(self.ctx)
        self.fbo = self.ctx.screen
        self._blit: Blit | None = None
        self._waits = self._displayed()

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def blocks(self) -> bool:
        """There is no vertical blank to wait for in software, without a refresh rate, or while minimised."""
        return self._waits

    @property
    def should_close(self) -> bool:
        return bool(glfw.window_should_close(self._window))

    def stay_open(self) -> None:
        glfw.set_window_should_close(self._window, False)

    @property
    def fullscreen(self) -> bool:
        return bool(glfw.get_window_monitor(self._window))

    @property
    def place(self) -> tuple[int, int, int, int] | None:
        return (*glfw.get_window_pos(self._window), *glfw.get_window_size(self._window))

    def poll(self) -> list[str]:
        glfw.poll_events()
        self._polls += 1
        if self._polls % _POLLS_PER_LOOK == 0:
            self._look()
        pressed, self._pressed = self._pressed, []
        return pressed

    def fill(self, pixels: Bytes) -> None:
        if self._blit is None:
            self._blit = Blit(self.ctx, glfw.get_proc_address)
        self._blit(pixels, self.fbo)

    def present(self) -> None:
        glfw.swap_buffers(self._window)

    def set_fullscreen(self, on: bool, monitor: str | None = None) -> None:
        """See `surface.Surface`. None is first the monitor that the window was opened on, where that is still there."""
        if on:
            handle, described = self._target() if monitor is None else _find(monitor)
            if self._wanted is None:
                self._windowed = (*glfw.get_window_pos(self._window), *glfw.get_window_size(self._window))
            self._cover(handle, described)
        elif self._wanted is not None:
            self._wanted = None
            if self._covers:
                self._uncover()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._blit is not None:
                self._blit.close()
            self.ctx.release()
            glfw.terminate()

    def _on_key(self, _window: Any, key: int, scancode: int, action: int, mods: int) -> None:
        if action == glfw.PRESS and (name := key_name(key, scancode, mods)):
            self._pressed.append(name)

    def _on_size(self, _window: Any, width: int, height: int) -> None:
        # told, and not asked for with every picture: the display server's answer takes a millisecond on a busy machine
        self._size = max(width, 1), max(height, 1)  # a minimised window has none

    def _look(self) -> None:
        """Follows what happened to the monitors: one came, went, moved or changed its mode."""
        self._waits = self._displayed()
        if (wanted := self._wanted) is None:
            return
        named = [(handle, monitor) for handle, monitor in listed_monitors() if monitor.name == wanted.name]
        if self.fullscreen:
            place = glfw.get_monitor_pos(glfw.get_window_monitor(self._window))
            for handle, monitor in named:
                if (monitor.x, monitor.y) == place and monitor != wanted:
                    self._cover(handle, monitor)
        elif len(named) >= self._namesakes:  # else a twin of the same name stayed, and is not the one
            self._cover(*min(named, key=lambda one: abs(one[1].x - wanted.x) + abs(one[1].y - wanted.y)))
        elif self._covers:
            self._uncover()  # GLFW has left a window as large as the monitor that went, on top of another

    def _cover(self, handle: Any, monitor: Monitor) -> None:
        # first a window there: a desktop may know no other monitor to cover than the one it finds the window on
        self._place(*_centred(handle, *self._windowed[2:]))
        rate_hz = monitor.rate_hz or glfw.DONT_CARE
        glfw.set_window_monitor(self._window, handle, 0, 0, monitor.width, monitor.height, rate_hz)
        glfw.set_input_mode(self._window, glfw.CURSOR, glfw.CURSOR_HIDDEN)
        self._wanted, self._covers = monitor, True
        self._namesakes = sum(other.name == monitor.name for _handle, other in listed_monitors())

    def _uncover(self) -> None:
        """A window again, where it was before; on the first monitor if nothing shows that place any more."""
        x, y, width, height = self._windowed
        listed = listed_monitors()
        if listed and not any(_shown(monitor, x, y, width, height) for _handle, monitor in listed):
            x, y = _centred(listed[0][0], width, height)
        self._place(x, y)
        glfw.set_input_mode(self._window, glfw.CURSOR, glfw.CURSOR_NORMAL)
        self._covers = False

    def _place(self, x: int, y: int) -> None:
        """Makes it a window of its own size at that place."""
        no_monitor: Any = None
        glfw.set_window_monitor(self._window, no_monitor, x, y, *self._windowed[2:], glfw.DONT_CARE)

    def _target(self) -> tuple[Any, Monitor]:
        """What to cover where nobody says which. Raises DisplayError where no monitor is connected."""
        at_home = [one for one in listed_monitors() if one[1].name == self._home]
        if target := at_home[0] if at_home else self._here():
            return target
        raise DisplayError(NO_MONITOR)

    def _here(self) -> tuple[Any, Monitor] | None:
        """The monitor that shows most of the window; the primary one where none does; None without any."""
        place = (*glfw.get_window_pos(self._window), *glfw.get_window_size(self._window))
        return max(listed_monitors(), key=lambda one: _shown(one[1], *place), default=None)

    def _displayed(self) -> bool:
        """Whether a card shows the window on a monitor that names its rate: only then does `present` wait for it."""
        if self.software or glfw.get_window_attrib(self._window, glfw.ICONIFIED):
            return False
        here = self._here()
        return here is not None and here[1].rate_hz > 0


def start_glfw() -> None:
    """Raises DisplayError without a display."""
    # errors are asked for where they can happen; GLFW's own report would print below the command line
    glfw.ERROR_REPORTING = "ignore"
    if not glfw.init():
        raise DisplayError(f"no display: {_last_error()}; {REMEDY}")


def create_window(title: str, size: tuple[int, int], place: tuple[int, int] | None) -> Any:
    """A window with OpenGL 3.3 core, its upper left corner at `place` (None leaves that to the desktop).

    Raises DisplayError.
    """
    x, y = (glfw.ANY_POSITION, glfw.ANY_POSITION) if place is None else place
    for hint, value in (
        (glfw.CONTEXT_VERSION_MAJOR, 3),
        (glfw.CONTEXT_VERSION_MINOR, 3),
        (glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE),
        (glfw.OPENGL_FORWARD_COMPAT, True),  # macOS gives a core context only so
        (glfw.DEPTH_BITS, 0),
        (glfw.STENCIL_BITS, 0),
        (glfw.POSITION_X, x),
        (glfw.POSITION_Y, y),
        (glfw.AUTO_ICONIFY, False),  # a click on the operator's screen must not take the show off the other
    ):
        glfw.window_hint(hint, value)
    window = glfw.create_window(*size, title, None, None)
    if not window:
        raise DisplayError(f"no window of {size[0]}x{size[1]} with OpenGL 3.3: {_last_error()}; {REMEDY}")
    return window


def _last_error() -> str:
    _code, text = glfw.get_error()
    return _decoded(text).strip() if text else "GLFW gives no reason"


def _decoded(text: bytes | str) -> str:
    """GLFW's text: bytes from its binding, although its types say str."""
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def listed_monitors() -> list[tuple[Any, Monitor]]:
    """Every monitor with its handle, the primary one first."""
    listed = []
    for handle in glfw.get_monitors():
        try:
            mode = glfw.get_video_mode(handle)
        except ValueError:  # unplugged since the last poll: the binding reads through a null pointer
            continue
        name, (x, y) = _decoded(glfw.get_monitor_name(handle)), glfw.get_monitor_pos(handle)
        listed.append((handle, Monitor(name, x, y, mode.size.width, mode.size.height, mode.refresh_rate)))
    return listed


def _shown(monitor: Monitor, x: int, y: int, width: int, height: int) -> int:
    """How many pixels of a window at that place a monitor shows."""
    across = min(x + width, monitor.x + monitor.width) - max(x, monitor.x)
    down = min(y + height, monitor.y + monitor.height) - max(y, monitor.y)
    return max(across, 0) * max(down, 0)


def _centred(handle: Any, width: int, height: int) -> tuple[int, int]:
    """Where on a monitor a window of that size goes; a larger one keeps its title bar in sight."""
    x, y, across, down = glfw.get_monitor_workarea(handle)
    return x + max(across - width, 0) // 2, y + max(down - height, 0) // 2


def _find(wanted: str) -> tuple[Any, Monitor]:
    """A monitor given by its number from 0, or by its name. Raises DisplayError."""
    listed = listed_monitors()
    if not listed:
        raise DisplayError(NO_MONITOR)
    if wanted.isdecimal() and int(wanted) < len(listed):
        return listed[int(wanted)]
    for one in listed:
        if one[1].name == wanted:
            return one
    choices = ", ".join(f"{number} {monitor.name}" for number, (_handle, monitor) in enumerate(listed))
    raise DisplayError(f"monitor {wanted!r} does not exist; choose one of: {choices}")


def key_name(key: int, scancode: int, mods: int) -> str | None:
    """By what name the key table knows it; None for a key that has none."""
    name = _cap(key, scancode)
    if name and mods & glfw.MOD_CONTROL:  # shift alone is how some layouts write a digit or a sign
        return f"CTRL+SHIFT+{name}" if mods & glfw.MOD_SHIFT else f"CTRL+{name}"
    return name


def _cap(key: int, scancode: int) -> str | None:
    """The name on the key cap (so Q is Q on every keyboard layout), or of the key where it writes nothing."""
    if key in _NAMED_KEYS:
        return _NAMED_KEYS[key]
    if glfw.KEY_0 <= key <= glfw.KEY_9:  # by their place: some layouts write them with shift
        return chr(key)
    if glfw.KEY_KP_0 <= key <= glfw.KEY_KP_9:
        return str(key - glfw.KEY_KP_0)
    if key in _SIGNS:
        return _SIGNS[key]
    printed = glfw.get_key_name(key, scancode)
    if printed and len(printed) == 1 and printed.isascii():
        return str(printed).upper()
    # a layout of another script: the key's place on a Latin keyboard
    return chr(key) if glfw.KEY_0 <= key <= glfw.KEY_Z else None
