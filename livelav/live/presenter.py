"""The picture's loop: the newest images through the shaders to the display, at its pace, and into the recording.

Never waits for another process: without a new image the last one stays and moves in the shader. Knows no process, no
command and no setting's meaning. Runs in main's first thread, which owns the surface.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from livelav.control.switches import ShowState
from livelav.core.clock import Clock, Pacer
from livelav.core.params import Settings
from livelav.core.shm import Board, Histogram, Latest
from livelav.core.values import Image
from livelav.live.pace import Pace
from livelav.show.chain import EffectChain
from livelav.show.governor import Governor
from livelav.show.hud import GhostRow, Hud, HudRow
from livelav.show.pixels import PixelReader
from livelav.show.record import RecordConfig
from livelav.show.reduced import Reduced
from livelav.show.renderer import Moment, Renderer
from livelav.show.surface import Surface

MAIN_FIELDS = (
    "started_s", "first_s", "presented", "repeated", "late", "latency_ms", "scale", "peak_rss_mb",
    "seat",  # of the synth that plays
)  # fmt: skip
PACE_FIELDS = ("present_s", "period_s")

_DRAW_BUDGET_MS = 9.0  # of the 16.7 of a picture, where the processor draws and has the generator to run besides
_HEARD_S = 0.25  # for so long what was heard with an image belongs to the picture, too


class Presenter:
    """Draws and presents; the one writer of `pace`, of `pictures` and of its own figures."""

    def __init__(
        self,
        surface: Surface,
        images: tuple[Latest, Latest],
        pace: Board,
        board: Board,
        latency_ms: Histogram,
        clock: Clock,
        fps: float,
        record: tuple[RecordConfig, Latest] | None = None,
    ) -> None:
        """`images` are the two streams that `present` goes between; `board` has MAIN_FIELDS, `pace` PACE_FIELDS;

        `record` is what to record and where pictures go for it.
        """
        self._surface, self._images, self._clock = surface, images, clock
        self._told, self._board, self._latency_ms = pace, board, latency_ms
        self._renderer = Renderer(surface.ctx, surface.software)
        self._hud = Hud(surface)
        self._governor = Governor(_DRAW_BUDGET_MS) if surface.software else None
        self._reduced = Reduced(surface) if surface.software else None
        self._pace = Pace(clock, fps)
        self._tell_pace()
        now_s = self._pace.begun_s
        self._picture_s = now_s  # the picture's own time: it stands while the show is frozen
        self._unfrozen: Moment | None = None  # the last: by that it is drawn meanwhile
        self._seen = [0, 0]  # the number of either stream's newest image
        self._heard = 0.0, 0.0  # rms and onset that belong to the image shown
        self._heard_s = now_s
        if record:
            config, self._pictures = record
            self._record_pacer = Pacer(config.fps, now_s)
            self._pixels: PixelReader | None = PixelReader(surface.ctx, config.size, surface.software)
        else:
            self._pixels = None

    def left_s(self) -> float:
        """Until the next picture is to be begun; 0 where presenting itself waits."""
        return self._pace.left_s()

    @property
    def ahead_s(self) -> float:
        """From now on, what is due in that time belongs to the next picture."""
        return self._pace.ahead_s

    def present(
        self,
        settings: Settings,
        choices: Mapping[str, str],
        state: ShowState,
        hud_rows: Callable[[], Sequence[HudRow | GhostRow]],
        level: float,
        balance: float = 0.0,
    ) -> None:
        """One picture, by the scene's `choices`. `hud_rows` and the sound's `level` 0..1 are for the HUD, the first

        asked for while it is shown. `balance` is 0 for the first stream of images alone, 1 for the second.
        """
        surface, board, begin_s = self._surface, self._board, self._clock.now_s()
        self._begin(begin_s, state.freeze)
        image = None if state.freeze else self._newest(balance, begin_s)
        rms, onset = self._heard
        aspect: Any = choices["show.aspect"]  # checked, wherever it came from
        moment = Moment(
            settings,
            self._picture_s,
            rms,
            onset,
            light=state.light(begin_s),
            aspect=aspect,
            order=choices["chain.order"],
            pattern=state.pattern,
            shown_s=begin_s,
            balance=balance,
        )
        if state.freeze and self._unfrozen is not None:
            moment = self._unfrozen.frozen(moment)
        else:
            self._unfrozen = moment
        board["scale"] = self._governor.scale if self._governor else 1.0
        self._draw(moment, board["scale"])
        if board["first_s"]:
            self._record(begin_s)
        if state.hud:
            self._hud.draw(begin_s, hud_rows, level)
        if surface.software:
            surface.ctx.finish()
        self._pace.wait()
        surface.present()
        if not board["first_s"]:
            return  # black so far, but the window answers
        shown_s = self._clock.now_s()
        cost_s = self._pace.shown(shown_s)
        if self._governor:
            self._governor.step(cost_s * 1000, shown_s)
        board["presented"] += 1
        board["repeated"] += image is None
        if image is not None:
            board["latency_ms"] = (shown_s - image.captured_s) * 1000
            self._latency_ms.add(board["latency_ms"])

    def prepare(self, settings: Settings, order: str) -> None:
        """Makes ready what a scene will need of the card, with `order` of effects. While nothing is shown only."""
        self._renderer.prepare(self._surface.fbo, settings, order)

    @property
    def holds_light_back(self) -> bool:
        """Whether the flash limiter acts."""
        return self._renderer.holds_light_back

    @property
    def chain(self) -> EffectChain:
        """The effects that pictures are drawn with."""
        return self._renderer.chain

    def news(self, now_s: float) -> list[str]:
        """What the operator should be told, once: effects that were saved are taken note of here."""
        chain = self.chain
        chain.look(now_s)
        news, chain.troubles = chain.troubles, []
        return news

    def close(self) -> None:
        """Gives the surface back."""
        if self._reduced is not None:
            self._reduced.close()
        self._surface.close()

    def _draw(self, moment: Moment, scale: float) -> None:
        surface = self._surface
        if self._reduced is None or scale == 1.0:
            self._renderer.draw(surface.fbo, surface.size, moment)
            return
        smaller = self._reduced.framebuffer(scale)
        self._renderer.draw(smaller, smaller.size, moment)
        self._reduced.show()

    def _newest(self, balance: float, now_s: float) -> Image | None:
        """The image that came since the last picture in the stream that is seen most; what came in either is handed to

        the renderer.
        """
        leading = int(balance >= 0.5)
        if 0.0 < balance < 1.0:
            self._take(1 - leading)
        new = self._take(leading)
        if new is None:
            if now_s - self._heard_s > _HEARD_S:
                self._heard = 0.0, 0.0
            return None
        image, facts = new
        self._heard, self._heard_s = (facts["rms"], facts["onset"]), now_s
        if not self._board["first_s"]:
            self._board["first_s"] = now_s
        return image

    def _take(self, stream: int) -> tuple[Image, dict[str, float]] | None:
        """A stream's newest image, if it was not taken before, and what was heard with it."""
        new = self._images[stream].read(self._seen[stream])
        if new is None:
            return None
        self._seen[stream], flat, facts = new
        image = Image(flat.reshape(int(facts["height"]), int(facts["width"]), 4), facts["captured_s"])
        self._renderer.set_image(image, stream)
        return image, facts

    def _record(self, now_s: float) -> None:
        if self._pixels is None or now_s < self._record_pacer.due_s:
            return
        self._record_pacer.advance(now_s)
        surface, size = self._surface, self._pixels.size
        if picture := self._pixels.read(surface.fbo if surface.size == size else self._renderer.picture(size), now_s):
            pixels, presented_s = picture
            self._pictures.publish(pixels, presented_s, pixels.shape[1], pixels.shape[0])

    def _begin(self, now_s: float, frozen: bool) -> None:
        """Counts what came late, moves the picture's own time, and tells the synth when pictures are presented."""
        step_s, late = self._pace.begin(now_s, self._surface.blocks)
        if self._board["first_s"]:
            self._board["late"] += late
        if not frozen:
            self._picture_s += step_s
        self._tell_pace()

    def _tell_pace(self) -> None:
        self._told["period_s"], self._told["present_s"] = self._pace.period_s, self._pace.begun_s
