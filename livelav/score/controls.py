"""Motion that cannot follow a sound, to hold beside motion that may: as smooth, as wide, and of another time.

Every correlation here favours what moves smoothly, so a number says something only beside that of such a control. Plain
arrays; the same seed gives the same control.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats

# Of the lengths of blocks, drawn evenly: so long that slow motion stays slow, and of no one beat
BLOCK_S = (5.0, 10.0)
_FEWEST = 4  # blocks: where there is little, they are shorter
_TRIES = 50


def shuffled_blocks(count: int, rate_hz: float, seed: int) -> NDArray[np.intp]:
    """[count]: moments in another order, cut into blocks of BLOCK_S that are shuffled.

    Blocks of one length would leave steady music on its beat. No moment stays in its place, wherever some order does
    that. Every joint breaks slow motion, which scores the higher the slower it is: over these a video that follows
    nothing is still above 0 by a little (about 0.01 of Procrustes), and so `random_motion` is the control to trust.
    """
    chance = np.random.Generator(np.random.PCG64([seed, 1]))
    moments = np.arange(count)
    best = np.roll(moments, count // 2)
    least = count  # of moments in their place, that we have found
    for _ in range(_TRIES):
        shorter = min(count / rate_hz / BLOCK_S[1] / _FEWEST, 1.0)
        lengths = chance.uniform(*BLOCK_S, max(int(count / rate_hz / BLOCK_S[0]), _FEWEST * 2) + 1) * shorter * rate_hz
        cuts = np.unique(np.cumsum(lengths).astype(int))
        blocks = np.split(moments, cuts[(cuts > 0) & (cuts < count)])
        order = np.concatenate([blocks[n] for n in chance.permutation(len(blocks))])
        stayed = int((order == moments).sum())
        if stayed < least:
            best, least = order, stayed
        if not stayed:
            break
    return best


def random_motion(values: NDArray[Any], seed: int, longer: int = 0) -> Floats:
    """[n + longer, ...] that moves like `values` [n, ...] and has nothing else to do with it.

    The phases of its spectrum over time are drawn anew, one for each frequency and all of the components, which leaves
    every direction's spectrum as it was, and the relations between the components: Prichard and Theiler, Generating
    surrogate data for time series with several simultaneously measured variables, Phys. Rev. Lett. 73 (1994). The
    motion is taken there and back, so that its end meets its beginning: a jump there would roughen every moment.
    """
    moves = np.asarray(values, np.float32).reshape(len(values), -1)
    assert longer <= len(moves), f"{longer} more of {len(moves)}: at most as many again"
    spectrum = np.fft.rfft(np.concatenate([moves, moves[::-1]]), axis=0)
    turns = np.random.Generator(np.random.PCG64([seed, 2])).uniform(0.0, 2.0 * np.pi, len(spectrum))
    turns[[0, -1]] = 0.0  # the mean and the highest have no phase
    moved = np.fft.irfft(spectrum * np.exp(1j * turns).astype(np.complex64)[:, None], 2 * len(moves), axis=0)
    return moved[: len(values) + longer].astype(np.float32).reshape(-1, *values.shape[1:])
