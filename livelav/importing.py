"""Strangers' checkpoints become models of one's own: `livelav models import`, and `--model FILE`.

A file is read and converted in a process of its own (see converting.py), which is bounded in memory and time: whatever
a file does to its reader, livelav goes on and says one line. What it made is put in place with the model itself last,
so that at any moment, also of a kill or a power cut, there is a whole model or none. The same file, known by its
SHA-256 from the cards, is converted once, and not even read again while nobody has changed it. Runs in main before a
show, and in the synth process that is to play the model in a running one; the converting process and no other is
started here, and ends with who started it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock

from livelav.catalogue import names
from livelav.core.child import python
from livelav.core.errors import ModelError, StorageError, tell
from livelav.core.inert import MAX_FILE_BYTES
from livelav.core.store import listing, models_dir, sync, write_json
from livelav.generate import library
from livelav.generate.files import SUFFIX, is_generator, read_card
from livelav.generate.library import LONGEST_NAME, Generator, is_name
from livelav.progress import shown_progress

STEPS = ("reading", "converting", "statistics", "pictures")
LEAST_MEMORY_BYTES, MEMORY_PER_BYTE = 1 << 30, 4  # beyond what Python and torch themselves take
PAINTING_BYTES = 3 << 30  # more for the pictures, which at 2048 px take two thirds of it
LEAST_PATIENCE_S, SLOWEST_BYTES_S = 60.0, 4e6  # between two words of how far it is
WHOLE_S = 7_200.0  # for all of it; 4096 labels of a mapping network of 8 layers take 40 min at 2 GFLOP/s

_CHUNK_BYTES = 1 << 22
_PUBLISHING = "publishing"  # lies in there from when the first of its files is put in place
_LEFT = ".import-"  # begins the name of a folder that an import works in
_LONGEST_LICENCE = 200
_SETTLED_S = 2.0  # a file that was changed later than so long ago may change again within one tick of its disk's clock
_LONGEST_FAULT = 4_000  # characters read of what a process wrote before it died

Progress = Callable[[str, float], None]  # one of STEPS, and how much of it is done, 0..1


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may cost."""

    memory_bytes: int  # for reading; once it is known what the file holds, PAINTING_BYTES more
    patience_s: float  # between two words of how far it is
    whole_s: float = WHOLE_S  # for all of it

    @classmethod
    def of(cls, size: int) -> "Limits":
        """For a file of that many bytes: it is held, its tensors are, and what is written."""
        return cls(LEAST_MEMORY_BYTES + MEMORY_PER_BYTE * size, LEAST_PATIENCE_S + size / SLOWEST_BYTES_S)


