"""Presets on stage: what is played now, recalled by hand, faded to, undone. The one place that settings change in.

Holds the evening's order of presets. A preset's file is read when it is recalled, so that what was edited meanwhile
counts; only names of the list are taken, from whoever sends them, and of models only names of the library. Says which
model is to be seen; how it gets there is no concern of this module. Knows no device: the time is passed in. Runs in
main.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from livelav.control.commands import (
    Begin,
    Keep,
    Panic,
    Play,
    PlayModel,
    Recall,
    RecallNumber,
    SceneCommand,
    Settled,
    StepPreset,
    Swap,
    Undo,
    Vary,
    VaryTo,
)
from livelav.core.drive import Drive, Driven
from livelav.core.errors import ParamError, PresetError, nearest
from livelav.core.params import CHOICE_BY_NAME, PARAMS
from livelav.core.preset_text import preset_text
from livelav.core.presets import is_of_newer, is_preset_name, preset_source, recall_preset
from livelav.core.running import Running
from livelav.core.scene import Drawn, Fade, Scene, Wanted
from livelav.core.setlists import Song
from livelav.core.store import config_dir
from livelav.core.tempo import Tempo
from livelav.desk.models import Models
from livelav.desk.songs import Songs

_UNDONE = 50  # changes of scene that can be undone
_UNSEEN = 0.01  # weight of a drive that has all but faded
_ON_THE_BEAT = 0.1  # beats: so near to a cue a change of tempo does not move it any more


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the show stands: its scene, the preset that it came from, and that one's number in the list."""

    scene: Scene
    preset: str | None
    number: int | None
    named: frozenset[str] = frozenset()  # what the preset names, also of what belongs to the evening

    def with_drawn(self, model: str, noise: str) -> "_Place":
        """The same with another generator, or other noise maps."""
        choices = {**self.scene.choices, "model": model, "generate.noise": noise}
        return replace(self, scene=replace(self.scene, choices=choices))


@dataclass(frozen=True, slots=True)
class _Cue:
    """What is gone to and when; and what that was reckoned by, which only the tempo changes."""

    place: _Place
    due_s: float
    every: int  # beats
    morph: "_Morph"
    tempo: Tempo


@dataclass(frozen=True, slots=True)
class _Morph:
    """How long a fade takes: beats, where there are any, else seconds."""

    beats: float
    seconds: float

    def seconds_at(self, tempo: Tempo) -> float:
        return self.beats * tempo.period_s or self.seconds


_Stand = tuple[_Place, _Place]  # what is played, and what panic comes back to
_Left = tuple[_Stand, _Stand | None]  # what was left, and what it was left for by A/B, which is then the other side


