"""The operator's window on the display: GLFW makes it, Dear ImGui draws into it and hears its mouse.

Dear ImGui is fed here, event by event, instead of by its own GLFW backend: that one brings a second GLFW into the
process, and keys are to have the names of the key table. Knows no panel and no setting. Runs in the operator's process,
in its first thread.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import glfw
import imgui_bundle
import moderngl
from imgui_bundle import imgui

from livelav.core.errors import DisplayError
from livelav.show.surface import is_software
from livelav.show.window import create_window, key_name, listed_monitors, start_glfw

TITLE = "livelav operator"

Area = tuple[int, int, int, int]  # x, y, width, height

_FONT = Path(imgui_bundle.__file__).parent / "assets" / "fonts" / "Roboto" / "Roboto-Regular.ttf"
_LARGEST, _SMALLEST = (1600, 1000), (640, 400)  # of the window, before the monitor's scale
_GROUND = (13, 14, 16)  # behind the panels
_BORDER = 40  # for the title bar that a desktop adds

# What a field needs to be written in.
_EDITING = {
    glfw.KEY_ENTER: imgui.Key.enter,
    glfw.KEY_KP_ENTER: imgui.Key.enter,
    glfw.KEY_ESCAPE: imgui.Key.escape,
    glfw.KEY_BACKSPACE: imgui.Key.backspace,
    glfw.KEY_DELETE: imgui.Key.delete,
    glfw.KEY_LEFT: imgui.Key.left_arrow,
    glfw.KEY_RIGHT: imgui.Key.right_arrow,
    glfw.KEY_HOME: imgui.Key.home,
    glfw.KEY_END: imgui.Key.end,
    glfw.KEY_A: imgui.Key.a,
}
_ALWAYS = ("B", "D", "Z")  # blackout, fade and freeze go to the show also then: no number has them
_REPEATED = ("LEFT", "RIGHT", "UP", "DOWN")  # held down, they go on


class OperatorWindow:
    """One at a time."""

    def __init__(self, picture: Area | None = None) -> None:
        """Opens on the monitor that shows least of the `picture`, beside it where there is one monitor only.

        Raises DisplayError without a display or OpenGL 3.3.
        """
        start_glfw()
        try:
            monitors = listed_monitors()
            areas = [glfw.get_monitor_workarea(handle) for handle, _monitor in monitors]
            scale = max((glfw.get_monitor_content_scale(handle)[0] for handle, _monitor in monitors), default=1.0)
            x, y, width, height = best_place(areas, picture, scale)
            self._window = create_window(TITLE, (width, height), (x, y))
            glfw.make_context_current(self._window)
            self._ctx = moderngl.create_context(require=330)
            glfw.swap_interval(0)  # a covered window may have no vertical blank to wait for
            self.software = is_software(self._ctx)
            self._imgui = imgui.create_context()
            io = imgui.get_io()
            io.set_ini_filename(None)
            if _FONT.exists():
                io.fonts.add_font_from_file_ttf(str(_FONT), 16.0)
            if not imgui.backends.opengl3_init("#version 330"):
                raise DisplayError("Dear ImGui cannot draw with this OpenGL; update the display's driver")
        except DisplayError:
            glfw.terminate()
            raise
        except Exception as error:  # the bindings raise bare Exceptions and ValueErrors alike
            glfw.terminate()
            raise DisplayError(f"the display gives no second window with OpenGL 3.3 ({error})") from error
        self._pressed: list[str] = []
        self._touched = True
        self._framed_s: float | None = None
        self._canvas: Any = None
        self._exposed = False  # whether the desktop has lost what the window showed
        self._listen()

    @property
    def should_close(self) -> bool:
        return bool(glfw.window_should_close(self._window))

    def wait(self, seconds: float) -> None:
        """Sleeps until something happens to the window, `seconds` at most."""
        glfw.wait_events_timeout(seconds)

    def pressed(self) -> list[str]:
        """Keys since the last call, by the names of the key table; while a field is written in only _ALWAYS."""
        pressed, self._pressed = self._pressed, []
        return pressed

    def touched(self) -> bool:
        """Whether a hand or the desktop did anything to the window since the last call."""
        touched, self._touched = self._touched, False
        return touched

    def frame(self, draw: Callable[[tuple[float, float], bool], bool], now_s: float) -> None:
        """Draws one picture. `draw` is called with the window's width and height and whether it is all to be drawn
        anew, may call imgui, and says whether there is anything to show: what it left out stays as it was."""
        io = imgui.get_io()
        (width, height), (across, down) = (
            glfw.get_window_size(self._window),
            glfw.get_framebuffer_size(self._window),
        )
        if not (width and height and across and down):
            return  # minimised
        io.display_size = imgui.ImVec2(width, height)
        io.display_framebuffer_scale = imgui.ImVec2(across / width, down / height)
        io.delta_time = max(now_s - self._framed_s, 1e-4) if self._framed_s is not None else 1 / 60
        self._framed_s = now_s
        is_new = self._canvas is None or self._canvas.size != (across, down)
        if is_new:
            self._make_canvas((across, down))
        imgui.backends.opengl3_new_frame()
        imgui.new_frame()
        changed = draw((width, height), is_new)
        imgui.render()
        if changed:
            self._canvas.use()
            imgui.backends.opengl3_render_draw_data(imgui.get_draw_data())
        if changed or self._exposed:
            self._exposed = False
            self._ctx.copy_framebuffer(self._ctx.screen, self._canvas)
            glfw.swap_buffers(self._window)

    def _make_canvas(self, size: tuple[int, int]) -> None:
        """What is drawn on, and stays: the window itself holds nothing from one picture to the next."""
        if self._canvas is not None:
            self._canvas.release()
        self._canvas = self._ctx.simple_framebuffer(size, components=4)
        self._canvas.clear(*(channel / 255 for channel in _GROUND))

    def close(self) -> None:
        """Gives everything back."""
        imgui.backends.opengl3_shutdown()
        imgui.destroy_context(self._imgui)
        self._ctx.release()
        glfw.terminate()

    def _listen(self) -> None:
        io = imgui.get_io()

        def on_cursor(_window: Any, x: float, y: float) -> None:
            self._touched = True
            io.add_mouse_pos_event(x, y)

        def on_button(_window: Any, button: int, action: int, mods: int) -> None:
            self._touched = True
            io.add_key_event(imgui.Key.mod_ctrl, bool(mods & glfw.MOD_CONTROL))
            if button < 3:
                io.add_mouse_button_event(button, action == glfw.PRESS)

        def on_scroll(_window: Any, x: float, y: float) -> None:
            self._touched = True
            io.add_mouse_wheel_event(x, y)

        def on_char(_window: Any, codepoint: int) -> None:
            if io.want_text_input:
                io.add_input_character(codepoint)

        def on_focus(_window: Any, focused: int) -> None:
            self._touched = True
            io.add_focus_event(bool(focused))

        def on_leave(_window: Any, entered: int) -> None:
            self._touched = True
            if not entered and not any(imgui.is_mouse_down(button) for button in range(3)):
                io.add_mouse_pos_event(-1e9, -1e9)

        def on_refresh(*_: Any) -> None:
            self._touched = self._exposed = True

        glfw.set_cursor_pos_callback(self._window, on_cursor)
        glfw.set_mouse_button_callback(self._window, on_button)
        glfw.set_scroll_callback(self._window, on_scroll)
        glfw.set_char_callback(self._window, on_char)
        glfw.set_window_focus_callback(self._window, on_focus)
        glfw.set_cursor_enter_callback(self._window, on_leave)
        glfw.set_window_refresh_callback(self._window, on_refresh)
        glfw.set_framebuffer_size_callback(self._window, on_refresh)
        glfw.set_key_callback(self._window, self._on_key)

    def _on_key(self, _window: Any, key: int, scancode: int, action: int, mods: int) -> None:
        self._touched = True
        io = imgui.get_io()
        io.add_key_event(imgui.Key.mod_ctrl, bool(mods & glfw.MOD_CONTROL))
        if key in _EDITING and (io.want_text_input or action == glfw.RELEASE):
            io.add_key_event(_EDITING[key], action != glfw.RELEASE)
        name = key_name(key, scancode, mods)
        if not name or (io.want_text_input and name not in _ALWAYS):
            return
        if action == glfw.PRESS or (action == glfw.REPEAT and name in _REPEATED):
            self._pressed.append(name)


def best_place(monitors: Sequence[Area], picture: Area | None, scale: float) -> Area:
    """Where the window goes: on the monitor with most room that the picture does not take, and there beside it.

    `monitors` are the areas that the desktop leaves free, the primary one first; `scale` is what their letters are
    enlarged by. Where the picture leaves no room it is covered in part.
    """
    most = [round(one * scale) for one in _LARGEST]
    least = [round(one * scale) for one in _SMALLEST]
    if not monitors:
        return (0, 0, *_SMALLEST)
    rooms = [
        room for area in monitors for room in _beside(area, picture) if room[2] >= least[0] and room[3] >= least[1]
    ]
    room = max(rooms or monitors[:1], key=lambda one: one[2] * one[3])
    x, y, width, height = room[0], room[1] + _BORDER, room[2], room[3] - _BORDER
    across, down = min(width, most[0]), min(height, most[1])
    return x + (width - across) // 2, y + (height - down) // 2, across, down


def _beside(area: Area, picture: Area | None) -> list[Area]:
    """The parts of an area right, left, below and above of a picture that lies in it; all of it where none does."""
    x, y, width, height = area
    if picture is None:
        return [area]
    left, top = max(picture[0], x), max(picture[1], y)
    right, bottom = min(picture[0] + picture[2], x + width), min(picture[1] + picture[3], y + height)
    if left >= right or top >= bottom:
        return [area]
    return [
        (right, y, x + width - right, height),
        (x, y, left - x, height),
        (x, bottom, width, y + height - bottom),
        (x, y, width, top - y),
    ]
