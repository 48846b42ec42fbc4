"""The encoder as it is trained: EnCodec's architecture, causal, at half its width, in torch.

What livelav plays is the same network in livelav/encode/seanet.py, which steps through a stream; this one takes whole
segments and has gradients. Source: Défossez et al., High Fidelity Neural Audio Compression (2022), section 3.1.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everyone's name for it
from numpy.typing import NDArray
from torch import Tensor, nn

from livelav.core.values import EMBEDDING_DIM
from livelav.encode.weights import FAMILIES

FILTERS = 16
STRIDES = FAMILIES[0].strides


class Causal(nn.Module):
    """A convolution over [batch, time, channels] that looks back alone, its start mirrored.

    Written as products where a window is whole strides and as a channels-last conv2d elsewhere: on processors twice
    as quick as conv1d at these few channels.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        assert stride == 1 or kernel == 2 * stride, "strided convolutions see two strides"
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride)
        self.kernel, self.stride = kernel, stride
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="linear")
        nn.init.uniform_(self.conv.bias, -0.5, 0.5)  # the units bend at different levels

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.conv.weight, self.conv.bias
        if self.kernel == 1:
            return F.linear(x, weight[:, :, 0], bias)
        before = self.kernel - self.stride
        x = torch.cat([x[:, 1 : before + 1].flip(1), x], dim=1)
        if self.stride > 1:
            halves = x.reshape(len(x), -1, self.stride * x.shape[2])
            early, late = (w.transpose(1, 2).flatten(1) for w in weight.split(self.stride, dim=2))
            return F.linear(halves[:, :-1], early, bias) + F.linear(halves[:, 1:], late)
        image = x[:, None].permute(0, 3, 1, 2)
        return F.conv2d(image, weight[:, :, None], bias)[:, :, 0].transpose(1, 2)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.ModuleDict({"1": Causal(width, width // 2, 3), "3": Causal(width // 2, width, 1)})
        self.shortcut = Causal(width, width, 1)
        with torch.no_grad():  # two paths are added
            for path in (self.block["3"], self.shortcut):
                path.conv.weight.mul_(math.sqrt(0.5))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block["3"](F.elu(self.block["1"](F.elu(x)))) + self.shortcut(x)
        return out


class Memory(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.lstm(x)[0]


class Network(nn.Module):
    """Sound [batch, samples] -> embeddings [batch, frames, 128]. Its parts are named as in Hugging Face's files."""

    def __init__(self, filters: int = FILTERS) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {"0": Causal(1, filters, 7)}
        width = filters
        for number, stride in enumerate(STRIDES):
            parts[str(1 + 3 * number)] = Residual(width)
            parts[str(3 + 3 * number)] = Causal(width, 2 * width, 2 * stride, stride)
            width *= 2
        parts |= {"13": Memory(width), "15": Causal(width, EMBEDDING_DIM, 7)}
        self.layers = nn.ModuleDict(parts)
        with torch.no_grad():  # soft sounds must reach the bend of the units as well as loud ones
            self.layers["0"].conv.weight.mul_(torch.logspace(0.3, 1.8, filters)[:, None, None])

    def forward(self, sound: Tensor) -> Tensor:
        x = sound[:, :, None]
        for name, layer in self.layers.items():
            strided_or_last = isinstance(layer, Causal) and name != "0"
            x = layer(F.elu(x) if strided_or_last else x)
        return x


def exported(network: Network) -> dict[str, NDArray[np.float16]]:
    """The weights under the names that livelav reads, as 16-bit floats."""
    return {
        f"encoder.{name}": value.detach().numpy().astype(np.float16) for name, value in network.state_dict().items()
    }
