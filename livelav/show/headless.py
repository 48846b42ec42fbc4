"""The window's twin without a display: an EGL context and a framebuffer of fixed size.

For recordings and tests on machines without a screen. Never blocks, has no keys, is never closed by anybody.
Runs in one thread of main, or of the process that tries effects. On Linux by EGL, which comes with Mesa or the card's
driver; elsewhere by what the system has for that.
"""

import sys
from typing import Any

import moderngl
import numpy as np

from livelav.core.errors import DisplayError
from livelav.core.values import Bytes
from livelav.show.surface import is_software

REMEDY = "install EGL (`sudo apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri`)"


class HeadlessSurface:
    """See `surface.Surface`."""

    blocks = False
    should_close = False
    fullscreen = False
    place = None

    def __init__(self, size: tuple[int, int] = (1280, 720)) -> None:
        """Raises DisplayError where there is no OpenGL 3.3 core context."""
        alone: dict[str, Any] = {"standalone": True}
        if sys.platform.startswith("linux"):
            alone["backend"] = "egl"
        try:
            self.ctx = moderngl.create_context(require=330, **alone)
        except Exception as error:  # the binding raises bare Exceptions, ValueErrors and ImportErrors alike
            raise DisplayError(f"no OpenGL 3.3 without a display ({error}); {REMEDY}") from error
        self.size = size
        self.software = is_software(self.ctx)
        self._picture = self.ctx.texture(size, 4)
        self.fbo = self.ctx.framebuffer([self._picture])

    def poll(self) -> list[str]:
        return []

    def stay_open(self) -> None:
        """Nobody asks it to close."""

    def fill(self, pixels: Bytes) -> None:
        self._picture.write(np.ascontiguousarray(pixels[::-1, :, [2, 1, 0, 3]]))

    def present(self) -> None:
        self.ctx.finish()

    def set_fullscreen(self, on: bool, monitor: str | None = None) -> None:
        """Nothing to cover."""

    def close(self) -> None:
        self.fbo.release()
        self._picture.release()
        self.ctx.release()
