"""Reads drawn pictures back for a recording, without waiting for the card.

There the copy travels while the next pictures are drawn, and arrives one call later. Runs in the thread that owns
the context.
"""

import moderngl
import numpy as np

from livelav.core.values import Bytes


class PixelReader:
    """Reads picture after picture of one size."""

    def __init__(self, ctx: moderngl.Context, size: tuple[int, int], software: bool) -> None:
        """`software`: nothing has to travel, so pictures are handed out at once."""
        self.size = size
        self._pixels: Bytes = np.empty((size[1], size[0], 4), np.uint8)
        self._buffer = None if software else ctx.buffer(reserve=self._pixels.nbytes)
        self._before_s: float | None = None

    def read(self, picture: moderngl.Framebuffer, presented_s: float) -> tuple[Bytes, float] | None:
        """([height, width, 4], when it was presented), bottom row first; valid until the next call.

        `picture` is what to read, of this size. Call it after `Renderer.draw` and before the HUD. On a card it gives
        the picture of the call before, and None the first time.
        """
        if self._buffer is None:
            picture.read_into(self._pixels, viewport=(0, 0, *self.size), components=4)
            return self._pixels, presented_s
        before_s, self._before_s = self._before_s, presented_s
        if before_s is not None:
            self._buffer.read_into(self._pixels)
        picture.read_into(self._buffer, viewport=(0, 0, *self.size), components=4)
        return None if before_s is None else (self._pixels, before_s)

    def close(self) -> None:
        """Gives the buffer back."""
        if self._buffer is not None:
            self._buffer.release()
