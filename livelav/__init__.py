"""livelav: listens to sound and turns it into pictures, live.

For scripts and notebooks:

    enc = livelav.load_encoder()                        # the embedded encoder, or a name or a file
    emb, state = enc.step(samples, enc.initial_state())  # [n] float32 -> [frames, 128]
    gen = livelav.load_generator("default")              # or a name, or any checkpoint that can be imported
    ws = livelav.Mapper(gen.stats, enc, seed=7).step(features, livelav.Settings()).ws
    img = gen.synthesize(ws)                            # [num_ws, 512] -> [height, width, 4] uint8
"""

import importlib
import time
from typing import Any

__version__ = "0.1.0"

IMPORTED_S = time.monotonic()  # as good as the start of the process: what comes before is Python's own

_WHERE = {
    "Features": "livelav.core.values",
    "LivelavError": "livelav.core.errors",
    "Mapper": "livelav.mapping.mapper",
    "Settings": "livelav.core.params",
    "load_encoder": "livelav.encode.encoder",
    "load_generator": "livelav.importing",
}
__all__ = [*_WHERE]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    # Late, so that `import livelav` and the command line stay light.
    if name not in _WHERE:
        raise AttributeError(f"module 'livelav' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
