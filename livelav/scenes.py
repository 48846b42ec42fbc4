"""Presets on stage: what is played now, recalled by hand, faded to, undone. The one place that settings change in.

Holds the evening's order of presets. A preset's file is read when it is recalled, so that what was edited meanwhile
counts; only names of the list are taken, from whoever sends them. Knows no device: the time is passed in. Runs in main.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from livelav.control.commands import Panic, Recall, RecallNumber, SceneCommand, StepPreset, Undo
from livelav.core.errors import PresetError
from livelav.core.presets import load_preset
from livelav.core.scene import Fade, Scene, Wanted
from livelav.core.setlists import Song

_UNDONE = 50  # recalls that can be undone


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the show stands: its scene, the preset that it came from, and that one's number in the list."""

    scene: Scene
    preset: str | None
    number: int | None


class Scenes:
    """Asked once a turn; `settings` are those of this moment."""

    def __init__(self, scene: Scene, preset: str | None, songs: Sequence[Song]) -> None:
        """`scene`, and the name of the `preset` that it comes from; `songs` are all that can be recalled."""
        self.songs = tuple(songs)
        number = next((i for i, song in enumerate(self.songs) if song.preset == preset), None)
        self._place = self._recalled = _Place(scene, preset, number)  # now, and as it was when it was recalled
        self._before: list[_Place] = []
        self._fade: Fade | None = None
        self._fade_s = 0.0
        self.settings = scene.settings
        self.troubles: list[str] = []  # that nobody was told of so far

    # -- what is, and what comes

    @property
    def scene(self) -> Scene:
        """What is played, or faded to."""
        return self._place.scene

    @property
    def preset(self) -> str | None:
        """The preset that was recalled last."""
        return self._place.preset

    @property
    def song(self) -> Song | None:
        """The list's entry that is played."""
        return None if self._place.number is None else self.songs[self._place.number]

    @property
    def next_song(self) -> Song | None:
        """What `next` recalls."""
        return self.songs[self._stepped(1)] if self.songs else None

    @property
    def wanted(self) -> Wanted:
        """For the synth."""
        return Wanted(self.settings, self.scene.key, self.scene.choices["generate.between"], self._fade_s)

    def fade_left_s(self, now_s: float) -> float:
        """Seconds until the last recall is wholly there."""
        return self._fade.left_s(now_s) if self._fade else 0.0

    # -- what hands do

    def set(self, values: Mapping[str, float]) -> None:
        """A hand moved these: no fade pulls at them any more. Raises ParamError, and then nothing is changed."""
        self.settings = self.settings.with_values(values)
        scene = self.scene
        self._place = replace(self._place, scene=replace(scene, settings=scene.settings.with_values(values)))
        if self._fade:
            self._fade = self._fade.holding(values)

    def perform(self, command: SceneCommand, now_s: float) -> None:
        """Recalls, steps, undoes, panics."""
        match command:
            case Recall(name):
                self._recall(next((i for i, song in enumerate(self.songs) if song.preset == name), None), name, now_s)
            case RecallNumber(number):
                known = 1 <= number <= len(self.songs)
                self._recall(number - 1 if known else None, f"number {number}", now_s)
            case StepPreset(steps):
                if self.songs:
                    self._recall(self._stepped(steps), "", now_s)
            case Undo():
                if self._before:
                    self._go(self._before.pop(), now_s, self._morph_s)
            case Panic():
                self._go(self._recalled, now_s, 0.0)

    def step(self, now_s: float) -> None:
        """Moves the fade on."""
        if self._fade:
            self.settings = self._fade.at(now_s)
            if not self._fade.left_s(now_s):
                self._fade = None

    @property
    def _morph_s(self) -> float:
        return self.settings["preset.morph"]

    def _stepped(self, steps: int) -> int:
        """The number that is so many entries on; before the first one was recalled, the list's first or last."""
        now = self._place.number
        if now is None:
            now = -1 if steps > 0 else 0
        return (now + steps) % len(self.songs)

    def _recall(self, number: int | None, name: str, now_s: float) -> None:
        if number is None:
            self.troubles.append(f"no preset {name!r} in this set of {len(self.songs)}")
            return
        song = self.songs[number]
        try:
            preset = load_preset(song.preset)
        except PresetError as error:
            self.troubles.append(f"{error}; staying with what is played")
            return
        if kept := self.scene.not_taken(preset):
            words = ", ".join(f"{name} {preset.choices[name]}" for name in kept)
            self.troubles.append(f"preset {song.preset} wants {words}: start with it to have that")
        self._before = [*self._before, self._place][-_UNDONE:]
        self._go(_Place(self.scene.after(preset), song.preset, number), now_s, self._morph_s)

    def _go(self, place: _Place, now_s: float, seconds: float) -> None:
        self._place = self._recalled = place
        self._fade = Fade(self.settings, place.scene.settings, now_s, seconds)
        self._fade_s = seconds
        self.step(now_s)
