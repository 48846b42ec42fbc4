"""The show's tempo, and who gives it: a sequencer while its clock ticks, or a session that others play in, else a hand,
else the sound.

The sound gives it until a hand taps or sets one: that stays, whatever is heard, until hearing is switched on again.
While the sound gives it, hands may double, nudge and say where bars begin, and the beat goes on being followed.
Runs in main; the time is passed in.
"""

import math

from livelav.control.commands import BeatCommand, Follow, Hear, Nudge, Resync, ScaleTempo, Tap
from livelav.core.params import BY_NAME
from livelav.core.tempo import BEATS_A_BAR, Taps, Tempo

_BPM = BY_NAME["tempo.bpm"]
SESSION = "Link"
_CLOCK_GOES_S = 4.0  # without a beat of the sequencer's clock: others may set the tempo again
_SETTLES_S = 0.3  # for so long a session may not know yet what a hand has asked of it
_SURE = 0.5  # confidence from which on a heard tempo is believed
_STEADY_BPM = 0.2  # by so much a heard tempo may sway without the show's doing so
_OTHER_SONG = 0.08  # a heard tempo that changes by more: what hands have said of the last one is over
_HIT = 0.25  # beats: so near to a heard beat a hand that says where the bar begins means that beat


class Beat:
    """`tempo` at this moment, and its `source` for the operator's eyes."""

    def __init__(self, bpm: float, now_s: float, hears: bool = True) -> None:
        self.tempo = Tempo(bpm, now_s)
        self.asked = self.tempo  # what hands or the sound have set last: a session is asked for it
        self._asked_s = -math.inf
        self.source = "set"
        self.confidence = 0.0  # of what is heard, whoever gives the tempo
        self.hears = hears
        self._taps = Taps()
        self._clock = "", -math.inf  # whose clock, and when it was heard last
        self.news: list[str] = []  # that nobody was told of so far
        self._has_refused = False  # a hand's tempo, since the clock began
        self._starts = 0  # of its song, so far
        self._apart = 0.0  # by how many beats hands have put them later than its ticks
        self._heard_bpm = 0.0
        # what hands have made of what is heard: times as fast, and later, by beats as they are heard
        self._factor, self._off = 1.0, 0.0

    def perform(self, command: BeatCommand, now_s: float) -> None:
        """Taps, nudges, doubles; a sequencer's tempo is only moved in time, for its ticks would undo the rest."""
        match command:
            case Nudge(seconds):
                self._move(seconds, now_s)
            case Resync():
                beats = self.tempo.beats(now_s)
                off = beats - BEATS_A_BAR * round(beats / BEATS_A_BAR)
                if self.source == "heard" and abs(off - round(off)) <= _HIT:
                    off = round(off)
                self._move(off * self.tempo.period_s, now_s)
            case Tap():
                self._take(self._taps.tap(now_s), "tapped", now_s)
            case ScaleTempo(factor):
                if self._take(self.tempo.scaled(factor, now_s), self.source, now_s):
                    self._factor *= factor
            case Hear():
                self.set_hearing(not self.hears)
            case Follow(bpm, bar_s, hears):  # nobody else gives it any more
                self.tempo, self.source, self.hears = Tempo(bpm, now_s + bar_s), "take", hears
                self._clock = self.source, math.inf

    def set_bpm(self, bpm: float, now_s: float) -> None:
        """A knob, a preset or OSC has set it."""
        if bpm != self.tempo.bpm:
            self._take(self.tempo.at_bpm(bpm, now_s), "set", now_s)

    def set_hearing(self, hears: bool) -> None:
        """Whether the sound gives the tempo from now on, where no clock does."""
        if hears and not self.hears:
            self._heard_bpm = 0.0
        self.hears = hears
        if not hears and self.source == "heard":
            self.source = "kept"

    def on_clock(self, port: str, tempo: Tempo, now_s: float, starts: int = 0) -> None:
        """A sequencer's beat, and how often it has started its song, or gone to another place in it. Where two give one
        the first counts, until it stops."""
        self._follow(f"clock of {port}", tempo, now_s, starts)

    def on_session(self, tempo: Tempo, now_s: float) -> None:
        """The beat that all share in a session. Hands may set its tempo, too; its bars are everybody's."""
        if now_s - self._asked_s >= _SETTLES_S:
            self._follow(SESSION, tempo, now_s)

    def on_sound(self, tempo: Tempo, confidence: float, now_s: float) -> None:
        """What the sound's beat is heard to be; its origin is any beat."""
        self.confidence = confidence
        if not self.hears or self._is_led(now_s) or confidence < _SURE:
            return
        if abs(tempo.bpm - self._heard_bpm) > _OTHER_SONG * self._heard_bpm:
            self._factor, self._off = 1.0, 0.0
        self._heard_bpm = tempo.bpm
        bpm = tempo.bpm * self._factor
        bpm = self.tempo.bpm if abs(bpm - self.tempo.bpm) <= _STEADY_BPM else round(bpm, 1)
        heard = Tempo(bpm, tempo.origin_s).moved(self._off * tempo.period_s)
        if _BPM.lo <= bpm <= _BPM.hi:
            self.tempo, self.source = heard.beside(self.tempo, now_s, min(self._factor, 1.0)), "heard"
            self.asked = self.tempo

    def _follow(self, source: str, tempo: Tempo, now_s: float, starts: int = 0) -> None:
        is_new = not self._is_led(now_s)
        if (source == self._clock[0] or is_new) and _BPM.lo <= tempo.bpm <= _BPM.hi:
            if is_new:
                self._has_refused = False
            if is_new or starts != self._starts:  # it says anew where its bars begin
                self._apart = 0.0
            self._clock, self._starts, self._heard_bpm = (source, now_s), starts, 0.0
            self.tempo, self.source = tempo.moved(self._apart * tempo.period_s), source

    def _is_led(self, now_s: float) -> bool:
        return now_s - self._clock[1] <= _CLOCK_GOES_S

    def _move(self, seconds: float, now_s: float) -> None:
        self.tempo = self.tempo.moved(seconds)
        self._apart += seconds / self.tempo.period_s
        off = self._off + seconds / (self.tempo.period_s * self._factor)
        self._off = off - round(off)  # whole beats are remembered in the tempo
        if not self._is_led(now_s):
            self.asked = self.tempo

    def _take(self, tempo: Tempo | None, source: str, now_s: float) -> bool:
        """Whether a hand's tempo is taken."""
        if not tempo or not _BPM.lo <= tempo.bpm <= _BPM.hi:
            return False
        if not self._is_led(now_s):
            self.tempo, self.source = tempo, source
            self.hears = self.hears and source not in ("tapped", "set")
        elif self._clock[0] == SESSION:
            self.tempo = self.tempo.at_bpm(tempo.bpm, now_s)
        else:
            if not self._has_refused:
                self._has_refused = True
                self.news.append(f"the {self._clock[0]} gives the tempo: taps, x2 and /2 do nothing until it stops")
            return False
        self.asked, self._asked_s = self.tempo, now_s
        return True
