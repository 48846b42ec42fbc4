"""The chain of effects: which act now, in which order, and the programs that draw them in as few passes as can be.

On a processor a pass over a window costs as much as all that is computed in it, so effects get no pass of their own:
those that say where to look, or work on what is seen, are written into the one program that draws the picture; one
program for each set of effects that act, made when it is first asked for. Files are looked at again while the show
runs: one that was saved is taken if it compiles, else what worked last stays. Knows no window and no clock. Runs in the
thread that owns the context.
"""

import math
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import moderngl
import numpy as np

from livelav.core.effects import MAX_FILES, SIGNATURES, Effect, effect_files, folders, is_shipped, read_effect
from livelav.core.errors import EffectError
from livelav.core.params import CHOICE_BY_NAME, EFFECTS, Settings
from livelav.core.values import Floats
from livelav.show.shaders import EVERYWHERE, Addition, Part, ShaderError, build, mesh, release, set_uniforms

LOOK_S = 0.5  # between two looks at the files
KEPT = 48  # programs; the one unused for longest goes

GRID = (12, 7)  # cells of the mesh that the picture's waves bend: more would cost more than they show
MOVING = frozenset({"fold", "warp"})  # kinds that say where to look

Fragment = Literal["picture.frag", "present.frag", "effect.frag"]  # what effects can be written into

_OURS = "fx_"  # begins what an effect's code is called among all others'


@dataclass(frozen=True, slots=True)
class Acting:
    """What acts, in order: on the enlarged image; in the picture's pass; in another pass, on what echoes have left."""

    image: tuple[Effect, ...] = ()
    picture: tuple[Effect, ...] = ()
    present: tuple[Effect, ...] = ()

    @property
    def has_echo(self) -> bool:
        return any(effect.kind == "echo" for effect in self.picture)


