"""`livelav score`: how far a video's pictures follow its sound, beside what motion scores that cannot follow it.

    sound ------------------------------> features \\
    pictures ---------------------------> features -> verdict <- the same in another order: "shuffled"
    random ws -> generator -> Renderer -> features /             "random", of a video that says how livelav made it

Runs in main. What a video says of itself is a stranger's word: it picks among the models that are here and names no
file.
"""

import importlib.util
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from livelav import __version__
from livelav.audio.whole import WholeSound
from livelav.core.errors import LivelavError, ScoreError, SourceError
from livelav.core.processor import draw_without_threads
from livelav.core.values import Floats
from livelav.encode.encoder import FETCHABLE, fetched_path, load_encoder
from livelav.generate.library import list_models
from livelav.importing import load_generator
from livelav.progress import shown_progress
from livelav.render.offline import Pictures, Script, Step, by, track_stats
from livelav.render.pipeline import behind, mapped
from livelav.render.rendering import STREAMS
from livelav.score.chart import checked_picture, draw_pairs
from livelav.score.controls import random_motion, shuffled_blocks
from livelav.score.pictures import PictureFeatures
from livelav.score.sound import ANALYSIS_HZ, SoundFeatures
from livelav.score.verdict import LEAST_S, Interval, Verdict, judge
from livelav.score.video import VideoPictures
from livelav.show.headless import HeadlessSurface
from livelav.show.provenance import Provenance, read_provenance
from livelav.show.renderer import Renderer
from livelav.takes.format import SUFFIX
from livelav.trying import try_all

INSTALL = "pip install librosa"
MOST_S = 12 * 3600.0  # of a video; the rest is left out
MOTION_S = 30.0  # of random motion: all of a shorter video's, or the middle of a longer one's
_SETTLING_S = 10.0  # of sound before that middle, for what follows the sound slowly
_LEAD_S = 1.0  # of random motion that is drawn and not judged: echoes and lights settle
_DRAWN_PX = 256  # the longer side of what is drawn of it, which is then judged smaller still
_MOST_HZ = 60  # pictures a second that are drawn of it: effects of a faster video's hardly change any more
_SEED = 0
_APART_S = 0.5  # sound and pictures that differ less in length are said to be as long

QUOTED = "procrustes"

Progress = Callable[[str, float], None]
Tree = dict[str, Any]


def score(video: Path, picture: Path | None = None, force: bool = False) -> Tree:
    """Everything, as JSON has it: see `as_tree`. `picture`: a PNG to write the pairs of features into; one that exists
    is written over with `force` alone.

    Raises ScoreError where librosa is missing, SourceError, StorageError.
    """
    if importlib.util.find_spec("librosa") is None:
        raise ScoreError(f"score needs librosa, which is not installed: {INSTALL}")
    if picture is not None:
        checked_picture(picture, force)
    pictures = VideoPictures(video)
    sound = WholeSound(video)
    with shown_progress(video.name) as progress:
        heard, seen, notes = _features(sound, pictures, progress)
        count = len(heard["rms"])
        random, why_not = _random(sound, pictures, count, progress)
        notes += [why_not] if why_not else []
        progress("comparing", 0.99)
        verdict = judge(heard, seen, random, _SEED)
    if picture is not None:
        draw_pairs(verdict, video.name, picture)
    return as_tree(video.name, verdict, notes)


def _features(
    sound: WholeSound, video: VideoPictures, progress: Progress
) -> tuple[dict[str, Floats], dict[str, Floats], list[str]]:
    """Of what the file has of both, and what there is to be said about that."""
    features, notes = SoundFeatures(sound.rate_hz), []
    length_s = max(min(sound.seconds, MOST_S), 0.1)
    for block in sound.blocks():
        features.push(block)
        progress("listening", 0.2 * min(features.seconds / length_s, 1.0))
        if features.seconds >= MOST_S:
            notes.append(f"longer than {MOST_S / 3600:g} hours: the rest was left out")
            break
    due = math.ceil(features.seconds * ANALYSIS_HZ - 1e-6)
    seen, heard = PictureFeatures(), dict[str, Floats]()
    with behind(1) as do:  # librosa takes seconds to load and as long to listen
        if due >= LEAST_S * ANALYSIS_HZ:
            do(lambda: heard.update(features.at(np.arange(due) / ANALYSIS_HZ)))
        for small in video.pictures(due):
            seen.push(small)
            progress("watching", 0.2 + 0.4 * seen.count / due)
    notes += [damage for damage in (sound.damage, video.damage) if damage]
    seen_s = seen.count / ANALYSIS_HZ
    if seen_s < LEAST_S:
        both = f"{features.seconds:.1f} s of sound and {seen_s:.1f} s of pictures"
        raise SourceError(f"{video.path} has {both} together: {LEAST_S:g} s are the least that says anything")
    shown_s = seen_s if seen.count < due else max(video.seconds, seen_s)
    if abs(features.seconds - shown_s) > _APART_S:
        both = f"{features.seconds:.1f} s of sound and {shown_s:.1f} s of pictures"
        notes.append(f"{both}: the first {seen_s:.1f} s, which have both, were scored")
    return {name: rows[: seen.count] for name, rows in heard.items()}, seen.features(), notes


