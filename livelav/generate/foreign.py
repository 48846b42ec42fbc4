"""Where StyleGAN2's tensors lie in other programs' files, and how each is turned into ours.

Takes trees of plain data (see core/inert.py) and gives tensors under the names of layout.py; whether they make up a
generator, and of which Config, checkpoint.py finds out. Three families: NVIDIA's PyTorch pickles, NVIDIA's TensorFlow
pickles, and rosinality's state dicts. A tree comes from a stranger: every walk here is bounded. Pure.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core import inert_numpy
from livelav.core.errors import CheckpointError
from livelav.core.inert import Record
from livelav.core.inert_torch import Tensor
from livelav.generate.layout import FIR

MOST_PARTS = 1000  # modules or tensors of one network; a generator of 2048 px has 75 and 220
LONGEST_NAME = 100
MAPPING_LEARNING_RATE = 0.01

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a file holds of a generator, under our names; nothing about it is checked yet."""

    layout: str
    tensors: dict[str, Array]
    conv_clamp: float | None = None
    architecture: str | None = None  # where the file says it


def from_nvidia(network: Any, limit_bytes: int) -> Parts:
    """NVIDIA's PyTorch generator: modules within modules, under names that are ours. Raises CheckpointError."""
    described: dict[str, Any] = {}
    clamps, architectures = set(), set()
    kwargs: Mapping[str, Any] = {}
    for path, state in _modules(network):
        if not path:
            kwargs = _dict(state.get("_init_kwargs", {}))
        for kind in ("_parameters", "_buffers"):
            for name, value in _dict(state.get(kind, {})).items():
                if value is not None:
                    _describe(described, _joined(path, name), value)
        # the modules' own attributes, for what was left at its default is not among the arguments
        layer, dense = path.removesuffix(".").rpartition(".")[2], re.fullmatch(r"mapping\.fc\d+\.", path)
        if layer in ("conv0", "conv1", "torgb"):
            clamps.add(_number(state.get("conv_clamp")))
        if dense or layer in ("conv0", "conv1"):
            _expect("activation", state.get("activation", "lrelu"), "lrelu")
        if dense:
            _expect("learning rate multiplier", _number(state.get("bias_gain", 0.01)), MAPPING_LEARNING_RATE)
        if type(state.get("architecture")) is str:
            architectures.add(state["architecture"])
    tensors = _arrays(described, limit_bytes)
    if "synthesis.input.freqs" in tensors:
        raise CheckpointError(f"a StyleGAN3 generator of {len(tensors)} tensors, which livelav does not draw")
    if len(clamps) > 1 or len(architectures) > 1:
        raise CheckpointError("a generator whose layers differ in clamp or architecture")
    for name in [name for name in tensors if name.endswith(".resample_filter")]:
        _check_filter(tensors.pop(name))
    layout = "stylegan2-ada" if "synthesis_kwargs" in kwargs else "stylegan3-era stylegan2"
    return Parts(layout, tensors, *(next(iter(found), None) for found in (clamps, architectures)))


def from_tensorflow(network: Any, limit_bytes: int) -> Parts:
    """NVIDIA's TensorFlow generator: variables by name, in a network and its components. Raises CheckpointError."""
    described: dict[str, Any] = {}
    clamp = None
    for path, state in _components(network):
        variables = state.get("variables")
        if type(variables) is not list or len(variables) > MOST_PARTS:
            raise CheckpointError(f"a network without a list of variables in {path or 'its trunk'}")
        for pair in variables:
            if type(pair) is not tuple or len(pair) != 2:
                raise CheckpointError("a variable that is no pair of name and numbers")
            _describe(described, _joined(path, pair[0]), pair[1])
        if path in ("", "synthesis/"):
            said = _dict(state.get("static_kwargs", {}))
            clamp = _number(said.get("conv_clamp")) if clamp is None else clamp
            _expect("nonlinearity", said.get("nonlinearity", "lrelu"), "lrelu")
            _expect("mapping_nonlinearity", said.get("mapping_nonlinearity", "lrelu"), "lrelu")
            _expect("mapping_lrmul", _number(said.get("mapping_lrmul", 0.01)), MAPPING_LEARNING_RATE)
            _expect("normalize_latents", said.get("normalize_latents", True), True)
            kernel = said.get("resample_kernel", list(FIR))
            if type(kernel) not in (list, tuple) or list(map(_number, kernel[:10])) != list(FIR):
                raise CheckpointError("a generator whose upsampling filter is not 1, 3, 3, 1")
    renamed = dict(_renamed(_TENSORFLOW, name, tensor) for name, tensor in _arrays(described, limit_bytes).items())
    renamed.pop("", None)
    return Parts("tensorflow", renamed, clamp)


