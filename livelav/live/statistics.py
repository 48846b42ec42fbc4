"""What is said about a running show: the record of `--stats`, and the rows of the HUD. Reads figures, changes none.

Runs in main.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livelav import __version__
from livelav.control.keys import key_help
from livelav.core.metrics import Rate, picked, rounded
from livelav.core.params import BY_NAME
from livelav.core.tempo import BEATS_A_BAR
from livelav.show.hud import GhostRow, HudRow

if TYPE_CHECKING:
    from livelav.desk.beat import Beat
    from livelav.desk.desk import Desk
    from livelav.live.engine import Live

_KEYS_WIDE = 84  # characters: within the smallest window that somebody plays in
_GLUE = "\0"
_SHORT_S, _SHORT_BYTES = 900.0, 100 << 20  # of recording, of room for presets: when to warn of the disk
_SLOW = 0.8  # of the pictures a second that there should be: fewer is amber
_LATE_MS = 200.0  # after its sound an image is seen to be late
_LASTS_S = 2.0  # for so long what may come and go is amiss before it is an alarm
_AMISS = ("blackout", "fade", "freeze", "lock", "pattern")  # switches that somebody may wonder about
_MOST_GHOSTS = 3  # with a row of their own
TOUCHED_S = 2.0  # for so long the HUD shows what a knob has moved


def record(live: Live, now_s: float) -> dict[str, Any]:
    """The statistics record: plain JSON values."""
    shared, board, source, loaded = live.shared, live.shared.main, live.source, live.loaded
    synth, (first, second) = live.synths.board, live.shared.seats
    made = live.synths.count("images")
    seconds = max(now_s - board["first_s"], 0.0) if board["first_s"] else 0.0

    def per_second(count: float) -> float:
        return round(count / seconds, 2) if seconds else 0.0

    return {
        "version": __version__,
        "seconds": round(seconds, 3),
        "first_picture_s": round(board["first_s"] - board["started_s"], 3) if board["first_s"] else None,
        "source": {
            "kind": source.get("source_kind"),
            "name": source.get("name"),
            "rate": int(shared.capture["rate_hz"]),
            "channels": int(shared.capture["channels"]),
        },
        "encoder": {"name": loaded.get("encoder"), "frame_rate": synth["frame_rate"]},
        "model": {
            "name": loaded.get("model"),
            "resolution": int(synth["resolution"]),
            "sha256": loaded.get("sha256"),
        },
        "backend": loaded.get("backend"),
        "capture": {
            **picked(shared.capture, "blocks", "samples", "xruns", "reconnects", "cleaned"),
            # the ring's writer never waits: its readers know what they missed
            "overruns": int(live.synths.count("overruns")),
        },
        "encode": {
            "frames": int(live.synths.count("frames")),
            "step_ms": first.step_ms.percentiles(50, 99, also=second.step_ms),
        },
        "generate": {
            "images": int(made),
            "fps": per_second(made),
            "tick_ms": first.tick_ms.percentiles(50, 99, also=second.tick_ms),
        },
        "present": {
            "presented": int(board["presented"]),
            "fps": per_second(board["presented"]),
            "new_fps": per_second(board["presented"] - board["repeated"]),
            "late": int(board["late"]),
            "repeated": int(board["repeated"]),
            "scale": board["scale"],  # share of the window's resolution at which the picture is drawn
        },
        "preset": live.desk.scenes.preset,
        "seed": live.desk.scenes.scene.seed,
        "tempo": {
            "bpm": round(live.desk.beat.tempo.bpm, 2),
            "source": live.desk.beat.source,
            "confidence": round(live.desk.beat.confidence, 2),  # of what is heard, whoever gives it
        },
        "osc": {"messages": osc.messages, "ignored": osc.ignored} if (osc := live.desk.inputs.osc) else None,
        "latency_ms": shared.latency_ms.percentiles(50, 95, 99),
        "midi": {"ports": list(live.desk.inputs.ports), **picked(shared.midi, "messages", "lost", "sent")},
        "link": picked(shared.link, "peers") if live.link else None,
        "operator": picked(shared.operator, "drawn"),
        "settings": live.desk.settings.as_dict(),
        "features": {
            "rms_db": round(shared.capture["level_db"], 1),
            "onset": round(synth["onset"], 3),
        },
        "ws": rounded({name: synth[name] for name in ("spread", "step", "distance")}),
        "restarts": {child.name: child.restarts for child in live.children} | {"synth": live.synths.restarts},
        "peak_rss_mb": {
            "main": round(board["peak_rss_mb"]),
            **{child.name: round(child.board["peak_rss_mb"]) for child in live.children},
        },
    }


class Lasting:
    """What is amiss for so long that it is worth an alarm: a gap that nobody sees is none."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._shown = Rate()
        self._pictures = 0.0  # a second
        self._images = -1.0  # new ones that were shown so far

    def look(self, live: Live, now_s: float) -> None:
        """To be called many times a second, whoever shows alarms."""
        board, capture = live.shared.main, live.shared.capture
        plays = board["first_s"] > 0 and not live.capture.finished
        images, self._images = self._images, board["presented"] - board["repeated"]
        has_new = images != self._images
        self._pictures = self._shown.step(board["presented"], now_s)
        was_late = "LATE" in self._since and not live.desk.state.freeze  # between two images: as the last one
        amiss = {
            "RECONNECTING": plays and not capture["live"],
            "NO IMAGES": plays and not has_new and not live.desk.state.freeze,
            "LATE": plays and (board["latency_ms"] > _LATE_MS if has_new else was_late),
            "SLOW": plays and self._pictures < _SLOW / live.shared.pace["period_s"],
        }
        self._since = {label: self._since.get(label, now_s) for label, is_so in amiss.items() if is_so}

    def alarms(self, live: Live, now_s: float) -> Iterator[HudRow]:
        """One row for each."""
        lasts = {label: now_s - since_s for label, since_s in self._since.items() if now_s - since_s >= _LASTS_S}
        if "RECONNECTING" in lasts:
            yield "RECONNECTING", f"no sound from the source for {lasts['RECONNECTING']:.0f} s", True
        if "NO IMAGES" in lasts:
            yield "NO IMAGES", f"no new one for {lasts['NO IMAGES']:.0f} s", True
        elif "LATE" in lasts:
            yield "LATE", f"images come {live.shared.main['latency_ms']:.0f} ms after their sound", True
        if "SLOW" in lasts:
            yield "LATE", f"{self._pictures:.0f} of {1 / live.shared.pace['period_s']:.0f} pictures a second", True


