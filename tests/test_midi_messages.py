"""MIDI's bytes to events and back: nothing is lost, nothing breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.control.messages import FINE_TOP, Control, Decoder, Moved, Transport
from livelav.core.errors import MidiError


def encode(moved: Moved) -> list[bytes]:
    """The messages that a controller sends to say so."""
    control, value = moved.control, moved.value
    channel = control.channel or 0
    match control.kind:
        case "cc":
            return [bytes((0xB0 | channel, control.number, value))]
        case "note":
            return [bytes((0x90 | channel, control.number, value))]
        case "program":
            return [bytes((0xC0 | channel, control.number))]
        case "pressure":
            return [bytes((0xD0 | channel, value))]
        case "bend":
            return [bytes((0xE0 | channel, value & 0x7F, value >> 7))]
        case "nrpn":
            pairs = ((99, control.number >> 7), (98, control.number & 0x7F), (6, value >> 7), (38, value & 0x7F))
            return [bytes((0xB0 | channel, number, byte)) for number, byte in pairs]


CONTROLS = st.one_of(
    st.builds(Control, st.just("cc"), st.integers(0, 127).filter(lambda n: n not in range(98, 102))),
    st.builds(Control, st.just("note"), st.integers(0, 127)),
    st.builds(Control, st.just("nrpn"), st.integers(0, FINE_TOP - 1)),
    st.builds(Control, st.just("program"), st.integers(0, 127)),
    st.builds(Control, st.sampled_from(["bend", "pressure"]), st.just(0)),
)


def on_channel(control: Control, channel: int | None) -> Control:
    return Control(control.kind, control.number, channel)


def says(*messages: list[int]) -> list[object]:
    decoder = Decoder()
    return [decoder.step(message) for message in messages]


@given(CONTROLS, st.integers(0, 15), st.integers(0, FINE_TOP))
def test_what_is_encoded_is_decoded(control: Control, channel: int, value: int) -> None:
    top = FINE_TOP if control.kind in ("nrpn", "bend") else 127
    value = 127 if control.kind == "program" else min(value, top)
    moved = Moved(on_channel(control, channel), value, top)
    decoder = Decoder()
    events = [decoder.step(message) for message in encode(moved)]
    assert events[-1] == moved
    assert decoder.ignored == 0


@given(CONTROLS, st.none() | st.integers(0, 15))
def test_a_controls_text_says_all(control: Control, channel: int | None) -> None:
    control = on_channel(control, channel)
    assert Control.parse(str(control)) == control


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cc",
        "cc 128",
        "cc 98",
        "cc 101",
        "program",
        "note -1",
        "cc 1 ch 0",
        "cc 1 ch 17",
        "bend 3",
        "CC 1",
        "cc 1\n",
    ],
)
def test_a_wrong_text_says_what_is_wrong(text: str) -> None:
    with pytest.raises(MidiError, match="control"):
        Control.parse(text)


def test_a_note_off_is_a_note_at_rest() -> None:
    on, off, quiet = says([0x90, 60, 100], [0x80, 60, 64], [0x90, 60, 0])
    assert on == Moved(Control("note", 60, 0), 100)
    assert off == quiet == Moved(Control("note", 60, 0), 0)


def test_a_clock_and_its_commands() -> None:
    assert says([0xF8], [0xFA], [0xFB], [0xFC]) == [Transport(k) for k in ("clock", "start", "continue", "stop")]


def test_data_entry_belongs_to_the_nrpn_chosen_on_its_channel() -> None:
    chosen, elsewhere = ([0xB0, 99, 2], [0xB0, 98, 5]), [0xB1, 6, 9]
    events = says(*chosen, elsewhere, [0xB0, 6, 64], [0xB0, 38, 3])
    number = Control("nrpn", 2 << 7 | 5, 0)
    moves = [Moved(Control("cc", 6, 1), 9), Moved(number, 64), Moved(number, 64 << 7 | 3, FINE_TOP)]
    assert events == [None, None, *moves]


@pytest.mark.parametrize("messages", [[[0xB0, 6, 127]], [[0xB0, 6, 127], [0xB0, 38, 127]]], ids=["7 bits", "14 bits"])
def test_an_nrpn_reaches_its_end(messages: list[list[int]]) -> None:
    event = says([0xB0, 99, 1], [0xB0, 98, 1], *messages)[-1]
    assert isinstance(event, Moved)
    assert event.value == event.top


def test_a_registered_parameter_takes_the_data_entry_away() -> None:
    assert says([0xB0, 99, 2], [0xB0, 98, 5], [0xB0, 101, 0], [0xB0, 100, 0], [0xB0, 6, 64])[-1] == Moved(
        Control("cc", 6, 0), 64
    )