def from_rosinality(tree: Mapping[Any, Any], limit_bytes: int) -> Parts:
    """rosinality's `g_ema` state dict, and `latent_avg` beside it where there is one. Raises CheckpointError."""
    state = _dict(tree.get("g_ema"))
    described = dict(state)
    if tree.get("latent_avg") is not None:
        described["latent_avg"] = tree["latent_avg"]
    tensors = _arrays(described, limit_bytes)
    for name in [name for name in tensors if name.endswith((".blur.kernel", ".upsample.kernel"))]:
        _check_filter(tensors.pop(name), 4.0)  # the gain of upsampling is in it
    return Parts("rosinality", dict(_renamed(_ROSINALITY, name, tensor) for name, tensor in tensors.items()))


Change = Callable[[Array], Array]
Row = tuple[re.Pattern[str], Callable[[re.Match[str]], str], Change]


def _row(pattern: str, name: str | Callable[[re.Match[str]], str], change: Change = lambda x: x) -> Row:
    """A name of theirs, ours for it, and what is to be done with the numbers."""
    return re.compile(pattern), name if callable(name) else lambda match: match.expand(name), change


def _convolution(x: Array) -> Array:
    """[height, width, inputs, outputs] -> [outputs, inputs, height, width]."""
    return x.transpose(3, 2, 0, 1)


def _turned(x: Array) -> Array:
    """As _convolution; TensorFlow's network turns the kernels of its transposed convolutions round, ours does not."""
    return x[::-1, ::-1].transpose(3, 2, 0, 1)


def _tf_noise(match: re.Match[str]) -> str:
    return _noise_name(int(match[1]))


def _noise_name(number: int) -> str:
    """Noise maps are numbered as the 3x3 convolutions run: 0 is b4.conv1, 1 b8.conv0, 2 b8.conv1, ..."""
    return f"synthesis.b{4 << (number + 1) // 2}.conv{number % 2 ^ 1}.noise_const"


_TF_LAYERS = r"synthesis/(\d+)x\1/"
_TF_NAMES = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}


