"""Effects: what their files declare, what each does to the picture, in which order, and what a broken one costs."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as quick
from hypothesis import strategies as st
from test_show import PLAIN, SIZE, drawn, even, image, waves
from x_trying import try_out

from livelav.core.effects import MAX_BYTES, Effect, effect_files, find_effects, folders, read_effect
from livelav.core.errors import EffectError, ParamError
from livelav.core.params import BY_NAME, CHOICE_BY_NAME, EFFECT_TROUBLES, EFFECTS, Settings
from livelav.core.store import config_dir
from livelav.core.values import Bytes, Floats
from livelav.show.chain import LOOK_S, EffectChain
from livelav.show.chain import given as handed
from livelav.show.headless import HeadlessSurface
from livelav.show.renderer import Moment, Renderer

GOOD = """\
// Leans to one side.
// kind warp
// param amount 0 -1 1 "how far it leans"
// param bend 1 0.5 2 log "and bends"

vec2 lean(vec2 place) {
    return place + vec2(amount * pow(abs(place.y), bend), 0.0);
}
"""
STRONG = {effect.params[0]: 0.7 * BY_NAME[effect.params[0]].hi for effect in EFFECTS}  # an amount of each
Draw = Callable[..., Floats]


@pytest.fixture(scope="module")
def surface() -> Iterator[HeadlessSurface]:
    surface = HeadlessSurface(SIZE)
    yield surface
    surface.close()


@pytest.fixture
def renderer(surface: HeadlessSurface) -> Iterator[Renderer]:
    renderer = Renderer(surface.ctx, surface.software)
    renderer.set_image(waves())
    yield renderer
    renderer.close()


@pytest.fixture
def seen(surface: HeadlessSurface, renderer: Renderer) -> Draw:
    """The third picture, so that echoes have something to keep, [height, width, 3], 0..255; drift off."""

    def seen(order: str = "", **changes: float) -> Floats:
        settings = PLAIN.with_values({name.replace("__", "."): value for name, value in changes.items()})
        for n in range(3):
            shown = drawn(renderer, surface, Moment(settings, n / 60, order=order))
        assert renderer.chain.troubles == []
        return shown.astype(np.float32)

    return seen


def written(folder: Path, text: str | bytes, name: str = "lean") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.glsl"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# ---- what files declare


def test_the_shipped_ones_are_sound_and_joined_to_the_table() -> None:
    assert EFFECT_TROUBLES == ()
    assert {"kaleidoscope", "rotate", "zoom", "displace", "bloom", "edges", "shift", "grain", "dither", "contrast"} <= {
        effect.name for effect in EFFECTS
    }
    for effect in EFFECTS:
        for name in effect.params:
            assert BY_NAME[name].scope == "song" and BY_NAME[name].help
        assert Settings()[effect.params[0]] == 0, "off until somebody wants it"


def test_a_header_is_read(tmp_path: Path) -> None:
    effect = read_effect(written(tmp_path, GOOD))
    assert (effect.name, effect.kind, effect.params) == ("lean", "warp", ("lean.amount", "lean.bend"))
    assert [(k.default, k.lo, k.hi, k.curve, k.help) for k in effect.knobs] == [
        (0.0, -1.0, 1.0, "lin", "how far it leans"),
        (1.0, 0.5, 2.0, "log", "and bends"),
    ]


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ("// kind wrap", "line 2: kind is 'wrap': it must be one of image, fold, warp, echo, colour"),
        ("// nothing", "write `// kind warp` on top"),
        ('// kind warp\n// param Amount 0 0 1 "x"', "line 3: 'Amount' is no name for a parameter"),
        ('// kind warp\n// param time 0 0 1 "x"', "line 3: 'time' is no name for a parameter"),
        ('// kind warp\n// param lean 0 0 1 "x"', "line 3: 'lean' is no name for a parameter"),
        ('// kind warp\n// param amount 0.5 0 1 "x"', "line 3: the first parameter is the amount"),
        ('// kind warp\n// param a 0 1 2 "x"', "line 3: 0 1 2: default, lowest and highest"),
        ('// kind warp\n// param a 0 0 1e999 "x"', "line 3: 0 0 1e999: default, lowest and highest"),
        ('// kind warp\n// param a 0 0 ... "x"', "line 3: 0 0 ...: default, lowest and highest"),
        ("// kind warp\n// param a 0 0", "line 3: write NAME DEFAULT LOWEST HIGHEST"),
        ('// kind warp\n// param a 0 0 1 log "x"', "line 3: a logarithmic knob must begin above 0"),
        ('// kind warp\n// param a 0 0 1 "x\x1b[2J"', "line 3: the help must be plain text"),
        ("// kind colour", "it must define `vec3 lean(vec3 colour, vec2 place)`, as its kind is colour"),
        ("// kind warp\n" + '// param bend 0 0 1 "x"\n', "declared twice"),
        ("// kind warp\n" + "".join(f'// param a{n} 0 0 1 "x"\n' for n in range(9)), "more than 8 parameters"),
    ],
)
def test_a_wrong_header_is_one_clear_line(tmp_path: Path, instead: str, message: str) -> None:
    path = written(tmp_path, GOOD.replace("// kind warp", instead.rstrip("\n")))
    with pytest.raises(EffectError) as caught:
        read_effect(path)
    assert message in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_any_parameter_needs_an_amount(tmp_path: Path) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if "param" not in line)
    with pytest.raises(EffectError, match="it needs an amount"):
        read_effect(written(tmp_path, text))


@quick(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda t: f"// kind warp\n// param {t}".encode())))
def test_no_bytes_raise_anything_else(tmp_path: Path, content: bytes) -> None:
    try:
        read_effect(written(tmp_path, content))
    except EffectError as error:
        assert "\n" not in str(error)


def test_what_is_too_large_or_no_file_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(EffectError, match="larger than 24 KiB"):
        read_effect(written(tmp_path, GOOD + " " * MAX_BYTES))
    os.mkfifo(tmp_path / "pipe.glsl")
    with pytest.raises(EffectError, match="is no file"):
        read_effect(tmp_path / "pipe.glsl")
    slow = "// kind warp\n" + ("// param a 0 0 1 " + "x " * 5_000 + "\n") * 2
    with pytest.raises(EffectError):
        read_effect(written(tmp_path, slow))


def test_ones_own_stand_before_the_shipped_and_a_wrong_one_leaves_the_others(tmp_path: Path) -> None:
    mine, shipped = tmp_path / "mine", tmp_path / "shipped"
    for folder, names in ((mine, ("lean", "wrong")), (shipped, ("lean", "other"))):
        for name in names:
            written(folder, "broken" if name == "wrong" else GOOD.replace("lean(", f"{name}("), name)
    (mine / "no name.glsl").write_text(GOOD)
    effects, troubles = find_effects((mine, shipped))
    assert [effect.path for effect in effects] == [mine / "lean.glsl", shipped / "other.glsl"]
    assert len(troubles) == 2 and all(str(mine) in trouble for trouble in troubles)
    assert find_effects((tmp_path / "missing",)) == ((), ())
    for n in range(100):
        written(tmp_path / "many", GOOD, f"lean{n}")
    assert len(effect_files(tmp_path / "many")) == 64


def test_a_file_in_ones_own_folder_has_flags_presets_and_addresses(tmp_path: Path) -> None:
    """In a program of its own: the table is made when it is imported."""
    written(config_dir() / "shaders", GOOD)
    for name in ("show", "set"):  # which mean something else
        written(config_dir() / "shaders", GOOD.replace("lean(", f"{name}("), name)
    preset = tmp_path / "mine.toml"
    preset.write_text(
        'schema = 1\n[choices]\nchain.order = "echo, lean"\n[params]\nlean.amount = -0.5\nlean.bend = 2.0\n'
    )
    script = f"""
