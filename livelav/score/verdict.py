"""From features to figures: correlations segment by segment, their controls beside them, and the excess to quote.

Plain values; knows no file. Features are {name: [n, d]} at ANALYSIS_HZ, the same n of sound and pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats
from livelav.score.controls import shuffled_blocks
from livelav.score.correlations import CORRELATIONS, Products, procrustes, products
from livelav.score.sound import ANALYSIS_HZ

SEGMENT_S = 10.0
LEAST_S = 5.0  # of less, nothing can be said
_ROUNDS, _ALL_ROUNDS = 20, 400  # of shuffles for each segment, and for all of them together

FeatureSet = Mapping[str, Floats]
Series = NDArray[np.float64] | Sequence[float]  # a number for each segment


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over segments, and where it lies with a confidence of 95 % by Student's t.

    Segments of one piece are not independent: take the interval as the narrowest that is honest. None of one segment.
    """

    mean: float
    low: float | None
    high: float | None
    segments: int


@dataclass(frozen=True, slots=True)
class Control:
    """What came of one control, for each of CORRELATIONS."""

    scores: Mapping[str, Interval]
    excess: Mapping[str, Interval]  # of the video's own score over it, segment by segment


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that is said of a video."""

    seconds: float
    segment_s: float
    segments: int
    scores: Mapping[str, Interval]  # of all features of both sides together
    whole: Mapping[str, float]  # the same of the whole length at once
    controls: Mapping[str, Control]  # "shuffled", and "random" where there is such motion
    sound_names: tuple[str, ...]
    video_names: tuple[str, ...]
    pairs: NDArray[np.float64]  # [sound, video] Procrustes of each pair of features, mean over segments
    pairs_excess: NDArray[np.float64]  # over the shuffled


def excess(own: Series, control: NDArray[np.float64]) -> Interval:
    """How far [segments] is above a control's [rounds, segments], segment by segment.

    A control is a sample too: what its rounds differ by widens the interval, as in Welch's test.
    """
    rounds = np.atleast_2d(np.asarray(control, np.float64))
    return _interval(np.asarray(own, np.float64) - rounds.mean(axis=0), rounds.mean(axis=1))


def interval(values: Series) -> Interval:
    """Mean and 95 % confidence of independent values, one for each segment."""
    return _interval(np.asarray(values, np.float64), np.zeros(1))


def _interval(found: NDArray[np.float64], rounds: NDArray[np.float64]) -> Interval:
    """Of the mean of `found`, from which that of `rounds` was taken already."""
    from scipy.stats import t

    mean, count = float(found.mean()), len(found)
    if count < 2:
        return Interval(mean, None, None, count)
    samples = [sample for sample in (found, rounds) if len(sample) > 1]
    parts = np.array([sample.var(ddof=1) / len(sample) for sample in samples])
    freedoms = np.array([len(sample) - 1 for sample in samples])
    freedom = np.square(parts.sum()) / max(float((np.square(parts) / freedoms).sum()), 1e-300)  # Welch, Satterthwaite
    half = float(t.ppf(0.975, max(freedom, 1.0)) * np.sqrt(parts.sum()))
    return Interval(mean, mean - half, mean + half, count)


def segments(count: int) -> list[slice]:
    """Of `count` moments: equal ones of about SEGMENT_S that cover all of it, or one where it is shorter."""
    number = max(int(count / (SEGMENT_S * ANALYSIS_HZ)), 1)
    edges = np.linspace(0, count, number + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def judge(sound: FeatureSet, video: FeatureSet, random: FeatureSet | None = None, seed: int = 0) -> Verdict:
    """`random`: features of pictures that random motion made, of any length of LEAST_S and more.

    Every segment of the sound is held against the video's own, against that of the shuffled video, and against segments
    of the random one, whichever: it knows nothing of any of them.
    """
    heard, seen = Columns.of(sound), Columns.of(video)
    count = len(heard.values)
    assert len(seen.values) == count, f"{count} moments of sound and {len(seen.values)} of pictures"
    parts = segments(count)
    rounds = max(min(_ROUNDS, _ALL_ROUNDS // len(parts)), 2)
    own = [products(heard.values[part], seen.values[part]) for part in parts]
    own_scores = _scores(own)

    shuffled_scores, pairs_shuffled = [], []
    for n in range(rounds):
        order = shuffled_blocks(count, ANALYSIS_HZ, seed * _ROUNDS + n)
        of = [products(heard.values[part], seen.values[order[part]]) for part in parts]
        shuffled_scores.append(_scores(of))
        pairs_shuffled.append(_pairs(of, heard, seen))
    against = {"shuffled": _stacked(shuffled_scores)}
    if random is not None:
        against["random"] = _stacked(_against_random(heard, Columns.of(random), parts, rounds))

    pairs = _pairs(own, heard, seen)
    controls = {
        name: Control(
            {m: interval(scores[m].mean(axis=0)) for m in CORRELATIONS},
            {m: excess(own_scores[m], scores[m]) for m in CORRELATIONS},
        )
        for name, scores in against.items()
    }
    return Verdict(
        count / ANALYSIS_HZ,
        count / ANALYSIS_HZ / len(parts),
        len(parts),
        {name: interval(scores) for name, scores in own_scores.items()},
        {name: measure(products(heard.values, seen.values)) for name, measure in CORRELATIONS.items()},
        controls,
        tuple(heard.places),
        tuple(seen.places),
        pairs,
        pairs - np.mean(pairs_shuffled, axis=0),
    )


@dataclass(frozen=True, slots=True)
class Columns:
    """Features side by side, each as wide as any other: columns have variance 1 over the whole length, divided among
    those of one feature. What does not move is 0."""

    values: NDArray[np.float32]  # [n, all]
    places: Mapping[str, slice]

    @classmethod
    def of(cls, features: FeatureSet) -> "Columns":
        scaled, places, start = [], {}, 0
        for name, values in features.items():
            spread = values.std(axis=0, dtype=np.float64)
            moves = spread > 1e-6 * np.abs(values).max(axis=0, initial=0.0)
            factor = np.where(moves, 1.0 / np.where(moves, spread, 1.0), 0.0) / np.sqrt(max(int(moves.sum()), 1))
            scaled.append(((values - values.mean(axis=0, dtype=np.float64)) * factor).astype(np.float32))
            places[name] = slice(start, start + values.shape[1])
            start += values.shape[1]
        return cls(np.concatenate(scaled, axis=1), places)


Scores = dict[str, NDArray[np.float64]]


def _against_random(heard: Columns, motion: Columns, parts: list[slice], rounds: int) -> list[Scores]:
    """The parts of the motion, as long as those of the sound, in turn."""
    shortest = min(*(part.stop - part.start for part in parts), len(motion.values))
    starts = range(0, len(motion.values) - shortest + 1, shortest)
    found = []
    for turn in range(min(rounds, len(starts))):
        of = []
        for n, part in enumerate(parts):
            start = starts[(n + turn) % len(starts)]
            sound = slice(part.start, part.start + shortest)
            of.append(products(heard.values[sound], motion.values[start : start + shortest]))
        found.append(_scores(of))
    return found


def _scores(of: list[Products]) -> Scores:
    """{correlation: [segments]}."""
    return {name: np.array([measure(each) for each in of]) for name, measure in CORRELATIONS.items()}


def _stacked(rounds: list[Scores]) -> Scores:
    """{correlation: [rounds, segments]}."""
    return {name: np.array([scores[name] for scores in rounds]) for name in CORRELATIONS}


def _pairs(of: list[Products], heard: Columns, seen: Columns) -> NDArray[np.float64]:
    """[sound, video]: mean over the segments."""
    return np.array(
        [
            [np.mean([procrustes(each.part(x, y)) for each in of]) for y in seen.places.values()]
            for x in heard.places.values()
        ]
    )
