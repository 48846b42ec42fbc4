"""All hands together: what a turn's worth of them comes to."""

import contextlib
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livelav.control.banks import Bank
from livelav.control.bindings import Binding
from livelav.control.commands import (
    Command,
    Nudge,
    Panic,
    Put,
    RecallNumber,
    Save,
    ScaleTempo,
    SetParam,
    StepPreset,
    Tap,
    Toggle,
    Undo,
    VaryTo,
)
from livelav.control.messages import Control
from livelav.control.osc import LARGEST, LOOPBACK, MOST, SHOWS, Message, OscIn, pack, parse
from livelav.core.params import BY_NAME, CHOICES, PARAMS, Settings
from livelav.core.presets import load_preset
from livelav.core.scene import Scene
from livelav.core.setlists import Song
from livelav.core.tempo import Tempo
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs, _condensed
from livelav.takes.format import line
from livelav.takes.tape import Tape

NORM = BY_NAME["mapping.norm"]
DARKENING = [one for name in ("blackout", "fade") for one in (Toggle(name), Put(name, True), Put(name, False))]  # type: ignore[arg-type]
HELD = (
    ("shift", "press"),
    ("freeze", "momentary"),
    ("show.brightness", "momentary"),
    ("panic", "press"),
    ("preset-1", "press"),
)


def new_desk(inputs: Inputs | None = None) -> Desk:
    scene = Scene(Settings().with_values({"show.brightness": 0.9}), {c.name: c.default for c in CHOICES}, 0)
    return Desk(scene, None, [Song("storm")], inputs or Inputs(), 0.0)


def holding_desk() -> Desk:
    """A box with a pad for each of HELD, of which the first three are held."""
    bindings = [Binding(Control("note", i, 0), pad, mode, port="box", hi=0.25) for i, (pad, mode) in enumerate(HELD)]  # type: ignore[arg-type]
    desk = new_desk(Inputs([Bank("box", "box", "", tuple(bindings))]))
    desk.take([ports("box", came=("box",)), pads((0, 100), (1, 100), (2, 100))], 0.0)
    assert desk.state.freeze and desk.settings["show.brightness"] == 0.25
    return desk


def pads(*notes: tuple[int, int]) -> dict[str, object]:
    return {"kind": "midi", "messages": [("box", bytes((0x90, *note))) for note in notes]}


def ports(*names: str, came: tuple[str, ...] = (), went: tuple[str, ...] = ()) -> dict[str, object]:
    return {"kind": "ports", "names": list(names), "outputs": {}, "came": list(came), "went": list(went)}


def turned(value: int, port: str = "box") -> dict[str, object]:
    return {"kind": "midi", "messages": [(port, bytes((0xB0, 20, value)))]}


def test_a_turn_sets_each_parameter_once() -> None:
    inputs = Inputs()
    events = [turned(1), turned(2), turned(3)]
    assert inputs.take(events, Settings(), 5.0) == [SetParam("mapping.norm", NORM.value(3 / 127))]
    assert inputs.touched == (5.0, "mapping.norm")


def test_an_encoders_steps_of_one_turn_add_up_however_they_are_packed() -> None:
    encoder = Bank("box", "box", "", (Binding(Control("cc", 20), "mapping.norm", "twos"),))
    start = Settings().with_values({"mapping.norm": 0.0})
    together = {"kind": "midi", "messages": [message for one in [turned(1)] * 40 for message in one["messages"]]}
    for packed in ([turned(1)] * 40, [together]):
        (command,) = Inputs([encoder]).take(packed, start, 0.0)
        assert command == SetParam("mapping.norm", pytest.approx(NORM.value(40 / 127)))


def test_a_knob_that_waits_sees_that_it_was_passed_within_one_turn() -> None:
    knob = Bank("box", "box", "", (Binding(Control("cc", 20), "mapping.norm", takeover="pickup"),))
    inputs, stands = Inputs([knob]), Settings().with_values({"mapping.norm": NORM.value(0.5)})
    assert inputs.take([turned(10), turned(20)], stands, 1.0) == []
    assert inputs.take([turned(30), turned(90), turned(31)], stands, 2.0) == [
        SetParam("mapping.norm", NORM.value(31 / 127))
    ]


