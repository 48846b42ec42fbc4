"""The order in which effects act, as `chain.order` says it, and as hands change it. Knows no OpenGL."""

from collections.abc import Sequence

from livelav.core.effects import Effect
from livelav.core.params import CHOICE_BY_NAME, EFFECTS, Settings


def effect_of(name: str) -> Effect | None:
    """The effect that a parameter belongs to, if it is one's."""
    return next((effect for effect in EFFECTS if name in effect.params), None)


def moved_effect(effect: Effect, order: str, settings: Settings, steps: int) -> tuple[str, tuple[str, ...]]:
    """(chain.order with that effect so many places later among those that act, all names of those that act then).

    Those of its kind, that is: what works on the enlarged image acts before all others, whatever the order.
    """
    named = CHOICE_BY_NAME["chain.order"].words(order)
    every = _completed(named)
    acting = [one for one in EFFECTS if one == effect or settings[one.params[0]] != 0]
    beside = {one.name for one in acting if (one.kind == "image") == (effect.kind == "image")}
    kin = [name for name in every if name in beside]
    at = kin.index(effect.name)
    there = kin[min(max(at + steps, 0), len(kin) - 1)]
    if there != effect.name:
        goal = every.index(there)
        every.remove(effect.name)
        every.insert(goal, effect.name)
    kinds = {one.name: one.kind for one in acting}
    names = sorted((name for name in every if name in kinds), key=lambda name: kinds[name] != "image")
    shortest = next(every[:count] for count in range(len(every) + 1) if _completed(every[:count]) == every)
    return " ".join(shortest), tuple(names)


def _completed(named: Sequence[str]) -> list[str]:
    """Those that are not named follow in the table's order."""
    return [*named, *(one.name for one in EFFECTS if one.name not in named)]
