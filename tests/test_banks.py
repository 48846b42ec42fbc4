"""Bank files: what they bind, what is refused and how it says so, and what learning keeps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from livelav.cli import cli
from livelav.control.banks import (
    Bank,
    bank_files,
    bind_problems,
    bindings_of,
    give_learnt,
    learn,
    learnt,
    learnt_path,
    load_banks,
    read_bank,
    unlearn,
)
from livelav.control.bindings import SHIFT, Binding, conflicts, default_bindings
from livelav.control.commands import RecallNumber, SetParam
from livelav.control.hands import Hands
from livelav.control.messages import Control, Moved
from livelav.control.midi import MidiConfig
from livelav.controllers import learn_control, wished
from livelav.core.clock import FakeClock
from livelav.core.errors import MidiError
from livelav.core.generations import write_kept
from livelav.core.params import BY_NAME, Settings
from livelav.core.presets import load_preset
from livelav.core.store import config_dir, data_dir

GOOD = """
schema = 1
name = "box"
port = "Box"
[[bind]]
control = "cc 20"
to = "mapping.slope"
takeover = "pickup"
lo = 0.25
hi = 0.75
[[bind]]
control = "note 36 ch 10"
to = "blackout"
mode = "press"
"""
SHIPPED = sorted((data_dir("presets") / "banks").glob("*.toml"))


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def write(folder: Path, text: str, name: str = "box.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_a_bank_binds_what_it_says(tmp_path: Path) -> None:
    bank = read_bank(write(tmp_path, GOOD))
    assert bank.name == "box"
    assert bank.bindings == (
        Binding(Control("cc", 20), "mapping.slope", takeover="pickup", lo=0.25, hi=0.75, port="Box"),
        Binding(Control("note", 36, 9), "blackout", mode="press", port="Box"),
    )


def test_a_bank_says_what_lights_take_and_a_bind_of_it_otherwise(tmp_path: Path) -> None:
    text = GOOD.replace('port = "Box"', 'port = "Box"\nlights = [12, 60]').replace("lo =", "lights = [1, 2]\nlo =")
    assert [binding.lights for binding in read_bank(write(tmp_path, text)).bindings] == [(1, 2), (12, 60)]
    assert {binding.lights for binding in read_bank(write(tmp_path, GOOD)).bindings} == {(0, 127)}


def test_a_bank_says_how_its_box_is_greeted(tmp_path: Path) -> None:
    text = GOOD.replace('port = "Box"', 'port = "Box"\nhello = ["F0 47 7F F7", "f0017ff7"]')
    assert read_bank(write(tmp_path, text)).hello == (b"\xf0\x47\x7f\xf7", b"\xf0\x01\x7f\xf7")
    assert read_bank(write(tmp_path, GOOD)).hello == ()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_banks_are_whole_and_bind_the_missions_five(path: Path) -> None:
    bank = read_bank(path)
    assert bank.port
    assert not conflicts(bank.bindings)
    targets = {binding.target for binding in bank.bindings}
    assert {"mapping.norm", "mapping.slope", "smoothing.coarse", "smoothing.middle", "smoothing.fine"} <= targets
    assert {f"preset-{number}" for number in range(1, 8)} | {"next", "previous", "shift"} <= targets
    assert {"tap", "undo", "panic", "blackout", "freeze"} <= targets


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_a_bank_leaves_out_is_left_out(path: Path) -> None:
    """A touch of some other control of the box must not reach the table's own bindings."""
    bank = read_bank(path)
    hands = Hands([bank], default_bindings())
    for number in range(128):
        for channel in range(16):
            control = Control("cc", number, channel)
            ours = [
                binding
                for binding in bank.bindings
                if hands.bound(bank.port, control) == [binding] and binding.target != SHIFT
            ]
            assert bool(hands.follow([(bank.port, Moved(control, 127))], Settings())) == bool(ours)


