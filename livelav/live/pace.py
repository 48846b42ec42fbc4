"""When a picture is begun, and when it is shown: by the display where that waits, else at even moments of our own.

How long drawing takes differs from picture to picture; shown as soon as it is drawn, one would come too soon and the
next too late. Knows no display and no picture.
"""

from livelav.core.clock import Clock, Pacer

_TOO_QUICK = 30  # presents that did not wait, more than did
_QUICK_S = 0.002  # from one picture to the next: nothing waited
_TRIED_S, _TRIED = 5.0, 6  # after so long so many pictures try whether it waits by now: some do not while covered
_PICTURES = 20  # over which it is judged how long one takes
_SPARE_S = 0.002  # one that takes so much longer than others is shown in time


class Pace:
    """Of one show. Told of each picture when it is begun, when it is drawn and when it is shown."""

    def __init__(self, clock: Clock, fps: float) -> None:
        """`fps`: pictures a second, where the display does not say."""
        self._clock = clock
        self.begun_s = clock.now_s()  # the last picture
        self._pacer = Pacer(fps, self.begun_s)
        self.period_s = self._pacer.period_s
        self._waits = False  # whether presenting waits for the display
        self._quick, self._quick_s = 0, _QUICK_S
        self._tried_s = self.begun_s  # when it was found not to wait, or tried
        self._drawn_s = self._asked_s = self.begun_s
        self._draw_s = self._show_s = 0.0  # what either takes, as a rule

    def left_s(self) -> float:
        """Until the next picture is to be begun; 0 where presenting itself waits."""
        if self._waits:
            return 0.0
        return min(max(self._pacer.due_s - self._clock.now_s(), 0.0), self._pacer.period_s)

    @property
    def ahead_s(self) -> float:
        """From now until the middle of the time in which the next picture is shown: what is due until then belongs to
        it, for no other picture is nearer."""
        return self.left_s() + self._lead_s + self._show_s + 0.5 * self.period_s

    def begin(self, now_s: float, waits: bool) -> tuple[float, int]:
        """Seconds since the last picture was begun, and how many came too late to be shown.

        `waits`: the display says that presenting waits for it. Some drivers say so and do not.
        """
        step_s, self.begun_s = now_s - self.begun_s, now_s
        late, waited = self._pacer.advance(now_s), self._waits
        if waited:
            self._judge(step_s, now_s)
        elif self._quick >= _TOO_QUICK and now_s - self._tried_s > _TRIED_S:
            self._quick = _TOO_QUICK - _TRIED
        self._waits = waits and self._quick < _TOO_QUICK
        if not self._waits:
            self.period_s = self._pacer.period_s
            return step_s, late
        late = int(step_s > 1.5 * self.period_s)  # a period is what the display takes, not what was asked for
        if not late and step_s >= self._quick_s:
            self.period_s += 0.05 * (step_s - self.period_s)
        return step_s, late

    def _judge(self, step_s: float, now_s: float) -> None:
        """Whether presenting waited, as the display says. One that was caught once is believed less: it must not draw
        as fast as it can whenever it is tried."""
        self._quick = self._quick + 1 if step_s < self._quick_s else max(self._quick - 1, 0)
        if self._quick == _TOO_QUICK:
            self._tried_s = now_s
            self._quick_s = max(_QUICK_S, 0.25 * self._pacer.period_s)

    def wait(self) -> None:
        """From the moment a picture is drawn until it is to be shown."""
        self._drawn_s = self._clock.now_s()
        left_s = self._pacer.due_s - self._pacer.period_s + self._lead_s - self._drawn_s
        if not self._waits and left_s < self._pacer.period_s:
            self._clock.sleep(left_s)
        self._asked_s = self._clock.now_s()

    def shown(self, now_s: float) -> float:
        """What drawing and presenting took of the processor's time, in seconds, waiting left out."""
        draw_s, show_s = self._drawn_s - self.begun_s, now_s - self._asked_s
        # a stall says nothing of others; a display of half the pace that was asked for takes two periods
        self._draw_s += (min(draw_s, self._pacer.period_s) - self._draw_s) / _PICTURES
        self._show_s += (min(show_s, 2.0 * self.period_s) - self._show_s) / _PICTURES
        return draw_s + show_s

    @property
    def _lead_s(self) -> float:
        """From the beginning of a picture until it is handed to the display."""
        return self._draw_s + (0.0 if self._waits else _SPARE_S)
