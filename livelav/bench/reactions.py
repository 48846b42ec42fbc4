"""How long until the screen shows it: a click in the sound, a knob that was turned, a preset that waits for its beat.

Each is done for real by a small process of its own. The whole show runs here, in its window where there is a display,
and after every turn its picture is looked at: silence and a shader without drift keep it still until then. Part of
`livelav bench`.
"""

import contextlib
import multiprocessing
import os
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.audio.clicks import play_clicks
from livelav.audio.devices import survey_devices
from livelav.control.banks import Bank
from livelav.control.bindings import Binding
from livelav.control.messages import Control
from livelav.control.midi import MidiConfig, list_ports
from livelav.control.player import PORT, play_controller
from livelav.core.errors import LivelavError, SourceError
from livelav.core.metrics import stolen_s
from livelav.core.params import PARAMS
from livelav.core.preset_text import preset_text
from livelav.core.setlists import Song
from livelav.core.shm import StopFlag
from livelav.core.store import only_instance
from livelav.core.values import Floats
from livelav.flags import first_scene
from livelav.live.crew import LiveConfig
from livelav.live.engine import Live, run_live
from livelav.play import has_display, live_config, opener

Figures = dict[str, Any]

_WARM_UP_S = 3.0
_MAX_CHANGE = 6  # of 255: a pixel that differs by more has changed
_SEEN_S = 0.4  # later is not seen
_STILL_S = 0.1  # for so long the picture must have stood still, for a change to be the one that is waited for
_MOVES_APART_S = 0.3, 2.6  # some of them after hands have rested
_RECALLS_APART_S = 2.5, 3.5
_AROUND_S = 0.5  # of a recall: its file is read before the beat, its mapping begins after it
_LATE = 1.5  # frame times
# all smoothing at its minimum, nothing in the shader that moves by itself, and no lines, which would enlarge the
# engine's rounding
_STILL = {p.name: p.lo for p in PARAMS if p.name.startswith("smoothing.")} | {
    "show.drift": 0.0, "show.contour": 0.0, "show.feedback": 0.0,
}  # fmt: skip


def sound_to_screen(seconds: float) -> Figures:
    """Plays clicks into the default sink; times each from its writing to the first present with a changed pixel."""
    if not any(device.would_take for device in survey_devices().devices):
        raise SourceError("no loopback to hear clicks in; `livelav devices` says what there is")
    config = replace(_still(live_config()), fallback=None)
    watch, clicks_s = _watched(config, seconds, play_clicks)
    figures = watch.delays(clicks_s)
    if not figures["seen"]:
        raise LivelavError(f"no click of {len(clicks_s)} was seen; is the loopback the sink that sounds go to?")
    return figures


def knob_to_screen(seconds: float) -> Figures:
    """Turns a controller's knob; times each CC from its sending to the first present with a changed pixel.

    Raises MidiError where there is no MIDI.
    """
    list_ports()
    brightness = Bank(PORT, PORT, "", (Binding(Control("cc", 20), "show.brightness"),))
    moves = [(0xB0, 20, 90), (0xB0, 20, 127)]
    with _silence() as sound:
        config = replace(_still(live_config(sound, loop=True)), midi=MidiConfig((PORT,)), banks=(brightness,))
        watch, moved_s = _watched(config, seconds, play_controller, moves, _MOVES_APART_S)
    figures = watch.delays(moved_s)
    if not figures["seen"]:
        raise LivelavError(f"no move of {len(moved_s)} was seen; `livelav midi monitor` shows what arrives")
    return figures


def cue_to_screen(seconds: float) -> Figures:
    """Recalls presets that wait for a beat: how far from it they are seen, and whether pictures are late around it.

    Raises MidiError where there is no MIDI.
    """
    list_ports()
    with _silence() as sound, _two_presets() as songs:
        config = _still(live_config(sound, loop=True), {"preset.cue": 1.0, "preset.morph": 0.0})
        config = replace(config, midi=MidiConfig((PORT,)), songs=songs)
        watch, asked_s = _watched(config, seconds, play_controller, [(0xC0, 0), (0xC0, 1)], _RECALLS_APART_S)
    figures = watch.off_beat() | watch.intervals(1.0 / config.fps)
    if not figures["seen"]:
        raise LivelavError(f"no recall of {len(asked_s)} was seen; `livelav midi monitor` shows what arrives")
    return figures


# ---- the show, and what is done to it


def _still(config: LiveConfig, also: dict[str, float] | None = None) -> LiveConfig:
    scene = config.scene
    return replace(config, scene=replace(scene, settings=scene.settings.with_values(_STILL | (also or {}))))


