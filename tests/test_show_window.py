"""The window on a real display: keys, sizes, fullscreen, and what it says where there is none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livelav.core.errors import DisplayError


def in_a_process_of_its_own(script: str, **environment: str) -> str:
    """GLFW is one per process, and remembers a display it did not find."""
    kept = {k: v for k, v in os.environ.items() if k not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("what", ["Window()", "monitors()"])
@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ":987"}], ids=["none", "dead"])
def test_no_display_is_one_line_with_the_remedy(what: str, environment: dict[str, str]) -> None:
    said = in_a_process_of_its_own(
        f"from livelav.core.errors import DisplayError\n"
        f"from livelav.show.window import Window, monitors\n"
        f"try:\n    {what}\nexcept DisplayError as error:\n    print(error)",
        **environment,
    )
    assert said.startswith("no display: ") and "--headless" in said
    assert "\n" not in said


def test_no_egl_is_one_line_with_the_remedy() -> None:
    said = in_a_process_of_its_own(
        "from livelav.core.errors import DisplayError\n"
        "from livelav.show.headless import HeadlessSurface\n"
        "try:\n    HeadlessSurface()\nexcept DisplayError as error:\n    print(error)",
        __EGL_VENDOR_LIBRARY_FILENAMES="/nowhere.json",
    )
    assert said.startswith("no OpenGL 3.3 without a display") and "apt-get install libegl1" in said
    assert "\n" not in said


def test_a_headless_surface_needs_no_display_and_closes_twice() -> None:
    said = in_a_process_of_its_own(
        "from livelav.show.headless import HeadlessSurface\n"
        "surface = HeadlessSurface((64, 32))\n"
        "surface.fbo.clear(1.0, 0.0, 0.0)\n"
        "surface.present()\n"
        "print(surface.size, surface.poll(), surface.blocks, list(surface.fbo.read()[:3]))\n"
        "surface.close()\nsurface.close()"
    )
    assert said == "(64, 32) [] False [255, 0, 0]"


if os.environ.get("LIVELAV_RIG") == "1":
    import glfw

    from livelav.show.window import Window, listed_monitors, monitors


@pytest.fixture
def window() -> Iterator["Window"]:
    window = Window((400, 300))
    yield window
    window.close()
    window.close()  # twice does no harm


def pixel(window: "Window", x: int = 0, y: int = 0) -> list[int]:
    return list(window.fbo.read(viewport=(x, y, 1, 1), components=3))


@pytest.mark.rig
def test_a_window_shows_what_is_drawn_and_waits_for_nothing_on_a_virtual_display(window: "Window") -> None:
    assert window.size == (400, 300)
    assert window.software and not window.blocks
    assert not window.should_close and not window.fullscreen
    window.poll()
    window.fbo.use()
    window.fbo.clear(1.0, 0.5, 0.0)
    assert pixel(window) == [255, 128, 0]
    window.present()


@pytest.mark.rig
def test_fullscreen_covers_the_monitor_at_its_mode_and_comes_back(window: "Window") -> None:
    [(_handle, monitor)] = listed_monitors()
    window.set_fullscreen(True)
    for _ in range(20):
        window.poll()
        window.present()
    assert window.fullscreen and window.size == (monitor.width, monitor.height)
    window.set_fullscreen(True, "0")
    window.set_fullscreen(False)
    for _ in range(20):
        window.poll()
        window.present()
    assert not window.fullscreen and window.size == (400, 300)
    window.set_fullscreen(True, monitor.name)
    assert window.fullscreen


@pytest.mark.rig
def test_a_monitor_is_covered_again_when_it_is_back_but_not_its_twin(
    window: "Window", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two projectors of one make have one name; a twin that stayed must not be taken for the one that went."""
    [(handle, first)] = listed_monitors()
    twins = [(handle, first), (handle, replace(first, x=first.x + first.width))]
    present = twins
    monkeypatch.setattr("livelav.show.window.listed_monitors", lambda: present)

    def polled() -> "Window":
        for _ in range(10):
            window.poll()
        return window

    window.set_fullscreen(True, "0")
    assert polled().size == (first.width, first.height)
    present = twins[1:]
    glfw.set_window_monitor(window._window, None, 0, 0, first.width, first.height, glfw.DONT_CARE)  # as GLFW does
    assert not polled().fullscreen
    assert polled().size == (400, 300)
    present = []
    assert not polled().fullscreen and not window.blocks
    present = twins
    assert polled().fullscreen
    window.set_fullscreen(False)
    assert polled().size == (400, 300)


