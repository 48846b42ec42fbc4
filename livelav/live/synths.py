"""The synths of a show: which one plays, which one comes, and the way from the one to the other.

A generator is changed by a second synth process, which loads, compiles, hears what was played and draws beside the one
that plays; then the picture crossfades and the first one goes. Whatever is wrong with the new model ends the new
process and nothing else.

So is its engine, where the best one has to be built first: the model plays at once on the next best, and a second
process builds that engine, for as long as it takes and nothing else is asked for.

There are two seats, see crossfade.py, with shared memory that is made once: who sits down there goes on counting where
the last one stopped, and no change can leak any. Makes no process: the engine hands in how a child is made. Runs in
main; the time is passed in, and nothing here waits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from livelav.control.commands import FadeTo
from livelav.core.crossfade import Crossfade, balance
from livelav.core.scene import Drawn
from livelav.core.shm import Board
from livelav.core.values import Event
from livelav.live.supervisor import AGAIN, STARTING_S, Child
from livelav.live.synth import SynthConfig, SynthShared

_STUCK_S = 10.0  # one that was killed is gone before that
_APART_S = 0.5  # from one start to the next at least: nobody is to make us start processes all the time
_JOINING_S = 300.0  # for so long one that comes may load: nobody waits for it
_PATIENCE_S = 4.0  # for so long one that comes may stand back while it loads
_HASTY_S = 1.0  # what is left of a crossfade takes that long at most once a third model is asked for
_LONGEST_STEP_S = 0.25  # after a stall the crossfade goes on from where it was
_UNSEEN_S = 0.1  # between two images of one that is not seen yet
_BUSY = 0.6  # of a picture's time: if two ticks take longer, either draws every other time while both are seen
_HUNG_S, _TICKS_HUNG = 2.5, 8  # a large model on a small processor may take its time

MakeChild = Callable[[SynthConfig, SynthShared], Child]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of the synths now."""

    drawn: Drawn  # that is to be seen
    loads: Drawn  # that is to be ready: that of a preset that waits for its beat, else the same
    seconds: float  # that a crossfade takes
    due_s: float  # when something that is asked for now may begin
    shown_s: float  # when the next picture is shown


@dataclass(slots=True)
class _Player:
    drawn: Drawn  # by the words that it was asked for with
    child: Child
    seat: SynthShared
    engine: str = ""  # what it builds for the model that plays already, if that is what it comes for
    loaded: Event = field(default_factory=dict)
    words: list[str] = field(default_factory=list)  # warnings while nobody saw it
    progress: str = ""  # how far it is, in words, where that takes long
    goes_s: float | None = None  # when it may be seen, once it is ready
    hurried_s: float = float("-inf")  # when it was called forward last

    @property
    def is_ready(self) -> bool:
        return bool(self.loaded) and self.seat.board["live"] > 0


