"""Files are whole or not there at all, also for a writer that is killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from livelav.core import store
from livelav.core.errors import StorageError

# Two contents that a reader can tell from each other and from any mixture, written in turn until killed.
WRITER = """
import sys
from pathlib import Path
from livelav.core.store import write_atomic
path, size = Path(sys.argv[1]), int(sys.argv[2])
print("begun", flush=True)
while True:
    for letter in (b"a", b"b"):
        write_atomic(path, letter * size, durable=False)
        print(letter.decode(), end="", flush=True)
"""
SIZE = 300_000


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "preset.toml"
    store.write_atomic(path, b"a" * SIZE)
    writes = 0
    for kill in range(24):
        command = [sys.executable, "-c", WRITER, str(path), str(SIZE)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"begun\n"
            writes += len(writer.stdout.read(kill % 8))  # at another moment each time, never by the clock
            writer.kill()
        content = path.read_bytes()
        assert content in (b"a" * SIZE, b"b" * SIZE), f"kill {kill} left {len(content)} bytes"
    assert writes > 24


def test_a_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.bin"
    store.write_atomic(path, b"old")
    store.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["x.bin"]


def test_a_failed_write_is_one_line_and_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match=r"cannot write .*file/x: .*; choose a folder"):
        store.write_atomic(tmp_path / "file" / "x", b"")
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        store.write_atomic(target, b"x")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_json_round_trips_and_refuses_what_json_lacks(tmp_path: Path) -> None:
    path = tmp_path / "stats.json"
    store.write_json(path, {"fps": 60.0, "name": "größer"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"fps": 60.0, "name": "größer"}
    with pytest.raises(ValueError, match="JSON compliant"):
        store.write_json(path, {"fps": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8"))["fps"] == 60.0


def test_folders_follow_the_environment(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.cache_dir() == own_folders / "cache"
    assert store.models_dir() == own_folders / "models"
    assert store.config_dir() == own_folders / "config"
    for name in ("CACHE", "MODELS", "CONFIG"):
        monkeypatch.delenv(f"LIVELAV_{name}")
    folders = {store.cache_dir(), store.models_dir(), store.config_dir()}
    assert len(folders) == 3
    assert all(folder.is_absolute() and "livelav" in folder.parts for folder in folders)


@pytest.mark.parametrize("name", ["presets", "shaders"])
def test_shipped_data_is_found(name: str) -> None:
    assert store.data_dir(name).is_dir()