from livelav.control.osc import Message, address, command
from livelav.core.params import BY_NAME, EFFECT_TROUBLES, PARAMS
from livelav.core.preset_text import preset_text
from livelav.core.presets import check_preset, load_preset
from livelav.flags import first_scene
assert check_preset(__import__("pathlib").Path({str(preset)!r})) == []
scene = first_scene({str(preset)!r}, None, {{"lean_amount": "0.25"}})
assert scene.settings["lean.amount"] == 0.25 and scene.settings["lean.bend"] == 2.0
assert BY_NAME["lean.amount"].flag == "--lean-amount"
assert command(Message("/knob/lean/amount", (1.0,))).value == 1.0
assert "lean.amount = 0.25" in preset_text(scene, "mine") and "echo, lean" in preset_text(scene, "mine")
assert len(EFFECT_TROUBLES) == 2, EFFECT_TROUBLES
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_order_names_effects_once_each() -> None:
    order = CHOICE_BY_NAME["chain.order"]
    assert order.checked("echo, kaleidoscope zoom") == "echo, kaleidoscope zoom"
    assert order.checked("") == ""
    for wrong, message in (("ecko", "did you mean 'echo'"), ("zoom, zoom", "each once")):
        with pytest.raises(ParamError, match=message):
            order.checked(wrong)