def test_program_changes_recall_presets_on_a_bank_that_binds_none() -> None:
    third, knob = Moved(Control("program", 2, 0), 127), Moved(Control("cc", 20, 0), 127)
    silent = Bank("box", "box", "", (Binding(Control("cc", 1), "mapping.norm", port="box"),))
    own = Bank("box", "box", "", (Binding(Control("program", 0), "next", "press", port="box"),))
    for bank, commands in ((silent, [RecallNumber(3)]), (own, [])):
        hands = Hands([bank], default_bindings())
        assert hands.follow([("box", third), ("box", knob)], Settings()) == commands


def test_another_model_is_not_meant() -> None:
    bank = read_bank(data_dir("presets") / "banks" / "launchpad-mini.toml")
    pad = Moved(Control("note", 0, 0), 127)
    assert Hands([bank]).follow([("Launchpad Mini MIDI 1", pad)], Settings())
    assert not Hands([bank]).follow([("Launchpad Mini MK3 LPMiniMK3 MIDI", pad)], Settings())


@pytest.mark.parametrize("port", ["x" * 300, "a\nb\x1b[2Jlonger", 'quo"te\\'])
def test_whatever_a_port_is_called_what_is_learnt_can_be_read_and_hears_it(port: str) -> None:
    learn(Binding(Control("cc", 1), "mapping.norm", port=port))
    (binding,) = learnt()
    assert binding.hears(Control("cc", 1, 0), port)


def test_there_are_banks_for_the_controllers_that_vjs_have() -> None:
    assert {path.stem for path in SHIPPED} >= {"apc40-mk2", "launchpad-mini", "midi-fighter-twister", "nanokontrol2"}


def test_a_bank_stands_before_the_tables_own_on_its_port_only(config: Path) -> None:
    write(config / "banks", GOOD)
    banks, troubles = load_banks()
    assert not troubles
    hands = Hands(banks, default_bindings())
    moved = Moved(Control("cc", 20, 0), 127)
    assert hands.follow([("Box 1", moved)], Settings().with_values({"mapping.slope": 0.75})) == [
        SetParam("mapping.slope", BY_NAME["mapping.slope"].value(0.75))
    ]
    assert hands.follow([("another", moved)], Settings()) == [SetParam("mapping.norm", BY_NAME["mapping.norm"].hi)]


