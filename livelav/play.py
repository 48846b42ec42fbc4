"""From flags to a running show: reads preset and flags, checks them, and starts the engine. Runs in main."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from livelav.audio.capture import CaptureConfig
from livelav.audio.sources import SourceRequest
from livelav.control.banks import load_banks
from livelav.control.link import check_link
from livelav.control.midi import midi_config
from livelav.control.osc import endpoint
from livelav.core.errors import LivelavError, ParamError, PresetError, StorageError, tell
from livelav.core.params import EFFECT_TROUBLES
from livelav.core.running import Running, last_show, put_aside
from livelav.core.scene import Scene
from livelav.core.setlists import Song, every_preset, load_set_list
from livelav.core.store import only_instance
from livelav.flags import first_scene, number
from livelav.importing import playable
from livelav.live.crew import LiveConfig
from livelav.live.engine import run_live
from livelav.live.synth import SynthConfig
from livelav.show.container import checked_path
from livelav.show.record import RecordConfig
from livelav.show.sheet import contact_sheet
from livelav.show.surface import Surface
from livelav.takes.format import checked_take_path
from livelav.takes.taking import TakeConfig

_SHOWN_S = 10.0  # length of the video that stands in for a window
_RECORD_FPS = 30.0


def absolute(preset: str | None) -> str | None:
    """A preset's name, or its file's from wherever the next show is started."""
    return str(Path(preset).absolute()) if preset and preset.endswith(".toml") else preset


def has_display() -> bool:
    """Whether a window can be asked for at all."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def opener(size: tuple[int, int], headless: bool, monitor: str | None = None) -> Callable[[], Surface]:
    """What opens the window (on a monitor by number or name) or its headless twin, when its time has come."""

    def open_surface() -> Surface:
        if headless:
            from livelav.show.headless import HeadlessSurface

            return HeadlessSurface(size)
        from livelav.show.window import Window

        return Window(size, monitor)

    return open_surface


def live_config(source: str = "loopback", loop: bool = False, scene: Scene | None = None) -> LiveConfig:
    """A run on `source` that begins with `scene` (None: the defaults); the caller replaces what else it wants."""
    scene = scene or first_scene(None, None, {})
    choices: dict[str, Any] = {**scene.choices}  # every word was checked against its options
    return LiveConfig(
        capture=CaptureConfig(SourceRequest(source, loop)),
        fallback=CaptureConfig(SourceRequest("demo")) if source == "loopback" else None,
        synth=SynthConfig(
            model=choices["model"],
            backend=choices["backend"],
            encoder=choices["encoder"],
            noise=choices["generate.noise"],
        ),
        scene=scene,
        midi=midi_config(choices["midi"], choices["midi.out"]),
        osc=endpoint(choices["osc"]),
        osc_out=endpoint(choices["osc.out"]),
    )


def _stand_in() -> Path:
    """Where a video goes that nobody named. Raises StorageError where there is no room for it."""
    folder = Path("livelav-show")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {folder.absolute()}: {error.strerror}; start in another folder") from error
    return checked_path(folder / f"{datetime.now():%Y-%m-%d-%H%M%S}.mp4")


def _checked_folder(flag: str, path: Path) -> None:
    """Raises StorageError now, not after the show, where `path` could never be written."""
    if path.exists() and not path.is_file():
        raise StorageError(f"{flag} {path}: this is no regular file; choose another name")
    folder = path.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise StorageError(f"{flag} {path}: the folder {folder} does not exist or cannot be written; choose another")


def _before(resume: bool, preset: str | None) -> tuple[Running | None, str]:
    """Where the last show stood, if this one is to begin there, and what the terminal is told of it, for those to see
    who look at the picture. Raises ParamError, StorageError."""
    if resume and preset is not None:
        raise ParamError("--resume and --preset both say how to begin: give one of them")
    last, notice = None, ""
    if resume:
        last = last_show()
        if last.ended:  # in the dark, as shows do
            last = replace(last, dark="")
        if last.dark:
            notice = f"it was dark where the show was cut off, and still is: {last.dark} brings the light back"
    elif put_aside():
        notice = "the last show was cut off; `livelav --resume` begins where it stood"
    if notice:
        tell(notice)
    return last, notice


