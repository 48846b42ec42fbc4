"""Makes livelav/models/default.*: a StyleGAN2 whose weights are designed and drawn by lot, not trained.

An ordinary random StyleGAN2 paints mush. This one is laid out as a field that folds: smooth low-frequency constants,
small low-pass kernels that also shift, little of a field's level let through (so that zero padding leaves no frame),
and near the end five scalar fields, each bent by a tone curve made of three leaky ReLUs: ribbons, or islands with
soft tops. Each field then has one colour per picture, chosen by the last ws. So coarse ws lay out, fine ws colour.

Every layer is calibrated on the activations that reach it. All random numbers come from core.normals; the same seed
gives the same pictures everywhere, and the same file on the same machine.

    python tools/make_untrained_generator.py [--seed N] [--out livelav/models/default.safetensors]
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from livelav.core.normals import normals
from livelav.core.values import W_DIM, Floats
from livelav.generate.files import write_checkpoint
from livelav.generate.layout import LRELU_SLOPE, Config, Layer
from livelav.generate.statistics import w_mean_and_std, w_samples
from livelav.generate.stylegan2 import ModulatedConv, StyleGAN2, modulated_conv

Array = NDArray[np.float64]

CONFIG = Config(
    resolution=256, channel_base=4096, channel_max=128, architecture="skip", mapping_layers=4, conv_clamp=256.0
)
BATCH = 32  # ws that the layers are calibrated on


@dataclass(frozen=True)
class Recipe:
    """How one convolution's weights are drawn."""

    style: float  # standard deviation of its styles over W, around 1
    surround: float  # how much of the level is taken out of each kernel, 0..1
    shift_px: float  # how far kernels move what they see
    width_px: float  # of the kernels
    keep: float  # share of each channel that stays itself, 0..1
    spread: float  # of the thresholds, in standard deviations of the field
    noise: float  # strength of the noise map, likewise
    blob_px: float  # size of the forms in the noise map


RECIPES = {
    "b4.conv1": Recipe(0.6, 0.0, 0.5, 0.6, 0.0, 0.30, 0.00, 1),
    "b8.conv0": Recipe(0.55, 0.0, 0.7, 0.6, 0.0, 0.36, 0.10, 1),
    "b8.conv1": Recipe(0.45, 0.75, 0.7, 0.6, 0.0, 0.36, 0.15, 1),
    "b16.conv0": Recipe(0.45, 0.0, 0.7, 0.6, 0.0, 0.36, 0.15, 1.5),
    "b16.conv1": Recipe(0.4, 0.7, 0.7, 0.6, 0.0, 0.36, 0.15, 1.5),
    "b32.conv0": Recipe(0.35, 0.0, 0.7, 0.5, 0.0, 0.30, 0.06, 2),
    "b32.conv1": Recipe(0.3, 0.1, 0.7, 0.5, 0.5, 0.30, 0.05, 2),
    "b64.conv0": Recipe(0.3, 0.0, 0.2, 0.4, 0.0, 0.24, 0.04, 3),
    "b64.conv1": Recipe(0.3, 0.0, 0.2, 0.4, 0.7, 0.24, 0.04, 3),
    "b128.conv0": Recipe(0.25, 0.0, 0.0, 0.3, 0.0, 0.30, 0.03, 4),
    "b128.conv1": Recipe(0.25, 0.0, 0.0, 0.3, 0.7, 0.30, 0.03, 4),
    "b256.conv0": Recipe(0.25, 0.0, 0.0, 0.3, 0.0, 0.0, 0.03, 6),
    "b256.conv1": Recipe(0.1, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 6),
}
BENDING, PAINTING = "b256.conv0", "b256.conv1"


@dataclass(frozen=True)
class Field:
    """One of the scalar fields that a picture is made of."""

    curve: tuple[float, float, float]  # of leaky ReLUs at start, start + step, start + 2 step
    start: float  # in standard deviations above the ground
    step: float
    hue: float  # turns, 0 red, 1/3 green
    light: float  # what its brightest places add to the picture, of 2


