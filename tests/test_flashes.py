"""The flash limiter: no more flashes than is safe come through, and what does not flash is not touched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livelav.core.params import Settings
from livelav.core.values import Image
from livelav.show.flashes import BLOCK, OFF, SAMPLED, FlashLimiter, places
from livelav.show.headless import HeadlessSurface
from livelav.show.reduced import Reduced
from livelav.show.renderer import Moment, Renderer

FPS = 60
SHAPE = (SAMPLED[1] // BLOCK, SAMPLED[0] // BLOCK)


def shown(pictures: list[np.ndarray], most: float = 3.0) -> np.ndarray:
    """[n, ...] relative luminance of each place as it leaves the limiter."""
    limiter = FlashLimiter()
    return np.array([p * limiter.step(grey(p), i / FPS, most) ** 2.2 for i, p in enumerate(pictures)])


def grey(luminance: np.ndarray) -> np.ndarray:
    """What `places` finds where nothing is red."""
    return np.stack([luminance, np.zeros_like(luminance)])


def rises(luminance: np.ndarray) -> np.ndarray:
    """Where and when each place begins a flash, as the standard has it."""
    found = np.zeros(luminance.shape, bool)
    for place in np.ndindex(luminance.shape[1:]):
        extreme, is_up = luminance[(0, *place)], False
        for i, value in enumerate(luminance[(slice(None), *place)]):
            if is_up:
                extreme, is_up = (value, False) if value <= extreme - 0.1 else (max(extreme, value), True)
            elif value >= extreme + 0.1 and extreme < 0.8:
                found[(i, *place)], extreme, is_up = True, value, True
            else:
                extreme = min(extreme, value)
    return found


def flashes(luminance: np.ndarray) -> int:
    """The most within any second that over a quarter of the places show."""
    found, most = rises(luminance), 0
    for begin in range(len(luminance) - FPS + 1):
        counts = found[begin : begin + FPS].sum(axis=0).ravel()
        most = max(most, int(np.sort(counts)[::-1][counts.size // 4]))
    return most


def strobe(hz: float, seconds: float, low: float = 0.0, high: float = 1.0, share: float = 1.0) -> list[np.ndarray]:
    """A part of the picture that is switched on and off, beside one that stands still."""
    flashing = (np.arange(SHAPE[0] * SHAPE[1]) < share * SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    levels = [high if int(2 * hz * i / FPS) % 2 else low for i in range(round(seconds * FPS))]
    return [np.where(flashing, level, 0.3).astype(np.float32) for level in levels]


@pytest.mark.parametrize("hz", [4, 5, 10, 15, 29])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_a_strobe_leaves_with_three_flashes_a_second(hz: float, share: float) -> None:
    pictures = strobe(hz, 5.0, share=share)
    assert flashes(np.array(pictures)) > 3
    assert flashes(shown(pictures)) <= 3


@pytest.mark.parametrize("hz", [4, 5, 8])
def test_light_that_swells_over_a_picture_of_many_shades_is_limited_too(hz: float) -> None:
    shades = np.linspace(0.12, 1.0, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)
    swell = [0.5 - 0.5 * np.cos(2 * np.pi * hz * i / FPS) for i in range(4 * FPS)]
    assert flashes(np.array([shades * level for level in swell])) > 3
    assert flashes(shown([shades * np.float32(level) for level in swell])) <= 3


def test_a_strobe_that_comes_on_by_quarters_is_limited_too() -> None:
    quarter = (np.arange(SHAPE[0] * SHAPE[1]) * 4 // (SHAPE[0] * SHAPE[1])).reshape(SHAPE)
    pictures = [np.where(i % 12 < 8, quarter < i % 12, False).astype(np.float32) for i in range(4 * FPS)]  # 5 Hz
    assert flashes(np.array(pictures)) == 5
    assert flashes(shown(pictures)) <= 3


@pytest.mark.parametrize("pictures", [strobe(2.5, 4.0), strobe(10, 3.0, share=0.24), strobe(10, 3.0, 0.4, 0.49)])
def test_what_is_safe_is_not_touched(pictures: list[np.ndarray]) -> None:
    assert np.array_equal(shown(pictures), pictures)


def test_motion_is_not_touched() -> None:
    """A bright bar of a fifth of the picture that goes round four times a second."""
    columns = np.arange(SHAPE[1])
    pictures = [
        np.tile((columns + int(i / FPS * 4 * SHAPE[1])) % SHAPE[1] < SHAPE[1] / 5, (SHAPE[0], 1)).astype(np.float32)
        for i in range(3 * FPS)
    ]
    assert np.array_equal(shown(pictures), pictures)


@pytest.mark.parametrize("begin_s", [0.0, 1e6])
def test_whatever_the_clock_says_and_however_long_the_show_stood(begin_s: float) -> None:
    limiter, picture = FlashLimiter(), grey(np.full(SHAPE, 0.5, np.float32))
    for now_s in (begin_s, begin_s + 1e5, begin_s + 1e5, begin_s):
        assert limiter.step(picture, now_s, 3.0) == 1.0


def test_off_lets_everything_through() -> None:
    pictures = strobe(10, 2.0)
    assert np.array_equal(shown(pictures, OFF), pictures)


def test_once_it_is_over_the_light_comes_back_by_itself() -> None:
    limiter = FlashLimiter()
    for i, picture in enumerate(strobe(10, 3.0)):
        limiter.step(grey(picture), i / FPS, 3.0)
    assert limiter.acts
    still = grey(np.full(SHAPE, 0.5, np.float32))
    gains = [limiter.step(still, 3.0 + i / FPS, 3.0) for i in range(4 * FPS)]
    assert gains[-1] == 1.0
    assert not limiter.acts
    assert max(np.diff(gains)) < 0.25, "it does not flash in coming back"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([1.0, 3.0, 7.5]))
def test_whatever_the_whole_picture_does_it_flashes_no_more_than_is_let(seed: int, hold: int, most: float) -> None:
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.random(2 * FPS // hold) ** rng.integers(1, 4), hold).astype(np.float32)
    assert flashes(shown([np.full(SHAPE, level) for level in levels], most)) <= most


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 1.0))
def test_never_do_more_than_a_quarter_of_the_places_rise_too_often_at_once(seed: int, together: float) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.random((2 * FPS, 1, 1), dtype=np.float32)
    pictures = together * whole + (1.0 - together) * rng.random((2 * FPS, *SHAPE), dtype=np.float32)
    found = rises(shown(list(pictures)))
    within = np.cumsum(found, axis=0)
    within[FPS:] -= within[:-FPS].copy()
    assert (found & (within > 3)).mean(axis=(1, 2)).max() <= 0.25


def test_places_are_as_bright_as_light_is_and_not_as_numbers_are() -> None:
    pixels = np.zeros((SAMPLED[1], SAMPLED[0], 4), np.uint8)
    pixels[:, :32, :3] = 255
    pixels[:, 32:, :3] = 128
    found, red = places(pixels)
    assert found.shape == SHAPE
    assert not red.any()
    assert found[0, 0] == pytest.approx(1.0, abs=1e-3)
    assert found[0, -1] == pytest.approx(0.22, abs=0.01)


def of_colour(*rgb: int) -> np.ndarray:
    pixels = np.zeros((SAMPLED[1], SAMPLED[0], 4), np.uint8)
    pixels[..., :3] = rgb
    return pixels


def test_only_saturated_red_counts_as_red() -> None:
    for rgb, excess in (((255, 0, 0), 1.0), ((128, 0, 0), 0.22), ((255, 100, 100), 0.0), ((0, 0, 255), 0.0)):
        assert places(of_colour(*rgb))[1].mean() == pytest.approx(excess, abs=0.01)


def test_red_that_flashes_while_the_luminance_stays_is_limited() -> None:
    """From red to a grey as bright, ten times a second."""
    red, as_bright = of_colour(255, 0, 0), of_colour(126, 126, 126)
    assert places(red)[0].mean() == pytest.approx(places(as_bright)[0].mean(), abs=0.01)
    limiter, excess = FlashLimiter(), []
    for i in range(4 * FPS):
        light = places(red if i // 3 % 2 else as_bright)
        excess.append((light * limiter.step(light, i / FPS, 3.0) ** 2.2)[1].mean())
    rises = [i for i in range(1, len(excess)) if excess[i] - excess[i - 1] >= 1 / 16]
    assert limiter.acts
    assert max(sum(begin <= i < begin + FPS for i in rises) for begin in range(len(excess) - FPS)) <= 3


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("feedback", [0.0, 0.3])
def test_a_strobe_of_the_brightness_knob_is_limited_wherever_the_picture_is_seen(
    feedback: float, reduced: bool
) -> None:
    surface = HeadlessSurface((320, 180))
    renderer, smaller = Renderer(surface.ctx, surface.software), Reduced(surface)
    renderer.set_image(Image(np.full((64, 64, 4), 255, np.uint8), 0.0))
    plain = Settings().with_values({"show.contour": 0.0, "show.drift": 0.0, "show.feedback": feedback})
    seen, held = [], 0
    for i in range(4 * FPS):
        moment = Moment(plain.with_values({"show.brightness": float(i // 3 % 2)}), i / FPS)  # 10 Hz
        if reduced:
            target = smaller.framebuffer(0.5)
            renderer.draw(target, target.size, moment)
            smaller.show()
        else:
            renderer.draw(surface.fbo, surface.size, moment)
        shown = np.frombuffer(surface.fbo.read(components=4), np.uint8).reshape(180, 320, 4)
        recorded = [renderer.read_rgba(size) for size in ((320, 180), (160, 90))]  # one of them is what was drawn into
        seen.append([brightness(pixels) for pixels in (shown, *recorded)])
        held += renderer.holds_light_back
    smaller.close()
    renderer.close()
    surface.close()
    by_way = np.array(seen)
    assert by_way[4].max() > 0.9
    for way in range(by_way.shape[1]):
        assert flashes(by_way[:, way]) <= 3
    assert held > FPS


def test_a_test_pattern_that_comes_and_goes_is_limited_as_all_else_is() -> None:
    surface = HeadlessSurface((320, 180))
    renderer = Renderer(surface.ctx, surface.software)
    seen = []
    for i in range(4 * FPS):
        renderer.draw(
            surface.fbo, surface.size, Moment(Settings(), i / FPS, pattern=i // 3 % 2 == 1)
        )  # 10 Hz, on black
        seen.append(brightness(renderer.read_rgba(surface.size)))
    renderer.close()
    surface.close()
    assert max(pixels.mean() for pixels in seen[:10]) > 0.1, "the first ones are as they should be"
    assert flashes(np.array(seen)) <= 3


def brightness(pixels: np.ndarray) -> np.ndarray:
    rows, columns = pixels.shape[0] // 9, pixels.shape[1] // 16
    return (pixels[::rows, ::columns, :3].astype(np.float32) ** 2.2 / 255.0**2.2).mean(axis=2)