# ---- what each does


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda e: e.name)
def test_at_0_nothing_of_it_is_there_and_else_it_is(effect: Effect, seen: Draw) -> None:
    others = {name.replace(".", "__"): BY_NAME[name].hi for name in effect.params[1:]}
    plain = seen()
    assert np.array_equal(seen(**others), plain)
    changed = seen(**{effect.params[0].replace(".", "__"): STRONG[effect.params[0]]})
    if effect.name != "echo":  # which has nothing to keep of a picture that stands
        assert np.abs(changed - plain).mean() > 1


@pytest.mark.parametrize("sides", [2, 3, 6, 7])
def test_a_kaleidoscope_is_the_same_in_each_of_its_mirrors(seen: Draw, sides: int) -> None:
    shown = seen(kaleidoscope__amount=1.0, kaleidoscope__sides=sides)
    assert np.abs(shown - shown[::-1]).max() <= 3, "a mirror lies level"
    height, width, _ = shown.shape
    y, x = np.mgrid[0:height, 0:width] + 0.5
    y, x = height / 2 - y, x - width / 2
    angle = np.arctan2(y, x) + 2 * np.pi / sides
    far = np.hypot(x, y)
    row, column = height / 2 - far * np.sin(angle) - 0.5, far * np.cos(angle) + width / 2 - 0.5
    inside = far < height / 2 - 2
    turned = shown[np.rint(row[inside]).astype(int), np.rint(column[inside]).astype(int)]
    assert np.abs(turned - shown[inside]).mean() < 3, "but for rounding to pixels"


def test_a_kaleidoscope_with_drift_is_symmetric_still(surface: HeadlessSurface, renderer: Renderer) -> None:
    settings = Settings().with_values({"kaleidoscope.amount": 1.0, "show.drift": 1.0})
    shown = drawn(renderer, surface, Moment(settings, 12.3)).astype(int)
    assert np.abs(shown - shown[::-1]).mean() < 2


def test_half_of_a_kaleidoscope_leaves_what_is_further_out(seen: Draw) -> None:
    plain, half = seen(), seen(kaleidoscope__amount=0.45)
    assert np.abs(half - plain)[:, :60].max() <= 2
    assert np.abs(half - plain)[60:120, 130:190].mean() > 1


def test_where_effects_say_where_to_look_waves_are_the_same(surface: HeadlessSurface, renderer: Renderer) -> None:
    """They are reckoned for each pixel then, and not at the corners of a grid."""
    lively = Settings().with_values({"show.drift": 1.0, "show.contour": 0.0})
    plain = drawn(renderer, surface, Moment(lively, 7.0)).astype(int)
    hardly = lively.with_values({"rotate.amount": 1e-4})
    assert np.abs(drawn(renderer, surface, Moment(hardly, 7.0)).astype(int) - plain).mean() < 1.5


