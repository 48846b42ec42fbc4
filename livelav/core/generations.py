"""Files that must not be lost: each save leaves the ones before it beside, and at no moment is there none.

    calm.toml      the newest
    calm.toml.1    the one before it, and so on to calm.toml.5

Whatever moment a save is killed at, the newest name is the old file or the new one, whole.
"""

import contextlib
import glob
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from livelav.core.errors import LivelavError, StorageError
from livelav.core.store import write_atomic

KEPT = 5
_STALE_S = 3600.0  # no write takes that long: what it left is of a writer that was killed

T = TypeVar("T")


def generation(path: Path, number: int) -> Path:
    """Where the file is that was saved so many times ago; 0 is the newest."""
    return path.with_name(f"{path.name}.{number}") if number else path


def write_kept(path: Path, content: bytes) -> None:
    """Replaces `path` by `content`, once the disk has it, and keeps what it held. Raises StorageError.

    A save of what is there already changes nothing.
    """
    with contextlib.suppress(OSError):
        if path.read_bytes() == content:
            return
    try:
        sweep(path)
        if path.is_file():
            _shift(path)
    except OSError as error:
        raise StorageError(f"cannot keep what {path} holds: {error.strerror}; choose a folder you may write") from error
    write_atomic(path, content)


def read_kept(path: Path, read: Callable[[Path], T]) -> tuple[T, str]:
    """(what `read` makes of the newest file that it can read, what was wrong with those after it).

    Raises what `read` raises of the newest, a LivelavError, where no other can be read either.
    """
    try:
        return read(path), ""
    except LivelavError as error:
        for number in range(1, KEPT + 1):
            older = generation(path, number)
            with contextlib.suppress(LivelavError):
                if older.is_file():
                    return read(older), f"{error}; going on with {older.name}, saved before it"
        raise


def _shift(path: Path) -> None:
    """Makes room for a generation 1, and puts what `path` holds there too; `path` stays where it is."""
    newest = generation(path, 1)
    if newest.is_file() and newest.read_bytes() == path.read_bytes():
        return  # the save after this one failed, and the next must not push the others out
    for number in range(KEPT - 1, 0, -1):
        if generation(path, number).exists():
            os.replace(generation(path, number), generation(path, number + 1))
    link = path.with_name(f".{path.name}.link")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without links
        shutil.copyfile(path, link)
    os.replace(link, generation(path, 1))


def sweep(path: Path) -> None:
    """Removes what killed writers of this file left behind."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_S:
                left.unlink()
