"""What the audience sees of a controller gone mad: how evenly pictures come while 10,000 messages a second arrive.

    python tools/evaluate_storm.py [--seconds S] [--rate N]

Plays the demo, in its window where there is a display, and listens to a controller of its own. By turns of five seconds
that one is calm, storms on a port that nobody listens to, and storms where the show hears it: what the second does to
pictures is the sender's and the MIDI system's doing, what the third adds is livelav's. It turns five knobs; where a
storm left them is compared with where the show has them half a second later. All three are of one run, and may be
compared on a busy machine too. Needs MIDI ports that programs can make: JACK, ALSA's sequencer or CoreMIDI.
"""

import argparse
import multiprocessing
import os
import time
from ctypes import c_int
from dataclasses import replace
from typing import Any

import numpy as np

from livelav.control.midi import MidiConfig
from livelav.control.player import open_controller
from livelav.core.params import BY_NAME
from livelav.core.store import only_instance
from livelav.flags import first_scene
from livelav.live.engine import Live, run_live
from livelav.play import has_display, live_config, opener

TURN_S = 5.0
REST_S = 0.5  # after which what a storm left must stand
BURST = 50  # messages at once
PORT, ASIDE = "storm", "aside"
PHASES = ("calm", "storm aside", "storm")
KNOBS = {
    20: "mapping.norm", 21: "mapping.slope", 22: "smoothing.coarse", 23: "smoothing.middle", 24: "smoothing.fine",
}  # fmt: skip


def send(turn: Any, sent: Any, rate: int) -> None:
    """Body of the controller's process: storms as the phase of `turn` is, and ends each storm on values of its own."""
    ports, was = {PHASES[1]: open_controller(ASIDE), PHASES[2]: open_controller(PORT)}, 0
    while turn.value >= 0:
        phase = PHASES[turn.value % len(PHASES)]
        if port := ports.get(phase):
            begin_s, count, now = time.monotonic(), 0, turn.value
            while turn.value == now:
                for _ in range(BURST):
                    port.send_message([0xB0, 20 + count % 5, count * 7 % 128])
                    count += 1
                time.sleep(max(begin_s + count / rate - time.monotonic(), 0.0))
            for i, number in enumerate(KNOBS):
                port.send_message([0xB0, number, (11 * i + 20 * was) % 128])
            if port is ports[PHASES[2]]:
                sent.value += count + len(KNOBS)
                was = now
        time.sleep(0.01)
    for port in ports.values():
        port.delete()


class Eye:
    """Times every present, gives turns, and looks where storms left the knobs."""

    def __init__(self, turn: Any) -> None:
        # from one present to the next: how long, and how much of the processor's time main's thread took
        self.intervals_ms: dict[str, list[tuple[float, float]]] = {phase: [] for phase in PHASES}
        self.right = self.looked = 0
        self._turn = turn
        self._began_s = self._last_s = self._spent_s = 0.0
        self._was = 0  # the storm before, as the controller counts
        self._looks_s = float("inf")

    def look(self, live: Live) -> None:
        now_s, spent_s, before_s = time.monotonic(), time.thread_time(), self._spent_s
        self._spent_s = spent_s
        if not live.shared.main["first_s"] or not live.desk.inputs.ports:
            self._began_s = now_s + 1.0
            return
        if self._last_s and now_s > self._began_s:
            # the moment of change, and of looking, belongs to neither
            took = (now_s - self._last_s) * 1000, (spent_s - before_s) * 1000
            self.intervals_ms[PHASES[self._turn.value % len(PHASES)]].append(took)
        self._last_s = now_s
        if now_s > self._looks_s:
            settings = live.desk.scenes.scene.settings
            wanted = {name: (11 * i + 20 * self._was) % 128 / 127 for i, name in enumerate(KNOBS.values())}
            self.right += sum(abs(BY_NAME[n].knob(settings[n]) - knob) < 0.5 / 127 for n, knob in wanted.items())
            self.looked += len(wanted)
            self._was, self._looks_s, self._last_s = self._turn.value - 1, float("inf"), 0.0
        if now_s - self._began_s > TURN_S:
            self._turn.value += 1
            self._began_s, self._last_s = now_s, 0.0
            if self._turn.value % len(PHASES) == 0:
                self._looks_s = now_s + REST_S


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=70.0)
    parser.add_argument("--rate", type=int, default=10_000, help="messages a second")
    args = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of the processes to come: as the command line has it
    ctx = multiprocessing.get_context("spawn")
    turn, sent = ctx.Value(c_int, 0), ctx.Value(c_int, 0)
    other = ctx.Process(target=send, args=(turn, sent, args.rate), daemon=True)
    other.start()
    config = live_config("demo", scene=first_scene(None, None, {"osc": "off"}))
    config = replace(config, midi=MidiConfig((PORT,)), seconds=args.seconds)
    eye = Eye(turn)
    try:
        with only_instance():
            live = run_live(config, opener(config.size, headless=not has_display()), eye.look)
    finally:
        turn.value = -1
        other.join(2.0)
    for name, found in eye.intervals_ms.items():
        apart, spent = (np.percentile(column, [50, 99, 100]) for column in zip(*found, strict=True))
        print(
            f"{name}: {len(found)} presents, ms apart p50 {apart[0]:.2f} p99 {apart[1]:.2f} most {apart[2]:.1f}; "
            f"main's ms of the processor p50 {spent[0]:.2f} p99 {spent[1]:.2f}"
        )
    midi = live.final["midi"]
    print(f"sent {sent.value} messages, arrived {midi['messages']}, lost here {midi['lost']}")
    print(f"knobs where the storm left them: {eye.right} of {eye.looked}")


if __name__ == "__main__":
    main()
