"""Engines that take long to build, kept in the cache folder for the next start. Knows no engine: bytes under a key.

Each file begins with the digest of what follows, so that one that is cut off or damaged is a miss like one that is not
there, and is built anew. What can be made again may be lost: a folder that cannot be written is no error.
"""

import contextlib
import hashlib
import os
import re
import time
from dataclasses import astuple, dataclass
from pathlib import Path

from livelav.core.errors import StorageError
from livelav.core.store import cache_dir, listing, write_atomic

SUFFIX = ".engine"
DIGEST = hashlib.sha256().digest_size
# What is kept in all; the one unused for longest goes. The weights of a model of 1024 px are 60 MB in float16 and 120
# in float32, so that the engines of some seventy such models stay. Beside them lie notes of a few bytes, which no disk
# feels: their number only keeps a listing quick.
MOST_BYTES = 8 << 30
MOST = 1024
LARGEST = 2**31  # bytes of one
STALE_S = 600.0  # no write rests for that long: what it left is of a writer that was killed


@dataclass(frozen=True, slots=True)
class Key:
    """All that an engine depends on: change one, and it is another engine."""

    sha256: str  # of the model's file
    resolution: int  # px
    engine: str  # name and version of the builder, and of the graph that it is given
    device: str  # as the driver names it, with all that its engines depend on
    precision: str
    noise_mode: str

    @property
    def path(self) -> Path:
        """Where it lies: readable in front, unique behind."""
        unique = hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:32]
        readable = re.sub(r"[^a-z0-9.]+", "-", f"{self.engine}-{self.resolution}-{self.precision}".lower())[:60]
        return cache_dir() / "engines" / f"{readable}-{unique}{SUFFIX}"


def read(key: Key) -> bytes | None:
    """What was kept under that key, whole; None where there is nothing, or nothing whole."""
    try:
        if not key.path.is_file() or key.path.stat().st_size > LARGEST:
            return None
        content = key.path.read_bytes()
    except OSError:
        return None
    digest, engine = content[:DIGEST], content[DIGEST:]
    if not engine or hashlib.sha256(engine).digest() != digest:
        return None
    with contextlib.suppress(OSError):
        os.utime(key.path)  # what is used stays
    return engine


def write(key: Key, engine: bytes) -> None:
    """Keeps an engine, and no more than MOST of them and MOST_BYTES in all."""
    with contextlib.suppress(StorageError, OSError):
        _sweep(key.path.parent)  # before anything is written: a full disk may be full of these
        # on the way to the first picture, which waits for no disk: one that a crash cuts off is a miss
        write_atomic(key.path, hashlib.sha256(engine).digest() + engine, durable=False)
        _bound(key.path.parent)


def forget(key: Key) -> None:
    """Of one that its engine refused."""
    with contextlib.suppress(OSError):
        key.path.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Removes what killed writers left behind: a synth that is to join is ended at any moment."""
    for left in folder.glob(f".*{SUFFIX}.*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink()


def _bound(folder: Path) -> None:
    """Removes what was unused for longest. Raises OSError."""
    files = [(path, path.stat()) for path in listing(folder, SUFFIX)]
    files.sort(key=lambda file: file[1].st_mtime, reverse=True)
    total = 0
    for number, (path, figures) in enumerate(files, 1):
        total += figures.st_size
        if number > MOST or total > MOST_BYTES:
            path.unlink(missing_ok=True)