class HudText:
    """What the HUD and the operator's window say; remembers what it needs for figures per second."""

    def __init__(self) -> None:
        self._presented, self._new = Rate(), Rate()

    def figures(self, live: Live, now_s: float) -> list[HudRow]:
        """How picture, sound, processes and controllers do: (label, text, whether it is a warning)."""
        shared, board = live.shared, live.shared.main
        presented = self._presented.step(board["presented"], now_s)
        new = self._new.step(board["presented"] - board["repeated"], now_s)
        wanted = 1.0 / shared.pace["period_s"]
        latency = f"{board['latency_ms']:.0f} ms" if new else "-"
        softer = f", at {100 * board['scale']:.0f} %" if 0 < board["scale"] < 1 else ""
        restarts = sum(child.restarts for child in live.children) - live.synth.restarts + live.synths.restarts
        synth, lost = live.synths.board, live.synths.count("overruns")
        rows: list[HudRow] = [
            ("picture", f"{presented:.0f} a second, {new:.0f} new{softer}", 0 < presented < _SLOW * wanted),
            ("latency", latency, bool(new) and board["latency_ms"] > 100),
            ("source", str(live.source.get("name", "none yet")), shared.capture["live"] == 0),
        ]
        if live.recorder:
            figures = live.recorder.board
            text = f"{figures['seconds']:.0f} s, {figures['dropped']:.0f} dropped"
            text += f", room for {_duration(figures['left_s'])}" if figures["left_s"] else ""
            rows.append(("recording", text, figures["live"] == 0))
        if live.taker:
            figures = live.taker.board
            text = f"{figures['seconds']:.0f} s" + f", {figures['lost']:.0f} samples lost" * (figures["lost"] > 0)
            text += f", room for {_duration(figures['left_s'])}" if figures["left_s"] else ""
            rows.append(("take", text, figures["live"] == 0))
        if live.desk.inputs.ports:
            rows.append(("MIDI", ", ".join(live.desk.inputs.ports), False))
        if live.link:
            rows.append(("Link", f"peers: {shared.link['peers']:.0f}", shared.link["live"] == 0))
        if live.desk.inputs.osc and live.desk.inputs.osc.recent:
            rows.append(("OSC", " ".join(live.desk.inputs.osc.recent), False))
        return [
            *rows,
            ("encoder", str(live.loaded.get("encoder", "loading")), False),
            ("model", _model(live), False),
            ("spread", f"{synth['spread']:.2f} of W, step {synth['step']:.3f}", False),
            ("dropped", f"{lost:.0f} samples, {board['late']:.0f} pictures late", lost > 0),
            ("restarts", str(restarts), restarts > 0),
        ]

    def rows(self, live: Live, now_s: float) -> list[HudRow | GhostRow]:
        """All rows of the HUD, those first that a small window must have room for."""
        desk = live.desk
        rows: list[HudRow | GhostRow] = [*alarms(live, now_s)]
        rows += [(name, "on", True) for name in _AMISS if getattr(desk.state, name)]
        rows += [*_played(desk, now_s), _picked(desk)]
        touched_s, name = desk.inputs.touched
        if now_s - touched_s < TOUCHED_S:
            rows.append((name, f"{desk.settings[name]:.3g} {BY_NAME[name].unit}", False))
        rows += [*_ghosts(desk), *self.figures(live, now_s)]
        # a line is broken between two keys only
        keys = [f"{key} {what}".replace(" ", _GLUE) for key, what in key_help()]
        lines = [line.replace(_GLUE, " ") for line in textwrap.wrap("  ".join(keys), _KEYS_WIDE)]
        return [*rows, *(("" if i else "keys", line, False) for i, line in enumerate(lines))]