class Scenes:
    """Asked once a turn; `settings` are those of this moment."""

    def __init__(
        self,
        scene: Scene,
        preset: str | None,
        songs: Sequence[Song],
        chance: Random | None = None,
        stood: Running | None = None,
        unwritten: Callable[[Path], bytes | None] = lambda _path: None,
    ) -> None:
        """`scene`, and the name of the `preset` that it comes from; `songs` are all that can be recalled.

        `chance` is what variations are drawn from; None: others in every show. `stood`: where the show stood that this
        one goes on from. `unwritten`: what was saved to a file and is not on disk yet.
        """
        self._songs, self._models = Songs(songs, stood.added if stood else ()), Models()
        number = self._songs.number_of(preset, stood.number if stood else None)
        self._place = self._recalled = _Place(scene, preset, number, frozenset(stood.named if stood else ()))
        if stood and (recalled := stood.recalled):  # as the preset was then, which its file may not be any more
            self._recalled = replace(self._place, scene=recalled)
            if recalled.drawn.model not in self._models.names:  # no file is opened because a file says so
                self._recalled = self._recalled.with_drawn(scene.drawn.model, recalled.drawn.noise)
        self._before: list[_Left] = []
        self._other: _Stand | None = None  # B, while A is played
        self._chance = chance or Random()
        self._cued: _Cue | None = None
        self._fade: Fade | None = None
        self._fade_s = 0.0
        self._left: tuple[Driven, ...] = ()  # drives of what is faded from
        self.settings = scene.settings
        # what hands hold only for a moment: to which value, and what it goes back to
        self.held: Mapping[str, tuple[float, float]] = {}
        self._unwritten = unwritten
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
    def recalled(self) -> Scene:
        """What panic comes back to."""
        return self._recalled.scene

    def stands(self) -> Running:
        """Where the show stands, for another one to go on from; what the scene does not say is the caller's to add."""
        place = self._unheld(self._place)
        return Running(
            place.scene,
            place.preset,
            recalled=self._recalled.scene,
            named=tuple(sorted(place.named)),
            number=place.number,
            added=self._songs.added,
        )

    @property
    def songs(self) -> tuple[Song, ...]:
        """All that can be recalled, in order."""
        return self._songs.all

    @property
    def models(self) -> tuple[str, ...]:
        """All generators that can be gone to."""
        return self._models.names

    @property
    def song(self) -> Song | None:
        """The list's entry that is played."""
        return None if self._place.number is None else self.songs[self._place.number]

    @property
    def number(self) -> int | None:
        """The played preset's number in the list, counted from 1."""
        return None if self._place.number is None else self._place.number + 1

    @property
    def cued_number(self) -> int | None:
        """The same of the preset that waits for its beat."""
        number = self._cued.place.number if self._cued else None
        return None if number is None else number + 1

    @property
    def next_song(self) -> Song | None:
        """What `next` recalls."""
        return self.songs[self._stepped(1)] if self.songs else None

    def whole_set(self) -> Iterator[Scene]:
        """What is played, then every scene of the set that can be read."""
        yield self.scene
        for song in self.songs:
            with contextlib.suppress(PresetError):
                yield self.scene.after(recall_preset(song.preset)[0])

    @property
    def wanted(self) -> Wanted:
        """For the synth."""
        return Wanted(self.settings, self.scene.key, self.scene.choices["generate.between"], self._fade_s)

    @property
    def model(self) -> str:
        """The generator that is to be seen: a name, or a file where the show began with one."""
        return self.scene.choices["model"]

    @property
    def coming(self) -> Drawn:
        """What to have ready: that of the preset which waits for its beat, where it names it."""
        return self._of_tonight(self._cued.place).scene.drawn if self._cued else self.scene.drawn

    def cued(self, now_s: float) -> tuple[str, float] | None:
        """The preset that waits for its beat, and for how many seconds."""
        return (str(self._cued.place.preset), max(self._cued.due_s - now_s, 0.0)) if self._cued else None

    def fade_left_s(self, now_s: float) -> float:
        """Seconds until the last recall is wholly there."""
        return self._fade.left_s(now_s) if self._fade else 0.0

    def drives(self, now_s: float) -> tuple[Driven, ...]:
        """What drives which parameter, and how much of it counts: in a fade the old ones go and the new ones come."""
        share = self._fade.share(now_s) if self._fade else 1.0
        ours = tuple((name, drive, share) for name, drive in self.scene.drives.items())
        return ours if share == 1.0 else (*((n, drive, (1.0 - share) * w) for n, drive, w in self._left), *ours)

    @property
    def is_changed(self) -> bool:
        """Whether hands have moved something since the recall."""
        return self._place.scene.song_part != self._recalled.scene.song_part

    def to_save(self, new: bool) -> tuple[Path, str]:
        """(file, its new text) of what is played as a preset; panic comes back to that from now on."""
        path = self._path(new)
        if is_of_newer(preset_source(path)):
            self.troubles.append(f"{path.name} is of a newer livelav and stays as it is: saved as another")
            path, new = self._path(new=True), True
        name, number = self._place.preset, self._place.number
        if new or not (name and self._is_file(name)):
            name = path.stem
            added = self._songs.add(name)
            number = added if number is None else number  # else the evening goes on from where it is
        self._place = replace(self._place, preset=name, number=number)
        self._recalled = self._unheld(self._place)
        waiting = self._unwritten(path)
        before = preset_source(path) if waiting is None else waiting.decode()
        return path, preset_text(self._recalled.scene, path.stem, before)

    def take_number(self, number: int) -> bool:
        """Has what is played count as the list's entry of that number, for a save; False where there is none."""
        is_there = 1 <= number <= len(self.songs)
        if is_there:
            self._place = replace(self._place, preset=self.songs[number - 1].preset, number=number - 1)
        return is_there

    @staticmethod
    def _is_file(preset: str) -> bool:
        return preset.endswith(".toml")

    def _path(self, new: bool) -> Path:
        folder, played = config_dir() / "presets", self._place.preset or ""
        if not new and self._is_file(played):
            return Path(played)
        if not new and is_preset_name(played):
            return folder / f"{played}.toml"
        return folder / f"{self._songs.new_name(played)}.toml"

    # -- what hands do

    def set(self, values: Mapping[str, float]) -> None:
        """A hand moved these: no fade pulls at them any more. Raises ParamError, and then nothing is changed."""
        self.settings = self.settings.with_values(values)
        scene = self.scene
        self._place = replace(self._place, scene=replace(scene, settings=scene.settings.with_values(values)))
        if self._fade:
            self._fade = self._fade.holding(values)

    def drive(self, name: str, drive: Drive | None) -> None:
        """A hand changed what drives a parameter of the song."""
        others = {n: one for n, one in self.scene.drives.items() if n != name}
        drives = others | {name: drive} if drive else others
        self._place = replace(self._place, scene=replace(self.scene, drives=drives))

    def choose(self, name: str, word: str, tempo: Tempo) -> bool:
        """A hand chose that; where it cannot be, which is returned, nothing is changed but the list of troubles."""
        choice = CHOICE_BY_NAME[name]
        try:
            choices = {**self.scene.choices, name: choice.checked(word)}
        except ParamError as error:
            self.troubles.append(str(error))
            return False
        if name == "model" or not choice.scene or choices["mapping.mode"] == "track":
            self.troubles.append(f"{name} cannot become {word[:40]!r} in a running show")
            return False
        if choice.scope == "evening" and choices != self.scene.choices:  # a fade of the picture, as to another model
            self._leave()
            self._fade_s = self._morph_s(tempo)
        self._place = replace(self._place, scene=replace(self.scene, choices=choices))
        return True

    def take_model(self, name: str, now_s: float, tempo: Tempo) -> SceneCommand | None:
        """A hand chose that generator. Only a name of the library is taken: strangers' words come here, too.

        Returns what it came to.
        """
        if not self._models.knows(name, now_s):
            self.troubles.append(
                f"no model {name[:40]!r}{nearest(name[:40], self.models)}; `livelav models list` names what there is"
            )
        elif name != self.model:
            return self.perform(PlayModel(name), now_s, tempo)
        return None

    def step_model(self, steps: int, now_s: float, tempo: Tempo) -> SceneCommand | None:
        """To the generator that is so many names on. Returns what it came to."""
        return self.take_model(self._models.stepped(self.model, steps, now_s), now_s, tempo)

    def stay_with(self, instead: Drawn, refused: Drawn) -> None:
        """What was asked for cannot be had; what plays goes on, until something else is asked for."""

        def stay(place: _Place) -> _Place:
            model, noise = place.scene.drawn
            if instead.model == refused.model:  # then it is for its noise maps
                return place.with_drawn(model, instead.noise) if (model, noise) == refused else place
            return place.with_drawn(instead.model, noise) if model == refused.model else place

        self._place, self._recalled = stay(self._place), stay(self._recalled)
        if self._cued:
            self._cued = replace(self._cued, place=stay(self._cued.place))

    def perform(self, command: SceneCommand, now_s: float, tempo: Tempo) -> SceneCommand | None:
        """Recalls, steps, undoes, swaps, varies, panics. Recalls wait for the beat that preset.cue asks for.

        Returns what it came to: a command that does the same again, whatever is on the disk by then; None: nothing.
        """
        match command:
            case Recall(name):
                return self._recall(self._songs.nearest(name, self._place.number), name, now_s, tempo)
            case RecallNumber(number):
                known = 1 <= number <= len(self.songs)
                return self._recall(number - 1 if known else None, f"number {number}", now_s, tempo)
            case StepPreset(steps):
                return self._step_on(steps, now_s, tempo)
            case Vary():
                varied = self.scene.varied(self.settings["preset.vary"], self._chance).settings
                moved = {p.name: varied[p.name] for p in PARAMS if p.scope == "song"}
                return self.perform(VaryTo(moved), now_s, tempo)
            case Undo() if self._cued:  # nothing has come of it so far
                self._cued = None
            case Undo():
                if self._before:
                    stand, other = self._before.pop()
                    self._other = other or self._other
                    self._go(*stand, now_s, self._morph_s(tempo))
            case Swap():
                there, self._other = self._other, (self._unheld(self._place), self._recalled)
                if there:
                    self._leave(there)
                    self._go(*there, now_s, self._morph_s(tempo))
                else:
                    self.troubles.append("this is A now; go on from it, and swap goes between the two")
            case Panic():
                self._panic(now_s)
            case _:
                self._perform_settled(command, now_s, tempo)
        return command

    def _panic(self, now_s: float) -> None:
        self._cued = None
        if self._tonight(self._recalled) != self._place:  # what hands had made of it can be come back to
            self._leave()
        self._go(self._recalled, self._recalled, now_s, 0.0)

    def _perform_settled(self, command: Settled, now_s: float, tempo: Tempo) -> None:
        match command:
            case Play():
                self._cue(command, None, now_s, tempo)
            case Begin() if self._cued:
                self._begin(self._cued)
                self._move(now_s)
            case VaryTo(values):
                scene = replace(self.scene, settings=self.scene.settings.with_values(values))
                self._leave()
                self._go(replace(self._place, scene=scene), self._recalled, now_s, self._morph_s(tempo))
            case PlayModel(name):
                self._leave()
                self._place = self._place.with_drawn(name, self.scene.drawn.noise)
                self._fade_s = self._morph_s(tempo)
            case Keep():
                self._recalled = self._unheld(self._place)

    def step(self, now_s: float, tempo: Tempo, ahead_s: float = 0.0) -> bool:
        """Begins what was cued once its time has come, or comes within `ahead_s`, and moves the fade on.

        Returns whether something began.
        """
        if self._cued and self._cued.tempo != tempo:
            self._follow(self._cued, now_s, tempo)
        begins = self._cued is not None and now_s + ahead_s >= self._cued.due_s
        if self._cued and begins:
            self._begin(self._cued)
        self._move(now_s)
        return begins

    def _begin(self, cue: _Cue) -> None:
        self._cued = None
        self._leave()
        place = self._of_tonight(cue.place)
        self._go(place, place, cue.due_s, cue.morph.seconds_at(cue.tempo))

    def _follow(self, cue: _Cue, now_s: float, tempo: Tempo) -> None:
        """The tempo has changed while something waits for its beat."""
        is_near = cue.due_s - now_s < _ON_THE_BEAT * cue.tempo.period_s
        due_s = cue.due_s if is_near else self._next_s(now_s, tempo, cue.every)
        self._cued = replace(cue, due_s=due_s, tempo=tempo)

    def _move(self, now_s: float) -> None:
        if self._fade:
            self.settings = self._fade.at(now_s)
            if not self._fade.left_s(now_s):
                self._fade = None

    def _morph(self) -> _Morph:
        return _Morph(self.settings["preset.morph_beats"], self.settings["preset.morph"])

    def _morph_s(self, tempo: Tempo) -> float:
        return self._morph().seconds_at(tempo)

    def due_s(self, now_s: float, tempo: Tempo) -> float:
        """The next moment that preset.cue lets something begin at; now, where it asks for none."""
        return self._next_s(now_s, tempo, round(self.settings["preset.cue"]))

    def _next_s(self, now_s: float, tempo: Tempo, every: int) -> float:
        early_s = self.settings["tempo.offset"] / 1000.0
        return tempo.next_s(now_s + early_s, every) - early_s if every else now_s

    def _stepped(self, steps: int) -> int:
        """The list's entry so many further than what is played, or waits for its beat."""
        return self._songs.stepped(self._cued.place.number if self._cued else self._place.number, steps)

    def _recall(self, number: int | None, name: str, now_s: float, tempo: Tempo) -> Play | None:
        if number is None:
            self.troubles.append(f"no preset {name!r} in this set of {len(self.songs)}")
            return None
        if play := self._read(number):
            self._cue(play, number, now_s, tempo)
        return play

    def _step_on(self, steps: int, now_s: float, tempo: Tempo) -> Play | None:
        begin = self._stepped(steps) if self.songs else 0
        for passed in range(len(self.songs)):  # one that is broken or missing is passed over
            if play := self._recall((begin + passed * steps) % len(self.songs), "", now_s, tempo):
                return play
        return None

    def _read(self, number: int) -> Play | None:
        """What a preset of the list holds now; None where it cannot be gone to."""
        song = self.songs[number]
        try:
            preset, trouble = recall_preset(song.preset, self._unwritten)
            scene = self.scene.after(preset)
            if scene.key.mode == "track":
                raise PresetError(f"preset {song.preset} wants mapping.mode track, which needs a whole file at once")
        except PresetError as error:
            self.troubles.append(f"{error}; staying with what is played")
            return None
        if trouble:
            self.troubles.append(trouble)
        if kept := self.scene.not_taken(preset):
            words = ", ".join(f"{name} {preset.choices[name]}" for name in kept)
            self.troubles.append(f"preset {song.preset} wants {words}: start with it to have that")
        return Play(preset, song.preset)

    def _cue(self, play: Play, number: int | None, now_s: float, tempo: Tempo) -> None:
        """Gets a preset ready, so that nothing keeps the beat waiting."""
        named = frozenset((*play.preset.changes, *play.preset.choices))
        place = _Place(self.scene.after(play.preset), play.name, number, named)
        every = round(self.settings["preset.cue"])
        self._cued = _Cue(place, self.due_s(now_s, tempo), every, self._morph(), tempo)
        self.step(now_s, tempo)

    def _leave(self, other: _Stand | None = None) -> None:
        """What is played can be come back to; `other` is the side of A/B that it is left for."""
        self._before = [*self._before, ((self._unheld(self._place), self._recalled), other)][-_UNDONE:]

    def _go(self, place: _Place, recalled: _Place, now_s: float, seconds: float) -> None:
        """To `place`; panic comes back to `recalled`."""
        self._left = tuple(one for one in self.drives(now_s) if one[2] > _UNSEEN)
        self._place, self._recalled = self._tonight(place), self._tonight(recalled)
        goal = self._place.scene.settings
        start = self.settings.with_values({"tempo.bpm": goal["tempo.bpm"]})  # a beat on its way is none to tap to
        self._fade = Fade(start, goal, now_s, seconds)
        self._fade_s = seconds
        self._move(now_s)

    def _of_tonight(self, asked: _Place) -> _Place:
        """A preset that names no model is played with the one that plays; the same of noise maps."""
        now, then = self.scene.drawn, asked.scene.drawn
        return asked.with_drawn(
            then.model if "model" in asked.named else now.model,
            then.noise if "generate.noise" in asked.named else now.noise,
        )

    def _tonight(self, place: _Place) -> _Place:
        """A place asked for, or left, a while ago: the evening's own parameters have moved since, or are about to."""
        goal = self.scene.settings
        stay = {p.name: goal[p.name] for p in PARAMS if p.scope != "song" and p.name not in place.named}
        return replace(place, scene=replace(place.scene, settings=place.scene.settings.with_values(stay)))

    def _unheld(self, place: _Place) -> _Place:
        """Without what is held only for a moment."""
        settings = place.scene.settings
        back = {name: before for name, (value, before) in self.held.items() if settings[name] == value}
        return replace(place, scene=replace(place.scene, settings=settings.with_values(back)))
