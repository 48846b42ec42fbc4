"""A controller's session: what a hand sends within three minutes, written down with its times, and played again."""

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from livelav.core.params import PARAMS

PORT = "session"  # no bank knows it: the parameter table's own controllers hold
SESSION = Path(__file__).parent / "session.json"
SECONDS = 180.0
REST_S = 8.0  # at the end: the longest morph is over
ARGUMENTS = ("--tempo-hearing", "0", "--takeover", "jump", "--input", "demo")  # the music moves nothing

KNOBS = tuple(p.cc for p in PARAMS if p.cc is not None and p.scope == "song")
PRESETS = range(12)

Sent = tuple[float, bytes]  # seconds from the beginning, and the message


def improvised(seed: int) -> list[Sent]:
    """What a hand might do: sweeps of one knob or two, quick and slow, small corrections, presets.

    A knob stands where it was left, so that after a recall it may have to come past its value first.
    """
    chance, sent, now_s = random.Random(seed), list[Sent](), 2.0
    stands = {number: chance.randrange(128) for number in KNOBS}
    while now_s < SECONDS - REST_S:
        what = chance.random()
        if what < 0.85:
            for number in chance.sample(KNOBS, chance.choice((1, 1, 2))):
                goal = min(max(stands[number] + chance.choice((-1, 1)) * chance.choice((3, 20, 60, 127)), 0), 127)
                sent += _sweep(number, stands[number], goal, now_s, chance.uniform(0.1, 2.0))
                stands[number] = goal
        else:
            sent.append((now_s, bytes((0xC0, chance.choice(PRESETS)))))
        now_s += chance.uniform(0.3, 3.0)
    return sorted(sent)


def _sweep(number: int, start: int, goal: int, begin_s: float, seconds: float) -> Iterator[Sent]:
    """At most a message each 12 ms, as boxes send them; slow at its ends."""
    last, steps = start, max(int(seconds / 0.012), 1)
    for step in range(1, steps + 1):
        share = step / steps
        value = round(start + (goal - start) * share * share * (3 - 2 * share))
        if value != last:
            yield begin_s + share * seconds, bytes((0xB0, number, value))
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
