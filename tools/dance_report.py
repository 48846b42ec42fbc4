"""By how much livelav dances more than chance: real music through LAV's mapping and every other synth, scored.

    python tools/dance_report.py [--out DIR] [--work DIR] [--pieces N] [--seconds S] [--jobs N]

Eight pieces from Debian's packages, three minutes of each from a fifth of its length on, after twenty seconds that are
heard but not judged: an hour and a half on two cores. Each synth draws them through the same generator, without any
shader: those listen for themselves. Every score stands beside its controls, see livelav/score/verdict.py; the Fréchet
distance says whether pictures stay those of the generator. What is done is kept in the work folder, and a second run
goes on from there. Writes dance.md, dance.png and dance.json.

The packages are asked of the system where they are missing; no music is kept with the project.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _generators import Model
from _pictures import FeatureSet, Scaler, frechet_distance
from _system import Need, mend, missing
from rich.progress import track as shown

from livelav import __version__
from livelav.audio.whole import WholeSound
from livelav.core.normals import normals
from livelav.core.params import CHOICE_BY_NAME
from livelav.core.processor import physical_cores
from livelav.core.store import write_json
from livelav.core.values import W_DIM, Bytes, Floats
from livelav.encode.encoder import load_encoder
from livelav.flags import first_scene
from livelav.generate.library import Generator, load_generator
from livelav.render.offline import Script, Step
from livelav.score.pictures import PictureFeatures
from livelav.score.sound import ANALYSIS_HZ, sound_features
from livelav.score.verdict import Verdict, judge
from livelav.scoring import MOTION_S, random_steps

WESNOTH, WARZONE = "/usr/share/games/wesnoth/*/data/core/music", "/usr/share/games/warzone2100/music/albums"
PACKAGES = (
    Need("wesnoth-1.16-music", "wesnoth-data", "wesnoth", files=(f"{WESNOTH}/battle.ogg",)),
    Need("warzone2100-music", "warzone2100", "warzone2100", files=(f"{WARZONE}/*/track1.opus",)),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Music that anybody can install."""

    name: str
    pattern: str
    origin: str


PIECES = (
    *(
        Piece(name, f"{WESNOTH}/{name}.ogg", "The Battle for Wesnoth, wesnoth-1.16-music, GPL-2+")
        for name in ("battle", "elvish-theme", "frantic", "knolls", "vengeful")
    ),
    *(
        Piece(f"warzone {name}", f"{WARZONE}/*/{name}.opus", "Warzone 2100, warzone2100-music, GPL-2+")
        for name in ("track1", "track5", "track11")
    ),
)
SYNTHS = CHOICE_BY_NAME["mapping.synth"].options
OWN = {"onset": "onsets", "chroma": "chroma"}  # features of the sound, and the synth that follows nothing else
SEED = "0"  # of all synths alike: nobody has chosen it
SETTLING_S = 20.0
EVERY = 8  # pictures: the distribution is judged by one of so many
MODEL = "default"
OWN_IMAGES = 2_000  # of the generator's own

Figures = dict[str, Any]


# ---- one piece through one synth


def run(piece: Piece, synth: str, seconds: float, work: Path) -> None:
    """Leaves NAME.json and NAME.npy (features of some of its pictures) in `work`, if they are not there."""
    path = path_of(piece, synth, seconds, work)
    if path.is_file():
        return
    scene = first_scene(None, SEED, {"mapping_synth": synth})
    encoder = load_encoder("embedded")
    generator = load_generator(MODEL, threads=1)
    sound = whole(piece, seconds)
    script = Script(encoder, generator.stats, scene, Fraction(ANALYSIS_HZ))
    steps = list(script.steps(sound.blocks(), sound.rate_hz))[round(SETTLING_S * ANALYSIS_HZ) :]
    steps = [replace(step, number=number) for number, step in enumerate(steps)]

    seen, kept, features = PictureFeatures(), [], FeatureSet()
    for number, picture in enumerate(drawn(generator, steps)):
        seen.push(picture)
        if number % EVERY == 0:
            kept.append(features(picture[None])[0])
    chance = PictureFeatures()
    outside = max(len(steps) - round(MOTION_S * ANALYSIS_HZ), 0) // 2
    for picture in drawn(generator, random_steps(steps[outside : len(steps) - outside], Fraction(ANALYSIS_HZ), 0, 0)):
        chance.push(picture)
    heard = heard_of(piece, seconds, seen.count, work)
    video, random = seen.features(), chance.features()
    figures = {"all": figures_of(judge(heard, video, random))}
    figures |= {name: figures_of(judge({name: heard[name]}, video, random)) for name in OWN}
    np.save(path.with_suffix(".npy"), np.array(kept))
    write_json(path, figures)  # last: it says that all is there


