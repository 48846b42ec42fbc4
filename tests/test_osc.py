"""OSC: what is packed is parsed, strangers' bytes are bounded, addresses are the table's; over real UDP on loopback."""

import math
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from x_cost import Costs, nothing_else_collected

from livelav.control.commands import (
    NAMED_ACTIONS,
    Quit,
    Recall,
    RecallNumber,
    Save,
    SetChoice,
    SetDrive,
    SetParam,
    StepModel,
    Toggle,
)
from livelav.control.osc import (
    DEEPEST,
    LARGEST,
    LOOPBACK,
    MOST,
    Message,
    OscIn,
    OscOut,
    address,
    command,
    endpoint,
    knob_address,
    pack,
    parse,
    reference,
)
from livelav.core.drive import Drive
from livelav.core.errors import OscError
from livelav.core.params import BY_NAME, PARAMS, Settings

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
PACKETS = int(os.environ.get("LIVELAV_PACKETS", "50000"))  # 1,000,000 for the README's figure
MESSAGES = st.builds(
    Message,
    PRINTABLE.map("/".__add__),
    st.lists(st.floats(width=32) | PRINTABLE | st.none(), max_size=2).map(tuple),
)
NORM = BY_NAME["mapping.norm"]


def bundle(*elements: bytes) -> bytes:
    return b"#bundle\0" + bytes(8) + b"".join(struct.pack(">i", len(e)) + e for e in elements)


@given(st.lists(MESSAGES, min_size=1, max_size=5))
def test_what_is_packed_is_parsed(messages: list[Message]) -> None:
    assert repr(parse(pack(messages))) == repr(messages)  # repr: a NaN is not equal to itself


def test_all_types_are_passed_over_rightly() -> None:
    """Each argument is followed by one that is known: it must be found where it is."""
    encoded = {
        "i": (struct.pack(">i", -3), -3.0),
        "h": (struct.pack(">q", 2**40), float(2**40)),
        "d": (struct.pack(">d", 0.1), 0.1),
        "t": (bytes(8), None),
        "b": (struct.pack(">i", 5) + b"hello\0\0\0", None),
        "r": (bytes(4), None),
        "I": (b"", None),
        "T": (b"", 1.0),
        "F": (b"", 0.0),
        "N": (b"", None),
    }
    for tag, (data, value) in encoded.items():
        packet = b"/a\0\0" + f",{tag}f".encode() + b"\0" + data + struct.pack(">f", 0.5)
        assert parse(packet) == [Message("/a", (value, 0.5))]


def test_bundles_are_read_in_order_and_not_too_deep() -> None:
    packet = pack([Message("/a")])
    assert parse(bundle(packet, bundle(pack([Message("/b")])), packet)) == [Message(a) for a in ("/a", "/b", "/a")]
    for _ in range(DEEPEST):
        packet = bundle(packet)
    assert parse(packet) == [Message("/a")]
    with pytest.raises(OscError, match="nested deeper"):
        parse(bundle(packet))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"a\0\0\0",
        b"/a",
        b"/a\0",
        b"/\xff\0\0",
        b"/\x1b\0\0",
        b"/a\0\0f\0\0\0",
        b"/a\0\0,f\0\0",
        b"/a\0\0,b\0\0\xff\xff\xff\xff",
        b"/a\0\0,b\0\0\x7f\xff\xff\xff",
        b"/a\0\0,[\0\0",
        b"#bundle\0",
        bundle() + struct.pack(">i", -4),
        bundle() + struct.pack(">i", 0),
        bundle() + struct.pack(">i", 8) + b"/a\0\0",
        bytes(LARGEST + 1),
    ],
)
def test_a_broken_packet_is_one_error(packet: bytes) -> None:
    with pytest.raises(OscError):
        parse(packet)


# ---- strangers' bytes