# ---- motion that knows nothing of the sound


def _random(
    sound: WholeSound, video: VideoPictures, count: int, progress: Progress
) -> tuple[dict[str, Floats] | None, str]:
    """Features of pictures that random ws make by the video's own networks; or none, and why."""
    alone = "so it is held against its own pictures in another order alone"
    try:
        made = read_provenance(video.path)
    except SourceError:
        return None, f"the video does not say how livelav rendered it, {alone}"
    if made.sound.endswith(SUFFIX):
        return None, f"it was rendered from a take and does not hold what hands did, {alone}"
    encoders = ("embedded", *(name for name in FETCHABLE if fetched_path(name).is_file()))
    if made.model not in list_models() or made.encoder not in encoders:
        return None, f"its model {made.model!r} or encoder {made.encoder!r} is not installed, {alone}"
    try:
        return _drawn(made, sound, video, count, progress)
    except LivelavError as error:  # the other control stands
        return None, f"no random motion can be drawn ({error}), {alone}"


def _drawn(
    made: Provenance, sound: WholeSound, video: VideoPictures, count: int, progress: Progress
) -> tuple[dict[str, Floats] | None, str]:
    scene = made.scene
    noise: Any = scene.choices["generate.noise"]  # checked in the scene
    generator = load_generator(made.model, backend="auto", noise_mode=noise, streams=STREAMS)
    if generator.sha256 != made.model_sha256:
        return None, f"model {made.model!r} is another here than the video's, so no random motion is drawn with it"
    encoder, track = load_encoder(made.encoder), None
    if scene.key.mode == "track":
        track = track_stats(encoder, sound.blocks(), sound.rate_hz, scene.settings)
    length_s = min(count / ANALYSIS_HZ, MOTION_S)
    start_s = (count / ANALYSIS_HZ - length_s) / 2
    first_s = max(start_s - _SETTLING_S, 0.0)
    part = WholeSound(sound.path, first_s, start_s + length_s)
    rate = made.fps / math.ceil(made.fps / _MOST_HZ)  # at another, effects would follow the sound otherwise
    script = Script(encoder, generator.stats, scene, rate, track)
    steps: list[Step] = []
    for step in script.steps(part.blocks(), part.rate_hz):
        steps.append(step)
        progress("listening as livelav does", 0.6 + 0.1 * min(step.time_s / (length_s + _SETTLING_S), 1.0))
    steps = steps[round((start_s - first_s) * rate) :][: math.ceil(length_s * rate)]

    scale = min(_DRAWN_PX / max(video.size), 1.0)
    size = max(round(video.size[0] * scale), 1), max(round(video.size[1] * scale), 1)
    draw_without_threads()
    surface = HeadlessSurface(size)
    seen = PictureFeatures()
    lead = min(round(_LEAD_S * rate), len(steps))
    try:
        renderer = Renderer(surface.ctx, surface.software)
        try_all(renderer.chain)
        pictures = Pictures(by(generator), renderer, surface.fbo, size)
        with closing(
            mapped(pictures.images, iter(random_steps(steps, rate, lead, _SEED)), generator.streams)
        ) as images:
            for step, of_it in images:
                drawn = pictures.draw(step, of_it)
                while Fraction(seen.count, ANALYSIS_HZ) < (step.number + 1 - lead) / rate:  # while it is shown
                    seen.push(drawn[..., :3])
                progress("drawing random motion", 0.7 + 0.29 * step.number / (len(steps) + lead))
    finally:
        surface.close()
    return seen.features(), ""


