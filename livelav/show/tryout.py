"""Draws effects once, so that nobody else has to be the first: the body of the process that `livelav.trying` starts.

Code that never ends, or that a graphics driver dies of, costs this process and nothing else. What one may cost is
bounded here by the system's own timers, which hold whatever a driver does: the processor's time that it takes, and,
more generously, time by the clock, as a show may leave little of the processor.
"""

import faulthandler
import os
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from livelav.core.effects import Effect
from livelav.core.errors import LivelavError, one_line
from livelav.core.params import BY_NAME, PARAMS
from livelav.core.processor import stand_behind
from livelav.core.values import Image
from livelav.show.headless import HeadlessSurface
from livelav.show.renderer import Moment, Renderer
from livelav.show.shaders import ShaderError

SIDE = 16  # pixels
DRAWN_S = 2.0  # for one effect: to compile it, and to draw it a few times
STARTING_S, BUSY_S = 60.0, 30.0  # by the clock, until the first begins, and for one where the processor draws
ON_CARD_S = 10.0  # the same where a card draws: compiling is the processor's work, and a show may leave little of that

# ("begins" or "ends", number of the effect, what is wrong with it); "cannot", where nothing can be tried here
Word = tuple[str, int, str]


def run_tryout(effects: Sequence[Effect], nice: int, words: Connection) -> None:
    """Draws each of `effects` by itself, and says into `words` how that went. Ends early where one never ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):  # whatever a driver may print
        os.dup2(nothing, fd)
    faulthandler.dump_traceback_later(STARTING_S, exit=True)
    stand_behind(nice)
    os.environ["LP_NUM_THREADS"] = "0"
    try:
        surface = HeadlessSurface((SIDE, SIDE))
        renderer = Renderer(surface.ctx, surface.software, effects=effects)
        y, x = np.mgrid[0:SIDE, 0:SIDE]
        renderer.set_image(Image(np.stack([16 * x, 16 * y, 8 * (x + y), 255 + 0 * x], -1).astype(np.uint8), 0.0))
        plain = {param.name: param.default for param in PARAMS}
        plain |= {name: values[0] for effect in effects for name, values in _ranges(effect).items()}
        _draw(renderer, surface, plain)
    except Exception as error:  # the binding's own are of no class of their own
        for number in range(len(effects)):
            words.send(("cannot", number, one_line(str(error))))
        return
    for number, effect in enumerate(effects):
        words.send(("begins", number, ""))
        _hold_to(DRAWN_S, BUSY_S if surface.software else ON_CARD_S)
        trouble = ""
        try:
            renderer.chain.check(effect)
            renderer.chain.tried(effect)
            for values in extremes(effect):
                _draw(renderer, surface, plain | values)
            if renderer.chain.troubles:
                raise ShaderError(renderer.chain.troubles.pop())
        except LivelavError as error:
            trouble = str(error)
        except Exception as error:  # the binding's, which are of no class of their own
            trouble = f"effect {effect.path} cannot be drawn: {one_line(str(error))}; mend it there"
        _hold_to(0.0, STARTING_S)
        words.send(("ends", number, trouble))


def extremes(effect: Effect) -> list[dict[str, float]]:
    """Values for its parameters: the amount at either end, unless that is off, with the others wherever they go."""
    ranges, amount = _ranges(effect), effect.params[0]
    return [
        {name: values[place] for name, values in ranges.items()} | {amount: end}
        for end in set(ranges[amount]) - {0.0}
        for place in range(3)
    ]


def _ranges(effect: Effect) -> dict[str, tuple[float, float, float]]:
    """Default, lowest and highest value of each of its parameters, as its own text has them: its file may say something
    else by now, and this process's table with it."""
    used = {name: (BY_NAME[name].default, BY_NAME[name].lo, BY_NAME[name].hi) for name in effect.uses}
    return used | {f"{effect.name}.{knob.name}": (knob.default, knob.lo, knob.hi) for knob in effect.knobs}


def _draw(renderer: Renderer, surface: HeadlessSurface, values: dict[str, float]) -> None:
    settings: Any = values  # no Settings, which are of the table
    renderer.draw(surface.fbo, surface.size, Moment(settings, 1.0))
    renderer.read_rgba(surface.size)


def _hold_to(processor_s: float, clock_s: float) -> None:
    """From now on, so much of either ends this process. 0: no bound."""
    faulthandler.dump_traceback_later(clock_s, exit=True)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, processor_s)