@dataclass(frozen=True, slots=True)
class Request:
    """What the converting process is told."""

    source: str
    source_name: str
    sha256: str
    size: int  # bytes
    folder: str  # where to leave what it makes
    name: str
    licence: str | None
    memory_bytes: int
    patience_s: float
    whole_s: float
    seen: tuple[int, ...] | None  # by which the card knows the file again unread


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that can be played by its name."""

    name: str
    path: Path
    is_new: bool  # False: the file was imported before


def import_model(
    source: Path,
    name: str | None = None,
    licence: str | None = None,
    progress: Progress = lambda _step, _share: None,
    on_wait: Callable[[], None] = lambda: None,
    limits: Limits | None = None,
) -> Imported:
    """Makes a model out of a StyleGAN2 checkpoint of any layout that is read; at once where that was done before.

    `name`: None takes it from the file's. `licence` is what the card will say, "unknown" unless stated. `on_wait` is
    called where another import must end first. `limits`: None takes those that fit the file's size.
    Raises ModelError for a file that cannot be read or played and for a name that is no name or taken, StorageError
    where the models folder cannot be written.
    """
    if name is not None and not is_name(name):
        raise ModelError(
            f"no model can be called {name[:80]!r}: a name has lower-case letters, digits, and - or _ between them "
            f"({LONGEST_NAME} at most)"
        )
    if licence is not None and not (licence.isprintable() and 0 < len(licence) <= _LONGEST_LICENCE):
        raise ModelError(
            f"a licence is one line of 1 to {_LONGEST_LICENCE} characters; leave it out if none was stated"
        )
    before = _stat(source)
    seen = _identity(before) if time.time() - before.st_ctime > _SETTLED_S else None
    if is_generator(source):
        raise ModelError(f"{source} is a model of livelav's already: play it as it is, `livelav --model {source}`")
    sha256 = _remembered(before) or _sha256(source, before.st_size, progress)
    with _folder(on_wait) as folder:
        if known := _known(folder, sha256, licence, seen):
            return known
        wanted = name or _name_for(source, sha256)
        if wanted in names():
            raise ModelError(
                f"there is a model {wanted!r} already: give another --name, or `livelav models remove {wanted}` first"
            )
        if taken := _taken(folder, wanted):
            raise ModelError(f"{taken} is there already, and no model of livelav's: give another --name")
        try:
            made = Path(tempfile.mkdtemp(prefix=f"{_LEFT}{wanted}.", dir=folder))
            bounds = limits or Limits.of(before.st_size)
            request = Request(
                source=str(source.absolute()),
                source_name=source.name,
                sha256=sha256,
                size=before.st_size,
                folder=str(made),
                name=wanted,
                licence=licence,
                memory_bytes=bounds.memory_bytes,
                patience_s=bounds.patience_s,
                whole_s=bounds.whole_s,
                seen=seen,
            )
            _convert(request, made / "faults", progress)
            if _identity(_stat(source)) != _identity(before):
                raise ModelError(f"{source} was changed while it was read: import it again")
            _publish(made, folder, wanted)
        except OSError as error:
            raise _unwritable(folder, error) from error
        return Imported(wanted, folder / f"{wanted}{SUFFIX}", True)


def bring(source: Path, name: str | None = None, licence: str | None = None, quiet: bool = False) -> Imported:
    """import_model, for whoever watches the terminal."""
    if quiet:
        return import_model(source, name, licence)
    with shown_progress(source.name) as progress:
        return import_model(source, name, licence, progress, lambda: tell("another import runs: waiting for its end"))


def playable(model: str, progress: Progress | None = None) -> str:
    """What a show is to load where `model` was asked for: itself, or what a stranger's file is imported as, now or
    before. Who watches the terminal is told how far that is, or `progress` alone. Raises ModelError, StorageError."""
    if is_name(model) or model.lower().endswith(SUFFIX):
        return model
    return (bring(Path(model)) if progress is None else import_model(Path(model), progress=progress)).name


def load_generator(name_or_path: str | os.PathLike[str] = "default", **options: Any) -> Generator:
    """library.load_generator, with its options, for strangers' files too: one that is not a model yet is imported.

    Raises ModelError, BackendError, and StorageError where a model cannot be written.
    """
    return library.load_generator(playable(os.fspath(name_or_path)), **options)


def _stat(source: Path) -> os.stat_result:
    """Raises ModelError where that is no file that can be imported."""
    try:
        found = source.stat()
        if not source.is_file():
            raise ModelError(f"cannot import {source}: no regular file; give a checkpoint, .pkl or .pt")
    except OSError as error:
        raise ModelError(
            f"cannot import {source}: {error.strerror}; `livelav models list` names what there is"
        ) from error
    if found.st_size > MAX_FILE_BYTES:
        raise ModelError(
            f"cannot import {source}: {found.st_size / 1e9:.1f} GB where at most {MAX_FILE_BYTES / 1e9:.1f} are read; "
            f"take a checkpoint without its training state"
        )
    return found


def _identity(stat: os.stat_result) -> tuple[int, ...]:
    """Other numbers for another file, and for the same after a change. Nobody can set the last one, but on Windows,
    where it does not change; whoever forges the others there is played the model that the file was before."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _remembered(stat: os.stat_result) -> str | None:
    """The SHA-256 of a file that was imported and has not been changed since."""
    for path in listing(models_dir(), SUFFIX):
        source = read_card(path).get("source")
        if isinstance(source, dict) and source.get("seen") == list(_identity(stat)) and source.get("sha256"):
            return str(source["sha256"])
    return None


def _sha256(source: Path, size: int, progress: Progress) -> str:
    digest, done = hashlib.sha256(), 0
    progress("reading", 0.0)
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                progress("reading", min(done / max(size, 1), 1.0))
    except OSError as error:
        raise ModelError(f"cannot read {source}: {error.strerror}; copy it to a disk that can be read") from error
    return digest.hexdigest()


