"""The beat that the sound itself has: its tempo, when it came last, and how sure that is; heard as it goes by.

Tempo: two spectra of the last seconds' attacks are multiplied. In Fourier's, a tempo has a line where attacks come at
that pace or at a whole fraction of it: none at two thirds of the beat. In the autocorrelation it has a peak where
attacks come again after one, two and four beats: none at four thirds. What is left is the beat and its octaves. Among
those decide drums that alternate from beat to beat (kick, snare), the length of the bar, and how people tap.
Place: where a comb of that tempo meets most attacks; from there it is followed as a phase-locked loop does, so that
neither a break nor a busy bar makes it jump.

Causal, a function of the frames alone. Knows no clock and no bars. Pure numpy without matrix products (show/levels.py
says why); called by whoever feeds the encoder, in its process.

Sources: Peeters, Time Variable Tempo Detection and Beat Marking (2005), for the product of both spectra; Scheirer,
Tempo and Beat Analysis of Acoustic Musical Signals (1998), for combs.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats
from livelav.encode.features import FLUX_BANDS

Doubles = NDArray[np.float64]

SLOWEST_BPM, FASTEST_BPM = 55.0, 215.0
_GRID = 280  # tempi between them, evenly spaced in octaves
_HEARD_S = 8.0
_FIRST_S = 3.0  # of sound, before anything is said
_LOOK_S = 0.25
_LOUDEST = 8.0  # times the mean: no single attack weighs more
_FAINTEST = 1e-4  # flux

# Which tempo. Weights of the bands, low to high: hats tick at multiples of the beat.
_TEMPO_WEIGHTS = np.array([1.0, 0.7, 0.8, 0.2])
_RELIABLE = 0.25  # share of the window that has to overlap itself
_TWICE = 0.5  # of the line at twice the tempo
_ALTERNATING, _QUARTER = 1.0, 0.5  # of the middle bands' line at half the tempo, less a share of that at a quarter
_BAR = 2.0  # of how much more is alike after four beats than after two
_TAPPED_BPM, _OCTAVES = 120.0, 0.5  # how people tap: the middle, and the deviation of it
_MEMORY_S = 2.0
_SAME = 0.04  # a tempo that is no further apart is the same one
_LEAST = 0.12  # speech, applause and rain score up to 0.1, drums 0.3 to 2
_BETTER, _BETTER_S = 1.15, 1.5  # another tempo leads once it scores so many times as much for so long

# Where its beats are.
_PLACE_WEIGHTS = np.array([1.0, 0.5, 1.0, 0.4])
_PLACES = 48  # in a beat
_TEMPI = np.linspace(-0.012, 0.012, 7)  # that are tried around the one that leads, as shares of it
_PAST_S = 4.0  # an attack so long ago counts 1/e of one now
_FOLLOW, _FOLLOW_TEMPO = 0.3, 0.1  # of what a look finds
_DRIFT = 0.2  # of the tempo, for each beat that a look finds it off
_SLIP = 0.12  # beats: what is further off is no drift, but another place;
_WORTH, _WORTH_S = 1.2, 1.5  # it is gone to once the comb meets so many times as much there for so long,
_MOVES = 0.3  # and only at such a confidence: in a break the beat goes on by itself
_LATE_S = 0.025  # so long after an attack its flux is at its height

# How sure that is: a score above the least, no other beat that scores as well, and attacks of late.
_SURE = 0.25  # so much above the least is sure to 1 - 1/e
_ALONE = 3.0  # so many times the next best score is wholly alone
_OCTAVE = 0.1  # a tempo is the same beat as another so near to 1/4, 1/2, 1, 2 or 4 times it, in octaves
_LATELY_S, _PRESENT = 2.0, 0.3  # so much of the usual flux is enough


@dataclass(frozen=True, slots=True)
class HeardBeat:
    """As of the end of the frame that it came with."""

    bpm: float
    ago_s: float  # since one of the last beats
    confidence: float  # 0 where nothing repeats, near 1 for a drum machine


class TempoFollower:
    """The ears for one stream's beat; what it remembers is in it, so each stream needs its own."""

    def __init__(self, frame_rate: float) -> None:
        """`frame_rate` in Hz, the encoder's."""
        self._rate = frame_rate
        size = round(_HEARD_S * frame_rate)
        self._ring = np.zeros((FLUX_BANDS, size), np.float32)
        self._frames = 0
        self._every = round(_LOOK_S * frame_rate)
        self._window = np.sin(0.5 * np.pi * (np.arange(size) + 0.5) / size).astype(np.float32)  # rises towards now
        self._fading = np.exp(-np.arange(size) / (_PAST_S * frame_rate))  # newest first
        self._padded = 1 << math.ceil(math.log2(size + 4 * 60.0 / SLOWEST_BPM * frame_rate))
        self._bpms = np.geomspace(SLOWEST_BPM, FASTEST_BPM, _GRID)
        self._tapped = np.exp(-0.5 * (np.log2(self._bpms / _TAPPED_BPM) / _OCTAVES) ** 2)
        self._scores = np.zeros(_GRID)
        self._bpm = 0.0  # what leads; 0: nothing so far
        self._rival, self._rival_looks = 0.0, 0
        self._confidence = 0.0
        self._is_placed = False
        self._ago = 0.0  # frames since a beat
        self._slip, self._slip_looks = 0.0, 0

    def step(self, flux: Floats) -> HeardBeat | None:
        """Takes one frame's flux [FLUX_BANDS]. Tells the beat four times a second; None in between, and before any."""
        self._ring[:, self._frames % self._ring.shape[1]] = flux
        self._frames += 1
        self._ago += 1.0
        turn = self._frames % self._every
        if self._frames < _FIRST_S * self._rate:
            return None
        if turn == self._every // 2:  # half way between, so that no frame does both
            self._find_tempo(self._attacks())
        if turn or not self._bpm:
            return None
        self._find_place(self._attacks())
        return HeardBeat(self._bpm, self._ago / self._rate + _LATE_S, self._confidence)

    def _attacks(self) -> Floats:
        """Flux of the last seconds, oldest first, each band by its mean, less that: [FLUX_BANDS, n]."""
        at = self._frames % self._ring.shape[1]
        heard = np.concatenate([self._ring[:, at:], self._ring[:, :at]], axis=1)[:, -self._frames :]
        level = np.maximum(heard.mean(axis=1, keepdims=True), np.float32(_FAINTEST))
        attacks = np.minimum(heard / level, np.float32(_LOUDEST))
        return np.asarray(attacks - attacks.mean(axis=1, keepdims=True))

    # -- which tempo

    def _find_tempo(self, attacks: Floats) -> None:
        window = self._window[-attacks.shape[1] :]
        lines = np.abs(np.fft.rfft(attacks * window, self._padded))
        bins = self._bpms / 60.0 / self._rate * self._padded
        at, half, quarter, twice = (_read(lines, factor * bins) for factor in (1.0, 0.5, 0.25, 2.0))
        paced = _weighted(_TEMPO_WEIGHTS, at + _TWICE * twice)
        alternating = np.maximum(_weighted(_TEMPO_WEIGHTS[1:3], (half - _QUARTER * quarter)[1:3]), 0.0)
        score = (paced + _ALTERNATING * alternating) / float(window.sum()) * self._repeats(lines, window)
        keep = math.exp(-_LOOK_S / _MEMORY_S)
        self._scores = keep * self._scores + (1.0 - keep) * score
        self._choose(self._scores * self._tapped)
        self._confidence = self._sureness() if self._bpm else 0.0

    def _repeats(self, lines: Floats, window: Floats) -> Doubles:
        """How alike sound is to itself one, two and four beats ago, for each tempo; about 1 for a loop."""
        alike = np.fft.irfft(_weighted(_TEMPO_WEIGHTS, np.square(lines)))
        most = np.fft.irfft(np.square(np.abs(np.fft.rfft(window, self._padded))))  # of what never changes
        alike /= np.maximum(most, _RELIABLE * most[0])
        if alike[0] <= 0.0:
            return np.zeros(_GRID)
        beat = 60.0 / self._bpms * self._rate
        one, two, four = (_read(alike / alike[0], count * beat) for count in (1, 2, 4))
        return np.asarray(np.maximum(one + two + four, 0.0) / 3.0 * (1.0 + _BAR * np.maximum(four - two, 0.0)))

    def _choose(self, fits: Doubles) -> None:
        """The tempo that fits best leads; another one has to be better for a while."""
        best = int(np.argmax(fits))
        bpm = float(self._bpms[best])
        if self._scores[best] < _LEAST:
            return
        near = np.abs(self._bpms / self._bpm - 1.0) <= _SAME if self._bpm else None
        if near is None:
            self._go_to(bpm)
        elif near[best]:
            self._rival_looks = 0
            if abs(bpm / self._bpm - 1.0) > _TEMPI[-1]:  # else the comb knows better
                self._bpm = bpm
        elif fits[best] > _BETTER * fits[near].max():
            is_same = abs(bpm - self._rival) <= _SAME * bpm
            self._rival, self._rival_looks = bpm, self._rival_looks + 1 if is_same else 1
            if self._rival_looks * _LOOK_S >= _BETTER_S:
                self._go_to(bpm)
        else:
            self._rival_looks = 0

    def _go_to(self, bpm: float) -> None:
        self._bpm, self._rival_looks, self._is_placed = bpm, 0, False

    def _sureness(self) -> float:
        """0 to 1, of the tempo that leads."""
        octaves = np.log2(self._bpms / self._bpm)
        score = float(self._scores[np.abs(octaves) < _OCTAVE].max())
        others = self._scores[np.abs(octaves - np.clip(np.round(octaves), -2, 2)) >= _OCTAVE]
        strong = 1.0 - math.exp(-max(score - _LEAST, 0.0) / _SURE)
        alone = (score / max(float(others.max()), 1e-9) - 1.0) / (_ALONE - 1.0)
        size = self._ring.shape[1]
        lately = self._ring[:, (self._frames - 1 - np.arange(round(_LATELY_S * self._rate))) % size].mean()
        present = float(lately) / (_PRESENT * max(float(self._ring.mean()), _FAINTEST))
        return strong * min(max(alone, 0.0), 1.0) * min(present, 1.0)

    # -- where its beats are

    def _find_place(self, attacks: Floats) -> None:
        """Moves beat and tempo a little towards where a comb meets most; a jump has to be worth it for a while."""
        newest_first = _weighted(_PLACE_WEIGHTS, attacks)[::-1] * self._fading[: attacks.shape[1]]
        beat = 60.0 / self._bpm * self._rate
        beats = beat / (1.0 + _TEMPI)
        starts = np.arange(_PLACES) / _PLACES
        teeth = np.arange(int((len(newest_first) - 2) / beats.max()))
        met = _read(newest_first, (starts[:, None] + teeth) * beats[:, None, None]).sum(axis=2)  # [tempi, places]
        foreseen = self._ago / beat % 1.0
        off = _wrapped(starts - foreseen)
        best = float(off[int(np.argmax(met.max(axis=0)))])
        if not self._is_placed:
            self._is_placed, foreseen, off, best = True, foreseen + best, _wrapped(off - best), 0.0
        tempo, place = np.unravel_index(int(np.argmax(np.where(np.abs(off) <= _SLIP, met, -np.inf))), met.shape)
        if self._confidence >= _MOVES and abs(best) > _SLIP and met.max() > _WORTH * met[tempo, place]:
            is_same = abs(_wrapped(best - self._slip)) <= _SLIP
            self._slip, self._slip_looks = best, self._slip_looks + 1 if is_same else 1
            if self._slip_looks * _LOOK_S >= _WORTH_S:
                self._slip_looks, self._is_placed = 0, False
        else:
            self._slip_looks = 0
        self._ago = (foreseen + _FOLLOW * self._confidence * off[place]) % 1.0 * beat
        # a beat that is found later again and again tells of a tempo between those that were tried
        faster = _TEMPI[tempo] + _DRIFT * off[place]
        followed = self._bpm * (1.0 + _FOLLOW_TEMPO * self._confidence * faster)
        self._bpm = min(max(followed, SLOWEST_BPM), FASTEST_BPM)


def _weighted(weights: Doubles, rows: NDArray[np.floating]) -> Doubles:
    """Sum over bands of rows [bands, n]."""
    return np.asarray((weights[:, None] * rows).sum(axis=0))


def _read(values: NDArray[np.floating], at: Doubles) -> Doubles:
    """Values [..., n] at places between them."""
    left = at.astype(np.intp)
    share = at - left
    return np.asarray(values[..., left] * (1.0 - share) + values[..., left + 1] * share)


def _wrapped(beats: Any) -> Any:
    """To -1/2..1/2."""
    return (beats + 0.5) % 1.0 - 0.5
