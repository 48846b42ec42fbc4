"""A controller's session: what a hand sends within three minutes, written down with its times, and played again."""

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from livelav.core.params import PARAMS

PORT = "session"
SESSION = Path(__file__).parent / "session.json"
SECONDS = 180.0
REST_S = 8.0  # at the end: all is where it goes to
MORPH_S = 0.2
LOOK_S = 1.0  # after a recall a hand looks first: whether a knob comes past a value that moves is a matter of chance
# the music moves nothing
ARGUMENTS = ("--tempo-hearing", "0", "--preset-morph", str(MORPH_S), "--takeover", "pickup", "--input", "demo")

KNOBS = tuple(p.cc for p in PARAMS if p.cc is not None and p.scope == "song")
TAKEOVERS = {21: "jump", 22: "relative", 27: "relative", 30: "jump"}  # of knobs that have their own; the others pick up
ENCODERS = {52: ("twos", "show.hue"), 53: ("sign", "show.saturation"), 54: ("offset", "displace.amount")}
FINE, NRPN = 14, 261
PADS = {
    36: 'to = "show.feedback"\nmode = "toggle"\nhi = 0.5',
    37: 'to = "show.zoom"\nmode = "momentary"\nhi = 0.7',
    38: 'to = "bloom.amount"\nmode = "set"\nhi = 0.6',
    39: 'to = "bloom.amount"\nmode = "set"\nlo = 1.0\nhi = 0.2',
    40: 'to = "blackout"\nmode = "momentary"',
}
PRESSES = {41: "next", 42: "previous", 43: "undo", 44: "swap", 45: "panic"}  # after which a hand looks
PRESETS = range(12)

TURNED = {p.name for p in PARAMS if p.cc in KNOBS} | {to for _, to in ENCODERS.values()}
TURNED |= {"mapping.norm_time", "echo.zoom", "kaleidoscope.amount", "show.feedback", "show.zoom", "bloom.amount"}

Sent = tuple[float, bytes]  # seconds from the beginning, and the message


def bank() -> str:
    """All that a binding can be, as a file of banks/."""
    binds = [
        *(f'"cc {n}"\nto = "{p.name}"' + _takeover(n) for p in PARAMS if (n := p.cc) in KNOBS),
        *(f'"cc {n}"\nto = "{to}"\nmode = "{mode}"' for n, (mode, to) in ENCODERS.items()),
        f'"cc {FINE}"\nto = "mapping.norm_time"\nmode = "fine"',
        f'"nrpn {NRPN}"\nto = "echo.zoom"\ntakeover = "jump"',
        '"bend"\nto = "kaleidoscope.amount"\ncurve = "slow"',
        *(f'"note {n}"\n{what}' for n, what in PADS.items()),
        *(f'"note {n}"\nto = "{action}"\nmode = "press"' for n, action in PRESSES.items()),
    ]
    head = f'schema = 1\nname = "session"\nport = "{PORT}"\n'
    return head + "".join(f"[[bind]]\ncontrol = {bind}\n" for bind in binds)


def _takeover(number: int) -> str:
    return f'\ntakeover = "{TAKEOVERS[number]}"' if number in TAKEOVERS else ""


