"""The endless pictures that the embedded generator is trained on: drawn by formula from random numbers alone.

    python tools/dataset.py [--seed N] [--out sheet.png] [--size 256] [--crosses]

A picture has three groups of factors, standard normals, made for three groups of the generator's layers:

- `coarse` lays out: where the masses stand, turn, zoom, folds towards a mandala, where the light comes from;
- `middle` gives form: six materials blended by soft weights, how they are warped, how large their detail is;
- `fine` colours and lights: two related hues and an accent, contrast, rim, glow, exposure.

Every step is smooth in the factors, so that a way through them is a way through pictures without a jump; nothing is
rejected, so that every point is a picture. Forms are soft and shaded and edges a few pixels wide, because that is what
a small network can hold; thin lines are drawn later, by shaders. Knows nothing of training.

Sources: domain warping and metaballs are common property; colours are chosen in Oklab (Ottosson 2020).
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals

FACTORS = 30  # in each group
CACHED_PIXELS = 1 << 16  # painted at once: one field of them stays in a core's cache

FOLDS = (1, 2, 3, 4, 6)  # mirrored sectors are twice as many
MASSES = 4
FACETS = 14
# Materials:  ink   liquid crystal curtain caustic neon
WARP_OF = (1.45, 1.00, 0.40, 0.65, 0.95, 0.75)  # how far each material lets itself be bent
GLOSS_OF = (0.00, 1.00, 0.55, 0.00, 0.25, 0.35)  # strength of the sheen
MATTER_OF = (0.50, 1.00, 1.00, 0.02, 0.30, 0.30)  # how much is seen by reflected light instead of by its own

YELLOW_GREEN = 2.0  # radians in Oklab
GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))


@dataclass(frozen=True, slots=True)
class Factors:
    """What n pictures are made of: three tensors [n, FACTORS] of standard normals, float32."""

    coarse: Tensor
    middle: Tensor
    fine: Tensor

    def __len__(self) -> int:
        return len(self.coarse)

    def __getitem__(self, which: slice | Tensor) -> "Factors":
        return Factors(self.coarse[which], self.middle[which], self.fine[which])

    def cross(self, middle_from: "Factors", fine_from: "Factors") -> "Factors":
        """Our layout in the form of `middle_from`, in the colours of `fine_from`."""
        return Factors(self.coarse, middle_from.middle, fine_from.fine)


def draw(seed: int, index: int, count: int) -> Factors:
    """Pictures index..index+count-1 of the endless stream `seed`: the same ones however they are batched."""
    numbers = np.stack([normals(seed, i, (3, FACTORS)) for i in range(index, index + count)], axis=1)
    coarse, middle, fine = torch.from_numpy(numbers.astype(np.float32))
    return Factors(coarse, middle, fine)


def render(factors: Factors, size: int, supersample: int = 1) -> Tensor:
    """-> [n, 3, size, size] float32 in -1..1. `supersample` 2 takes out what little a 64 px grid would alias."""
    step = max(1, CACHED_PIXELS // (size * supersample) ** 2)
    images = torch.cat([_paint(factors[i : i + step], size * supersample) for i in range(0, len(factors), step)])
    return (F.avg_pool2d(images, supersample) if supersample > 1 else images) * 2.0 - 1.0


# ---- reading factors: [n, 1, 1], to be spread over a picture


def _normal(group: Tensor, i: int) -> Tensor:
    return group[:, i].view(-1, 1, 1)


def _between(group: Tensor, i: int, lo: float, hi: float) -> Tensor:
    """Evenly spread over lo..hi, so that no factor, however far out, leaves the range."""
    return lo + (hi - lo) * torch.special.ndtr(_normal(group, i))


def _shares(group: Tensor, first: int, bias: tuple[float, ...], sharpness: float) -> list[Tensor]:
    """Soft choice: as many weights as biases, adding up to 1. Mostly one of them is near 1."""
    logits = group[:, first : first + len(bias)].clamp(-3, 3) + torch.tensor(bias, device=group.device)
    return [w.view(-1, 1, 1) for w in torch.softmax(sharpness * logits, 1).unbind(1)]


# ---- coarse: the layout


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything stands: picture coordinates x, y; folded ones u, v; the direction that light comes from."""

    x: Tensor
    y: Tensor
    u: Tensor
    v: Tensor
    light_x: Tensor
    light_y: Tensor


