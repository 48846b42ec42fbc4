"""Reads an EnCodec encoder's weights, from the files that carry them in the wild, into the network that streams.

Three layouts, recognised by content: torch files with a state dict (EnCodec's .th), torch files with such a dict
under `best_state` (AudioCraft's compression_state_dict.bin), and safetensors (Hugging Face's, and our own). The
architecture is read off the tensors' shapes; decoder and quantiser are left where they are. Nothing in a file is
run: see core/inert.py.

It does not know where files come from, nor how a stream is fed. Pure but for reading one file.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from livelav.core import inert, inert_torch
from livelav.core.errors import WeightsError
from livelav.core.values import EMBEDDING_DIM, Floats
from livelav.encode.seanet import Conv, Layer, Lstm, LstmLayer, PadMode, Residual, Seanet, Window

ARCHITECTURES = "livelav reads EnCodec's 24 kHz and 32 kHz encoders"
REMEDY = "fetch the file again, or use `--encoder embedded`"

_PREFIXES = ("encoder.model.", "encoder.layers.")
_CONV = re.compile(
    r"(?P<layer>\d+(?:\.block\.[13]|\.shortcut)?)\.(?:conv\.){1,2}(?:parametrizations\.weight\.)?"
    r"(?P<part>weight_g|weight_v|weight|bias|original0|original1)"
)
_PARTS = {"original0": "weight_g", "original1": "weight_v"}


@dataclass(frozen=True, slots=True)
class Family:
    """What a published model's shapes stand for and what they cannot say."""

    name: str
    strides: tuple[int, ...]
    identity_skip: bool
    sample_rate: int
    causal: bool
    filters: int  # of the published one; others are read as well


FAMILIES = (
    Family("encodec-24khz", (2, 4, 5, 8), False, 24_000, True, 32),
    Family("encodec-32khz", (4, 4, 5, 8), True, 32_000, False, 64),
)


@dataclass(frozen=True, slots=True)
class Weights:
    """An encoder ready to run, and what else its file told."""

    net: Seanet
    family: Family
    filters: int
    extra: Mapping[str, NDArray[Any]]  # tensors of our own files: embedding.mean, embedding.covariance


def read_weights(path: Path) -> Weights:
    """The encoder in that file. Raises WeightsError where it is missing, damaged, of another model, or carries code."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
        tensors, extra, pad_mode = _read_safetensors(path) if head[8:9] == b"{" else _read_torch(path)
    except OSError as error:
        raise WeightsError(f"cannot read the encoder's weights {path}: {error.strerror}; {REMEDY}") from error
    except inert.PlainDataError as error:
        raise WeightsError(f"{path.name}: {error}; {REMEDY}") from error
    try:
        return _assemble(_fold(tensors), extra, pad_mode)
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error}") from error


def random_weights(name: str, seed: int = 0) -> Weights:
    """A published architecture with random weights, as fast as the real one: for measuring."""
    family = next(family for family in FAMILIES if family.name == name)
    draw = np.random.Generator(np.random.PCG64(seed))
    tensors: dict[str, Floats] = {}

    def conv(layer: str, outputs: int, inputs: int, kernel: int) -> None:
        scale = np.float32((inputs * kernel) ** -0.5)
        tensors[f"{layer}.weight"] = scale * draw.standard_normal((outputs, inputs, kernel), np.float32)
        tensors[f"{layer}.bias"] = np.zeros(outputs, np.float32)

    width = family.filters
    conv("0", width, 1, 7)
    for number, stride in enumerate(family.strides):
        conv(f"{1 + 3 * number}.block.1", width // 2, width, 3)
        conv(f"{1 + 3 * number}.block.3", width, width // 2, 1)
        if not family.identity_skip:
            conv(f"{1 + 3 * number}.shortcut", width, width, 1)
        conv(f"{3 + 3 * number}", 2 * width, width, 2 * stride)
        width *= 2
    for layer in (0, 1):
        for kind in ("ih", "hh"):
            weight = np.float32(1 / width) * draw.standard_normal((4 * width, width), np.float32)
            tensors[f"13.lstm.weight_{kind}_l{layer}"] = weight
            tensors[f"13.lstm.bias_{kind}_l{layer}"] = np.zeros(4 * width, np.float32)
    conv("15", EMBEDDING_DIM, width, 7)
    return _assemble(tensors, {}, "reflect")


def _read_safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], PadMode]:
    from safetensors import SafetensorError, safe_open

    tensors, extra = {}, {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - a safetensors file is no dict
                if name.startswith(_PREFIXES):
                    tensors[name.split(".", 2)[2]] = file.get_tensor(name)
                elif name.startswith("embedding."):
                    extra[name] = file.get_tensor(name)
    except (SafetensorError, TypeError, AttributeError) as error:  # the latter two: a dtype that numpy does not have
        raise WeightsError(f"{path.name}: no readable safetensors file ({str(error)[:100]}); {REMEDY}") from error
    return tensors, extra, _config_pad_mode(path.with_name("config.json"))


def _config_pad_mode(path: Path) -> PadMode:
    """What Hugging Face's config.json says, if one lies beside the weights and speaks of EnCodec."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return "reflect"
    is_encodec = isinstance(config, dict) and config.get("model_type") == "encodec"
    return _pad_mode(config.get("pad_mode")) if is_encodec else "reflect"


