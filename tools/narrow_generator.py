"""Makes a narrower copy of a finished generator: the same W, nearly the same pictures, half the work.

    python tools/narrow_generator.py --work DIR [--teacher MODEL] [--out FILE.safetensors]

How it learns says _narrowing.py. A run can be stopped at any time and goes on from the last checkpoint in DIR,
exactly; DIR holds what train_generator.py's does.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from _narrowing import Pupil
from _run import Run, finish, run, scaled
from _training import Phase

from livelav.generate.files import read_card, read_checkpoint
from livelav.generate.library import find_model
from livelav.generate.stylegan2 import StyleGAN2

BASE = 2048  # channel_base: with the teacher's 4096 two cores without a matrix unit make 40 to 50 images a second
TEACHER, SEED = "wide", 1
COPIED, JUDGED = 16_000, 40_000  # images


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of state, log and sheets; goes on from there")
    parser.add_argument("--teacher", default=TEACHER, metavar="MODEL", help="a name or a file")
    parser.add_argument("--base", type=int, default=BASE, help="channel_base of the copy")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many images as the plan has")
    parser.add_argument("--save-every", type=float, default=900.0, metavar="SECONDS")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop then; the same command goes on")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--unfused", action="store_true", help="without torch.compile: a third of the speed")
    parser.add_argument("--out", type=Path, help="where the finished model goes, with card and contact sheet")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    path = find_model(options.teacher)
    known = read_checkpoint(path)
    size = known.config.resolution
    plan = scaled(
        (
            Phase(size, COPIED, 16, adversary=False, learning_rate=2e-3),
            Phase(size, JUDGED, 16, adversary=True, learning_rate=2e-3),
        ),
        options.scale,
    )
    teacher = StyleGAN2.from_tensors(known.config, known.tensors)
    config = replace(known.config, channel_base=options.base)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pupil = Pupil(teacher, config, plan, SEED, known.sha256, device, not options.unfused)
    folder = Run(options.work)
    folder.load(pupil)
    run(pupil, folder, options.save_every, 60.0 * options.minutes)
    if options.out and pupil.phase is None:
        of_teacher = read_card(path)
        scale = f" --scale {options.scale:g}" if options.scale != 1.0 else ""
        command = f"tools/narrow_generator.py --teacher {path.stem} --base {options.base}{scale}"
        also = {
            "taught_by": f"{path.stem}, sha256 {known.sha256}",
            **({"trained_on": of_teacher["trained_on"]} if "trained_on" in of_teacher else {}),
        }
        finish(pupil, options.out, command, also)


if __name__ == "__main__":
    main()
