"""The operator's desk: every hand's commands, from keys, controllers and OSC, are performed here and nowhere else.

Holds what hands have made of the show: its switches, what is played, the tempo. And it sees to it that none of that
is lost. Knows no process, no window and no clock: the engine asks it every turn. Runs in main.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from livelav.beat import Beat
from livelav.control.commands import KEYS, BeatCommand, Command, Save, SceneCommand, SetChoice, SetParam, ShowState
from livelav.core.params import Settings
from livelav.core.running import Running, running_path
from livelav.core.scene import Scene, Wanted
from livelav.core.setlists import Song
from livelav.core.tempo import Tempo
from livelav.inputs import Inputs
from livelav.keeper import Keeper
from livelav.scenes import Scenes
from livelav.supervisor import Event

OURS = ("midi", "ports", "tempo")  # events of the MIDI process that are meant for the desk
_KEEP_S = 2.0


class Desk:
    """Its parts are open to whoever reports on the show."""

    def __init__(self, scene: Scene, preset: str | None, songs: Sequence[Song], inputs: Inputs, now_s: float) -> None:
        """See Scenes for `scene`, `preset` and `songs`."""
        self.inputs, self.scenes, self.state = inputs, Scenes(scene, preset, songs), ShowState()
        self.keeper = Keeper()
        self._bpm = self.settings["tempo.bpm"]  # of the parameter, as it was seen last
        self.beat = Beat(self._bpm, now_s)
        self._kept, self._kept_s = b"", now_s  # what is on disk of where the show stands, and since when

    @property
    def settings(self) -> Settings:
        """Every parameter's value now."""
        return self.scenes.settings

    @property
    def wanted(self) -> Wanted:
        """For the synth."""
        return self.scenes.wanted

    def press(self, keys: Iterable[str], now_s: float) -> None:
        """Keys, by the names of the key table; others do nothing."""
        for key in keys:
            if key in KEYS and self.state.takes(KEYS[key].command):
                self.apply(KEYS[key].command, now_s)

    def take(self, events: Sequence[Event], now_s: float) -> None:
        """What controllers and OSC sent since the last turn, and what goes on by itself; OSC is told of it."""
        for event in events:
            if event["kind"] == "tempo":
                self.beat.on_clock(event["port"], Tempo(event["bpm"], event["origin_s"]), now_s)
        for command in self.inputs.take(events, self.settings, now_s):
            self.apply(command, now_s)
        self._keep_tempo(now_s)
        self.scenes.step(now_s, self.beat.tempo)
        self.inputs.tell(self.settings, now_s)

    def apply(self, command: Command, now_s: float) -> None:
        """Performs one command, whoever sent it. Raises ParamError for a value out of range."""
        if isinstance(command, SetParam):
            self.scenes.set({command.name: command.value})
        elif isinstance(command, SetChoice):
            self.scenes.choose(command.name, command.value)
        elif isinstance(command, SceneCommand):
            self.scenes.perform(command, now_s, self.beat.tempo)
        elif isinstance(command, BeatCommand):
            self.beat.perform(command, now_s)
        elif isinstance(command, Save):
            path, text = self.scenes.to_save(command.new)
            self.keeper.save(path, text.encode(errors="replace"))
        else:
            self.state = self.state.apply(command, now_s)

    def refuse_fullscreen(self) -> None:
        """The window could not do what the switch says."""
        self.state = replace(self.state, fullscreen=not self.state.fullscreen)

    def news(self) -> list[str]:
        """What the operator should be told, once."""
        news = [*self.inputs.troubles, *self.scenes.troubles]
        self.inputs.troubles.clear()
        self.scenes.troubles.clear()
        while self.keeper.told:  # which another thread adds to
            news.append(self.keeper.told.popleft())
        return news

    def keep(self, now_s: float, ended: bool = False) -> None:
        """Notes where the show stands, every few seconds; at the end that it `ended` as it should."""
        if not ended and now_s - self._kept_s < _KEEP_S:
            return
        self._kept_s = now_s
        content = Running(self.scenes.scene, self.scenes.preset, ended).as_json()
        if content != self._kept:
            self._kept = content
            self.keeper.note(running_path(), content)

    def _keep_tempo(self, now_s: float) -> None:
        """The parameter follows the beat, and the beat whatever sets the parameter."""
        asked = self.settings["tempo.bpm"]
        if asked != self._bpm:
            self.beat.set_bpm(asked, now_s)
        if self.beat.tempo.bpm != asked:
            self.scenes.set({"tempo.bpm": self.beat.tempo.bpm})
        self._bpm = self.beat.tempo.bpm
