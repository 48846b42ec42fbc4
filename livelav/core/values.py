"""The values that stages hand to each other: frozen, with shapes and units stated.

Times are seconds of `time.monotonic()` of this machine, which all processes share. `captured_s` always means:
when the newest sound that shaped this value reached us.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Event = dict[str, Any]  # what a process says to main: its kind, and what belongs to it

W_DIM = 512
GROUPS = 3  # of layers: coarse, middle, fine
EMBEDDING_DIM = 128
CHROMA_BINS = 12


@dataclass(frozen=True, slots=True)
class Block:
    """What one callback brought."""

    samples: Floats  # [n, channels], nominally -1..1
    captured_s: float  # when its last sample reached us
    rate_hz: float


@dataclass(frozen=True, slots=True)
class Features:
    """One encoder frame and what was heard by hand-made ears in the same samples."""

    embedding: Floats  # [128], before quantisation
    onset: float  # strength, 0 in steady sound, about 1 at a clear attack
    chroma: Floats  # [12], C first, non-negative, sums to 1 (all zero in silence)
    rms: float  # linear, 0..1 for sound within full scale
    captured_s: float
    rise: float = 0.0  # onset strength before it is judged: the mean flux of all bands
    spectrum: Floats | None = None  # [n] magnitudes of the newest 43 ms, where a sine of amplitude 1 has 1
    bin_hz: float = 0.0  # from each of them to the next, the first at 0


@dataclass(frozen=True, slots=True)
class EmbeddingStats:
    """How an encoder's embeddings are spread over music; stored with the encoder."""

    mean: Floats  # [128]
    covariance: Floats  # [128, 128]


@dataclass(frozen=True, slots=True)
class WStats:
    """How a generator's own W is spread (>= 10,000 z through its mapping network), and which layer each ws feeds."""

    mean: Floats  # [512]
    std: Floats  # [512]
    w_avg: Floats  # [512], the centre that psi pulls to
    resolutions: tuple[int, ...]  # per ws: the size in pixels of the first layer that it modulates
    label_mean: Floats | None = None  # [labels, 512] each, of a class-conditional model; there the three above are
    label_std: Floats | None = None  # of all labels together

    @property
    def num_ws(self) -> int:
        return len(self.resolutions)

    @property
    def labels(self) -> int:
        """How many classes of pictures the model tells apart; 0 where it tells none."""
        return 0 if self.label_mean is None else len(self.label_mean)

    def at(self, label: float) -> "WStats":
        """W as that label spreads it, and between two labels as both do. After the last comes the first again, so that
        a knob or a drive has no dead end, however few labels a model has.

        A label's centre is its own mean: a model's w_avg is that of all, which is a picture of nothing.
        """
        if self.label_mean is None or self.label_std is None:
            return self
        low, share = int(label) % self.labels, np.float32(label % 1.0)
        high = (low + 1) % self.labels
        mean = self.label_mean[low] + share * (self.label_mean[high] - self.label_mean[low])
        std = self.label_std[low] + share * (self.label_std[high] - self.label_std[low])
        return WStats(mean, std, mean, self.resolutions)


def layer_group(resolution: int) -> int:
    """0 coarse (4-8 px: layout), 1 middle (16-32 px: form), 2 fine (from 64 px: colour)."""
    if resolution <= 8:
        return 0
    return 1 if resolution <= 32 else 2


def noise_factors(strength: float | NDArray[np.floating] = 1.0, turn: float = 0.0) -> Floats:
    """What a layer group's noise maps are multiplied by, [2, 3]: the model's own maps, and the same maps turned by a
    right angle in the picture.

    `strength` is one number or [3], per group; 1 is the model's own. Going around once with `turn`, 0 to 1, moves the
    noise without changing how strong it is; at 0 it is the model's own.
    """
    angle = 2.0 * np.pi * turn
    each = np.full(GROUPS, strength, np.float32)
    return np.array([math.cos(angle) * each, math.sin(angle) * each], np.float32)


@dataclass(frozen=True, slots=True)
class Controls:
    """All that one image needs."""

    ws: Floats  # [num_ws, 512]
    noise: Floats  # [2, 3], as `noise_factors` says
    captured_s: float


@dataclass(frozen=True, slots=True)
class Image:
    """One picture as it goes to the window."""

    pixels: Bytes  # [height, width, 4], RGBA, sRGB, alpha 255, top row first
    captured_s: float
