"""livelav as a user starts it, where an engine fails or takes long: `python -m x_engines FAULT ARGUMENTS...`

Every process is a real one; those that make images find one engine changed, as FAULTS say. What the HUD says is added
to `hud.txt` in the working folder, a line for each row that was not there before.
"""

import os
import sys
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from livelav.core.errors import BackendError, UnbuiltBackendError
from livelav.core.values import Bytes, Floats
from livelav.generate import library
from livelav.generate.backend import OWN_NOISE, Backend
from livelav.live.engine import Live, run_live
from livelav.live.synth import SynthConfig, SynthShared, run_synth


class Failing:
    """A real backend that makes so many images and then fails, as an engine whose driver went."""

    def __init__(self, backend: Backend, images: int) -> None:
        self._backend, self._left = backend, images
        self.name, self.streams = backend.name, backend.streams

    def synthesize(self, ws: Floats, noise: Floats = OWN_NOISE) -> Bytes:
        self._count()
        return self._backend.synthesize(ws, noise)

    def warmup(self) -> None:
        self._count()
        self._backend.warmup()

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise BackendError("the driver went; try another")


def openvino_fails(config: SynthConfig, shared: SynthShared, events: Connection) -> None:
    """OpenVINO builds, and fails at its first image."""
    build = library.build

    def built(network: Any, engine: str, *args: Any) -> Backend:
        made = build(network, engine, *args)
        return Failing(made, 0) if engine.startswith("openvino") else made

    library.build = built
    run_synth(config, shared, events)


def tensorrt_builds(config: SynthConfig, shared: SynthShared, events: Connection) -> None:
    """A card is here, though torch cannot use it; and something called TensorRT, which is torch on the processor. It
    builds until a file `go` is in the working folder, and keeps its engine, a file `engine`; a file `fail` ends that
    with an error."""
    build = library.build

    def built(
        network: Any, engine: str, threads: int, noise: Any, precision: Any, told: Any, streams: int, builds: bool
    ) -> Backend:
        if engine != "tensorrt":
            return build(network, engine, threads, noise, precision, told, streams, builds)
        if not Path("engine").exists():
            if not builds:
                raise UnbuiltBackendError("it has to be built first")
            while not Path("go").exists():
                told("building the engine: 40 %")
                if Path("fail").exists():
                    raise BackendError("no memory is left on the card")
                time.sleep(0.02)
            Path("engine").touch()
        made = build(network, "torch cpu", threads, noise)
        made.name = "tensorrt stand-in"
        return made

    library.build, library.has_cuda = built, lambda: True
    run_synth(config, shared, events)


def dies(config: SynthConfig, shared: SynthShared, events: Connection) -> None:
    """Whoever may choose the engine ends at once, as where a driver takes the process along; so does whoever loads a
    model of one's own."""
    if config.backend == "auto" or config.model != "default":
        os._exit(9)
    run_synth(config, shared, events)


FAULTS = {"dies": dies, "openvino-fails": openvino_fails, "tensorrt-builds": tensorrt_builds}


def main(fault: str) -> None:
    from livelav import cli, play
    from livelav.live import crew

    said: set[str] = set()

    def look(live: Live) -> None:
        for label, text, *_ in live.hud_text.rows(live, live._clock.now_s()):
            if (row := f"{label}: {text}") not in said:
                said.add(row)
                with Path("hud.txt").open("a") as hud:
                    hud.write(f"{row}\n")

    crew.run_synth = FAULTS[fault]
    play.run_live = partial(run_live, on_step=look)
    cli.main()


if __name__ == "__main__":
    main(sys.argv.pop(1))
