"""`livelav render`: a sound file to a video, by the stages of the live show. Runs in main.

Ctrl-C, a full disk and a damaged sound leave a video of what was made until then.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from livelav.audio.whole import WholeSound
from livelav.core.errors import ParamError, StorageError, tell
from livelav.core.scene import Scene
from livelav.core.values import EmbeddingStats, Floats
from livelav.encode.encoder import Encoder, load_encoder
from livelav.generate.library import load_generator
from livelav.offline import Pictures, Score, track_stats
from livelav.play import first_scene, number
from livelav.show.container import CONTAINERS, checked_path
from livelav.show.headless import HeadlessSurface
from livelav.show.renderer import Renderer

Size = tuple[int, int]

_LARGEST_PX = 16_384  # of a side, drawn: what any graphics driver takes


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
    scene = first_scene(preset, seed, table_flags, live=False)
    rate = Fraction(number("--fps", fps, 1, 240)).limit_denominator(1001)
    finer = round(number("--supersample", supersample, 1, 8))
    drawn = size[0] * finer, size[1] * finer
    if max(drawn) > _LARGEST_PX:
        raise ParamError(f"--supersample {finer} of {size[0]}x{size[1]}: at most {_LARGEST_PX} px a side can be drawn")
    if not lossless and (size[0] % 2 or size[1] % 2):
        even = f"{size[0] + size[0] % 2}x{size[1] + size[1] % 2}"
        raise ParamError(f"--size {size[0]}x{size[1]}: H.264 takes even numbers; give {even}, or --lossless")
    whole = WholeSound(
        sound,
        number("--start", start, 0, 1e7) if start else 0.0,
        number("--end", end, 0, 1e7) if end else None,
    )
    _check_output(output, sound, force)
    encoder = load_encoder(scene.choices["encoder"])
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("loading", total=None)
        track = None
        if scene.key.mode == "track":
            progress.update(task, description="listening", total=whole.seconds)
            track = track_stats(
                encoder, whole.blocks(), whole.rate_hz, scene.settings, lambda s: progress.update(task, completed=s)
            )
        progress.update(task, description="drawing", total=whole.seconds, completed=0.0)
        _make(
            whole,
            output,
            scene,
            encoder,
            track,
            rate,
            size,
            drawn,
            lossless,
            lambda s: progress.update(task, completed=s),
        )
    if whole.damage:
        tell(f"{whole.damage}: the video ends there")
    tell(f"wrote {output}")


def _make(
    whole: WholeSound,
    output: Path,
    scene: Scene,
    encoder: Encoder,
    track: EmbeddingStats | None,
    fps: Fraction,
    size: Size,
    drawn: Size,
    lossless: bool,
    progress: Callable[[float], None],
) -> None:
    from livelav.show.film import Film  # PyAV is heavy

    choices: dict[str, Any] = {**scene.choices}  # every word was checked against its options
    generator = load_generator(choices["model"], choices["backend"], noise_mode=choices["generate.noise"])
    for warning in generator.warnings:
        tell(warning)
    surface = HeadlessSurface(drawn)
    pictures = Pictures(generator, Renderer(surface.ctx, surface.software), surface.fbo, drawn)
    output.unlink(missing_ok=True)  # not before there is something to put in its place
    film = Film(output, size, fps, (whole.rate_hz, whole.channels), lossless)

    def heard() -> Iterator[Floats]:
        for block in whole.blocks():
            film.add_sound(block)
            yield block

    try:
        for step in Score(encoder, generator.stats, scene, fps, track).steps(heard(), whole.rate_hz):
            film.add_picture(pictures.make(step))
            progress(step.time_s)
    except KeyboardInterrupt:
        tell(f"stopped at {film.pictures / float(fps):.1f} s; {output} holds what was made")
        raise
    finally:
        film.close()
        surface.close()


def _check_output(output: Path, sound: Path, force: bool) -> None:
    """Raises StorageError where nothing can or may be written there."""
    if not force or not output.is_file():
        checked_path(output)
    elif output.samefile(sound):
        raise StorageError(f"{output} is the sound itself; name another file")
    elif output.suffix.lower() not in CONTAINERS:
        raise StorageError(f"cannot write {output}: end it in .mp4 or .mkv")