@pytest.mark.rig
def test_a_monitor_is_covered_from_a_window_on_it(window: "Window", monkeypatch: pytest.MonkeyPatch) -> None:
    """Some window managers know no other monitor to cover than the one that they find the window on."""
    calls = []
    monkeypatch.setattr("livelav.show.window.glfw.set_window_monitor", lambda *arguments: calls.append(arguments[1:]))
    [(_handle, monitor)] = listed_monitors()
    window.set_fullscreen(True, "0")
    x, y = (monitor.width - 400) // 2, (monitor.height - 300) // 2
    assert calls[0] == (None, x, y, 400, 300, glfw.DONT_CARE)
    assert calls[1][1:5] == (0, 0, monitor.width, monitor.height)


@pytest.mark.rig
def test_a_window_opens_in_the_middle_of_the_monitor_asked_for() -> None:
    window = Window((400, 300), "0")
    [(_handle, monitor)] = listed_monitors()
    assert glfw.get_window_pos(window._window) == ((monitor.width - 400) // 2, (monitor.height - 300) // 2)
    window.close()
    for wrong in ("7", "beamer"):
        with pytest.raises(DisplayError, match=rf"monitor '{wrong}' does not exist; choose one of: 0 {monitor.name}"):
            Window((400, 300), wrong)
    window = Window((4000, 3000), "0")  # larger than the monitor: its top left corner stays in sight
    assert glfw.get_window_pos(window._window) == (0, 0)
    window.close()


@pytest.mark.rig
@pytest.mark.parametrize("monitor", ["7", "beamer", "-1", ""])
def test_a_monitor_that_does_not_exist_is_refused_with_the_list(window: "Window", monitor: str) -> None:
    with pytest.raises(DisplayError, match=rf"monitor '{monitor}' does not exist; choose one of: 0 \w+"):
        window.set_fullscreen(True, monitor)
    assert not window.fullscreen


@pytest.mark.rig
def test_keys_arrive_once_by_the_names_of_the_key_table(window: "Window") -> None:
    for key in (glfw.KEY_F, glfw.KEY_SPACE, glfw.KEY_ESCAPE, glfw.KEY_Q):
        window._on_key(None, key, glfw.get_key_scancode(key), glfw.PRESS, 0)
        window._on_key(None, key, glfw.get_key_scancode(key), glfw.REPEAT, 0)
        window._on_key(None, key, glfw.get_key_scancode(key), glfw.RELEASE, 0)
    window._on_key(None, glfw.KEY_LEFT_SHIFT, glfw.get_key_scancode(glfw.KEY_LEFT_SHIFT), glfw.PRESS, 0)
    assert window.poll() == ["F", "SPACE", "ESCAPE", "Q"]
    assert window.poll() == []


@pytest.mark.rig
def test_windows_can_be_opened_one_after_the_other() -> None:
    listed = monitors()
    assert len(listed) == 1 and listed[0].width >= 640
    for _ in range(2):
        window = Window((200, 100))
        window.present()
        window.close()


@pytest.mark.rig
def test_the_renderer_draws_into_a_window(window: "Window") -> None:
    from livelav.core.params import Settings
    from livelav.core.values import Image
    from livelav.show.renderer import Moment, Renderer

    renderer = Renderer(window.ctx, window.software)
    renderer.set_image(Image(np.full((64, 64, 4), 90, np.uint8), 0.0))
    settings = Settings().with_values({"show.contour": 0.0})
    renderer.draw(window.fbo, (1, 1), Moment(settings, 0.0))  # as when minimised
    renderer.draw(window.fbo, window.size, Moment(settings, 0.0))
    assert pixel(window, 200, 150) == [90, 90, 90]
    assert np.abs(renderer.read_rgba((400, 300))[..., 0].astype(int) - 90).max() <= 1
    window.present()
    renderer.close()


@pytest.mark.rig
def test_fewer_pixels_fill_a_window_the_right_way_up_in_their_own_colours(window: "Window") -> None:
    from livelav.show.reduced import Reduced

    reduced = Reduced(window)
    for size in ((400, 300), (200, 150), (203, 151)):
        glfw.set_window_size(window._window, *size)
        while window.size != size:
            window.poll()
        width, height = size
        _before = window.ctx.error  # moderngl's own, where a window was read: it names an attachment that it has not
        smaller = reduced.framebuffer(0.5)
        smaller.clear(0.0, 0.0, 1.0)
        smaller.clear(1.0, 0.5, 0.0, viewport=(0, 0, smaller.width // 4, smaller.height // 4))  # lower left
        reduced.show()
        window.present()
        assert window.ctx.error == "GL_NO_ERROR"
        reduced.show()
        assert pixel(window, 3, 3) == [255, 128, 0]
        for x, y in ((width - 3, 3), (3, height - 3), (width - 3, height - 3), (width // 2, height // 2)):
            assert pixel(window, x, y) == [0, 0, 255]
        window.fbo.clear(0.0, 1.0, 0.0)
        assert pixel(window) == [0, 255, 0], "what is drawn afterwards, as the HUD, is drawn into the window"
    reduced.close()
