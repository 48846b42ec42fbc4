"""What is seen, as features over time: a row for each picture, which come one by one and at ANALYSIS_HZ.

    rgb 24          histograms of red, green, blue        bands 3          RMS of low, middle and high frequencies
    hsv 24          of hue, saturation, value             adaptive 1       RMS above the picture's own middle frequency
    variance 3      of red, green, blue                   difference 1     to the picture before: mean absolute
    spectrum 16     spatial frequencies, log amplitude    directogram 8    optical flow by its direction
                                                          spectral_onset 1, flow_onset 1   sudden rises of those two

After Brouwer's thesis (TU Delft, 2022), which names them; their formulas are said with the functions here. The
directogram is that of Davis and Agrawala, Visual rhythm and beat (2018), the flow Farnebäck's (2003). Keeps one picture
and the numbers. Knows no file. OpenCV.
"""

import math
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Bytes, Floats

LARGEST_PX = 128  # of a side: what is judged is the whole, not the grain
BINS = 8  # of each channel's histogram
RINGS = 16  # of spatial frequency, evenly spaced in its logarithm
DIRECTIONS = 8
_STILL_PX = 1e-3  # less is rounding, which would pass for motion where there is no other
_RGB, _HSV = (256, 256, 256), (180, 256, 256)  # values of each channel, as OpenCV has them
_THIRDS = (0, 5, 10, RINGS)  # rings: low, middle, high
_FLOW = {"pyr_scale": 0.5, "levels": 3, "winsize": 11, "iterations": 2, "poly_n": 5, "poly_sigma": 1.1, "flags": 0}

Wide = NDArray[np.float64]


class PictureFeatures:
    """Takes pictures in order; all of one size."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Floats]] = {}
        self._rings: _Rings | None = None
        self._grey: Bytes | None = None
        self._small: Bytes | None = None
        self._spectrum = np.zeros(RINGS)
        self._flow = np.zeros(DIRECTIONS)
        self.count = 0

    def push(self, rgb: Bytes) -> None:
        """The next picture, [height, width, 3]; one that is larger than LARGEST_PX is averaged down."""
        size = small_size(rgb.shape[1], rgb.shape[0])
        small = rgb if size == rgb.shape[1::-1] else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        small = np.ascontiguousarray(small)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        if self._rings is None:
            self._rings = _Rings(*grey.shape)
        amplitudes, bands, adaptive = self._rings.look(grey)
        row = {
            "rgb": _histograms(small, _RGB),
            "hsv": _histograms(cv2.cvtColor(small, cv2.COLOR_RGB2HSV), _HSV),
            "variance": small.reshape(-1, 3).astype(np.float32).var(axis=0) / 255.0**2,
            "spectrum": amplitudes,
            "bands": bands,
            "adaptive": adaptive,
        }
        if self._grey is None or self._small is None:  # nothing is known of what was before the first
            difference, flow = 0.0, np.zeros(DIRECTIONS)
            self._spectrum = amplitudes
        else:
            difference = float(cv2.absdiff(small, self._small).mean()) / 255.0
            flow = _directogram(cv2.calcOpticalFlowFarneback(self._grey, grey, None, **_FLOW))
        row |= {
            "difference": np.array([difference]),
            "directogram": flow,
            "spectral_onset": _rise(self._spectrum, amplitudes),
            "flow_onset": _rise(self._flow, flow) if self.count > 1 else np.zeros(1),
        }
        self._grey, self._small, self._spectrum, self._flow = grey, small, amplitudes, flow
        for name, values in row.items():
            self._rows.setdefault(name, []).append(np.asarray(values, np.float32))
        self.count += 1

    def features(self) -> dict[str, Floats]:
        """{name: [pictures, d]} of all that came. What only two pictures tell, the first has from the second."""
        found = {name: np.stack(rows) for name, rows in self._rows.items()}
        for name in ("difference", "directogram"):
            found[name][:1] = found[name][1:2] if self.count > 1 else 0.0
        return found


def small_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) at which a picture is judged."""
    scale = min(LARGEST_PX / max(width, height), 1.0)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _histograms(small: Bytes, ranges: tuple[int, ...]) -> Floats:
    """Shares of all pixels, BINS for each channel."""
    shares = [cv2.calcHist([small], [c], None, [BINS], [0, top]).ravel() for c, top in enumerate(ranges)]
    return np.asarray(np.concatenate(shares) / (small.shape[0] * small.shape[1]), np.float32)


class _Rings:
    """The spatial spectrum of pictures of one size, by rings of equal frequency."""

    def __init__(self, height: int, width: int) -> None:
        longest = max(height, width)  # frequencies are cycles in the longer side, both ways
        far = np.hypot(np.fft.fftfreq(height)[:, None] * longest, np.fft.rfftfreq(width)[None] * longest)
        place = np.floor(np.log(np.maximum(far, 1.0)) / math.log(max(longest / 2, 2.0)) * RINGS).astype(int)
        self._ring = np.where(far > 0, np.minimum(place, RINGS - 1), RINGS).ravel()  # the mean has none
        self._counts = np.maximum(np.bincount(self._ring, minlength=RINGS + 1)[:RINGS], 1)
        self._fade = (np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]).astype(np.float32)
        self._order = np.argsort(far.ravel(), kind="stable")[min(far.size - 1, 1) :]

    def look(self, grey: Bytes) -> tuple[Wide, Wide, Wide]:
        """[RINGS] log amplitude; [3] RMS of its low, middle and high; [1] RMS of all above the frequency that halves
        this picture's energy: however coarse or fine it is as a whole, how much detail it has."""
        shade = grey.astype(np.float32) / 255.0
        power = np.square(np.abs(np.fft.rfft2((shade - shade.mean()) * self._fade))).ravel() / grey.size**2
        sums = np.bincount(self._ring, power, RINGS + 1)[:RINGS]
        amplitudes = np.log1p(1e3 * np.sqrt(sums / self._counts))
        bands = [math.sqrt(sums[a:b].sum()) for a, b in pairwise(_THIRDS)]
        total = np.cumsum(power[self._order])
        middle = int(np.searchsorted(total, total[-1] / 2))
        above = power[self._order[middle:]]
        return amplitudes, np.array(bands), np.array([math.sqrt(above.mean())])


def _directogram(flow: Floats) -> Wide:
    """[DIRECTIONS]: how far the picture's points went each way, in pixels, on the mean over all points."""
    far, way = cv2.cartToPolar(flow[..., 0], flow[..., 1])
    sector = np.minimum((way * (DIRECTIONS / (2 * math.pi))).astype(int), DIRECTIONS - 1)
    far[far < _STILL_PX] = 0.0
    return np.asarray(np.bincount(sector.ravel(), far.ravel(), DIRECTIONS) / far.size)


def _rise(before: Wide, now: Wide) -> Wide:
    """[1]: how much grew, all that shrank left out: the flux that also finds onsets in sound."""
    return np.array([np.maximum(now - before, 0.0).sum()])
