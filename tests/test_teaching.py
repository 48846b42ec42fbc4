"""A parameter is picked on screen and taught to the control that moves next: the whole desk, without a device."""

import threading
from pathlib import Path

import pytest

from livelav.control.banks import Bank, bind_problems, learn, learnt, learnt_path
from livelav.control.bindings import Binding
from livelav.control.commands import NAMED_ACTIONS, Recall, Save, SetChoice, SetParam, Undo
from livelav.control.hands import Hands
from livelav.control.messages import Control
from livelav.core.generations import generation
from livelav.core.params import BY_NAME, EFFECTS, PARAMS
from livelav.core.presets import load_preset
from livelav.core.running import Running, read_running, running_path
from livelav.core.setlists import Song
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs
from livelav.desk.teaching import ROWS
from livelav.flags import first_scene

BOX = "box MIDI 1"
SLOPE = BY_NAME["mapping.slope"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path))
    made = Desk(first_scene(None, None, {}), None, (), Inputs(), 0.0)
    made.take([{"kind": "ports", "names": [BOX], "outputs": {}, "came": [BOX], "went": []}], 0.0)
    return made


def test_the_picked_effect_goes_past_those_that_act_and_says_so(desk: Desk) -> None:
    for name in ("kaleidoscope.amount", "contrast.amount", "grain.amount", "bloom.amount", "displace.amount"):
        desk.apply(SetParam(name, 0.5), 0.0)

    def order() -> str:
        return desk.scenes.scene.choices["chain.order"]

    def acting() -> list[str]:
        found = list(dict.fromkeys([*order().split(), *(effect.name for effect in EFFECTS)]))
        return [name for name in found if name in ("kaleidoscope", "contrast", "grain", "bloom", "displace")]

    pick(desk, "contrast.amount")
    desk.press(["CTRL+SHIFT+LEFT"], 1.0)
    assert acting() == ["bloom", "displace", "contrast", "kaleidoscope", "grain"]
    assert desk.news() == ["effects act in this order: bloom, displace, contrast, kaleidoscope, grain"]
    desk.press(["CTRL+SHIFT+LEFT"], 1.1)
    assert acting()[2] == "contrast", "bloom and displacement work on the image, which comes first"
    desk.press(["CTRL+SHIFT+RIGHT"] * 3, 1.2)
    assert acting() == ["bloom", "displace", "kaleidoscope", "grain", "contrast"]
    pick(desk, "bloom.amount")
    desk.press(["CTRL+SHIFT+RIGHT"], 1.3)
    assert acting()[:2] == ["displace", "bloom"]
    table = [effect.name for effect in EFFECTS]
    assert len(order().split()) == len(set(order().split())) < len(table), (
        "what follows in the table's order is not said"
    )
    desk.apply(SetChoice("chain.order", ""), 1.3)
    desk.press(["CTRL+SHIFT+LEFT"], 1.3)
    assert acting()[0] == "bloom" and order() == ""
    pick(desk, "mapping.norm")
    desk.news()
    desk.press(["CTRL+SHIFT+RIGHT"], 1.4)
    assert "belongs to no effect" in desk.news()[0]


def turns(number: int, *values: int, port: str = BOX) -> list[dict[str, object]]:
    return [{"kind": "midi", "messages": [(port, bytes((0xB0, number, value))) for value in values]}]


def pick(desk: Desk, name: str) -> None:
    desk.press(["H"] if not desk.state.hud else [], 0.0)
    desk.press(["DOWN"] * ((ROWS.index(name) - ROWS.index(desk.teaching.picked)) % len(ROWS)), 0.0)
    assert desk.teaching.picked == name


def teach(desk: Desk, number: int, now_s: float) -> list[str]:
    """Moves a knob after L, waits until it is clear which; returns what the operator is told."""
    desk.press(["L"], now_s)
    assert desk.teaching.waits
    for step in range(8):
        desk.take(turns(number, 40 + step), now_s + 0.02 * step)
    desk.take([], now_s + 1.0)
    assert not desk.teaching.waits
    return desk.news()


