"""Makes livelav/models/encoder.safetensors: EnCodec's architecture with random weights, scaled so that it hears.

    python tools/make_embedded_encoder.py [--seed N] [--measure MUSIC...]

Nothing is trained. Weights are drawn from a seed, then scaled layer by layer on synthetic music so that every channel
has zero mean and unit variance, and the last layer is turned so that the embeddings' covariance over that music is
near the identity: hardly a direction is louder than another. What the draws favour:

- strided convolutions average over their window (a Hann arch) more than they differ over it, so that pitch and
  timbre survive as envelopes instead of as phases that beat with the frame rate;
- biases spread the channels' working points over the ELU's bend, which is what rectifies;
- the LSTM's forget gates are half open, so that it remembers a few frames.

`--measure` names music files that had no part in this; the effective rank over them goes into the card.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from livelav.core.store import PACKAGE, write_atomic, write_json
from livelav.core.values import EMBEDDING_DIM, Floats
from livelav.encode.calibration import passage
from livelav.encode.encoder import load_encoder, measure
from livelav.encode.seanet import elu
from livelav.encode.weights import FAMILIES

FILTERS = 16
RATE_HZ = 24_000
STRIDES = FAMILIES[0].strides
SCALING_S, SCALING_SEEDS = 24.0, (101, 102, 103, 104)
DIFFERENCE = 0.2  # share of a strided convolution's weight that tells its taps apart
RECURRENCE = 0.4
FAINTEST = 1e-3  # share of the largest variance below which a direction is mostly jitter and not made louder

Doubles = NDArray[np.float64]


class Normals:
    """Standard normals from PCG64's raw bits by Box-Muller: the same on every machine and numpy, for ever."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def draw(self, *shape: int) -> Doubles:
        n = int(np.prod(shape))
        raw = self._bits.random_raw(2 * ((n + 1) // 2)).astype(np.uint64)
        uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        radius, angle = np.sqrt(-2.0 * np.log(uniform[0::2])), 2.0 * np.pi * uniform[1::2]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n].reshape(shape)


class Maker:
    """Draws one layer after another and scales each on what the layers before it make of the music."""

    def __init__(self, normals: Normals) -> None:
        self._normals = normals
        self.tensors: dict[str, Floats] = {}

    def keep(self, name: str, value: Doubles) -> None:
        self.tensors[f"encoder.layers.{name}"] = value.astype(np.float16).astype(np.float32)

    def conv(self, name: str, x: Floats, weight: Doubles, stride: int = 1, spread: float = 0.0) -> Floats:
        """Scales `weight` [out, in, kernel] to unit variance over x [n, in] and centres it; returns its outputs."""
        raw = _convolve(x, weight, stride)
        scale = 1.0 / np.maximum(raw.std(axis=0), 1e-9)
        bias = -raw.mean(axis=0) * scale + spread * self._normals.draw(len(weight))
        self.keep(f"{name}.conv.weight", weight * scale[:, None, None])
        self.keep(f"{name}.conv.bias", bias)
        y: Floats = (raw * scale + bias).astype(np.float32)
        return y

    def residual(self, name: str, x: Floats) -> Floats:
        width = x.shape[1]
        squeeze = self._normals.draw(width // 2, width, 3)
        hidden = elu(self.conv(f"{name}.block.1", elu(x), squeeze, spread=0.5))
        both: Floats = np.concatenate([hidden, x[2:]], axis=1)
        mixed = self._normals.draw(width, both.shape[1], 1)
        y = self.conv("mixed", both, mixed, spread=0.5)
        weight, bias = (self.tensors.pop(f"encoder.layers.mixed.conv.{part}") for part in ("weight", "bias"))
        for part, kernel in (("block.3", weight[:, : width // 2]), ("shortcut", weight[:, width // 2 :])):
            self.tensors[f"encoder.layers.{name}.{part}.conv.weight"] = kernel
            self.tensors[f"encoder.layers.{name}.{part}.conv.bias"] = bias * np.float32(0.5)
        return y

    def strided(self, name: str, x: Floats, stride: int) -> Floats:
        width = x.shape[1]
        arch = np.hanning(2 * stride + 2)[1:-1]
        same = self._normals.draw(2 * width, width, 1) * arch
        different = self._normals.draw(2 * width, width, 2 * stride) * np.sqrt(np.mean(arch**2))
        return self.conv(name, elu(x), (1 - DIFFERENCE) * same + DIFFERENCE * different, stride, spread=0.5)

    def lstm(self, name: str, x: Floats) -> Floats:
        """Two layers with a skip path; the gates' inputs get unit variance."""
        width = x.shape[1]
        y = x
        for layer in (0, 1):
            inputs = self._normals.draw(4 * width, width) / np.sqrt(width * max(float(np.mean(y**2)), 1e-6))
            hidden = RECURRENCE * self._normals.draw(4 * width, width) / np.sqrt(width)
            bias = np.repeat([0.0, 1.0, 0.0, 0.0], width)
            for part, value in (("weight_ih", inputs), ("weight_hh", hidden), ("bias_ih", bias), ("bias_hh", 0 * bias)):
                self.keep(f"{name}.lstm.{part}_l{layer}", value)
            y = _run_lstm(y, inputs, hidden, bias)
        return x + y

    def last(self, name: str, x: Floats) -> Floats:
        """A random turn, then the one that makes the outputs' covariance the identity."""
        heard = elu(x)
        arch = np.hanning(9)[1:-1]
        weight = self._normals.draw(EMBEDDING_DIM, x.shape[1], 1) * arch
        raw = _convolve(heard, weight, 1)
        values, vectors = np.linalg.eigh(np.cov(raw, rowvar=False))
        whiten = vectors @ np.diag(np.maximum(values, FAINTEST * values.max()) ** -0.5) @ vectors.T
        return self.conv(name, heard, np.einsum("pq,qik->pik", whiten, weight))


def _convolve(x: Floats, weight: Doubles, stride: int) -> Doubles:
    """Causal, over x [n, in] -> [m, out]; without the start, which the scaling does not need."""
    kernel = weight.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=0)[::stride]
    matrix = weight.reshape(len(weight), -1).astype(np.float32).T
    return (windows.reshape(len(windows), -1) @ matrix).astype(np.float64)


def _run_lstm(x: Floats, inputs: Doubles, hidden: Doubles, bias: Doubles) -> Floats:
    width = x.shape[1]
    gates = (x @ inputs.T + bias).astype(np.float32)
    recurrent = np.ascontiguousarray(hidden.T.astype(np.float32))
    h, c = np.zeros(width, np.float32), np.zeros(width, np.float32)
    out = np.empty_like(x)
    for row, gate in enumerate(gates):
        admit, forget, cell, emit = np.split(gate + h @ recurrent, 4)
        c = c / (1 + np.exp(-forget)) + np.tanh(cell) / (1 + np.exp(-admit))
        h = np.tanh(c) / (1 + np.exp(-emit))
        out[row] = h
    return out


def make(seed: int) -> dict[str, Floats]:
    """All tensors of the encoder, scaled, under Hugging Face's names."""
    normals = Normals(seed)
    maker = Maker(normals)
    x = np.concatenate([passage(RATE_HZ, SCALING_S, s) for s in SCALING_SEEDS])[:, None]
    x = maker.conv("0", x, normals.draw(FILTERS, 1, 7), spread=0.5)
    for number, stride in enumerate(STRIDES):
        x = maker.residual(str(1 + 3 * number), x)
        x = maker.strided(str(3 + 3 * number), x, stride)
    maker.last("15", maker.lstm("13", x))
    return maker.tensors


def effective_rank(covariance: NDArray[Any]) -> float:
    """exp of the entropy of the eigenvalues: how many directions the embeddings really use."""
    values = np.maximum(np.linalg.eigvalsh(covariance.astype(np.float64)), 0)
    share = values / values.sum()
    return float(np.exp(-np.sum(share * np.log(share + 1e-30))))


def hear(paths: Sequence[Path], seconds: float = 30.0) -> Floats:
    """The middle of each music file, mono at 24 kHz, one after another."""
    import soundfile
    from scipy.signal import resample_poly  # type: ignore[import-untyped]

    heard = []
    for path in paths:
        with soundfile.SoundFile(path) as file:
            file.seek(max((file.frames - round(seconds * file.samplerate)) // 2, 0))
            sound = file.read(round(seconds * file.samplerate), dtype="float32", always_2d=True).mean(axis=1)
            heard.append(resample_poly(sound, RATE_HZ, file.samplerate).astype(np.float32))
    return np.concatenate(heard)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--measure", type=Path, nargs="*", default=[], metavar="MUSIC")
    parser.add_argument("--out", type=Path, default=PACKAGE / "models" / "encoder.safetensors")
    options = parser.parse_args()
    halves: dict[str, NDArray[Any]] = {k: v.astype(np.float16) for k, v in make(options.seed).items()}
    write_atomic(options.out, save(halves))
    encoder = load_encoder(options.out)
    sound = np.concatenate([passage(RATE_HZ, SCALING_S, seed) for seed in SCALING_SEEDS])
    stats = measure(encoder.step(sound, encoder.primed_state())[0])
    halves |= {"embedding.mean": stats.mean, "embedding.covariance": stats.covariance}
    write_atomic(options.out, save(halves))
    held_out = np.concatenate([passage(RATE_HZ, SCALING_S, seed) for seed in (901, 902, 903, 904)])
    ranks = {"synthetic music of other seeds": held_out}
    if options.measure:
        ranks[f"{len(options.measure)} pieces of recorded music"] = hear(options.measure)
    measured = {}
    for what, heard in ranks.items():
        embeddings = encoder.step(heard, encoder.primed_state())[0]
        steps = np.diff(embeddings, axis=0)
        measured[what] = {
            "seconds": round(len(heard) / RATE_HZ),
            "effective_rank": round(effective_rank(measure(embeddings).covariance), 1),
            "step_over_spread": round(float(np.sqrt(steps.var() / embeddings.var(axis=0).mean())), 2),
        }
    card = {
        "name": "embedded",
        "untrained": True,
        "architecture": f"EnCodec encoder, causal, {FILTERS} filters, strides 2-4-5-8, 24 kHz, 75 Hz, 128 dims",
        "made_by": f"tools/make_embedded_encoder.py --seed {options.seed}",
        "seed": options.seed,
        "scaling": f"each layer to zero mean and unit variance per channel over {SCALING_S * len(SCALING_SEEDS):g} s "
        "of synthetic music (livelav/encode/calibration.py), the last turned so that the embeddings are white there",
        "statistics": "embedding.mean and embedding.covariance over the same music",
        "measured": measured,
        "licence": "MIT",
    }
    write_json(options.out.with_suffix(".json"), card)
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()