def _pad_mode(word: Any) -> PadMode:
    """All published weights were trained with `reflect`; a file may say otherwise."""
    if word not in (None, "reflect", "constant"):
        raise WeightsError(f"padding {str(word)[:40]!r} is neither reflect nor constant; {ARCHITECTURES}")
    return cast(PadMode, word or "reflect")


def _read_torch(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], PadMode]:
    tree = inert_torch.read_torch(path.read_bytes())
    pad_mode: PadMode = "reflect"
    if isinstance(tree, dict) and isinstance(tree.get("pretrained"), str):
        name = tree["pretrained"][:60]
        raise WeightsError(f"{path.name}: holds no weights, only the name {name}; `livelav models fetch encodec-32khz`")
    if isinstance(tree, dict) and "best_state" in tree:
        said = re.search(r"^\s*pad_mode:\s*(\w+)", str(tree.get("xp.cfg", ""))[:200_000], re.MULTILINE)
        pad_mode = _pad_mode(said and said[1])
        tree = tree["best_state"]
    if not isinstance(tree, dict):
        raise WeightsError(f"{path.name}: holds no state dict; {ARCHITECTURES}")
    tensors = {
        name.split(".", 2)[2]: value.array()
        for name, value in tree.items()
        if isinstance(name, str) and name.startswith(_PREFIXES) and isinstance(value, inert_torch.Tensor)
    }
    return tensors, {}, pad_mode


def _fold(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """One name for each tensor whatever the layout, weight norm folded in: W = v * g / ||v||, norm over dims 1, 2."""
    if any(".norm." in name for name in tensors):
        raise WeightsError(
            "EnCodec's 48 kHz model normalises over whole seconds, so it cannot run live; use `--encoder encodec-24khz`"
        )
    folded: dict[str, Floats] = {}
    halves: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f" or not np.isfinite(tensor).all():
            raise WeightsError(f"tensor {name} is not made of finite numbers; {REMEDY}")
        conv = _CONV.fullmatch(name)
        part = _PARTS.get(conv["part"], conv["part"]) if conv else ""
        if conv and part in ("weight_g", "weight_v"):
            halves.setdefault(conv["layer"], {})[part] = tensor.astype(np.float64)
        else:
            folded[f"{conv['layer']}.{part}" if conv else name] = tensor.astype(np.float32)
    for layer, half in halves.items():
        if len(half) < 2 or half["weight_v"].ndim != 3 or half["weight_g"].shape != (len(half["weight_v"]), 1, 1):
            raise WeightsError(f"the weight norm of layer {layer} is incomplete; {REMEDY}")
        norm = np.linalg.norm(half["weight_v"], axis=(1, 2), keepdims=True)
        folded[f"{layer}.weight"] = (half["weight_v"] * half["weight_g"] / np.maximum(norm, 1e-12)).astype(np.float32)
    return folded


class _Shelf:
    """Hands out tensors by name and checks the shape that the architecture asks for."""

    def __init__(self, tensors: Mapping[str, Floats]) -> None:
        self._tensors = tensors

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def shape(self, name: str) -> tuple[int, ...]:
        if name not in self._tensors:
            raise WeightsError(f"tensor {name} of an EnCodec encoder is missing; {ARCHITECTURES}")
        return self._tensors[name].shape

    def take(self, name: str, *shape: int) -> Floats:
        if self.shape(name) != shape:
            raise WeightsError(f"tensor {name} has shape {self.shape(name)} where {shape} is due; {ARCHITECTURES}")
        return self._tensors[name]

    def matrix(self, layer: str, outputs: int, inputs: int, kernel: int) -> Floats:
        """[outputs, inputs, kernel] as torch has it -> [kernel * inputs, outputs]."""
        weight = self.take(f"{layer}.weight", outputs, inputs, kernel)
        return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(kernel * inputs, outputs))


