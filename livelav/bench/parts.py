"""How fast this machine is: the parts one by one, the whole program, and sound and hands to screen.

Every figure is a median (and tail) of many runs in this process. Timings live here and not in tests, because other
machines are slower, faster or noisier than the one a limit was written on.
"""

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from livelav import __version__
from livelav.bench.reactions import cue_to_screen, knob_to_screen, sound_to_screen
from livelav.core.errors import LivelavError
from livelav.core.params import BY_NAME, EFFECTS, Settings
from livelav.core.presets import list_presets, load_preset
from livelav.core.processor import draw_without_threads
from livelav.core.store import only_instance
from livelav.core.values import Features, Image
from livelav.live.engine import run_live
from livelav.play import has_display, live_config, opener
from livelav.trying import try_all

Figures = dict[str, Any]

_PAIRS = 120  # of pictures with a preset's effects and without: a machine that others share is slow now and then


def measure(
    latency: bool = False, live: bool = False, hands: bool = False, seconds: float = 20.0, source: str = "demo"
) -> Figures:
    """The figures asked for, as JSON values; without any, those of the parts."""
    figures: Figures = {"version": __version__, "machine": machine()}
    if latency:
        figures["latency_ms"] = sound_to_screen(seconds)
    if live:
        figures["live"] = whole(source, seconds)
    if hands:
        figures["knob_ms"] = knob_to_screen(seconds)
        figures["cue_ms"] = cue_to_screen(seconds)
    if not (latency or live or hands):
        figures["parts"] = parts()
    return figures


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    name = platform.processor()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        name = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), name)
    return {"cpu": name, "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def rows(figures: Figures) -> Iterator[str]:
    """The figures as lines to read."""
    machine_ = figures["machine"]
    yield f"livelav {figures['version']} on {machine_['cpu']}, {machine_['cores']} cores"
    for name, value in figures.get("parts", {}).items():
        yield f"{name:44} p50 {value['p50']:8.3f} ms   p99 {value['p99']:8.3f} ms"
    if clicks := figures.get("latency_ms"):
        yield (
            f"click to changed pixel: p50 {clicks['p50']:.1f} ms, p95 {clicks['p95']:.1f} ms, "
            f"over {clicks['seen']} clicks, {clicks['missed']} missed"
        )
    if knob := figures.get("knob_ms"):
        yield (
            f"CC to changed pixel: p50 {knob['p50']:.1f} ms, p95 {knob['p95']:.1f} ms, "
            f"over {knob['seen']} moves, {knob['missed']} missed"
        )
    if cue := figures.get("cue_ms"):
        yield (
            f"beat to changed pixel, of cued recalls: {cue['least']:+.1f} to {cue['most']:+.1f} ms, "
            f"p50 {cue['p50']:+.1f} ms, over {cue['seen']} recalls, {cue['missed']} missed"
        )
        longest, late = cue["longest_ms"], cue["late_percent"]
        yield f"longest way between two presents around a recall: p50 {longest['p50']} ms, most {longest['most']} ms"
        yield f"presents after over 1.5 frame times: {late['around']} % around recalls, {late['elsewhere']} % elsewhere"
        if stolen := cue["stolen_percent"]:
            ours, most = cue["ours_late_percent"], cue["ours_longest_ms"]
            yield (
                f"the host took this machine's processors during {stolen} % of the presents; of the others "
                f"{ours['around']} % around recalls (the longest {most} ms), {ours['elsewhere']} % elsewhere"
            )
    if live := figures.get("live"):
        present = live["present"]
        yield f"presented {present['fps']} a second, {present['new_fps']} of them new images"
        yield f"first picture after {live['first_picture_s']} s; capture to present {live['latency_ms']} ms"
        yield f"tick {live['generate']['tick_ms']} ms; encoder step {live['encode']['step_ms']} ms"
        yield f"peak memory in MiB {live['peak_rss_mb']}; restarts {live['restarts']}; capture {live['capture']}"


def _timed(work: Callable[[], object], runs: int) -> dict[str, float]:
    for _ in range(max(runs // 10, 3)):
        work()
    took_ms = []
    for _ in range(runs):
        begin_s = time.perf_counter()
        work()
        took_ms.append((time.perf_counter() - begin_s) * 1000)
    return _percentiles(took_ms)


def _percentiles(took_ms: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(took_ms, [50, 99])
    return {"p50": round(float(p50), 4), "p99": round(float(p99), 4)}


def parts() -> dict[str, dict[str, float]]:
    """Each stage alone: one encoder frame, one image, one picture."""
    from livelav.audio.resample import Resampler
    from livelav.encode.features import FeatureExtractor
    from livelav.generate.library import load_generator
    from livelav.mapping.mapper import Mapper

    figures: dict[str, dict[str, float]] = {}
    rng = np.random.default_rng(0)
    for label, encoder in _encoders():
        hop = (0.1 * rng.standard_normal(encoder.hop)).astype(np.float32)
        box = [encoder.primed_state()]

        def encode(encoder: Any = encoder, hop: Any = hop, box: Any = box) -> None:
            _, box[0] = encoder.step(hop, box[0])

        figures[f"encoder step, {label}"] = _timed(encode, 500)
    sound = (0.1 * rng.standard_normal(480)).astype(np.float32)
    resampler = Resampler(48000, encoder.sample_rate)
    figures["resample 10 ms, 48 kHz"] = _timed(lambda: resampler.step(sound), 1000)
    extractor = FeatureExtractor(encoder.sample_rate, encoder.hop)
    figures["features of one frame"] = _timed(lambda: extractor.step(hop), 500)
    for backend in ("openvino", "torch"):
        generator = load_generator("default", backend)
        mapper = Mapper(generator.stats, encoder)
        heard = Features(rng.standard_normal(128).astype(np.float32), 0.0, np.zeros(12, np.float32), 0.1, 0.0)
        figures.setdefault("mapping of one frame", _timed(lambda: mapper.step(heard, Settings()), 1000))  # noqa: B023
        ws = mapper.step(heard, Settings()).ws
        figures[f"tick, default model, {generator.backend_name}"] = _timed(
            lambda: generator.synthesize(ws),  # noqa: B023
            200,
        )
    figures |= _picture(generator.synthesize(ws))
    return figures


def _encoders() -> Iterator[tuple[str, Any]]:
    from livelav.encode.encoder import load_encoder, random_encoder

    yield "official 24 kHz architecture, random weights", random_encoder("encodec-24khz")
    yield "embedded", load_encoder(None)


def _picture(pixels: Any) -> dict[str, dict[str, float]]:
    """Shaders at 1280x720, without a window."""
    from livelav.show.headless import HeadlessSurface
    from livelav.show.renderer import Moment, Renderer

    size = (1280, 720)
    draw_without_threads()  # as the show does
    try:
        surface = HeadlessSurface(size)
    except LivelavError:
        return {}
    renderer = Renderer(surface.ctx, surface.software)
    try_all(renderer.chain)
    now_s = [0.0]

    def draw(settings: Settings = Settings(), order: str = "") -> None:  # noqa: B008
        now_s[0] += 1 / 60
        renderer.set_image(Image(pixels, 0.0))
        renderer.draw(surface.fbo, size, Moment(settings, now_s[0], order=order))
        surface.present()

    name = surface.ctx.info["GL_RENDERER"].split("(")[0].strip()
    figures = {f"picture 1280x720, {name}": _timed(draw, 120), **_effects(draw)}
    surface.close()
    return figures


def _effects(draw: Callable[[Settings, str], None]) -> dict[str, dict[str, float]]:
    """What the effects of each shipped preset add to a picture of it: with and without, in turn."""
    own = {name: BY_NAME[name].default for e in EFFECTS for name in e.params if name.startswith(f"{e.name}.")}
    figures = {}
    for preset in (load_preset(listed.path) for listed in list_presets() if listed.shipped):
        bare, order = preset.settings.with_values(own), preset.choices.get("chain.order", "")
        added_ms = []
        for _ in range(_PAIRS if bare != preset.settings else 0):
            took_ms = []
            for settings in (bare, preset.settings):
                begin_s = time.perf_counter()
                draw(settings, order)
                took_ms.append((time.perf_counter() - begin_s) * 1000)
            added_ms.append(took_ms[1] - took_ms[0])
        if added_ms:
            figures[f"effects of preset {preset.name.lower()}, added"] = _percentiles(added_ms[5:])
    return figures


def whole(source: str, seconds: float) -> Figures:
    """The whole program for `seconds`: the record of `--stats`."""
    config = replace(live_config(source), seconds=seconds)
    with only_instance():
        return run_live(config, opener(config.size, headless=not has_display())).final
