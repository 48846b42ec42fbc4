"""What the show draws on: a window, or its headless twin. One small interface, so that nothing else asks which.

Knows no picture, no key's meaning and no pace. A surface and its OpenGL context belong to one thread of main.
"""

from typing import Protocol

import moderngl

from livelav.core.values import Bytes

SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software", "gdi generic")


class Surface(Protocol):
    """An OpenGL 3.3 core context and the framebuffer that the audience sees."""

    @property
    def ctx(self) -> moderngl.Context: ...

    @property
    def fbo(self) -> moderngl.Framebuffer:
        """What to draw into; `present` shows it."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of `fbo` in pixels; a window's can change with every `poll`."""
        ...

    @property
    def blocks(self) -> bool:
        """Whether `present` waits for the display. Where it does not, the caller paces itself by its clock."""
        ...

    @property
    def software(self) -> bool:
        """Whether the processor draws the pixels: the renderer then counts every one of them."""
        ...

    @property
    def should_close(self) -> bool:
        """Whether the window was asked to close."""
        ...

    def stay_open(self) -> None:
        """The window was asked to close, and does not."""
        ...

    @property
    def fullscreen(self) -> bool: ...

    @property
    def place(self) -> tuple[int, int, int, int] | None:
        """x, y, width and height on the desktop, in its own units; None where it is on none."""
        ...

    def poll(self) -> list[str]:
        """Lets the system speak; returns the keys pressed since the last call, in order: "F", "SPACE", "ESCAPE"."""
        ...

    def fill(self, pixels: Bytes) -> None:
        """Covers `fbo` with [height, width, 4] of its size, as windows keep them: blue first, top row first.

        Where the processor draws only.
        """
        ...

    def present(self) -> None:
        """Shows what was drawn."""
        ...

    def set_fullscreen(self, on: bool, monitor: str | None = None) -> None:
        """Covers a monitor, given by number or name (None: the one the window was opened for, or is on), or becomes a
        window again.

        Raises DisplayError for a monitor that does not exist.
        """
        ...

    def close(self) -> None:
        """Gives everything back; safe to call twice."""
        ...


def is_software(ctx: moderngl.Context) -> bool:
    """Whether this context's pixels are computed by the processor."""
    return any(name in ctx.info["GL_RENDERER"].lower() for name in SOFTWARE_RENDERERS)
