"""`livelav render`: a sound file, or a take of a show, to a video, by the stages of the live show. Runs in main.

Ctrl-C, a full disk and a damaged sound leave a video of what was made until then.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livelav import __version__
from livelav.audio.whole import WholeSound
from livelav.core.errors import ParamError, SourceError, StorageError, tell
from livelav.core.processor import draw_without_threads, physical_cores
from livelav.core.scene import Drawn, Scene
from livelav.core.values import Bytes, Floats
from livelav.encode.encoder import Encoder, load_encoder
from livelav.flags import first_scene, number
from livelav.generate.library import Generator
from livelav.importing import load_generator
from livelav.progress import shown_progress
from livelav.render.offline import Pictures, Script, Step, by, track_stats
from livelav.render.pipeline import behind, mapped
from livelav.render.resuming import REMEMBERED_S, Begun, begun
from livelav.render.retake import Cast, differences, scene_of_take
from livelav.show.container import CONTAINERS, checked_path
from livelav.show.headless import HeadlessSurface
from livelav.show.provenance import Provenance
from livelav.show.renderer import Renderer
from livelav.show.targets import Size
from livelav.takes.format import Take, is_take
from livelav.trying import try_all

if TYPE_CHECKING:
    from livelav.show.film import Film

STREAMS = min(physical_cores(), 4)  # images made at a time, each by its share of the cores
_QUEUED = 4  # pictures, or what they are made of, that wait for whoever is next
_LARGEST_PX = 16_384  # of a side, drawn: what any graphics driver takes


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made."""

    output: Path
    scene: Scene
    fps: Fraction
    size: Size
    supersample: int  # drawn so many times as fine, and averaged down to `size`
    lossless: bool
    take: Take | None = None
    first: int = 0  # picture of the take that the video begins with

    @property
    def drawn(self) -> Size:
        return self.size[0] * self.supersample, self.size[1] * self.supersample


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
    resume: bool = False,
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
        finer,
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
    if resume and force:
        raise ParamError("--resume goes on with a video, --force writes over it: give one of them")
    _check_output(output, sound, force or resume)
    choices: dict[str, Any] = {**order.scene.choices}  # every word was checked against its options

    said = ""

    def say_progress(text: str) -> None:  # an engine may be built for minutes
        nonlocal said
        if text != said:
            said = text
            tell(text)

    def load(drawn: Drawn) -> Generator:
        noise: Any = drawn.noise  # checked, wherever it came from
        made = load_generator(
            drawn.model, backend=choices["backend"], noise_mode=noise, on_progress=say_progress, streams=STREAMS
        )
        for warning in made.warnings:
            tell(warning)
        return made

    generator, cast = load(order.scene.drawn), None
    for difference in differences(take, generator) if take else ():
        tell(difference)
    if take and table_flags.get("model") is None:
        cast = Cast(take, generator, order.scene.drawn, table_flags.get("generate_noise"), load)
        for trouble in cast.troubles:
            tell(trouble)
    with shown_progress(sound.name) as progress:
        seconds = max(whole.seconds, 0.1)
        made = _make(
            order, whole, generator, cast, resume, lambda step, heard_s: progress(step, min(heard_s / seconds, 1.0))
        )
    if not made:
        tell(f"{output} is complete: there is nothing to go on with")
        return
    if whole.damage:
        tell(whole.damage)
    tell(f"wrote {output}")


def _make(
    order: Order,
    whole: WholeSound,
    generator: Generator,
    cast: Cast | None,
    resume: bool,
    progress: Callable[[str, float], None],
) -> bool:
    """`progress` is told what is done, and for how many seconds of the sound. False where nothing was left to do."""
    from livelav.show.film import MOST_CHANNELS, Film  # PyAV is heavy

    scene, encoder, track = order.scene, load_encoder(order.scene.choices["encoder"]), None
    made_of = _provenance(order, whole, generator, encoder, cast)
    draws_noise = any(drawn.noise == "random" for drawn in (scene.drawn, *(cast.drawn if cast else ())))
    before = begun(order.output, made_of, draws_noise) if resume and order.output.exists() else Begun()
    if before.is_complete(whole, float(order.first / order.fps)):
        return False
    if scene.key.mode == "track":
        blocks = whole.blocks()
        track = track_stats(encoder, blocks, whole.rate_hz, scene.settings, lambda s: progress("listening", s))
    draw_without_threads()
    surface = HeadlessSurface(order.drawn)
    draw = cast.draw if cast else by(generator)
    renderer = Renderer(surface.ctx, surface.software)
    try_all(renderer.chain, order.scene)
    pictures = Pictures(draw, renderer, surface.fbo, order.drawn)
    # one that is there stays until there is something to put in its place
    path = order.output.with_name(f".new-{order.output.name}") if order.output.exists() else order.output
    sound = whole.rate_hz, min(whole.channels, MOST_CHANNELS)
    film = Film(path, order.size, order.fps, sound, order.lossless, made_of.as_json())
    done = order.take.commands(whole.rate_hz) if order.take else ()
    heard = order.take.heard() if order.take else None
    dark = order.take.dark if order.take else ""
    others = cast.others if cast else None
    script = Script(encoder, generator.stats, scene, order.fps, track, done, heard, others, dark)
    streams = 1 if draws_noise else generator.streams
    try:
        _draw(order, _with_sound(script, whole, order), pictures, streams, film, before, progress)
    except KeyboardInterrupt:
        if film.pictures >= before.pictures:
            tell(f"stopped at {film.pictures / float(order.fps):.1f} s of video; what was made is kept")
        raise
    finally:
        try:
            film.close()
        finally:
            surface.close()
            if path != order.output:
                _put_in_place(path, order, film, before)
    if not film.pictures:
        raise SourceError(f"nothing of the sound can be decoded {whole.damage}".rstrip() + "; choose another file")
    return True


