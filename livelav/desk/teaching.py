"""The picked parameter: found with arrow keys or a mouse, turned without a controller, taught to the next one moved.

Its list is of all that a control may be bound to but presets by number. Knows no window and no device: whoever shows
the list asks, and messages are handed in. Runs in main; the time is passed in.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from livelav.control.banks import learnt_before, learnt_path, learnt_text, with_learnt, without_target
from livelav.control.bindings import NOTHING, Binding, conflicts
from livelav.control.commands import (
    NAMED_ACTIONS,
    Command,
    Forget,
    Learn,
    MoveEffect,
    Pick,
    PickCommand,
    PickNamed,
    SetChoice,
    SetDrive,
    SetParam,
    Turn,
    TurnDrive,
)
from livelav.control.learn import Learning
from livelav.control.messages import Moved
from livelav.core.chain_order import effect_of, moved_effect
from livelav.core.drive import turned
from livelav.core.errors import MidiError
from livelav.core.params import BY_NAME, Settings
from livelav.core.scene import Scene
from livelav.desk.inputs import Inputs
from livelav.desk.keeper import Keeper

ROWS = (*BY_NAME, *NAMED_ACTIONS)  # what can be picked, in this order

_TRAVEL = 1 / 64  # of a knob, by each press of an arrow
_PATIENCE_S = 30.0  # then nobody is at the controllers


class Teaching:
    """Which row is picked, and whether it waits for the control that shall move it."""

    def __init__(self, inputs: Inputs, keeper: Keeper) -> None:
        self.picked = ROWS[0]
        self.news: list[str] = []  # that nobody was told of so far
        self._inputs, self._keeper = inputs, keeper
        self._learning: Learning | None = None
        self._learnt: Sequence[Binding] = ()  # as it was changed here last

    @property
    def waits(self) -> bool:
        """Whether the control that is moved next will be bound to what is picked."""
        return self._learning is not None

    def perform(self, command: PickCommand, settings: Settings, scene: Scene, now_s: float) -> Command | None:
        """Picks, learns, forgets. Returns what a turn of the picked row is: another command."""
        match command:
            case Pick(steps):
                self._pick(ROWS[(ROWS.index(self.picked) + steps) % len(ROWS)])
            case PickNamed(name):
                self._pick(name)
            case Turn(steps) if self.picked in BY_NAME:
                param = BY_NAME[self.picked]
                return SetParam(
                    param.name, param.value(param.knob(settings[param.name]) + steps * max(_TRAVEL, param.notch))
                )
            case Turn(steps):
                return NAMED_ACTIONS[self.picked] if steps > 0 else None
            case TurnDrive(part, steps) if self.picked in BY_NAME:
                if BY_NAME[self.picked].scope == "song":
                    return SetDrive(self.picked, turned(scene.drives.get(self.picked), part, steps))
                self.news.append(f"{self.picked} belongs to the evening and not to a song: it cannot be driven")
            case MoveEffect(steps):
                return self._moved(steps, settings, scene)
            case Learn():
                self._learning = None if self._learning else Learning(self.picked, now_s)
            case Forget():
                self._forget()
        return None

    def _moved(self, steps: int, settings: Settings, scene: Scene) -> Command | None:
        """The effect of the picked row goes to another place."""
        if (effect := effect_of(self.picked)) is None:
            self.news.append(f"{self.picked} belongs to no effect: pick one that does, like echo.zoom, to move it")
            return None
        order, acting = moved_effect(effect, scene.choices["chain.order"], settings, steps)
        self.news.append(f"effects act in this order: {', '.join(acting)}")
        return SetChoice("chain.order", order)

    def hear(self, moves: Iterable[tuple[str, Moved]], now_s: float) -> None:
        """What hands move on which port while it waits."""
        for port, moved in moves:
            if self._learning:
                self._learning.hear(port, moved, now_s)

    def step(self, now_s: float) -> None:
        """Takes the binding up once it is clear which control was meant; gives up where nobody moves one."""
        if self._learning is None:
            return
        if binding := self._learning.result(now_s):
            self._learning = None
            self._take(binding)
        elif not self._learning.heard and now_s - self._learning.began_s > _PATIENCE_S:
            self._learning = None
            self.news.append(f"no control was moved for {_PATIENCE_S:g} s: {self.picked} has learnt nothing")

    def give_up(self) -> None:
        """Waits for no control any more."""
        self._learning = None

    def _pick(self, name: str) -> None:
        self.picked, self._learning = name, None

    def _take(self, binding: Binding) -> None:
        before = {one.target for one in self._inputs.hands.bound(binding.port, binding.control)}
        before -= {binding.target, NOTHING}
        if self._change(lambda known: with_learnt(known, binding)) is None:
            return
        binding = self._learnt[-1]
        pairs = [pair for pair in conflicts(self._learnt) if binding in pair]
        still = {one.target for pair in pairs for one in pair} - {binding.target}
        text = f"{binding.control} of {binding.port} ({binding.mode}) moves {binding.target}"
        text += f" and, as before, {', '.join(sorted(still))}" if still else ""
        text += f", no longer {', '.join(sorted(before - still))}" if before - still else ""
        self.news.append(text)

    def _forget(self) -> None:
        """What was learnt for the picked row; and what a bank or the table binds to it moves nothing from now on."""
        gone = self._change(lambda before: without_target(before, self.picked))
        if gone:
            self.news.append(f"{self.picked}: forgot {', '.join(str(one.control) for one in gone)}")
        if gone != []:
            return
        if not (movers := self._movers()):
            self.news.append(f"{self.picked}: no control that is here moves it")
            return
        for port, binding in movers:
            self._change(partial(with_learnt, binding=replace(binding, target=NOTHING, port=port)))
        still = self._movers()
        if let_go := [f"{binding.control} of {port}" for port, binding in movers if (port, binding) not in still]:
            self.news.append(f"{self.picked}: {', '.join(let_go)} moves nothing now; learn it to have it back")
        if still:
            self.news.append(f"{self.picked}: the preset that is played binds {still[0][1].control} to it")

    def _movers(self) -> list[tuple[str, Binding]]:
        return self._inputs.hands.movers(self.picked, self._inputs.ports)

    def _before(self) -> Sequence[Binding]:
        """What was learnt so far, by another show or a terminal, too. Raises MidiError where no file can be read."""
        if self._keeper.is_behind(learnt_path()):
            return self._learnt
        before, trouble = learnt_before()
        if trouble:
            self.news.append(trouble)
        return before

    def _change(
        self, change: Callable[[Sequence[Binding]], tuple[list[Binding], list[Binding]]]
    ) -> list[Binding] | None:
        """What is learnt from now on, heard at once and kept on disk; returns what went. None: the file is broken."""
        try:
            before = self._before()
        except MidiError as error:
            self.news.append(f"{error}; nothing was learnt")
            return None
        learnt, gone = change(before)
        self._learnt = learnt
        self._inputs.learn(learnt)
        if learnt == list(before):
            return gone
        self._keeper.save(learnt_path(), learnt_text(learnt))
        return gone