def random_steps(steps: list[Step], rate: Fraction, longer: int, seed: int) -> list[Step]:
    """As many steps, `rate` of them a second, and `longer` more, that are as lively as these and know nothing of their
    sound: ws of random motion, and all else that sound moves, noise and effects, in shuffled blocks."""
    motion = random_motion(np.stack([step.controls.ws for step in steps]), seed, longer)
    order = shuffled_blocks(len(steps), float(rate), seed)
    made = []
    for number, ws in enumerate(motion):
        other, time_s = steps[order[number % len(steps)]], float(number / rate)
        part, moment = other.parts[0], replace(other.moment, time_s=time_s, shown_s=time_s)
        made.append(Step(number, time_s, (replace(part, controls=replace(part.controls, ws=ws)),), moment))
    return made


# ---- what is told of it


def as_tree(name: str, verdict: Verdict, notes: list[str]) -> Tree:
    """All of a verdict: means over segments, with 95 % intervals by Student's t, null where there is one segment."""
    return {
        "version": __version__,
        "video": name,
        "seconds": round(verdict.seconds, 3),
        "analysis_hz": ANALYSIS_HZ,
        "segments": verdict.segments,
        "segment_s": round(verdict.segment_s, 3),
        "quoted": {"correlation": QUOTED, "over": strictest(verdict), "excess": _interval(quoted(verdict))},
        "correlations": {
            measure: {
                "score": _interval(found),
                "whole": round(verdict.whole[measure], 5),
                "controls": {
                    control: {"score": _interval(of.scores[measure]), "excess": _interval(of.excess[measure])}
                    for control, of in verdict.controls.items()
                },
            }
            for measure, found in verdict.scores.items()
        },
        "pairs": {
            "sound": verdict.sound_names,
            "video": verdict.video_names,
            QUOTED: np.round(verdict.pairs, 4).tolist(),
            "excess_over_shuffled": np.round(verdict.pairs_excess, 4).tolist(),
        },
        "notes": notes,
    }


def strictest(verdict: Verdict) -> str:
    """The control over which the excess is the least: what is quoted."""
    return min(verdict.controls, key=lambda name: verdict.controls[name].excess[QUOTED].mean)


def quoted(verdict: Verdict) -> Interval:
    """The figure."""
    return verdict.controls[strictest(verdict)].excess[QUOTED]


def _interval(found: Interval) -> Tree:
    return {key: value if value is None else round(value, 5) for key, value in asdict(found).items()}


def show(tree: Tree) -> None:
    """Prints it as a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    controls = list(next(iter(tree["correlations"].values()))["controls"])
    table = Table("correlation", "score", box=box.SIMPLE)
    for control in controls:
        table.add_column(control, justify="right")
        table.add_column("above it", justify="right")
    for measure, found in tree["correlations"].items():
        cells = [f"{found['score']['mean']:.3f}"]
        for control in controls:
            of = found["controls"][control]
            cells += [f"{of['score']['mean']:.3f}", _plus_minus(of["excess"])]
        table.add_row(measure.replace("_", " "), *cells)
    console = Console(highlight=False, markup=False, emoji=False)
    length = f"{tree['seconds']:.1f} s at {ANALYSIS_HZ} pictures a second"
    console.print(
        f"{tree['video']}: {length}, {tree['segments']} segments of {tree['segment_s']:.1f} s", soft_wrap=True
    )
    console.print(table)
    figure = tree["quoted"]
    console.print(
        f"to quote: {figure['correlation']} {_plus_minus(figure['excess'])} above {figure['over']} motion"
        + (", 95 % by Student's t over the segments" if tree["segments"] > 1 else ": one segment, so no interval"),
        soft_wrap=True,
    )
    console.print("pairs that stand out: " + ", ".join(_standing_out(tree["pairs"])), soft_wrap=True)
    for note in tree["notes"]:
        console.print(f"! {note}", soft_wrap=True)


def _plus_minus(excess: Tree) -> str:
    return f"{excess['mean']:+.3f}" + ("" if excess["low"] is None else f" ± {excess['mean'] - excess['low']:.3f}")


def _standing_out(pairs: Tree, most: int = 5) -> list[str]:
    above = np.array(pairs["excess_over_shuffled"])
    places = [divmod(int(place), above.shape[1]) for place in np.argsort(above, axis=None)[::-1][:most]]
    return [f"{pairs['sound'][row]} and {pairs['video'][column]} {above[row, column]:+.2f}" for row, column in places]
