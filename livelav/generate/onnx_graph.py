"""A generator as an ONNX model, for engines that read such: the static-weight form in fixed shapes.

Plain Gemm, Mul, Conv and ConvTranspose with constant kernels; every type is written down, so that an engine that keeps
to them computes in the precision asked for and nowhere else. What is small and sensitive (styles, their energies, the
picture's sum) is float32 always. Knows no engine.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from livelav.core.errors import BackendError
from livelav.core.values import GROUPS, W_DIM
from livelav.generate.layout import LRELU_SLOPE, NoiseMode
from livelav.generate.static import LARGEST_HALF, StaticLayer, StaticNetwork

try:
    from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
except ImportError as error:
    raise BackendError(f"onnx cannot be loaded ({error}): pip install onnx, or --backend openvino") from error

OPSET, IR_VERSION = 17, 8
RGBA = 4
TYPES = {"fp32": (np.float32, TensorProto.FLOAT), "fp16": (np.float16, TensorProto.FLOAT16)}


def onnx_model(network: StaticNetwork, noise_mode: NoiseMode = "const", precision: str = "fp32") -> ModelProto:
    """Inputs `ws` [num_ws, 512], `noise` [2, 3] unless the mode is none, drawn maps by their layer's name if it is
    random, all float32; output `image` uint8 [height, width, 4]. `precision` is fp32 or fp16."""
    return _Graph(network, noise_mode, precision).model()


class _Graph:
    """Nodes and constants, as they come. Methods take and return names of values."""

    def __init__(self, network: StaticNetwork, noise_mode: NoiseMode, precision: str) -> None:
        self._network, self._noise_mode = network, noise_mode
        self._numbers, self._type = TYPES[precision]
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def model(self) -> ModelProto:
        network = self._network
        shapes: dict[str, tuple[int, ...]] = {"ws": (network.config.num_ws, W_DIM), "noise": (2, GROUPS)}
        if self._noise_mode == "none":
            del shapes["noise"]
        if self._noise_mode == "random":
            shapes |= network.drawn_shapes
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(s)) for name, s in shapes.items()]
        self._picture()
        size = network.config.resolution
        outputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, [size, size, RGBA])]
        graph = helper.make_graph(self._nodes, "stylegan2", inputs, outputs, self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    def _picture(self) -> None:
        network = self._network
        x = self._constant(network.const[None], self._numbers)
        image = shortcut = ""
        for static in network.layers:
            style, divisor = self._style(static)
            styled = self._do("Mul", x, self._channels(style))
            if static.layer.kind == "rgb":
                rgb = self._to_rgba(static, styled)
                image = self._do("Add", self._upsample(image, RGBA, np.float32), rgb) if image else rgb
                continue
            if static.shortcut is not None:
                kernel = self._constant(static.shortcut[:, :, None, None], self._numbers)
                shortcut = self._upsample(self._do("Conv", x, kernel), static.layer.outputs, self._numbers)
            x = self._modulated(static, styled, style, divisor)
            if self._noise_mode != "none":
                x = self._do("Add", x, self._noise(static))
            x = self._do("Add", x, self._constant(static.bias[None, :, None, None], self._numbers))
            x = self._clamped(self._do("LeakyRelu", x, alpha=LRELU_SLOPE), static.clamp, self._numbers)
            if shortcut and static.layer.kind == "conv":
                x, shortcut = self._do("Add", x, shortcut), ""
        # nominally -1..1 to bytes, alpha to 255, rows of pixels
        levels = np.reshape([128.0, 128.0, 128.0, 255.0], (1, RGBA, 1, 1))
        image = self._do("Add", self._do("Mul", image, self._constant(127.5)), self._constant(levels))
        image = self._do("Clip", image, self._constant(0.0), self._constant(255.0))
        image = self._do("Transpose", image, perm=[0, 2, 3, 1])
        image = self._do("Reshape", image, self._whole([network.config.resolution, network.config.resolution, RGBA]))
        self._nodes.append(helper.make_node("Cast", [image], ["image"], to=TensorProto.UINT8))

    def _style(self, static: StaticLayer) -> tuple[str, str]:
        """([1, n] float32, what it was divided by); the latter is "" for an rgb layer. Demodulation undoes the
        division to a largest entry of 1: so float16 cannot overflow."""
        row = self._do("Gather", "ws", self._whole([static.layer.ws]), axis=0)
        bias = self._constant(static.style_bias)
        style = self._do("Gemm", row, self._constant(static.style_weight), bias, transB=1)
        if static.layer.kind == "rgb":
            return style, ""
        largest = self._do("ReduceMax", self._do("Abs", style), axes=[1], keepdims=1)
        divisor = self._do("Max", largest, self._constant([[1e-4]]))
        return self._do("Div", style, divisor), divisor

    def _modulated(self, static: StaticLayer, styled: str, style: str, divisor: str) -> str:
        """Convolution and demodulation."""
        outputs = static.layer.outputs
        if static.layer.kind == "up":
            kernel = self._constant(static.weight.transpose(1, 0, 2, 3), self._numbers)
            y = self._do("ConvTranspose", styled, kernel, strides=[2, 2])  # [2h + 1, 2w + 1]: the filter takes the odd
            y = self._do("Conv", y, self._filters(outputs, self._numbers), group=outputs, pads=[1, 1, 1, 1])
        else:
            y = self._do("Conv", styled, self._constant(static.weight, self._numbers), pads=[1, 1, 1, 1])
        root_eps = self._do("Div", self._constant(static.root_eps[None]), divisor)
        eps = self._do("Mul", root_eps, root_eps)
        squares = self._constant(static.weight_squares)
        energy = self._do("Gemm", self._do("Mul", style, style), squares, eps, transB=1)
        factors = self._do("Div", self._constant([[static.scale]]), self._do("Sqrt", energy))
        if self._type == TensorProto.FLOAT16:
            factors = self._do("Min", factors, self._constant([[LARGEST_HALF]]))
        return self._do("Mul", y, self._channels(factors))

    def _noise(self, static: StaticLayer) -> str:
        if self._noise_mode == "random":
            strength = self._do("Mul", self._factor(0, static.group), self._constant(static.noise_strength))
            return self._lower(self._do("Mul", static.layer.name, strength))
        own, turned = (
            self._do(
                "Mul",
                self._constant(static.noise[row, None, None], self._numbers),
                self._lower(self._factor(row, static.group)),
            )
            for row in (0, 1)
        )
        return self._do("Add", own, turned)

    def _factor(self, row: int, group: int) -> str:
        one = self._do("Gather", self._do("Gather", "noise", self._whole([row]), axis=0), self._whole([group]), axis=1)
        return self._do("Reshape", one, self._whole([1, 1, 1, 1]))

    def _to_rgba(self, static: StaticLayer, styled: str) -> str:
        """A picture with an empty fourth channel, float32."""
        weight = np.concatenate([static.weight, np.zeros_like(static.weight[:1])])
        bias = np.append(static.bias, np.float32(0.0))
        y = self._do("Conv", styled, self._constant(weight, self._numbers))
        y = self._do("Cast", y, to=TensorProto.FLOAT)
        y = self._do("Add", y, self._constant(bias[None, :, None, None]))
        return self._clamped(y, static.clamp, np.float32)

    def _clamped(self, x: str, clamp: float | None, numbers: DTypeLike) -> str:
        if clamp is None:
            return x
        return self._do("Clip", x, self._constant(-clamp, numbers), self._constant(clamp, numbers))

    def _upsample(self, x: str, channels: int, numbers: DTypeLike) -> str:
        filters = self._filters(channels, numbers)
        return self._do("ConvTranspose", x, filters, group=channels, strides=[2, 2], pads=[1, 1, 1, 1])

    def _filters(self, channels: int, numbers: DTypeLike) -> str:
        fir = self._network.fir
        return self._constant(np.broadcast_to(fir, (channels, 1, *fir.shape)), numbers)

    def _channels(self, row: str) -> str:
        """[1, n] float32 to factors on n channels."""
        return self._lower(self._do("Reshape", row, self._whole([1, -1, 1, 1])))

    def _lower(self, x: str) -> str:
        """From float32 to what is computed in."""
        return x if self._type == TensorProto.FLOAT else self._do("Cast", x, to=self._type)

    def _do(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def _constant(self, values: ArrayLike, numbers: DTypeLike = np.float32) -> str:
        return self._keep(np.ascontiguousarray(values, numbers) if np.ndim(values) else np.array(values, numbers))

    def _whole(self, values: list[int]) -> str:
        return self._keep(np.array(values, np.int64))

    def _keep(self, array: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name