def test_rotating_by_180_degrees_is_upside_down_and_back_to_front(seen: Draw) -> None:
    assert np.abs(seen(rotate__amount=180.0) - seen()[::-1, ::-1]).max() <= 3
    assert np.abs(seen(rotate__amount=180.0) - seen(rotate__amount=-180.0)).max() <= 3


def test_zooming_by_an_octave_doubles(seen: Draw) -> None:
    plain, twice = seen(), seen(zoom__amount=1.0)
    middle = plain[45:135, 80:240]
    assert np.abs(twice.reshape(90, 2, 160, 2, 3).mean((1, 3)) - middle).mean() < 2
    out = seen(zoom__amount=-1.0, show__zoom=1.0)
    assert np.abs(out[90 - 40 : 90 + 40, 0:1] - out[90 - 40 : 90 + 40, 1:2]).max() < 30, "no seam at the mirrored edge"


def test_displacing_moves_colours_and_makes_none(surface: HeadlessSurface, renderer: Renderer, seen: Draw) -> None:
    renderer.set_image(even(90, 30, 200))
    assert np.abs(seen(displace__amount=1.0) - seen()).max() <= 1, "without a slope nothing flows"
    renderer.set_image(waves())
    plain, moved = seen(), seen(displace__amount=0.5)
    assert np.abs(moved - plain).mean() > 1
    for plain_sorted, moved_sorted in zip(
        np.sort(plain.reshape(-1, 3).T), np.sort(moved.reshape(-1, 3).T), strict=True
    ):
        assert np.abs(plain_sorted - moved_sorted).mean() < 12, "much the same colours"


def test_bloom_only_adds_light_and_only_around_bright_parts(renderer: Renderer, seen: Draw) -> None:
    pixels = np.full((256, 256, 4), 255, np.uint8)
    pixels[..., :3] = 20
    pixels[118:138, 118:138, :3] = 255
    renderer.set_image(image(pixels))
    more = seen(bloom__amount=1.0) - seen()
    assert more.min() >= -1
    assert more[90, 175, 0] > more[90, 188, 0] > 1 > more[90, 300, 0]
    renderer.set_image(even(60, 60, 60))
    assert np.abs(seen(bloom__amount=1.0) - seen()).max() <= 1


def test_edges_light_outlines_and_darken_what_is_even(renderer: Renderer, seen: Draw) -> None:
    pixels = np.full((256, 256, 4), 255, np.uint8)
    pixels[:, :128, :3] = (120, 40, 40)
    pixels[:, 128:, :3] = (40, 40, 140)
    renderer.set_image(image(pixels))
    plain, lit = seen().sum(-1), seen(edges__amount=1.0).sum(-1)
    assert lit[90, 158:163].max() > 1.5 * plain[90, 158:163].max()
    assert (lit[90, 20:120] < 0.5 * plain[90, 20:120]).all()


def test_shifting_parts_red_and_blue_and_leaves_green(seen: Draw) -> None:
    plain, apart = seen(), seen(shift__amount=1.0)
    assert np.abs(apart - plain)[..., 1].max() <= 1
    assert np.abs(apart - plain)[..., (0, 2)].mean() > 1
    assert np.abs(apart - plain)[88:92, 158:162].mean() < np.abs(apart - plain)[:, :4].mean()


def test_contrast_keeps_black_grey_and_white(renderer: Renderer, seen: Draw) -> None:
    for light, amount, change in ((0, 1, 0), (255, 1, 0), (60, 1, -10), (190, 1, 10), (60, -1, 10), (190, -1, -10)):
        renderer.set_image(even(light, light, light))
        moved = float((seen(contrast__amount=amount) - seen()).mean())
        assert abs(moved) <= 1 if change == 0 else moved * np.sign(change) >= 10
    renderer.set_image(even(128, 128, 128))
    assert np.abs(seen(contrast__amount=1.0) - 128).max() <= 2