def _assemble(tensors: Mapping[str, Floats], extra: Mapping[str, NDArray[Any]], pad_mode: PadMode) -> Weights:
    """Layers 0 conv, then four times (residual block, ELU, strided conv), 13 LSTM, 14 ELU, 15 conv."""
    shelf = _Shelf(tensors)
    filters, channels, *_ = _at_least_3(shelf.shape("0.weight"))
    strides = tuple(_at_least_3(shelf.shape(f"{index}.weight"))[2] // 2 for index in (3, 6, 9, 12))
    identity = "1.shortcut.weight" not in shelf
    family = next((f for f in FAMILIES if (f.strides, f.identity_skip) == (strides, identity)), None)
    if family is None or channels != 1:
        raise WeightsError(f"an encoder of {channels} channels and strides {strides}; {ARCHITECTURES}")

    def window(kernel: int, stride: int = 1) -> Window:
        return Window(kernel, stride, family.causal, pad_mode)

    layers: list[Layer] = [_conv(shelf, "0", 1, filters, window(7), activated=False)]
    width = filters
    for number, stride in enumerate(strides):
        layers.append(_residual(shelf, str(1 + 3 * number), width, window(3), identity))
        layers.append(_conv(shelf, str(3 + 3 * number), width, 2 * width, window(2 * stride, stride), activated=True))
        width *= 2
    layers.append(Lstm(tuple(_lstm_layer(shelf, number, width) for number in (0, 1))))
    layers.append(_conv(shelf, "15", width, EMBEDDING_DIM, window(7), activated=True))
    return Weights(Seanet(tuple(layers)), family, filters, extra)


def _at_least_3(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 3:
        raise WeightsError(f"a convolution's weight has shape {shape}; {ARCHITECTURES}")
    return shape


def _conv(shelf: _Shelf, layer: str, inputs: int, outputs: int, window: Window, activated: bool) -> Conv:
    matrix = shelf.matrix(layer, outputs, inputs, window.kernel)
    return Conv(window, matrix, shelf.take(f"{layer}.bias", outputs), activated)


def _residual(shelf: _Shelf, layer: str, width: int, window: Window, identity: bool) -> Residual:
    hidden = width // 2
    expand = shelf.matrix(f"{layer}.block.3", width, hidden, 1)
    bias = shelf.take(f"{layer}.block.3.bias", width)
    if not identity:
        expand = np.concatenate([expand, shelf.matrix(f"{layer}.shortcut", width, width, 1)])
        bias = bias + shelf.take(f"{layer}.shortcut.bias", width)
    squeeze = shelf.matrix(f"{layer}.block.1", hidden, width, window.kernel)
    return Residual(window, squeeze, shelf.take(f"{layer}.block.1.bias", hidden), expand, bias)


def _lstm_layer(shelf: _Shelf, number: int, width: int) -> LstmLayer:
    """torch's gates [4 * width, ...] in the order input, forget, cell, output -> as LstmLayer wants them."""

    def ours(weight: Floats) -> Floats:
        admit, forget, cell, emit = np.split(weight, 4)
        half = np.float32(0.5)
        return np.ascontiguousarray(np.concatenate([admit * half, forget * half, emit * half, cell]).T)

    inputs, hidden = (shelf.take(f"13.lstm.weight_{kind}_l{number}", 4 * width, width) for kind in ("ih", "hh"))
    from_input, from_hidden = (shelf.take(f"13.lstm.bias_{kind}_l{number}", 4 * width) for kind in ("ih", "hh"))
    return LstmLayer(ours(inputs), ours(hidden), ours(from_input + from_hidden))