def test_all_that_a_turn_sets_is_set_and_is_on_the_tape() -> None:
    scene = Scene(Settings(), {c.name: c.default for c in CHOICES}, 0)
    desk = Desk(scene, None, (), Inputs(), 0.0)
    desk.tape = Tape(scene)
    desk.tape.begin({"model": "default", "sha256": "", "encoder": "embedded"}, 0.0)
    storm = [("box", bytes((0xB0, 20 + n % 5, n * 7 % 128))) for n in range(160)]
    desk.take([{"kind": "midi", "messages": storm}], 1.0)
    last = {message[1]: message[2] for _, message in storm}
    wanted = {p.name: p.value(last[p.cc] / 127) for p in PARAMS if p.cc in range(20, 25)}
    assert wanted.items() <= desk.settings.as_dict().items()
    lines = [text for _, text in desk.tape.next()]
    assert all(sum(f'"{name}"' in line for line in lines[1:]) == 1 for name in wanted)


def test_what_is_held_on_stays_on_where_it_was_on_and_the_tape_has_what_was_seen() -> None:
    held = Bank("box", "box", "", (Binding(Control("cc", 20), "blackout", "momentary"),))
    scene = Scene(Settings(), {c.name: c.default for c in CHOICES}, 0)
    desk = Desk(scene, None, (), Inputs([held]), 0.0)
    desk.tape = Tape(scene)
    desk.tape.begin({"model": "default", "sha256": "", "encoder": "embedded"}, 0.0)
    desk.take([turned(127)], 1.0)
    assert desk.state.blackout
    desk.take([turned(0)], 2.0)
    assert not desk.state.blackout
    desk.apply(Toggle("blackout"), 3.0)
    desk.take([turned(127)], 4.0)
    assert desk.state.blackout
    lines = [text for _, text in desk.tape.next()]
    assert sum('"blackout"' in line for line in lines) == 3


def test_a_switch_pressed_again_and_again_in_one_turn_is_switched_once_at_most() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((LOOPBACK, 0))
        inputs = Inputs(osc=(LOOPBACK, sender.getsockname()[1] - 1))
        assert inputs.osc is not None
        for count, commands in ((MOST - 1, [Toggle("fullscreen")]), (MOST - 2, [])):
            sender.sendto(pack([Message("/fullscreen")] * count), (LOOPBACK, inputs.osc.port))
            before, taken = inputs.osc.messages, []
            while inputs.osc.messages == before:
                taken += inputs.take([], Settings(), 0.0)
            assert taken == commands
    inputs.close()


def test_of_many_recalls_in_one_turn_the_last_counts() -> None:
    for numbers in ((4, 0, 7), (7, 0, 7)):
        programs = {"kind": "midi", "messages": [("box", bytes((0xC0, n))) for n in numbers]}
        assert Inputs().take([programs], Settings(), 0.0) == [RecallNumber(8)]


def test_what_is_turned_after_a_recall_comes_after_it() -> None:
    program = {"kind": "midi", "messages": [("box", bytes((0xC0, 2)))]}
    before, after = (SetParam("mapping.norm", NORM.value(value / 127)) for value in (1, 127))
    assert Inputs().take([turned(1), program, turned(127)], Settings(), 0.0) == [before, RecallNumber(3), after]
    together = {"kind": "midi", "messages": [*program["messages"], *turned(127)["messages"]]}  # type: ignore[misc]
    assert Inputs().take([together], Settings(), 0.0) == [RecallNumber(3), after]


