"""Draws the picture: the newest image enlarged, graded, lined with light, moving by itself.

One pass over the target with a single texture tap per pixel, whatever effects act; an echo puts a texture between and
adds a pass. Knows no window, no process and no clock: the time is passed in.
Runs in the thread that owns the context.
Source of the look: level sets of a signed mix of the image's own channels, with a glow around them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import moderngl
import numpy as np

from livelav.core.effects import Effect
from livelav.core.params import EFFECTS, PARAMS, Settings
from livelav.core.values import Bytes, Image
from livelav.show.chain import MOVING, Acting, EffectChain, hand_over
from livelav.show.crossfade import Crossfade, Seen
from livelav.show.flashes import SAMPLED, FlashLimiter, places
from livelav.show.image_effects import ImageEffects
from livelav.show.motion import LONGEST_STEP_S, Motion, Pose
from livelav.show.shaders import EVERYWHERE, build, mesh, release, set_uniforms
from livelav.show.targets import Size, make_target, release_target, texture_of

SPREADS = 4.0  # show.density counts the lines within two standard deviations of the level, either way
_LINE = 1.4  # half of a line's width, to the middle of its edge, in pixels of a picture of 720 lines
FRAME_HZ = 60.0  # what effects do with every picture is said for this rate
_EVENING = tuple(p.name for p in PARAMS if p.scope != "song")  # settings that move also while the picture stands
_TIME_S = 3600.0  # after which effects' time begins again: float32 would lose a long night's fractions

_LIKELY = 256, 512  # pixels of an image's side, the likelier first; a processor prepares both: its memory comes slowly
_PREPARING = 30, 18  # of a picture; some drivers make other programs for sizes that are powers of two

Aspect = Literal["fill", "fit", "stretch"]


@dataclass(frozen=True, slots=True)
class Moment:
    """All that one picture needs besides the image."""

    settings: Settings
    time_s: float
    rms: float = 0.0  # linear, of the sound heard now
    onset: float = 0.0  # about 1 at a clear attack
    light: float = 1.0  # 1 shown, 0 black: blackout
    aspect: Aspect = "fill"
    order: str = ""  # of effects: `chain.order`
    pattern: bool = False  # the test pattern instead
    shown_s: float | None = None  # when it is presented, where time_s stands still: while the show is frozen
    balance: float = 0.0  # between the two streams of images: 0 the first alone, 1 the second

    def frozen(self, now: "Moment") -> "Moment":
        """This moment, as it stands while the show is frozen: of `now` it has what is not the picture's own, as light,
        the master's brightness and the test pattern."""
        settings = self.settings.with_values({name: now.settings[name] for name in _EVENING})
        return replace(self, settings=settings, light=now.light, pattern=now.pattern, shown_s=now.shown_s)


