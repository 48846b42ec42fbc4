"""The way from one label of a class-conditional model to another: straight, whatever labels lie between.

Sound drives W itself, so a label is known by what it does to W: where its own w lie, and how far apart. Going from one
label to another moves these statistics. Knows no time but dt; in the synth process, or offline.
"""

import math
from dataclasses import replace

import numpy as np

from livelav.core.values import WStats

# A key that picks a label answers at once, and a knob turned through a hundred of them does not flicker.
_TAU_S = 0.25


class LabelGlide:
    """Follows the label asked for. A model without labels is left as it is."""

    def __init__(self, stats: WStats) -> None:
        self.stats = stats  # without a label
        self.began = False
        self.now = stats  # the statistics of the last frame

    def step(self, label: float, dt_s: float) -> WStats:
        """The statistics of this frame; the first call begins at `label`."""
        goal, now = self.stats.at(label), self.now
        if goal is self.stats or not self.began:
            self.now, self.began = goal, True
            return goal
        rest = np.float32(math.exp(-dt_s / _TAU_S))
        mean = goal.mean + rest * (now.mean - goal.mean)
        self.now = replace(goal, mean=mean, std=goal.std + rest * (now.std - goal.std), w_avg=mean)
        return self.now