def heard_of(piece: Piece, seconds: float, count: int, work: Path) -> dict[str, Floats]:
    """Features of the sound, which are the same for every synth: worked out once."""
    path = path_of(piece, "heard", seconds, work).with_suffix(".npz")
    if not path.is_file():
        sound = whole(piece, seconds)
        samples = np.concatenate(list(sound.blocks()))[round(SETTLING_S * sound.rate_hz) :]
        made = path.with_name(f"{os.getpid()}-{path.name}")
        np.savez(made, **sound_features(samples, sound.rate_hz, np.arange(count) / ANALYSIS_HZ))
        os.replace(made, path)
    with np.load(path) as kept:
        return dict(kept)


def path_of(piece: Piece, synth: str, seconds: float, work: Path) -> Path:
    """Where its figures are."""
    return work / f"{piece.name.replace(' ', '-')}_{synth}_{seconds:g}s.json"


def whole(piece: Piece, seconds: float) -> WholeSound:
    """The part of it that is heard."""
    found = sorted(Path("/").glob(piece.pattern.lstrip("/")))
    if not found:
        raise SystemExit(f"{piece.pattern} is not there: install {piece.origin.split(', ')[1]}")
    first_s = max(WholeSound(found[0]).seconds / 5 - SETTLING_S, 0.0)
    return WholeSound(found[0], first_s, first_s + SETTLING_S + seconds)


def drawn(generator: Generator, steps: Sequence[Step]) -> Iterator[Bytes]:
    """[height, width, 3] each, as the generator makes them."""
    for step in steps:
        yield generator.synthesize(step.controls.ws, step.controls.noise)[..., :3]


def figures_of(verdict: Verdict) -> Figures:
    """Of Procrustes correlation, which is the one to quote."""
    of = {name: asdict(control.excess["procrustes"]) for name, control in verdict.controls.items()}
    return {"score": asdict(verdict.scores["procrustes"]), "above": of}


# ---- all of them


def own_images() -> Floats:
    """Features of what the generator draws of its own, as near to its centre as in a show."""
    model, features = Model.load(MODEL, "auto", physical_cores()), FeatureSet()
    psi, centre = first_scene(None, None, {}).settings["generate.psi"], model.generator.stats.w_avg
    found = []
    for w in model.w(normals(0, 0, (OWN_IMAGES, W_DIM))):
        picture = next(model.pictures(model.everywhere((centre + psi * (w - centre))[None])))
        found.append(features(picture[None])[0])
    return np.array(found)


def gathered(pieces: Sequence[Piece], seconds: float, work: Path) -> Figures:
    """What `run` left, by synth and piece, with each synth's Fréchet distance over all pieces."""
    own = own_images()
    scaler = Scaler.of(own)
    found: Figures = {}
    for synth in SYNTHS:
        paths = {piece.name: path_of(piece, synth, seconds, work) for piece in pieces}
        pictures = np.concatenate([np.load(path.with_suffix(".npy")) for path in paths.values()])
        found[synth] = {
            "pieces": {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items()},
            "frechet": frechet_distance(scaler(pictures), scaler(own)),
        }
    half = OWN_IMAGES // 2
    found["the generator against itself"] = {"frechet": frechet_distance(scaler(own[:half]), scaler(own[half:]))}
    return found


# ---- what is told of it


def medians(of: Figures, what: str, control: str | None) -> list[float]:
    """One for each piece: above a control, or the bare score."""
    each = (figures[what] for figures in of["pieces"].values())
    return [one["score"]["mean"] if control is None else one["above"][control]["mean"] for one in each]


def is_above(figures: Figures) -> bool:
    """Whether a piece is above both controls with a confidence of 95 %."""
    return all(one["low"] is not None and one["low"] > 0 for one in figures["all"]["above"].values())


def page(found: Figures, pieces: Sequence[Piece], seconds: float) -> str:
    """dance.md."""
    count = len(pieces)
    lines = [
        "# How far livelav dances more than chance",
        "",
        f"{count} pieces, {seconds:g} s of each, through every synth and the generator `{MODEL}`, without shaders; "
        f"settings as shipped, seed {SEED}. Procrustes correlation of all features of sound and pictures, in segments "
        "of ten seconds, above two controls made of the same pictures and of the same `ws`: shuffled in blocks, and "
        "random motion of equal smoothness. Medians over the pieces. Made by `python tools/dance_report.py`.",
        "",
        "![Each piece above random motion, by synth](dance.png)",
        "",
        "| synth | score | above random | above shuffled | pieces above both, 95 % | Fréchet distance |",
        "|---|---|---|---|---|---|",
    ]
    for synth in SYNTHS:
        of = found[synth]
        above = sum(map(is_above, of["pieces"].values()))
        cells = [f"{median(medians(of, 'all', control)):.3f}" for control in (None, "random", "shuffled")]
        lines.append(f"| {synth} | {' | '.join(cells)} | {above} of {count} | {of['frechet']:.0f} |")
    itself = found["the generator against itself"]["frechet"]
    lines += [
        "",
        f"Fréchet distance of one picture in {EVERY} to {OWN_IMAGES:,} images of the generator's own; of two halves of "
        f"those it is {itself:.0f}.",
        "",
        "## Each on the feature that it follows",
        "",
        "The order that the metric must have: a picture that stands still, random motion, and those that follow the "
        "feature. Score, and in brackets above random motion.",
        "",
        "| sound's feature | " + " | ".join(SYNTHS) + " |",
        "|---" * (len(SYNTHS) + 1) + "|",
    ]
    for what in OWN:
        scores = [median(medians(found[s], what, None)) for s in SYNTHS]
        above = [median(medians(found[s], what, "random")) for s in SYNTHS]
        lines.append(
            f"| {what} | " + " | ".join(f"{a:.3f} ({b:+.3f})" for a, b in zip(scores, above, strict=True)) + " |"
        )
    lines += ["", *(f"- {ordered(found, what, synth)}" for what, synth in OWN.items())]
    lines += [
        "",
        "## LAV, piece by piece",
        "",
        "| piece | score | above random | above shuffled | from |",
        "|---" * 5 + "|",
    ]
    for piece in pieces:
        figures = found["lav"]["pieces"][piece.name]["all"]
        cells = [told(figures["above"][control]) for control in ("random", "shuffled")]
        lines.append(f"| {piece.name} | {figures['score']['mean']:.3f} | {' | '.join(cells)} | {piece.origin} |")
    return "\n".join([*lines, ""])