ISLAND, RIBBON = (1.0, -0.5, -0.4), (1.0, -2.0, 1.0)  # a soft top; a tent, dark on both sides
FIELDS = (
    Field(ISLAND, 0.1, 0.9, 0.63, 1.0),
    Field(ISLAND, 0.3, 0.9, 0.80, 1.0),
    Field(RIBBON, 0.1, 0.6, 0.90, 1.2),
    Field(RIBBON, 0.15, 0.6, 0.50, 1.2),
    Field(ISLAND, 0.5, 0.8, 0.07, 1.3),
)
GROUND = (-0.98, -1.0, -0.92)  # nearly black, a breath of blue
RING_PX = 24  # the picture's rim, which is to be ground
# Channel 0 of every layer is silent. Weights on it do nothing but enter demodulation: they set a layer's gain.
SILENT = 0
HIGH_PASS = np.outer([1, -2, 1], [1, -2, 1]) / 6.0  # sums to zero both ways, squares to one


class Draw:
    """Standard normals, each call from the next stream of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed, self._stream = seed, 1  # stream 0 is the z of w_samples

    def __call__(self, *shape: int) -> Array:
        self._stream += 1
        return normals(self._seed, self._stream, shape)


def design(draw: Draw) -> tuple[dict[str, Array], Floats]:
    """All tensors of CONFIG, and w [10,000, 512] from their mapping network."""
    tensors = {
        f"mapping.fc{i}.{part}": 100.0 * draw(W_DIM, W_DIM) if part == "weight" else np.zeros(W_DIM)
        for i in range(CONFIG.mapping_layers)
        for part in ("weight", "bias")
    }
    tensors["mapping.w_avg"] = np.zeros(W_DIM)
    ws = w_samples(CONFIG, tensors)
    w_avg, w_std = (a.astype(np.float64) for a in w_mean_and_std(ws))
    tensors["mapping.w_avg"] = w_avg

    network = StyleGAN2(CONFIG).requires_grad_(False)
    w = torch.from_numpy(ws[:BATCH])
    tensors["synthesis.b4.const"] = constant_input(draw)
    x = torch.from_numpy(tensors["synthesis.b4.const"]).float().expand(BATCH, -1, -1, -1)
    for layer in CONFIG.layers:
        directions = draw(layer.inputs, W_DIM) / w_std  # each row times w, over sqrt(512), has unit deviation
        if layer.kind == "rgb":
            parts = paint(draw, x, w_std) if layer.resolution == CONFIG.resolution else dark(layer)
        else:
            module = network.synthesis.get_submodule(layer.name)
            assert isinstance(module, ModulatedConv)
            parts = convolution(draw, layer, directions, w_avg, x, w, network.synthesis.fir, module)
            x = module(x, w, network.synthesis.fir, 1.0, "const")
        if layer.kind == "rgb":  # styles as given hold at the centre of W
            parts["affine.bias"] = parts["affine.bias"] - parts["affine.weight"] @ w_avg / np.sqrt(W_DIM)
        tensors |= {f"synthesis.{layer.name}.{name}": value for name, value in parts.items()}
    return tensors, ws


def constant_input(draw: Draw) -> Array:
    """Random sums of cosines [channels, 4, 4], weaker the finer they are, without level."""
    channels, at = CONFIG.channels(4), (np.arange(4) + 0.5) / 4
    total = np.zeros((channels, 4, 4))
    for i in range(4):
        for j in range(4):
            if i + j > 0:
                wave = np.cos(np.pi * i * at)[:, None] * np.cos(np.pi * j * at)[None]
                total += draw(channels, 1, 1) * (i * i + j * j) ** -0.75 * wave
    total[SILENT] = 0.0
    return total / total[1:].std()


def kernels(draw: Draw, layer: Layer, recipe: Recipe) -> Array:
    """Gaussian bumps [outputs, inputs, 3, 3] beside the centre, each of unit energy."""
    offset = np.clip(draw(layer.outputs, layer.inputs, 2) * recipe.shift_px, -1.0, 1.0)
    bumps = np.exp(-((np.arange(-1, 2) - offset[..., None]) ** 2) / (2 * recipe.width_px**2))  # [m, k, axis, 3]
    k = bumps[:, :, 0, :, None] * bumps[:, :, 1, None, :]
    k = k / k.sum((2, 3), keepdims=True) - recipe.surround / 9.0
    return k / np.sqrt((k**2).sum((2, 3), keepdims=True))


def mixing(draw: Draw, layer: Layer, recipe: Recipe, means: Array) -> Array:
    """How channels are mixed [outputs, inputs]; rows are made blind to the inputs' mean levels."""
    mix = draw(layer.outputs, layer.inputs)
    if layer.name == PAINTING:  # three copies of each bent field, one for each of red, green and blue
        mix[:] = 0.0
        for i, field in enumerate(FIELDS):
            mix[1 + 3 * i : 4 + 3 * i, 1 + 3 * i : 4 + 3 * i] = field.curve
        return mix
    if recipe.keep:
        n = min(layer.outputs, layer.inputs)
        mix *= np.sqrt(1 - recipe.keep**2)
        mix[np.arange(n), np.arange(n)] += recipe.keep * np.sqrt(layer.inputs)
    if layer.name == BENDING:  # three copies of each field, to be bent at three levels
        mix[1:] = np.repeat(mix[1::3], 3, axis=0)
        return mix
    return mix - np.outer(mix @ means, means) / (means @ means + 1e-12)