def close(desk: Desk) -> None:
    """All that waits goes to disk."""
    desk.keeper.close()
    desk.keeper.run()


def test_a_key_arrows_and_encoders_step_through_what_recalls_wait_for(desk: Desk) -> None:
    def now() -> float:
        return desk.settings["preset.cue"]

    seen = []
    for _ in range(6):
        desk.press(["C"], 0.0)
        seen.append(now())
    assert seen == [1.0, 4.0, 8.0, 16.0, 0.0, 1.0]
    pick(desk, "preset.cue")
    desk.press(["RIGHT", "RIGHT"], 0.0)
    assert now() == 8.0
    desk.press(["LEFT"] * 9, 0.0)
    assert now() == 0.0
    encoder = Bank("box", "box", "", (Binding(Control("cc", 70), "preset.cue", "twos"),))
    desk.inputs.hands = Hands([encoder], ())
    seen = []
    for value in (1, 1, 127, 1, 1, 1, 1):
        desk.take(turns(70, value), 1.0)
        seen.append(now())
    assert seen == [1.0, 4.0, 1.0, 4.0, 8.0, 16.0, 16.0]


def test_arrows_reach_every_parameter_and_action_and_come_round(desk: Desk) -> None:
    desk.press(["H"], 0.0)
    seen = []
    for _ in ROWS:
        seen.append(desk.teaching.picked)
        desk.press(["DOWN"], 0.0)
    assert sorted(seen) == sorted([*(p.name for p in PARAMS), *NAMED_ACTIONS])
    assert desk.teaching.picked == seen[0]
    desk.press(["UP"], 0.0)
    assert desk.teaching.picked == seen[-1]


def test_arrows_turn_the_picked_knob_and_stop_at_its_ends(desk: Desk) -> None:
    pick(desk, SLOPE.name)
    before = SLOPE.knob(desk.settings[SLOPE.name])
    desk.press(["RIGHT"], 0.0)
    assert 0.0 < SLOPE.knob(desk.settings[SLOPE.name]) - before < 0.05
    desk.press(["LEFT"] * 200, 0.0)
    assert desk.settings[SLOPE.name] == SLOPE.lo
    pick(desk, "freeze")
    desk.press(["RIGHT"], 0.0)
    assert desk.state.freeze


def test_without_a_hud_arrows_do_nothing_and_l_shows_it(desk: Desk) -> None:
    before, picked = desk.settings, desk.teaching.picked
    desk.press(["DOWN", "RIGHT", "DELETE"], 0.0)
    assert (desk.settings, desk.teaching.picked, desk.state.hud) == (before, picked, False)
    desk.press(["L"], 0.0)
    assert desk.state.hud and desk.teaching.waits


def test_the_control_moved_next_moves_what_is_picked_at_once_and_in_the_next_show(desk: Desk) -> None:
    pick(desk, SLOPE.name)
    told = teach(desk, 77, 1.0)
    assert any("cc 77" in line and SLOPE.name in line for line in told)
    desk.take(turns(77, 127), 3.0)
    assert desk.settings[SLOPE.name] == SLOPE.hi
    close(desk)
    assert learnt() == (Binding(Control("cc", 77, 0), SLOPE.name, port=BOX),)


def test_a_row_taught_anew_keeps_its_range(desk: Desk) -> None:
    learn(Binding(Control("cc", 5, 0), SLOPE.name, port=BOX), {"lo": 0.5, "takeover": "jump"})
    pick(desk, SLOPE.name)
    teach(desk, 77, 1.0)
    desk.take(turns(77, 0), 3.0)
    assert desk.settings[SLOPE.name] == SLOPE.value(0.5)


def test_while_it_waits_controls_move_nothing_else(desk: Desk) -> None:
    pick(desk, "show.hue")
    before = desk.settings
    told = teach(desk, 20, 1.0)  # which moves mapping.norm by default
    assert desk.settings == before
    assert any("no longer mapping.norm" in line for line in told)
    desk.take(turns(20, 127), 3.0)
    assert desk.settings["show.hue"] == 180.0 and desk.settings["mapping.norm"] == before["mapping.norm"]


