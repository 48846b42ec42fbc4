"""Random numbers that are the same for ever: one seed, one array, on every machine and with every numpy.

Raw PCG64 bits (whose stream numpy guarantees) are made into normals here, by Box and Muller in float64, because
numpy may change how its own normals are drawn.
"""

import numpy as np
from numpy.typing import NDArray


def normals(seed: int, stream: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Independent standard normals, float64, fixed for ever by (seed, stream). Both are whole numbers >= 0."""
    count = int(np.prod(shape))
    raw = np.random.PCG64([seed, stream]).random_raw(2 * count)
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # 53 bits, never 0 or 1
    radius = np.sqrt(-2.0 * np.log(uniform[:count]))
    normal: NDArray[np.float64] = radius * np.cos(2.0 * np.pi * uniform[count:])
    return normal.reshape(shape)
