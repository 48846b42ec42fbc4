"""Whatever controllers send, through decoder and bindings: no message breaks them, and no value leaves its range."""

import os
import random
from collections.abc import Iterator
from typing import get_args

import pytest
from x_cost import Costs, nothing_else_collected

from livelav.control.banks import Bank
from livelav.control.bindings import FINE_PAIR, Binding, Mode, Takeover
from livelav.control.commands import ACTIONS, Command, SetParam
from livelav.control.hands import Hands
from livelav.control.messages import Control, Decoder, Moved
from livelav.core.params import BY_NAME, PARAMS, Settings

PACKETS = int(os.environ.get("LIVELAV_PACKETS", "50000"))  # 1,000,000 for the README's figure
MODES: tuple[Mode, ...] = ("absolute", "fine", "twos", "sign", "offset", "toggle", "momentary", "set")
NRPN = 2 << 7 | 5
PORTS = ("box", "box #2", "drums")


def bindings() -> Iterator[Binding]:
    """One of each mode and kind, and some that wait to be picked up; all parameters have one."""
    for i, param in enumerate(PARAMS):
        mode = MODES[i % len(MODES)]
        mode = "absolute" if mode == "fine" and i >= FINE_PAIR else mode  # it has no second half there
        yield Binding(Control("cc", i), param.name, mode)
        yield Binding(Control("nrpn", NRPN + i), param.name, takeover="pickup", lo=0.9, hi=0.1, curve="slow")
        yield Binding(Control("note", i), param.name, "toggle")
    for kind in ("bend", "pressure"):
        yield Binding(Control(kind, 0), "show.hue", takeover="pickup")  # type: ignore[arg-type]
    yield Binding(Control("note", 100, 9), "blackout", "press")
    yield Binding(Control("cc", 69), "freeze", "press")
    yield from (Binding(Control("program", n), f"preset-{n + 1}", "press") for n in range(128))


def storm(seed: int) -> Iterator[bytes]:
    """Messages without end: single ones, NRPN and 14-bit sequences, and of all of them broken ones."""
    draw = random.Random(seed)
    while True:
        for message in sequence(draw):
            kind = draw.random()
            if kind < 0.75:
                yield message
            elif kind < 0.8:
                yield message[: draw.randrange(len(message))]  # cut off: empty, or a status byte alone
            elif kind < 0.85:
                yield message[1:]  # running status, which a library should have undone
            elif kind < 0.9:
                yield message + draw.randbytes(draw.choice((1, 2, 40)))
            elif kind < 0.98:
                mutant = bytearray(message)
                mutant[draw.randrange(len(mutant))] = draw.randrange(256)
                yield bytes(mutant)
            # else it is lost


def sequence(draw: random.Random) -> list[bytes]:
    """What a controller sends at once."""
    channel, value, fine = draw.choice((0, 0, 9, 15)), draw.randrange(128), draw.randrange(128)

    def cc(number: int, data: int) -> bytes:
        return bytes((0xB0 | channel, number, data))

    match draw.randrange(12):
        case 0 | 1 | 2:
            return [cc(draw.randrange(128), value)]
        case 3:
            return [bytes((draw.choice((0x80, 0x90)) | channel, draw.randrange(128), value))]
        case 4:
            return [bytes((draw.choice((0xC0, 0xD0)) | channel, value))]
        case 5:
            return [bytes((0xE0 | channel, fine, value))]
        case 6:
            return [bytes((draw.choice((0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF, 0xF1, 0xF2, 0xF6)),))]
        case 7:
            return [b"\xf0" + draw.randbytes(draw.choice((1, 10, 1_000))) + b"\xf7"]
        case 8:  # 14 bits in a pair of controllers, either half first
            number = draw.randrange(32)
            pair = [cc(number, value), cc(number + 32, fine)]
            return pair if draw.random() < 0.7 else pair[::-1]
        case 9:  # a registered parameter
            return [cc(101, 0), cc(100, 0), cc(6, value), cc(101, 127), cc(100, 127), cc(6, value)]
    number = draw.choice((NRPN + draw.randrange(40), draw.randrange(1 << 14)))
    parts = [cc(99, number >> 7), cc(98, number & 0x7F), cc(6, value), cc(38, fine)]
    if draw.random() < 0.3:
        draw.shuffle(parts)
    return parts[draw.choice((0, 0, 0, 1, 2)) :]


@pytest.mark.timeout(1800)
def test_no_message_breaks_decoder_or_bindings() -> None:
    """As many messages as LIVELAV_PACKETS says. A hang would be for ever; the slowest's figure is printed."""
    hands, settings, draw = Hands([Bank("all", "", "", tuple(bindings()))]), Settings(), random.Random(2)
    costs, messages, sets, actions = Costs(), storm(1), 0, 0
    with nothing_else_collected():
        for i in range(PACKETS):
            message = draw.choice(PORTS), next(messages)
            for one in costs.of(lambda message=message, now=settings: hands.follow(hands.moves([message]), now)):
                if isinstance(one, SetParam):
                    assert BY_NAME[one.name].lo <= one.value <= BY_NAME[one.name].hi
                    settings = settings.with_values({one.name: one.value})
                    sets += 1
                else:
                    assert one in ACTIONS.values()
                    actions += 1
            if i % 1_000 == 0:
                hands.came_back(draw.choice(PORTS))
            assert i % 10_000 or len(hands.ghosts()) <= len(PARAMS)
    print(f"{PACKETS} MIDI messages in {costs}")
    assert sets > PACKETS / 20, "parameters were moved"
    assert actions > PACKETS / 200, "and buttons pressed"
    assert costs.slowest_s < 0.05