def improvised(seed: int) -> list[Sent]:
    """What a hand might do: sweeps of one knob or two, quick and slow, small corrections, turns of encoders, wide and
    fine faders, pads, presets.

    A knob stands where it was left, so that after a recall it may have to come past its value first.
    """
    chance, sent, now_s = random.Random(seed), list[Sent](), 2.0
    stands = {number: chance.randrange(128) for number in KNOBS} | dict.fromkeys((FINE, NRPN, "bend"), 64)
    while now_s < SECONDS - REST_S:
        what, seconds = chance.random(), chance.uniform(0.1, 2.0)
        if what < 0.5:
            for number in chance.sample(KNOBS, chance.choice((1, 1, 2))):
                sent += _sweep(_knob(number), *_gone(stands, number, chance), now_s, seconds)
        elif what < 0.6:
            number = chance.choice((FINE, NRPN, "bend"))
            sent += _sweep(_WIDE[number], *_gone(stands, number, chance), now_s, seconds)
        elif what < 0.7:
            number, steps = chance.choice(tuple(ENCODERS)), chance.choice((-30, -5, 5, 30))
            sent += _sweep(_encoder(number, steps > 0), 0, abs(steps), now_s, seconds)
        elif what < 0.78:
            pad = chance.choice(tuple(PADS))
            sent += [(now_s, bytes((0x90, pad, 100))), (now_s + seconds, bytes((0x80, pad, 0)))]
        else:
            number = chance.choice((None, None, *PRESSES))
            recall = bytes((0xC0, chance.choice(PRESETS)))
            sent += [(now_s, recall)] if number is None else [(now_s, bytes((0x90, number, 100)))]
            seconds = LOOK_S
        now_s += seconds + chance.uniform(0.1, 1.0)
    return sorted(sent, key=lambda one: one[0])


def _gone(stands: dict[Any, int], control: Any, chance: random.Random) -> tuple[int, int]:
    """(from, to) of a control, 0 to 127."""
    start = stands[control]
    stands[control] = min(max(start + chance.choice((-1, 1)) * chance.choice((3, 20, 60, 127, 127)), 0), 127)
    return start, stands[control]


Say = Callable[[int], tuple[bytes, ...]]  # where a control is, 0 to 127, to its messages


def _knob(number: int) -> Say:
    return lambda value: (bytes((0xB0, number, value)),)


def _encoder(number: int, up: bool) -> Say:
    """A step a message, whichever it is."""
    step = {52: (127, 1), 53: (65, 1), 54: (63, 65)}[number][up]
    return lambda _: (bytes((0xB0, number, step)),)


_WIDE: dict[Any, Say] = {
    FINE: lambda value: (bytes((0xB0, FINE, value)), bytes((0xB0, FINE + 32, 127 - value))),
    NRPN: lambda value: tuple(
        bytes((0xB0, *pair)) for pair in ((99, NRPN >> 7), (98, NRPN & 127), (6, value), (38, 127 - value))
    ),
    "bend": lambda value: (bytes((0xE0, 127 - value, value)),),
}


def _sweep(say: Say, start: int, goal: int, begin_s: float, seconds: float) -> Iterator[Sent]:
    """At most a message each 12 ms, as boxes send them; slow at its ends."""
    last, steps = start, max(int(seconds / 0.012), 1)
    for step in range(1, steps + 1):
        share = step / steps
        value = round(start + (goal - start) * share * share * (3 - 2 * share))
        if value != last:
            yield from ((begin_s + share * seconds, message) for message in say(value))
            last = value


def play(sent: list[Sent], send: Callable[[bytes], None]) -> list[Sent]:
    """Sends in time; returns what was sent when."""
    begin_s, played = time.monotonic(), list[Sent]()
    for at_s, message in sent:
        time.sleep(max(begin_s + at_s - time.monotonic(), 0.0))
        send(message)
        played.append((round(time.monotonic() - begin_s, 4), message))
    time.sleep(max(begin_s + SECONDS - time.monotonic(), 0.0))
    return played


def write(sent: list[Sent], preset: str, settings: dict[str, float]) -> None:
    """The session and what stood at its end."""
    content = {
        "ended": {"preset": preset, "settings": settings},
        "sent": [[at_s, message.hex(" ")] for at_s, message in sent],
    }
    text = json.dumps(content, indent=None, separators=(", ", ": ")).replace("], [", "],\n[")
    SESSION.write_text(text + "\n")


def read() -> tuple[list[Sent], dict[str, Any]]:
    content = json.loads(SESSION.read_text())
    return [(at_s, bytes.fromhex(message)) for at_s, message in content["sent"]], content["ended"]