def _tf_layer(part: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"synthesis.b{match[1]}.{_TF_NAMES[match[2]]}.{part}"


_TENSORFLOW: tuple[Row, ...] = (
    _row(r"(?:synthesis/)?lod", ""),  # how far a growing network has grown: these have
    _row(r"dlatent_avg", "mapping.w_avg"),
    _row(r"mapping/Dense(\d{1,3})/weight", r"mapping.fc\1.weight", lambda x: x.T),
    _row(r"mapping/Dense(\d{1,3})/bias", r"mapping.fc\1.bias"),
    _row(r"mapping/LabelEmbed/weight", "mapping.embed.weight", lambda x: x.T),
    _row(r"mapping/LabelEmbed/bias", "mapping.embed.bias"),
    _row(r"synthesis/4x4/Const/const", "synthesis.b4.const", lambda x: x[0]),
    _row(r"synthesis/noise(\d{1,2})", _tf_noise, lambda x: x[0, 0]),
    _row(_TF_LAYERS + "(Conv|Conv1|ToRGB)/weight", _tf_layer("weight"), _convolution),
    _row(_TF_LAYERS + "(Conv0_up|Skip)/weight", _tf_layer("weight"), _turned),
    _row(_TF_LAYERS + "(Conv|Conv0_up|Conv1|ToRGB)/bias", _tf_layer("bias")),
    _row(_TF_LAYERS + "(Conv|Conv0_up|Conv1)/noise_strength", _tf_layer("noise_strength")),
    _row(_TF_LAYERS + "(Conv|Conv0_up|Conv1|ToRGB)/mod_weight", _tf_layer("affine.weight"), lambda x: x.T),
    _row(_TF_LAYERS + "(Conv|Conv0_up|Conv1|ToRGB)/mod_bias", _tf_layer("affine.bias"), lambda x: x + x.dtype.type(1)),
)


def _rosinality_layer(part: str) -> Callable[[re.Match[str]], str]:
    """conv1 and to_rgb1 are of the 4 px block, convs come in pairs from 8 px, to_rgbs one by one from 8 px."""

    def name(match: re.Match[str]) -> str:
        if match[1] in ("conv1", "to_rgb1"):
            return f"synthesis.b4.{'conv1' if match[1] == 'conv1' else 'torgb'}.{part}"
        kind, number = match[1].split(".")
        i = int(number)
        layer = f"b{8 << i // 2}.conv{i % 2}" if kind == "convs" else f"b{8 << i}.torgb"
        return f"synthesis.{layer}.{part}"

    return name


_CONV, _ANY = r"(conv1|convs\.\d{1,2})\.", r"(conv1|convs\.\d{1,2}|to_rgb1|to_rgbs\.\d{1,2})\."

_ROSINALITY: tuple[Row, ...] = (
    _row(r"latent_avg", "mapping.w_avg", lambda x: x.reshape(-1)),
    _row(r"style\.(\d{1,3})\.(weight|bias)", lambda match: f"mapping.fc{int(match[1]) - 1}.{match[2]}"),
    _row(r"input\.input", "synthesis.b4.const", lambda x: x[0]),
    _row(r"noises\.noise_(\d{1,2})", lambda match: _noise_name(int(match[1])), lambda x: x[0, 0]),
    _row(_ANY + r"conv\.weight", _rosinality_layer("weight"), lambda x: x[0]),
    _row(_ANY + r"conv\.modulation\.weight", _rosinality_layer("affine.weight")),
    _row(_ANY + r"conv\.modulation\.bias", _rosinality_layer("affine.bias")),
    _row(_CONV + r"noise\.weight", _rosinality_layer("noise_strength"), lambda x: x.reshape(())),
    _row(_CONV + r"activate\.bias", _rosinality_layer("bias"), lambda x: x.reshape(-1)),
    _row(r"(to_rgb1|to_rgbs\.\d{1,2})\.bias", _rosinality_layer("bias"), lambda x: x.reshape(-1)),
)


def _renamed(table: tuple[Row, ...], name: str, tensor: Array) -> tuple[str, Array]:
    for pattern, ours, change in table:
        if match := pattern.fullmatch(name):
            with contextlib.suppress(ValueError, IndexError):  # of another number of dimensions
                return ours(match), change(tensor)
    raise CheckpointError(f"a tensor {name} of shape {list(tensor.shape)}, which StyleGAN2 has not")


def _modules(network: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Every module of a network and its path ("synthesis.b8.conv0."; "" is the network itself)."""
    waiting = [("", network)]
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        path, module = waiting.pop()
        if type(module) is not Record or module.kind != "module" or not module.args:
            raise CheckpointError(f"{path.removesuffix('.') or 'G_ema'} is no network")
        state = _dict(_dict(module.args[0]).get("state"))
        yield path, state
        for name, child in _dict(state.get("_modules", {})).items():
            if child is not None:
                waiting.append((f"{_joined(path, name)}.", child))
    raise CheckpointError(f"a network of more than {MOST_PARTS} modules")


def _components(network: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """A TensorFlow network and its components, which have none of their own."""
    trunk = _network_state(network)
    yield "", trunk
    for name, component in _dict(trunk.get("components", {})).items():
        yield f"{_joined('', name)}/", _network_state(component)


def _network_state(network: Any) -> dict[Any, Any]:
    if type(network) is not Record or network.kind != "tensorflow":
        raise CheckpointError("the third of three things in a row is no network of TensorFlow")
    return _dict(network.state)


def _describe(described: dict[str, Any], name: str, value: Any) -> None:
    """Adds a tensor: a module that is named many times over has as many of them."""
    if len(described) >= MOST_PARTS:
        raise CheckpointError(f"a network of more than {MOST_PARTS} tensors")
    described[name] = value


def _arrays(described: Mapping[str, Any], limit_bytes: int) -> dict[str, Array]:
    """Descriptions become arrays, which together can be no larger than the file unless some overlap."""
    total = 0
    for name, value in described.items():
        if type(name) is not str or len(name) > LONGEST_NAME:
            raise CheckpointError("a tensor without a proper name")
        if type(value) is Tensor:
            total += value.nbytes
        elif type(value) is Record:
            total += inert_numpy.nbytes(value)
        else:
            raise CheckpointError(f"{name} is no tensor")
    if total > limit_bytes:
        raise CheckpointError(f"tensors of {total} bytes in a file of {limit_bytes}: they overlap")
    return {name: v.array() if type(v) is Tensor else inert_numpy.array(v) for name, v in described.items()}


def _joined(path: str, name: Any) -> str:
    if type(name) is not str or len(path) + len(name) > LONGEST_NAME:
        raise CheckpointError("a network whose parts have no proper names, or lie too deep")
    return path + name


def _dict(value: Any) -> dict[Any, Any]:
    if type(value) is not dict or len(value) > MOST_PARTS:
        raise CheckpointError("a network that is not built as a generator is")
    return value


def _number(value: Any) -> float | None:
    return inert_numpy.number(value)


def _expect(what: str, found: Any, due: str | float | bool) -> None:
    if found != due:
        said = found if type(found) in (str, float, bool) else type(found).__name__
        raise CheckpointError(f"a generator with {what} {str(said)[:40]} where {due} is due")


def _check_filter(kernel: Array, gain: float = 1.0) -> None:
    taps = np.array(FIR) / sum(FIR)
    if kernel.shape != (4, 4) or not np.allclose(kernel / gain, np.outer(taps, taps), atol=1e-3):
        raise CheckpointError("a generator whose upsampling filter is not 1, 3, 3, 1")