class Synths:
    """Asked once a turn. Its events are those of a child, and besides `refused`: what could not be `drawn`."""

    def __init__(self, seats: Sequence[SynthShared], make: MakeChild, config: SynthConfig) -> None:
        """`make` gives a child that runs `run_synth`; `config` is of the one that begins."""
        self._seats, self._make = tuple(seats), make
        self._config = replace(config, trace=None, joins=True)  # of those that come
        self._players: list[_Player | None] = [_Player(_drawn(config), make(config, seats[0]), seats[0]), None]
        self._leaving: list[Child] = []
        self._left_s = 0.0  # when the last one was let go
        self._is_stuck = False  # and whether somebody was told that it does not end
        self._left_restarts = 0
        self._crossfade = Crossfade()  # its seat is that of the one that plays, or that is faded from
        self._is_fading = False
        self._stepped_s = 0.0
        self._started_s = float("-inf")
        self._in_vain: set[Drawn] = set()  # whose engine could not be built

    # -- what is

    @property
    def _here(self) -> _Player:
        player = self._players[self.at]
        assert player is not None, "one of them always plays"
        return player

    @property
    def _there(self) -> _Player | None:
        return self._players[1 - self.at]

    @property
    def child(self) -> Child:
        """The one that plays, or that is faded from."""
        return self._here.child

    @property
    def others(self) -> list[Child]:
        """All besides that are still there."""
        return [*([self._there.child] if self._there else []), *self._leaving]

    @property
    def board(self) -> Board:
        """Figures of the one that plays."""
        return self._here.seat.board

    def stand_in(self, config: SynthConfig) -> None:
        """From its next start on the one that plays is this one: what it was keeps dying. No engine is built for what
        was left, and none that is there already takes over from what is safe."""
        here, there = self._here, self._there
        here.drawn, here.child.args = _drawn(config), (config, here.seat)
        here.loaded = {fact: word for fact, word in here.loaded.items() if fact != "unbuilt"}
        here.child.forgive()
        here.seat.turn["apart_s"] = 0.0
        self._config = replace(self._config, backend=config.backend)  # of models that come, too
        if there and there.engine:
            self._is_fading, self._crossfade = False, Crossfade(self.at)
            self._let_go(1 - self.at)

    @property
    def at(self) -> int:
        """Its seat."""
        return self._crossfade.seat

    @property
    def model(self) -> str:
        """Its model, by the word that it was asked for with."""
        return self._here.drawn.model

    @property
    def drawn(self) -> Drawn:
        """What it draws."""
        return self._here.drawn

    @property
    def coming(self) -> tuple[str, Literal["loads", "waits", "fades"]] | None:
        """(model, what it does) of the one that comes; where only its noise maps or its engine are others, those."""
        if there := self._there:
            model, noise = there.drawn
            what = f"noise {noise}" if model == self.model else model
            return there.engine or what, "fades" if self._is_fading else "waits" if there.is_ready else "loads"
        return None

    @property
    def progress(self) -> str:
        """How far the one is that loads, where that takes long."""
        return self._there.progress if self._there and not self._there.is_ready else ""

    @property
    def shows(self) -> FadeTo | None:
        """Where the picture is, or goes; None before there is one."""
        there = self._there
        goal = there if self._is_fading and self._crossfade.onwards else self._here
        if goal is None or not (loaded := goal.loaded):
            return None
        is_other = self._is_fading and there and not there.engine
        return FadeTo(loaded["model"], goal.drawn.noise, loaded["sha256"], self._crossfade.seconds if is_other else 0.0)

    @property
    def balance(self) -> float:
        """Of the picture between the seats' images, see crossfade.py."""
        return balance(self.at, self._crossfade.share)

    @property
    def restarts(self) -> int:
        """How often one of them was started again."""
        return self._left_restarts + sum(player.child.restarts for player in self._players if player)

    def count(self, figure: str) -> float:
        """A figure of the boards that is counted up, over the whole show."""
        return sum(seat.board[figure] for seat in self._seats)

    # -- what happens

    def poll(self, now_s: float) -> list[Event]:
        """What the one that plays said, and what became of the one that comes."""
        for child in self._leaving:
            child.poll(now_s)
        self._leaving = [child for child in self._leaving if not child.is_gone]
        stuck = self._stuck(now_s)
        for player in filter(None, self._players):
            tick_s = player.seat.board["tick_s"]
            player.child.hung_after_s = max(_HUNG_S, _TICKS_HUNG * tick_s)
        events = [*stuck, *self._heard(self._here, now_s)]
        if there := self._there:
            events += self._heard_fading(there, now_s) if self._is_fading else self._heard_coming(there, now_s)
        return events

    def step(self, asked: Asked, now_s: float, is_frozen: bool = False) -> list[Event]:
        """One turn: what is asked for is loaded, faded to, let go. While the show `is_frozen` no fade goes on."""
        dt_s = min(max(now_s - self._stepped_s, 0.0), _LONGEST_STEP_S)
        self._stepped_s = now_s
        here, there = self._here, self._there
        if there is None:
            is_free = here.child.was_live and not self._leaving
            if is_free and now_s - self._started_s >= _APART_S:
                if asked.loads != here.drawn:
                    self._start(asked.loads, now_s)
                elif (engine := here.loaded.get("unbuilt")) and here.drawn not in self._in_vain:
                    self._start(here.drawn, now_s, engine)
        elif self._is_fading:
            return self._fade(there, asked, 0.0 if is_frozen else dt_s)
        elif asked.loads != there.drawn:
            self._let_go(1 - self.at)
        elif not there.is_ready:
            waited_s = now_s - max(self._started_s, there.hurried_s)
            if waited_s > _PATIENCE_S and not there.engine:  # again: it may stand back only now
                there.child.hurry()
                there.hurried_s = now_s
        elif not is_frozen:
            if there.goes_s is None:  # one that is ready before its beat begins with that, a late one with the next
                there.goes_s = asked.due_s if asked.drawn == there.drawn else now_s
            if asked.drawn == there.drawn and asked.shown_s >= there.goes_s:
                self._is_fading = True
                self._crossfade = replace(self._crossfade, onwards=True, seconds=asked.seconds)
                self._share_out(there)
        return []

    def _stuck(self, now_s: float) -> list[Event]:
        """Tells once of a process that cannot even be killed, as one whose graphics driver hangs: it has its seat."""
        was_told, self._is_stuck = self._is_stuck, bool(self._leaving) and now_s - self._left_s > _STUCK_S
        if was_told or not self._is_stuck:
            return []
        return [
            {"kind": "warning", "text": "a generator's process does not end: no other model can come until it does"}
        ]

    def _share_out(self, there: _Player) -> None:
        """Two that are seen at once are to take no more of the processor than one would."""
        period_s = there.seat.pace["period_s"]
        ticks_s = sum(player.seat.board["tick_s"] for player in (self._here, there))
        for player in (self._here, there):
            player.seat.turn["apart_s"] = 1.9 * period_s if ticks_s > _BUSY * period_s else 0.0

    def _fade(self, there: _Player, asked: Asked, dt_s: float) -> list[Event]:
        """Goes on with a crossfade: to the one that is asked for, or to the nearer one where that is neither."""
        seconds, known = asked.seconds, (self._here.drawn, there.drawn)
        if asked.drawn not in known or asked.loads not in known:
            seconds = min(seconds, _HASTY_S)
        onwards = asked.drawn == there.drawn or (asked.drawn != self._here.drawn and self._crossfade.share >= 0.5)
        if there.engine and there.drawn in self._in_vain:
            onwards = False
        self._crossfade = replace(self._crossfade, onwards=onwards, seconds=seconds)
        if dt_s > 0:
            self._crossfade = self._crossfade.after(dt_s)
        if self._crossfade.is_over and dt_s > 0:
            self._is_fading = False
            self._let_go(self.at if onwards else 1 - self.at)
            (there if onwards else self._here).seat.turn["apart_s"] = 0.0
            if onwards:
                return self._take_over(there)
        return []

    def _take_over(self, there: _Player) -> list[Event]:
        self._crossfade = Crossfade(1 - self.at)
        config, seat = there.child.args
        # if it is started again everybody waits for it, and nothing is imported any more
        there.child.args = (replace(config, joins=False, builds=False, model=there.loaded["plays"]), seat)
        there.child.starting_s = STARTING_S
        return [there.loaded, *({"kind": "warning", "text": text} for text in there.words)]

    def _start(self, drawn: Drawn, now_s: float, engine: str = "") -> None:
        """`engine` is built for what plays already."""
        seat = self._seats[1 - self.at]
        seat.turn["apart_s"] = _UNSEEN_S
        config = replace(self._config, **drawn._asdict())
        if engine:
            config = replace(config, model=self._here.loaded["plays"], backend=engine, builds=True)
        child = self._make(config, seat)
        child.starting_s = _JOINING_S
        child.start(now_s)
        self._players[1 - self.at] = _Player(drawn, child, seat, engine)
        self._started_s = now_s

    def _let_go(self, at: int) -> None:
        player = self._players[at]
        assert player is not None, "nobody sits there"
        player.child.dismiss()
        self._left_s = self._stepped_s
        self._left_restarts += player.child.restarts
        self._leaving.append(player.child)
        self._players[at] = None

    def _heard(self, player: _Player, now_s: float) -> list[Event]:
        """What one said that is seen."""
        events = player.child.poll(now_s)
        for event in events:
            if event["kind"] == "loaded":
                player.loaded = event
        return [event for event in events if event["kind"] != "loaded" or player is self._here]

    def _heard_fading(self, there: _Player, now_s: float) -> list[Event]:
        """The same of the one that is faded to. Where it dies main asks for another, and the fade goes back: the one
        that plays is well."""
        events = self._heard(there, now_s)
        died = [event for event in events if event["kind"] == "restart"]
        others = [event for event in events if event["kind"] != "restart"]
        return [*others, self._refusal(there, str(died[0]["text"]).removesuffix(AGAIN))] if died else others

    def _heard_coming(self, there: _Player, now_s: float) -> list[Event]:
        """What one said that nobody sees yet: it has one chance."""
        for event in there.child.poll(now_s):
            match event["kind"]:
                case "loaded":
                    there.loaded = event
                case "progress":
                    there.progress = event["text"]
                case "warning":
                    there.words.append(event["text"])
                case "error":
                    self._let_go(1 - self.at)
                    return [self._refusal(there, event["text"])]
                case "restart":
                    self._let_go(1 - self.at)
                    ended = str(event["text"]).removesuffix(AGAIN)
                    return [self._refusal(there, there.words[-1] if there.words else ended)]
        return []

    def _refusal(self, there: _Player, reason: str) -> Event:
        here, wanted = self._here.drawn, there.drawn
        if there.engine:  # nobody has chosen it, so main has nothing to take back
            self._in_vain.add(there.drawn)
            text = f"{reason.rstrip('.')}; staying with {self._here.loaded['backend']} instead of {there.engine}"
            return {"kind": "warning", "text": text}
        words = f"model {here.model} instead of {wanted.model}"
        if here.model == wanted.model:
            words = f"noise {here.noise} instead of {wanted.noise}"
        return {"kind": "refused", "drawn": wanted, "text": f"{reason.rstrip('.')}; staying with {words}"}


def _drawn(config: SynthConfig) -> Drawn:
    return Drawn(config.model, config.noise)