def test_of_what_is_taught_every_message_counts(desk: Desk) -> None:
    """A knob's values would be thinned out: here they tell an encoder from it, all in one turn."""
    pick(desk, "mapping.slope")
    desk.press(["L"], 0.0)
    desk.take(turns(30, 1, 1, 2, 1, 127, 127, 126, 1), 0.1)
    desk.take([], 1.0)
    (binding,) = [one for _, one in desk.inputs.hands.movers("mapping.slope", [BOX]) if one.control.number == 30]
    assert binding.mode == "twos"


def test_a_second_l_or_another_row_ends_the_wait(desk: Desk) -> None:
    for key in ("L", "DOWN"):
        desk.press(["L"], 1.0)
        desk.press([key], 1.5)
        assert not desk.teaching.waits
        desk.take(turns(77, 1, 2, 3), 2.0)
        desk.take([], 4.0)
        assert not any("cc 77" in line for line in desk.news())


def test_nobody_there_is_said_and_learnt_is_nothing(desk: Desk) -> None:
    desk.press(["L"], 1.0)
    desk.take([], 20.0)
    assert desk.teaching.waits
    desk.take([], 32.0)
    assert not desk.teaching.waits and any("learnt nothing" in line for line in desk.news())


def test_two_taught_one_after_the_other_are_both_kept_and_one_can_be_forgotten(desk: Desk) -> None:
    pick(desk, "show.hue")
    teach(desk, 77, 1.0)
    pick(desk, SLOPE.name)
    teach(desk, 78, 5.0)
    pick(desk, "show.hue")
    desk.press(["DELETE"], 9.0)
    before = desk.settings
    desk.take(turns(77, 3), 10.0)
    assert desk.settings == before
    desk.take(turns(78, 127), 11.0)
    assert desk.settings[SLOPE.name] == SLOPE.hi
    close(desk)
    assert [one.target for one in learnt()] == [SLOPE.name]


def test_what_a_terminal_learnt_meanwhile_is_kept_and_heard(desk: Desk) -> None:
    keeping = threading.Thread(target=desk.keeper.run)
    keeping.start()
    try:
        pick(desk, "show.hue")
        teach(desk, 77, 1.0)
        while desk.keeper.is_behind(learnt_path()):
            pass
        learn(Binding(Control("cc", 5, 0), "show.zoom", port=BOX))
        pick(desk, SLOPE.name)
        teach(desk, 78, 5.0)
    finally:
        desk.keeper.close()
        keeping.join()
    assert {one.target for one in learnt()} == {"show.hue", "show.zoom", SLOPE.name}
    desk.take(turns(5, 127), 9.0)
    assert desk.settings["show.zoom"] == 2.0


def test_what_could_not_be_written_is_not_forgotten_with_the_next(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "banks").write_text("a file where the folder should be")
    pick(desk, "show.hue")
    teach(desk, 77, 1.0)
    close(desk)
    assert any("NOT SAVED" in line for line in desk.news())
    pick(desk, SLOPE.name)
    teach(desk, 78, 5.0)
    desk.take(turns(77, 127), 9.0)
    assert desk.settings["show.hue"] == 180.0


def test_delete_takes_a_row_from_what_the_table_binds_and_says_so(desk: Desk) -> None:
    pick(desk, "mapping.norm")
    desk.press(["DELETE"], 1.0)
    assert any("cc 20" in line and "moves nothing now" in line for line in desk.news())
    before = desk.settings
    desk.take(turns(20, 127), 2.0)
    assert desk.settings == before
    pick(desk, SLOPE.name)
    desk.press(["DELETE"], 3.0)
    desk.take([*turns(20, 0), *turns(21, 127)], 3.0)
    assert desk.settings == before, "the first one still moves nothing"
    desk.news()
    desk.press(["DELETE"], 3.0)
    assert any("no control that is here moves it" in line for line in desk.news())
    told = teach(desk, 21, 4.0)
    assert not any("none" in line for line in told)
    desk.take(turns(21, 127), 6.0)
    assert desk.settings[SLOPE.name] == SLOPE.hi


