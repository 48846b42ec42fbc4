"""`livelav render`: a sound file, or a take of a show, to a video, by the stages of the live show. Runs in main.

Ctrl-C, a full disk and a damaged sound leave a video of what was made until then.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from livelav.audio.whole import WholeSound
from livelav.core.errors import ParamError, SourceError, StorageError, tell
from livelav.core.scene import Scene
from livelav.core.values import Floats
from livelav.encode.encoder import load_encoder
from livelav.generate.library import Generator
from livelav.importing import load_generator
from livelav.offline import Pictures, Score, track_stats
from livelav.play import first_scene, number
from livelav.progress import shown_progress
from livelav.retake import differences, scene_of_take
from livelav.show.container import CONTAINERS, checked_path
from livelav.show.headless import HeadlessSurface
from livelav.show.renderer import Renderer, Size
from livelav.takes import Take, is_take

_LARGEST_PX = 16_384  # of a side, drawn: what any graphics driver takes


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made."""

    output: Path
    scene: Scene
    fps: Fraction
    size: Size
    drawn: Size  # before it is averaged down to `size`
    lossless: bool
    take: Take | None = None
    first: int = 0  # picture of the take that the video begins with


def render(
    sound: Path,
    output: Path,
    preset: str | None,
    seed: str | None,
    fps: str,
    size: Size,
    start: str | None,
    end: str | None,
    supersample: str,
    lossless: bool,
    force: bool,
    **table_flags: Any,
) -> None:
    """The verb. Raises LivelavError."""
    finer = round(number("--supersample", supersample, 1, 8))
    take = Take(sound) if is_take(sound) else None
    rate = Fraction(number("--fps", fps, 1, 240)).limit_denominator(1001)
    first_s = number("--start", start, 0, 1e7) if start else 0.0
    order = Order(
        output,
        scene_of_take(take, preset, seed, table_flags) if take else first_scene(preset, seed, table_flags, live=False),
        rate,
        size,
        (size[0] * finer, size[1] * finer),
        lossless,
        take,
        math.ceil(first_s * rate) if take else 0,
    )
    if max(order.drawn) > _LARGEST_PX:
        raise ParamError(f"--supersample {finer} of {size[0]}x{size[1]}: at most {_LARGEST_PX} px a side can be drawn")
    if not lossless and (size[0] % 2 or size[1] % 2):
        even = f"{size[0] + size[0] % 2}x{size[1] + size[1] % 2}"
        raise ParamError(f"--size {size[0]}x{size[1]}: H.264 takes even numbers; give {even}, or --lossless")
    end_s = number("--end", end, 0, 1e7) if end else None
    whole = WholeSound(take.sound if take else sound, first_s, end_s)
    if take:  # what is shown at `first_s` comes of all that was done before
        whole = WholeSound(take.sound, 0.0, end_s)
    _check_output(output, sound, force)
    choices: dict[str, Any] = {**order.scene.choices}  # every word was checked against its options
    generator = load_generator(choices["model"], backend=choices["backend"], noise_mode=choices["generate.noise"])
    for warning in (*generator.warnings, *(differences(take, generator) if take else ())):
        tell(warning)
    with shown_progress(sound.name) as progress:
        seconds = max(whole.seconds, 0.1)
        _make(order, whole, generator, lambda step, heard_s: progress(step, min(heard_s / seconds, 1.0)))
    if whole.damage:
        tell(f"{whole.damage}: the video ends there")
    tell(f"wrote {output}")


def _make(order: Order, whole: WholeSound, generator: Generator, progress: Callable[[str, float], None]) -> None:
    """`progress` is told what is done, and for how many seconds of the sound."""
    from livelav.show.film import MOST_CHANNELS, Film  # PyAV is heavy

    scene, encoder, track = order.scene, load_encoder(order.scene.choices["encoder"]), None
    if scene.key.mode == "track":
        blocks = whole.blocks()
        track = track_stats(encoder, blocks, whole.rate_hz, scene.settings, lambda s: progress("listening", s))
    surface = HeadlessSurface(order.drawn)
    pictures = Pictures(generator, Renderer(surface.ctx, surface.software), surface.fbo, order.drawn)
    # one that is there stays until there is something to put in its place
    path = order.output.with_name(f".new-{order.output.name}") if order.output.exists() else order.output
    channels = min(whole.channels, MOST_CHANNELS)
    film = Film(path, order.size, order.fps, (whole.rate_hz, channels), order.lossless)
    done = order.take.commands(whole.rate_hz) if order.take else ()

    def heard() -> Iterator[Floats]:
        unseen = round(order.first / order.fps * whole.rate_hz)  # samples before the first picture
        for block in whole.blocks():
            if unseen < len(block):
                film.add_sound(block[unseen:, :channels])
            unseen = max(unseen - len(block), 0)
            yield block

    try:
        for step in Score(encoder, generator.stats, scene, order.fps, track, done).steps(heard(), whole.rate_hz):
            if step.number < order.first:
                progress("listening", step.time_s)
                continue
            film.add_picture(pictures.make(step))
            progress("drawing", step.time_s)
    except KeyboardInterrupt:
        tell(f"stopped at {film.pictures / float(order.fps):.1f} s of video; what was made is kept")
        raise
    finally:
        try:
            film.close()
        finally:
            surface.close()
            if film.pictures and path != order.output:
                os.replace(path, order.output)
    if not film.pictures:
        raise SourceError(f"nothing of the sound can be decoded {whole.damage}".rstrip() + "; choose another file")


def _check_output(output: Path, sound: Path, force: bool) -> None:
    """Raises StorageError where nothing can or may be written there."""
    if not force or not output.is_file():
        checked_path(output)
    elif output.samefile(sound):
        raise StorageError(f"{output} is the sound itself; name another file")
    elif output.suffix.lower() not in CONTAINERS:
        raise StorageError(f"cannot write {output}: end it in .mp4 or .mkv")
