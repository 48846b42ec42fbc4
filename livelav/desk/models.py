"""Which generators hands can go to: the names of the library, looked up now and then. The time is passed in.

Runs in main.
"""

from livelav.generate.library import list_models

_LISTED_S = 1.0  # new files' heads are read to know them, so nobody can have that done all the time


class Models:
    """`names` are those that there were when somebody last asked for another."""

    def __init__(self) -> None:
        self.names = list_models()
        self._listed_s = float("-inf")

    def knows(self, name: str, now_s: float) -> bool:
        """Whether there is one of that name by now."""
        if name not in self.names:
            self._look(now_s)
        return name in self.names

    def stepped(self, name: str, steps: int, now_s: float) -> str:
        """The one that is so many names on."""
        self._look(now_s)
        at = self.names.index(name) if name in self.names else -1 if steps > 0 else 0
        return self.names[(at + steps) % len(self.names)]

    def _look(self, now_s: float) -> None:
        if now_s - self._listed_s >= _LISTED_S:
            self._listed_s = now_s
            self.names = list_models()
