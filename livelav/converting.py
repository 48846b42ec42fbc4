"""Makes a model of livelav's out of a stranger's checkpoint: the body of the process that `importing` starts.

It takes a Request as one line of JSON on stdin, which then stays open: it ends when that does, so it never outlives
whoever asked. It leaves name.safetensors, name.json and name.png in a folder, and says how far it is in lines of JSON
on stdout. What a file may cost is bounded here: memory by the system's own limit, or by a thread that looks often where
there is none (Windows, macOS); each step's time, and that of all, by a timer that no computation can hold up.
"""

import faulthandler
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from livelav import __version__
from livelav.core.errors import BackendError, LivelavError, StorageError
from livelav.core.processor import BESIDES, physical_cores, stand_behind
from livelav.core.store import write_json
from livelav.generate.backend import Backend
from livelav.generate.checkpoint import Foreign, read_foreign
from livelav.generate.files import SUFFIX, read_checkpoint, write_checkpoint
from livelav.generate.library import build
from livelav.generate.static import static_network
from livelav.generate.statistics import COUNT, WSpread, figures, label_count, shown_ws, spread_of_w, use_one_thread
from livelav.importing import PAINTING_BYTES, Request
from livelav.show.sheet import contact_sheet

SHOWN, COLUMNS, SHOWN_PX = 16, 4, 256  # pictures of the contact sheet
PAINTERS = {"openvino cpu": "f32", "torch cpu": "fp32"}  # in float32, which every processor computes in
MOST_THREADS = 4  # each one's stack and heap count as memory
LOOKS_S = 0.01  # between two looks at how much memory is taken

Tell = Callable[[str, float], None]


def main() -> None:
    """Converts what the request on stdin names."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library may print
    request = Request(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_leave_with_stdin, name="stdin-watch", daemon=True).start()
    stand_behind(BESIDES)  # a show may run on the same machine
    use_one_thread()
    memory = Memory()
    memory.allow(request.memory_bytes)
    ends_s = time.monotonic() + request.whole_s

    def say(**words: Any) -> None:
        print(json.dumps(words), file=answers, flush=True)

    def tell(step: str, share: float) -> None:
        left_s = max(ends_s - time.monotonic(), 0.001)
        faulthandler.dump_traceback_later(min(request.patience_s, left_s), exit=True)
        say(step=step, share=share)

    try:
        convert(request, tell, memory)
        say(done=True)
    except LivelavError as error:
        say(error=str(error), of="storage" if isinstance(error, StorageError) else "model")
    except (MemoryError, RuntimeError) as error:  # torch has no error of its own for memory
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        say(lacks="memory")


def convert(request: Request, tell: Tell, memory: "Memory") -> None:
    """All of it. Raises ModelError for a file that is none that livelav plays, StorageError."""
    folder, name = Path(request.folder), request.name
    tell("converting", 0.0)
    foreign = read_foreign(Path(request.source))
    config, tensors = foreign.config, dict(foreign.tensors)
    memory.allow(request.memory_bytes + PAINTING_BYTES)
    tell("statistics", 0.0)
    spread = spread_of_w(config, tensors, lambda share: tell("statistics", share))
    if not foreign.has_w_avg:
        tensors["mapping.w_avg"] = spread.mean
    path = folder / f"{name}{SUFFIX}"
    write_checkpoint(path, config, tensors, spread.mean, spread.std, spread.by_label)
    tell("pictures", 0.0)
    painter = paints(path)  # whatever it is, it can be played
    pictures = []
    for ws in shown_ws(config, tensors, spread, SHOWN):
        pictures.append(painter.synthesize(ws))
        tell("pictures", len(pictures) / SHOWN)
    contact_sheet(pictures, folder / f"{name}.png", SHOWN, COLUMNS, SHOWN_PX)
    write_json(folder / f"{name}.json", card(request, foreign, spread))


def paints(path: Path) -> Backend:
    """The model on the processor, for its pictures. What it computes best in is not weighed: this process stands behind
    all others and may take little memory, and shows keep what was measured. Raises ModelError, BackendError."""
    checkpoint = read_checkpoint(path)
    network = static_network(checkpoint.config, checkpoint.tensors)  # of no file: engines keep nothing of it
    reasons = []
    for engine, precision in PAINTERS.items():
        try:
            painter = build(network, engine, min(physical_cores(), MOST_THREADS), precision=precision)
            painter.warmup()
            return painter
        except BackendError as error:
            reasons.append(str(error))
    raise BackendError(f"no engine runs this generator: {' | '.join(reasons)}")


def card(request: Request, foreign: Foreign, spread: WSpread) -> dict[str, Any]:
    """Where the model comes from, and on what terms."""
    config = foreign.config
    each = f" for each of {config.labels:,} labels" if config.labels else ""
    return {
        "name": request.name,
        "description": f"imported from {request.source_name}",
        "architecture": f"StyleGAN2, {config.architecture}, {config.resolution} px, channel_base "
        f"{config.channel_base}, channel_max {config.channel_max}, {config.mapping_layers} mapping layers",
        "resolution": config.resolution,
        "layout": foreign.layout,
        "labels": config.labels,
        "licence": request.licence or "unknown",
        "source": {
            "name": request.source_name,
            "sha256": request.sha256,
            "bytes": request.size,
            "seen": request.seen,
        },
        "statistics": {
            "of": f"w of {label_count(config.labels) if config.labels else COUNT:,} z{each}, over its dimensions",
            **{name: round(float(figure), 4) for name, figure in figures(spread).items()},
        },
        "w_avg": "the file's own" if foreign.has_w_avg else f"the mean of {COUNT:,} z",
        "bytes": os.path.getsize(Path(request.folder) / f"{request.name}{SUFFIX}"),
        "made_with": f"livelav {__version__}",
    }


class Memory:
    """What this process may take. Where the system has no limit for that, what goes beyond it ends the process."""

    def __init__(self) -> None:
        self._most_bytes: int | None = None  # read by the thread that looks; None: it does not run
        self._process = psutil.Process()

    def allow(self, more_bytes: int) -> None:
        """From here on so much more than it has, and no core file of what it read."""
        taken = self._process.memory_info()
        if _limit(taken.vms + more_bytes):
            return
        looks = self._most_bytes is not None
        self._most_bytes = taken.rss + more_bytes
        if not looks:
            threading.Thread(target=self._look, name="memory-watch", daemon=True).start()

    def _look(self) -> None:
        while self._process.memory_info().rss <= (self._most_bytes or 0):
            time.sleep(LOOKS_S)
        os.write(2, b"MemoryError\n")
        os._exit(1)


def _limit(most_bytes: int) -> bool:
    """Whether the system now keeps this process to so many bytes of addresses."""
    if sys.platform == "win32":
        return False
    import resource

    kept = True
    for kind, most in {resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: most_bytes}.items():
        hard = resource.getrlimit(kind)[1]  # stays: the bound is raised later
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (bound, hard))
        except (ValueError, OSError):  # macOS refuses that of addresses
            kept = False
    return kept


def _leave_with_stdin() -> None:
    while os.read(0, 1 << 12):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
