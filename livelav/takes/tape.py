"""What is done to the show, noted as it is done, until the process that writes takes has time for it.

Bounded: where that process does not listen any more, the take ends, and the show goes on. Knows no process. Runs in
main; the time is passed in.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from livelav.control.commands import FadeTo, Follow, SetChoice, SetDrive, SetParam, Taken
from livelav.core.params import CHOICES, PARAMS
from livelav.core.scene import Scene
from livelav.core.tempo import Tempo
from livelav.takes.format import LONGEST_LINE, head, line

Words = tuple[float, str]  # when it was done, and the line that says what; an empty one ends the take

_MOST = 20_000  # words that wait: more than a minute of the busiest fade
_MOST_BYTES = 16 << 10  # at once: with the longest line besides, less than a pipe holds


class Tape:
    """`note` what was done, in order; `next` what is to be handed on."""

    def __init__(self, scene: Scene, recalled: Scene | None = None, dark: str = "") -> None:
        """`scene`: with which the show begins; `recalled`: what panic comes back to then, where that is another;
        `dark`: the switch that keeps its light off."""
        self._scene, by_hand = _since(recalled or scene, scene)
        self._dark = dark
        self._waiting = deque[Words]()
        self._tempo: tuple[Tempo, bool] | None = None  # as it was noted last
        self._fade: FadeTo | None = None  # the same of the generator that is seen
        self._begun = self._full = False
        for command in by_hand:
            self.note(command, 0.0)

    def begin(self, loaded: Mapping[str, Any], now_s: float) -> None:
        """Sound is heard from now on, by what the synth says is `loaded`. What was done before counts from here."""
        if not self._begun:
            self._begun = True
            self._waiting.appendleft((now_s, head(self._scene, loaded, self._dark)))
            noise = self._scene.choices["generate.noise"]
            self._fade = FadeTo(loaded["model"], noise, loaded["sha256"], 0.0)

    def note(self, command: Taken, now_s: float) -> None:
        """What something came to."""
        if self._full:
            return
        text = line(command)
        self._full = len(self._waiting) >= _MOST or len(text) > LONGEST_LINE // 2
        self._waiting.append((now_s, "" if self._full else text))

    def note_tempo(self, tempo: Tempo, hears: bool, now_s: float) -> None:
        """The tempo by which all of this goes, and whether the sound gives it."""
        if (tempo, hears) != self._tempo:
            self._tempo = tempo, hears
            self.note(Follow(tempo.bpm, tempo.origin_s - now_s, hears), now_s)

    def note_fade(self, fade: FadeTo, now_s: float) -> None:
        """Which generator's images are seen, or faded to; what a take begins with its first line says."""
        if self._begun and fade != self._fade:
            self.note(fade, now_s)
            self._fade = fade

    def next(self) -> list[Words]:
        """The next few, which are taken off."""
        if not self._begun:
            return []
        words, size = list[Words](), 0
        while self._waiting and size < _MOST_BYTES:
            words.append(self._waiting.popleft())
            size += len(words[-1][1])
        return words


def _since(recalled: Scene, scene: Scene) -> tuple[Scene, list[Taken]]:
    """(what was recalled, in the evening as it is in `scene`; what hands have made of it since)."""
    evening = {p.name: scene.settings[p.name] for p in PARAMS if p.scope != "song"}
    choices = {c.name: (recalled if c.scope == "song" else scene).choices[c.name] for c in CHOICES}
    begun = replace(recalled, settings=recalled.settings.with_values(evening), choices=choices, seed=scene.seed)
    settings, drives = scene.settings.as_dict(), {**begun.drives, **scene.drives}
    done: list[Taken] = [SetParam(name, value) for name, value in settings.items() if value != begun.settings[name]]
    done += [SetChoice(name, word) for name, word in scene.choices.items() if word != choices[name]]
    done += [SetDrive(n, scene.drives.get(n)) for n in drives if scene.drives.get(n) != begun.drives.get(n)]
    return begun, done