@pytest.mark.parametrize(
    ("pressed", "comes_to"),
    [
        ("nudge-later nudge-later", [Nudge(0.01)] * 2),
        ("tempo-double tempo-double tempo-half", [ScaleTempo(2.0)] * 2 + [ScaleTempo(0.5)]),
        ("next next", [StepPreset(2)]),
        ("next tap next", [Tap(), StepPreset(2)]),
        ("next previous", []),
        ("preset-3 next", [RecallNumber(3), StepPreset(1)]),
        ("preset-3 next preset-5", [RecallNumber(5)]),
        ("preset-3 save preset-5", [RecallNumber(3), Save(), RecallNumber(5)]),
        ("undo undo", [Undo()] * 2),
        ("tap tap", [Tap()]),
        ("save save-new", [Save(), Save(new=True)]),
        ("pattern freeze pattern", [Toggle("freeze")]),
        ("blackout freeze blackout", [Toggle("blackout"), Toggle("freeze"), Toggle("blackout")]),
        (" ".join(["nudge-later"] * 500), [Nudge(0.01)] * 32),
        (" ".join(["preset-3", "next"] * 250), [RecallNumber(3), StepPreset(1)]),
    ],
)
def test_every_press_of_a_turn_counts(pressed: str, comes_to: list[Command]) -> None:
    names = pressed.split()
    pads = {name: Control("note", i) for i, name in enumerate(dict.fromkeys(names))}
    bank = Bank("box", "box", "", tuple(Binding(control, name, "press") for name, control in pads.items()))
    notes = [("box", bytes((0x90, pads[name].number, 100))) for name in names]
    assert Inputs([bank]).take([{"kind": "midi", "messages": notes}], Settings(), 0.0) == comes_to


@given(st.lists(st.sampled_from(DARKENING), max_size=9))
@example([Toggle("fade"), Toggle("blackout"), Toggle("fade")])
@example([Toggle("blackout"), Toggle("fade"), Toggle("blackout")])
def test_switches_come_to_the_same_side(presses: list[Toggle | Put]) -> None:
    def side(commands: Iterable[Command]) -> str:
        desk = new_desk()
        for one in commands:
            desk.apply(one, 0.0)
        return desk.state.dark

    condensed = _condensed(presses)
    assert side(condensed) == side(presses)


def test_a_storm_of_switches_costs_a_few() -> None:
    for name in ("blackout", "fade", "freeze"):
        for count in (499, 500):
            storm = [Toggle(name)] * count  # type: ignore[arg-type]
            assert len(_condensed(storm)) <= 2 and len(_condensed(storm)) % 2 == count % 2


@pytest.mark.parametrize("dark", ["blackout", "fade"])
@pytest.mark.parametrize("held", ["blackout", "fade"])
def test_a_hand_that_holds_the_dark_and_leaves_lets_no_light_into_a_dark_show(dark: Any, held: Any) -> None:
    desk = new_desk()
    desk.apply(Toggle(dark), 0.0)
    for at_s, on in ((60.0, True), (70.0, False)):
        desk.apply(Put(held, on), at_s)
        assert desk.state.light(at_s + 60.0) == 0.0
    assert desk.state.dark == dark, "its own key makes it light"
    desk = new_desk()
    desk.apply(Put(held, True), 0.0)
    assert desk.state.light(60.0) == 0.0
    desk.apply(Put(held, False), 60.0)
    assert desk.state.light(120.0) == 1.0