def test_grain_is_another_each_time_and_leaves_the_light_as_it_is(surface: HeadlessSurface, renderer: Renderer) -> None:
    renderer.set_image(even(120, 120, 120))
    settings = PLAIN.with_values({"grain.amount": 0.5})
    first, second = (drawn(renderer, surface, Moment(settings, t)).astype(float) for t in (1.0, 1.0 + 1 / 60))
    assert first.std() > 5 and abs(first.mean() - 120) < 3
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.2
    for shift in ((0, 1), (1, 0), (1, 1), (0, 2)):
        moved = np.roll(first[..., 0], shift, (0, 1))
        assert abs(np.corrcoef(first[..., 0].ravel(), moved.ravel())[0, 1]) < 0.6, "no pattern"
    assert np.array_equal(first, drawn(renderer, surface, Moment(settings, 1.0)).astype(float)), "frozen it stands"


def test_dither_has_few_shades_that_are_as_light_as_what_they_stand_for(renderer: Renderer, seen: Draw) -> None:
    for light in (30, 100, 200):
        renderer.set_image(even(light, light, light))
        shown = seen(dither__amount=1.0, dither__shades=2.0, dither__size=1.0)
        assert {int(value) for value in np.unique(np.rint(shown / 255) * 255 - shown)} <= {-1, 0, 1}
        assert abs(shown.mean() - light) < 10


# ---- echoes


