"""Has effects drawn in a process of their own before anything else draws them: the user's own, and all that are saved
while a show runs.

A shader can hang or end whatever compiles or draws it, and nobody can tell that from its text. Nothing here waits for
that process: it is asked between two pictures, or, before a render, again and again. It bounds itself (see
show/tryout.py) and is killed where even that fails. It is there only while there is something to try.
"""

import contextlib
import multiprocessing
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from livelav.core.child import deaf_children
from livelav.core.effects import Effect
from livelav.core.errors import EffectError, tell
from livelav.core.scene import Scene
from livelav.show.chain import EffectChain
from livelav.show.tryout import BUSY_S, DRAWN_S, SIDE, STARTING_S, Word, run_tryout

_SILENT_S = max(STARTING_S, BUSY_S) + 5.0  # longer than the process allows itself
_MOST_BYTES = 24 << 10  # of text for one process: twice that, for headers go along twice, a pipe holds; more waits
_STOP_S, _GONE_S = 0.5, 5.0
_UNTRIED = "cannot be tried before it is shown"
_TURN_S = 0.01
_TOO_LONG = {1, *([-signal.SIGPROF] if hasattr(signal, "SIGPROF") else [])}  # by the clock, by the processor's time


class Trying:
    """One process at a time, for what a chain has untried."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._words: Connection | None = None
        self._left: dict[int, Effect] = {}  # by number, those that it has not ended with
        self._at: int | None = None  # that which it draws
        self._heard_s = 0.0
        self._is_stuck = False  # one could not be ended

    def step(self, chain: EffectChain, now_s: float, nice: int = 0) -> None:
        """One look. `nice` is how far a process that begins now stands behind this one."""
        if self._process is None:
            if self._is_stuck:
                self._refuse(chain, chain.untried)
            elif chain.untried:
                self._start(chain, now_s, nice)
            return
        is_over = self._process.exitcode is not None  # asked first: then all that it said is there
        for kind, number, trouble in self._drain():
            self._heard_s = now_s
            if kind == "begins":
                self._at = number
            elif kind == "cannot":  # no drawing without the show's own window, say: then that is the first to
                effect = self._left.pop(number)
                chain.tried(effect)
                chain.troubles.append(f"effect {effect.path} {_UNTRIED} ({trouble}): shown all the same")
            else:
                chain.tried(self._left.pop(number), trouble)
                self._at = None
        if is_over:
            self._finish(chain)
        elif now_s - self._heard_s > _SILENT_S:
            self._process.kill()
            if now_s - self._heard_s > _SILENT_S + _GONE_S:
                self._give_up(chain)

    def _give_up(self, chain: EffectChain) -> None:
        """It cannot be ended, as where a graphics driver hangs: nobody waits for it, and no other follows it."""
        self._is_stuck, self._process, self._words = True, None, None
        self._refuse(chain, list(self._left.values()))

    @staticmethod
    def _refuse(chain: EffectChain, effects: list[Effect]) -> None:
        for effect in effects:
            chain.tried(effect, f"effect {effect.path} {_UNTRIED} (the process for that cannot be ended)")

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join(_STOP_S)
            self._reap()

    def _start(self, chain: EffectChain, now_s: float, nice: int) -> None:
        effects = chain.untried
        while len(effects) > 1 and sum(len(effect.text.encode()) for effect in effects) > _MOST_BYTES:
            effects.pop()  # it waits for the next process
        try:
            self._process, self._words = _started(effects, nice)
        except OSError as error:  # of too many processes, or files
            for effect in effects:
                chain.tried(effect, f"effect {effect.path} {_UNTRIED} ({error.strerror}); save it again")
            return
        self._left, self._at, self._heard_s = dict(enumerate(effects)), None, now_s

    def _drain(self) -> list[Word]:
        words: list[Word] = []
        with contextlib.suppress(EOFError, OSError):
            while self._words is not None and self._words.poll():
                words.append(self._words.recv())
        return words

    def _finish(self, chain: EffectChain) -> None:
        """It has ended. Whom it died of is told; those that it did not come to are tried again, by another."""
        assert self._process is not None
        code = self._process.exitcode
        blamed = [self._left[self._at]] if self._at is not None else [*self._left.values()]
        for effect in blamed:
            if self._at is None:  # it died before it drew any
                why = f"{_UNTRIED} (the process for that ended with code {code}); save it again"
            elif code in _TOO_LONG:
                why = f"does not end: {SIDE}x{SIDE} pixels took longer than {DRAWN_S:g} s; mend it there"
            else:
                why = f"ends the process that draws it (code {code}); mend it there"
            chain.tried(effect, f"effect {effect.path} {why}")
        self._reap()

    def _reap(self) -> None:
        assert self._process is not None and self._words is not None
        if self._process.exitcode is not None:
            self._process.close()
        self._words.close()
        self._process = self._words = None


def _started(effects: list[Effect], nice: int) -> tuple[BaseProcess, Connection]:
    """A process, and where its words come from. Raises OSError."""
    ctx = multiprocessing.get_context("spawn")
    words, theirs = ctx.Pipe(duplex=False)
    process = ctx.Process(target=run_tryout, args=(effects, nice, theirs), name="livelav-effects", daemon=True)
    try:
        with theirs, deaf_children():
            process.start()
    except OSError:
        words.close()
        raise
    return process, words


def try_all(chain: EffectChain, scene: Scene | None = None) -> None:
    """Has all tried and waits for that, where nobody waits for a picture yet. Tells what is wrong with which.

    Raises EffectError where one that `scene` needs is left out."""
    trying = Trying()
    try:
        while chain.untried:
            trying.step(chain, time.monotonic())
            time.sleep(_TURN_S)
    finally:
        trying.close()
    troubles, chain.troubles = chain.troubles, []
    for trouble in troubles:
        tell(trouble)
    for effect in chain.left_out if scene else ():
        if scene and (scene.settings[effect.params[0]] or effect.params[0] in scene.drives):
            raise EffectError(f"effect {effect.name} is needed and cannot be drawn: mend it, or turn it off")
