"""Effects on the enlarged image, one small pass each, drawn again only when the image or a parameter has changed.

Runs in the thread that owns the context.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import moderngl

from livelav.core.effects import Effect
from livelav.core.params import Settings
from livelav.show.chain import EffectChain, given, hand_over
from livelav.show.kept import Kept
from livelav.show.shaders import EVERYWHERE, build, mesh, release, set_uniforms
from livelav.show.targets import make_target, release_target, texture_of

SOFT_SIDE, SMOOTH_SIDE = 32, 128  # pixels of the blurred copy that glow is taken from, as it is made and enlarged
_SPACING = 0.022  # between its taps, in image sides


class ImageEffects:
    """Holds what they draw into."""

    def __init__(self, ctx: moderngl.Context, chain: EffectChain, folder: Path | None = None) -> None:
        """Raises ShaderError where a shader does not compile."""
        self._chain = chain
        self._soften = mesh(ctx, build(ctx, "full.vert", "soft.frag", folder=folder), EVERYWHERE)
        self._smoothen = mesh(ctx, build(ctx, "full.vert", "smooth.frag", folder=folder), EVERYWHERE)
        self._soft, self._smooth = (make_target(ctx, (side, side), "f4") for side in (SOFT_SIDE, SMOOTH_SIDE))
        self._pairs = Kept(lambda size: [make_target(ctx, size, "f4") for _ in range(2)], _release)
        self._drawn: tuple[object, ...] = ()  # what the last one shows
        self._result: moderngl.Texture | None = None

    def texture(
        self,
        enlarged: moderngl.Texture,
        version: object,
        effects: Sequence[Effect],
        settings: Settings,
        time_s: float,
        frames: float,
    ) -> moderngl.Texture:
        """What `effects` make of `enlarged`, whose content is the same while `version` is.

        Draws, where something has changed, through texture units 0 and 1.
        """
        if not effects:
            return enlarged
        moves = any(effect.mentions("time") or effect.mentions("frames") for effect in effects)
        values = [given(effect, settings, frames) for effect in effects]
        wanted = version, tuple(effects), values, (time_s, frames) if moves else None
        if self._result is not None and wanted == self._drawn:
            return self._result
        targets = self._pairs[enlarged.size]  # drawn into in turn
        seen = enlarged
        for number, effect in enumerate(effects):
            made = self._chain.program("effect.frag", (effect,))
            if effect.mentions("glow"):
                self._make_glow(seen)
            seen.use(0)
            texture_of(self._smooth).use(1)
            texel = 1.0 / enlarged.width, 1.0 / enlarged.height
            set_uniforms(made.program, before=0, soft=1, texel=texel, time=time_s, frames=frames)
            hand_over(made.program, (effect,), settings, frames)
            targets[number % 2].use()
            made.render()
            seen = texture_of(targets[number % 2])
        self._drawn, self._result = wanted, seen
        return seen

    def close(self) -> None:
        """Gives textures and programs back."""
        self._pairs.close()
        self._result = None
        _release((self._soft, self._smooth))
        for one in (self._soften, self._smoothen):
            release(one)

    def _make_glow(self, seen: moderngl.Texture) -> None:
        seen.use(0)
        set_uniforms(self._soften.program, before=0, spacing=_SPACING)
        self._soft.use()
        self._soften.render()
        texture_of(self._soft).use(0)
        set_uniforms(self._smoothen.program, soft=0)
        self._smooth.use()
        self._smoothen.render()


def _release(targets: Iterable[moderngl.Framebuffer]) -> None:
    for target in targets:
        release_target(target)
