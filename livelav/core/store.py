"""Where livelav's files lie, and writes that are whole or not there at all."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from livelav.core.errors import InstanceError, StorageError

PACKAGE = Path(__file__).resolve().parent.parent


def data_dir(name: str) -> Path:
    """The shipped `shaders`, `presets`: inside an installed package, or beside it in a checkout."""
    inside = PACKAGE / "_data" / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def cache_dir() -> Path:
    """Compiled networks and other things that can be made again. `LIVELAV_CACHE` moves it."""
    return Path(os.environ.get("LIVELAV_CACHE") or platformdirs.user_cache_dir("livelav", appauthor=False))


def models_dir() -> Path:
    """Fetched and imported models. `LIVELAV_MODELS` moves it."""
    return Path(
        os.environ.get("LIVELAV_MODELS") or Path(platformdirs.user_data_dir("livelav", appauthor=False)) / "models"
    )


def config_dir() -> Path:
    """The user's own presets and banks. `LIVELAV_CONFIG` moves it."""
    return Path(os.environ.get("LIVELAV_CONFIG") or platformdirs.user_config_dir("livelav", appauthor=False))


def _umask() -> int:
    """What others may not do with new files. Can only be read by setting it, which is not for threads."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()


def listing(folder: Path, suffix: str) -> list[Path]:
    """The files in `folder` that end so, in order; none where it is missing or may not be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(suffix))
    except OSError:
        return []


def write_atomic(path: Path, content: bytes, durable: bool = True) -> None:
    """Replaces `path` by `content` in one step: a reader, or a crash, meets the old file or the new one.

    `durable` also waits until the disk has it; leave it out for figures written every second.
    Raises StorageError where the folder cannot be written.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):  # /dev/null must stay what it is
        raise StorageError(f"cannot write {path}: it is no regular file; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if os.name == "posix":  # mkstemp lets nobody else read; this is no secret
                    os.fchmod(file.fileno(), 0o666 & ~_UMASK)
                if durable:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
            if durable:
                sync(path.parent)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):  # it is the file already, and only the folder failed
                os.unlink(temporary)
            raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; choose a folder that you may write to") from error


def sync(folder: Path) -> None:
    """Waits until the disk has what a folder names."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def only_instance() -> Iterator[None]:
    """Holds the lock of the one running show. Raises InstanceError naming the process that has it."""
    folder = cache_dir()
    lock, pid_file = filelock.FileLock(folder / "livelav.lock"), folder / "livelav.pid"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        pid_file.write_text(str(os.getpid()))
    except filelock.Timeout:
        pid = pid_file.read_text() if pid_file.exists() else "unknown"
        raise InstanceError(f"another show runs (process {pid}): quit that one first") from None
    except OSError:  # a folder that cannot be written guards nothing, and must not stop a show
        yield
        return
    try:
        yield
    finally:
        pid_file.unlink(missing_ok=True)
        lock.release()


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """`value` as indented JSON, written atomically. Raises StorageError."""
    write_atomic(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode(), durable)
