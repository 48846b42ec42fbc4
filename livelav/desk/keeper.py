"""Writes what must outlive the show, in a thread that the engine runs: a disk may take its time, the picture not.

Of several states that wait only the newest is written. Knows no show; bytes in, files out.
"""

import contextlib
import math
import queue
import shutil
from collections import deque
from pathlib import Path

from livelav.core.generations import write_kept
from livelav.core.store import write_atomic

_WAITING = 32  # saves that may wait for a slow disk


class Keeper:
    """`save` and `note` return at once; `told` is what became of saves, for the operator."""

    def __init__(self) -> None:
        self.told: deque[str] = deque(maxlen=_WAITING)
        self._saves: queue.SimpleQueue[tuple[Path, bytes, int] | None] = queue.SimpleQueue()
        self._asked: dict[Path, int] = {}  # how often a save was asked for; `save` alone writes it
        self._kept: dict[Path, int] = {}  # which of them is on disk; the thread alone writes it
        self._newest: dict[Path, bytes] = {}  # what was saved there last
        self._notes: deque[tuple[Path, bytes]] = deque(maxlen=1)  # only the newest counts
        self.free_bytes = math.inf  # where the last file was written
        self._noted = True  # whether the last note could be written

    def save(self, path: Path, content: bytes) -> None:
        """A file of the user's, with the generations before it."""
        self._asked[path] = number = self._asked.get(path, 0) + 1
        self._newest[path] = content
        self._saves.put((path, content, number))

    def is_behind(self, path: Path) -> bool:
        """Whether what was saved there last is not on disk: it waits, or could not be written."""
        return self._asked.get(path) != self._kept.get(path)

    def unwritten(self, path: Path) -> bytes | None:
        """What was saved there last, while that is not on disk; else None."""
        return self._newest.get(path) if self.is_behind(path) else None

    def note(self, path: Path, content: bytes) -> None:
        """A file of ours that is written again and again."""
        self._notes.append((path, content))

    def close(self) -> None:
        """Lets `run` end once all is written."""
        self._saves.put(None)

    def run(self) -> None:
        """The thread's body."""
        is_open = True
        while is_open:
            try:
                save = self._saves.get(timeout=0.2)
                is_open = save is not None
                if save:
                    self._save(*save)
            except queue.Empty:
                pass
            if self._notes:
                self._write_note(*self._notes.popleft())

    def _save(self, path: Path, content: bytes, number: int) -> None:
        try:
            write_kept(path, content)
            self._kept[path] = number
            self.told.append(f"saved {path.stem}")
            self._look(path)
        except Exception as error:  # whatever it is, the next save must find this thread alive
            self.told.append(f"NOT SAVED: {error}")

    def _write_note(self, path: Path, content: bytes) -> None:
        try:
            write_atomic(path, content)
            self._noted = True
            self._look(path)
        except Exception as error:
            if self._noted:  # told once, and not every two seconds
                self.told.append(f"{error}; the show could not be resumed after a crash")
            self._noted = False

    def _look(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            self.free_bytes = shutil.disk_usage(path.parent).free
