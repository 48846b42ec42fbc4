"""Which part of a piece each moment belongs to, by Laplacian segmentation.

McFee and Ellis, Analyzing song structure with spectral clustering (ISMIR 2014): a graph of moments, with an edge where
two sound alike (a part comes back) and where one follows the other; the vectors of the lowest frequencies on that graph
tell its parts. The paper's moments are beats and its spectra constant-Q; here they are equal cells of time, so that it
needs no beat, and whatever features it is given. Knows no sound.
"""

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats

PARTS = 5
_CELL_S = 0.5
_MOST_CELLS = 1000  # the graph's matrix grows with their square: longer pieces have longer cells
_FEWEST_CELLS = 12  # of less, no part can come back
_SEED = 0  # of k-means


def parts(features: Floats, rate_hz: float) -> Floats:
    """[n, PARTS]: 1 for the part that each moment of [n, d] belongs to, else 0; all 0 in what is too short or even."""
    marks = np.zeros((len(features), PARTS), np.float32)
    size = max(round(_CELL_S * rate_hz), -(-len(features) // _MOST_CELLS))
    starts = np.arange(0, len(features), size)
    if len(starts) < _FEWEST_CELLS:
        return marks
    counts = np.diff(np.append(starts, len(features)))
    cells = (np.add.reduceat(features.astype(np.float64), starts) / counts[:, None]).T
    if cells.std(axis=1).max() < 1e-6:
        return marks
    part = np.repeat(_clustered(_graph(cells)), counts)
    marks[np.arange(len(features)), part] = 1.0
    return marks


def _graph(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """[m, m]: how strongly each cell of [d, m] holds to each other one."""
    from librosa import segment
    from scipy.ndimage import median_filter

    again = segment.recurrence_matrix(cells, width=3, mode="affinity", sym=True)
    again = segment.timelag_filter(median_filter)(again, size=(1, 7))
    steps = np.square(np.diff(cells, axis=1)).sum(axis=0)
    next_to = np.exp(-steps / max(float(np.median(steps)), 1e-12))
    path = np.diag(next_to, 1) + np.diag(next_to, -1)
    by_again, by_path = again.sum(axis=1), path.sum(axis=1)
    both = by_again + by_path
    share = by_path @ both / max(float(both @ both), 1e-12)  # balances the two, the paper's mu
    return np.asarray(share * again + (1.0 - share) * path)


def _clustered(graph: NDArray[np.float64]) -> NDArray[np.intp]:
    """[m]: the number of each cell's part."""
    from scipy.linalg import eigh
    from scipy.ndimage import median_filter
    from scipy.sparse.csgraph import laplacian
    from sklearn.cluster import KMeans

    vectors = eigh(laplacian(graph, normed=True), subset_by_index=(0, PARTS - 1))[1]
    vectors = median_filter(vectors, size=(9, 1))  # along time: no part is shorter than some seconds
    places = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(KMeans(PARTS, n_init=10, random_state=_SEED).fit_predict(places), np.intp)