def test_a_broken_bank_is_passed_over_and_named(config: Path) -> None:
    write(config / "banks", GOOD.replace("mapping.slope", "mapping.slpoe"))
    banks, troubles = load_banks()
    assert {bank.name for bank in banks} == {read_bank(path).name for path in SHIPPED}
    assert len(troubles) == 1
    assert "box.toml: [[bind]] 1: cc 20: no parameter or action 'mapping.slpoe' (did you mean" in troubles[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schema = 1", "schema = 2", "write `schema = 1`"),
        ("schema = 1", "schema = true", "write `schema = 1`"),
        ('name = "box"', "name = 7", "name must be plain text"),
        ('port = "Box"', 'port = "\\u001b[2J"', "port must be plain text"),
        ('port = "Box"', "colour = 1", "no key 'colour'"),
        ("[[bind]]", "[bind]", "TOML"),
        ('control = "cc 20"', "control = 20", "control must be plain text"),
        ('control = "cc 20"', 'control = "cc 200"', "from 0 to 127"),
        ('control = "cc 20"', "", "control is missing"),
        ('takeover = "pickup"', 'takeover = "grab"', "one of jump, pickup"),
        ("lo = 0.25", "lo = nan", "lo must be a number from 0 to 1"),
        ("lo = 0.25", "lo = true", "lo must be a number from 0 to 1"),
        ("lo = 0.25", "lo = 0.75", "must be different"),
        ('mode = "press"', 'mode = "toggle"', "wants press"),
        ('mode = "press"', 'speed = "press"', "no key 'speed'"),
        ('port = "Box"', "lights = [0, 128]", "lights must be two whole numbers"),
        ('port = "Box"', "lights = 127", "lights must be two whole numbers"),
        ('port = "Box"', 'port = "Box"\nhello = "F0 47 F7"', "hello must be at most 4"),
        ('port = "Box"', 'port = "Box"\nhello = ["90 10 7F"]', "from F0 to F7"),
        ('port = "Box"', 'port = "Box"\nhello = ["F0 47"]', "from F0 to F7"),
        ('port = "Box"', 'port = "Box"\nhello = ["F0 80 F7"]', "all between below 80"),
        ('port = "Box"', 'port = "Box"\nhello = ["F0 F7 90 10 7F F7"]', "all between below 80"),
        ('port = "Box"', 'port = "Box"\nhello = ["F0 G7 F7"]', "in hex"),
        ('port = "Box"', 'port = "Box"\nhello = ["F0 F7"]', "hello must be"),
        ('port = "Box"', 'port = "Box"\nhello = ["F0 ' + 31 * "01 " + 'F7"]', "at most 32 bytes"),
        ('port = "Box"', 'port = "Box"\nhello = [' + 5 * '"F0 01 F7",' + "]", "at most 4"),
        ('port = "Box"', 'hello = ["F0 01 F7"]', "hello needs a port"),
        ("lo = 0.25", "lights = [true, 1]", "lights must be two whole numbers"),
        ("lo = 0.25", "lights = [1]", "lights must be two whole numbers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(MidiError, match=said.replace("[", r"\[")):
        read_bank(write(tmp_path, GOOD.replace(old, new, 1)))


def test_mutants_are_read_or_refused(tmp_path: Path) -> None:
    draw, good = np.random.default_rng(1), GOOD.encode()
    for _ in range(2_000):
        content = bytearray(good)
        for _ in range(draw.integers(1, 6)):
            content[draw.integers(len(content))] = draw.integers(256)
        path = tmp_path / "mutant.toml"
        path.write_bytes(bytes(content[: draw.integers(1, len(content) + 1)]))
        try:
            read_bank(path)
        except MidiError as error:
            assert "\n" not in str(error)


def test_what_is_learnt_is_kept_whole_and_found_first(config: Path) -> None:
    kept = [
        Binding(Control("cc", 7, 2), "mapping.norm", "fine", port='a "quoted" \\ name'),
        Binding(Control("bend", 0, 0), "show.hue", takeover="pickup", lo=1.0, hi=0.0, curve="slow", port="x"),
        Binding(Control("note", 36, 9), "blackout", "press", lights=(12, 60)),
    ]
    for binding in kept:
        assert learn(binding) == []
    assert learnt() == tuple(kept)
    write(config / "banks", GOOD)
    assert bank_files()[0] == learnt_path()


def test_learning_again_takes_the_place_of_what_was() -> None:
    first = Binding(Control("cc", 1), "mapping.norm", port="x")
    learn(first)
    assert learn(Binding(Control("cc", 2), "mapping.norm", port="x")) == [first], "a parameter has one knob"
    assert learn(Binding(Control("cc", 2), "mapping.slope", port="x")) != [], "a knob has one parameter"
    assert learn(Binding(Control("cc", 2), "mapping.norm", port="y")) == [], "another box is another box"
    assert {binding.target for binding in learnt()} == {"mapping.slope", "mapping.norm"}


def test_a_control_learnt_anew_is_as_the_one_before_it_where_nothing_else_is_wished() -> None:
    learn(Binding(Control("cc", 1), "show.hue", port="x"), {"lo": 0.9, "hi": 0.1, "takeover": "jump"})
    learn(Binding(Control("cc", 2), "show.hue", "twos", port="x"), {"curve": "slow"})
    kept = {"lo": 0.9, "hi": 0.1, "takeover": "jump", "curve": "slow"}
    assert learnt() == (Binding(Control("cc", 2), "show.hue", "twos", port="x", **kept),)  # type: ignore[arg-type]
    learn(Binding(Control("note", 2), "show.hue", "toggle", port="x"), {"mode": "momentary", "hi": 0.7})
    assert learnt() == (Binding(Control("note", 2), "show.hue", "momentary", port="x", hi=0.7),), "no knob any more"
    learn(Binding(Control("note", 3), "show.hue", "toggle", port="x"))
    assert learnt() == (Binding(Control("note", 3), "show.hue", "momentary", port="x", hi=0.7),)
    learn(Binding(Control("note", 3), "show.zoom", "toggle", port="x"))
    assert learnt() == (Binding(Control("note", 3), "show.zoom", "toggle", port="x"),), "another target"


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"travel": "0.2"}, "--range is '0.2'.*two numbers from 0 to 1"),
        ({"travel": "0.5:0.5"}, "must be different"),
        ({"travel": "0:nan"}, "from 0 to 1"),
        ({"travel": "0:4"}, "from 0 to 1"),
        ({"curve": "steep"}, "--curve is 'steep'.*even, slow, fast"),
        ({"takeover": "grab"}, "--takeover is 'grab'.*jump, pickup, relative"),
        ({"mode": "press"}, "another mode than press"),
    ],
)
def test_wishes_that_cannot_be_are_refused_before_a_hand_is_asked_for(wishes: dict[str, str], said: str) -> None:
    def say(text: str) -> None:
        raise AssertionError(text)

    with pytest.raises(MidiError, match=said):
        learn_control("show.hue", MidiConfig(), FakeClock(), say, 1.0, wished(**({"travel": None} | wishes)))