class Stranger:
    """Draws packets: noise, good ones, and good ones with something wrong."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._addresses = [name(param) for param in PARAMS for name in (address, knob_address)]
        self._addresses += ["/blackout", "/next", "/preset", "/preset-3", "/tap", "/save", "/quit", "/x" * 200, "/"]
        self._addresses += ["/drive" + address(param) for param in PARAMS]
        self._noise = self._draw.randbytes(1 << 16)

    def packet(self) -> bytes:
        kind = self._draw.random()
        if kind < 0.1:
            return self._bytes(self._draw.choice((3, 40, 400, LARGEST + 4)))
        good = self._message() if kind < 0.5 else self._bundle(self._draw.choice((0, 1, 3, DEEPEST, DEEPEST + 2)))
        return good if kind < 0.2 else self._wrong(good)

    def _bytes(self, most: int) -> bytes:
        at, size = self._draw.randrange(1 << 15), self._draw.randrange(most)
        return self._noise[at : at + size]

    def _message(self) -> bytes:
        tags, data = "", b""
        for tag in self._draw.choices("fihdtcrmsSbTFNI[]~", k=self._draw.choice((0, 1, 1, 1, 2, 5, 300))):
            tags += tag
            data += self._argument(tag)
        return padded(self._draw.choice(self._addresses)) + padded("," + tags) + data

    def _argument(self, tag: str) -> bytes:
        if tag in "sS":
            return padded(
                self._draw.choice(
                    ("", "calm", "../../etc/passwd", "x" * 100, "sine 4 0.25", "sien 4 0.25", "sine 4e999 nan")
                )
            )
        if tag == "b":
            size = self._draw.choice((0, 1, 8, 100, 1 << 31, (1 << 32) - 1))
            return struct.pack(">I", size) + self._bytes(size + 1 if size < 1 << 16 else 8)
        if tag == "f":
            return struct.pack(">f", self._draw.choice((0.0, 1.0, -1e30, math.nan, math.inf, self._draw.random())))
        return self._noise[: {"h": 8, "d": 8, "t": 8}.get(tag, 0 if tag in "TFNI[]~" else 4)]

    def _bundle(self, depth: int) -> bytes:
        count = self._draw.choice((0, 1, 2, 5, 20, MOST, 100, 400)) if depth < 2 else self._draw.choice((1, 2))
        element = self._bundle(depth - 1) if depth else self._message()
        return bundle(*[element] * min(count, LARGEST // (len(element) + 4)))

    def _wrong(self, packet: bytes) -> bytes:
        draw, mutant = self._draw, bytearray(packet)
        for _ in range(draw.choice((1, 1, 2, 8))):
            at = draw.randrange(len(mutant) + 1)
            match draw.randrange(6):
                case 0:
                    del mutant[at:]
                case 1:  # moves all that comes after out of its place
                    del mutant[at : at + draw.randrange(1, 6)]
                case 2:
                    mutant[at:at] = self._bytes(6)
                case 3:
                    mutant[at : at + 1] = self._bytes(3)[:1]
                case 4:  # a length, somewhere
                    mutant[at & ~3 : (at & ~3) + 4] = struct.pack(
                        ">i", draw.choice((-4, 0, 3, 4, 8, 1 << 20, -(1 << 31)))
                    )
                case 5:
                    mutant += mutant[at : at + 2_000]
        return bytes(mutant)


def padded(text: str) -> bytes:
    return text.encode() + bytes(4 - len(text) % 4)


@pytest.mark.timeout(1800)
def test_whatever_comes_hangs_nothing_and_asks_for_nothing_that_is_out_of_range() -> None:
    """As many packets as LIVELAV_PACKETS says. A hang would be for ever; the slowest's figure is printed."""
    heard, stranger = OscIn((LOOPBACK, 0)), Stranger(1)
    costs, bound = Costs(), 0
    with nothing_else_collected(), closing(heard):
        for _ in range(PACKETS):
            packet = stranger.packet()
            for one in costs.of(partial(heard.commands, packet)):
                bound += 1
                assert not isinstance(one, Quit | Save)
                assert not isinstance(one, SetParam) or BY_NAME[one.name].lo <= one.value <= BY_NAME[one.name].hi
    print(f"{PACKETS} OSC packets in {costs}")
    assert bound > PACKETS / 20, "some are understood"
    assert heard.ignored > PACKETS / 20, "and some are not"
    assert costs.slowest_s < 0.05


