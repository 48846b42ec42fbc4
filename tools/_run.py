"""A training run: checkpoints, log and progress, and the model that comes out with its card and contact sheet.

A run can be stopped at any time and goes on from the last checkpoint in its folder, exactly. Knows no network's way of
learning.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import dataset
import numpy as np
import torch
from _noise import give_noise
from _training import Phase
from PIL import Image
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals
from livelav.core.store import write_json
from livelav.core.values import W_DIM
from livelav.generate.files import write_checkpoint
from livelav.generate.layout import Config
from livelav.generate.statistics import w_mean_and_std, w_samples
from livelav.generate.stylegan2 import StyleGAN2
from livelav.mapping.mapper import layer_group

SHOWN_SEED, SHOWN, SHOWN_PX = 4_000, (3, 8), 160  # pictures of the shipped contact sheet: rows and columns


class Training(Protocol):
    """What learns, step by step."""

    config: Config
    plan: tuple[Phase, ...]
    seed: int
    origin: str  # of the finished model that it began with or is taught by, the digest; else nothing
    device: torch.device
    steps: int
    images: int
    seconds: float  # of steps; whoever calls them counts it up

    @property
    def phase(self) -> Phase | None: ...
    @property
    def total_images(self) -> int: ...
    def step(self) -> dict[str, float]: ...
    def state(self) -> dict[str, Any]: ...
    def load_state(self, state: dict[str, Any]) -> None: ...
    def show(self) -> Image.Image: ...
    def figures(self) -> dict[str, float]: ...
    def finished(self) -> StyleGAN2: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A training run's folder. The state is written whole or not at all."""

    folder: Path

    @property
    def state_path(self) -> Path:
        return self.folder / "state.pt"

    def load(self, trainer: Training) -> None:
        """Goes on from the folder's state, where there is one. Raises SystemExit where it belongs to another run."""
        if not self.state_path.exists():
            return
        state = torch.load(self.state_path, map_location=trainer.device, weights_only=True)
        if state["made_for"] != identity(trainer):
            sys.exit(f"{self.state_path} belongs to another plan, seed, network or teacher; name another --work")
        trainer.load_state(state)

    def save(self, trainer: Training) -> None:
        """State, model, contact sheet and a line of figures."""
        half_written = self.state_path.with_suffix(".new")
        torch.save(trainer.state() | {"made_for": identity(trainer)}, half_written)
        os.replace(half_written, self.state_path)
        trainer.show().save(self.folder / f"sheet-{trainer.images:07d}.png")
        export(trainer.finished(), self.folder / "model.safetensors")
        self.log(trainer, trainer.figures())

    def log(self, trainer: Training, measured: dict[str, float]) -> None:
        size = (trainer.phase or trainer.plan[-1]).size
        line = {"images": trainer.images, "size": size, "seconds": round(trainer.seconds), **measured}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({name: round(value, 5) for name, value in line.items()}) + "\n")


def identity(trainer: Training) -> str:
    """What must be the same for a state to be gone on with."""
    plan = [asdict(phase) for phase in trainer.plan]
    made_of = {"config": trainer.config.as_dict(), "plan": plan, "seed": trainer.seed, "origin": trainer.origin}
    return json.dumps(made_of, sort_keys=True)


# ---- what comes out


def export(generator: StyleGAN2, path: Path) -> None:
    """A model file, in half precision, with the statistics of its W."""
    state = {name: value.detach().cpu().numpy() for name, value in generator.state_dict().items()}
    tensors = {name: state[name].astype(np.float16) for name in generator.config.tensor_shapes}
    w_mean, w_std = w_mean_and_std(w_samples(generator.config, tensors))
    tensors["mapping.w_avg"] = w_mean.astype(np.float16)
    write_checkpoint(path, generator.config, tensors, w_mean, w_std)