def test_unlearning_forgets_one_target() -> None:
    learn(Binding(Control("cc", 1), "mapping.norm"))
    learn(Binding(Control("cc", 2), "mapping.slope"))
    assert [binding.target for binding in unlearn("mapping.norm")] == ["mapping.norm"]
    assert unlearn("mapping.norm") == []
    assert [binding.target for binding in learnt()] == ["mapping.slope"]


# ---- what was learnt, carried by a preset

NORM_20 = Binding(Control("cc", 20, 0), "mapping.norm", port="Box", takeover="pickup", lo=0.25)
BLACK = Binding(Control("note", 36, 9), "blackout", mode="press", port='quo"te', lights=(1, 60))


def test_a_preset_carries_what_was_learnt_and_keeps_what_it_carried_otherwise() -> None:
    path = config_dir() / "presets" / "mine.toml"
    write_kept(path, (
        b"# for Saturday\nschema = 1\n[params]\nmapping.norm = 2.0  # far\n"
        b'[[bind]]\ncontrol = "cc 90"\nto = "show.hue"  # the big one\n'
        b'[[bind]]\ncontrol = "cc 21 ch 1"\nto = "mapping.norm"\nport = "Box"\n'
    ))  # fmt: skip
    for binding in (NORM_20, BLACK):
        learn(binding)
    done = CliRunner().invoke(cli, ["presets", "bind", "mine"])
    assert done.exit_code == 0 and "carries 3 bindings" in done.output
    preset = load_preset("mine")
    assert bindings_of(preset.binds) == (Binding(Control("cc", 90), "show.hue"), NORM_20, BLACK)
    assert preset.changes == {"mapping.norm": 2.0} and path.read_text().startswith("# for Saturday\nschema = 1")
    assert not bind_problems(preset)
    give_learnt("mine")
    assert load_preset("mine").binds == preset.binds, "a second time changes nothing"


def test_a_shipped_preset_is_copied_before_it_carries_anything() -> None:
    learn(NORM_20)
    path, count = give_learnt("calm")
    assert (path, count) == (config_dir() / "presets" / "calm.toml", 1)
    mine, shipped = load_preset("calm"), load_preset(data_dir("presets") / "calm.toml")
    assert replace(mine, binds=()) == shipped and bindings_of(mine.binds) == (NORM_20,)


def test_where_nothing_was_learnt_a_preset_is_left_alone() -> None:
    with pytest.raises(MidiError, match="midi learn"):
        give_learnt("calm")
    assert not (config_dir() / "presets").exists()