def _songs(set_list: str | None, before: Running | None) -> tuple[Song, ...]:
    """The evening's order of presets. Raises PresetError for a list that is asked for and cannot be read."""
    try:
        songs = load_set_list(set_list) if set_list else every_preset()
    except PresetError as error:
        if not before or before.set_list != set_list:
            raise
        tell(f"{error}; going on with all presets")
        songs = every_preset()
    added = before.added if before else ()
    if set_list:  # what has a place in it keeps that
        named = {song.preset for song in songs}
        return (*songs, *(Song(preset) for preset in added if preset not in named))
    return (*(song for song in songs if song.preset not in added), *map(Song, added))


def play(**flags: Any) -> None:
    """The verb without a name: `livelav --input ...`. Raises LivelavError."""
    try:
        os.getcwd()
    except OSError as error:
        raise StorageError("the folder that livelav was started in is gone; `cd` to another first") from error
    if flags["link"]:
        check_link()
    with only_instance():  # who is refused here has touched nothing of the show that runs
        _play(**flags)


def _play(
    source: str,
    loop: bool,
    preset: str | None,
    resume: bool,
    set_list: str | None,
    seed: str | None,
    size: tuple[int, int],
    fullscreen: bool,
    monitor: str | None,
    headless: bool,
    link: bool,
    operator: bool,
    fps: str,
    seconds: str | None,
    stats: Path | None,
    record: Path | None,
    take: Path | None,
    trace: Path | None,
    **table_flags: Any,
) -> None:
    before, notice = _before(resume, preset)
    scene = first_scene(preset, seed, table_flags, before.scene if before else None)
    set_list = absolute(set_list) or (before.set_list if before else None)
    songs = _songs(set_list, before)
    rate_hz = number("--fps", fps, 1, 240)
    run_s = None if seconds is None else number("--seconds", seconds, 0.1, 1e7)
    for flag, path in (("--stats", stats), ("--trace", trace)):
        if path is not None:
            _checked_folder(flag, path)
    if record:
        checked_path(record)
    if take:
        checked_take_path(take)
    sheet = None
    if not headless and not has_display():
        headless, run_s = True, run_s or _SHOWN_S
        if record is None:
            record = _stand_in()
            sheet = record.with_suffix(".png")
        tell(f"no display here: drawing {run_s:g} s without one, into {record}")

    config = live_config(source, loop, scene)
    banks, troubles = load_banks()
    for trouble in troubles:
        tell(trouble)
    for trouble in EFFECT_TROUBLES:
        tell(f"{trouble}; playing without that effect")
    model = playable(scene.choices["model"])  # last: all that may be refused at once has been
    config = replace(
        config,
        scene=replace(scene, choices={**scene.choices, "model": model}),
        preset=before.preset if before else absolute(preset),
        songs=songs,
        set_list=set_list,
        stood=before,
        banks=tuple(banks),
        notice=notice,
        synth=replace(config.synth, model=model, trace=trace),
        link=link,
        size=size,
        fps=rate_hz,
        fullscreen=fullscreen,
        operator=operator,
        seconds=run_s,
        stats=stats,
        record=RecordConfig(record, size, min(_RECORD_FPS, rate_hz)) if record else None,
        take=TakeConfig(take) if take else None,
    )
    live = run_live(config, opener(size, headless, monitor))
    if record and sheet and live.shared.main["presented"]:
        contact_sheet(record, sheet)
        tell(f"wrote {record} and {sheet}")
    if not live.shared.main["presented"] and not live.desk.state.quit:
        raise LivelavError("no picture was made; `livelav doctor` says what is missing")