def finish(trainer: Training, path: Path, made_with: str, also: Mapping[str, Any] | None = None) -> None:
    """The trained model with its noise maps, its card and its contact sheet, ready to be shipped; `also` is for the
    card."""
    generator = trainer.finished()
    give_noise(generator)
    export(generator, path)
    write_json(path.with_suffix(".json"), card(trainer, path.stem, made_with) | dict(also or {}))
    contact_sheet(generator).save(path.with_suffix(".png"), optimize=True)


def card(trainer: Training, name: str, made_with: str) -> dict[str, Any]:
    """What livelav and its users want to know of the generator; the figures come from evaluate_models.py."""
    config, sizes = trainer.config, sorted({phase.size for phase in trainer.plan})
    images = [sum(phase.images for phase in trainer.plan if phase.size == size) for size in sizes]
    on_cuda = trainer.device.type == "cuda"
    device = torch.cuda.get_device_name() if on_cuda else f"{torch.get_num_threads()} threads of a processor"
    return {
        "name": name,
        "description": "Soft lights, liquids, crystals, curtains, caustics and ink on a dark ground.",
        "untrained": False,
        "architecture": f"StyleGAN2, {config.architecture}, {config.resolution} px, "
        f"channel_base {config.channel_base}, channel_max {config.channel_max}, {config.mapping_layers} mapping layer",
        "trained_on": f"{trainer.total_images:,} images of tools/dataset.py (seed {trainer.seed}), each drawn once by "
        "formula from random numbers; no photograph, nobody's picture",
        "trained_for": ", ".join(f"{n:,} images at {size} px" for n, size in zip(images, sizes, strict=True))
        + f"; {trainer.seconds / 60:.0f} min on {device}, bfloat16, torch {torch.__version__}, Python "
        f"{platform.python_version()}",
        "made_with": made_with,
        "noise": "smooth maps set after training (tools/_noise.py), for mapping.noise to drive",
        "limits": "knows only its six materials; soft by nature: fine lines are for the shaders to draw; a w far "
        "from the mean, in units of its deviation, is no picture of its training set",
        "licence": "MIT",
    }


@torch.no_grad()
def contact_sheet(generator: StyleGAN2) -> Image.Image:
    """Pictures as sound makes them: another w for each group of layers."""
    rows, columns = SHOWN
    z = torch.from_numpy(normals(SHOWN_SEED, 0, (3 * rows * columns, W_DIM))).float()
    by_group = generator.mapping(z).view(3, rows * columns, W_DIM)
    groups = [layer_group(resolution) for resolution in generator.config.ws_resolutions]
    images = generator.synthesis(torch.stack([by_group[group] for group in groups], dim=1))
    return dataset.sheet(F.interpolate(images, (SHOWN_PX, SHOWN_PX), mode="area").clamp(-1, 1), columns)


# ---- going through a plan


def run(trainer: Training, folder: Run, save_every_s: float, until_s: float) -> None:
    """Trains to the plan's end, or for `until_s` more seconds, saving on the way and at the end."""
    columns = (BarColumn(), TextColumn("{task.completed:,.0f} of {task.total:,.0f} images"), TimeRemainingColumn())
    began_s = saved_s = time.monotonic()
    with Progress(*columns, TextColumn("{task.description}")) as progress:
        task = progress.add_task("", total=trainer.total_images, completed=trainer.images)
        while trainer.phase is not None and time.monotonic() - began_s < until_s:
            step_began_s = time.monotonic()
            measured = trainer.step()
            now_s = time.monotonic()
            trainer.seconds += now_s - step_began_s
            if trainer.steps % 50 == 0:
                folder.log(trainer, measured)
                text = "  ".join(f"{name} {value:.4g}" for name, value in measured.items())
                progress.update(task, completed=trainer.images, description=text)
            if now_s - saved_s > save_every_s:
                folder.save(trainer)
                saved_s = time.monotonic()
    folder.save(trainer)


def scaled(plan: tuple[Phase, ...], scale: float) -> tuple[Phase, ...]:
    """The same plan with `scale` times as many images, in whole batches."""
    return tuple(replace(p, images=max(round(p.images * scale / p.batch), 1) * p.batch) for p in plan)
