"""Four correlations between two matrices of features, [n, p] and [n, q], a row for each moment. Plain arrays, float64.

Procrustes    Gower, Statistical methods of comparing different multivariate analyses (1971); as a correlation,
              Jackson, PROTEST, Ecoscience 2 (1995)
adjusted RV   Mayer, Lorent and Horgan, Stat. Appl. Genet. Mol. Biol. 10 (2011)
PWCCA         Morcos, Raghu and Bengio, Insights on representational similarity, NeurIPS (2018)
SMI           Indahl, Næs and Liland, A similarity index for comparing coupled matrices, J. Chemometrics 32 (2018)

All four leave each column's mean out, stay as they are when either side is moved, rotated or scaled as a whole (but for
PWCCA, whose weights know the axes of X), and are 1 where one side is the other so moved. What does not change relates
to nothing: 0, by definition. Few moments of many features look related by chance: of independent noise, Procrustes sees
about sqrt(2 / pi n) with one feature each and ever more with more, SMI max(a, b) / (n - 1) with a and b components,
PWCCA 1 as soon as p or q reaches n - 1; the adjusted RV alone is 0 on the mean. That is why nothing of this is quoted
without a control of the same length and features.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

SMI_SHARE = 0.9  # of each side's variance, that its leading components must hold
_STILL = 1e-6  # a column whose spread is less than this of its size is rounding
_RANK = 1e-9  # directions with less variance than this of the largest are rounding


@dataclass(frozen=True, slots=True)
class Products:
    """All that is needed of two matrices, their means left out: sums of products of columns."""

    count: int  # of moments
    xx: Matrix  # [p, p]
    yy: Matrix  # [q, q]
    xy: Matrix  # [p, q]

    def part(self, x: slice, y: slice) -> "Products":
        """Of some of the columns."""
        return Products(self.count, self.xx[x, x], self.yy[y, y], self.xy[x, y])


def products(x: NDArray[Any], y: NDArray[Any]) -> Products:
    """Of [n, p] and [n, q]."""
    assert x.ndim == y.ndim == 2 and len(x) == len(y), f"{x.shape} and {y.shape} are no features of the same moments"
    a, b = _centred(x), _centred(y)
    return Products(len(x), a.T @ a, b.T @ b, a.T @ b)


def procrustes(of: Products) -> float:
    """0..1: how much of one can be laid over the other by moving, rotating and scaling it: |X'Y|* / |X| |Y|, with the
    nuclear norm above and Frobenius' below."""
    size = np.sqrt(np.trace(of.xx) * np.trace(of.yy))
    return _bounded(np.linalg.svd(of.xy, compute_uv=False).sum() / size) if size > 0 else 0.0


def adjusted_rv(of: Products) -> float:
    """At most 1, on the mean 0 where nothing is related, so also below: the RV coefficient with every squared
    correlation of two columns adjusted for chance, 1 - (n-1)/(n-2) (1 - r^2). Columns weigh as their variances do."""
    if of.count < 3:
        return 0.0
    chance = (of.count - 1) / (of.count - 2)

    def adjusted(a: Matrix, b: Matrix, ab: Matrix) -> float:
        return float(chance * np.square(ab).sum() - (chance - 1.0) * np.trace(a) * np.trace(b))

    own = adjusted(of.xx, of.xx, of.xx), adjusted(of.yy, of.yy, of.yy)
    if min(own[0] / max(np.trace(of.xx) ** 2, 1e-300), own[1] / max(np.trace(of.yy) ** 2, 1e-300)) < _RANK:
        return 0.0  # as many equal directions as moments: no structure that could be like another
    return float(adjusted(of.xx, of.yy, of.xy) / np.sqrt(own[0] * own[1]))


def pwcca(of: Products) -> float:
    """0..1: mean of the canonical correlations, each weighted by how much of X's columns its variate accounts for, the
    sum of the absolute projections. Not the same with X and Y exchanged."""
    (_, white_x), (_, white_y) = _directions(of.xx), _directions(of.yy)
    if not white_x.size or not white_y.size:
        return 0.0
    turn, correlations, _ = np.linalg.svd(white_x.T @ of.xy @ white_y, full_matrices=False)
    weights = np.abs((white_x @ turn).T @ of.xx).sum(axis=1)
    return _bounded(np.average(correlations, weights=weights))


def smi(of: Products) -> float:
    """0..1: how far the smaller of both sides' main subspaces lies within the larger, by orthogonal projection: the
    mean squared cosine between them. Main are the components that hold SMI_SHARE of the variance."""
    (large_x, white_x), (large_y, white_y) = _directions(of.xx), _directions(of.yy)
    if not white_x.size or not white_y.size:
        return 0.0
    main_x, main_y = white_x[:, : _main(large_x)], white_y[:, : _main(large_y)]
    return _bounded(np.square(main_x.T @ of.xy @ main_y).sum() / min(main_x.shape[1], main_y.shape[1]))


CORRELATIONS: Mapping[str, Callable[[Products], float]] = {
    "procrustes": procrustes,  # first: the one that is quoted
    "adjusted_rv": adjusted_rv,
    "pwcca": pwcca,
    "smi": smi,
}


def correlate(x: NDArray[Any], y: NDArray[Any]) -> dict[str, float]:
    """All four, of [n, p] and [n, q]; PWCCA is weighted by `x`."""
    of = products(x, y)
    return {name: measure(of) for name, measure in CORRELATIONS.items()}


def _centred(x: NDArray[Any]) -> Matrix:
    wide = np.asarray(x, np.float64)
    moved = wide - wide.mean(axis=0)
    moves = np.linalg.norm(moved, axis=0) > _STILL * np.linalg.norm(wide, axis=0)
    return np.where(moves, moved, 0.0)


def _directions(xx: Matrix) -> tuple[Matrix, Matrix]:
    """Variances of the principal directions, largest first, and [p, r] what makes unit variates of X along them."""
    variances, vectors = np.linalg.eigh(xx)
    variances, vectors = variances[::-1], vectors[:, ::-1]
    kept = variances > max(_RANK * variances[0], 0.0)
    return variances[kept], vectors[:, kept] / np.sqrt(variances[kept])


def _main(variances: Matrix) -> int:
    shares = np.cumsum(variances) / variances.sum()
    return int(np.searchsorted(shares, SMI_SHARE - _RANK)) + 1


def _bounded(value: float) -> float:
    return float(np.clip(value, 0.0, 1.0))
