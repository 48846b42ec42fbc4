"""What is drawn into: framebuffers of one texture each.

Runs in the thread that owns the context.
"""

import moderngl

Size = tuple[int, int]  # pixels across and down


def make_target(ctx: moderngl.Context, size: Size, dtype: str = "f1") -> moderngl.Framebuffer:
    """RGBA, "f1" as displays have it or "f4" of float; read between its pixels it is smooth, beyond its edges it is as

    there. `release_target` gives all of it back.
    """
    texture = ctx.texture(size, 4, dtype=dtype)
    texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
    texture.repeat_x = texture.repeat_y = False
    return ctx.framebuffer([texture])


def texture_of(target: moderngl.Framebuffer) -> moderngl.Texture:
    """What is drawn into it."""
    texture = target.color_attachments[0]
    assert isinstance(texture, moderngl.Texture)
    return texture


def release_target(target: moderngl.Framebuffer) -> None:
    """Gives it back with its texture."""
    texture_of(target).release()
    target.release()
