"""Which files can be recorded to, and how each is told to stay playable. Needs no PyAV: main asks before it starts."""

import os
import shutil
from pathlib import Path

from livelav.core.errors import StorageError

FRAGMENT_S = 0.5
CONTAINERS = {
    ".mp4": {
        # the index of the first fragment is written with it, so that the file knows where sound and picture begin
        "movflags": "empty_moov+default_base_moof+delay_moov",
        "frag_duration": str(int(FRAGMENT_S * 1e6)),
        "flush_packets": "1",
    },
    ".mkv": {"cluster_time_limit": str(int(FRAGMENT_S * 1e3)), "flush_packets": "1"},
}


def checked_path(path: Path) -> Path:
    """The path itself. Raises StorageError where a recording cannot be begun there."""
    if path.suffix.lower() not in CONTAINERS:
        raise StorageError(f"cannot record to {path}: {path.suffix or 'no ending'!s}; end it in .mp4 or .mkv")
    if path.exists():
        raise StorageError(f"cannot record to {path}: it exists; choose a new name, or move it away")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise StorageError(f"cannot record to {path}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise StorageError(f"cannot record to {path}: {folder} cannot be written; choose another folder")
    return path


def free_bytes(path: Path) -> int:
    """What the disk under `path` still takes."""
    return shutil.disk_usage(path.absolute().parent).free