def convolution(
    draw: Draw,
    layer: Layer,
    directions: Array,
    w_avg: Array,
    x: Tensor,
    w: Tensor,
    fir: Tensor,
    module: ModulatedConv,
) -> dict[str, Array]:
    """Draws one layer and calibrates it on what reaches it, x [n, inputs, h, w]; loads it into `module`."""
    recipe = RECIPES[layer.name]
    shapes = kernels(draw, layer, recipe)
    if layer.name == BENDING:
        shapes[1:] = np.repeat(shapes[1::3], 3, axis=0)
    weight = mixing(draw, layer, recipe, x.mean((0, 2, 3)).double().numpy())[..., None, None] * shapes
    weight[SILENT], weight[:, SILENT] = 0.0, 0.0
    style_weight = directions * recipe.style
    style_weight[SILENT] = 0.0
    style_bias = 1.0 - style_weight @ w_avg / np.sqrt(W_DIM)

    energy = (weight**2).sum((1, 2, 3))
    ballast = np.zeros(layer.outputs)
    for _ in range(3):  # gains above 1 are weighed down to 1; a few rounds, since styles vary
        weight[:, SILENT] = np.sqrt(ballast)[:, None, None] * HIGH_PASS
        load(module, {"weight": weight, "affine.weight": style_weight, "affine.bias": style_bias})
        y = modulated_conv(x, module.weight, module.affine(w), fir, up=layer.kind == "up")[:, 1:]
        gain = float((y - y.mean((0, 2, 3))[:, None, None]).square().mean().sqrt())
        if gain <= 1.02:
            break
        ballast += (energy + ballast) * (gain**2 - 1.0)
    parts = {
        "weight": weight,
        "affine.weight": style_weight,
        "affine.bias": style_bias,
        "bias": np.append(0.0, thresholds(draw, layer, recipe, y, gain)),
        "noise_const": noise_map(draw, layer.resolution, recipe.blob_px),
        "noise_strength": np.array(recipe.noise * gain),
    }
    load(module, parts)
    return parts


