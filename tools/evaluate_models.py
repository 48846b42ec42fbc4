"""Figures for the embedded models: how like its training set a generator's pictures are, and what an encoder hears.

    python tools/evaluate_models.py generator MODEL... [--reference MODEL]... [--untrained] [--out DIR] [--json FILE]
                                              [--card]
    python tools/evaluate_models.py encoder [ENCODER...] [--music FILE...] [--json FILE]

References are what a model is to be better than: a copy trained a tenth as long, an untrained network. Here is what
a shipped generator must reach, and how it is shown; how it is measured is in _generators.py, _pictures.py and
_probes.py.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from _generators import (
    CLOSEST,
    GROUPS,
    NEIGHBOUR_PX,
    SAMPLES,
    Z_SEED,
    Figures,
    Model,
    TrainingSet,
    generator_figures,
    mixed_ws,
    training_figures,
    training_set,
    w_circle,
    write_untrained,
    z_circle,
)
from _pictures import FeatureSet, nearest, thumbnails
from _probes import RATE_HZ, Sound, encoder_figures, held_out_music
from PIL import Image
from rich.console import Console
from rich.table import Table

from livelav.core.errors import LivelavError
from livelav.core.normals import normals
from livelav.core.processor import physical_cores
from livelav.core.store import write_json
from livelav.core.values import W_DIM, Bytes
from livelav.encode.calibration import passage
from livelav.encode.encoder import load_encoder
from livelav.generate.files import read_card
from livelav.generate.library import find_model

MOST_OF_REFERENCE = 0.25  # Fréchet distance, of each reference's
LEAST_DIVERSITY = 0.8  # of the training set's
LARGEST_JUMP = 5.0  # times the median step
MOST_SUSPICIOUS = 3 * CLOSEST  # of 1,000 pictures 10 are expected, give or take 3
SHEET_PX = 128
FEWEST_IMAGES = 32
PASSAGE_S, PASSAGE_SEEDS = 24.0, (901, 902, 903, 904)  # synthetic music that no encoder was calibrated on

ROWS = (
    ("Fréchet distance", ("frechet",)),
    ("diversity", ("diversity",)),
    ("nearest picture seen: closest", ("neighbours", "closest")),
    ("nearest picture seen: median", ("neighbours", "median")),
    ("nearest picture not seen: median", ("neighbours", "median_to_new")),
    ("suspiciously near", ("neighbours", "suspicious")),
    ("circles of z: median step", ("smoothness", "z", "median_step")),
    ("circles of z: largest jump", ("smoothness", "z", "largest_jump")),
    ("circles of W: median step", ("smoothness", "w_by_group", "median_step")),
    ("circles of W: largest jump", ("smoothness", "w_by_group", "largest_jump")),
)


# ---- what the figures must be


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement and how a model does."""

    what: str
    value: float
    limit: float
    at_most: bool = True

    @property
    def holds(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def as_dict(self) -> Figures:
        bound = "at_most" if self.at_most else "at_least"
        return {"what": self.what, "value": self.value, bound: self.limit, "holds": self.holds}

    def __str__(self) -> str:
        return f"{self.value:.3g} ({'≤' if self.at_most else '≥'} {self.limit:g})"


def checks(figures: Figures, references: dict[str, Figures]) -> list[Check]:
    """The requirements on a shipped generator."""
    found = [
        Check(f"Fréchet distance over that of {name}", figures["frechet"] / them["frechet"], MOST_OF_REFERENCE)
        for name, them in references.items()
    ]
    return [
        *found,
        Check("diversity, of the training set's", figures["diversity"], LEAST_DIVERSITY, at_most=False),
        Check("largest jump on circles of z", figures["smoothness"]["z"]["largest_jump"], LARGEST_JUMP),
        Check("largest jump on circles of W", figures["smoothness"]["w_by_group"]["largest_jump"], LARGEST_JUMP),
        Check("suspiciously near a picture seen", figures["neighbours"]["suspicious"], MOST_SUSPICIOUS),
    ]


def report(training: Figures, models: dict[str, Figures], required: dict[str, list[Check]]) -> Table:
    """A column for the training set and one for each model; what a model must reach is marked."""
    table = Table("figure", "training set", *models)
    rows: list[tuple[str, Sequence[str]]] = list(ROWS)
    rows += [(f"{g} changes {what}", ("mixing", g, what)) for g in GROUPS for what in ("layout", "form", "colour")]
    for title, path in rows:
        table.add_row(title, *(_shown(figures, path) for figures in (training, *models.values())))
    table.add_section()
    for row in zip(*required.values(), strict=True):
        marked = iter(f"[{'green' if check.holds else 'red'}]{check}[/]" for check in row)
        table.add_row(row[0].what, "", *(next(marked) if name in required else "" for name in models))
    return table


def _shown(figures: Figures, path: Sequence[str]) -> str:
    value: Any = figures
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return "" if value is None else f"{value:.3g}"


# ---- sheets


def write_sheets(model: Model, training: TrainingSet, folder: Path) -> None:
    """What the figures cannot say: samples, samples above their nearest training images, mixed styles, circles."""
    w = model.w(normals(Z_SEED, SAMPLES, (32, W_DIM)))
    samples = np.stack(list(model.pictures(model.everywhere(w))))
    index = nearest(thumbnails(samples[:16], NEIGHBOUR_PX), training.seen.small).index
    like = training.seen_pictures(index, samples.shape[1])
    pairs = np.concatenate([samples[:8], like[:8], samples[8:16], like[8:]])
    mixed = [np.stack(list(model.pictures(mixed_ws(model, w[:6], w[6:12], group)))) for group in GROUPS]
    rows = np.stack([samples[:6], *mixed, samples[6:12]], axis=1)
    circles = np.concatenate([make(model, n)[:96:8] for make in (z_circle, w_circle) for n in (0, 1)])
    sheets = {
        "samples": (samples, 8),
        "neighbours": (pairs, 8),
        "mixing": (rows.reshape(-1, *samples.shape[1:]), rows.shape[1]),
        "circles": (np.stack(list(model.pictures(circles))), 12),
    }
    for name, (pictures, columns) in sheets.items():
        sheet(pictures, columns).save(folder / f"{model.name}-{name}.png")


def sheet(pictures: Bytes, columns: int) -> Image.Image:
    """Pictures [n, h, w, 3] row by row."""
    small = thumbnails(pictures, SHEET_PX)
    rows = [np.concatenate(small[i : i + columns], axis=1) for i in range(0, len(small), columns)]
    return Image.fromarray(np.concatenate(rows, axis=0))


# ---- the commands


def evaluate_generators(options: argparse.Namespace, console: Console) -> Figures:
    if options.images < FEWEST_IMAGES:
        raise ValueError(f"--images {options.images}: it must be {FEWEST_IMAGES} or more; 1,000 say something")
    with tempfile.TemporaryDirectory() as folder:
        models = [Model.load(name, options.backend, options.threads) for name in options.models]
        references = [Model.load(name, options.backend, options.threads) for name in options.reference]
        if options.untrained:
            path = write_untrained(models[0].config, Path(folder))
            references.append(Model.load(str(path), options.backend, options.threads))
    features = FeatureSet()
    training = training_set(features, options.images, options.training_seed, options.trained_on)
    of_training = training_figures(training)
    named = dict(zip(_distinct_names([*models, *references]), [*models, *references], strict=True))
    found = {name: generator_figures(model, features, training) for name, model in named.items()}
    names = list(named)
    judged, held_against = names[: len(models)], names[len(models) :]
    required = {name: checks(found[name], {r: found[r] for r in held_against}) for name in judged}
    console.print(report(of_training, found, required))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, model in named.items():
            write_sheets(replace(model, name=name), training, options.out)
    figures = {
        "images": len(training.new.features),
        "training_set": of_training,
        "models": found,
        "required": {name: [check.as_dict() for check in those] for name, those in required.items()},
    }
    if options.card:
        for path, name in zip(map(find_model, options.models), judged, strict=True):
            write_into_card(path, figures, name)
    return figures


def write_into_card(path: Path, figures: Figures, name: str) -> None:
    """Puts a model's figures, and what they were held against, into the card beside its file."""
    card = read_card(path)
    card["measured"] = {
        "images_of_each_set": figures["images"],
        "required": figures["required"][name],
        "figures": figures["models"][name],
        "training_set": figures["training_set"],
        "references": {other: those for other, those in figures["models"].items() if other not in figures["required"]},
    }
    write_json(path.with_suffix(".json"), rounded(card))


def rounded(figures: Figures) -> Figures:
    result: Figures = json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 5))
    return result


