"""Reads hostile checkpoints in a process of its own, watched: `x_watched.py FILE...|--programs N|--mutants N FILE...`

Prints one JSON object a line: what a file gave, the events of Python's audit hooks while it was read (beyond opening
the file itself) and the processor time it took; last the process's peak memory. Nothing heavy is imported, so that
what is read is all that can be seen.
"""

import json
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from livelav.core.errors import CheckpointError
from livelav.generate.checkpoint import read_foreign

HARMLESS = {"builtins.id"}
MUCH_BYTES = 3 << 30  # of addresses: a length that is believed ends here and not in swapping
SLOW_S = 2.0


class Watch:
    """Counts audit events, but for the one file that is being read."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._path is None or event in HARMLESS:
            return
        if event == "open" and str(args[0]) == self._path and not args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        self._seen.append(f"{event} {str(args)[:100]}")

    def read(self, path: Path) -> dict[str, Any]:
        self._seen = []
        began_s = time.process_time()
        self._path = str(path)
        error: BaseException | None = None
        try:
            read_foreign(path)
        except BaseException as caught:
            error = caught
        self._path = None
        seconds = time.process_time() - began_s
        said = "read" if error is None else str(error)
        if error is not None and type(error) is not CheckpointError:
            said = f"ESCAPED {type(error).__name__}: {said[:200]}"
        return {"file": path.name, "said": said, "events": self._seen, "seconds": seconds}


def main(arguments: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MUCH_BYTES, MUCH_BYTES))
    watch = Watch()
    # Python imports its codecs when they are first used: for names in archives, and for messages
    b"\xff".decode("cp437"), "\0".encode("unicode_escape")
    if arguments[0] in ("--programs", "--mutants"):
        report = fuzz(watch, arguments[0], int(arguments[1]), [Path(name) for name in arguments[2:]])
    else:
        report = {"heavy": sorted({"torch", "openvino"} & set(sys.modules))}
        for name in arguments:
            print(json.dumps(watch.read(Path(name))))
    print(json.dumps(report | {"peak_mib": peak_mib()}))


def peak_mib() -> float:
    """Of this process alone: what getrusage says begins with its parent's."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def fuzz(watch: Watch, kind: str, count: int, sources: list[Path]) -> dict[str, Any]:
    from x_programs import mutant, program

    draw = random.Random(7)
    good = [source.read_bytes() for source in sources]
    reasons: dict[str, int] = {}
    bad, slowest_s = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.pkl"
        for _ in range(count):
            content = program(draw) if kind == "--programs" else mutant(draw, draw.choice(good))
            path.write_bytes(content)
            result = watch.read(path)
            slowest_s = max(slowest_s, result["seconds"])
            reason = result["said"].partition(": ")[2].partition("; livelav reads")[0][:30] or result["said"][:30]
            reasons[reason] = reasons.get(reason, 0) + 1
            if result["events"] or result["said"].startswith("ESCAPED") or result["seconds"] > SLOW_S:
                kept = content if len(content) < 2000 else content[:2000]
                bad.append(result | {"content": kept.hex()})
                if len(bad) > 20:
                    break
    return {"count": sum(reasons.values()), "reasons": reasons, "bad": bad, "slowest_s": slowest_s}


if __name__ == "__main__":
    main(sys.argv[1:])
