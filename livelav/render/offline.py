"""The live show's own stages over a whole sound, in one plain loop with the time passed in: what a render is made of.

    sound -> Chain -> Controls -> generator -> Renderer -> picture n, shown from n / fps on

Picture n shows the encoder frame in whose time it lies, so sound and picture are together where a show must be a moment
late. The same sound and scene give the same ws as live, and on the same machine the same pictures, to the last bit.
Knows no clock, process or file. Runs where it is called.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from livelav.audio.ingress import to_stereo
from livelav.chain import Chain, Frame
from livelav.control.commands import FadeTo, Taken
from livelav.control.switches import ShowState
from livelav.core.params import Settings
from livelav.core.scene import MappingKey, Scene
from livelav.core.tempo import Tempo
from livelav.core.values import Block, Bytes, Controls, EmbeddingStats, Features, Floats, Image, WStats
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs
from livelav.encode.encoder import Encoder
from livelav.generate.library import Generator
from livelav.mapping.mapper import Mapper
from livelav.render.casting import Casting, Made, Others, Part
from livelav.show.renderer import Moment, Renderer
from livelav.show.targets import Size
from livelav.takes.format import Heard


@dataclass(frozen=True, slots=True)
class Step:
    """All that one picture is made of. In a crossfade there are two parts, else one."""

    number: int
    time_s: float
    parts: tuple[Part, ...]
    moment: Moment

    @property
    def controls(self) -> Controls:
        """Of the generator that plays."""
        return self.parts[0].controls


class Script:
    """What is to be seen when, from sound alone: makes no picture, and needs no generator but its W."""

    def __init__(
        self,
        encoder: Encoder,
        stats: WStats,
        scene: Scene,
        fps: Fraction,
        track: EmbeddingStats | None = None,
        done: Iterable[tuple[float, Taken]] = (),
        heard: Iterable[Heard] | None = None,
        others: Others | None = None,
        dark: str = "",
    ) -> None:
        """`track`: statistics of the whole sound's embeddings, for mapping.mode `track`; see `track_stats`.

        `done`: what hands do meanwhile, and when in seconds of the sound, in order. `heard`: by which settings the
        stages before the generator hear what; None: by those that hands set. `others`: which generator it is that the
        picture goes over to, see Casting; None: there are none. `dark`: the switch that keeps the light off at first.
        """
        self._encoder, self._fps, self._hop_s = encoder, fps, 1.0 / encoder.frame_rate
        self._frame_rate = Fraction(encoder.frame_rate).limit_denominator(1000)
        self._desk = Desk(scene, None, (), Inputs(), 0.0)
        self._desk.state = ShowState.begun(dark)

        def mapper(stats: WStats, key: MappingKey) -> Mapper:
            words: dict[str, Any] = asdict(key)  # checked in the scene
            return Mapper(stats, encoder, **words, track=track if key.mode == "track" else None)

        self._casting = Casting(scene.drawn, stats, mapper, self._hop_s, others)
        self._begin(scene.key)
        self._heard, self._heard_now = iter(heard or ()), Heard(0, self._desk.wanted)
        self._heard_next = next(self._heard, None)
        self._by_heard = heard is not None
        self._samples = self._made = 0  # of the sound, and frames that came of it
        self._unheard = self._stills = 0  # and how many of them without the stages
        self._newest: Made | None = None
        self._frames: deque[Made] = deque(maxlen=2)
        self._onset = 0.0  # the strongest since the last picture: there may be more frames than pictures
        self._done = itertools.groupby(done, key=lambda one: one[0])
        self._next = next(self._done, None)
        self._parts: tuple[Part, ...] = ()  # of the last picture
        self._unfrozen: Moment | None = None  # the last
        self._stood = 0  # pictures that were frozen: their own time stands still

    def steps(self, sound: Iterator[Floats], rate_hz: int) -> Iterator[Step]:
        """One for every picture that begins within the sound; `sound` are [n, channels] in order."""
        heard, made, number = 0, 0, 0  # samples, encoder frames, pictures
        is_over, waiting = False, deque[Made]()
        piece = max(round(self._hop_s * rate_hz), 1)  # as often as there are frames, drives move what they are to
        blocks = _pieces((to_stereo(block)[0] for block in sound), piece)
        while True:
            time = number / self._fps
            wanted = int(time * self._frame_rate) + 1  # frames until the one in whose time the picture lies
            while made < wanted:
                while not waiting:
                    block = None if is_over else next(blocks, None)
                    if block is None:  # what the encoder holds back comes out with silence behind it
                        is_over = True
                        block = np.zeros((piece, 2), np.float32)
                    else:
                        heard += len(block)
                    waiting.extend(self._hear(block, rate_hz, heard / rate_hz))
                self._frames.append(waiting.popleft())
                made += 1
                frame = self._frames[-1].frame
                self._onset = max(self._onset, frame.features.onset)
                self._take_beat(frame, made * self._hop_s)
            if is_over and time * rate_hz >= heard:
                return
            yield self._step(number, float(time), made)
            number += 1

    def _hear(self, block: Floats, rate_hz: int, now_s: float) -> list[Made]:
        heard = self._frames[-1].frame.features if self._frames else None
        rms, onset = (heard.rms, heard.onset) if heard else (0.0, 0.0)
        while self._next and self._next[0] <= now_s:
            at_s, commands = self._next
            for _, command in commands:
                if isinstance(command, FadeTo):
                    self._casting.go_over(command)
                else:
                    self._desk.apply(command, at_s)
            self._desk.take([], at_s, rms, onset)
            self._next = next(self._done, None)
        self._desk.take([], now_s, rms, onset)
        if not self._by_heard:
            self._heard_now = Heard(self._samples, self._desk.wanted)
        frames, first = list[Made](), self._samples
        while (new := self._heard_next) and new.at < first + len(block):
            frames += self._push(block[self._samples - first : new.at - first], rate_hz)
            if new.begins:
                frames += self._still(round(self._samples / rate_hz / self._hop_s) - self._made)  # what is held back
                self._begin(new.wanted.key)
            self._heard_now, self._heard_next = new, next(self._heard, None)
        return frames + self._push(block[self._samples - first :], rate_hz)

    def _push(self, block: Floats, rate_hz: int) -> list[Made]:
        """Through the stages, by the settings of now."""
        now = self._heard_now
        self._samples += len(block)
        if now.deaf and self._newest:
            self._unheard += len(block)
            frames = self._still(round(self._unheard / rate_hz / self._hop_s) - self._stills)
            self._stills += len(frames)
            return frames
        if now.rate_hz:
            block = np.zeros((round(len(block) * now.rate_hz / rate_hz), 2), np.float32)
        self._casting.go_to(now.wanted.key, now.wanted.seconds)
        heard = Block(block, self._samples / rate_hz, float(now.rate_hz or rate_hz))
        made = self._casting.made(self._chain.push(heard, now.wanted.settings) if len(block) else [])
        self._made += len(made)
        self._newest = made[-1] if made else self._newest
        return made

    def _still(self, count: int) -> list[Made]:
        """The picture stands still for so many frames."""
        if (newest := self._newest) is None:  # there is none yet
            return []
        self._made += count
        return [replace(newest, frame=replace(newest.frame, beat=None))] * count

    def _begin(self, key: MappingKey) -> None:
        self._chain = Chain(self._encoder, self._casting.begin(key))

    def _take_beat(self, frame: Frame, now_s: float) -> None:
        if beat := frame.beat:
            self._desk.hear(Tempo(beat.bpm, now_s - beat.ago_s), beat.confidence, now_s)

    def _step(self, number: int, time_s: float, made: int) -> Step:
        desk = self._desk
        features, choices = self._frames[-1].frame.features, desk.scenes.scene.choices
        onset, self._onset = self._onset, 0.0
        aspect: Any = choices["show.aspect"]  # checked in the scene
        stands = self._unfrozen if desk.state.freeze else None
        if stands:
            self._stood += 1
        else:
            share = time_s / self._hop_s - (made - 1) if choices["generate.between"] != "newest" else 1.0
            self._parts = self._casting.see(self._frames[0], self._frames[-1], share, float(1 / self._fps))
        moment = Moment(
            desk.played,
            float((number - self._stood) / self._fps),
            features.rms,
            onset,
            light=desk.state.light(time_s),
            aspect=aspect,
            order=choices["chain.order"],
            pattern=desk.state.pattern,
            shown_s=time_s,
            balance=self._casting.balance,
        )
        if stands:
            moment = stands.frozen(moment)
        else:
            self._unfrozen = moment
        return Step(number, time_s, self._parts, moment)


def by(generator: Generator) -> Callable[[Part], Bytes]:
    """That generator makes every image."""
    return lambda part: generator.synthesize(part.controls.ws, part.controls.noise)


class Pictures:
    """Makes pictures of steps, in order."""

    def __init__(self, draw: Callable[[Part], Bytes], renderer: Renderer, target: Any, size: Size) -> None:
        """`draw` makes an image, see `by`. `target`: a framebuffer of `size` pixels in the renderer's context."""
        self._draw, self._renderer, self._target, self._size = draw, renderer, target, size

    def make(self, step: Step) -> Bytes:
        """[height, width, 4], top row first."""
        return self.draw(step, self.images(step))

    def images(self, step: Step) -> list[Bytes]:
        """Of which the picture is drawn: by as many threads at a time as `draw` is for."""
        return [self._draw(part) for part in step.parts]

    def draw(self, step: Step, images: list[Bytes]) -> Bytes:
        """`make`, of images that were made before. Runs in the thread that owns the context."""
        for part, image in zip(step.parts, images, strict=True):
            self._renderer.set_image(Image(image, step.time_s), part.seat)
        self._renderer.draw(self._target, self._size, step.moment)
        return self._renderer.read_rgba(self._size)[::-1]

    def pass_by(self, step: Step) -> None:
        """Goes on without a picture; see Renderer.pass_by."""
        self._renderer.pass_by(step.moment)


