"""The picture: what the shaders draw, how it moves, what the HUD adds. Headless, with real OpenGL."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import moderngl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.core.errors import DisplayError
from livelav.core.params import Settings
from livelav.core.store import data_dir
from livelav.core.values import Bytes, Floats, Image
from livelav.show import chain as chain_module
from livelav.show.governor import LOOK, RAISE_AFTER_S, TRIAL, Governor
from livelav.show.grade import grade
from livelav.show.headless import HeadlessSurface
from livelav.show.hud import GhostRow, Hud
from livelav.show.levels import CELLS, LevelRange, Spline, level_field
from livelav.show.motion import Motion
from livelav.show.pixels import PixelReader
from livelav.show.reduced import Reduced
from livelav.show.renderer import Moment, Renderer, framing
from livelav.show.shaders import build

SIZE = (320, 180)
PLAIN = Settings().with_values({"show.contour": 0.0, "show.drift": 0.0})


@pytest.fixture(scope="module")
def surface() -> Iterator[HeadlessSurface]:
    surface = HeadlessSurface(SIZE)
    yield surface
    surface.close()


@pytest.fixture
def renderer(surface: HeadlessSurface) -> Iterator[Renderer]:
    renderer = Renderer(surface.ctx, surface.software)
    yield renderer
    renderer.close()


def image(pixels: Bytes) -> Image:
    return Image(np.ascontiguousarray(pixels), 0.0)


def even(*rgb: int, side: int = 64) -> Image:
    return image(np.full((side, side, 4), (*rgb, 255), np.uint8))


def waves(side: int = 256) -> Image:
    y, x = np.mgrid[0:side, 0:side] / side
    rgb = [0.5 + 0.5 * np.sin(7 * x + 3 * np.sin(5 * y + k) + k) for k in range(3)]
    return image((np.stack([*rgb, np.ones_like(x)], -1) * 255).astype(np.uint8))


def drawn(renderer: Renderer, surface: HeadlessSurface, moment: Moment, scale: float = 1.0) -> Bytes:
    """[height, width, 3], top row first."""
    if scale == 1.0:
        renderer.draw(surface.fbo, SIZE, moment)
    else:
        reduced = Reduced(surface)
        smaller = reduced.framebuffer(scale)
        renderer.draw(smaller, smaller.size, moment)
        reduced.show()
        reduced.close()
    return np.frombuffer(surface.fbo.read(components=4), np.uint8).reshape(*SIZE[::-1], 4)[::-1, :, :3]


# ---- the picture ----


def test_black_before_the_first_image(surface: HeadlessSurface, renderer: Renderer) -> None:
    surface.fbo.clear(1.0, 1.0, 1.0, 1.0)
    assert not drawn(renderer, surface, Moment(Settings(), 0.0)).any()


def test_an_even_image_comes_out_in_its_own_colour(surface: HeadlessSurface, renderer: Renderer) -> None:
    renderer.set_image(even(200, 100, 30))
    shown = drawn(renderer, surface, Moment(PLAIN, 0.0)).astype(int)
    assert np.abs(shown - [200, 100, 30]).max() <= 1


@pytest.mark.parametrize("side", [32, 128, 256, 512, 1024])
def test_top_left_stays_top_left_at_every_image_size(surface: HeadlessSurface, renderer: Renderer, side: int) -> None:
    pixels = np.full((side, side, 4), 255, np.uint8)
    pixels[..., :3] = 0
    pixels[: side // 2, : side // 2, 0] = 255
    pixels[side // 2 :, side // 2 :, 2] = 255
    renderer.set_image(image(pixels))
    shown = drawn(renderer, surface, Moment(PLAIN, 0.0))
    assert shown[40, 70].tolist() == [255, 0, 0]
    assert shown[140, 250].tolist() == [0, 0, 255]
    assert shown[40, 250].tolist() == [0, 0, 0]


def test_enlarging_is_smoother_than_pixels_and_sharper_than_a_blur(
    surface: HeadlessSurface, renderer: Renderer
) -> None:
    pixels = np.full((32, 32, 4), 255, np.uint8)
    pixels[:, :16, :3] = 0
    renderer.set_image(image(pixels))
    row = drawn(renderer, surface, Moment(PLAIN, 0.0))[90, :, 0].astype(int)
    rise = np.flatnonzero((row > 12) & (row < 243))
    assert np.all(np.diff(row[rise]) >= 0), "no steps back"
    assert 5 <= len(rise) <= 14, "a pixel of this image is ten of the window's"


def test_fit_shows_the_whole_square_between_black_bars(surface: HeadlessSurface, renderer: Renderer) -> None:
    renderer.set_image(even(255, 255, 255))
    shown = drawn(renderer, surface, Moment(PLAIN, 0.0, aspect="fit"))
    lit = np.flatnonzero(shown[90, :, 0] > 128)
    assert (lit[0], lit[-1]) == pytest.approx((70, 249), abs=1)
    assert shown[:, 160].min() == 255


def test_stretch_shows_all_of_the_image_all_over_the_window(surface: HeadlessSurface, renderer: Renderer) -> None:
    quarters = np.zeros((32, 32, 4), np.uint8)
    quarters[:16, :16, 0] = quarters[:16, 16:, 1] = quarters[16:, :16, 2] = quarters[16:, 16:, :3] = 255
    renderer.set_image(image(quarters))
    shown = drawn(renderer, surface, Moment(PLAIN, 0.0, aspect="stretch"))
    corners = [shown[y, x, :3] > 128 for y in (20, 160) for x in (20, 300)]
    colours = {(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)}
    assert {tuple(corner.astype(int)) for corner in corners} == colours


def test_fill_cuts_the_longer_way() -> None:
    wide, tall = framing((1280, 720), "fill"), framing((720, 1280), "fill")
    assert (wide.cover, wide.edge, wide.inwards) == ((1.0, 1.0), (1280 / 720, 1.0), 0.28125)
    assert (tall.cover, tall.edge, tall.inwards) == ((1.0, 1.0), (1.0, 1280 / 720), 0.28125)
    assert framing((1280, 720), "stretch") == framing((720, 720), "fit"), "all of the image, all over the window"
    wide, tall = framing((1280, 720), "fit"), framing((720, 1280), "fit")
    assert (wide.cover, wide.edge, wide.inwards) == ((0.5625, 1.0), (1.0, 1.0), 0.5)
    assert (tall.cover, tall.edge, tall.inwards) == ((1.0, 0.5625), (1.0, 1.0), 0.5)


def test_brightness_and_blackout_reach_black(surface: HeadlessSurface, renderer: Renderer) -> None:
    renderer.set_image(waves())
    full = drawn(renderer, surface, Moment(Settings(), 0.0)).mean()
    half = drawn(renderer, surface, Moment(Settings(), 0.0, light=0.5)).mean()
    assert half == pytest.approx(full / 2, rel=0.02)
    assert not drawn(renderer, surface, Moment(Settings(), 0.0, light=0.0)).any()
    dark = Settings().with_values({"show.brightness": 0.0, "show.feedback": 0.9})
    assert not drawn(renderer, surface, Moment(dark, 0.0)).any()


def test_lines_follow_the_picture_and_their_number_follows_density(
    surface: HeadlessSurface, renderer: Renderer
) -> None:
    ramp = np.linspace(0, 255, 256).astype(np.uint8)
    pixels = np.full((256, 256, 4), 255, np.uint8)
    pixels[..., :3] = (ramp // 4 + 60)[None, :, None]
    renderer.set_image(image(pixels))

    def lines(density: float) -> int:
        settings = PLAIN.with_values({"show.contour": 1.0, "show.density": density})
        shown = drawn(renderer, surface, Moment(settings, 0.0)).astype(int)
        assert np.abs(shown[20] - shown[160]).max() <= 3, "lines of a ramp are straight"
        bright = shown[90].sum(-1) > 1.5 * np.median(shown[90].sum(-1))
        return int(np.count_nonzero(bright[1:] & ~bright[:-1]))

    few, many = lines(3.0), lines(9.0)
    assert 2 <= few <= 4
    assert many == pytest.approx(3 * few, abs=2)


def test_a_generators_noise_does_not_tear_the_lines(surface: HeadlessSurface, renderer: Renderer) -> None:
    settings = PLAIN.with_values({"show.contour": 1.0})
    smooth = waves()
    renderer.set_image(smooth)
    clean = drawn(renderer, surface, Moment(settings, 0.0)).astype(int)
    noisy = smooth.pixels + np.random.default_rng(0).normal(0, 4, smooth.pixels.shape)
    renderer.set_image(image(noisy.clip(0, 255).astype(np.uint8)))
    moved = np.abs(drawn(renderer, surface, Moment(settings, 0.0)).astype(int) - clean).max(-1)
    assert np.mean(moved > 40) < 0.02


def test_the_same_moments_make_the_same_pictures(surface: HeadlessSurface) -> None:
    def run() -> Bytes:
        renderer = Renderer(surface.ctx, surface.software)
        renderer.set_image(waves())
        settings = Settings().with_values({"show.feedback": 0.8})
        shown = [drawn(renderer, surface, Moment(settings, n / 60, rms=0.1, onset=float(n == 3))) for n in range(8)]
        renderer.close()
        return shown[-1]

    assert np.array_equal(run(), run())


def test_without_a_new_image_it_keeps_moving_and_without_drift_it_stands(
    surface: HeadlessSurface, renderer: Renderer
) -> None:
    renderer.set_image(waves())
    before = drawn(renderer, surface, Moment(Settings(), 10.0)).astype(int)
    assert np.abs(drawn(renderer, surface, Moment(Settings(), 10.2)).astype(int) - before).mean() > 1
    still = drawn(renderer, surface, Moment(PLAIN, 20.0))
    assert np.array_equal(drawn(renderer, surface, Moment(PLAIN, 25.0)), still)


def test_an_onset_lights_the_lines_at_once_and_fades(surface: HeadlessSurface, renderer: Renderer) -> None:
    settings = PLAIN.with_values({"show.contour": 1.0})
    renderer.set_image(waves())
    calm = drawn(renderer, surface, Moment(settings, 0.0)).mean()
    hit = drawn(renderer, surface, Moment(settings, 0.02, onset=1.0)).mean()
    for n in range(1, 60):
        after = drawn(renderer, surface, Moment(settings, 0.02 + n / 60)).mean()
    assert hit > calm + 2
    assert after == pytest.approx(calm, abs=0.5)


def test_feedback_leaves_a_trail_that_fades_at_the_same_pace_at_any_rate(surface: HeadlessSurface) -> None:
    settings = PLAIN.with_values({"show.feedback": 0.9})

    def left(rate_hz: int) -> float:
        renderer = Renderer(surface.ctx, surface.software)
        renderer.set_image(even(255, 255, 255))
        drawn(renderer, surface, Moment(settings, 0.0))
        renderer.set_image(even(0, 0, 0))
        for n in range(1, rate_hz // 10 + 1):
            shown = drawn(renderer, surface, Moment(settings, n / rate_hz))
        for n in range(1, 400):
            gone = drawn(renderer, surface, Moment(settings, 0.1 + n / 60))
        renderer.close()
        assert gone.max() <= 1, "no ghost stays"
        return float(shown[90, 160, 0])

    assert left(60) == pytest.approx(255 * 0.9**6, rel=0.05)
    assert left(30) == pytest.approx(left(60), rel=0.05)


def test_feedback_at_half_scale_shows_the_same_picture(surface: HeadlessSurface, renderer: Renderer) -> None:
    renderer.set_image(waves())
    settings = PLAIN.with_values({"show.feedback": 0.5})
    full = drawn(renderer, surface, Moment(settings, 0.0)).astype(int)
    half = drawn(renderer, surface, Moment(settings, 0.0), scale=0.5).astype(int)
    plain = drawn(renderer, surface, Moment(PLAIN, 0.0), scale=0.5).astype(int)
    assert np.abs(full - half).mean() < 2
    assert np.abs(full - plain).mean() < 2


@pytest.mark.parametrize("effect", [{}, {"kaleidoscope.amount": 1.0}, {"contrast.amount": 0.4}])
@pytest.mark.parametrize("scale", [0.5, 0.37])
def test_a_picture_of_fewer_pixels_is_the_same_but_softer(
    surface: HeadlessSurface, renderer: Renderer, effect: dict[str, float], scale: float
) -> None:
    renderer.set_image(waves())
    moment = Moment(PLAIN.with_values(effect), 0.0, light=0.7)
    full, half = (drawn(renderer, surface, moment, s).astype(int) for s in (1.0, scale))
    assert full.mean() > 20
    assert np.abs(full - half).mean() < 2


@pytest.mark.parametrize("times", [2, 4])
def test_lines_of_a_small_picture_are_those_of_a_large_one_seen_from_afar(
    surface: HeadlessSurface, renderer: Renderer, times: int
) -> None:
    """As wide and as bright on the whole, and without stairs."""

    def lines(width: int, height: int) -> Floats:
        target = surface.ctx.framebuffer([surface.ctx.texture((width, height), 4)])
        pictures = []
        for contour in (0.0, 1.0):
            settings = Settings().with_values({"show.contour": contour, "show.drift": 0.0})
            renderer.set_image(waves())
            renderer.draw(target, (width, height), Moment(settings, 1.0))
            pixels = np.frombuffer(target.read(components=3), np.uint8).reshape(height, width, 3)
            pictures.append(pixels.astype(np.float32))
        return pictures[1] - pictures[0]

    large = lines(1280, 720).reshape(720 // times, times, 1280 // times, times, 3).mean(axis=(1, 3))
    small = lines(1280 // times, 720 // times)
    assert small.mean() == pytest.approx(large.mean(), abs=0.5)
    stairs = np.square(small - large).mean() / np.square(large).mean()
    assert stairs < (0.034 * times) ** 2, "a third less than where edges are as wide as in the large one"


def test_what_is_prepared_is_not_built_again_and_shows_nothing(
    surface: HeadlessSurface, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer, scene = (
        Renderer(surface.ctx, surface.software),
        PLAIN.with_values({"bloom.amount": 1, "show.feedback": 0.5}),
    )
    renderer.prepare(surface.fbo, scene, "")
    assert not drawn(renderer, surface, Moment(scene, 0.0)).any(), "black before the first image, as ever"
    monkeypatch.setattr(chain_module, "build", None)
    renderer.set_image(waves())
    for scale in (1.0, 0.5):
        assert drawn(renderer, surface, Moment(scene, 0.1), scale).mean() > 20
    renderer.close()


def test_a_crossfade_asks_the_card_for_no_memory_while_pictures_are_seen(
    surface: HeadlessSurface, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = Renderer(surface.ctx, surface.software)
    scene = PLAIN.with_values({"bloom.amount": 1})
    renderer.prepare(surface.fbo, scene, "")
    monkeypatch.setattr(moderngl.Context, "texture", None)
    other = 512 if surface.software else 256
    for stream, side in ((0, 256), (1, 256), (0, other), (1, other), (0, 256)):
        renderer.set_image(waves(side), stream)
        for share in (0.0, 0.5, 1.0):
            balance = share if stream else 1.0 - share
            assert drawn(renderer, surface, Moment(scene, 0.1, balance=balance)).mean() > 20
    renderer.close()


@pytest.mark.parametrize("feedback", [0.0, 0.3])
def test_what_is_brighter_than_white_is_dimmed_as_white_is(
    surface: HeadlessSurface, renderer: Renderer, feedback: float
) -> None:
    """Else a blackout, or the flash limiter, would leave the brightest parts as they are for a while."""
    renderer.set_image(image(np.full((64, 64, 4), 255, np.uint8)))
    glaring = PLAIN.with_values({"show.contour": 1.0, "bloom.amount": 1.0, "show.feedback": feedback})
    assert drawn(renderer, surface, Moment(glaring, 0.0)).max() == 255
    assert drawn(renderer, surface, Moment(glaring, 0.1, light=0.5)).max() <= 128


def test_what_was_drawn_long_ago_leaves_no_echo(surface: HeadlessSurface, renderer: Renderer) -> None:
    echo = PLAIN.with_values({"show.feedback": 0.9})
    renderer.set_image(even(255, 255, 255))
    drawn(renderer, surface, Moment(echo, 0.0))
    renderer.set_image(even(0, 0, 0))
    drawn(renderer, surface, Moment(PLAIN, 0.1))
    assert drawn(renderer, surface, Moment(echo, 0.12)).max() <= 1


def test_images_may_change_their_size_and_draw_into_any(surface: HeadlessSurface, renderer: Renderer) -> None:
    for side in (64, 256, 64):
        renderer.set_image(even(90, 90, 90, side=side))
        assert np.abs(drawn(renderer, surface, Moment(PLAIN, 0.0)).astype(int) - 90).max() <= 1
    for size in ((640, 360), (100, 300)):
        other = surface.ctx.simple_framebuffer(size, components=4)
        renderer.draw(other, size, Moment(PLAIN, 0.0))
        assert np.abs(renderer.read_rgba(size)[..., :3].astype(int) - 90).max() <= 1
        other.release()


# ---- reading it back ----


@pytest.mark.parametrize("feedback", [0.0, 0.5])
def test_a_reader_of_another_size_gets_the_same_picture(
    surface: HeadlessSurface, renderer: Renderer, feedback: float
) -> None:
    renderer.set_image(waves())
    settings = PLAIN.with_values({"show.feedback": feedback})
    full = drawn(renderer, surface, Moment(settings, 0.0)).astype(int)
    small = renderer.read_rgba((160, 90))[::-1, :, :3].astype(int)
    assert np.abs(full.reshape(90, 2, 160, 2, 3).mean((1, 3)) - small).mean() < 3


def test_a_pipelined_reader_gives_the_same_pictures_one_call_later(
    surface: HeadlessSurface, renderer: Renderer
) -> None:
    at_once = PixelReader(surface.ctx, SIZE, software=True)
    later = PixelReader(surface.ctx, SIZE, software=False)
    taken: list[tuple[Bytes, float]] = []
    for n, light in enumerate((10, 100, 200)):
        renderer.set_image(even(light, light, light))
        renderer.draw(surface.fbo, SIZE, Moment(PLAIN, n / 60))
        now, before = at_once.read(surface.fbo, float(n)), later.read(surface.fbo, float(n))
        assert now is not None and now[1] == n and now[0][90, 160, 0] == pytest.approx(light, abs=1)
        if before is None:
            assert n == 0
        else:
            assert before[1] == n - 1
            assert np.array_equal(before[0], taken[-1][0])
        taken.append((now[0].copy(), now[1]))
    at_once.close()
    later.close()


# ---- its parts ----


@given(st.floats(-180, 180), st.floats(0, 2))
def test_grading_keeps_greys_and_hue_turns_add_up(hue: float, saturation: float) -> None:
    assert grade(hue, saturation) @ np.ones(3) == pytest.approx(np.ones(3), abs=1e-5)
    assert grade(hue, 1.0) @ grade(-hue, 1.0) == pytest.approx(np.eye(3), abs=1e-5)
    assert grade(120, 1.0) @ [1, 0, 0] == pytest.approx([0, 1, 0], abs=1e-5)
    grey = grade(hue, 0.0) @ [0.3, 0.6, 0.1]
    assert grey == pytest.approx([grey[0]] * 3, abs=1e-5)


def test_the_level_is_smooth_and_the_same_for_every_size_of_image() -> None:
    small, large = level_field(waves(256).pixels), level_field(waves(1024).pixels)
    assert small.shape == (CELLS, CELLS)
    assert np.abs(small - large).max() < 0.05
    fine = Spline(256, CELLS)(small)
    assert np.abs(np.diff(fine, 2, axis=0)).max() < 0.01
    ones = np.ones((CELLS, 1), np.float32)
    assert Spline(300, 1)(ones) == pytest.approx(np.ones((300, 1)), abs=1e-5)


def test_the_range_takes_the_first_image_at_once_and_follows_others_slowly() -> None:
    follow = LevelRange()
    follow.aim(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))
    first = follow.spread
    follow.aim(np.zeros((8, 8), np.float32))
    assert follow.spread == first, "only time moves it"
    follow.step(0.01)
    assert 0.95 * first < follow.spread < first
    follow.step(100.0)
    assert follow.spread > 0, "an even picture has no lines, and no infinite number of them"


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 5), st.lists(st.floats(0, 1000), min_size=1, max_size=20))
def test_motion_is_bounded_and_has_no_jumps(drift: float, rms: float, onset: float, steps: list[float]) -> None:
    motion, time_s = Motion(), 0.0
    for step in steps:
        time_s += step
        pose = motion.step(time_s, drift, rms, onset)
        assert 1.0 <= pose.zoom <= 1.3 and abs(pose.turn) <= 0.1 and 0 <= pose.warp <= 0.05
        assert 0.0 <= pose.lines < 1.0 and 0.0 < pose.glow < 1.5
    soon = motion.step(time_s + 1e-4, drift, rms, onset)
    assert abs((soon.lines - pose.lines + 0.5) % 1.0 - 0.5) < 1e-3
    assert abs(soon.turn - pose.turn) + abs(soon.zoom - pose.zoom) < 1e-3


def test_time_that_stalls_or_goes_back_is_survived() -> None:
    motion = Motion()
    first = motion.step(100.0, 1.0, 1.0, 0.0)
    after = motion.step(1e6, 1.0, 1.0, 0.0)
    assert abs(after.lines - first.lines) < 0.2, "a stall is no leap"
    assert motion.step(5.0, 1.0, 1.0, 0.0).lines == after.lines


def test_the_governor_steps_down_soon_and_up_late() -> None:
    governor = Governor(budget_ms=5.0)
    scales = [governor.step(1.0, n / 60) for n in range(TRIAL)]
    assert scales == [0.5] * (TRIAL - 1) + [1.0], "what is cheap is drawn in full at once"
    for n in range(LOOK):
        governor.step(50.0 if n == 0 else 4.0, 0.5 + n / 60)
        assert governor.scale == 1.0, "one slow picture is nothing"
    scales = [governor.step(9.0, 1 + n / 60) for n in range(2 * LOOK)]
    assert scales[-1] == 0.5
    now_s = 3.0
    while governor.step(1.0, now_s) == 0.5:
        now_s += 1 / 60
    assert RAISE_AFTER_S < now_s < RAISE_AFTER_S + 4
    for full_ms, half_ms in ((9.0, 2.0), (5.5, 4.9)):  # half saves much, or a tenth only
        dear = Governor(budget_ms=5.0)
        scales = [dear.scale]
        for n in range(60 * 3600):
            scales.append(dear.step(full_ms if scales[-1] == 1.0 else half_ms, n / 60))
        assert scales.count(1.0) < 0.01 * len(scales), "what does not fit at full scale is hardly tried in an hour"
    burst = Governor(budget_ms=9.0)  # something else was dear for a moment: full costs 8 ms, half 5
    for n in range(LOOK):
        burst.step(28.0, n / 60)
    now_s = 1.0
    while burst.step(5.0, now_s) == 0.5:
        now_s += 1 / 60
        assert now_s < 120.0, "it is tried again"


@pytest.mark.parametrize("folder_line", [("picture.frag", 5), ("across.frag", 11), ("picture.vert", 4)])
def test_a_broken_shader_is_named_with_its_line(
    surface: HeadlessSurface, tmp_path: Path, folder_line: tuple[str, int]
) -> None:
    name, line = folder_line
    folder = Path(shutil.copytree(data_dir("shaders"), tmp_path / "shaders"))
    text = (folder / name).read_text().splitlines()
    text.insert(line - 1, "float broken = nothing_of_that_name;")
    (folder / name).write_text("\n".join(text))
    with pytest.raises(DisplayError, match=rf"{name} line {line}: .*nothing_of_that_name") as caught:
        Renderer(surface.ctx, True, folder)
    assert "\n" not in str(caught.value)


def test_a_missing_shader_and_one_that_does_not_link_are_one_line(surface: HeadlessSurface, tmp_path: Path) -> None:
    with pytest.raises(DisplayError, match="cannot read shader"):
        build(surface.ctx, "full.vert", "none.frag")
    (tmp_path / "a.vert").write_text("#version 330\nout vec2 there;\nvoid main() { gl_Position = vec4(0); }\n")
    (tmp_path / "a.frag").write_text("#version 330\nin vec3 there;\nout vec4 c;\nvoid main() { c = there.xyzz; }\n")
    with pytest.raises(DisplayError, match="link") as caught:
        build(surface.ctx, "a.vert", "a.frag", folder=tmp_path)
    assert "\n" not in str(caught.value)


# ---- the HUD ----


def test_a_hud_that_is_too_high_does_without_its_last_rows(surface: HeadlessSurface) -> None:
    hud = Hud(surface)
    surface.fbo.clear(1.0, 1.0, 1.0, 1.0)
    hud.draw(0.0, lambda: [("label", f"row {n}", n == 2) for n in range(60)], level=0.0)
    lowest = np.frombuffer(surface.fbo.read(components=3), np.uint8).reshape(SIZE[1], SIZE[0], 3)[0]
    hud.close()
    assert (lowest == 255).all(), "it ends within the window"


def test_the_hud_is_drawn_over_a_corner_and_asked_four_times_a_second(
    surface: HeadlessSurface, renderer: Renderer
) -> None:
    hud, asked = Hud(surface), list[float]()

    def rows() -> list[tuple[str, str, bool]]:
        asked.append(1.0)
        return [("picture", f"{len(asked)} fps", False), ("SILENT", "nothing heard", True)]

    renderer.set_image(even(0, 80, 160))
    for n in range(120):
        bare = drawn(renderer, surface, Moment(PLAIN, n / 60))
        hud.draw(n / 60, rows, level=0.5)
    shown = np.frombuffer(surface.fbo.read(components=3), np.uint8).reshape(SIZE[1], SIZE[0], 3)[::-1]
    changed = np.abs(shown.astype(int) - bare).max(-1) > 8
    assert 7 <= len(asked) <= 9
    assert changed[:90, :120].mean() > 0.2
    assert not changed[120:].any() and not changed[:, 220:].any()
    amber = (shown[..., 0] > 200) & (shown[..., 1] > 120) & (shown[..., 2] < 90)
    assert amber.any(), "a warning stands out"
    assert not (np.abs(drawn(renderer, surface, Moment(PLAIN, 2.0)).astype(int) - bare) > 1).any(), "it leaves no trace"
    hud.close()


def test_the_meter_is_as_long_as_the_level(surface: HeadlessSurface, renderer: Renderer) -> None:
    hud = Hud(surface)

    def green(level: float) -> int:
        drawn(renderer, surface, Moment(PLAIN, 0.0))
        hud.draw(0.0, lambda: [("a", "b", False)], level)
        shown = np.frombuffer(surface.fbo.read(components=3), np.uint8).reshape(-1, 3).astype(int)
        return int(np.count_nonzero((shown[:, 1] > 150) & (shown[:, 0] < 120)))

    none, quarter, half = green(0.0), green(0.25), green(0.5)
    assert none == 0
    assert half == pytest.approx(2 * quarter, rel=0.1)
    assert quarter > 0
    hud.close()


def test_a_ghost_is_a_mark_on_its_knobs_way_that_moves_with_the_knob(surface: HeadlessSurface) -> None:
    def mark(value: float, knob: float) -> tuple[float, float]:
        """(where the mark is, how far the way is filled), in pixels."""
        hud = Hud(surface)
        surface.fbo.clear(0.0, 0.0, 0.0, 1.0)
        hud.draw(0.0, lambda: [GhostRow("", "", value, knob)], 0.0)
        hud.close()
        shown = np.frombuffer(surface.fbo.read(components=3), np.uint8).reshape(SIZE[1], SIZE[0], 3).astype(int)[..., 1]
        return float(np.nonzero((shown > 225).any(0))[0].mean()), float(((shown > 140) & (shown < 160)).any(0).sum())

    (left, little), (right, much), (middle, same) = mark(0.25, 0.1), mark(0.75, 0.9), mark(0.75, 0.5)
    assert left < middle < right
    assert middle == pytest.approx((left + right) / 2, abs=1.5)
    assert much == pytest.approx(3 * little, abs=8) and abs(much - same) <= 8
    assert mark(0.25, 7.0) == pytest.approx(mark(0.25, 1.0)), "it stays on the way"


def test_the_test_pattern_reaches_the_very_edge_and_shows_every_step_of_grey(
    surface: HeadlessSurface, renderer: Renderer
) -> None:
    renderer.set_image(even(200, 100, 30))
    shown = drawn(renderer, surface, Moment(PLAIN, 0.0, pattern=True)).astype(int)
    for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1]):
        assert (edge == edge[0]).all() and edge[0, 0] > 200 > edge[0, 1], "a red frame, unbroken"
    greys = {int(grey) for grey in shown[np.ptp(shown, axis=2) == 0][:, 0]}
    assert set(range(0, 256, 17)) <= greys
    middle = shown[SIZE[1] // 2]
    ring = np.flatnonzero(middle.min(axis=1) > 250)
    assert ring[-1] - ring[0] == pytest.approx(8 * (SIZE[1] // 9), abs=2), "as wide as it is high"
    assert not drawn(renderer, surface, Moment(PLAIN, 0.0, light=0.0, pattern=True)).any(), "blackout is black"
