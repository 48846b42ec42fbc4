"""The show's tempo, and who gives it: a sequencer while its clock ticks, else the hand that tapped or set it last.

Runs in main; the time is passed in.
"""

import math

from livelav.control.commands import BeatCommand, Nudge, Resync, ScaleTempo, Tap
from livelav.core.params import BY_NAME
from livelav.core.tempo import BEATS_A_BAR, Taps, Tempo

_BPM = BY_NAME["tempo.bpm"]
_CLOCK_GOES_S = 4.0  # without a beat of the sequencer's clock: a hand may set the tempo again


class Beat:
    """`tempo` at this moment, and its `source` for the operator's eyes."""

    def __init__(self, bpm: float, now_s: float) -> None:
        self.tempo = Tempo(bpm, now_s)
        self.source = "set"
        self._taps = Taps()
        self._clock = "", -math.inf  # whose clock, and when it was heard last
        self._apart_s = 0.0  # how much later than its ticks hands have put the beats

    def perform(self, command: BeatCommand, now_s: float) -> None:
        """Taps, nudges, doubles; a sequencer's tempo is only moved in time, for its ticks would undo the rest."""
        match command:
            case Nudge(seconds):
                self._move(seconds)
            case Resync():
                beats = self.tempo.beats(now_s)
                self._move((beats - BEATS_A_BAR * round(beats / BEATS_A_BAR)) * self.tempo.period_s)
            case Tap():
                self._take(self._taps.tap(now_s), "tapped", now_s)
            case ScaleTempo(factor):
                self._take(self.tempo.scaled(factor, now_s), self.source, now_s)

    def set_bpm(self, bpm: float, now_s: float) -> None:
        """A knob, a preset or OSC has set it."""
        if bpm != self.tempo.bpm:
            self._take(self.tempo.at_bpm(bpm, now_s), "set", now_s)

    def on_clock(self, port: str, tempo: Tempo, now_s: float) -> None:
        """A sequencer's beat. Where two send a clock the first one counts, until it stops."""
        leader, heard_s = self._clock
        if (port == leader or now_s - heard_s > _CLOCK_GOES_S) and _BPM.lo <= tempo.bpm <= _BPM.hi:
            if now_s - heard_s > _CLOCK_GOES_S:
                self._apart_s = 0.0
            self._clock = port, now_s
            self.tempo, self.source = tempo.moved(self._apart_s), f"clock of {port}"

    def _move(self, seconds: float) -> None:
        self.tempo = self.tempo.moved(seconds)
        self._apart_s += seconds

    def _take(self, tempo: Tempo | None, source: str, now_s: float) -> None:
        is_led = now_s - self._clock[1] <= _CLOCK_GOES_S
        if tempo and not is_led and _BPM.lo <= tempo.bpm <= _BPM.hi:
            self.tempo, self.source = tempo, source
