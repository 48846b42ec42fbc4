"""SEANet, EnCodec's encoder, as a stream: what it returns equals the offline network, frame by frame.

Knows nothing of files, sample rates or engines; plain numpy on one thread, no process or thread of its own. Weights
are immutable, all that a stream remembers is in a state that is passed in and handed back, so that any number of
streams share one set of weights.

Layout is channel-last, [time, channels], and a convolution is one matrix product over its unrolled windows. With
P zeros or mirrored inputs before the first one, output i sees

    inputs  i*stride - P  ...  i*stride - P + kernel - 1

A causal layer has P = kernel - stride and so looks at nothing later than its own output; the others have half of
that and come late by what they must look ahead. Nothing is padded at the end: the stream has none.

Source: Défossez et al., High Fidelity Neural Audio Compression (2022), section 3.1; the padding and the identity
skip are AudioCraft's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from livelav.core.values import Floats

PadMode = Literal["reflect", "constant"]


@dataclass(frozen=True, slots=True)
class Tail:
    """What a convolution remembers: inputs that later outputs still need."""

    rows: Floats  # [n, channels]
    started: bool  # the padding before the first input is in place


@dataclass(frozen=True, slots=True)
class Cells:
    """What the LSTM remembers."""

    hidden: Floats  # [layers, width]
    cell: Floats  # [layers, width]


LayerState = Tail | Cells
State = tuple[LayerState, ...]


def elu(x: Floats) -> Floats:
    """x above zero, exp(x) - 1 below: always the larger of the two, once exp is kept from overflowing."""
    below = np.minimum(x, np.float32(0))
    np.expm1(below, out=below)
    return np.maximum(x, below, out=below)


def product(x: Floats, matrix: Floats) -> Floats:
    """x @ matrix. With few rows BLAS is quicker at it the other way round: it then repacks x and not the matrix."""
    return np.ascontiguousarray((matrix.T @ x.T).T) if 1 < len(x) < 16 else x @ matrix


@dataclass(frozen=True, slots=True)
class Window:
    """Where a convolution looks: one shape for weights of any size."""

    kernel: int
    stride: int
    causal: bool
    pad_mode: PadMode = "reflect"

    @property
    def before(self) -> int:
        """Rows of padding before the first input."""
        total = self.kernel - self.stride
        return total if self.causal else total - total // 2

    def last_input(self, output: int) -> int:
        """The newest input, by its number, that this output sees."""
        return output * self.stride - self.before + self.kernel - 1

    def gather(self, x: Floats, tail: Tail) -> tuple[Floats, int, Tail]:
        """(rows held now, how many outputs they make, what to keep): `unroll` makes the outputs' windows of them."""
        rows = np.concatenate([tail.rows, x]) if len(tail.rows) else x
        if not tail.started:
            if len(rows) <= self.before:
                return rows, 0, Tail(rows.copy(), False)
            start = rows[self.before : 0 : -1] if self.pad_mode == "reflect" else np.zeros_like(rows[: self.before])
            rows = np.concatenate([start, rows])
        n = max((len(rows) - self.kernel) // self.stride + 1, 0)
        return rows, n, Tail(rows[n * self.stride :].copy(), True)

    def unroll(self, rows: Floats, n: int) -> Floats:
        """The first n windows of contiguous `rows` [m, c] side by side: [n, kernel * c]."""
        channels, item = rows.shape[1], rows.itemsize
        strides = (self.stride * channels * item, item)
        view: Floats = np.ndarray((n, self.kernel * channels), rows.dtype, rows, strides=strides)
        return view.copy()


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution, with the ELU before it where the network has one."""

    window: Window
    matrix: Floats  # [kernel * inputs, outputs], kernel position outermost
    bias: Floats  # [outputs]
    activated: bool

    def initial_state(self) -> Tail:
        return Tail(np.zeros((0, self.matrix.shape[0] // self.window.kernel), np.float32), False)

    def step(self, x: Floats, state: LayerState) -> tuple[Floats, LayerState]:
        """[n, inputs] -> [m, outputs]; m is 0 where the inputs do not suffice yet."""
        assert isinstance(state, Tail), "a convolution's state is a Tail"
        rows, n, tail = self.window.gather(elu(x) if self.activated else x, state)
        if n == 0:
            return np.zeros((0, len(self.bias)), np.float32), tail
        return product(self.window.unroll(rows, n), self.matrix) + self.bias, tail


@dataclass(frozen=True, slots=True)
class Residual:
    """ELU, convolution to half the channels, ELU, 1x1 convolution back, plus a skip path around all four.

    A skip path that is a 1x1 convolution lies in the same matrix as the other 1x1 (`expand` then has rows for the
    hidden channels first, for the block's own inputs below). The window holds inputs as they were before the ELU,
    so the skip path finds its input there, in step also where the convolution looks ahead.
    """

    window: Window
    squeeze: Floats  # [kernel * channels, hidden]
    squeeze_bias: Floats  # [hidden]
    expand: Floats  # [hidden, channels] with an identity skip, else [hidden + channels, channels]
    expand_bias: Floats  # [channels]

    def initial_state(self) -> Tail:
        return Tail(np.zeros((0, len(self.expand_bias)), np.float32), False)

    def step(self, x: Floats, state: LayerState) -> tuple[Floats, LayerState]:
        """[n, channels] -> [m, channels]."""
        assert isinstance(state, Tail), "a residual block's state is a Tail"
        rows, n, tail = self.window.gather(x, state)
        if n == 0:
            return np.zeros((0, len(self.expand_bias)), np.float32), tail
        hidden = elu(product(self.window.unroll(elu(rows), n), self.squeeze) + self.squeeze_bias)
        skip = rows[self.window.before : self.window.before + n]
        if len(self.expand) == hidden.shape[1]:
            return product(hidden, self.expand) + self.expand_bias + skip, tail
        return product(np.concatenate([hidden, skip], axis=1), self.expand) + self.expand_bias, tail


@dataclass(frozen=True, slots=True)
class LstmLayer:
    """One layer's weights; gates in the order input, forget, output, cell.

    The first three gates are sigmoids, and sigmoid(x) = (tanh(x / 2) + 1) / 2: their columns are halved here, once,
    so that one tanh serves all four.
    """

    inputs: Floats  # [width, 4 * width]
    hidden: Floats  # [width, 4 * width]
    bias: Floats  # [4 * width]


@dataclass(frozen=True, slots=True)
class Lstm:
    """LSTM layers with a skip path around them all."""

    layers: tuple[LstmLayer, ...]

    def initial_state(self) -> Cells:
        width = len(self.layers[0].hidden)
        return Cells(np.zeros((len(self.layers), width), np.float32), np.zeros((len(self.layers), width), np.float32))

    def step(self, x: Floats, state: LayerState) -> tuple[Floats, LayerState]:
        """[n, width] -> [n, width]."""
        assert isinstance(state, Cells), "an LSTM's state is Cells"
        if len(x) == 0:
            return x, state
        hidden, cell = state.hidden.copy(), state.cell.copy()
        y = x
        for number, layer in enumerate(self.layers):
            gates = y @ layer.inputs + layer.bias
            y, hidden[number], cell[number] = _run(layer.hidden, gates, hidden[number], cell[number])
        return x + y, Cells(hidden, cell)


def _run(recurrent: Floats, gates: Floats, hidden: Floats, cell: Floats) -> tuple[Floats, Floats, Floats]:
    """One layer over the inputs' share of its gates [n, 4 * width]: (outputs [n, width], hidden, cell)."""
    width = len(hidden)
    out = np.empty((len(gates), width), np.float32)
    for row in range(len(gates)):
        gate = np.tanh(gates[row] + hidden @ recurrent)
        opened = gate[: 3 * width] * np.float32(0.5) + np.float32(0.5)
        cell = opened[width : 2 * width] * cell + opened[:width] * gate[3 * width :]
        hidden = np.multiply(opened[2 * width :], np.tanh(cell), out=out[row])
    return out, hidden, cell


Layer = Conv | Residual | Lstm


@dataclass(frozen=True, slots=True)
class Seanet:
    """The whole network: layers in order."""

    layers: tuple[Layer, ...]
    hop: int = field(init=False)  # samples per frame

    def __post_init__(self) -> None:
        strides = (layer.window.stride for layer in self.layers if not isinstance(layer, Lstm))
        object.__setattr__(self, "hop", math.prod(strides))

    @property
    def lookahead(self) -> int:
        """Samples after a frame's own hop that must be heard before it is out."""
        return self.last_input(0) - (self.hop - 1)

    def last_input(self, frame: int) -> int:
        """The number of the newest sample that this frame depends on."""
        at = frame
        for layer in reversed(self.layers):
            if not isinstance(layer, Lstm):
                at = layer.window.last_input(at)
        return at

    def initial_state(self) -> State:
        """A stream before its first sample."""
        return tuple(layer.initial_state() for layer in self.layers)

    def step(self, samples: Floats, state: Sequence[LayerState]) -> tuple[Floats, State]:
        """[n] samples -> ([frames, dim], the state to pass next): all frames that the samples so far determine."""
        x = samples.reshape(-1, 1)
        after: list[LayerState] = []
        for layer, before in zip(self.layers, state, strict=True):
            x, now = layer.step(x, before)
            after.append(now)
        return x, tuple(after)