@contextlib.contextmanager
def _silence() -> Iterator[str]:
    """A sound file of a second with nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "silence.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(48000)
            file.writeframes(bytes(4 * 48000))
        yield str(path)


@contextlib.contextmanager
def _two_presets() -> Iterator[tuple[Song, ...]]:
    """Two of the shipped ones, each with its mapping, made to stand still and to differ in hue; for us alone."""
    with tempfile.TemporaryDirectory() as folder:
        presets = Path(folder) / "presets"
        presets.mkdir()
        for name, hue in (("calm", 0.0), ("storm", 90.0)):
            scene = first_scene(name, None, {})
            scene = replace(scene, settings=scene.settings.with_values(_STILL | {"show.hue": hue}))
            (presets / f"{name}.toml").write_text(preset_text(scene, name))
        before = os.environ.get("LIVELAV_CONFIG")
        os.environ["LIVELAV_CONFIG"] = folder
        try:
            yield (Song("calm"), Song("storm"))
        finally:
            del os.environ["LIVELAV_CONFIG"]
            if before is not None:
                os.environ["LIVELAV_CONFIG"] = before


def _watched(
    config: LiveConfig, seconds: float, target: Callable[..., None], *args: Any
) -> tuple["Watch", list[float]]:
    """Runs the show, and beside it `target(*args, times, stop)`; returns what was seen, and what that one sent."""
    ctx = multiprocessing.get_context("spawn")
    stop, (ours, theirs) = StopFlag(), ctx.Pipe(duplex=False)
    watch = Watch()
    other = ctx.Process(target=target, args=(*args, theirs, stop), daemon=True)
    other.start()
    theirs.close()
    try:
        with only_instance():
            config = replace(config, seconds=seconds + _WARM_UP_S)
            run_live(config, opener(config.size, headless=not has_display()), watch.step)
    finally:
        stop.set()
        other.join(2.0)
        if other.exitcode is None:
            other.kill()
    times: list[float] = []
    with contextlib.suppress(EOFError):
        while ours.poll():
            times.append(ours.recv())
    return watch, times


class Watch:
    """Notes when pictures were presented, in which of them the middle had changed, and when recalls are due."""

    _PATCH = 96

    def __init__(self) -> None:
        self._last: Any = None
        self._presented: list[tuple[float, bool, float]] = []
        self._due_s: list[float] = []

    def step(self, live: Live) -> None:
        now_s = time.monotonic()
        if not live.shared.main["first_s"]:
            return
        width, height = live.surface.size
        x, y = (width - self._PATCH) // 2, (height - self._PATCH) // 2
        patch = np.frombuffer(live.surface.fbo.read((x, y, self._PATCH, self._PATCH), 3), np.uint8).astype(np.int16)
        changed = self._last is not None and int(np.abs(patch - self._last).max()) > _MAX_CHANGE
        self._last = patch
        cued = live.desk.scenes.cued(now_s)
        self.note(now_s, changed, now_s + cued[1] if cued else None, stolen_s())

    def note(self, now_s: float, changed: bool, due_s: float | None = None, taken_s: float = 0.0) -> None:
        """A picture was presented; `due_s`: the waiting recall's beat; `taken_s`: what the host took by then."""
        self._presented.append((now_s, changed, taken_s))
        if due_s is not None and (not self._due_s or due_s - self._due_s[-1] > _STILL_S):
            self._due_s.append(due_s)

    @property
    def _times_s(self) -> Floats:
        return np.array([time_s for time_s, _, _ in self._presented])

    @property
    def _changes_s(self) -> Floats:
        return np.array([time_s for time_s, changed, _ in self._presented if changed])

    def _judged(self, moments_s: list[float]) -> list[float]:
        """Those that lie neither in the beginning nor at the very end."""
        times_s = self._times_s
        return [at_s for at_s in moments_s if len(times_s) and times_s[0] + _WARM_UP_S < at_s < times_s[-1] - _AROUND_S]

    def delays(self, moments_s: list[float]) -> Figures:
        """From each moment before which the picture had stood still to the first change."""
        return self._first_changes(moments_s, 0.0)

    def off_beat(self) -> Figures:
        """From each recall's beat to the first change; below 0 where that came before."""
        return self._first_changes(self._due_s, _STILL_S)

    def _first_changes(self, moments_s: list[float], early_s: float) -> Figures:
        changes_s, found_ms, missed, restless = self._changes_s, [], 0, 0
        for at_s in self._judged(moments_s):
            since_s = changes_s - at_s
            if ((since_s > -early_s - _STILL_S) & (since_s <= -early_s)).any():
                restless += 1
                continue
            after_s = since_s[(since_s > -early_s) & (since_s < _SEEN_S)]
            if len(after_s):
                found_ms.append(after_s[0] * 1000)
            else:
                missed += 1
        return _spread(found_ms) | {"seen": len(found_ms), "missed": missed, "restless": restless}

    def intervals(self, period_s: float) -> Figures:
        """The longest way from a present to the next around each recall, and how many took over 1.5 frame times.

        `ours`: of those during which the host left this machine its processors.
        """
        ends_s, gaps_s = self._times_s[1:], np.diff(self._times_s)
        longest_ms, is_near = [], np.zeros(len(gaps_s), bool)
        for due_s in self._judged(self._due_s):
            near = np.abs(ends_s - due_s) < _AROUND_S
            longest_ms.append(float(gaps_s[near].max()) * 1000)
            is_near |= near
        late = gaps_s > _LATE * period_s
        is_apart = ~is_near & (ends_s > self._times_s[0] + _WARM_UP_S)
        is_ours = np.diff([taken_s for _, _, taken_s in self._presented]) == 0.0
        places = {"around": is_near, "elsewhere": is_apart}
        return {
            "longest_ms": _spread(longest_ms),
            "late_percent": {name: _percent(late[which]) for name, which in places.items()},
            "ours_late_percent": {name: _percent(late[which & is_ours]) for name, which in places.items()},
            "ours_longest_ms": round(float(gaps_s[is_near & is_ours].max(initial=0.0)) * 1000, 1),
            "stolen_percent": _percent(~is_ours),
        }


def _percent(those: NDArray[np.bool_]) -> float | None:
    return round(100 * float(those.mean()), 1) if len(those) else None


def _spread(values_ms: list[float]) -> Figures:
    if not values_ms:
        return {}
    least, p50, p95, most = np.percentile(values_ms, [0, 50, 95, 100])
    return {name: round(float(v), 1) for name, v in (("least", least), ("p50", p50), ("p95", p95), ("most", most))}
