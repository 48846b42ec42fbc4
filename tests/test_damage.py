"""Whatever became of the files that a show keeps, the next show starts, by the start's own code up to its engine.

Each is cut at many bytes, and changed by chance: what was autosaved, what was learnt, a preset and a set list.
LIVELAV_MUTANTS says how many changes there are of each; where it says anything, every byte is cut at.
"""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from livelav import play
from livelav.control.banks import learn, learnt_path, read_bank
from livelav.control.bindings import Binding
from livelav.control.messages import Control
from livelav.core.errors import LivelavError, MidiError
from livelav.core.generations import generation, write_kept
from livelav.core.params import PARAMS
from livelav.core.running import Running, read_running, running_path
from livelav.core.store import config_dir
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs
from livelav.flags import first_scene
from livelav.live.crew import LiveConfig

MUTANTS = int(os.environ.get("LIVELAV_MUTANTS", "100"))  # 10,000 for the README's figure
EVERY = 1 if "LIVELAV_MUTANTS" in os.environ else 40  # bytes
PRESET = """\
# Saturday
schema = 1
name = "Mine"
[params]
mapping.norm = 1.0  # reach
show.hue = 20
[choices]
seed = 7
[drive]
show.zoom = "onset 0.2"
"""
SONGS = 'schema = 1\n[[song]]\npreset = "mine"\nnotes = "the piano alone"\n[[song]]\npreset = "storm"\n'
PIECES = (b'"', b"[", b"]", b"{", b"=", b"\n", b"\0", b"\xff", b"1e999", b"nan", b"-", b'"""', b"2", b"null", b"\r")


def start(monkeypatch: pytest.MonkeyPatch, **flags: object) -> Desk:
    """What the show begins with; asserts that it does. Raises LivelavError where a flag is refused."""
    begun: list[LiveConfig] = []

    def run_live(config: LiveConfig, _open: object) -> object:
        begun.append(config)
        return SimpleNamespace(shared=SimpleNamespace(main={"presented": 1}))

    monkeypatch.setattr(play, "run_live", run_live)
    words = {"preset": None, "resume": False, "set_list": None} | flags
    play.play(
        source="demo", loop=False, seed=None, size=(64, 36), fullscreen=False, monitor=None, headless=True, link=False,
        operator=False, fps="60", seconds="1", stats=None, record=None, take=None, trace=None, **words,
    )  # fmt: skip
    (config,) = begun
    desk = Desk(config.scene, config.preset, config.songs, Inputs(config.banks), 0.0)
    desk.scenes.whole_set()
    assert all(p.lo <= desk.settings[p.name] <= p.hi for p in PARAMS)
    return desk


def broken(whole: bytes) -> Iterator[bytes]:
    """Cut at every byte, or at some; then changed at one to four places."""
    yield from (whole[:end] for end in range(0, len(whole), EVERY))
    draw = random.Random(1)
    for _ in range(MUTANTS):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(content))
            piece = draw.choice(PIECES) if draw.random() < 0.5 else bytes([draw.randrange(256)])
            content[at : at + draw.randint(0, 3)] = piece
            content = content or bytearray(b"x")
        yield bytes(content)


def each(path: Path, check: Callable[[], None]) -> int:
    """How many kinds of damage to that file `check` has stood."""
    whole, count = path.read_bytes(), 0
    for content in broken(whole):
        path.write_bytes(content)
        check()
        count += 1
    path.write_bytes(whole)
    print(f"{count} kinds of damage to {path.name}, each followed by a start")
    return count


@pytest.fixture
def evening(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of one who has saved, learnt and played."""
    folder = config_dir()
    write_kept(folder / "presets" / "mine.toml", PRESET.replace("hue = 20", "hue = 10").encode())
    write_kept(folder / "presets" / "mine.toml", PRESET.encode())
    learn(Binding(Control("cc", 7, 2), "show.hue", port="box"))
    learn(Binding(Control("note", 36, 9), "blackout", "press", port="box"))
    (folder / "sets").mkdir()
    (folder / "sets" / "saturday.toml").write_text(SONGS)
    running_path().write_bytes(Running(first_scene("mine", None, {}), "mine").as_json())
    assert start(monkeypatch, preset="mine", set_list="saturday").settings["show.hue"] == 20
    assert running_path().exists() is False, "it was cut off, and is put aside"
    return folder


@pytest.mark.timeout(3600)
def test_any_state_that_was_noted(evening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Running(first_scene("mine", None, {}), "mine").as_json()
    running_path().write_bytes(whole)

    def check() -> None:
        damaged = running_path().read_bytes()
        try:
            start(monkeypatch, resume=True)
        except LivelavError as error:
            assert "\n" not in str(error)
        running_path().write_bytes(damaged)
        start(monkeypatch)

    assert each(running_path(), check) >= MUTANTS
    assert read_running(running_path()).preset == "mine"


@pytest.mark.timeout(3600)
def test_anything_learnt(evening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be read, what had been learnt before its last line was is still there."""
    assert b"show.hue" in generation(learnt_path(), 1).read_bytes()

    def check() -> None:
        is_heard = start(monkeypatch).inputs.hands.bound("box", Control("cc", 7, 2))
        try:
            read_bank(learnt_path())
        except MidiError:
            assert is_heard

    assert each(learnt_path(), check) >= MUTANTS


@pytest.mark.timeout(3600)
def test_any_preset(evening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one asked for plays, as it is or as it was before."""

    def check() -> None:
        start(monkeypatch, preset="mine")
        start(monkeypatch)

    assert each(evening / "presets" / "mine.toml", check) >= MUTANTS


@pytest.mark.timeout(3600)
def test_any_set_list(evening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written by hand alone: one that is broken is named by its line, and the show starts without it."""

    def check() -> None:
        try:
            start(monkeypatch, set_list="saturday")
        except LivelavError as error:
            assert "saturday" in str(error)
            assert "\n" not in str(error)
        start(monkeypatch)

    assert each(evening / "sets" / "saturday.toml", check) >= MUTANTS