@given(st.lists(st.sampled_from(DARKENING), max_size=12))
@example([Put("fade", True), Put("blackout", True), Put("fade", False), Put("blackout", False)])
@example([Put("blackout", True), Toggle("blackout"), Toggle("blackout"), Put("blackout", False)])
@example([Put("fade", True), Toggle("blackout"), Put("fade", False)])
def test_hands_that_leave_bring_light_where_hands_alone_made_it_dark(presses: list[Toggle | Put]) -> None:
    desk, hands_alone = new_desk(), True
    desk.tape = Tape(desk.scenes.scene)
    desk.tape.begin({"model": "default", "sha256": "", "encoder": "embedded"}, 0.0)
    left: list[Toggle | Put] = [Put("fade", False), Put("blackout", False)]
    for one in [*presses, *left]:
        before = desk.state.dark
        desk.apply(one, 0.0)
        hands_alone = (hands_alone or not before) and isinstance(one, Put)
        if isinstance(one, Put) and not one.on:
            assert desk.state.dark or not before or hands_alone
    assert not desk.state.dark or not hands_alone, "nobody holds it dark any more"
    switches = {line(one): one for one in (Toggle("blackout"), Toggle("fade"))}
    taken = new_desk()
    for _, text in desk.tape.next():
        if text in switches:
            taken.apply(switches[text], 0.0)
    assert taken.state.dark == desk.state.dark, "a take has the same light"


@pytest.mark.parametrize("dark", ["blackout", "fade"])
@pytest.mark.parametrize("what", ["pulled out", "panic"])
def test_a_dark_show_stays_dark_where_a_hand_can_hold_it_no_more(dark: str, what: str) -> None:
    pad = Binding(Control("note", 0, 0), dark, "momentary", port="box")
    desk = new_desk(Inputs([Bank("box", "box", "", (pad,))]))
    desk.apply(Toggle(dark), 0.0)  # type: ignore[arg-type]
    desk.take([ports("box", came=("box",)), pads((0, 100))], 1.0)
    if what == "panic":
        desk.ask(Panic(), 2.0)
    else:
        desk.take([ports(went=("box",))], 2.0)
    assert desk.state.dark == dark


def test_a_tap_and_a_recall_in_one_turn_are_both_done() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        inputs = Inputs(osc=(LOOPBACK, 0))
        assert inputs.osc is not None
        sender.sendto(pack([Message("/tap"), Message("/tap"), Message("/next")]), (LOOPBACK, inputs.osc.port))
        taken = []
        while not taken:
            taken = inputs.take([], Settings(), 0.0)
        assert taken == [Tap(), StepPreset(1)]
    inputs.close()


def test_after_the_midi_process_died_every_knob_picks_up() -> None:
    inputs = Inputs()
    settings = Settings()
    inputs.take([ports("box", came=("box",)), turned(64)], settings, 0.0)
    settings = settings.with_values({"mapping.norm": NORM.value(64 / 127)})
    inputs.lost_all()
    assert inputs.ports == ()
    assert inputs.take([ports("box", came=("box",)), turned(10)], settings, 1.0) == []
    assert inputs.take([turned(90)], settings, 2.0) == [SetParam("mapping.norm", NORM.value(90 / 127))]


def test_a_box_is_told_what_the_desk_makes_of_every_hand() -> None:
    """Presets by number, the beat's flash, and all of it anew after the MIDI process died."""
    pads = ("preset-1", "preset-2", "tap", "blackout")
    bindings = [Binding(Control("note", i, 0), pad, "press", port="box") for i, pad in enumerate(pads)]
    inputs = Inputs([Bank("box", "box", "", tuple(bindings))])
    scene = Scene(Settings(), {c.name: c.default for c in CHOICES}, 0)
    desk = Desk(scene, None, [Song("storm"), Song("calm")], inputs, 0.0)
    here = ports("box", came=("box",)) | {"outputs": {"box": 1}}
    desk.take([here], 0.0)
    notes = [bytes((0x90, i, 0)) for i in range(4)]
    assert desk.told(0.3) == [("box", notes)]
    desk.apply(RecallNumber(2), 0.4)
    desk.apply(Toggle("blackout"), 0.4)
    assert desk.told(0.4) == [("box", [bytes((0x90, 1, 127)), bytes((0x90, 3, 127))])]
    assert desk.told(0.5) == [("box", [bytes((0x90, 2, 127))])], "at 120 a minute a beat is here"
    inputs.lost_all()
    assert desk.told(0.7) == []
    desk.take([here], 0.8)
    ((_, anew),) = desk.told(0.9)
    assert sorted(message[2] for message in anew) == [0, 0, 127, 127]