def _put_in_place(path: Path, order: Order, film: "Film", before: Begun) -> None:
    """What was written takes the place of what is there, unless that is more. A disk that refused has not all that the
    film was given."""
    from livelav.show.unfinished import unfinished

    there = unfinished(path, order.fps).pictures if film.is_refused else film.pictures
    if there >= max(before.pictures, 1):
        os.replace(path, order.output)
    else:
        path.unlink(missing_ok=True)


def _draw(
    order: Order,
    steps: Iterator[tuple[Step | None, list[Floats]]],
    pictures: Pictures,
    streams: int,
    film: "Film",
    before: Begun,
    progress: Callable[[str, float], None],
) -> None:
    """All steps into the film, by so many images at a time; pictures that are there already are taken over, and those
    before the first are drawn only where it remembers them."""
    packets = before.unfinished.packets() if before.unfinished else iter(())
    again = order.first + before.again if before.again else order.first - round(REMEMBERED_S * order.fps)

    def images(one: tuple[Step | None, Any]) -> list[Bytes] | None:
        return pictures.images(one[0]) if one[0] is not None and one[0].number >= again else None

    with behind(_QUEUED) as do, closing(mapped(images, steps, streams)) as made:
        for (step, sound), pixels in made:
            for block in sound:
                do(film.add_sound, block[:, : film.channels])
            if step is None:
                return
            if pixels is None:
                pictures.pass_by(step)
            else:
                drawn = pictures.draw(step, pixels)
            number = step.number - order.first
            if 0 <= number < before.kept:
                do(film.keep_picture, next(packets))
            elif number >= 0:
                do(film.add_picture, drawn)
            progress("drawing" if number >= before.kept else "going on", step.time_s)


def _with_sound(script: Script, whole: WholeSound, order: Order) -> Iterator[tuple[Step | None, list[Floats]]]:
    """Each step, with the sound that was heard for it since the one before; the rest of the sound comes without one.

    Nor does what sounds before the video's first picture.
    """
    heard: list[Floats] = []

    def blocks() -> Iterator[Floats]:
        unseen = round(order.first / order.fps * whole.rate_hz)
        for block in whole.blocks():
            if unseen < len(block):
                heard.append(block[unseen:])
            unseen = max(unseen - len(block), 0)
            yield block

    for step in script.steps(blocks(), whole.rate_hz):
        yield step, heard.copy()
        heard.clear()
    yield None, heard


def _provenance(
    order: Order, whole: WholeSound, generator: Generator, encoder: Encoder, cast: Cast | None
) -> Provenance:
    """What the video will say of itself. Raises SourceError."""
    scene, take = order.scene, order.take
    try:
        with whole.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        for path in take.texts if take else ():
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
        if cast and cast.drawn:
            digest.update(cast.words.encode())
    except OSError as error:
        raise SourceError(f"cannot read {whole.path}: {error.strerror}; copy it to a disk that can be read") from error
    return Provenance(
        livelav=__version__,
        scene=replace(scene, choices={**scene.choices, "model": generator.name, "encoder": encoder.name}),
        model_sha256=generator.sha256,
        engine=generator.backend_name,
        fps=order.fps,
        size=order.size,
        supersample=order.supersample,
        lossless=order.lossless,
        sound=(take.path if take else whole.path).name,
        sound_sha256=digest.hexdigest(),
        rate_hz=whole.rate_hz,
        start_s=float(order.first / order.fps) if take else whole.start_s,
        end_s=whole.end_s,
    )


def _check_output(output: Path, sound: Path, force: bool) -> None:
    """Raises StorageError where nothing can or may be written there."""
    if not force or not output.is_file():
        checked_path(output)
    elif output.samefile(sound):
        raise StorageError(f"{output} is the sound itself; name another file")
    elif output.suffix.lower() not in CONTAINERS:
        raise StorageError(f"cannot write {output}: end it in .mp4 or .mkv")
