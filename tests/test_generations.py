"""Saves that were acknowledged are never lost, whenever the program is killed, and the ones before are kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from livelav.core.errors import PresetError, StorageError
from livelav.core.generations import KEPT, generation, read_kept, write_kept

KILLS = int(os.environ.get("LIVELAV_KILLS", "60"))  # 1,000 for the README's figure

WRITER = """
import sys
from pathlib import Path
from livelav.core.generations import write_kept
path, number = Path(sys.argv[1]), int(sys.argv[2])
print("begun", flush=True)
while True:
    number += 1
    write_kept(path, f"{number}\\n".encode() * 2000)
    print(number, flush=True)
"""


def number(path: Path) -> int:
    """What a whole file of the writer says. Raises PresetError where it is none."""
    lines = path.read_bytes().splitlines()
    if len(lines) != 2000 or len(set(lines)) != 1:
        raise PresetError(f"{path} is broken")
    return int(lines[0])


def test_no_kill_loses_a_save_that_was_acknowledged(tmp_path: Path) -> None:
    path, acknowledged, saves = tmp_path / "calm.toml", 0, 0
    for kill in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(path), str(acknowledged)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "begun\n"
            for _ in range(kill % 7):  # at another moment each time, never by the clock
                acknowledged = int(writer.stdout.readline())
                saves += 1
            writer.kill()
            rest = writer.stdout.read().split("\n")[:-1]  # acknowledged before it died
            acknowledged = int(rest[-1]) if rest else acknowledged
        if not path.exists():
            assert acknowledged == 0
            continue
        assert number(path) >= acknowledged
        acknowledged = number(path)
        for i in range(1, KEPT + 1):
            if generation(path, i).exists():
                assert number(generation(path, i)) <= acknowledged
    assert saves > KILLS


class PowerCutError(Exception):
    """The machine stops here."""


def test_at_every_step_of_a_save_there_is_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ("replace", "link", "fsync", "unlink", "open", "fdopen")
    stopped = 0
    for at in range(100):
        path = tmp_path / str(at) / "calm.toml"
        for content in (b"one", b"two", b"three"):
            write_kept(path, content)
        left = [at]

        def stop(real, left=left):  # type: ignore[no-untyped-def]
            def step(*args, **options):  # type: ignore[no-untyped-def]
                left[0] -= 1
                if left[0] < 0:
                    raise PowerCutError
                return real(*args, **options)

            return step

        with monkeypatch.context() as patch:
            for name in steps:
                patch.setattr(os, name, stop(getattr(os, name)))
            try:
                write_kept(path, b"four")
            except PowerCutError:
                stopped += 1
        content = path.read_bytes()
        assert content in (b"three", b"four"), f"step {at}"
        assert content == b"four" or left[0] < 0
        kept = [generation(path, i).read_bytes() for i in range(1, KEPT + 1) if generation(path, i).exists()]
        assert {b"one", b"two", b"three"} <= {content, *kept}, f"step {at}: no generation is lost either"
        write_kept(path, b"five")
        assert path.read_bytes() == b"five", "and the next save finds nothing in its way"
        if left[0] >= 0:
            break
    assert stopped > 5
    assert left[0] >= 0, "all steps were stopped at"


def test_five_generations_are_kept_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "calm.toml"
    for i in range(9):
        write_kept(path, str(i).encode())
    write_kept(path, b"8")  # what is there already
    assert [generation(path, i).read_bytes() for i in range(KEPT + 1)] == [b"8", b"7", b"6", b"5", b"4", b"3"]
    assert len(list(tmp_path.iterdir())) == KEPT + 1


def test_without_links_copies_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "calm.toml"
    write_kept(path, b"one")
    write_kept(path, b"two")
    assert (path.read_bytes(), generation(path, 1).read_bytes()) == (b"two", b"one")


def test_a_broken_file_is_told_of_and_the_one_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for i in (1, 2, 3):
        write_kept(path, f"{i}\n".encode() * 2000)
    assert read_kept(path, number) == (3, "")
    path.write_bytes(b"3\n" * 77)
    generation(path, 1).write_bytes(b"")
    found, trouble = read_kept(path, number)
    assert found == 1
    assert "is broken; going on with x.2" in trouble
    generation(path, 2).unlink()
    with pytest.raises(PresetError, match="x is broken"):
        read_kept(path, number)


def test_what_killed_writers_left_goes_once_it_is_old(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".calm.toml.abcdef", tmp_path / ".calm.toml.zzz"
    for left in (old, fresh):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    write_kept(tmp_path / "calm.toml", b"whole")
    assert not old.exists()
    assert fresh.exists(), "it may be another writer's, at work"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot write"):
        write_kept(tmp_path / "file" / "calm.toml", b"x")
