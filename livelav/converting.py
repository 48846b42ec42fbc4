"""Makes a model of livelav's out of a stranger's checkpoint: the body of the process that `importing` starts.

It takes a Request as one line of JSON on stdin, which then stays open: it ends when that does, so it never outlives
whoever asked. It leaves name.safetensors, name.json and name.png in a folder, and says how far it is in lines of JSON
on stdout. What a file may cost is bounded here: memory by the system's own limit (Windows has none), each step's time
by a timer that no computation can hold up.
"""

import contextlib
import faulthandler
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from livelav import __version__
from livelav.core.errors import LivelavError, StorageError
from livelav.core.processor import BESIDES, physical_cores, stand_behind
from livelav.core.store import write_json
from livelav.generate.checkpoint import Foreign, read_foreign
from livelav.generate.files import SUFFIX, write_checkpoint
from livelav.generate.library import load_generator
from livelav.generate.statistics import COUNT, label_count, shown_ws, spread_of_w, use_one_thread
from livelav.importing import PAINTING_BYTES, Request
from livelav.show.sheet import contact_sheet

SHOWN, COLUMNS, SHOWN_PX = 16, 4, 256  # pictures of the contact sheet
MOST_THREADS = 4  # each one's stack and heap count as memory

Tell = Callable[[str, float], None]


def main() -> None:
    """Converts what the request on stdin names."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library may print
    request = Request(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_leave_with_stdin, name="stdin-watch", daemon=True).start()
    stand_behind(BESIDES)  # a show may run on the same machine
    use_one_thread()
    _limit_memory(request.memory_bytes)

    def say(**words: Any) -> None:
        print(json.dumps(words), file=answers, flush=True)

    def tell(step: str, share: float) -> None:
        faulthandler.dump_traceback_later(request.patience_s, exit=True)
        say(step=step, share=share)

    try:
        convert(request, tell)
        say(done=True)
    except LivelavError as error:
        say(error=str(error), of="storage" if isinstance(error, StorageError) else "model")
    except (MemoryError, RuntimeError) as error:  # torch has no error of its own for memory
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        say(lacks="memory")


def convert(request: Request, tell: Tell) -> None:
    """All of it. Raises ModelError for a file that is none that livelav plays, StorageError."""
    folder, name = Path(request.folder), request.name
    tell("converting", 0.0)
    foreign = read_foreign(Path(request.source))
    config, tensors = foreign.config, dict(foreign.tensors)
    _limit_memory(request.memory_bytes + PAINTING_BYTES)
    tell("statistics", 0.0)
    spread = spread_of_w(config, tensors, lambda share: tell("statistics", share))
    if not foreign.has_w_avg:
        tensors["mapping.w_avg"] = spread.mean
    path = folder / f"{name}{SUFFIX}"
    write_checkpoint(path, config, tensors, spread.mean, spread.std, spread.by_label)
    tell("pictures", 0.0)
    generator = load_generator(path, threads=min(physical_cores(), MOST_THREADS))  # whatever it is, it can be played
    pictures = []
    for ws in shown_ws(config, tensors, spread, SHOWN):
        pictures.append(generator.synthesize(ws))
        tell("pictures", len(pictures) / SHOWN)
    contact_sheet(pictures, folder / f"{name}.png", SHOWN, COLUMNS, SHOWN_PX)
    write_json(folder / f"{name}.json", card(request, foreign))


def card(request: Request, foreign: Foreign) -> dict[str, Any]:
    """Where the model comes from, and on what terms."""
    config = foreign.config
    each = f" for each of {config.labels:,} labels" if config.labels else ""
    return {
        "name": request.name,
        "description": f"imported from {request.source_name}",
        "architecture": f"StyleGAN2, {config.architecture}, {config.resolution} px, channel_base "
        f"{config.channel_base}, channel_max {config.channel_max}, {config.mapping_layers} mapping layers",
        "layout": foreign.layout,
        "labels": config.labels,
        "licence": request.licence or "unknown",
        "source": {"name": request.source_name, "sha256": request.sha256, "bytes": request.size},
        "statistics": f"{label_count(config.labels) if config.labels else COUNT:,} z{each}",
        "w_avg": "the file's own" if foreign.has_w_avg else f"the mean of {COUNT:,} z",
        "bytes": os.path.getsize(Path(request.folder) / f"{request.name}{SUFFIX}"),
        "made_with": f"livelav {__version__}",
    }


def _limit_memory(more_bytes: int) -> None:
    """From here on so much more than it has, and no core file of what it read. Nothing on Windows."""
    if sys.platform == "win32":
        return
    import resource

    bounds = {resource.RLIMIT_AS: psutil.Process().memory_info().vms + more_bytes, resource.RLIMIT_CORE: 0}
    for kind, most in bounds.items():
        hard = resource.getrlimit(kind)[1]  # stays: the bound is raised later
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses the first
            resource.setrlimit(kind, (bound, hard))


def _leave_with_stdin() -> None:
    while os.read(0, 1 << 12):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