def test_the_largest_packets_are_bounded_work(heard: OscIn) -> None:
    """The most messages, arguments and bundles that fit."""
    small, tags = b"/\0\0\0", b"," + b"s" * 1_600 + bytes(3)
    deep = b"/a\0\0,\0\0\0" + bytes(LARGEST - 300)
    for _ in range(DEEPEST):
        deep = bundle(deep)
    packets = {
        "messages": bundle(*[small] * MOST),
        "too many messages": bundle(*[small] * ((LARGEST - 16) // 8)),
        "values": bundle(*[pack([Message("/mapping/norm", (1.0,) * 8)])] * MOST),
        "arguments": b"/a\0\0" + tags + b"a\0\0\0" * 1_600,
        "empty bundles": bundle(*[bundle()] * ((LARGEST - 16) // 20)),
        "deep": deep,
    }
    for name, packet in packets.items():
        assert len(packet) <= LARGEST
        costs = Costs()
        costs.of(partial(heard.commands, packet))
        print(f"{name}: {costs.slowest_s * 1000:.2f} ms")
        assert costs.slowest_s < 0.05


def test_a_packet_has_a_bounded_number_of_messages_and_arguments() -> None:
    assert len(parse(bundle(*[b"/a\0\0"] * MOST))) == MOST
    with pytest.raises(OscError, match="send several"):
        parse(bundle(bundle(*[b"/a\0\0"] * MOST), b"/a\0\0"))
    (message,) = parse(pack([Message("/a", (1.0,) * 500)]))
    assert message.arguments == (1.0,) * 16


# ---- what a message asks for


@pytest.mark.parametrize("param", PARAMS, ids=lambda p: p.name)
def test_every_parameter_has_its_address_in_value_and_in_knob_units(param) -> None:  # type: ignore[no-untyped-def]
    assert command(Message(address(param), (param.hi,))) == SetParam(param.name, param.hi)
    assert command(Message(knob_address(param), (0.0,))) == SetParam(param.name, param.lo)
    assert address(param) in reference()


@given(st.floats())
def test_a_value_stops_at_the_ends(value: float) -> None:
    asked = command(Message("/mapping/norm", (value,)))
    if math.isnan(value):
        assert asked is None
    else:
        assert isinstance(asked, SetParam)
        assert NORM.lo <= asked.value <= NORM.hi
        assert value in (asked.value, np.inf, -np.inf) or not NORM.lo <= value <= NORM.hi


def test_a_button_acts_when_it_is_pressed() -> None:
    assert command(Message("/blackout")) == command(Message("/blackout", (1.0,))) == Toggle("blackout")
    assert command(Message("/blackout", (0.0,))) is None
    for name, action in NAMED_ACTIONS.items():
        assert (f"`/{name}`" in reference()) != isinstance(action, Save)


def test_a_preset_is_recalled_by_name_by_number_and_by_a_button() -> None:
    assert command(Message("/preset", ("calm",))) == Recall("calm")
    assert command(Message("/preset", (3.0,))) == command(Message("/preset-3", (1.0,))) == RecallNumber(3)
    assert "`/preset`" in reference()


def test_a_model_is_asked_for_by_name() -> None:
    assert command(Message("/model", ("lava",))) == SetChoice("model", "lava")
    assert command(Message("/next-model", (1.0,))) == StepModel(1)
    assert reference().count("`/model`") == 1


def test_choices_of_a_scene_have_addresses() -> None:
    assert command(Message("/chain/order", ("echo", "zoom"))) == SetChoice("chain.order", "echo zoom")
    assert command(Message("/show/aspect", ("fit",))) == SetChoice("show.aspect", "fit")
    assert command(Message("/chain/order")) is command(Message("/chain/order", (1.0,))) is None
    assert command(Message("/generate/noise", ("random",))) == SetChoice("generate.noise", "random")
    assert command(Message("/backend", ("torch",))) is None, "which a running show keeps"
    assert "`/chain/order`" in reference()


@pytest.mark.parametrize(
    "message",
    [
        Message("/quit"),
        Message("/mapping/norm"),
        Message("/mapping/norm", ("1",)),
        Message("/mapping/norm", (None,)),
        Message("/mapping/*", (1.0,)),
        Message("/model"),
        Message("/model", (1.0,)),
        Message("/blackout", ("x",)),
        Message("/preset"),
        Message("/preset", (0.0,)),
        Message("/preset", (1.5,)),
        Message("/preset", (1e30,)),
        Message("/preset", (math.nan,)),
        Message("/preset", (math.inf,)),
        Message("/preset-129"),
        Message("/save"),
        Message("/save-new", (1.0,)),
    ],
)
def test_nothing_else_is_asked_for(message: Message) -> None:
    assert command(message) is None


# ---- sockets


def test_a_turn_takes_a_bounded_number_of_messages_and_the_next_one_the_rest(heard: OscIn) -> None:
    flood = bundle(*[b"/\0\0\0"] * MOST)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(200):
            sender.sendto(flood, (LOOPBACK, heard.port))
    until(lambda: heard.take() or heard.messages)
    assert heard.messages <= 500 + MOST, "the last packet may go over 500"
    until(lambda: heard.take() or heard.messages >= 5_000)


def test_what_the_hud_shows_of_an_address_is_short(heard: OscIn) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(pack([Message("/" + "x" * 8_000)]), (LOOPBACK, heard.port))
    until(lambda: heard.take() or heard.recent)
    assert len(heard.recent[0]) == 40


@pytest.fixture
def heard() -> Iterator[OscIn]:
    one = OscIn((LOOPBACK, 0))
    yield one
    one.close()


def until(condition: object) -> None:
    """UDP over loopback is there at once, but not in the same instant."""
    deadline_s = time.monotonic() + 5.0
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline_s


def test_commands_come_in_order_and_garbage_is_counted(heard: OscIn) -> None:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for packet in (pack([Message("/mapping/norm", (1.0,)), Message("/freeze")]), b"garbage", pack([Message("/no")])):
        sender.sendto(packet, (LOOPBACK, heard.port))
    commands: list[object] = []
    until(lambda: commands.extend(heard.take()) or heard.ignored == 2)
    assert commands == [SetParam("mapping.norm", 1.0), Toggle("freeze")]
    assert list(heard.recent) == ["/no", "/freeze", "/mapping/norm"]
    assert heard.take() == []
    sender.close()


def told(heard: OscIn) -> dict[str, float]:
    """What was sent to that socket since, the last value of each parameter."""
    return {one.name: one.value for one in heard.take() if isinstance(one, SetParam)}


def test_what_changes_is_told_and_can_be_heard_again(heard: OscIn) -> None:
    out = OscOut((LOOPBACK, heard.port))
    settings, mirror = Settings().with_values({"show.hue": 30.0}), dict[str, float]()
    out.tell(settings, {}, 0.0)
    until(lambda: mirror.update(told(heard)) or len(mirror) == len(PARAMS))
    assert mirror == {p.name: pytest.approx(settings[p.name], rel=1e-5, abs=1e-5) for p in PARAMS}
    out.tell(settings, {}, 0.01)
    out.tell(settings.with_values({"show.hue": 60.0}), {}, 0.02)
    mirror.clear()
    until(lambda: mirror.update(told(heard)) or mirror)
    assert mirror == {"show.hue": pytest.approx(60.0, abs=1e-4)}
    out.close()


def test_values_are_repeated_and_one_that_came_by_osc_is_told_later(heard: OscIn) -> None:
    out, moved, mirror = OscOut((LOOPBACK, heard.port)), Settings().with_values({"show.hue": 60.0}), dict[str, float]()
    out.tell(Settings(), {}, 0.0)
    until(lambda: mirror.update(told(heard)) or len(mirror) == len(PARAMS))
    mirror.clear()
    out.hold("show.hue", 0.0)
    for tick in range(2, 30):
        out.tell(moved, {}, 0.01 * tick)
    until(lambda: mirror.update(told(heard)) or len(mirror) >= 2)
    assert "show.hue" not in mirror, "the finger is still on it"
    for tick in range(3, 2 * len(PARAMS)):
        out.tell(moved, {}, 0.1 * tick)
    until(lambda: mirror.update(told(heard)) or len(mirror) == len(PARAMS))
    assert mirror["show.hue"] == pytest.approx(60.0, abs=1e-4)
    out.close()


def test_what_plays_is_told_once_each_time_and_again_to_who_came_late_and_an_echo_of_it_does_nothing(
    heard: OscIn,
) -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((LOOPBACK, 0))
    listener.settimeout(5.0)
    out, found = OscOut(listener.getsockname()), list[Message]()

    def tell(shows: dict[str, object], now_s: float) -> None:
        """Tells, and a value behind it by which to know that all has come."""
        out.tell(Settings().with_values({"show.hue": now_s}), shows, now_s)
        while not any(one.address == "/show/hue" and one.arguments == (pytest.approx(now_s),) for one in found):
            found.extend(parse(listener.recv(LARGEST)))

    def shown() -> list[tuple[str, object]]:
        said = [(one.address, one.arguments[0]) for one in found if one.address.startswith("/shows/")]
        found.clear()
        return said

    calm = {"preset": "calm", "cue": "", "blackout": 0.0}
    tell(calm, 0.0)
    assert dict(shown()) == {"/shows/preset": "calm", "/shows/cue": "", "/shows/blackout": 0.0}
    tell(calm, 0.01)
    assert not shown()
    tell({"preset": "café", "cue": "", "blackout": 1.0}, 0.02)
    said = dict(shown())
    assert said == {"/shows/preset": "caf?", "/shows/blackout": 1.0}
    for tick in range(1, len(PARAMS) + 2):
        out.tell(Settings(), calm, 0.11 * tick)
    tell(calm, 20.0)
    assert {at for at, _ in shown()} == {"/shows/preset", "/shows/cue", "/shows/blackout"}, "repeated for who came late"
    for at, what in said.items():
        assert not heard.commands(pack([Message(at, (what,))]))
    listener.close()
    out.close()


def test_a_port_that_is_taken_is_one_line(heard: OscIn) -> None:
    with pytest.raises(OscError, match=r"OSC at 127\.0\.0\.1:\d+: .*; choose another"):
        OscIn((LOOPBACK, heard.port))


@pytest.mark.parametrize(
    ("words", "found"),
    [("off", None), ("9000", (LOOPBACK, 9000)), ("0.0.0.0:7", ("0.0.0.0", 7)), ("studio:9001", ("studio", 9001))],
)
def test_an_endpoint_is_loopback_unless_it_says_otherwise(words: str, found: object) -> None:
    assert endpoint(words) == found


@pytest.mark.parametrize("words", ["", "on", "0", "65536", "0000650000", "x:y", ":"])
def test_a_wrong_endpoint_says_what_to_write(words: str) -> None:
    with pytest.raises(OscError, match="HOST:PORT"):
        endpoint(words)


def test_a_drive_is_set_by_its_text_and_ended_by_anything_else() -> None:
    set_, ended = SetDrive("show.hue", Drive("sine", 0.25, 4.0)), SetDrive("show.hue", None)
    assert command(Message("/drive/show/hue", ("sine 4 0.25",))) == set_
    for nothing in ((), (0.0,), (None,)):
        assert command(Message("/drive/show/hue", nothing)) == ended
    for of, text in (("show/hue", "sine"), ("tempo/bpm", "sine 4 0.1"), ("knob/show/hue", "level 1"), ("", "x")):
        assert command(Message(f"/drive/{of}", (text,))) is None