def test_panic_lets_go_of_all_that_is_held_and_tells_lights_anew() -> None:
    pads = (("blackout", "momentary"), ("show.brightness", "momentary"), ("freeze", "press"))
    bindings = [Binding(Control("note", i, 0), pad, mode, port="box", hi=0.25) for i, (pad, mode) in enumerate(pads)]  # type: ignore[arg-type]
    scene = Scene(Settings().with_values({"show.brightness": 0.9}), {c.name: c.default for c in CHOICES}, 0)
    desk = Desk(scene, None, (), Inputs([Bank("box", "box", "", tuple(bindings))]), 0.0)
    desk.take([ports("box", came=("box",)) | {"outputs": {"box": 1}}], 0.0)
    desk.take([{"kind": "midi", "messages": [("box", bytes((0x90, i, 100))) for i in range(3)]}], 0.1)
    assert desk.state.blackout and desk.state.freeze and desk.settings["show.brightness"] == 0.25
    desk.told(0.2)
    desk.told(2.0)
    assert desk.told(4.0) == [], "all was told, and once more"
    desk.press(["L"], 4.0)
    assert desk.teaching.waits
    desk.ask(Panic(), 4.0)
    assert not desk.teaching.waits
    assert not desk.state.blackout and desk.settings["show.brightness"] == 0.9
    ((_, anew),) = desk.told(4.1)
    assert sorted(anew) == [bytes((0x90, 0, 0)), bytes((0x90, 1, 127)), bytes((0x90, 2, 127))]
    desk.take([{"kind": "midi", "messages": [("box", bytes((0x80, i, 0))) for i in range(3)]}], 5.0)
    assert not desk.state.blackout and desk.settings["show.brightness"] == 0.9, "hands may leave now, or press again"
    desk.take([{"kind": "midi", "messages": [("box", bytes((0x90, 0, 100)))]}], 6.0)
    assert desk.state.blackout


def test_what_is_held_while_a_preset_fades_in_goes_back_to_what_that_preset_wants() -> None:
    pad = Binding(Control("note", 0, 0), "show.zoom", "momentary", port="box", lo=0.0, hi=1.0)
    desk = new_desk(Inputs([Bank("box", "box", "", (pad,))]))
    desk.apply(VaryTo({"show.zoom": 1.5}), 1.0)
    for at_s in (1.0, 2.0):  # half of the default morph
        desk.take([], at_s)
    assert 1.1 < desk.settings["show.zoom"] < 1.4
    desk.take([pads((0, 100))], 2.0)
    assert desk.settings["show.zoom"] == 2.0
    desk.take([pads((0, 0))], 9.0)
    assert desk.settings["show.zoom"] == 1.5


def test_what_is_let_go_with_a_recall_takes_nothing_from_the_preset() -> None:
    pad = Binding(Control("note", 0, 0), "show.zoom", "momentary", port="box", lo=0.0, hi=1.0)
    recall = Binding(Control("note", 1, 0), "preset-1", "press", port="box")
    desk = new_desk(Inputs([Bank("box", "box", "", (pad, recall))]))
    zoom = load_preset("storm").settings["show.zoom"]
    desk.apply(SetParam("show.zoom", 1.3), 0.5)
    desk.take([pads((0, 100))], 1.0)
    desk.take([pads((1, 100), (0, 0))], 2.0)
    desk.take([], 20.0)
    assert desk.settings["show.zoom"] == zoom
    desk.apply(Undo(), 21.0)
    desk.take([], 40.0)
    desk.apply(SetParam("preset.cue", 4.0), 41.0)
    desk.take([pads((0, 100))], 42.2)
    assert desk.settings["show.zoom"] == 2.0
    desk.take([pads((1, 0), (1, 100))], 42.2)
    desk.take([], 43.99, ahead_s=0.02)  # the fade begins on the next picture's beat, and has not moved anything so far
    desk.take([pads((0, 0))], 43.995)
    desk.take([], 60.0)
    assert desk.settings["show.zoom"] == zoom


