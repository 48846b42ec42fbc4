"""The show's tempo, and who gives it: a sequencer while its clock ticks, a session that others play in, or else the
hand that tapped or set it last.

Runs in main; the time is passed in.
"""

import math

from livelav.control.commands import BeatCommand, Nudge, Resync, ScaleTempo, Tap
from livelav.core.params import BY_NAME
from livelav.core.tempo import BEATS_A_BAR, Taps, Tempo

_BPM = BY_NAME["tempo.bpm"]
SESSION = "Link"
_CLOCK_GOES_S = 4.0  # without a beat of the sequencer's clock: a hand may set the tempo again
_SETTLES_S = 0.3  # for so long a session may not know yet what a hand has asked of it


class Beat:
    """`tempo` at this moment, and its `source` for the operator's eyes."""

    def __init__(self, bpm: float, now_s: float) -> None:
        self.tempo = Tempo(bpm, now_s)
        self.asked = self.tempo  # what hands have set last: a session is asked for it
        self._asked_s = -math.inf
        self.source = "set"
        self._taps = Taps()
        self._clock = "", -math.inf  # whose clock, and when it was heard last
        self._apart_s = 0.0  # how much later than its ticks hands have put the beats

    def perform(self, command: BeatCommand, now_s: float) -> None:
        """Taps, nudges, doubles; a sequencer's tempo is only moved in time, for its ticks would undo the rest."""
        match command:
            case Nudge(seconds):
                self._move(seconds, now_s)
            case Resync():
                beats = self.tempo.beats(now_s)
                self._move((beats - BEATS_A_BAR * round(beats / BEATS_A_BAR)) * self.tempo.period_s, now_s)
            case Tap():
                self._take(self._taps.tap(now_s), "tapped", now_s)
            case ScaleTempo(factor):
                self._take(self.tempo.scaled(factor, now_s), self.source, now_s)

    def set_bpm(self, bpm: float, now_s: float) -> None:
        """A knob, a preset or OSC has set it."""
        if bpm != self.tempo.bpm:
            self._take(self.tempo.at_bpm(bpm, now_s), "set", now_s)

    def on_clock(self, port: str, tempo: Tempo, now_s: float) -> None:
        """A sequencer's beat. Where two give one the first counts, until it stops."""
        self._follow(f"clock of {port}", tempo, now_s)

    def on_session(self, tempo: Tempo, now_s: float) -> None:
        """The beat that all share in a session. Hands may set its tempo, too; its bars are everybody's."""
        if now_s - self._asked_s >= _SETTLES_S:
            self._follow(SESSION, tempo, now_s)

    def _follow(self, source: str, tempo: Tempo, now_s: float) -> None:
        is_new = not self._is_led(now_s)
        if (source == self._clock[0] or is_new) and _BPM.lo <= tempo.bpm <= _BPM.hi:
            if is_new:
                self._apart_s = 0.0
            self._clock = source, now_s
            self.tempo, self.source = tempo.moved(self._apart_s), source

    def _is_led(self, now_s: float) -> bool:
        return now_s - self._clock[1] <= _CLOCK_GOES_S

    def _move(self, seconds: float, now_s: float) -> None:
        self.tempo = self.tempo.moved(seconds)
        self._apart_s += seconds
        if not self._is_led(now_s):
            self.asked = self.tempo

    def _take(self, tempo: Tempo | None, source: str, now_s: float) -> None:
        if not tempo or not _BPM.lo <= tempo.bpm <= _BPM.hi:
            return
        if not self._is_led(now_s):
            self.tempo, self.source = tempo, source
        elif self._clock[0] == SESSION:
            self.tempo = self.tempo.at_bpm(tempo.bpm, now_s)
        else:
            return
        self.asked, self._asked_s = self.tempo, now_s