def thresholds(draw: Draw, layer: Layer, recipe: Recipe, y: Tensor, gain: float) -> Array:
    """Biases [outputs - 1] for the fields y [n, outputs - 1, h, w]: where they fold."""
    if layer.name == BENDING:
        deviation = y.std((0, 2, 3)).double().numpy()
        rim = torch.ones(y.shape[2:], dtype=torch.bool)
        rim[RING_PX:-RING_PX, RING_PX:-RING_PX] = False
        ground = np.median(y[:, :, rim].transpose(0, 1).flatten(1).numpy(), axis=1)
        starts = np.array([field.start + i * field.step for field in FIELDS for i in range(3)])
        return -ground - deviation * starts
    if layer.name == PAINTING:  # dark is zero
        return -np.repeat([np.percentile(y[:, 3 * i].numpy(), 20) for i in range(len(FIELDS))], 3)
    mean = y.mean((0, 2, 3)).double().numpy()
    even = -mean - 0.1 * gain
    if layer.resolution < 128:  # halfway to outputs without mean, which would leave too many of them silent
        even = 0.45 * balanced(y, gain) + 0.55 * even
    return even + recipe.spread * gain * draw(layer.outputs - 1)


def balanced(y: Tensor, gain: float) -> Array:
    """Biases per channel after which the leaky ReLU's mean is zero, by bisection."""
    mean = y.mean((0, 2, 3))
    low, high = -mean - 4 * gain, -mean + 4 * gain
    for _ in range(20):
        middle = (low + high) / 2
        above = F.leaky_relu(y + middle[:, None, None], LRELU_SLOPE).mean((0, 2, 3)) > 0
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    result: Array = low.double().numpy()
    return result


def noise_map(draw: Draw, size: int, blob_px: float) -> Array:
    """Soft random forms [size, size] of unit deviation, not white noise: loudness is to bring out texture."""
    f = np.fft.fftfreq(size)
    low_pass = np.exp(-2 * (np.pi * blob_px) ** 2 * (f[:, None] ** 2 + f[None] ** 2))
    soft = np.fft.ifft2(np.fft.fft2(draw(size, size)) * low_pass).real
    return soft / soft.std()


def paint(draw: Draw, x: Tensor, w_std: Array) -> dict[str, Array]:
    """The last rgb layer: one channel for each field's red, green and blue, so that its styles are colours."""
    inputs = x.shape[1]
    weight, bias, style = np.zeros((3, inputs, 1, 1)), np.zeros(inputs), np.zeros((inputs, W_DIM))
    for i, field in enumerate(FIELDS):
        brightest = np.percentile(x[:, 1 + 3 * i].numpy(), 99)
        along, across, light = (draw(W_DIM) / w_std for _ in range(3))  # saturation, hue, light
        for c in range(3):
            channel, angle = 1 + 3 * i + c, 2 * np.pi * (field.hue - c / 3)
            weight[c, channel] = field.light * np.sqrt(inputs) / brightest
            bias[channel] = 0.5 + 0.55 * np.cos(angle)
            style[channel] = 0.12 * np.cos(angle) * along + 0.35 * np.sin(angle) * across + 0.2 * light
    return {"weight": weight, "bias": np.array(GROUND), "affine.weight": style, "affine.bias": bias}


def dark(layer: Layer) -> dict[str, Array]:
    """An rgb layer that adds nothing: a picture's colours are all made at its full size."""
    return {
        "weight": np.zeros((3, layer.inputs, 1, 1)),
        "bias": np.zeros(3),
        "affine.weight": np.zeros((layer.inputs, W_DIM)),
        "affine.bias": np.ones(layer.inputs),
    }


def load(module: ModulatedConv, parts: dict[str, Array]) -> None:
    for name, value in parts.items():
        target = module.noise_const if name == "noise_const" else module.get_parameter(name)
        target.copy_(torch.from_numpy(value))


