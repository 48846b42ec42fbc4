"""Causal smoothing in time: a leaky integrator, moving averages whose window may move, and gliding settings.

All times are seconds, so encoders of 50, 75 and 150 frames a second look alike.
Sources: Moore, *Learned Navigation of StyleGAN3 Latent Space from Audio Descriptors* (the integrator); LAV (arXiv
2505.10101) (the windows per layer group).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats

# A window may grow or shrink by this share per frame: what a moved knob changes then stays below the signal's own
# motion, and the longest way (0.01 to 8 s) takes under 2 s.
_SLEW = 0.05
# An onset lasts one frame: without this the integrator and the windows would leave a tenth of it.
ATTACK_S = 0.12


class LeakyIntegrator:
    """s = a s + (1 - a) x with a = exp(-dt / tau). Starts at `start`."""

    def __init__(self, start: Floats) -> None:
        self._state = start.astype(np.float64)

    def step(self, x: Floats, dt_s: float, tau_s: float) -> NDArray[np.float64]:
        """[n] to [n]; `tau_s` may differ at every step."""
        a = math.exp(-dt_s / tau_s)
        self._state = a * self._state + (1.0 - a) * x
        return self._state

    def scale(self, factors: Floats) -> None:
        """Goes on in other units: [n]."""
        self._state = self._state * factors


class Decay:
    """Follows a value up at once and lets it fall by 1/e in `tau_s`: an attack of one frame outlives the smoothing."""

    def __init__(self, tau_s: float) -> None:
        self._tau_s = tau_s
        self._value = 0.0

    def step(self, value: float, dt_s: float) -> float:
        self._value = max(value, self._value * math.exp(-dt_s / self._tau_s))
        return self._value


class MovingAverages:
    """Several moving averages of one signal, each over its own, movable, fractional window. O(1) per frame.

    Kept as running sums C[t] = x[0] + ... + x[t]; a window of N frames is then (C[t] - C[t-N]) / N, with C[t-N]
    interpolated where N is no whole number:

        ... C[t-3] ---- C[t-2] ---- C[t-1] ---- C[t]
               |<------------ N = 2.6 ---------->|

    Before the first frame the signal counts as zero, so callers pass deviations from where they want to begin.
    """

    def __init__(self, dim: int, longest: int, windows: Sequence[float]) -> None:
        """`longest` window in frames, and the `windows` (frames) to begin with."""
        self._sums = np.zeros((longest + 2, dim))
        self._t = 0
        self._windows = [float(w) for w in windows]

    def step(self, x: NDArray[np.float64], targets: Sequence[float]) -> list[NDArray[np.float64]]:
        """Takes x [dim]; returns one average [dim] per window. Each window moves towards its target (frames, >= 1)."""
        size = len(self._sums)
        newest = self._sums[self._t % size] + x
        self._t += 1
        self._sums[self._t % size] = newest
        averages = []
        for i, target in enumerate(targets):
            window = min(max(target, self._windows[i] / (1 + _SLEW)), self._windows[i] * (1 + _SLEW))
            window = self._windows[i] = min(max(window, 1.0), size - 2.0)
            whole = int(window)
            share = window - whole
            before = self._sums[(self._t - whole) % size]
            if share:
                before = before + share * (self._sums[(self._t - whole - 1) % size] - before)
            averages.append((newest - before) / window)
        return averages

    def scale(self, factors: Floats) -> None:
        """Goes on in other units: [dim]."""
        self._sums *= factors


class Glide:
    """Values that follow their targets within some tens of ms: a jump of a knob becomes a short ramp."""

    _TAU_S = 0.04

    def __init__(self) -> None:
        self._values: NDArray[np.float64] | None = None

    def step(self, targets: Sequence[float], dt_s: float) -> list[float]:
        """The gliding values; the first call begins at its targets."""
        if self._values is None:
            self._values = np.array(targets, dtype=np.float64)
        rest = math.exp(-dt_s / self._TAU_S)
        self._values = np.array(targets) + rest * (self._values - np.array(targets))
        return [float(v) for v in self._values]