@contextmanager
def _folder(on_wait: Callable[[], None]) -> Iterator[Path]:
    """The models folder, for this import alone and with nothing left in it of those that broke off."""
    folder = models_dir()
    lock = filelock.FileLock(folder / ".import.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            on_wait()
            lock.acquire()
        _sweep(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield folder
    finally:
        with suppress(OSError):
            _sweep(folder)
        lock.release()


def _sweep(folder: Path) -> None:
    """Removes what imports left behind: with the lock held, none of it is in use."""
    for left in folder.glob(f"{_LEFT}*.*"):
        name = left.name.removeprefix(_LEFT).partition(".")[0]
        # one that was cut off while it put things in place, where there was nothing before
        if is_name(name) and (left / _PUBLISHING).exists() and not (folder / f"{name}{SUFFIX}").exists():
            for suffix in (".json", ".png"):
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
        shutil.rmtree(left, ignore_errors=True)


def _known(folder: Path, sha256: str, licence: str | None, seen: Sequence[int] | None) -> Imported | None:
    """The model that was made of this very file, if there is one. Its card takes on a licence that is stated now, and
    as whom the file was `seen`, so that it need not be read the next time."""
    for path in listing(folder, SUFFIX):
        card = read_card(path)
        source = card.get("source")
        if not (isinstance(source, dict) and source.get("sha256") == sha256 and is_generator(path)):
            continue
        if path.stat().st_size == card.get("bytes"):
            anew = {**card, **({"licence": licence} if licence else {})}
            if seen:
                anew["source"] = {**source, "seen": list(seen)}
            try:
                if anew != card:
                    write_json(path.with_suffix(".json"), anew)
            except StorageError:
                if licence:  # else it is only read once more the next time
                    raise
            return Imported(path.stem, path, False)
    return None


def _name_for(source: Path, sha256: str) -> str:
    """The file's name as a model's, with a number where it is taken: all trainings write a network-snapshot-000200."""
    base = "-".join(re.findall(r"[a-z0-9]+", source.stem.lower()))[: LONGEST_NAME - 7].strip("-") or "model"
    return f"{base}-{sha256[:6]}" if base in names() or _taken(models_dir(), base) else base


def _taken(folder: Path, name: str) -> Path | None:
    """A file that stands where the model or what belongs to it would."""
    return next((path for s in (SUFFIX, ".json", ".png") if (path := folder / f"{name}{s}").exists()), None)


def _publish(made: Path, folder: Path, name: str) -> None:
    """The model itself last: without it the others count for nothing."""
    (made / _PUBLISHING).touch()
    for suffix in (".png", ".json", SUFFIX):
        os.replace(made / f"{name}{suffix}", folder / f"{name}{suffix}")
    sync(folder)


def _convert(request: Request, faults: Path, progress: Progress) -> None:
    """Runs the converting process to its end. Raises ModelError, or StorageError where it could not write."""
    # the terminal's Ctrl-C is for us alone: we end it. A graphics card's driver takes more addresses than any limit.
    alone: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        alone = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    said: Mapping[str, Any] = {}
    step, began_s = STEPS[0], time.monotonic()
    with faults.open("wb") as errors:
        child = subprocess.Popen(
            python("livelav.converting"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8",
            env={**os.environ, "MALLOC_ARENA_MAX": "2", "CUDA_VISIBLE_DEVICES": ""}, **alone,
        )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None, "asked for pipes"
    try:
        try:
            child.stdin.write(json.dumps(asdict(request)) + "\n")
            child.stdin.flush()
        except BrokenPipeError:  # it died already, and what it said tells why
            pass
        for line in child.stdout:
            said = json.loads(line)
            if "step" in said:
                step = str(said["step"])
                progress(step, float(said["share"]))
        child.wait()
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    if said.get("done"):
        return
    if "error" in said:
        text = str(said["error"]).replace(request.folder, str(models_dir()))
        if said["of"] == "storage":
            raise StorageError(text)
        raise ModelError(text if request.source in text else f"cannot import {request.source}: {text}")
    slow = f"{step} took longer than {request.patience_s:g} s"
    if time.monotonic() - began_s >= request.whole_s:
        slow = f"it took longer than {request.whole_s:g} s in all"
    raise ModelError(
        f"cannot import {request.source}: {_fault(request, slow, 'lacks' in said, faults, child.returncode)}"
    )


def _fault(request: Request, slow: str, lacks_memory: bool, faults: Path, code: int) -> str:
    """Why a process gave no answer; `slow` is what to say where that is for the time it took."""
    text = faults.read_text("utf-8", "replace")[-_LONGEST_FAULT:]
    if lacks_memory or "bad_alloc" in text or "MemoryError" in text:
        return (
            f"it takes more than {request.memory_bytes / 1e9:.1f} GB of memory, too much for a file of "
            f"{request.size / 1e6:.1f} MB; it is damaged, or another kind of model"
        )
    if "Timeout (" in text:
        return f"{slow}; it is damaged, or this machine is too busy: try again"
    last = (text.strip().splitlines() or ["it said nothing"])[-1]
    return f"its process ended with {code} ({last[:200]}); try again, and `livelav doctor` if that does not help"


def _unwritable(folder: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot write models in {folder}: {error.strerror}; make room there, or set LIVELAV_MODELS")
