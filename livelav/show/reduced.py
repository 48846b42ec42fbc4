"""A picture drawn with fewer pixels than the surface has, then enlarged, where the processor draws.

There a pass over the whole window costs more than all that makes the picture at half its resolution; a library that
enlarges pixels needs a sixth of that, and with softer edges. Runs in the thread that owns the context.
"""

import cv2
import moderngl
import numpy as np

from livelav.show.surface import Surface
from livelav.show.targets import make_target, release_target


class Reduced:
    """A framebuffer smaller than the surface, and the way from it onto the surface."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._drawn: moderngl.Framebuffer | None = None
        self._small = self._turned = self._large = np.empty((0, 0, 4), np.uint8)
        cv2.setNumThreads(1)  # all others have work: the generator runs beside

    def framebuffer(self, scale: float) -> moderngl.Framebuffer:
        """What to draw into: `scale` of the surface, across and down."""
        width, height = (max(round(side * scale), 1) for side in self._surface.size)
        if self._drawn is None or self._drawn.size != (width, height):
            self.close()
            self._drawn = make_target(self._surface.ctx, (width, height))
            self._small, self._turned = np.empty((2, height, width, 4), np.uint8)
        return self._drawn

    def show(self) -> None:
        """Enlarges what was drawn to the whole surface."""
        if self._drawn is None:
            return
        self._drawn.read_into(self._small, components=4)
        cv2.flip(self._small, 0, dst=self._turned)
        cv2.cvtColor(self._turned, cv2.COLOR_RGBA2BGRA, dst=self._small)
        width, height = self._surface.size
        if self._large.shape[:2] != (height, width):
            self._large = np.empty((height, width, 4), np.uint8)
        cv2.resize(self._small, (width, height), dst=self._large, interpolation=cv2.INTER_CUBIC)
        self._surface.fill(self._large)

    def close(self) -> None:
        """Gives the framebuffer back."""
        if self._drawn is not None:
            release_target(self._drawn)
            self._drawn = None
