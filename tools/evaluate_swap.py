"""What the audience sees of a change of model: how far successive pictures differ, and how evenly they come.

    python tools/evaluate_swap.py [--seconds S] [--size WxH] [MODEL ...]

Plays the demo without a window and goes to each MODEL and back to `default`, again and again; without any, to a copy of
the default one. Prints a row for each phase: at rest, while a model loads, and while the picture crossfades. A change
that cannot be seen has rows that are alike: figures of one run may be compared with each other, on a busy machine too.
"""

import argparse
import os
import shutil
import tempfile
import time
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np

from livelav.control.commands import SetChoice
from livelav.core.metrics import stolen_s
from livelav.core.store import only_instance
from livelav.flags import first_scene
from livelav.generate.library import find_model
from livelav.live.engine import Live, run_live
from livelav.play import live_config, opener

REST_S = 4.0  # between two changes
LATE = 1.5  # frame times


class Eye:
    """Looks at every picture that is presented, and asks for another model once all has come to rest."""

    def __init__(self, models: list[str]) -> None:
        # phase, difference from the picture before, ms since that, whether the host took the processors meanwhile
        self.rows: list[tuple[str, float, float, bool]] = []
        self.changes = 0
        self._models = cycle(name for model in models for name in (model, "default"))
        self._asked = "default"
        self._last: tuple[float, np.ndarray, float] | None = None
        self._rested_s = 0.0

    def look(self, live: Live) -> None:
        now_s, stolen, (width, height) = time.monotonic(), stolen_s(), live.surface.size
        if not live.shared.main["first_s"]:
            self._rested_s = now_s
            return
        coming = live.synths.coming
        picture = np.frombuffer(live.surface.fbo.read((0, 0, width, height), 3), np.uint8).astype(np.int16)
        if self._last:
            before_s, before, before_stolen_s = self._last
            difference = float(np.abs(picture - before).mean())
            apart_ms, taken = (now_s - before_s) * 1000, stolen > before_stolen_s
            self.rows.append((coming[1] if coming else "rests", difference, apart_ms, taken))
        self._last = now_s, picture, stolen
        if coming or live.synths.model != self._asked:
            self._rested_s = now_s
        elif now_s - self._rested_s > REST_S:
            self.changes += 1
            self._asked = next(self._models)
            live.desk.apply(SetChoice("model", self._asked), now_s)

    def report(self, period_ms: float) -> None:
        print(f"{self.changes} changes asked for; differences are means over all channels, 0..255")
        for phase in ("rests", "loads", "fades"):
            found = np.array([row[1:] for row in self.rows if row[0] == phase])
            if len(found):
                differ, apart = (np.percentile(column, [50, 99, 100]) for column in found.T[:2])
                is_late, is_ours = found[:, 1] > LATE * period_ms, found[:, 2] == 0
                late, ours = (100 * float(part.mean()) if len(part) else 0.0 for part in (is_late, is_late[is_ours]))
                print(
                    f"{phase}: {len(found)} pictures, differ by p50 {differ[0]:.1f} p99 {differ[1]:.1f} most "
                    f"{differ[2]:.1f}; ms apart p50 {apart[0]:.1f} p99 {apart[1]:.1f} most {apart[2]:.1f}, "
                    f"{late:.1f} % over {LATE} frame times ({ours:.1f} % of the {100 * is_ours.mean():.1f} % during "
                    "which the host took no processor)"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--size", default="320x180")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of the processes to come: as the command line has it
    with tempfile.TemporaryDirectory() as folder:
        if not args.models:
            shutil.copy(find_model("default"), Path(folder) / "twin.safetensors")
            os.environ["LIVELAV_MODELS"] = folder
        scene = first_scene(None, None, {"osc": "off", "midi": "off"})
        config = replace(live_config("demo", scene=scene), size=(width, height), seconds=args.seconds)
        eye = Eye(args.models or ["twin"])
        with only_instance():
            live = run_live(config, opener(config.size, headless=True), eye.look)
    eye.report(1000.0 / config.fps)
    print(f"presented {live.final['present']}, restarts {live.final['restarts']}")


if __name__ == "__main__":
    main()
