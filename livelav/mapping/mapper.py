"""Features to controls: the whole mapping, one encoder frame at a time. numpy only; knows no time but dt.

    features -> guide (LAV's, or another) -> leaky tanh, scale to W, + push -> leaky integrator
             -> moving average per layer group (coarse, middle, fine) -> psi -> ws

The label of a class-conditional model moves the statistics that W is scaled by, and nothing else.
Runs in the synth process, or in an offline render with the same result.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np

from livelav.core.params import BY_NAME, Settings
from livelav.core.values import Controls, EmbeddingStats, Features, Floats, WStats, layer_group, noise_factors
from livelav.mapping.baselines import Chroma, Onsets, OnsetsChroma, Random, Still
from livelav.mapping.guides import Guide
from livelav.mapping.labels import LabelGlide
from livelav.mapping.lav import Lav, Mode
from livelav.mapping.modulation import Placement, scale_to_w
from livelav.mapping.smoothing import Glide, LeakyIntegrator, MovingAverages
from livelav.mapping.spectral import Spectral

Synth = Literal["lav", "still", "random", "onsets", "chroma", "onsets-chroma", "spectral"]

_BESIDES_LAV: dict[str, Callable[[int], Guide]] = {
    "still": Still,
    "random": Random,
    "onsets": Onsets,
    "chroma": Chroma,
    "onsets-chroma": OnsetsChroma,
    "spectral": Spectral,
}
_WINDOWS = ("smoothing.coarse", "smoothing.middle", "smoothing.fine")
_GLIDING = (
    "mapping.norm", "mapping.slope", "mapping.noise", "generate.psi",
    "psi.coarse", "psi.middle", "psi.fine", "noise.coarse", "noise.middle", "noise.fine", "noise.drift",
)  # fmt: skip


class EncoderFacts(Protocol):
    """What the mapping needs to know of an encoder."""

    @property
    def frame_rate(self) -> float: ...
    @property
    def stats(self) -> EmbeddingStats: ...


class Mapper:
    """One stream's mapping and all that it remembers."""

    def __init__(
        self,
        stats: WStats,
        encoder: EncoderFacts,
        seed: int = 0,
        mode: Mode = "running",
        placement: Placement = "inside",
        track: EmbeddingStats | None = None,
        synth: Synth = "lav",
    ) -> None:
        """`stats` is the generator's W. Mode `track` takes a whole file's embedding statistics as `track`.

        `synth` says what leads W; mode and track are LAV's alone.
        """
        assert (track is not None) == (mode == "track"), "statistics of a track belong to mode 'track', and only to it"
        self._placement = placement
        self._labels = LabelGlide(stats)
        self._dt_s = 1.0 / encoder.frame_rate
        self._guide: Guide = Lav(seed, track or encoder.stats, mode) if synth == "lav" else _BESIDES_LAV[synth](seed)
        self._glide = Glide()
        self._integrator = LeakyIntegrator(np.zeros(len(stats.mean) + 1, np.float32))
        self._averages: MovingAverages | None = None
        self._origin = np.zeros_like(stats.mean)  # [512], from the mean: where it began
        self._noise_turn = 0.0
        self._groups = np.array([layer_group(r) for r in stats.resolutions])

    @property
    def centre(self) -> Floats:
        """[512]: what psi pulls to in the last frame."""
        return self._labels.now.w_avg

    def follow(self, other: "Mapper") -> None:
        """Takes on where the noise maps stand, which is no mapping's own: in a fade of two they must not cancel."""
        self._noise_turn = other._noise_turn

    def take_over(self, other: "Mapper") -> None:
        """Goes on where another one stands, of the same key and encoder. What is smoothed is in units of W,
        so for another model it is scaled to that one's; for the same it is exact."""
        self._guide, self._glide, self._origin = other._guide, other._glide, other._origin
        self._integrator, self._averages, self._noise_turn = other._integrator, other._averages, other._noise_turn
        ours, theirs = self._labels.stats, other._labels.stats
        if np.array_equal(ours.mean, theirs.mean) and np.array_equal(ours.std, theirs.std):
            self._labels.now, self._labels.began = other._labels.now, other._labels.began
            return
        scale = np.asarray(ours.std / np.maximum(theirs.std, np.float32(1e-9)), np.float32)
        self._integrator.scale(np.append(scale, np.float32(1.0)))
        self._origin = self._origin * scale
        if self._averages:
            self._averages.scale(scale)

    def step(self, features: Features, settings: Settings) -> Controls:
        """One frame. Finite features give finite ws, whatever the settings."""
        dt_s = self._dt_s
        stats = self._labels.step(settings["generate.label"], dt_s)
        y, slope, noise, psi, *rest = self._glide.step([settings[name] for name in _GLIDING], dt_s)
        psis, noises, drift = psi * np.array(rest[:3]), np.array(rest[3:6]), rest[6]
        aim = self._guide.step(features, settings, dt_s)
        w = scale_to_w(aim.n, stats, y, slope, self._placement) + stats.std * aim.push

        # What is smoothed is the way from the mean, which a label may move meanwhile. Loudness rides behind it through
        # the same integrator, so that noise and truncation breathe as fast as the picture.
        windows = [max(settings[name] / dt_s, 1.0) for name in _WINDOWS]
        if self._averages is None:
            longest = int(max(BY_NAME[name].hi for name in _WINDOWS) / dt_s) + 1
            self._averages = MovingAverages(len(stats.mean), longest, windows)
            self._origin = w - stats.mean if self._guide.begins_there else np.zeros_like(stats.mean)
        moved = np.append(w - stats.mean - self._origin, np.float32(aim.loudness))
        s = self._integrator.step(moved, dt_s, settings["smoothing.leak"])
        groups = np.stack(self._averages.step(s[:-1], windows)) + (stats.mean + self._origin)
        loud = float(s[-1])
        psis *= 1.0 + aim.swell * (2.0 * loud - 1.0)
        truncated = (stats.w_avg + psis[:, None] * (groups - stats.w_avg)).astype(np.float32)
        self._noise_turn = (self._noise_turn + drift * dt_s) % 1.0
        strengths = noises * (1.0 + noise * loud)
        return Controls(truncated[self._groups], noise_factors(strengths, self._noise_turn), features.captured_s)
