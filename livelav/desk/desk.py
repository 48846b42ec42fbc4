"""The operator's desk: every hand's commands, from keys, controllers and OSC, are performed here and nowhere else.

Holds what hands have made of the show: its switches, what is played, the tempo. And it sees to it that none of that
is lost. Knows no process, no window and no clock: the engine asks it every turn. Runs in main.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, cast

from livelav.control.banks import bindings_of
from livelav.control.bindings import Takeover
from livelav.control.commands import (
    BeatCommand,
    Begin,
    Command,
    Keep,
    Learn,
    Panic,
    PickCommand,
    Play,
    Put,
    Save,
    SceneCommand,
    SetChoice,
    SetDrive,
    SetParam,
    StepCue,
    StepModel,
    Toggle,
)
from livelav.control.keys import KEYS
from livelav.control.lights import Shown
from livelav.control.messages import Told
from livelav.control.osc import Argument
from livelav.control.switches import ShowState
from livelav.core.drive import Pulse, driven
from livelav.core.errors import MidiError
from livelav.core.params import BY_NAME, Settings
from livelav.core.presets import Binds
from livelav.core.running import Running, running_path
from livelav.core.scene import Scene, Wanted
from livelav.core.setlists import Song
from livelav.core.tempo import Tempo
from livelav.core.values import Event
from livelav.desk.beat import Beat
from livelav.desk.inputs import Inputs
from livelav.desk.keeper import Keeper
from livelav.desk.scenes import Scenes
from livelav.desk.teaching import Teaching
from livelav.mapping.modulation import loudness
from livelav.takes.tape import Tape

OURS = ("midi", "ports", "tempo", "session")  # events of the MIDI and Link processes that are meant for the desk
_CUE = BY_NAME["preset.cue"]
_KEEP_S = 2.0
_ON = 0.5  # a switch among the parameters
_SEEN = ("blackout", "fade", "freeze", "pattern")  # switches that the audience sees the sides of


class Desk:
    """Its parts are open to whoever reports on the show."""

    def __init__(
        self,
        scene: Scene,
        preset: str | None,
        songs: Sequence[Song],
        inputs: Inputs,
        now_s: float,
        stood: Running | None = None,
        set_list: str | None = None,
    ) -> None:
        """See Scenes for `scene`, `preset`, `songs` and `stood`; `set_list` is where the songs are from."""
        self.keeper = Keeper()
        self.scenes = Scenes(scene, preset, songs, stood=stood, unwritten=self.keeper.unwritten)
        self.inputs, self._set_list = inputs, set_list
        self.state = ShowState.begun(stood.dark if stood else "")
        self.tape: Tape | None = None  # what notes all that is done here, where there is one
        inputs.hands.begin(scene.settings, cast(Takeover, scene.choices["midi.takeover"]))  # the table has those words
        self.teaching = Teaching(inputs, self.keeper)
        self._bpm, self._hearing = self.settings["tempo.bpm"], self.settings["tempo.hearing"]  # as they were seen last
        self.beat = Beat(self._bpm, now_s, self._hearing >= _ON)
        self._binds: Binds = ()
        self.played = self.settings  # with what drives add to it
        self._pulse, self._pulse_s = Pulse(), now_s
        self._kept, self._kept_s = b"", now_s  # what is on disk of where the show stands, and since when

    @property
    def settings(self) -> Settings:
        """Every parameter's value now, as hands and fades have it."""
        return self.scenes.settings

    @property
    def wanted(self) -> Wanted:
        """For the synth."""
        return replace(self.scenes.wanted, settings=self.played)

    def press(self, keys: Iterable[str], now_s: float) -> None:
        """Keys, by the names of the key table; others do nothing."""
        for key in keys:
            if key in KEYS:
                self.ask(KEYS[key].command, now_s)

    def ask(self, command: Command, now_s: float) -> None:
        """What a hand asks for that looks at one of our windows; while they are locked, nothing comes of it."""
        if not self.state.takes(command):
            return
        if isinstance(command, PickCommand) and not (self.state.hud or self.state.operator):
            if command != Learn():  # nobody sees what is picked
                return
            self.apply(Toggle("hud"), now_s)
        if isinstance(command, Panic):
            self._let_go(now_s)
        self.apply(command, now_s)

    def take(
        self, events: Sequence[Event], now_s: float, rms: float = 0.0, onset: float = 0.0, ahead_s: float = 0.0
    ) -> None:
        """What controllers and OSC sent since the last turn, and what goes on by itself; OSC is told of it.

        `rms` and `onset` are of the sound heard now. What is due within `ahead_s` belongs to the next picture.
        """
        for event in events:
            if event["kind"] == "tempo":
                self.beat.on_clock(event["port"], Tempo(event["bpm"], event["origin_s"]), now_s, event.get("starts", 0))
            elif event["kind"] == "session":
                self.beat.on_session(Tempo(event["bpm"], event["origin_s"]), now_s)
        if self.teaching.waits:  # then what hands move is meant for that alone, and nobody would hear them let go
            self._let_go(now_s)
            for event in events:
                if event["kind"] == "midi":
                    self.teaching.hear(self.inputs.moves(event["messages"], now_s), now_s)
            events = [event for event in events if event["kind"] != "midi"]
            self.teaching.step(now_s)
        commands = self.inputs.take(events, self.settings, now_s, goals=self.scenes.scene.settings)
        self.scenes.held = self.inputs.hands.held()
        for kind, some in itertools.groupby(commands, key=type):
            if kind is SetParam:
                self._set([one for one in some if isinstance(one, SetParam)], now_s)
            else:
                for command in some:
                    self.apply(command, now_s)
        self._keep_tempo(now_s)
        begun = self.scenes.step(now_s, self.beat.tempo, ahead_s)
        self._note(Begin() if begun else None, now_s)
        self._carry()
        self.inputs.tell(self.settings, self._shows(now_s), now_s)
        self._drive(now_s, rms, onset)

    def told(self, now_s: float) -> list[Told]:
        """What controllers are to be sent now, so that their lights, rings and motors show what is."""
        beats = self.beat.tempo.beats(now_s)
        numbers = self.scenes.number, self.scenes.cued_number
        return self.inputs.feedback.step(Shown(self.settings, self.state, *numbers, int(beats * 4 // 1 % 4)), now_s)

    def hear(self, tempo: Tempo, confidence: float, now_s: float) -> None:
        """What the sound's beat is heard to be now."""
        self.beat.on_sound(tempo, confidence, now_s)

    def apply(self, command: Command, now_s: float) -> None:
        """Performs one command, whoever sent it. Raises ParamError for a value out of range."""
        if isinstance(command, Put):
            before = self.state
            for toggle in before.presses(command):
                self.apply(toggle, now_s)
            self.state = self.state.noted(command, before)
            return
        if isinstance(command, SetParam):
            self._set([command], now_s)
            return
        if isinstance(command, Panic):
            self.teaching.give_up()
            self.inputs.feedback.tell_anew()
        self._note(None, now_s)  # the tempo that it is performed by
        came_to = self._perform(command, now_s)
        self._note(came_to, now_s)
        if isinstance(came_to, Play) and not self.scenes.cued(now_s):
            self._note(Begin(), now_s)

    def _shows(self, now_s: float) -> dict[str, Argument]:
        """What OSC is told besides parameters."""
        cued, following = self.scenes.cued(now_s), self.scenes.next_song
        return {
            "preset": self.scenes.preset or "",
            "cue": cued[0] if cued else "",
            "next": following.preset if following else "",
            **{name: float(getattr(self.state, name)) for name in ("blackout", "fade", "freeze", "pattern", "lock")},
            "beat": self.beat.tempo.beats(now_s) // 1 % 4 + 1,
        }

    def _let_go(self, now_s: float) -> None:
        """Nothing is held any more."""
        for command in self.inputs.hands.let_go(self.settings):
            self.apply(command, now_s)

    def _set(self, commands: Sequence[SetParam], now_s: float) -> None:
        """Performs all of them as one change: a storm of messages is to cost the picture little."""
        commands = [one for one in commands if self._holds(one)]
        if not commands:
            return
        self._note(None, now_s)
        self.scenes.set({one.name: one.value for one in commands})
        for one in commands:
            self._note(one, now_s)

    def _holds(self, command: SetParam) -> bool:
        """Whether what it is only meant for still is so."""
        return command.only_from in (None, self.scenes.scene.settings[command.name])

    def _perform(self, command: Command, now_s: float) -> Command | None:
        """Returns what it came to for the show: a command that does the same again; the tempo speaks for itself."""
        if isinstance(command, SetDrive):
            self.scenes.drive(command.name, command.drive)
        elif isinstance(command, SetChoice) and command.name == "model":
            return self.scenes.take_model(command.value, now_s, self.beat.tempo)
        elif isinstance(command, SetChoice):
            return command if self.scenes.choose(command.name, command.value, self.beat.tempo) else None
        elif isinstance(command, StepModel):
            return self.scenes.step_model(command.steps, now_s, self.beat.tempo)
        elif isinstance(command, StepCue):
            at = _CUE.steps.index(self.settings[_CUE.name])
            self._set([SetParam(_CUE.name, _CUE.steps[(at + 1) % len(_CUE.steps)])], now_s)
            return None
        elif isinstance(command, SceneCommand):
            return self.scenes.perform(command, now_s, self.beat.tempo)
        elif isinstance(command, BeatCommand):
            self.beat.perform(command, now_s)
            return None
        elif isinstance(command, Save):
            is_there = command.number is None or self.scenes.take_number(command.number)
            path, text = self.scenes.to_save(command.new or not is_there)
            self.keeper.save(path, text.encode(errors="replace"))
            return Keep()
        elif isinstance(command, PickCommand):
            if turned := self.teaching.perform(command, self.settings, self.scenes.scene, now_s):
                self.apply(turned, now_s)
            return None
        else:
            assert not isinstance(command, Put | SetParam), "they are seen to elsewhere"
            self.state = self.state.apply(command, now_s, self.settings["show.fade"])
            return command if isinstance(command, Toggle) and command.switch in _SEEN else None
        return command

    def _note(self, command: Command | None, now_s: float) -> None:
        """For the tape: the tempo, where it has changed, and what was done."""
        if self.tape:
            self.tape.note_tempo(self.beat.tempo, self.beat.hears, now_s)
            if command:
                self.tape.note(command, now_s)

    def refuse(self, switch: Literal["fullscreen", "operator"]) -> None:
        """A window could not do what the switch says, or did otherwise."""
        self.state = replace(self.state, **{switch: not getattr(self.state, switch)})  # type: ignore[arg-type]

    def news(self) -> list[str]:
        """What the operator should be told, once."""
        news = [*self.inputs.troubles, *self.scenes.troubles, *self.teaching.news, *self.beat.news]
        for told in (self.inputs.troubles, self.scenes.troubles, self.teaching.news, self.beat.news):
            told.clear()
        while self.keeper.told:  # which another thread adds to
            news.append(self.keeper.told.popleft())
        return news

    def keep(self, now_s: float, ended: bool = False) -> None:
        """Notes where the show stands, every few seconds; at the end that it `ended` as it should."""
        if not ended and now_s - self._kept_s < _KEEP_S:
            return
        self._kept_s = now_s
        stands = replace(self.scenes.stands(), ended=ended, set_list=self._set_list, dark=self.state.dark)
        content = stands.as_json()
        if content != self._kept:
            self._kept = content
            self.keeper.note(running_path(), content)

    def _carry(self) -> None:
        """A scene's own bindings hold while it is played."""
        if (binds := self.scenes.scene.binds) != self._binds:
            self._binds = binds
            try:
                self.inputs.carry(bindings_of(binds))
            except MidiError as error:
                self.inputs.carry(())
                self.inputs.troubles.append(f"the preset's {error}; playing without its bindings")

    def _drive(self, now_s: float, rms: float, onset: float) -> None:
        """Beat and sound move what they are to move."""
        beats = self.beat.tempo.beats(now_s + self.settings["tempo.offset"] / 1000.0)
        self._pulse = self._pulse.after(now_s - self._pulse_s, beats, loudness(rms), onset)
        self._pulse_s = now_s
        self.played = driven(self.settings, self.scenes.drives(now_s), self._pulse)

    def _keep_tempo(self, now_s: float) -> None:
        """The parameters follow the beat, and the beat whatever sets the parameters."""
        beat, bpm, hearing = self.beat, self.settings["tempo.bpm"], self.settings["tempo.hearing"]
        if hearing != self._hearing:
            beat.set_hearing(hearing >= _ON)
        if bpm != self._bpm:
            beat.set_bpm(bpm, now_s)
        if beat.tempo.bpm != bpm:
            self.scenes.set({"tempo.bpm": beat.tempo.bpm})
        if beat.hears != (hearing >= _ON):
            self.scenes.set({"tempo.hearing": float(beat.hears)})
        self._bpm, self._hearing = beat.tempo.bpm, self.settings["tempo.hearing"]
