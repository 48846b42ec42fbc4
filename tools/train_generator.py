"""Trains livelav's embedded generator on the endless images of dataset.py.

    python tools/train_generator.py --work DIR [--plan cpu|cuda] [--scale S] [--out livelav/models/wide.safetensors]

How it is trained says _training.py. A run can be stopped at any time and goes on from the last checkpoint in DIR,
exactly. DIR holds the state, the model so far, a log (one JSON object a line) and a contact sheet per checkpoint.
With --out the finished model is written with noise maps, card and contact sheet.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from _run import Run, finish, run, scaled
from _training import Phase, Trainer

from livelav.generate.files import read_checkpoint
from livelav.generate.layout import Config
from livelav.generate.library import find_model

CONFIG = Config(resolution=256, channel_base=4096, channel_max=128, mapping_layers=1, conv_clamp=256.0)
TRAINING_SEED = 1

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
        trainer.start_from(start.tensors, start.sha256)
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