def test_who_sends_back_all_that_is_told_is_no_hand() -> None:
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind((LOOPBACK, 0))
    echo.setblocking(False)
    inputs = Inputs((), (LOOPBACK, 0), echo.getsockname())
    assert inputs.osc
    desk = new_desk(inputs)
    desk.hear(Tempo(125.3, 0.0), 0.9, 0.0)
    desk.apply(RecallNumber(1), 0.1)
    sent_back, turn = 0, 0
    deadline_s = time.monotonic() + 20.0
    while turn < 200 or (sent_back < 200 and time.monotonic() < deadline_s):
        turn += 1
        desk.take([], 0.1 + turn / 60)
        with contextlib.suppress(BlockingIOError):
            while packet := echo.recv(LARGEST):
                echo.sendto(packet, (LOOPBACK, inputs.osc.port))
                sent_back += 1
    assert sent_back >= 200, "or this shows nothing"
    expected = load_preset("storm").settings
    for p in PARAMS:
        if p.scope == "song":
            assert desk.settings[p.name] == expected[p.name], p.name
    assert desk.beat.source == "heard" and desk.beat.hears
    inputs.close()
    echo.close()


def test_a_fader_that_comes_back_to_where_it_was_told_of_is_a_hand() -> None:
    surface = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    surface.bind((LOOPBACK, 0))
    inputs = Inputs((), (LOOPBACK, 0), surface.getsockname())
    assert inputs.osc
    desk = new_desk(inputs)
    desk.take([], 0.0)  # tells everything
    start = desk.settings["show.brightness"]
    for n, value in enumerate((0.5, start), 1):
        surface.sendto(pack([Message("/show/brightness", (value,))]), (LOOPBACK, inputs.osc.port))
        deadline_s = time.monotonic() + 20.0
        while desk.settings["show.brightness"] != pytest.approx(value) and time.monotonic() < deadline_s:
            desk.take([], 0.1 * n)
        assert desk.settings["show.brightness"] == pytest.approx(value)
    inputs.close()
    surface.close()


def test_with_shift_held_a_presets_pad_saves_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path))
    pads = ("shift", "preset-1", "preset-2", "preset-3")
    bindings = [Binding(Control("note", i, 0), pad, "press", port="box") for i, pad in enumerate(pads)]
    scene = Scene(Settings().with_values({"mapping.norm": 3.5}), {c.name: c.default for c in CHOICES}, 0)
    desk = Desk(scene, None, [Song("storm"), Song("calm")], Inputs([Bank("box", "box", "", tuple(bindings))]), 0.0)

    def play(*notes: tuple[int, int]) -> None:
        desk.take([{"kind": "midi", "messages": [("box", bytes((0x90, *note))) for note in notes]}], 0.1)

    play((0, 100), (2, 100), (2, 0))
    assert desk.settings["mapping.norm"] == 3.5, "it was not recalled"
    assert (desk.scenes.preset, desk.scenes.number) == ("calm", 2)
    play((3, 100), (3, 0))
    new = desk.scenes.preset
    assert new not in ("storm", "calm") and [song.preset for song in desk.scenes.songs] == ["storm", "calm", new]
    desk.take([{"kind": "midi", "messages": [("box", bytes((0xC0, 0)))]}], 0.1)
    assert desk.scenes.preset == "storm", "a program change is no pad, and recalls"
    play((0, 0), (2, 100), (2, 0))
    assert desk.scenes.preset == "calm", "without shift a pad recalls"
    desk.keeper.close()
    desk.keeper.run()
    for name in ("calm", str(new)):
        assert load_preset(name).settings["mapping.norm"] == 3.5
    play((0, 100))
    desk.ask(Panic(), 0.2)
    play((1, 100))
    assert desk.scenes.preset == "storm", "panic let go of shift"


