"""Writes StyleGAN2 checkpoints as other programs do, from random tensors: what the reader of strangers' files is shown.

Pickles are made by pickle itself, of stand-in classes under the names that such files use; torch's tensors are put
into them by torch. None of it is anybody else's code. The tensors are drawn in each program's own names and shapes.
"""

import argparse
import collections
import contextlib
import io
import pickle
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float32]
TAPS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
RGB = 0.1  # of layers that make a picture, so that it lies within -1..1
CODE = "print('this was run')\nopen('was-run', 'w').close()\nraise SystemExit('this was run')\n"


@dataclass(frozen=True)
class Plan:
    """A generator to be drawn."""

    resolution: int = 32
    architecture: str = "skip"
    clamp: float | None = None
    labels: int = 0
    base: int = 128
    most: int = 12
    layers: int = 3
    dim: int = 512
    seed: int = 0

    def channels(self, resolution: int) -> int:
        return min(self.base // resolution, self.most)

    @property
    def blocks(self) -> list[int]:
        return [4 << i for i in range(self.resolution.bit_length() - 2)]

    def has_rgb(self, resolution: int) -> bool:
        return self.architecture == "skip" or resolution == self.resolution

    def draw(self) -> "Draw":
        return Draw(self.seed)


class Draw:
    """Random tensors of natural size."""

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)

    def __call__(self, *shape: int, scale: float = 1.0, centre: float = 0.0) -> Array:
        return np.asarray(centre + scale * self._draw.standard_normal(shape), np.float32)


# NVIDIA, PyTorch