class Renderer:
    """Keeps the newest images on the card and draws them as often as it is asked to."""

    def __init__(
        self,
        ctx: moderngl.Context,
        software: bool,
        folder: Path | None = None,
        effects: Sequence[Effect] = EFFECTS,
    ) -> None:
        """`software`: the processor draws (`surface.is_software`). `folder`: other shaders than the shipped.

        Raises DisplayError where a shader does not compile.
        """
        self._ctx, self._software = ctx, software
        self._images = Crossfade(ctx, software, folder)
        self.chain = EffectChain(ctx, folder, effects)
        self._image_effects = ImageEffects(ctx, self.chain, folder)
        self.chain.program("picture.frag", ())
        self.chain.program("present.frag", ())
        self._pattern = mesh(ctx, build(ctx, "full.vert", "pattern.frag", folder=folder), EVERYWHERE)
        self._sample = make_target(ctx, SAMPLED)
        self._limiter, self._gain = FlashLimiter(), 1.0
        self._motion = Motion()
        self._moment = Moment(Settings(), 0.0)
        self._acting = Acting()
        self._frames = 0.0  # sixtieths of a second since the last picture
        self._pose = self._motion.step(0.0, 0.0, 0.0, 0.0)
        self._is_between = False  # whether the picture goes through one of these
        self._between: list[moderngl.Framebuffer] = []  # the last picture comes first, what is drawn next second
        self._target: moderngl.Framebuffer | None = None
        self._target_size = (0, 0)
        self._copy: moderngl.Framebuffer | None = None  # for readers of another size than the target's

    def set_image(self, image: Image, stream: int = 0) -> None:
        """Takes a new image of one of the two streams: RGBA, square; the next `draw` shows it."""
        self._images.set_image(image, stream)

    def draw(self, target: moderngl.Framebuffer, size: Size, moment: Moment) -> None:
        """Draws into `target`, of `size` pixels. Black before the first image."""
        dt = min(max(moment.time_s - self._moment.time_s, 0.0), LONGEST_STEP_S)
        self._moment, self._frames = moment, dt * FRAME_HZ
        self._acting = acting = self.chain.acting(moment.settings, moment.order)
        self._pose = self._motion.step(moment.time_s, moment.settings["show.drift"], moment.rms, moment.onset)
        self._images.step(dt)
        self._target, self._target_size = target, size
        was_between, self._is_between = self._is_between, acting.has_echo
        if self._is_between:
            if not was_between:
                self._forget()
            inner = self._next_between(size)
            last = texture_of(self._between[0])
            last.filter = moderngl.LINEAR, moderngl.LINEAR
            last.use(2)  # units 0 and 1 are those that images are made through
            self._paint(inner, inner.size)
            self._between.reverse()
        self._limit()
        self._render(target, size)

    def prepare(self, target: moderngl.Framebuffer, settings: Settings, order: str) -> None:
        """Builds what a scene will need, so that its first picture takes no longer than the others: drivers translate a
        program when it is first drawn with, which may take a tenth of a second, and memory that is new takes longer
        than a picture may. Before the first image only."""
        for side in reversed(_LIKELY if self._software else _LIKELY[:1]):
            for stream in (0, 1):
                self._images.set_image(Image(np.zeros((side, side, 4), np.uint8), 0.0), stream)
            self.draw(target, _PREPARING, Moment(settings, 0.0, order=order, balance=0.5))
        self._images.forget()
        self._release_between()
        self._limiter = FlashLimiter()

    def pass_by(self, moment: Moment) -> None:
        """Goes on to `moment` without a picture. What is followed since the start, as how far lines have travelled, is
        then as if one had been drawn; what fades (echoes, the flash limiter, the level's range) is as it was.
        """
        self._moment = moment
        self._motion.step(moment.time_s, moment.settings["show.drift"], moment.rms, moment.onset)

    @property
    def holds_light_back(self) -> bool:
        """Whether the flash limiter acts."""
        return self._limiter.acts

    def _limit(self) -> None:
        """Draws the picture small, to know before it is shown how bright it will be where."""
        self._gain = 1.0
        self._render(self._sample, SAMPLED)
        pixels = np.frombuffer(self._sample.read(components=4), np.uint8).reshape(SAMPLED[1], SAMPLED[0], 4)
        moment = self._moment
        now_s = moment.time_s if moment.shown_s is None else moment.shown_s
        self._gain = self._limiter.step(places(pixels), now_s, moment.settings["show.flash_limit"])

    def picture(self, size: Size) -> moderngl.Framebuffer:
        """What holds the last picture at `size`: the target itself where it has that size, else it is drawn again.

        To be read before the target is presented, or anything else is drawn into it.
        """
        if self._target is not None and self._target_size == size:
            return self._target
        if self._copy is None or self._copy.size != size:
            self._release_copy()
            self._copy = make_target(self._ctx, size)
        self._render(self._copy, size)
        return self._copy

    def read_rgba(self, size: Size) -> Bytes:
        """The last picture, [height, width, 4] at `size`, at once, bottom row first as OpenGL has it."""
        pixels = self.picture(size).read(viewport=(0, 0, *size), components=4)
        return np.frombuffer(pixels, np.uint8).reshape(size[1], size[0], 4)

    def close(self) -> None:
        """Gives textures, buffers and programs back."""
        self._images.close()
        self._release_between()
        self._release_copy()
        release_target(self._sample)
        self._image_effects.close()
        self.chain.close()
        release(self._pattern)

    def _render(self, target: moderngl.Framebuffer, size: Size) -> None:
        if self._moment.pattern:
            target.use()
            target.viewport = (0, 0, *size)
            set_uniforms(self._pattern.program, size=size, light=self._moment.light * self._gain)
            self._pattern.render()
            return
        light = self._moment.light * self._moment.settings["show.brightness"] * self._gain
        if not self._is_between:
            self._paint(target, size, light)
            return
        target.use()
        target.viewport = (0, 0, *size)
        picture = texture_of(self._between[0])
        one_to_one = picture.size == size and not any(effect.kind in MOVING for effect in self._acting.present)
        picture.filter = (
            (moderngl.NEAREST,) * 2 if one_to_one else (moderngl.LINEAR,) * 2
        )  # the first is a fifth quicker
        picture.use(0)
        made = self.chain.program("present.frag", self._acting.present)
        self._set(made.program, self._acting.present, picture=0, light=light, **self._place(size))
        made.render()

    def _paint(self, target: moderngl.Framebuffer, size: Size, light: float = 1.0) -> None:
        settings, pose = self._moment.settings, self._pose
        seen = self._seen()  # draws into framebuffers of its own: before `target.use`
        made = self.chain.program("picture.frag", self._acting.picture)
        target.use()
        target.viewport = (0, 0, *size)
        framing = self._framing(size)
        if seen is None or framing.cover != (1.0, 1.0):
            target.clear(0.0, 0.0, 0.0, 1.0)
        if seen is None:
            return
        seen.texture.use(0)
        density = settings["show.density"] / (SPREADS * seen.spread)
        pixel = _pixel(size)
        fade = max(pixel, 1.0)  # an edge that is sharper than the picture's own pixels would show stairs
        self._set(
            made.program,
            self._acting.picture,
            enlarged=0,
            trail=2,
            cover=framing.cover,
            edge=framing.edge,
            view=_view(pose, framing.inwards / settings["show.zoom"]),
            shift=pose.shift,
            warp=pose.warp,
            phases=pose.phases,
            contour=settings["show.contour"],
            density=density,
            phase=pose.lines - seen.centre * density,
            halo=pose.glow,
            line_fade=fade,
            line_end=_LINE * pixel / fade + 0.5,
            **self._place(size),
            light=light,
        )
        made.render(moderngl.TRIANGLE_STRIP)

    def _seen(self) -> Seen | None:
        """The enlarged image with the effects that work on it; None before the first."""
        settings = self._moment.settings
        seen = self._images.seen(self._moment.balance, settings["show.hue"], settings["show.saturation"])
        if seen is None:
            return None
        texture = self._image_effects.texture(
            seen.texture, seen.version, self._acting.image, settings, self._time_s, self._frames
        )
        return replace(seen, texture=texture)

    def _set(self, program: moderngl.Program, effects: Sequence[Effect], **values: Any) -> None:
        """Gives a program its uniforms, and those that its effects have."""
        set_uniforms(program, time=self._time_s, frames=self._frames, **values)
        hand_over(program, effects, self._moment.settings, self._frames)

    def _place(self, size: Size) -> dict[str, Any]:
        """What every effect may ask of where it is."""
        return {"onto": self._framing(size).onto, "pixel": _pixel(size)}

    @property
    def _time_s(self) -> float:
        return math.fmod(self._moment.time_s, _TIME_S)

    def _framing(self, size: Size) -> "Framing":
        """What is drawn small to be judged shows what the window will."""
        return framing(self._target_size if size == SAMPLED else size, self._moment.aspect)

    def _next_between(self, size: Size) -> moderngl.Framebuffer:
        """The framebuffer to draw next; both are made anew, and black, where the size has changed."""
        if not self._between or self._between[0].size != size:
            self._release_between()
            for _ in range(2):
                self._between.append(make_target(self._ctx, size))
                self._between[-1].clear(0.0, 0.0, 0.0, 1.0)
        return self._between[1]

    def _forget(self) -> None:
        """What was drawn long ago leaves no echo."""
        for framebuffer in self._between:
            framebuffer.clear(0.0, 0.0, 0.0, 1.0)

    def _release_copy(self) -> None:
        if self._copy is not None:
            release_target(self._copy)

    def _release_between(self) -> None:
        for target in self._between:
            release_target(target)
        self._between = []