def _pieces(sound: Iterator[Floats], length: int) -> Iterator[Floats]:
    """The same sound in pieces of that many samples, whatever it came in; the last one may be shorter."""
    held = np.zeros((0, 2), np.float32)
    for block in sound:
        held = np.concatenate([held, block])
        whole = len(held) // length * length
        yield from np.split(held[:whole], range(length, whole, length)) if whole else ()
        held = held[whole:]
    if len(held):
        yield held


def track_stats(
    encoder: Encoder,
    sound: Iterator[Floats],
    rate_hz: int,
    settings: Settings,
    progress: Callable[[float], None] = lambda _seconds: None,
) -> EmbeddingStats:
    """Mean and covariance of a whole sound's embeddings: the first of two passes, as the paper has it.

    `progress` is told how many seconds were heard.
    """
    listener, heard = _Listener(encoder.dim), 0
    chain = Chain(encoder, listener)
    for block in sound:
        chain.push(Block(to_stereo(block)[0], 0.0, float(rate_hz)), settings)
        heard += len(block)
        progress(heard / rate_hz)
    mean = listener.total / max(listener.count, 1)
    covariance = listener.squares / max(listener.count, 1) - np.outer(mean, mean)
    return EmbeddingStats(mean.astype(np.float32), covariance.astype(np.float32))


class _Listener:
    """Sums embeddings up instead of mapping them."""

    def __init__(self, dim: int) -> None:
        self.count, self.total, self.squares = 0, np.zeros(dim), np.zeros((dim, dim))

    def step(self, features: Features, _settings: Settings) -> Controls:
        self.count += 1
        self.total += features.embedding
        self.squares += np.outer(features.embedding, features.embedding)
        return _NOTHING


_NOTHING = Controls(np.zeros((0, 0), np.float32), np.zeros(0, np.float32), 0.0)