def nvidia_tensors(plan: Plan) -> dict[str, Array]:
    """By the names of the modules."""
    draw, dim = plan.draw(), plan.dim
    t: dict[str, Array] = {}
    if plan.labels:
        t |= {"mapping.embed.weight": draw(dim, plan.labels), "mapping.embed.bias": draw(dim, scale=0.3)}
    for i in range(plan.layers):
        inputs = 2 * dim if plan.labels and i == 0 else dim
        t |= {f"mapping.fc{i}.weight": draw(dim, inputs, scale=100), f"mapping.fc{i}.bias": draw(dim, scale=30)}
    t["mapping.w_avg"] = draw(dim, scale=0.3)
    t["synthesis.b4.const"] = draw(plan.channels(4), 4, 4)
    for r in plan.blocks:
        for name in ("conv0", "conv1"):
            if r == 4 and name == "conv0":
                continue
            at, inputs = f"synthesis.b{r}.{name}", plan.channels(r // 2 if name == "conv0" else r)
            t |= {
                f"{at}.weight": draw(plan.channels(r), inputs, 3, 3),
                f"{at}.noise_strength": draw(scale=0.3),
                f"{at}.bias": draw(plan.channels(r), scale=0.3),
                f"{at}.noise_const": draw(r, r),
                f"{at}.affine.weight": draw(inputs, dim),
                f"{at}.affine.bias": draw(inputs, scale=0.3, centre=1.0),
            }
        if plan.has_rgb(r):
            at, inputs = f"synthesis.b{r}.torgb", plan.channels(r)
            t |= {
                f"{at}.weight": draw(3, inputs, 1, 1, scale=RGB),
                f"{at}.bias": draw(3, scale=0.3),
                f"{at}.affine.weight": draw(inputs, dim),
                f"{at}.affine.bias": draw(inputs, scale=0.3, centre=1.0),
            }
        if plan.architecture == "resnet" and r > 4:
            t[f"synthesis.b{r}.skip.weight"] = draw(plan.channels(r), plan.channels(r // 2), 1, 1)
    return t


BUFFERS = ("noise_const", "w_avg", "resample_filter", "freqs", "phases")


class EasyDict(dict):
    """Stands for dnnlib.util.EasyDict."""


class Module:
    """Stands for a module that is pickled with the text of its own source."""

    def __init__(self, class_name: str, **attributes: Any) -> None:
        self.class_name = class_name
        empty: Any = collections.OrderedDict
        self.state = {
            "training": False,
            **{name: empty() for name in ("_parameters", "_buffers", "_modules", "_forward_hooks", "_backward_hooks")},
            "_non_persistent_buffers_set": set(),
            "_init_args": (),
            "_init_kwargs": EasyDict(),
            **attributes,
        }

    def child(self, name: str) -> "Module":
        return self.state["_modules"].setdefault(name, Module(name, **self._said(name)))

    @staticmethod
    def _said(name: str) -> dict[str, Any]:
        return {"activation": "lrelu"} if name.startswith(("fc", "conv")) else {}

    def set(self, name: str, tensor: torch.Tensor) -> None:
        """`tensor` into the module that its dotted name leads to."""
        *path, last = name.split(".")
        module = self
        for part in path:
            module = module.child(part)
        if last in BUFFERS:
            module.state["_buffers"][last] = tensor
        else:
            module.state["_parameters"][last] = torch.nn.Parameter(tensor, requires_grad=False)

    def each(self, path: str = "") -> Iterator[tuple[str, "Module"]]:
        yield path, self
        for name, child in self.state["_modules"].items():
            yield from child.each(f"{path}.{name}".lstrip("."))

    def __reduce__(self) -> Any:
        meta = EasyDict(type="class", version=6, module_src=CODE, class_name=self.class_name, state=self.state)
        return _reconstruct_persistent_obj, (meta,)


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("nobody calls this")


def nvidia_module(plan: Plan, tensors: dict[str, Array], later: bool = False, dtype: Any = None) -> Module:
    """`later`: as the code base of StyleGAN3 writes its StyleGAN2, where the defaults are others."""
    synthesis = EasyDict(channel_base=plan.base, channel_max=plan.most)
    if plan.clamp != (256 if later else None):  # defaults are not written down
        synthesis["conv_clamp"] = plan.clamp
    kwargs = EasyDict(z_dim=plan.dim, c_dim=plan.labels, w_dim=plan.dim, img_resolution=plan.resolution, img_channels=3)
    kwargs["mapping_kwargs"] = EasyDict(num_layers=np.int64(plan.layers))
    kwargs |= synthesis if later else {"synthesis_kwargs": synthesis}
    root = Module("Generator", _init_kwargs=kwargs, z_dim=plan.dim, c_dim=plan.labels, num_ws=np.int64(8))
    for name, tensor in tensors.items():
        one = torch.from_numpy(tensor)
        root.set(name, one if dtype is None else one.to(dtype))
    for path, module in root.each():
        layer = path.rpartition(".")[2]
        if layer in ("conv0", "conv1", "torgb"):
            module.state["conv_clamp"] = plan.clamp
        if layer.startswith("fc"):
            module.state |= {"weight_gain": 0.01 / 512**0.5, "bias_gain": 0.01}
        if layer in ("conv0", "conv1", "skip") or layer.startswith("b"):
            module.state["_buffers"].setdefault("resample_filter", torch.from_numpy(TAPS))
        if layer.startswith("b"):
            module.state |= {"architecture": plan.architecture, "use_fp16": np.bool_(False), "is_last": False}
    return root


@contextlib.contextmanager
def named_as(stand_ins: dict[str, Any]) -> Iterator[None]:
    """Within it, stand-ins can be pickled as members of modules that are not there: {module: stand-in}."""
    modules: dict[str, types.ModuleType] = {}
    for name, stand_in in stand_ins.items():
        parts = name.split(".")
        for i in range(len(parts)):
            modules.setdefault(".".join(parts[: i + 1]), types.ModuleType(parts[i]))
        setattr(modules[name], stand_in.__name__, stand_in)
        stand_in.__module__ = name
    with mock.patch.dict(sys.modules, modules):
        yield


def nvidia_pickle(tree: Any, protocol: int = 4) -> bytes:
    """A tree with Modules in it."""
    with named_as({"dnnlib.util": EasyDict, "torch_utils.persistence": _reconstruct_persistent_obj}):
        return pickle.dumps(tree, protocol)


def nvidia_snapshot(plan: Plan, tensors: dict[str, Array], **kwargs: Any) -> dict[str, Any]:
    """What a training writes: G_ema last, after networks that are not wanted."""
    return {
        "G": Module("Generator"),
        "D": Module("Discriminator"),
        "augment_pipe": None,
        "training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset", path="/data/x.zip"),
        "G_ema": nvidia_module(plan, tensors, **kwargs),
    }


# NVIDIA, TensorFlow


def tensorflow_tensors(plan: Plan) -> dict[str, Array]:
    """By the paths of the variables; the last two axes of a kernel are inputs and outputs."""
    draw, dim = plan.draw(), plan.dim
    t: dict[str, Array] = {"lod": np.zeros((), np.float32), "dlatent_avg": draw(dim, scale=0.3)}
    if plan.labels:
        t |= {"mapping/LabelEmbed/weight": draw(plan.labels, dim), "mapping/LabelEmbed/bias": draw(dim, scale=0.3)}
    for i in range(plan.layers):
        inputs = 2 * dim if plan.labels and i == 0 else dim
        t |= {f"mapping/Dense{i}/weight": draw(inputs, dim, scale=100), f"mapping/Dense{i}/bias": draw(dim, scale=30)}
    t["synthesis/4x4/Const/const"] = draw(1, plan.channels(4), 4, 4)
    number = 0
    for r in plan.blocks:
        at = f"synthesis/{r}x{r}"
        for name in ("Conv",) if r == 4 else ("Conv0_up", "Conv1"):
            inputs = plan.channels(r // 2 if name == "Conv0_up" else r)
            t |= {
                f"{at}/{name}/weight": draw(3, 3, inputs, plan.channels(r)),
                f"{at}/{name}/mod_weight": draw(dim, inputs),
                f"{at}/{name}/mod_bias": draw(inputs, scale=0.3),
                f"{at}/{name}/noise_strength": draw(scale=0.3),
                f"{at}/{name}/bias": draw(plan.channels(r), scale=0.3),
                f"synthesis/noise{number}": draw(1, 1, r, r),
            }
            number += 1
        if plan.has_rgb(r):
            t |= {
                f"{at}/ToRGB/weight": draw(1, 1, plan.channels(r), 3, scale=RGB),
                f"{at}/ToRGB/mod_weight": draw(dim, plan.channels(r)),
                f"{at}/ToRGB/mod_bias": draw(plan.channels(r), scale=0.3),
                f"{at}/ToRGB/bias": draw(3, scale=0.3),
            }
        if plan.architecture == "resnet" and r > 4:
            t[f"{at}/Skip/weight"] = draw(1, 1, plan.channels(r // 2), plan.channels(r))
    return t


class Network:
    """Stands for dnnlib.tflib.network.Network."""

    def __init__(
        self, name: str, kwargs: dict[str, Any], variables: list[tuple[str, Array]], **components: Any
    ) -> None:
        self.state = {
            "version": 5,
            "name": name,
            "static_kwargs": EasyDict(kwargs),
            "components": EasyDict(components),
            "build_module_src": CODE,
            "build_func_name": "G_main",
            "variables": variables,
        }

    def __getstate__(self) -> dict[str, Any]:
        return self.state


def tensorflow_network(plan: Plan, tensors: dict[str, Array]) -> Network:
    def within(part: str) -> list[tuple[str, Array]]:
        return [(name[len(part) :], t) for name, t in tensors.items() if name.startswith(part)]

    kwargs: dict[str, Any] = {"num_channels": 3, "resolution": plan.resolution, "label_size": plan.labels}
    kwargs |= {"fmap_base": plan.base // 2, "fmap_max": plan.most, "architecture": plan.architecture}
    if plan.clamp is not None:
        kwargs["conv_clamp"] = np.float64(plan.clamp)
    own = [(name, t) for name, t in tensors.items() if "/" not in name]
    mapping, synthesis = (Network(f"G_{part}", kwargs, within(f"{part}/")) for part in ("mapping", "synthesis"))
    return Network("Gs", kwargs, own, mapping=mapping, synthesis=synthesis)


def tensorflow_pickle(tree: Any, protocol: int = 4) -> bytes:
    """A tuple of Networks."""
    with named_as({"dnnlib.util": EasyDict, "dnnlib.tflib.network": Network}):
        return pickle.dumps(tree, protocol)


def tensorflow_file(plan: Plan, tensors: dict[str, Array], protocol: int = 4) -> bytes:
    other = Network("D", {}, [("16x16/Conv0/weight", np.zeros((3, 3, 1, 1), np.float32))])
    return tensorflow_pickle((other, other, tensorflow_network(plan, tensors)), protocol)


# rosinality


def rosinality_tensors(plan: Plan) -> dict[str, Array]:
    """By the keys of its state dict."""
    draw, dim = plan.draw(), plan.dim
    t: dict[str, Array] = {"latent_avg": draw(dim, scale=0.3)}
    for i in range(plan.layers):
        t |= {f"style.{i + 1}.weight": draw(dim, dim, scale=100), f"style.{i + 1}.bias": draw(dim, scale=30)}
    t["input.input"] = draw(1, plan.channels(4), 4, 4)

    def convolution(at: str, inputs: int, outputs: int, kernel: int) -> None:
        t[f"{at}.conv.weight"] = draw(1, outputs, inputs, kernel, kernel, scale=RGB if kernel == 1 else 1.0)
        t[f"{at}.conv.modulation.weight"] = draw(inputs, dim)
        t[f"{at}.conv.modulation.bias"] = draw(inputs, scale=0.3, centre=1.0)
        if kernel == 1:
            t[f"{at}.bias"] = draw(1, outputs, 1, 1, scale=0.3)
        else:
            t[f"{at}.noise.weight"] = draw(1, scale=0.3)
            t[f"{at}.activate.bias"] = draw(outputs, scale=0.3)

    convolution("conv1", plan.channels(4), plan.channels(4), 3)
    convolution("to_rgb1", plan.channels(4), 3, 1)
    for i, r in enumerate(plan.blocks[1:]):
        convolution(f"convs.{2 * i}", plan.channels(r // 2), plan.channels(r), 3)
        t[f"convs.{2 * i}.conv.blur.kernel"] = 4 * TAPS
        convolution(f"convs.{2 * i + 1}", plan.channels(r), plan.channels(r), 3)
        convolution(f"to_rgbs.{i}", plan.channels(r), 3, 1)
        t[f"to_rgbs.{i}.upsample.kernel"] = 4 * TAPS
    sides = [4, *(r for r in plan.blocks[1:] for _ in (0, 1))]
    for i, side in enumerate(sides):
        t[f"noises.noise_{i}"] = draw(1, 1, side, side)
    return t


def rosinality_file(tensors: dict[str, Array], older: bool = False, dtype: Any = torch.float32) -> bytes:
    """`older`: torch's layout before its archives. `latent_avg` lies beside the state dict, where there is one."""
    state = {name: torch.from_numpy(t).to(dtype) for name, t in tensors.items()}
    tree: dict[str, Any] = {"g": {}, "args": argparse.Namespace(size=32, path=None)}
    if "latent_avg" in state:
        tree["latent_avg"] = state.pop("latent_avg")
    tree["g_ema"] = collections.OrderedDict(state)
    buffer = io.BytesIO()
    torch.save(tree, buffer, _use_new_zipfile_serialization=not older)
    return buffer.getvalue()