def ordered(found: Figures, what: str, synth: str) -> str:
    """Whether the metric puts those that must be apart in order, and how far apart they are."""
    still, random, follows = (np.array(medians(found[name], what, None)) for name in ("still", "random", synth))
    in_order = int(np.sum((still < random) & (random < follows)))
    return (
        f"On {what}, random is {median(random - still):+.3f} from still, and {synth} {median(follows - random):+.3f} "
        f"from random (medians over the pieces); {in_order} of {len(still)} pieces are in that order."
    )


def told(of: Figures) -> str:
    """A mean and its interval."""
    return f"{of['mean']:+.3f}" + ("" if of["low"] is None else f" ± {of['mean'] - of['low']:.3f}")


def draw(found: Figures, path: Path) -> None:
    """dance.png: a row for each synth, a dot for each piece above random motion, a bar at their median."""
    from PIL import Image, ImageDraw, ImageFont

    left, right, top, row = 150, 40, 30, 46
    width, height = 900, top + row * len(SYNTHS) + 60
    each = {synth: medians(found[synth], "all", "random") for synth in SYNTHS}
    values = [value for those in each.values() for value in those]
    low, high = min(*values, 0.0) - 0.02, max(*values, 0.0) + 0.02
    sheet = Image.new("RGB", (width, height), (18, 18, 22))
    pen, font, small = ImageDraw.Draw(sheet), ImageFont.load_default(17), ImageFont.load_default(14)

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    bottom = top + row * len(SYNTHS)
    for tick in np.arange(np.ceil(low / 0.05), np.floor(high / 0.05) + 1) * 0.05:
        shade = (150, 150, 160) if abs(tick) < 1e-9 else (50, 50, 58)
        pen.line((x(tick), top, x(tick), bottom), shade, 2 if abs(tick) < 1e-9 else 1)
        pen.text((x(tick), bottom + 8), f"{tick + 0.0:+.2f}", (150, 150, 160), small, anchor="mt")
    for number, (synth, those) in enumerate(each.items()):
        y, ink = top + (number + 0.5) * row, (255, 150, 40) if synth == "lav" else (130, 170, 255)
        pen.text((left - 14, y), synth, (235, 235, 240), font, anchor="rm")
        for value in those:
            pen.ellipse((x(value) - 5, y - 5, x(value) + 5, y + 5), outline=ink, width=2)
        pen.rectangle((x(median(those)) - 2, y - 16, x(median(those)) + 2, y + 16), ink)
    foot = (
        "Procrustes correlation above random motion of equal smoothness; a circle for each piece, a bar at the median"
    )
    pen.text((left, bottom + 34), foot, (150, 150, 160), small)
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs"), metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path(".dance"), metavar="DIR", help="where it goes on from")
    parser.add_argument("--pieces", type=int, default=len(PIECES), metavar="N", help="the first so many")
    parser.add_argument("--seconds", type=float, default=180.0, metavar="S", help="of each")
    parser.add_argument("--jobs", type=int, default=physical_cores(), metavar="N", help="at a time")
    args = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # of the processes to come
    if (lacking := missing(PACKAGES)) and (still := mend(lacking, print)):
        raise SystemExit(f"install {', '.join(need.apt for need in still)} first")
    pieces = PIECES[: args.pieces]
    args.work.mkdir(parents=True, exist_ok=True)
    jobs = [(piece, synth) for piece in pieces for synth in SYNTHS]
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(run, piece, synth, args.seconds, args.work) for piece, synth in jobs]
        for done in shown(as_completed(waiting), "scoring", total=len(jobs)):
            done.result()
    found = gathered(pieces, args.seconds, args.work)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "dance.md").write_text(page(found, pieces, args.seconds), encoding="utf-8")
    draw(found, args.out / "dance.png")
    write_json(args.out / "dance.json", {"version": __version__, "seconds": args.seconds, "synths": found})
    print(f"wrote {args.out / 'dance.md'}")


if __name__ == "__main__":
    main()