def test_an_echo_grows_turns_and_recolours_at_the_same_pace_at_any_rate(surface: HeadlessSurface) -> None:
    pixels = np.full((256, 256, 4), 255, np.uint8)
    pixels[..., :3] = 0
    pixels[100:156, 160:170, 0] = 255

    def left(rate_hz: int, **changes: float) -> Floats:
        renderer = Renderer(surface.ctx, surface.software)
        renderer.set_image(image(pixels))
        named = {name.replace("__", "."): value for name, value in changes.items()}
        settings = PLAIN.with_values({"show.feedback": 0.95} | named)
        drawn(renderer, surface, Moment(settings, 0.0))
        renderer.set_image(even(0, 0, 0))
        for n in range(1, rate_hz // 6 + 1):
            shown = drawn(renderer, surface, Moment(settings, n / rate_hz))
        renderer.close()
        return shown.astype(np.float32)

    def middle(shown: Floats) -> Floats:
        light = shown.sum(-1)
        y, x = np.mgrid[0 : light.shape[0], 0 : light.shape[1]]
        return np.array([(x * light).sum(), (y * light).sum()]) / light.sum() - (159.5, 89.5)

    for changes in ({"echo__zoom": 0.03}, {"echo__zoom": -0.03}, {"echo__zoom": 0.0, "echo__turn": 3.0}):
        fast, slow = middle(left(60, **changes)), middle(left(30, **changes))
        assert np.abs(fast - slow).max() < 6, changes
    still, grown, turned = (middle(left(60, echo__zoom=z, echo__turn=t)) for z, t in ((0, 0), (0.03, 0), (0, 3)))
    assert grown[0] > 1.2 * still[0]
    assert np.degrees(np.arctan2(-turned[1], turned[0]) - np.arctan2(-still[1], still[0])) == pytest.approx(30, abs=6)
    red, other = left(60, echo__zoom=0.0), left(60, echo__zoom=0.0, echo__colour=0.2)
    assert red[..., 1:].max() <= 1 and other[..., 1:].max() > 20


# ---- order


def test_effects_that_say_where_to_look_go_in_the_order_asked_for(seen: Draw) -> None:
    both = {"rotate__amount": 10.0, "kaleidoscope__amount": 1.0}
    mirrored_last, turned_last = seen("rotate kaleidoscope", **both), seen("kaleidoscope rotate", **both)
    assert np.abs(mirrored_last - mirrored_last[::-1]).mean() < 1
    assert np.abs(turned_last - turned_last[::-1]).mean() > 3
    assert np.abs(seen("", **both) - turned_last).max() <= 2, "the table's order, where none is asked for"


def test_what_works_on_colour_goes_in_the_order_asked_for(seen: Draw) -> None:
    both = {"contrast__amount": 1.0, "dither__amount": 1.0, "dither__shades": 2.0}
    dotted = seen("contrast dither", **both)
    assert {0, 255} == {int(v) for v in np.unique(np.rint(dotted / 255) * 255)}
    soft = {"contrast__amount": -0.5, "dither__amount": 1.0, "dither__shades": 3.0}
    assert np.abs(seen("contrast dither", **soft) - seen("dither contrast", **soft)).mean() > 3


def test_what_works_on_the_image_goes_in_the_order_asked_for(seen: Draw) -> None:
    both = {"displace__amount": 1.0, "edges__amount": 1.0}
    assert np.abs(seen("displace edges", **both) - seen("edges displace", **both)).mean() > 0.5


def test_what_follows_an_echo_works_on_what_it_left(surface: HeadlessSurface) -> None:
    pixels = np.full((256, 256, 4), 255, np.uint8)
    pixels[..., :3] = 0
    pixels[60:80, 200:230, :3] = 255

    def last(order: str) -> Bytes:
        renderer = Renderer(surface.ctx, surface.software)
        settings = PLAIN.with_values({"show.feedback": 0.9, "echo.turn": 3.0, "kaleidoscope.amount": 1.0})
        renderer.set_image(image(pixels))
        for n in range(10):
            shown = drawn(renderer, surface, Moment(settings, n / 60, order=order))
        renderer.close()
        return shown

    after, before = (last(order).astype(int) for order in ("echo kaleidoscope", "kaleidoscope echo"))
    assert np.abs(after - after[::-1]).mean() < 1, "trails are mirrored, too"
    assert np.abs(before - before[::-1]).mean() > 1, "trails turn out of the mirrors"


@pytest.mark.parametrize("aspect", ["fit", "fill", "stretch"])
def test_all_at_once_in_any_order_are_drawn(surface: HeadlessSurface, renderer: Renderer, aspect: str) -> None:
    names = [effect.name for effect in EFFECTS]
    for order in ("", " ".join(reversed(names))):
        moment = Moment(Settings().with_values(STRONG), 1.0, aspect=aspect, order=order)  # type: ignore[arg-type]
        assert drawn(renderer, surface, moment).std() > 3
        assert not drawn(renderer, surface, Moment(Settings().with_values(STRONG), 1.0, light=0.0, order=order)).any()
    assert renderer.chain.troubles == []


def test_the_flash_limiter_judges_what_effects_have_made(surface: HeadlessSurface, renderer: Renderer) -> None:
    """An effect that blinks the whole picture ten times a second leaves with three."""
    blink = Settings().with_values({"show.contour": 0.0, "show.drift": 0.0, "show.flash_limit": 3.0})
    renderer.set_image(even(110, 110, 110))
    lights = []
    for n in range(120):
        amount = 2.0 * (n // 3 % 2)
        settings = blink.with_values({"dither.amount": 0.0, "zoom.amount": 0.1, "contrast.amount": amount / 2})
        lights.append(drawn(renderer, surface, Moment(settings, n / 60)).mean())
    assert not renderer.holds_light_back, "grey stays grey"
    renderer.set_image(even(190, 190, 190))
    for n in range(120):
        settings = blink.with_values({"contrast.amount": 1.0 if n // 3 % 2 else -1.0})
        lights.append(drawn(renderer, surface, Moment(settings, 2 + n / 60)).mean())
    steps = np.abs(np.diff(lights[-60:]))
    assert renderer.holds_light_back
    assert np.count_nonzero(steps > 40) <= 8


# ---- files that change


class Folder:
    """A chain over effects in a folder of the test's own, drawn over a picture; `later` lets time go by."""

    def __init__(self, surface: HeadlessSurface, folder: Path) -> None:
        self.surface, self.path, self.now_s = surface, folder / "zoom.glsl", 0.0
        self.write("vec2 zoom(vec2 place) {\n    return place * exp2(-amount);\n}\n")
        self.renderer = Renderer(surface.ctx, surface.software, effects=find_effects((folder,))[0])
        self.renderer.set_image(waves())
        self.later()

    def write(self, code: str, param: str = '// param amount 0 -2 2 "into the middle"\n') -> None:
        self.path.write_text(f"// kind warp\n{param}{code}")
        os.utime(self.path, ns=(int(self.now_s * 1e9), int(self.now_s * 1e9)))  # however quick the test is

    def later(self) -> list[str]:
        """What is told of the files after a while, once all were tried."""
        self.now_s += 2 * LOOK_S
        self.renderer.chain.look(self.now_s)
        try_out(self.renderer.chain)
        told, self.renderer.chain.troubles = self.renderer.chain.troubles, []
        return told

    def draw(self) -> Bytes:
        return drawn(self.renderer, self.surface, Moment(PLAIN.with_values({"zoom.amount": 1.0}), 0.0)).copy()


@pytest.fixture
def folder(surface: HeadlessSurface, tmp_path: Path) -> Iterator[Folder]:
    one = Folder(surface, tmp_path)
    yield one
    one.renderer.close()


def test_a_file_that_is_saved_is_taken_up(folder: Folder) -> None:
    before = folder.draw()
    assert folder.later() == []
    folder.write("vec2 zoom(vec2 place) {\n    return -place * exp2(-amount);\n}\n")
    assert np.array_equal(folder.draw(), before), "not before it is looked at"
    assert folder.later() == []
    assert np.abs(folder.draw().astype(int) - before[::-1, ::-1]).max() <= 3


@pytest.mark.parametrize(
    ("code", "param", "message"),
    [
        ("vec2 zoom(vec2 place) {\n    return place * nothing;\n}\n", None, r"zoom\.glsl line 4: .*nothing"),
        ("\n\nvec2 zoom(vec2 place) {\n    return 1.0\n}\n", None, r"zoom\.glsl line [67]: "),
        ("vec2 zoom(vec3 place) {\n    return place.xy;\n}\n", None, r"zoom.*do not link|zoom\.glsl line"),
        ("vec3 zoom(vec2 place) {\n    return vec3(1);\n}\n", None, r"it must define `vec2 zoom\(vec2 place\)`"),
        ("vec2 zoom(vec2 place) { return place; }\n", '// param amount 0 -3 3 "x"\n', "other parameters"),
        ("vec2 zoom(vec2 place) { return place; }\n", '// param amount 1 -3 3 "x"\n', "line 2: the first parameter"),
    ],
)
def test_a_broken_file_keeps_what_worked_and_names_the_line(
    folder: Folder, code: str, param: str | None, message: str
) -> None:
    before = folder.draw()
    folder.write(code, *([param] if param else []))
    (told,) = folder.later()
    assert re.search(message, told), told
    assert "\n" not in told and "playing on with what it said before" in told
    assert np.array_equal(folder.draw(), before)
    assert folder.later() == [], "it is told once"
    folder.path.unlink()
    assert folder.later() == []
    assert np.array_equal(folder.draw(), before), "one that is gone stays, too"


def test_one_that_never_compiled_is_left_out_until_it_is_mended(surface: HeadlessSurface, tmp_path: Path) -> None:
    written(tmp_path, '// kind warp\n// param amount 0 -2 2 "x"\nvec2 zoom(vec2 place) {\n return x;\n}\n', "zoom")
    effects = find_effects((tmp_path,))[0]
    chain = EffectChain(surface.ctx, None, effects)
    settings = PLAIN.with_values({"zoom.amount": 1.0})
    plain = chain.program("present.frag", ())
    assert chain.program("present.frag", effects) is plain
    assert chain.troubles == []
    try_out(chain)
    assert chain.program("present.frag", effects) is plain
    (told,) = chain.troubles
    assert "zoom.glsl line 4" in told and told.endswith("playing without zoom")
    assert chain.acting(settings, "").picture == ()
    chain.look(0.0)
    written(tmp_path, '// kind warp\n// param amount 0 -2 2 "x"\nvec2 zoom(vec2 place) {\n return place;\n}\n', "zoom")
    os.utime(tmp_path / "zoom.glsl", (5, 5))
    chain.look(10.0)
    try_out(chain)
    assert [effect.name for effect in chain.acting(settings, "").picture] == ["zoom"]
    assert chain.program("present.frag", chain.acting(settings, "").picture) is not plain
    chain.close()


def test_code_at_corners_has_all_that_it_is_promised_in_any_order(surface: HeadlessSurface, tmp_path: Path) -> None:
    for name, kind in (("lean", "warp"), ("tilt", "fold"), ("lean2", "warp")):
        code = f"mat4 {name}_once() {{ return mat4(amount); }}\n"
        code += f"vec2 {name}(vec2 place) {{ return place + 1e-4 * (sin(time) + frames + once[0].xy); }}\n"
        written(tmp_path, f'// kind {kind}\n// uses show.feedback\n// param amount 0 0 1 "x"\n{code}', name)
    effects = find_effects((tmp_path,))[0]
    renderer = Renderer(surface.ctx, surface.software, effects=effects)
    renderer.set_image(waves())
    chain = renderer.chain
    try_out(chain)
    for order in ("", "tilt lean lean2", "lean tilt lean2", "lean lean2 tilt"):
        acts = tuple(sorted(effects, key=lambda one: order.find(one.name)))
        chain.program("picture.frag", acts)
        chain.program("present.frag", acts)
    assert chain.troubles == []
    renderer.close()


def test_two_that_do_not_go_together_cost_one_of_them(surface: HeadlessSurface, tmp_path: Path) -> None:
    for name in ("rotate", "zoom"):
        code = f"float helper() {{ return 1.0; }}\nvec2 {name}(vec2 place) {{\n return place * helper();\n}}\n"
        written(tmp_path, f'// kind warp\n// param amount 0 -2 2 "x"\n{code}', name)
    chain = EffectChain(surface.ctx, None, find_effects((tmp_path,))[0])
    try_out(chain)
    acting = chain.acting(PLAIN.with_values({"zoom.amount": 1.0, "rotate.amount": 1.0}), "")
    chain.program("present.frag", acting.picture)
    (told,) = chain.troubles
    assert "helper" in told and told.endswith("playing without zoom")
    chain.close()


def test_a_new_file_is_told_of_and_waits(surface: HeadlessSurface) -> None:
    chain = EffectChain(surface.ctx)
    chain.look(0.0)
    written(folders()[0], GOOD)
    chain.look(10.0)
    chain.look(20.0)
    (told,) = chain.troubles
    assert "lean.glsl is a new effect" in told
    chain.close()


def test_programs_are_kept_and_bounded(surface: HeadlessSurface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livelav.show.chain.KEPT", 3)
    chain = EffectChain(surface.ctx)
    colours = [effect for effect in EFFECTS if effect.kind in ("colour", "warp")]
    first = chain.program("present.frag", ())
    assert chain.program("present.frag", ()) is first
    for effect in colours[:3]:
        chain.program("present.frag", (effect,))
    assert chain.program("present.frag", ()) is not first
    chain.close()


def test_what_code_is_given() -> None:
    named = {effect.name: effect for effect in EFFECTS}
    settings = Settings().with_values({"rotate.amount": 90.0, "show.feedback": 0.9, "echo.turn": 2.0})
    assert handed(named["rotate"], settings, 1.0) == pytest.approx((np.pi / 2,))
    stays, zoom, turn, _ = handed(named["echo"], settings, 3.0)
    assert (stays, zoom, turn) == pytest.approx((0.9**3, 0.01, np.radians(2.0)))
