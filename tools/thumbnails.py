"""Thumbnails of presets, by the show's own stages over the built-in demo; and a sheet of several moments of each.

    python tools/thumbnails.py [PRESET...] [--sound FILE] [--model NAME] [--out DIR] [--sheet FILE]

Without names all shipped presets, into presets/. A thumbnail is the picture at THUMBNAIL_S; the sheet has a row for
each preset and a column for each of MOMENTS_S.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image as Picture

from livelav.audio.demo import RATE_HZ, compose
from livelav.core.presets import list_presets, load_preset
from livelav.core.scene import Scene
from livelav.core.store import data_dir
from livelav.core.values import Bytes, Floats
from livelav.encode.encoder import load_encoder
from livelav.flags import first_scene
from livelav.generate.library import Generator, load_generator
from livelav.render.offline import Pictures, Script, by
from livelav.show.headless import HeadlessSurface
from livelav.show.renderer import Renderer

SIZE, SMALL = (640, 360), (320, 180)  # pixels drawn, and kept
THUMBNAIL_S, MOMENTS_S = 11.0, (5.0, 8.0, 11.0, 14.0, 17.0, 20.0)
TRAIL_S, FPS = 2.0, 20  # what is drawn before each moment, so that feedback has something to keep
COLOURS = 128  # of a thumbnail: a third of the bytes, and no eye sees it


@dataclass(frozen=True, slots=True)
class Stage:
    """What all presets are drawn with."""

    generator: Generator
    surface: HeadlessSurface
    sound: Floats  # [n, channels]
    rate_hz: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("presets", nargs="*", help="names, or .toml files")
    parser.add_argument("--sound", type=Path, help="instead of the demo; its first seconds are taken")
    parser.add_argument("--model", default="default")
    parser.add_argument("--out", type=Path, default=data_dir("presets"))
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()

    sound, rate_hz = heard(options.sound)
    stage = Stage(load_generator(options.model, "auto"), HeadlessSurface(SIZE), sound, rate_hz)
    names = options.presets or [listed.path.stem for listed in list_presets() if listed.shipped]
    rows = []
    for name in names:
        scene = first_scene(None, None, {}).after(load_preset(name))
        pictures = list(drawn(stage, scene, MOMENTS_S))
        thumbnail(pictures[MOMENTS_S.index(THUMBNAIL_S)]).save(options.out / f"{Path(name).stem}.png", optimize=True)
        rows.append(np.concatenate([np.asarray(small(picture)) for picture in pictures], axis=1))
        print(name)
    if options.sheet:
        Picture.fromarray(np.concatenate(rows)).save(options.sheet)


def heard(path: Path | None) -> tuple[Floats, float]:
    """(samples [n, channels] that last as long as the moments need, rate in Hz)"""
    seconds = max(MOMENTS_S) + 1.0
    if path is None:
        once = compose()
        return np.tile(once, (int(np.ceil(seconds * RATE_HZ / len(once))), 1)), float(RATE_HZ)
    with soundfile.SoundFile(path) as file:
        return file.read(int(seconds * file.samplerate), dtype="float32", always_2d=True), float(file.samplerate)


def drawn(stage: Stage, scene: Scene, moments_s: Sequence[float]) -> Iterator[Bytes]:
    """The window's picture [height, width, 3] at these moments."""
    renderer = Renderer(stage.surface.ctx, stage.surface.software)
    pictures = Pictures(by(stage.generator), renderer, stage.surface.fbo, SIZE)
    script = Script(load_encoder("embedded"), stage.generator.stats, scene, Fraction(FPS))
    blocks = iter(np.array_split(stage.sound, round(max(moments_s) * 10)))
    for step in script.steps(blocks, round(stage.rate_hz)):
        if any(moment_s - TRAIL_S <= step.time_s <= moment_s for moment_s in moments_s):
            picture = pictures.make(step)
            if step.time_s in moments_s:
                yield picture[..., :3].copy()
    renderer.close()


def small(picture: Bytes) -> Picture.Image:
    return Picture.fromarray(picture).resize(SMALL, Picture.Resampling.LANCZOS)


def thumbnail(picture: Bytes) -> Picture.Image:
    return small(picture).quantize(COLOURS, dither=Picture.Dither.FLOYDSTEINBERG)


if __name__ == "__main__":
    main()