@dataclass(frozen=True, slots=True)
class Framing:
    """How a square image meets a window. A place is told from the middle; 1 is the nearer edge of what is covered."""

    cover: tuple[float, float]  # share of the window that the picture covers, across and down
    edge: tuple[float, float]  # where its edges are
    inwards: float  # from a place to image sides

    @property
    def onto(self) -> tuple[float, float]:
        """From a place to a share of the window."""
        return 0.5 * self.cover[0] / self.edge[0], 0.5 * self.cover[1] / self.edge[1]


def _pixel(size: Size) -> float:
    """How many pixels of a picture of that size are one of a picture of 720 lines."""
    return min(size) / 720.0


def framing(size: Size, aspect: Aspect) -> Framing:
    """fill: the window is full and the image's longer way is cut; fit: the image is whole and the rest is black;
    stretch: both, and it is no square any more."""
    if aspect == "stretch":
        return Framing((1.0, 1.0), (1.0, 1.0), 0.5)
    width, height = size
    short, long = min(size), max(size)
    if aspect == "fill":
        return Framing((1.0, 1.0), (width / short, height / short), 0.5 * short / long)
    return Framing((short / width, short / height), (1.0, 1.0), 0.5)


def _view(pose: Pose, scale: float) -> tuple[float, float]:
    """From a place to image sides, as a complex factor: turned, and scaled."""
    scale /= pose.zoom
    return scale * math.cos(pose.turn), scale * math.sin(pose.turn)