class EffectChain:
    """Effects by name, and a program for each set of them that was asked for."""

    def __init__(self, ctx: moderngl.Context, folder: Path | None = None, effects: Sequence[Effect] = EFFECTS) -> None:
        """`folder`: other shaders than the shipped. `effects`: those of the parameter table, in its order; those that
        are not shipped wait for `tried`.
        """
        self._ctx, self._folder = ctx, folder
        self._effects = {effect.name: effect for effect in effects}
        self._untried = {effect.name: effect for effect in effects if not is_shipped(effect)}
        self._before: dict[str, Effect] = {}  # by name, as it was before its file changed last
        self._out = set(self._untried)  # names of those that are left out
        self._programs: OrderedDict[tuple[object, ...], moderngl.VertexArray] = OrderedDict()
        self._looked_s = -math.inf
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._new: set[Path] | None = None  # files that the table does not know; None: not looked so far
        self.troubles: list[str] = []  # that nobody was told of so far

    def acting(self, settings: Settings, order: str) -> Acting:
        """The effects whose amount is not 0. `order` names those that go first; the others follow in the table's."""
        named = CHOICE_BY_NAME["chain.order"].words(order)
        names = (*(name for name in named if name in self._effects), *(n for n in self._effects if n not in named))
        acts = [
            effect
            for effect in (self._effects[name] for name in names if name not in self._out)
            if settings[effect.params[0]] != 0
        ]
        image = tuple(effect for effect in acts if effect.kind == "image")
        rest = [effect for effect in acts if effect.kind != "image"]
        echoes = [number for number, effect in enumerate(rest) if effect.kind == "echo"]
        cut = echoes[-1] + 1 if echoes else len(rest)
        return Acting(image, tuple(rest[:cut]), tuple(rest[cut:]))

    def program(self, fragment: Fragment, effects: Iterable[Effect]) -> moderngl.VertexArray:
        """What draws `fragment` with these effects. One that does not compile is left out, and told of.

        Raises ShaderError where the fault is in none of them.
        """
        while True:
            acts = tuple(e for e in effects if e.name not in self._out)
            key = (fragment, acts)
            if key in self._programs:
                self._programs.move_to_end(key)
                return self._programs[key]
            try:
                made = self._built(fragment, acts)
            except ShaderError as error:
                if not acts:
                    raise
                self._fell(_blamed(error, acts), error)
                effects = [self._effects[effect.name] for effect in acts]
                continue
            self._programs[key] = made
            while len(self._programs) > KEPT:
                release(self._programs.popitem(last=False)[1])
            return made

    @property
    def untried(self) -> list[Effect]:
        """What is to be drawn elsewhere before it is drawn here; `tried` takes what came of it."""
        return list(self._untried.values())

    @property
    def left_out(self) -> list[Effect]:
        """What is not drawn, though it is in the table."""
        return [effect for effect in self._effects.values() if effect.name in self._out]

    def tried(self, effect: Effect, trouble: str = "") -> None:
        """Takes up one of `untried`, or, with what is wrong with it, tells of it and leaves all as it is.

        One that was saved again meanwhile is no news any more.
        """
        if self._untried.get(effect.name) != effect:
            return
        del self._untried[effect.name]
        if trouble:
            self._tell_of(effect, trouble)
            return
        if effect.name not in self._out:
            self._before[effect.name] = self._effects[effect.name]
        self._effects[effect.name] = effect
        self._out.discard(effect.name)

    def check(self, effect: Effect) -> None:
        """Compiles it alone. Raises ShaderError naming its line."""
        release(self._built("effect.frag" if effect.kind == "image" else "picture.frag", (effect,)))

    def look(self, now_s: float) -> None:
        """Takes note of files that were saved since the last look, at most every LOOK_S."""
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        for effect in list(self._effects.values()):
            self._look_at(effect)
        self._look_for_new()

    def close(self) -> None:
        """Gives all programs back."""
        for made in self._programs.values():
            release(made)
        self._programs.clear()

    def _look_at(self, effect: Effect) -> None:
        try:
            status = os.stat(effect.path)
        except OSError:
            return  # it is gone, or being written: what it said stays
        stamp = status.st_mtime_ns, status.st_size
        before = self._stamps.get(effect.path)
        if before == stamp:
            return
        self._stamps[effect.path] = stamp
        try:
            fresh = read_effect(effect.path)
            if (fresh.kind, fresh.params, fresh.knobs) != (effect.kind, effect.params, effect.knobs):
                raise EffectError(
                    f"effect {effect.path} declares other parameters than at the start: start anew for that"
                )
        except EffectError as error:
            self._untried.pop(effect.name, None)
            self._tell_of(effect, str(error))
            return
        again = before is not None and effect.name in self._out  # what is wrong with it may not be in its text
        if fresh.text == self._untried.get(effect.name, effect).text and not again:
            return
        if fresh.text == effect.text and effect.name not in self._out:
            del self._untried[effect.name]  # it is again what is drawn
        else:
            self._untried[effect.name] = fresh

    def _tell_of(self, effect: Effect, trouble: str) -> None:
        stays = f"without {effect.name}" if effect.name in self._out else "on with what it said before"
        self.troubles.append(f"{trouble}; playing {stays}")

    def _look_for_new(self) -> None:
        known = {effect.path for effect in self._effects.values()}
        new = {path for folder in folders() for path in effect_files(folder)} - known
        for path in sorted(new - self._new)[:3] if self._new is not None else ():
            self.troubles.append(f"{path} is a new effect: it joins when livelav is started again")
        self._new = set(sorted(new)[:MAX_FILES])

    def _fell(self, effect: Effect, error: ShaderError) -> None:
        """It does not compile: back to what it said before, or without it."""
        before = self._before.pop(effect.name, None)
        if before is None:
            self._out.add(effect.name)
        else:
            self._effects[effect.name] = before
        self._tell_of(effect, str(error))

    def _built(self, fragment: Fragment, effects: tuple[Effect, ...]) -> moderngl.VertexArray:
        kinds = {effect.kind for effect in effects}
        defines = [name for name, kind in (("FOLDED", "fold"), ("TRAIL", "echo")) if kind in kinds]
        defines += ["WARPED"] if not kinds.isdisjoint(MOVING) else []
        vertex, corners, added = "full.vert", EVERYWHERE, (Addition(), _over_pixels(effects))
        if fragment == "picture.frag":
            vertex, added = "picture.vert", (_over_corners(effects), _over_pixels(effects, at_corners=True))
            corners = _grid(*GRID)
        elif fragment == "effect.frag":
            added = Addition(), _over_image(effects)
        program = build(self._ctx, vertex, fragment, *defines, folder=self._folder, added=added)
        return mesh(self._ctx, program, corners)


def hand_over(program: moderngl.Program, effects: Iterable[Effect], settings: Settings, frames: float) -> None:
    """Gives the parameters of `effects` to a program with them in it; `frames` as in `given`."""
    for effect in effects:
        values = given(effect, settings, frames)
        set_uniforms(program, **{_uniform(effect, name): v for name, v in zip(effect.params, values, strict=True)})


def given(effect: Effect, settings: Settings, frames: float) -> tuple[float, ...]:
    """What an effect's code gets for each of its parameters: angles in radians.

    The amount of an echo is what stays after a sixtieth of a second; its code gets what stays after so many, `frames`.
    """
    values = [settings[name] for name in effect.params]
    if effect.kind == "echo":
        values[0] = max(values[0], 0.0) ** frames
    units = ["" for _ in effect.uses] + [knob.unit for knob in effect.knobs]
    return tuple(math.radians(v) if unit.startswith("deg") else v for v, unit in zip(values, units, strict=True))


def _uniform(effect: Effect, param: str) -> str:
    return f"{_OURS}{effect.name}_{param.rpartition('.')[2]}"


def _kept(effect: Effect) -> str:
    return f"{_OURS}{effect.name}_kept"