def images(network: StyleGAN2, ws: NDArray[np.floating]) -> NDArray[np.uint8]:
    """ws [n, num_ws, 512] to [n, size, size, 3]."""
    made = [network.synthesis(torch.from_numpy(part).float()) for part in np.array_split(ws, max(len(ws) // 8, 1))]
    bytes_ = (torch.cat(made) * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    result: NDArray[np.uint8] = bytes_.permute(0, 2, 3, 1).numpy()
    return result


def figures(pictures: NDArray[np.uint8]) -> dict[str, float]:
    """What a set of pictures is like; all of 1."""
    p = pictures / 255.0
    light = p @ np.array([0.2126, 0.7152, 0.0722])
    largest, n = p.max(3), len(p)
    distance = np.sqrt(((p[:, None] - p[None]) ** 2).mean((2, 3, 4)))
    values = {
        "light_mean": light.mean(),
        "contrast_mean": light.std((1, 2)).mean(),  # standard deviation of light within a picture
        "contrast_min": light.std((1, 2)).min(),
        "saturation": (largest - p.min(3)).sum() / largest.sum(),
        "distance_mean": distance.sum() / (n * (n - 1)),  # rms between two pictures
        "clipped": (p >= 1.0).any(3).mean(),
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def circle_steps(network: StyleGAN2, w_avg: Floats, w_std: Floats, draw: Draw, count: int = 96) -> dict[str, float]:
    """Round a great circle of W in `count` equal steps: rms between neighbours, of 1."""
    angle = 2 * np.pi * np.arange(count)[:, None] / count
    w = w_avg + w_std * (np.cos(angle) * draw(1, W_DIM) + np.sin(angle) * draw(1, W_DIM))
    p = images(network, np.repeat(w[:, None], CONFIG.num_ws, axis=1)) / 255.0
    steps = np.sqrt(((p - np.roll(p, 1, axis=0)) ** 2).mean((1, 2, 3)))
    return {"step_median": round(float(np.median(steps)), 4), "step_max": round(float(steps.max()), 4)}


def live_ws(w_avg: Floats, w_std: Floats, draw: Draw, count: int) -> Array:
    """ws as sound makes them: Gaussian, in few directions, and another w for each of the three layer groups."""
    directions = draw(W_DIM, 12) / np.sqrt(12)
    groups = [w_avg + 1.1 * w_std * (directions @ draw(12, count)).T for _ in range(3)]
    first = np.array(CONFIG.ws_resolutions)
    return np.stack([groups[int(r > 8) + int(r > 32)] for r in first], axis=1)


def sheet(pictures: NDArray[np.uint8], columns: int, size: int) -> Image.Image:
    small = [np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.LANCZOS)) for p in pictures]
    rows = [np.concatenate(small[i : i + columns], axis=1) for i in range(0, len(small), columns)]
    return Image.fromarray(np.concatenate(rows, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    default = Path(__file__).resolve().parent.parent / "livelav" / "models" / "default.safetensors"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # sums in one order
    draw = Draw(arguments.seed)
    designed, ws = design(draw)
    tensors = {name: value.astype(np.float16) for name, value in designed.items()}
    ws = w_samples(CONFIG, tensors)
    w_mean, w_std = w_mean_and_std(ws)
    write_checkpoint(arguments.out, CONFIG, tensors, w_mean, w_std)

    network = StyleGAN2.from_tensors(CONFIG, tensors)
    from_z = images(network, np.repeat(ws[-24:, None], CONFIG.num_ws, axis=1))
    live = images(network, live_ws(w_mean, w_std, draw, 24))
    card = {
        "name": arguments.out.stem,
        "description": "Neon forms on a dark ground; designed and drawn by lot, until a trained model comes.",
        "untrained": True,
        "licence": "MIT",
        "made_with": f"python tools/make_untrained_generator.py --seed {arguments.seed}",
        "figures": {
            "from_z": figures(from_z),
            "as_sound_makes_them": figures(live),
            "great_circle_of_96": circle_steps(network, w_mean, w_std, draw),
        },
    }
    arguments.out.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    chosen = sheet(np.concatenate([from_z[:8], live[:8]]), 4, 128)
    chosen.quantize(256, Image.Quantize.MEDIANCUT).save(arguments.out.with_suffix(".png"), optimize=True)
    print(json.dumps(card["figures"], indent=2))


if __name__ == "__main__":
    main()
