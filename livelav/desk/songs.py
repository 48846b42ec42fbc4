"""The evening's order of presets: which entry comes next, which one a name means, what a new preset is called.

Entries are counted from 0. Knows no scene and no time. Runs in main.
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from livelav.core.presets import is_preset_name, list_presets
from livelav.core.setlists import Song

_LONGEST_BASE = 56  # characters of a name that a number is added to


class Songs:
    """The set list, or all presets; those that are saved as new ones in this show come behind."""

    def __init__(self, songs: Sequence[Song], added: Sequence[str] = ()) -> None:
        """`added`: which of them were saved as new ones so far."""
        self.all, self.added = tuple(songs), tuple(added)

    def number_of(self, preset: str | None, likely: int | None) -> int | None:
        """The entry of that preset: the likely one if it is, else the first. None where there is none."""
        if preset in self.added and likely is not None and 0 <= likely < len(self.all):
            return likely  # what is saved as a new one takes no other place in the evening
        numbers = [number for number, song in enumerate(self.all) if song.preset == preset]
        return likely if likely in numbers else next(iter(numbers), None)

    def stepped(self, now: int | None, steps: int) -> int:
        """The entry so many further; before the first one was recalled, the list's first or last."""
        if now is None:
            now = -1 if steps > 0 else 0
        return (now + steps) % len(self.all)

    def nearest(self, name: str, now: int | None) -> int | None:
        """The first entry of that preset from the one on that plays, and round: a list may have it twice."""
        count, now = len(self.all), now or 0
        return next((i % count for i in range(now, now + count) if self.all[i % count].preset == name), None)

    def add(self, name: str) -> int:
        """The entry of a preset that is saved; a new one comes at the end."""
        if not any(song.preset == name for song in self.all):
            self.all, self.added = (*self.all, Song(name)), (*self.added, name)
        return next(number for number, song in enumerate(self.all) if song.preset == name)

    def new_name(self, like: str) -> str:
        """For what is saved beside the preset, or file, that it was made of: no other is called so."""
        base = re.sub(r"-\d+$", "", Path(like).stem)[:_LONGEST_BASE]
        base = base if is_preset_name(base) else "mine"
        taken = {song.preset for song in self.all} | {listed.name for listed in list_presets()}
        return next(name for n in itertools.count(1) if (name := f"{base}-{n}") not in taken)
