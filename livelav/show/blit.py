"""Pixels in memory brought into a window that the processor draws, byte for byte.

Windows keep blue first and the top row first. A driver copies a texture that has both, which takes half a millisecond
for 1280x720; any other it draws, which takes four. moderngl has no name for that order, hence OpenGL's own calls. Runs
in the thread that owns the context.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import moderngl

from livelav.core.values import Bytes
from livelav.show.targets import make_target, release_target, texture_of

_TEXTURE_2D, _RGBA, _BGRA, _BGRA_BYTES = 0x0DE1, 0x1908, 0x80E1, 0x8367  # as OpenGL's headers have them
_READ_FRAMEBUFFER, _DRAW_FRAMEBUFFER, _COLOUR, _NEAREST = 0x8CA8, 0x8CA9, 0x4000, 0x2600

_UINT, _INT, _POINTER = ctypes.c_uint, ctypes.c_int, ctypes.c_void_p


class Blit:
    """A texture in a window's order, and the way from it into the window."""

    def __init__(self, ctx: moderngl.Context, address: Callable[[str], Any]) -> None:
        """`address`: where the current context has the function of that name."""
        self._ctx = ctx
        self._bind_texture = _function(address, "glBindTexture", _UINT, _UINT)
        self._bind_framebuffer = _function(address, "glBindFramebuffer", _UINT, _UINT)
        self._allot = _function(address, "glTexImage2D", _UINT, *[_INT] * 5, _UINT, _UINT, _POINTER)
        self._write = _function(address, "glTexSubImage2D", _UINT, *[_INT] * 5, _UINT, _UINT, _POINTER)
        self._blit = _function(address, "glBlitFramebuffer", *[_INT] * 8, _UINT, _UINT)
        self._source: moderngl.Framebuffer | None = None

    def __call__(self, pixels: Bytes, window: moderngl.Framebuffer) -> None:
        """Fills `window` with `pixels` [height, width, 4] of its size: blue first, top row first."""
        assert pixels.flags.c_contiguous, "rows are handed over without their strides"
        height, width = pixels.shape[:2]
        source = self._source_of(width, height)
        self._bind_texture(_TEXTURE_2D, texture_of(source).glo)
        self._write(_TEXTURE_2D, 0, 0, 0, width, height, _BGRA, _BGRA_BYTES, pixels.ctypes.data)
        self._bind_framebuffer(_READ_FRAMEBUFFER, source.glo)
        self._bind_framebuffer(_DRAW_FRAMEBUFFER, window.glo)
        # OpenGL counts rows from the bottom: the window's top one is its last, the texture's its first
        self._blit(0, 0, width, height, 0, height, width, 0, _COLOUR, _NEAREST)
        window.use()

    def close(self) -> None:
        """Gives the texture back."""
        if self._source is not None:
            release_target(self._source)
            self._source = None

    def _source_of(self, width: int, height: int) -> moderngl.Framebuffer:
        if self._source is None or self._source.size != (width, height):
            self.close()
            self._source = make_target(self._ctx, (width, height))
            # once: to have its memory anew for each picture costs ten milliseconds now and then
            self._bind_texture(_TEXTURE_2D, texture_of(self._source).glo)
            self._allot(_TEXTURE_2D, 0, _RGBA, width, height, 0, _BGRA, _BGRA_BYTES, None)
        return self._source


def _function(address: Callable[[str], Any], name: str, *arguments: Any) -> Callable[..., None]:
    return ctypes.CFUNCTYPE(None, *arguments)(ctypes.cast(address(name), ctypes.c_void_p).value or 0)
