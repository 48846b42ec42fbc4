"""All hands together: what a turn's worth of them comes to."""

import socket

from livelav.control.commands import RecallNumber, SetParam, StepPreset, Tap, Toggle
from livelav.control.osc import LOOPBACK, Message, OscIn, pack
from livelav.core.params import BY_NAME, Settings
from livelav.inputs import Inputs

NORM = BY_NAME["mapping.norm"]


def ports(*names: str, came: tuple[str, ...] = (), went: tuple[str, ...] = ()) -> dict[str, object]:
    return {"kind": "ports", "names": list(names), "came": list(came), "went": list(went)}


def turned(value: int, port: str = "box") -> dict[str, object]:
    return {"kind": "midi", "messages": [(port, bytes((0xB0, 20, value)))]}


def test_a_turn_sets_each_parameter_once() -> None:
    inputs = Inputs()
    events = [turned(1), turned(2), turned(3)]
    assert inputs.take(events, Settings(), 5.0) == [SetParam("mapping.norm", NORM.value(3 / 127))]
    assert inputs.touched == (5.0, "mapping.norm")


def test_a_switch_pressed_again_and_again_in_one_turn_is_switched_once_at_most() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((LOOPBACK, 0))
        inputs = Inputs(osc=(LOOPBACK, sender.getsockname()[1] - 1))
        assert inputs.osc is not None
        for count, commands in ((99, [Toggle("fullscreen")]), (98, [])):
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


def test_a_box_that_goes_is_told_of() -> None:
    inputs = Inputs()
    inputs.take([ports("box", came=("box",)), ports(went=("box",))], Settings(), 0.0)
    assert inputs.troubles == ["MIDI: box is gone; waiting for it"]


def test_a_taken_port_for_hearing_does_not_keep_us_from_telling() -> None:
    other, mirror = OscIn((LOOPBACK, 0)), OscIn((LOOPBACK, 0))
    inputs = Inputs(osc=(LOOPBACK, other.port), osc_out=(LOOPBACK, mirror.port))
    assert inputs.osc is None
    assert len(inputs.troubles) == 1
    inputs.tell(Settings(), 0.0)
    while not mirror.take():
        pass
    for one in (inputs, other, mirror):
        one.close()