def _stage(coarse: Tensor, res: int) -> Stage:
    c = (torch.arange(res, device=coarse.device) + 0.5) / res * 2 - 1
    y, x = c.view(1, -1, 1), c.view(1, 1, -1)
    u = x - _between(coarse, 0, -0.35, 0.35)
    v = y - _between(coarse, 1, -0.30, 0.30)
    turn = 0.9 * _normal(coarse, 2)
    zoom = torch.exp(0.15 * _normal(coarse, 3).clamp(-2, 2))
    u, v = zoom * (u * turn.cos() - v * turn.sin()), zoom * (u * turn.sin() + v * turn.cos())
    u, v = _folded(coarse, u, v)
    angle = -0.65 * math.pi + 0.8 * _normal(coarse, 4)  # mostly from above
    return Stage(x, y, u, v, angle.cos(), angle.sin())


def _folded(coarse: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrors the plane into sectors. Different folds are mixed by weight, each with its creases rounded."""
    plain, *shares = _shares(coarse, 5, (0.75, 0.35, -0.1, 0.0, -0.1, 0.0), 3.5)
    square = u * u + v * v
    radius = square * torch.rsqrt(square + 0.02)  # the centre, where all sectors meet, is a calm patch
    angle = torch.atan2(v, u)
    folded_u, folded_v = plain * u, plain * v
    for fold, share in zip(FOLDS, shares, strict=True):
        sector = torch.acos(0.97 * torch.cos(fold * angle)) / fold
        folded_u = folded_u + share * radius * torch.cos(sector)
        folded_v = folded_v + share * radius * torch.sin(sector)
    return folded_u, folded_v


def _masses(coarse: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """A soft landscape, about 0..1.5: some round masses, a band across or a ring around, by weight."""
    blobs, band, ring = _shares(coarse, 11, (0.8, 0.0, -0.1), 2.0)
    slim = torch.exp(0.35 * _normal(coarse, 14).clamp(-2, 2))
    total = torch.zeros(())
    for k in range(MASSES):
        du = u - 0.37 * _normal(coarse, 15 + 2 * k).clamp(-2, 2)
        dv = v - 0.34 * _normal(coarse, 16 + 2 * k).clamp(-2, 2)
        size = (0.45, 0.34, 0.26, 0.20)[k]
        total = total + torch.exp((du * du * slim + dv * dv / slim) * (-1 / size**2))
    across = v + 0.25 * torch.sin(1.7 * u + _normal(coarse, 23))
    radius = torch.sqrt(u * u + v * v + 1e-4)
    arc = radius - _between(coarse, 23, 0.35, 0.6)
    return (
        (0.25 + 0.75 * blobs) * total
        + 1.1 * band * torch.exp(across * across * -9.0)
        + 1.1 * ring * torch.exp(arc * arc * -22.0)
    )


# ---- middle: the form


@dataclass(frozen=True, slots=True)
class Place:
    """What every material is told: warped coordinates, the masses there, waves for detail, the bodies' edge."""

    u: Tensor
    v: Tensor
    mass: Tensor
    waves: Tensor
    level: Tensor  # of mass, where a body ends


@dataclass(frozen=True, slots=True)
class Look:
    """What a material makes of a place: height of its surface, light of its own, tone 0..1 (second to first hue)."""

    height: Tensor
    glow: Tensor
    tone: Tensor


@dataclass(frozen=True, slots=True)
class Form:
    """What stands on the stage, all materials mixed."""

    relief: Tensor  # height that the light sees
    solid: Tensor  # 0..1, how much of a body is here
    glow: Tensor
    tone: Tensor
    gloss: Tensor  # as in GLOSS_OF
    matter: Tensor  # as in MATTER_OF
    far: Tensor  # brightness of what is behind


def _form(factors: Factors, stage: Stage) -> Form:
    coarse, middle = factors.coarse, factors.middle
    shares = _shares(middle, 0, (0.05, 0.12, 0.08, -0.15, 0.0, 0.05), 3.8)
    u, v = _warped(factors, stage.u, stage.v, _mixed(shares, WARP_OF))
    mass, level = _masses(coarse, u, v), _between(middle, 6, 0.38, 0.62)
    waves = torch.sin(_between(middle, 8, 2.2, 4.2) * u + 1.7 * v + 2 * _normal(middle, 9))
    place = Place(u, v, mass, waves, level)
    height = glow = tone = torch.zeros(())
    for share, material in zip(shares, (_ink, _liquid, _crystal, _curtain, _caustic, _neon), strict=True):
        look = material(middle, place)
        height, glow, tone = height + share * look.height, glow + share * look.glow, tone + share * look.tone
    return Form(
        relief=height * torch.sigmoid(4.5 * (mass - level) + 0.6),  # domes: a cliff's sheen would be a hairline
        solid=torch.sigmoid((mass - level) * _between(middle, 7, 6.0, 12.0)),
        glow=glow,
        tone=tone,
        gloss=_mixed(shares, GLOSS_OF),
        matter=_mixed(shares, MATTER_OF),
        far=_far(coarse, stage, 0.5 * (u + stage.u), 0.5 * (v + stage.v)),
    )


def _mixed(shares: list[Tensor], amounts: tuple[float, ...]) -> Tensor:
    return torch.stack([share * amount for share, amount in zip(shares, amounts, strict=True)]).sum(0)


def _warped(factors: Factors, u: Tensor, v: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
    """Two rounds of domain warping, the second finer and shorter than the first.

    The widest moves whole masses and so belongs to the layout; the form is left what can be bent within a mass.
    """
    coarse, middle = factors.coarse, factors.middle
    pitch = _between(coarse, 24, 1.6, 3.0)
    amount = _between(coarse, 25, 0.15, 0.60) / pitch  # 1 / pitch is where space would fold over itself
    u, v = _bent(coarse, 26, u, v, pitch, amount)
    pitch = _between(middle, 11, 2.8, 4.6)
    return _bent(middle, 12, u, v, pitch, bend * _between(middle, 10, 0.15, 0.60) / pitch)


def _bent(group: Tensor, first: int, u: Tensor, v: Tensor, pitch: Tensor, amount: Tensor) -> tuple[Tensor, Tensor]:
    lean = 0.6 * _normal(group, first)
    du = torch.sin(pitch * (v + lean * u) + 2.0 * _normal(group, first + 1))
    dv = torch.sin(pitch * (u - lean * v) + 2.0 * _normal(group, first + 2))
    return u + amount * du, v + amount * dv


def _far(coarse: Tensor, stage: Stage, u: Tensor, v: Tensor) -> Tensor:
    """A larger, dimmer echo of the masses behind them, in haze; the masses' shadow falls on it."""
    behind = _masses(coarse, 0.72 * u - 0.12, 0.72 * v + 0.06)
    echo = torch.sigmoid(11.0 * (behind - 0.6))
    shadow = torch.sigmoid(6.0 * (_masses(coarse, u + 0.22 * stage.light_x, v + 0.22 * stage.light_y) - 0.5))
    return (0.25 * behind + 0.9 * echo * (1.15 - 0.7 * behind.clamp(max=1.3))) * (1 - 0.85 * shadow)


def _ink(middle: Tensor, at: Place) -> Look:
    """Billows in water, with wisps that let light through."""
    billow = torch.sin(3.1 * at.u + 2.2 * at.waves) * torch.sin(2.7 * at.v - 1.4 * at.waves + _normal(middle, 21))
    body = at.mass * (0.7 + 0.45 * billow)
    wisp = torch.sin(4.2 * body + 1.5 * at.waves + 1.5 * at.v)
    through = 0.04 + 0.3 * body * (1 + wisp) ** 2 * torch.sigmoid(9.0 * (body - 0.8 * at.level))
    return Look(0.45 * body + 0.05 * wisp, body * through, 0.5 + 0.25 * billow + 0.25 * wisp)


def _liquid(middle: Tensor, at: Place) -> Look:
    """A thick drop with rings in it; the sheen does the rest."""
    ripple = torch.sin(_between(middle, 21, 2.5, 5.0) * at.mass + 1.2 * at.waves)
    return Look(0.6 * at.mass + 0.10 * ripple, 0.03 * at.mass, 0.45 + 0.35 * ripple)


def _crystal(middle: Tensor, at: Place) -> Look:
    """Soft Voronoi cells of seeds set like a sunflower's; each facet has one tilt and one tone, its edges glow."""
    k = torch.arange(FACETS, device=middle.device)
    away, turn = 1.2 * torch.sqrt((k + 0.4) / FACETS), k * GOLDEN_ANGLE
    one, two, three = middle[:, 21:22], middle[:, 22:23], middle[:, 23:24]
    seed_u = away * turn.cos() + 0.16 * torch.sin(1.3 * one + 2.4 * k)
    seed_v = away * turn.sin() + 0.16 * torch.sin(1.3 * two + 1.7 * k)
    lean_u, lean_v = torch.sin(three + 2.1 * k), torch.cos(two + 3.3 * k)
    pale = 0.5 + 0.5 * torch.sin(one + three + 1.9 * k)

    # minus the squared distance to a seed, and a facet's plane, are both linear in (u, v, u^2 + v^2, 1)
    basis = torch.stack([at.u, at.v, at.u * at.u + at.v * at.v, torch.ones_like(at.u)], 1).flatten(2)
    nearness = torch.stack([2 * seed_u, 2 * seed_v, -torch.ones_like(seed_u), -seed_u * seed_u - seed_v * seed_v], 2)
    near = torch.softmax(40.0 * nearness @ basis, 1)  # [n, facets, pixels]
    planes = torch.stack([lean_u, lean_v, -lean_u * seed_u - lean_v * seed_v, pale], 1) @ near
    slope_u, slope_v, base, tone = planes.unflatten(2, at.u.shape[1:]).unbind(1)
    edge = 1 - (near * near).sum(1).view_as(at.u)
    height = 0.8 * (slope_u * at.u + slope_v * at.v + base) + 0.25 * at.mass
    return Look(height, at.mass * (0.08 + 0.8 * edge * tone), tone)


def _curtain(middle: Tensor, at: Place) -> Look:
    """Hanging light: a clear lower hem, long fading upwards, in three pleated sheets one behind the other."""
    glow = tone = torch.zeros(())
    for k in range(3):
        wave = torch.sin(1.7 * at.u + 2.1 * k + 2 * _normal(middle, 21))
        wave = wave + 0.5 * torch.sin(3.4 * at.u - k + _normal(middle, 22))
        rise = 0.34 * (k - 0.6) + 0.24 * wave - at.v
        pleat = torch.sin((5.5 + 1.0 * k) * at.u + 1.6 * wave + 1.2 * at.v + _normal(middle, 23))
        above = rise.clamp(min=-0.3)
        light = (0.08 + torch.exp(2.2 * pleat - 2.0)) * torch.sigmoid(24.0 * rise) * torch.exp(-2.0 * above)
        glow, tone = glow + light, tone + light * torch.exp(-3.0 * above)
    within = 0.12 + torch.sigmoid(9.0 * (at.mass - at.level + 0.15))
    return Look(0.2 * at.mass, 1.2 * glow * within, (1.2 * tone).clamp(max=1.0))


def _caustic(middle: Tensor, at: Place) -> Look:
    """Light at the bottom of a pool: soft ridges where two bent waves cancel or agree."""
    pitch = _between(middle, 21, 2.2, 3.6)
    one = torch.sin(pitch * at.u + 1.3 * torch.sin(0.7 * pitch * at.v + _normal(middle, 22)))
    two = torch.sin(pitch * at.v + 1.3 * torch.sin(0.8 * pitch * at.u + _normal(middle, 23)))
    net = 0.1 / (0.1 + (one + two) ** 2) + 0.5 * 0.1 / (0.1 + (one - two) ** 2)
    return Look(0.3 * at.mass + 0.12 * net, net * at.mass.clamp(max=1.3), 0.8 * net)


def _neon(middle: Tensor, at: Place) -> Look:
    """Dark bodies whose edge is a glowing tube, with a fainter one further in."""
    inside = at.mass - at.level
    inner = inside - _between(middle, 21, 0.3, 0.6)
    rim, second = 0.02 / (0.02 + inside * inside), 0.02 / (0.02 + inner * inner)
    return Look(0.5 * at.mass, 1.1 * rim + 0.6 * second, 0.7 * rim + 0.3)


# ---- fine: colour and light


def _paint(factors: Factors, res: int) -> Tensor:
    """[n, 3, res, res] in 0..1."""
    fine = factors.fine
    stage = _stage(factors.coarse, res)
    form = _form(factors, stage)
    light = _lit(fine, stage, form)
    light = light * torch.exp(-0.95 * (stage.x**2 + stage.y**2) ** 1.5).unsqueeze(1)
    light = light + _between(fine, 16, 0.03, 0.28).unsqueeze(1) * _bloom(light)
    # one loud part must not leave the rest black, nor a dim picture stay dim: smooth automatic exposure
    loudness = (light * light).mean((1, 2, 3), keepdim=True).sqrt()
    exposure = _between(fine, 14, 0.40, 0.66).unsqueeze(1) / (0.015 + loudness) ** 0.95
    light = exposure * light
    light = light * light / (0.16 + light) + 0.15 * light  # deepens what is dark, and its colour with it
    return torch.sqrt(1 - torch.exp(-1.15 * light) + 1e-5).clamp(max=1.0)


def _lit(fine: Tensor, stage: Stage, form: Form) -> Tensor:
    """Linear light [n, 3, res, res]: a key light, a light of the accent's colour from behind, what shines by itself."""
    slope_x, slope_y = _slopes(_between(fine, 15, 1.1, 2.0) * form.relief, stage.x.shape[-1])
    toward = -(slope_x * stage.light_x + slope_y * stage.light_y)  # > 0 where the surface faces the key light
    tilt = torch.rsqrt(1 + slope_x * slope_x + slope_y * slope_y)
    key = F.softplus(tilt * (_between(fine, 18, 0.8, 2.2) + 5.0 * toward)) / 5.0
    back = F.softplus(tilt * (-5.0 - 6.0 * toward)) / 5.0
    steep_x, steep_y = slope_x + 0.8 * stage.light_x, slope_y + 0.8 * stage.light_y
    sheen = torch.exp(-6.0 * (steep_x * steep_x + steep_y * steep_y))

    contrast = _between(fine, 8, 0.5, 1.0)
    tone = (form.tone * contrast + 0.5 * (1 - contrast)).clamp(0, 1)
    body = form.matter * form.solid * key * (0.25 + 0.75 * tilt)
    glow = form.glow * _between(fine, 11, 0.6, 1.2)
    hot = glow * glow * glow * 0.35 + form.solid * (
        form.gloss * _between(fine, 12, 0.8, 2.2) * sheen + _between(fine, 9, 0.0, 0.5) * form.relief.clamp(0, 1.2) ** 4
    )
    first, second, accent = _palette(fine)
    layers = (
        (body * tone * tone + glow * tone + 0.5 * hot, first),
        (body * (1 - tone) + glow * (1 - tone), second),
        (
            _between(fine, 10, 0.06, 0.4) * form.far * (1 - form.solid * (0.3 + 0.7 * form.matter)),
            second + _between(fine, 7, 0, 0.8).unsqueeze(1) * (accent - second),
        ),
        (form.solid * (1.2 - form.solid) * back * (1 - tilt) * _between(fine, 13, 0.3, 2.0), accent),
        (0.5 * hot, 1.0 + _between(fine, 17, 0.0, 0.8).unsqueeze(1) * (accent - 1.0)),
    )
    return sum(amount.unsqueeze(1) * colour for amount, colour in layers)


def _bloom(light: Tensor) -> Tensor:
    """Light spilt around what is bright: the same at every size, since it is made at one."""
    small = F.interpolate(light, (32, 32), mode="area")
    for _ in range(2):
        small = F.avg_pool2d(small, 5, stride=1, padding=2)
    return F.interpolate(small, light.shape[2:], mode="bilinear", align_corners=False)


def _slopes(height: Tensor, res: int) -> tuple[Tensor, Tensor]:
    """Central differences per picture half-width."""
    padded = F.pad(height.unsqueeze(1), (1, 1, 1, 1), mode="replicate").squeeze(1)
    return (
        (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) * (res / 4),
        (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) * (res / 4),
    )


def _palette(fine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Linear light [n, 3, 1, 1] of the first hue, its neighbour and an accent. The hue is a direction: no seam."""
    hue = torch.atan2(fine[:, 1], fine[:, 0])
    hue = hue + 0.5 * torch.sin(hue - YELLOW_GREEN)  # fewer, and paler, of the hues that look sickly when dark
    directed = fine[:, 0] ** 2 + fine[:, 1] ** 2
    near = (0.3 + 0.7 * torch.special.ndtr(fine[:, 2])) * torch.tanh(2 * fine[:, 3])
    far = math.pi * 0.62 * torch.tanh(2 * fine[:, 4]) + 0.2 * fine[:, 6].clamp(-2, 2)
    colourful = 0.08 + 0.16 * torch.special.ndtr(fine[:, 5]) ** 0.6
    # where every direction meets, none is seen
    chroma = colourful * (1 - 0.13 * (1 + torch.cos(hue - YELLOW_GREEN))) * directed / (directed + 0.04)
    return (
        _oklab(0.65 + 0.07 * torch.cos(hue - YELLOW_GREEN), chroma, hue),
        _oklab(0.46 + 0 * hue, chroma, hue + near),
        _oklab(0.68 + 0 * hue, 0.1 + 0.5 * chroma, hue + far),
    )


def _oklab(lightness: Tensor, chroma: Tensor, hue: Tensor) -> Tensor:
    a, b = chroma * hue.cos(), chroma * hue.sin()
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    rgb = torch.stack([red, green, blue], 1)
    return F.softplus(rgb * 60).div(60).view(-1, 3, 1, 1)  # out-of-gamut colours lose chroma softly


# ---- contact sheets


def sheet(images: Tensor, columns: int) -> Image.Image:
    """Pictures [n, 3, size, size] in -1..1, row by row."""
    rows = [torch.cat(list(row), 2) for row in images.split(columns)]
    pixels = (torch.cat(rows, 1).permute(1, 2, 0) * 127.5 + 127.5).round().byte()
    return Image.fromarray(pixels.numpy())


def crosses(factors: Factors, columns: int) -> Factors:
    """Three times two rows: one picture with other layouts, in other forms, in other colours."""
    rows = []
    for base in (0, 1):
        one = factors[torch.full((columns,), base)]
        many = factors[2 + base * columns : 2 + (base + 1) * columns]
        rows += [many.cross(one, one), one.cross(many, one), one.cross(one, many)]
    return Factors(*(torch.cat(group) for group in zip(*((r.coarse, r.middle, r.fine) for r in rows), strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("sheet.png"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--crosses", action="store_true", help="rows change coarse only, middle only, fine only")
    arguments = parser.parse_args()
    columns = 6
    factors = draw(arguments.seed, 0, 4 * columns)
    if arguments.crosses:
        factors = crosses(factors, columns)
    sheet(render(factors, arguments.size), columns).save(arguments.out)


if __name__ == "__main__":
    main()