def test_a_broken_file_of_what_was_learnt_is_left_alone(desk: Desk) -> None:
    learnt_path().parent.mkdir(parents=True)
    learnt_path().write_text("schema = 99")
    told = teach(desk, 77, 1.0)
    assert any("nothing was learnt" in line for line in told)
    close(desk)
    assert learnt_path().read_text() == "schema = 99"


# ---- bindings that a preset carries


BOUND = 'schema = 1\n[[bind]]\ncontrol = "cc 20"\nto = "show.hue"\ntakeover = "pickup"  # by hand\n'


def presets_of(folder: Path, **texts: str) -> tuple[Song, ...]:
    (folder / "presets").mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / "presets" / f"{name}.toml").write_text(text)
    return tuple(Song(name) for name in texts)


def playing(folder: Path, *names: str, **texts: str) -> Desk:
    desk = Desk(first_scene(None, None, {}), None, presets_of(folder, **texts), Inputs(), 0.0)
    desk.take([{"kind": "ports", "names": [BOX], "outputs": {}, "came": [BOX], "went": []}], 0.0)
    desk.apply(SetParam("preset.morph", 0.0), 0.0)
    for name in names:
        desk.apply(Recall(name), 0.0)
        desk.take([], 0.0)
    return desk


def test_a_presets_bindings_hold_while_it_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path))
    desk = playing(tmp_path, "bound", bound=BOUND.replace("pickup", "jump"), plain="schema = 1\n")
    desk.take(turns(20, 127), 1.0)
    assert desk.settings["show.hue"] == 180.0 and desk.settings["mapping.norm"] != 4.0
    desk.apply(Recall("plain"), 2.0)
    desk.take([], 2.0)
    desk.take(turns(20, 127), 3.0)
    assert desk.settings["mapping.norm"] == 4.0
    desk.apply(Undo(), 4.0)
    desk.take([], 4.0)
    desk.take(turns(20, 0), 5.0)
    assert desk.settings["show.hue"] == -180.0


def test_a_save_keeps_what_a_preset_binds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path))
    desk = playing(tmp_path, "bound", bound=BOUND)
    desk.apply(Save(), 1.0)
    desk.apply(Save(new=True), 1.0)
    close(desk)
    own = (tmp_path / "presets" / "bound.toml").read_text()
    assert "# by hand" in own and "[params" in own
    assert load_preset("bound-1").binds == load_preset("bound").binds == desk.scenes.scene.binds != ()


def test_a_wrong_binding_is_told_and_the_preset_played_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path))
    desk = playing(tmp_path, "bad", bad=BOUND.replace("show.hue", "show.huee"))
    assert desk.scenes.preset == "bad"
    assert any("show.huee" in line for line in desk.news())
    desk.take(turns(20, 127), 1.0)
    assert desk.settings["mapping.norm"] == 4.0, "the table's own binding"
    assert bind_problems(load_preset("bad"))


def test_where_the_show_stands_has_its_bindings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path))
    scene = playing(tmp_path, "bound", bound=BOUND).scenes.scene
    running_path().write_bytes(Running(scene, "bound").as_json())
    assert read_running(running_path()).scene == scene


def test_where_an_older_file_of_it_can_be_read_learning_goes_on_from_that(desk: Desk) -> None:
    kept = [
        Binding(Control("cc", number, 0), target, port=BOX) for number, target in ((5, "show.hue"), (6, "show.zoom"))
    ]
    for binding in kept:
        learn(binding)
    learnt_path().write_text("schema = 99")
    pick(desk, SLOPE.name)
    told = teach(desk, 77, 1.0)
    assert any("going on with learnt.toml.1" in line for line in told)
    close(desk)
    assert [one.target for one in learnt()] == ["show.hue", SLOPE.name]
    assert generation(learnt_path(), 1).read_text() == "schema = 99", "what could not be read lies beside"
