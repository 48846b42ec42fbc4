"""Chooses at which share of the window's resolution feedback is drawn, from what drawing costs.

For software renderers: a card needs none. Pure numbers; the time is passed in.
"""

import statistics

SCALES = (1.0, 0.5)
LOOK = 40  # pictures over which the cost is judged
RAISE_AFTER_S = 10.0  # of low cost, before more resolution is tried: a scale that hunts is worse than a low one


class Governor:
    """Steps down when drawing takes more than its budget, up again after a long time of plenty."""

    def __init__(self, budget_ms: float) -> None:
        """`budget_ms`: what a picture may cost on the median."""
        self._budget_ms = budget_ms
        self._costs_ms: list[float] = []
        self._index = 0
        self._changed_s = float("-inf")

    @property
    def scale(self) -> float:
        return SCALES[self._index]

    def step(self, cost_ms: float, now_s: float) -> float:
        """Takes what the last picture cost; returns the scale for the next."""
        self._costs_ms.append(cost_ms)
        if len(self._costs_ms) >= LOOK:
            median_ms = statistics.median(self._costs_ms)
            self._costs_ms.clear()
            if median_ms > self._budget_ms and self._index + 1 < len(SCALES):
                self._index, self._changed_s = self._index + 1, now_s
            elif self._index > 0 and now_s - self._changed_s >= RAISE_AFTER_S:
                # what it would cost, at worst, where every pixel costs the same
                growth = (SCALES[self._index - 1] / SCALES[self._index]) ** 2
                if median_ms * growth < self._budget_ms:
                    self._index, self._changed_s = self._index - 1, now_s
        return self.scale