def test_a_box_that_goes_is_told_of() -> None:
    inputs = Inputs()
    inputs.take([ports("box", came=("box",)), ports(went=("box",))], Settings(), 0.0)
    assert inputs.troubles == ["MIDI: box is gone; waiting for it"]


def test_a_box_put_back_before_anybody_looked_picks_up_and_nobody_is_told_that_it_is_gone() -> None:
    inputs, settings = Inputs(), Settings()
    inputs.take([ports("box", "other", came=("box", "other")), turned(64), turned(64, "other")], settings, 0.0)
    settings = settings.with_values({"mapping.norm": NORM.value(64 / 127)})
    assert inputs.take([ports("box", "other", came=("box",), went=("box",)), turned(10)], settings, 1.0) == []
    assert inputs.take([turned(10, "other")], settings, 1.0) == [SetParam("mapping.norm", NORM.value(10 / 127))]
    assert inputs.troubles == []
    assert inputs.take([turned(90)], settings, 2.0) == [SetParam("mapping.norm", NORM.value(90 / 127))]


def test_a_taken_port_for_hearing_does_not_keep_us_from_telling() -> None:
    other, mirror = OscIn((LOOPBACK, 0)), OscIn((LOOPBACK, 0))
    inputs = Inputs(osc=(LOOPBACK, other.port), osc_out=(LOOPBACK, mirror.port))
    assert inputs.osc is None
    assert len(inputs.troubles) == 1
    inputs.tell(Settings(), {}, 0.0)
    while not mirror.take():
        pass
    for one in (inputs, other, mirror):
        one.close()


def test_osc_is_told_the_switches_the_beat_and_what_plays() -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((LOOPBACK, 0))
    listener.settimeout(5.0)
    scene = Scene(Settings(), {choice.name: choice.default for choice in CHOICES}, 0)
    desk = Desk(scene, "calm", (Song("calm"), Song("ink")), Inputs(osc_out=listener.getsockname()), 0.0)
    desk.apply(Toggle("blackout"), 0.0)
    desk.apply(SetParam("tempo.bpm", 120.0), 0.0)
    shows: dict[str, list[object]] = {}
    for tick in range(100):
        desk.take([], 0.0301 * tick)
    while len(shows.get("beat", ())) < 6:
        for one in parse(listener.recv(LARGEST)):
            if one.address.startswith("/shows/"):
                shows.setdefault(one.address.removeprefix("/shows/"), []).append(one.arguments[0])
    assert shows.keys() == SHOWS.keys()
    assert (shows["blackout"], shows["freeze"], shows["next"]) == ([1.0], [0.0], ["ink"])
    assert shows["beat"] == [1, 2, 3, 4, 1, 2]
    listener.close()
    desk.inputs.close()


@pytest.mark.parametrize("what", ["pulled out", "the MIDI process dies", "learning begins", "bound otherwise"])
def test_what_is_held_is_let_go_when_nobody_can_hold_it_any_more(what: str) -> None:
    desk = holding_desk()
    if what == "pulled out":
        desk.take([ports(went=("box",))], 1.0)
    elif what == "the MIDI process dies":
        desk.inputs.lost_all()
    elif what == "learning begins":
        desk.press(["L"], 1.0)
    else:
        desk.inputs.carry([Binding(Control("note", i, 0), "none", "press", port="box") for i in range(3)])
    desk.take([], 1.1)
    assert not desk.state.freeze and desk.settings["show.brightness"] == 0.9
    desk.teaching.give_up()
    desk.take([ports("box", came=("box",)), pads((4, 100), (4, 0))], 2.0)
    assert desk.scenes.preset == "storm", "nobody holds shift"


def test_what_is_pressed_behind_panic_is_held() -> None:
    desk = holding_desk()
    desk.take([pads((3, 100), (3, 0), (1, 100))], 1.0)
    assert desk.state.freeze and desk.settings["show.brightness"] == 0.9
    desk.take([pads((1, 0))], 2.0)
    assert not desk.state.freeze