def _distinct_names(models: Sequence[Model]) -> list[str]:
    """Files of the same name in different folders get a number."""
    names: list[str] = []
    for model in models:
        again = sum(name.split("#")[0] == model.name for name in names)
        names.append(f"{model.name}#{again + 1}" if again else model.name)
    return names


def evaluate_encoders(options: argparse.Namespace, console: Console) -> Figures:
    sounds: list[Sound] = (
        held_out_music(*options.music)
        if options.music
        else [(f"synthetic {seed}", passage(RATE_HZ, PASSAGE_S, seed)) for seed in PASSAGE_SEEDS]
    )
    found = {name: encoder_figures(load_encoder(name), sounds) for name in options.encoders}
    table = Table("figure", *found)
    for figure in next(iter(found.values())):
        table.add_row(figure, *(f"{figures[figure]:.3g}" for figures in found.values()))
    console.print(table)
    return {"sounds": [name for name, _ in sounds], "encoders": found}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(required=True)

    generator = verbs.add_parser("generator", help="pictures against the training set")
    generator.add_argument("models", nargs="+", metavar="MODEL", help="a name or a file")
    generator.add_argument("--reference", action="append", default=[], metavar="MODEL", help="to be better than")
    generator.add_argument("--untrained", action="store_true", help="so is an untrained network of the same shape")
    generator.add_argument("--images", type=int, default=10_000, help="of each set; fewer than 5,000 flatter no model")
    generator.add_argument("--out", type=Path, metavar="DIR", help="folder for contact sheets")
    generator.add_argument("--card", action="store_true", help="put the figures into the models' cards")
    generator.add_argument("--training-seed", type=int, default=1, help="of the stream that was trained on")
    generator.add_argument("--trained-on", type=int, default=100_000, metavar="IMAGES", help="how many of it")
    generator.add_argument("--backend", default="auto", help="openvino, torch, or auto: the first that runs")
    generator.add_argument("--threads", type=int, default=physical_cores())
    generator.set_defaults(run=evaluate_generators)

    encoder = verbs.add_parser("encoder", help="linear probes and effective rank")
    encoder.add_argument("encoders", nargs="*", default=["embedded"], metavar="ENCODER", help="a name or a file")
    encoder.add_argument("--music", type=Path, nargs="+", default=[], metavar="FILE", help="not trained on")
    encoder.set_defaults(run=evaluate_encoders, threads=physical_cores())
    for verb in (generator, encoder):
        verb.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    try:
        figures = options.run(options, Console())
        if options.json:
            write_json(options.json, rounded(figures))
    except (LivelavError, soundfile.SoundFileError, ValueError, OSError) as error:
        print(f"evaluate_models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