def torrent(draw: random.Random, mixed: Iterator[bytes], count: int) -> list[tuple[str, bytes]]:
    """A turn's worth: a few knobs that are turned without end, some of them through broken messages, and anything."""
    plain = [i for i in range(len(PARAMS)) if MODES[i % len(MODES)] == "absolute"]
    pure = draw.random() < 0.5
    knobs = draw.sample(plain, 4) + ([] if pure else draw.sample(range(len(PARAMS)), 1))
    return [
        (draw.choice(PORTS[:2]), bytes((0xB0, draw.choice(knobs), draw.randrange(131))))
        if pure or draw.random() < 0.9
        else (draw.choice(PORTS), next(mixed))
        for _ in range(count)
    ]


def performed(commands: list[Command], settings: Settings) -> tuple[Settings, list[object]]:
    """The settings after the commands, and every press with the settings that it met."""
    met: list[object] = []
    for one in commands:
        if isinstance(one, SetParam):
            settings = settings.with_values({one.name: one.value})
        else:
            met.append((one, settings))
    return settings, met


@pytest.mark.parametrize("takeover", get_args(Takeover))
def test_a_storm_thinned_out_does_what_it_does_message_by_message(takeover: Takeover) -> None:
    """All modes and kinds of controls, some waiting to be picked up, while something else moves parameters, too."""
    thinned, whole = (Hands([Bank("all", "", "", tuple(bindings()))]) for _ in range(2))
    for hands in (thinned, whole):
        hands.begin(Settings(), takeover)
    draw, mixed, settings, sent, left = random.Random(3), storm(3), Settings(), 0, 0
    for turn in range(400):
        batch = torrent(draw, mixed, draw.randrange(1, 200))
        if turn % 20 == 0:
            port = draw.choice(PORTS)
            thinned.came_back(port)
            whole.came_back(port)
        if turn % 3 == 0:
            param = draw.choice(PARAMS)
            settings = settings.with_values({param.name: param.value(draw.random())})
        newest = thinned.newest(batch, settings, lambda *_: False)
        after = performed(thinned.follow(thinned.moves(newest), settings), settings)
        assert after == performed(whole.follow(whole.moves(batch), settings), settings)
        assert thinned.ghosts() == whole.ghosts()
        settings, sent, left = after[0], sent + len(batch), left + len(newest)
    assert left < 0.9 * sent or takeover != "jump", "some were thinned out"


def test_a_storm_of_knobs_that_pick_up_thinned_out_does_what_it_does_message_by_message() -> None:
    """Each alone with its parameter: only then is it known without following who has it."""
    thinned, whole = (
        Hands((), [Binding(Control("cc", n), PARAMS[n].name, takeover="pickup") for n in range(3)]) for _ in range(2)
    )
    draw, settings, sent, left = random.Random(4), Settings(), 0, 0
    for _ in range(500):
        batch = [("box", bytes((0xB0, draw.randrange(3), draw.randrange(128)))) for _ in range(draw.randrange(1, 12))]
        if draw.random() < 0.3:
            param = PARAMS[draw.randrange(3)]
            settings = settings.with_values({param.name: param.value(draw.random())})
        newest = thinned.newest(batch, settings, lambda *_: False)
        after = performed(thinned.follow(thinned.moves(newest), settings), settings)
        assert after == performed(whole.follow(whole.moves(batch), settings), settings)
        assert thinned.ghosts() == whole.ghosts()
        settings, sent, left = after[0], sent + len(batch), left + len(newest)
    assert left < 0.9 * sent, "some were thinned out"


@pytest.mark.parametrize("takeover", ["jump", "pickup"])
def test_of_a_storm_of_plain_knobs_one_message_each_is_left(takeover: Takeover) -> None:
    hands = Hands((), [Binding(Control("cc", 20 + n), PARAMS[n].name, takeover=takeover) for n in range(5)])
    hands.begin(Settings(), "relative")
    batch = [("box", bytes((0xB0, 20 + n % 5, n * 7 % 128))) for n in range(500)]
    settings = performed(hands.follow(hands.moves(batch[:5]), Settings()), Settings())[0]  # then they have it
    assert hands.newest(batch, settings, lambda *_: False) == batch[-5:]
    assert hands.newest(batch, settings, lambda *_: True) == batch, (
        "what a box sends back is told from a hand's by each message"
    )


def test_what_is_broken_is_counted_and_dropped() -> None:
    """Bytes by lot: most of them no message, some of them long."""
    draw, decoder, heard = random.Random(1), Decoder(), 0
    for _ in range(PACKETS):
        event = decoder.step(draw.randbytes(draw.choice((0, 1, 2, 3, 3, 3, 3, 4, 40))))
        if isinstance(event, Moved):
            heard += 1
            assert 0 <= event.value <= event.top
    assert heard > PACKETS / 100
    assert decoder.ignored > PACKETS / 2
