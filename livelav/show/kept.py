"""What is made for a size of images and kept for the next time: models are changed to and fro, and to have memory anew
takes longer than a picture may.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from livelav.show.targets import Size

MOST = 2  # sizes

T = TypeVar("T")


class Kept(Generic[T]):
    """One thing for each of the sizes used last."""

    def __init__(self, make: Callable[[Size], T], release: Callable[[T], None]) -> None:
        self._make, self._release = make, release
        self._things: dict[Size, T] = {}  # the one used last is last

    def __getitem__(self, size: Size) -> T:
        """The thing of that size, made where there is none; that which was used longest ago may be released."""
        thing = self._things[size] = self._things.pop(size) if size in self._things else self._make(size)
        while len(self._things) > MOST:
            self._release(self._things.pop(next(iter(self._things))))
        return thing

    def close(self) -> None:
        """Releases all; they are made again when asked for."""
        while self._things:
            self._release(self._things.popitem()[1])