def alarms(live: Live, now_s: float) -> Iterator[HudRow]:
    """What needs the operator's eye now: what stands first, then what was said, the newest first."""
    if live.limits_flashes:
        yield "FLASHES", "held back", True
    if silent_s := live.silent_s(now_s):
        yield "SILENT", f"nothing heard for {silent_s:.0f} s", True
    yield from live.lasting.alarms(live, now_s)
    if live.recorder and 0 < (left_s := live.recorder.board["left_s"]) < _SHORT_S:
        yield "DISK", f"room for {_duration(left_s)} more of the recording", True
    if live.taker and 0 < (left_s := live.taker.board["left_s"]) < _SHORT_S:
        yield "DISK", f"room for {_duration(left_s)} more of the take", True
    if (free := live.desk.keeper.free_bytes) < _SHORT_BYTES:
        yield "DISK", f"{free / 2**20:.0f} MiB left where presets are saved", True
    if live.desk.state.quit_pending(now_s):
        yield "quit?", "press Q again", True
    yield from (("!", text, True) for text in reversed(live.recent_warnings(now_s)))


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 36_000 else f"{seconds / 60:.0f} min"


def _model(live: Live) -> str:
    """What generates, and what is on its way to."""
    plays = f"{live.loaded['model']} on {live.loaded['backend']}" if live.loaded else "loading"
    if coming := live.synths.coming:
        model, does = coming
        name, progress = Path(model).stem, f": {live.synths.progress}" if live.synths.progress else ""
        return (
            plays
            + {"loads": f", loading {name}{progress}", "waits": f", {name} waits", "fades": f", going to {name}"}[does]
        )
    return plays


def _picked(desk: Desk) -> HudRow:
    """What the arrow keys are on, and what moves it."""
    name, teaching = desk.teaching.picked, desk.teaching
    if teaching.waits:
        return "LEARN", f"move the control that is to move {name}; L: none", True
    value = f"{desk.settings[name]:.3g} {BY_NAME[name].unit}".strip() if name in BY_NAME else "action"
    if drive := desk.scenes.scene.drives.get(name):
        value += f"  ~ {drive}"
    movers = [f"{one.control} of {port}" for port, one in desk.inputs.hands.movers(name, desk.inputs.ports)]
    return "arrows", f"{name}  {value}  {', '.join(movers)}", False


def _ghosts(desk: Desk) -> Iterator[HudRow | GhostRow]:
    """Knobs that wait to pick up what they move."""
    ghosts = [(BY_NAME[name], knob) for name, knob in desk.inputs.hands.ghosts().items()]
    for param, knob in ghosts[:_MOST_GHOSTS]:
        stands, at = desk.settings[param.name], param.value(knob)
        yield GhostRow(
            param.name, f"{stands:.3g}; the knob is at {at:.3g} and must come past", param.knob(stands), knob
        )
    if (more := len(ghosts) - _MOST_GHOSTS) > 0:
        yield "ghosts", f"{more} more knobs must come past where their values are", False


def _played(desk: Desk, now_s: float) -> Iterator[HudRow]:
    """Presets and tempo: what is played, what comes."""
    scenes, beat, tempo = desk.scenes, desk.beat, desk.beat.tempo
    if scenes.preset:
        left_s = scenes.fade_left_s(now_s)
        fading = f", {left_s:.1f} s to go" if left_s else ""
        yield "preset", scenes.preset + fading + ", changed" * scenes.is_changed, False
    if scenes.song and scenes.song.notes:
        yield "notes", scenes.song.notes, False
    if every := desk.settings["preset.cue"]:
        yield "cue", f"recalls wait for a multiple of {every:g} beats", False
    if cued := scenes.cued(now_s):
        yield "cued", f"{cued[0]} in {cued[1] / tempo.period_s:.0f} beats", False
    if following := scenes.next_song:
        yield "next", following.preset, False
    yield "tempo", f"{tempo.bpm:.1f}, beat {int(tempo.beats(now_s) % BEATS_A_BAR) + 1}, {tempo_source(beat)}", False


def tempo_source(beat: Beat) -> str:
    """Who gives the tempo, and how sure of it the ear is."""
    return beat.source + (f" {100 * beat.confidence:.0f} %" if beat.source == "heard" else ", listening" * beat.hears)
