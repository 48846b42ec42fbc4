"""Trains livelav's embedded generator on the endless images of dataset.py.

    python tools/train_generator.py --work DIR [--plan cpu|cuda] [--scale S] [--out livelav/models/default.safetensors]

How it is trained says _training.py. A run can be stopped at any time and goes on from the last checkpoint in DIR,
exactly. DIR holds the state, the model so far, a log (one JSON object a line) and a contact sheet per checkpoint.
With --out the finished model is written with noise maps, card and contact sheet.
"""

import argparse
import copy
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import dataset
import numpy as np
import torch
from _noise import give_noise
from _straight import straighten
from _training import Phase, Trainer
from PIL import Image
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals
from livelav.core.store import write_json
from livelav.core.values import W_DIM
from livelav.generate.files import read_checkpoint, write_checkpoint
from livelav.generate.layout import Config
from livelav.generate.library import find_model
from livelav.generate.statistics import w_mean_and_std, w_samples
from livelav.generate.stylegan2 import StyleGAN2
from livelav.mapping.mapper import layer_group

CONFIG = Config(resolution=256, channel_base=4096, channel_max=128, mapping_layers=1, conv_clamp=256.0)
TRAINING_SEED = 1
SHOWN_SEED, SHOWN, SHOWN_PX = 4_000, (3, 8), 160  # pictures of the shipped contact sheet: rows and columns

PLANS: dict[str, tuple[Phase, ...]] = {
    "cpu": (
        Phase(32, 20_000, 16, adversary=False, learning_rate=8e-3),
        Phase(32, 30_000, 16, adversary=True, learning_rate=4e-3),
        Phase(64, 80_000, 16, adversary=True, learning_rate=4e-3),
        Phase(128, 50_000, 16, adversary=True, learning_rate=4e-3),
        Phase(256, 64_000, 16, adversary=True, learning_rate=4e-3),
    ),
    "cuda": (
        Phase(32, 100_000, 64, adversary=False, learning_rate=8e-3),
        Phase(64, 400_000, 64, adversary=True, learning_rate=4e-3),
        Phase(128, 800_000, 64, adversary=True, learning_rate=4e-3),
        Phase(256, 2_000_000, 64, adversary=True, learning_rate=2e-3),
    ),
}


# ---- the run: checkpoints, log, progress


@dataclass(frozen=True, slots=True)
class Run:
    """A training run's folder. The state is written whole or not at all."""

    folder: Path

    @property
    def state_path(self) -> Path:
        return self.folder / "state.pt"

    def load(self, trainer: Trainer) -> None:
        """Goes on from the folder's state, where there is one. Raises SystemExit where it belongs to another run."""
        if not self.state_path.exists():
            return
        state = torch.load(self.state_path, map_location=trainer.device, weights_only=True)
        if state["made_for"] != identity(trainer):
            sys.exit(f"{self.state_path} belongs to another plan, seed or network; name another --work")
        trainer.load_state(state)

    def save(self, trainer: Trainer) -> None:
        """State, model, contact sheet and a line of figures."""
        half_written = self.state_path.with_suffix(".new")
        torch.save(trainer.state() | {"made_for": identity(trainer)}, half_written)
        os.replace(half_written, self.state_path)
        trainer.show().save(self.folder / f"sheet-{trainer.images:07d}.png")
        export(straightened(trainer), self.folder / "model.safetensors")
        self.log(trainer, trainer.figures())

    def log(self, trainer: Trainer, measured: dict[str, float]) -> None:
        size = (trainer.phase or trainer.plan[-1]).size
        line = {"images": trainer.images, "size": size, "seconds": round(trainer.seconds), **measured}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({name: round(value, 5) for name, value in line.items()}) + "\n")


def identity(trainer: Trainer) -> str:
    """What must be the same for a state to be gone on with."""
    plan = [asdict(phase) for phase in trainer.plan]
    return json.dumps({"config": trainer.config.as_dict(), "plan": plan, "seed": trainer.seed}, sort_keys=True)


# ---- what comes out


def straightened(trainer: Trainer) -> StyleGAN2:
    """The kept generator with its mapping network; training goes on with W as it is."""
    generator = copy.deepcopy(trainer.kept).cpu()
    straighten(generator, trainer.w_covariance().cpu())
    return generator


def export(generator: StyleGAN2, path: Path) -> None:
    """A model file, in half precision, with the statistics of its W."""
    state = {name: value.detach().cpu().numpy() for name, value in generator.state_dict().items()}
    tensors = {name: state[name].astype(np.float16) for name in generator.config.tensor_shapes}
    w_mean, w_std = w_mean_and_std(w_samples(generator.config, tensors))
    tensors["mapping.w_avg"] = w_mean.astype(np.float16)
    write_checkpoint(path, generator.config, tensors, w_mean, w_std)


def finish(trainer: Trainer, path: Path, made_with: str) -> None:
    """The trained model with its noise maps, its card and its contact sheet, ready to be shipped."""
    generator = straightened(trainer)
    give_noise(generator)
    export(generator, path)
    write_json(path.with_suffix(".json"), card(trainer, path.stem, made_with))
    contact_sheet(generator).save(path.with_suffix(".png"), optimize=True)


def card(trainer: Trainer, name: str, made_with: str) -> dict[str, Any]:
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


# ---- the command


def run(trainer: Trainer, folder: Run, save_every_s: float, until_s: float) -> None:
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


def further(plan: tuple[Phase, ...], size: int) -> tuple[Phase, ...]:
    """The part of a plan that a finished generator of `size` px still profits from."""
    return (replace(plan[0], size=size, only_encoder=True), *(phase for phase in plan[1:] if phase.size == size))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of state, log and sheets; goes on from there")
    parser.add_argument("--plan", choices=sorted(PLANS), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many images as the plan has")
    parser.add_argument("--start", metavar="MODEL", help="train this model further; its W is learnt anew at first")
    parser.add_argument("--seed", type=int, default=TRAINING_SEED)
    parser.add_argument("--save-every", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop then; the same command goes on")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--unfused", action="store_true", help="without torch.compile: a third of the speed")
    parser.add_argument("--out", type=Path, help="where the finished model goes, with card and contact sheet")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if options.plan == "cuda" else "cpu")
    plan = scaled(PLANS[options.plan], options.scale)
    start = read_checkpoint(find_model(options.start)) if options.start else None
    if start:
        plan = further(plan, start.config.resolution)
    trainer = Trainer(start.config if start else CONFIG, plan, options.seed, device, not options.unfused)
    if start:
        trainer.start_from(start.tensors)
    folder = Run(options.work)
    folder.load(trainer)
    run(trainer, folder, options.save_every, 60.0 * options.minutes)
    if options.out and trainer.phase is None:
        start_from = f" --start {Path(options.start).name}" if options.start else ""
        scale = f" --scale {options.scale:g}" if options.scale != 1.0 else ""
        command = f"tools/train_generator.py --plan {options.plan} --seed {options.seed}{scale}{start_from}"
        finish(trainer, options.out, command)


if __name__ == "__main__":
    main()