def _part(effect: Effect, declared: str = "") -> Part:
    """Its file, in which its own name and those of its parameters mean nothing to others'.

    `declared` says where the shader has what it found out once; else it does so where it is asked for.
    """
    words = {param.rpartition(".")[2]: _uniform(effect, param) for param in effect.params}
    named = {effect.name: _OURS + effect.name} | words
    if effect.has_once:
        found = f"{_OURS}{effect.name}_once"
        named |= {f"{effect.name}_once": found, "once": _kept(effect) if declared else f"{found}()"}
    before = [
        declared,
        *(f"uniform float {uniform};" for uniform in words.values()),
        SIGNATURES[effect.kind].format(_OURS + effect.name) + ";",
        *(f"#define {name} {ours}" for name, ours in named.items()),
    ]
    return Part(effect.path, effect.text, "\n".join(before), "\n".join(f"#undef {name}" for name in named))


def _over_image(effects: tuple[Effect, ...]) -> Addition:
    called = f"{_OURS}{effects[0].name}" if effects else "image"  # one that is broken changes nothing
    parts = tuple(_part(effect) for effect in effects)
    return Addition(parts, f"vec4 effect(vec2 at) {{ return {called}(at); }}\n")


# Where to look is asked for from the last effect to the first, what is seen there goes from the first to the last:
#
#     place0 (of the window) --last--> place1 --...--> placeN: source --first--> seen --...--> seen
#
# One that works on what is seen is told its place before those that follow it move it, so that a vignette is mirrored
# where a kaleidoscope comes after. The last ones, up to the first fold, are asked at the corners of the grid alone.
# There is found out, too, what depends on parameters alone: a processor would do that anew for every pixel.


def _over_corners(effects: tuple[Effect, ...]) -> Addition:
    """For the vertex shader: where its corners look, and all places that pixels do not find for themselves."""
    moving = [effect for effect in reversed(effects) if effect.kind in MOVING]
    outs = [f"noperspective out vec2 place{number};" for number in range(1, _at_corners(effects) + 1)]
    steps = [f"    {_kept(effect)} = {_OURS}{effect.name}_once();" for effect in moving if effect.has_once]
    place = "place0"
    for number, effect in enumerate(moving, start=1):
        declared = "" if number <= len(outs) else "vec2 "
        steps.append(f"    {declared}place{number} = {_OURS}{effect.name}({place});")
        place = f"place{number}"
    lines = [*outs, "vec2 moved(vec2 place0) {", *steps, f"    return {place};", "}", ""]
    parts = (_part(one, f"flat out mat4 {_kept(one)};" if one.has_once else "") for one in moving)
    return Addition(tuple(parts), "\n".join(lines))


def _over_pixels(effects: tuple[Effect, ...], at_corners: bool = False) -> Addition:
    """For the fragment shader; `at_corners` where `_over_corners` is in its vertex shader."""
    given = _at_corners(effects) if at_corners else 0
    ins = [f"noperspective in vec2 place{number};" for number in range(1, given + 1)]
    where: list[str] = []
    seen: list[str] = []
    number = 0
    for effect in reversed(effects):
        if effect.kind in MOVING:
            number += 1
            if number > given:
                where.append(f"    vec2 place{number} = {_OURS}{effect.name}(place{number - 1});")
        else:
            seen.insert(0, f"    seen = {_OURS}{effect.name}(seen, place{number});")
    lines = [*ins, "vec3 effects(vec2 place0) {", *where, f"    vec3 seen = source(place{number});", *seen]
    ready = [effect for effect in effects if at_corners and effect.kind in MOVING and effect.has_once]
    parts = (_part(one, f"flat in mat4 {_kept(one)};" if one in ready else "") for one in effects)
    return Addition(tuple(parts), "\n".join([*lines, "    return seen;", "}", ""]))


def _at_corners(effects: tuple[Effect, ...]) -> int:
    """How many of the last that move something stand behind every fold."""
    kinds = [effect.kind for effect in reversed(effects) if effect.kind in MOVING]
    return kinds.index("fold") if "fold" in kinds else len(kinds)


def _grid(columns: int, rows: int) -> Floats:
    """[n, 2] corners of one triangle strip over -1..1: rows from the bottom, joined by triangles without area."""
    xs, ys = np.linspace(-1, 1, columns + 1), np.linspace(-1, 1, rows + 1)
    strip: list[tuple[float, float]] = []
    for low, high in pairwise(ys):
        row = [(x, y) for x in xs for y in (low, high)]
        strip += [row[0], *row, row[-1]] if strip else [*row, row[-1]]
    return np.array(strip, np.float32)


def _blamed(error: ShaderError, effects: tuple[Effect, ...]) -> Effect:
    """Whose fault it is that they do not compile together."""
    for effect in effects:
        if effect.path == error.path:
            return effect
    for effect in effects:
        if re.search(rf"\b{_OURS}{effect.name}\b", str(error)):
            return effect
    return effects[-1]  # it cannot be told; without the last there is one less to be at fault
