"""How the picture moves by itself: a slow sway, waves that bend it, lines that travel, a pulse with each onset.

The show goes on when no new image comes: motion is a function of time and of what was heard with the newest image.
Pure numbers, no OpenGL. Runs in main; time is passed in.
"""

import math
from dataclasses import dataclass

PULSE_S = 0.16  # an onset's light falls to 1/e in this
LOUDNESS_S = 0.12
LONGEST_STEP_S = 0.25  # after a stall motion goes on from where it was; it does not leap

_SWAY_S = (23.0, 17.0, 29.0, 31.0)  # periods of turn, zoom, shift across and down; none a multiple of another
_WAVES_S = (11.0, 13.0, 9.0, 15.0)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the picture has got to."""

    turn: float  # radians
    zoom: float  # >= 1: the image is enlarged by this, so that sway and waves do not bare its edges
    shift: tuple[float, float]  # in image sides
    warp: float  # greatest displacement by the waves, in image sides
    phases: tuple[float, float, float, float]  # of the waves, radians
    lines: float  # how far the lines have travelled, 0..1 from one to the next
    glow: float  # strength of the lines' halo


class Motion:
    """Turns time and sound into poses."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._lines = self._pulse = self._loudness = 0.0

    def step(self, time_s: float, drift: float, rms: float, onset: float) -> Pose:
        """The pose at `time_s`, for `drift` 0..1 and the sound heard now: rms linear, onset about 1 at an attack."""
        dt = 0.0 if self._last_s is None else min(max(time_s - self._last_s, 0.0), LONGEST_STEP_S)
        self._last_s = time_s
        self._pulse = max(self._pulse * math.exp(-dt / PULSE_S), min(max(onset, 0.0), 1.0))
        self._loudness += (min(3.0 * rms, 1.0) - self._loudness) * -math.expm1(-dt / LOUDNESS_S)
        # the lines' way is summed up, not computed from the time: a turned knob changes their speed, not their place
        self._lines = math.fmod(self._lines + dt * (0.3 * drift + 0.25 * self._loudness), 1.0)
        turn, zoom, across, down = (_wave(time_s, period_s) for period_s in _SWAY_S)
        first, second, third, fourth = (_angle(time_s, period_s) for period_s in _WAVES_S)
        return Pose(
            turn=0.09 * drift * turn,
            zoom=1.0 + drift * (0.2 + 0.05 * zoom) + 0.02 * self._pulse,
            shift=(0.02 * drift * across, 0.02 * drift * down),
            warp=0.05 * drift,
            phases=(first, second, third, fourth),
            lines=self._lines,
            glow=0.55 + 0.3 * self._loudness + 0.45 * self._pulse,
        )


def _angle(time_s: float, period_s: float) -> float:
    """Kept small: float32 in the shader would lose a long night's fractions."""
    return math.tau * math.fmod(time_s / period_s, 1.0)


def _wave(time_s: float, period_s: float) -> float:
    return math.sin(_angle(time_s, period_s))
