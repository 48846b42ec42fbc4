"""Thumbnails of presets, by the show's own stages over the built-in demo; and a sheet of several moments of each.

    python tools/thumbnails.py [PRESET...] [--sound FILE] [--model NAME] [--out DIR] [--sheet FILE]

Without names all shipped presets, into presets/. A thumbnail is the picture at THUMBNAIL_S; the sheet has a row for
each preset and a column for each of MOMENTS_S.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image as Picture

from livelav.audio.demo import RATE_HZ, compose
from livelav.chain import Chain, Frame
from livelav.core.presets import list_presets, load_preset
from livelav.core.scene import Scene
from livelav.core.store import data_dir
from livelav.core.values import Block, Bytes, Floats, Image
from livelav.encode.encoder import load_encoder
from livelav.generate.library import Generator, load_generator
from livelav.mapping.mapper import Mapper
from livelav.play import first_scene
from livelav.show.headless import HeadlessSurface
from livelav.show.renderer import Moment, Renderer

SIZE, SMALL = (640, 360), (320, 180)  # pixels drawn, and kept
THUMBNAIL_S, MOMENTS_S = 11.0, (5.0, 8.0, 11.0, 14.0, 17.0, 20.0)
TRAIL_S, FPS = 2.0, 20.0  # what is drawn before each moment, so that feedback has something to keep
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
    frames, rate = played(stage, scene)
    renderer = Renderer(stage.surface.ctx, stage.surface.software)
    for moment_s in moments_s:
        for now_s in np.arange(moment_s - TRAIL_S, moment_s + 0.5 / FPS, 1.0 / FPS):
            frame = frames[min(int(now_s * rate), len(frames) - 1)]
            pixels = stage.generator.synthesize(frame.controls.ws, frame.controls.noise)
            renderer.set_image(Image(pixels, now_s))
            heard, order = frame.features, scene.choices["chain.order"]
            moment = Moment(scene.settings, float(now_s), heard.rms, heard.onset, order=order)
            renderer.draw(stage.surface.fbo, SIZE, moment)
        yield renderer.read_rgba(SIZE)[::-1, :, :3].copy()
    renderer.close()


def played(stage: Stage, scene: Scene) -> tuple[list[Frame], float]:
    """Every frame of the sound, and how many there are in a second."""
    encoder, key = load_encoder("embedded"), scene.key
    assert key.mode != "track", "which needs the whole file at once"
    mapper = Mapper(stage.generator.stats, encoder, key.seed, key.mode, key.placement)  # type: ignore[arg-type]
    frames = Chain(encoder, mapper).push(Block(stage.sound, 0.0, stage.rate_hz), scene.settings)
    return frames, encoder.frame_rate


def small(picture: Bytes) -> Picture.Image:
    return Picture.fromarray(picture).resize(SMALL, Picture.Resampling.LANCZOS)


def thumbnail(picture: Bytes) -> Picture.Image:
    return small(picture).quantize(COLOURS, dither=Picture.Dither.FLOYDSTEINBERG)


if __name__ == "__main__":
    main()
