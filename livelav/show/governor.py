"""Chooses at which share of the window's resolution the picture is drawn, from what drawing costs.

Half a resolution costs much less, and lines look a little softer: motion that flows is worth more than
that. For software renderers: a card needs none. Pure numbers; the time is passed in.
"""

import statistics

SCALES = (1.0, 0.5)
LOOK, TRIAL = 40, 8  # pictures over which the cost is judged; of a scale that was just raised, or begun with
TRY_AFTER_S, LONGEST_PATIENCE_S = 60.0, 960.0
RAISE_AFTER_S = 10.0  # of low cost, before more resolution is tried: a scale that hunts is worse than a low one


class Governor:
    """Begins low and goes up at once where that is cheap, so that the first pictures do not come late. Steps down when
    drawing takes more than its budget, up again after a long time of plenty."""

    def __init__(self, budget_ms: float) -> None:
        """`budget_ms`: what a picture may cost on the median."""
        self._budget_ms = budget_ms
        self._costs_ms: list[float] = []
        self._index = len(SCALES) - 1
        self._look = TRIAL
        self._dear_ms = 0.0  # what made it step down
        self._patience_s = TRY_AFTER_S
        self._growth = _pixels(self._index)  # how much more the scale above costs; 0: not known so far
        self._changed_s: float | None = None

    @property
    def scale(self) -> float:
        return SCALES[self._index]

    def step(self, cost_ms: float, now_s: float) -> float:
        """Takes what the last picture cost; returns the scale for the next."""
        self._costs_ms.append(cost_ms)
        if self._changed_s is None:
            self._changed_s = now_s - RAISE_AFTER_S
        if len(self._costs_ms) < self._look:
            return self.scale
        self._look = LOOK
        median_ms = statistics.median(self._costs_ms)
        self._costs_ms.clear()
        if median_ms > self._budget_ms and self._index + 1 < len(SCALES):
            self._index, self._changed_s = self._index + 1, now_s
            self._dear_ms, self._growth = median_ms, 0.0
        elif self._index > 0:
            if not self._growth:
                self._growth = min(max(self._dear_ms / median_ms, 1.0), _pixels(self._index))
            waited_s = now_s - self._changed_s
            fits = waited_s >= RAISE_AFTER_S and median_ms * self._growth < self._budget_ms
            # what made it dear may be over: so it is tried again, less and less often where it fails
            again = waited_s >= self._patience_s and median_ms < self._budget_ms
            if fits or again:
                self._index, self._changed_s, self._look = self._index - 1, now_s, TRIAL
                if not fits:
                    self._patience_s = min(2.0 * self._patience_s, LONGEST_PATIENCE_S)
        return self.scale


def _pixels(index: int) -> float:
    """How many times as many the scale above has: it cannot cost more than that."""
    return (SCALES[index - 1] / SCALES[index]) ** 2
