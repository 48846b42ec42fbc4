"""The operator's window as main sees it: what it is told, when it opens, and what hands in it ask for.

A view of the show is told some ten times a second while the window is open, and never waited for. What comes back is
checked as a stranger's would be, and performed by the desk. Makes no process: the engine hands its child in. Runs in
main; the time is passed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from livelav.control.commands import (
    ACTIONS,
    NAMED_ACTIONS,
    BeatCommand,
    Command,
    PickNamed,
    RecallNumber,
    SetChoice,
    SetParam,
    Toggle,
)
from livelav.control.keys import KEYS
from livelav.core.errors import ParamError
from livelav.core.params import BY_NAME
from livelav.core.shm import Latest
from livelav.core.values import Event
from livelav.desk.teaching import ROWS
from livelav.live import statistics
from livelav.live.supervisor import Child
from livelav.show.hud import HudRow

if TYPE_CHECKING:
    from livelav.live.engine import Live

VIEW_BYTES = 1 << 17  # of which a set list of 500 songs takes a third
OPERATORS = (
    "key",
    "act",
    "pick",
    "set",
    "recall",
    "model",
)  # events of the operator's process that are meant for the desk

_VIEW_S, _FIGURES_S = 0.1, 0.5
_ROWS_A_VIEW = (
    3  # whose controls are looked up anew: with all rows, three controllers would cost a quarter of a picture
)
_LONGEST = 160  # characters of what strangers call their devices, presets and notes
_MOST_SONGS, _MOST_MODELS = 600, 100
_CRASHES_TO_REST = 3  # in a minute


def actions() -> tuple[tuple[str, str, str], ...]:
    """(name, key, group) of every button: what the table of actions has."""
    keys = {key.command: name.title() for name, key in KEYS.items()}
    return tuple((name, keys.get(command, ""), _group(command)) for name, command in NAMED_ACTIONS.items())


def _group(command: Command) -> str:
    if isinstance(command, Toggle):
        return "switch"
    return "beat" if isinstance(command, BeatCommand) else "preset"


def asked(event: Event) -> Command | None:
    """What a hand in the window asks for; None for an event that no window of ours sends."""
    match event:
        case {"kind": "key", "name": str(name)} if name in KEYS:
            return KEYS[name].command
        case {"kind": "act", "name": str(name)} if name in ACTIONS:
            return ACTIONS[name]
        case {"kind": "pick", "name": str(name)} if name in ROWS:
            return PickNamed(name)
        case {"kind": "recall", "number": int(number)} if 1 <= number <= _MOST_SONGS:
            return RecallNumber(number)
        case {"kind": "model", "name": str(name)}:
            return SetChoice("model", name)
        case {"kind": "set", "name": str(name), "value": float(value)} if name in BY_NAME:
            try:
                return SetParam(name, BY_NAME[name].checked(value))
            except ParamError:
                return None
    return None


class Booth:
    """Follows the desk's switch: opens the window, keeps it told, lets it close."""

    def __init__(self, child: Child, view: Latest) -> None:
        """`child` runs `operator.run_operator`; `view` has VIEW_BYTES and operator.VIEW_FIELDS."""
        self.child = child
        child.rest()
        self._view = view
        self._is_open = False
        self._told = b"", False, 0  # the last view, whether the window was open then, and who played
        self._told_s = self._figures_s = float("-inf")
        self._figures: list[HudRow] = []
        self._movers: dict[str, str] = {}
        self._row = 0

    def step(self, live: Live, now_s: float) -> list[Event]:
        """One look. Returns what else its process says: warnings."""
        desk, news = live.desk, []
        for event in self.child.poll(now_s):
            if event["kind"] in OPERATORS:
                if command := asked(event):
                    desk.ask(command, now_s)
            else:
                news.append(event)
        gone = any(event["kind"] == "ended" for event in news)
        if gone and desk.state.operator and desk.state.lock and self.child.board["live"]:  # its key would do nothing
            gone = False
            self._open(live, now_s)
            text = "keys are locked, and the operator's window opens again: Space unlocks"
            news.append({"kind": "warning", "text": text})
        if self.child.crashes(now_s) >= _CRASHES_TO_REST and self._is_open:
            news.append({"kind": "warning", "text": "the operator's window keeps dying: press O to try again"})
            gone = True
        if gone and desk.state.operator:
            desk.refuse("operator")
        self._follow(live, now_s)
        if self._is_open and now_s - self._told_s >= _VIEW_S:
            self._tell(live, now_s)
        return news

    def _follow(self, live: Live, now_s: float) -> None:
        wanted = live.desk.state.operator
        if wanted == self._is_open:
            return
        self._is_open = wanted
        self._tell(live, now_s)
        if not wanted:
            self.child.rest()
        else:
            self._open(live, now_s)

    def _open(self, live: Live, now_s: float) -> None:
        config, shared = self.child.args
        self.child.args = (replace(config, picture=live.surface.place), shared)
        self.child.begin(now_s)

    def _tell(self, live: Live, now_s: float) -> None:
        self._told_s = now_s
        if now_s - self._figures_s >= _FIGURES_S:
            self._figures_s = now_s
            figures = live.hud_text.figures(live, now_s)
            self._figures = [row for row in figures if row[0] != "spread"]  # which the window has a meter for
        view = json.dumps(self.view(live, now_s), ensure_ascii=False).encode(errors="replace")
        told = view, self._is_open, live.synths.at
        if told != self._told:
            self._told = told
            self._view.publish(np.frombuffer(view, np.uint8), float(self._is_open), float(live.synths.at))

    def view(self, live: Live, now_s: float) -> dict[str, Any]:
        """All that the window shows but meters: plain JSON values, bounded."""
        desk, scenes, tempo = live.desk, live.desk.scenes, live.desk.beat.tempo
        touched_s, touched = desk.inputs.touched
        self._look_up_movers(live)
        cued, song, following = scenes.cued(now_s), scenes.song, scenes.next_song
        ghosts = desk.inputs.hands.ghosts()
        return {
            "values": desk.settings.as_dict(),
            "ghosts": {name: BY_NAME[name].value(knob) for name, knob in ghosts.items() if name in BY_NAME},
            "movers": self._movers,
            "driven": {name: [str(drive), desk.played[name]] for name, drive in scenes.scene.drives.items()},
            "picked": desk.teaching.picked,
            "waits": desk.teaching.waits,
            "touched": touched if now_s - touched_s < statistics.TOUCHED_S else "",
            "bpm": tempo.bpm,
            "origin_s": tempo.origin_s,
            "beat_source": _cut(statistics.tempo_source(desk.beat)),
            "preset": _cut(scenes.preset or ""),
            "changed": scenes.is_changed,
            "fade_left_s": round(scenes.fade_left_s(now_s), 1),
            "cued": [_cut(cued[0]), round(cued[1] / tempo.period_s, 1)] if cued else None,
            "notes": _cut(song.notes) if song else "",
            "next": [_cut(following.preset), _cut(following.notes)] if following else None,
            "number": None if scenes.number is None else scenes.number - 1,  # in `songs`
            "songs": [_cut(one.preset) for one in scenes.songs[:_MOST_SONGS]],
            "models": [_cut(name) for name in scenes.models[:_MOST_MODELS]],
            "model": _cut(scenes.model),
            "plays": _cut(live.synths.model),
            "switches": _switches(live),
            "figures": [[_cut(label), _cut(text), warns] for label, text, warns in self._figures],
            "alarms": [[_cut(label), _cut(text), warns] for label, text, warns in statistics.alarms(live, now_s)],
        }

    def _look_up_movers(self, live: Live) -> None:
        """Which controls move what; a few rows each time, and the picked one always."""
        inputs = live.desk.inputs
        rows = [ROWS[(self._row + n) % len(ROWS)] for n in range(_ROWS_A_VIEW)]
        self._row = (self._row + _ROWS_A_VIEW) % len(ROWS)
        for name in {*rows, live.desk.teaching.picked}:
            found = [str(one.control) for _port, one in inputs.hands.movers(name, inputs.ports)]
            if found:
                self._movers[name] = _cut(", ".join(found))
            else:
                self._movers.pop(name, None)


def _switches(live: Live) -> Mapping[str, bool]:
    state = live.desk.state
    toggles = [command.switch for command in NAMED_ACTIONS.values() if isinstance(command, Toggle)]
    return {switch: bool(getattr(state, switch)) for switch in toggles}


def _cut(text: str) -> str:
    return text[:_LONGEST]
