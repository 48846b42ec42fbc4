"""What may lead W: a guide takes what was heard in one frame and says where W is to go. `lav` is this project's own.

Everything behind it (reach, leaky tanh, integrator, windows, psi) is the Mapper's, and the same for all of them: two
guides differ in how they listen, and in nothing else.
"""

from dataclasses import dataclass
from typing import Protocol

from livelav.core.params import Settings
from livelav.core.values import Features, Floats


@dataclass(frozen=True, slots=True)
class Aim:
    """Where W is to go, from its centre, in units of its standard deviation."""

    n: Floats  # [512]: mapping.norm times this goes through the leaky tanh
    loudness: float = 0.0  # 0..1, what the noise maps breathe with
    push: Floats | float = 0.0  # [512], added behind the tanh
    swell: float = 0.0  # 0..1, how far loudness opens truncation


class Guide(Protocol):
    """One stream's way of listening, and all that it remembers."""

    @property
    def begins_there(self) -> bool:
        """Whether the first picture is where it aims at; else it comes there from the centre of W."""
        ...

    def step(self, features: Features, settings: Settings, dt_s: float) -> Aim:
        """One frame. Finite features give a finite aim, whatever the settings."""
        ...
