"""Trains the encoder that livelav ships, livelav/models/encoder.safetensors, on sound made by tools/sounds.py.

    python tools/train_encoder.py --sounds FOLDER [--minutes M] [--steps N] [--checkpoint FILE [--resume]]
                                  [--measure LABEL MUSIC...] [--out FILE]

`--measure` takes a name and the files or folders of music that had no part in this; it may be given several times.

EnCodec's architecture at half its width. It learns to tell what is heard: from each frame's embedding a linear layer
guesses the lessons below, and whatever that layer needs lies open in the embedding. Guessing alone would leave the
embedding with a handful of directions, so a second term asks for unit variance, no covariance (after VICReg) and small
steps from frame to frame, and the last convolution is turned at the end so that directions are about equally loud.
The lessons, all of sound up to the frame's end:

- log_mel, chroma, onset, loudness: as tools/_probes.py defines them; onset also over a lag of two frames
- semitones: the spectrum of 4,096 samples in 48 semitones from 131 Hz up, log(1 + 10^3 magnitude)
- attacks: the onset strength in six ranges of pitch, each for itself
- recent: running means of the log-mel, in 24 ranges over 0.12 s and in 12 over 0.4 s; activity: of the attacks

Every segment comes at its own gain (-3 dB with a spread of 8), some through an equaliser, some mixed with another.
From step REFINING on level, spectrum and onset count for more; from step STEADYING on some segments are steady tones,
and one of each batch is another with its phase turned, which must sound the same: else tones beat with the frames. A
run is decided by its seed: batch n is drawn from (seed, n), so a resumed run equals one that was never cut off; and
since the learning rate stays level at first, `--resume --steps` may shorten or lengthen a run until it falls.
Training runs on one thread unless OMP_NUM_THREADS says otherwise.

Sources: Défossez et al., High Fidelity Neural Audio Compression (2022), section 3.1; Bardes et al., VICReg (2022).
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sounds
import torch
import torch.nn.functional as F  # noqa: N812 - everyone's name for it
from _probes import (
    AUDIBLE_DB,
    BANDS,
    CHROMA_WINDOW,
    FAINTEST_DB,
    HOP,
    LOUDER,
    MEL_WINDOW,
    RATE_HZ,
    encoder_figures,
    hann,
    held_out_music,
    mel_bands,
    pitch_classes,
)
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save
from safetensors.torch import save as save_torch
from torch import Tensor, nn

from livelav.core.store import PACKAGE, write_atomic, write_json
from livelav.core.values import EMBEDDING_DIM, EmbeddingStats, Floats
from livelav.encode.encoder import load_encoder, measure
from livelav.encode.weights import FAMILIES

FILTERS = 16
STRIDES = FAMILIES[0].strides
SEGMENT, WARM_UP = 128, 14  # frames of a segment, and those of its start that no lesson is asked of
GAIN_DB = (-3.0, 8.0)  # mean and spread
SEMITONES, LOWEST_HZ = 48, 131.0
RANGES = 6
RECENT = ((0.12, 24), (0.4, 12))  # memory in seconds, and the ranges of pitch remembered
EXCERPTS, EXCERPT_S = 80, 8.0  # that the embeddings' spread is measured on
SAVE_EVERY = 100  # steps
DECAY = 0.65  # share of the steps after which the learning rate falls; until then the steps' number changes nothing
FAINTEST = 1e-3  # share of the largest variance below which a direction is not made louder
REST = 0.1  # a direction with so much variance of its steps, as a share of its own, comes at half its loudness

WEIGHTS = {
    "log_mel": 3.0,
    "semitones": 1.0,
    "chroma": 1.0,
    "onset": 1.5,
    "attacks": 0.5,
    "loudness": 0.3,
    "recent": 1.0,
    "activity": 0.3,
}
REFINING = 1200  # the step from which on some count for more: their errors are small in training's range of gains only
STEADYING = 2000  # the step from which on batches hold pairs that differ in phase alone,
STEADY = 0.35  # and so often a steady tone; many more take from what is learnt of music
REFINED = WEIGHTS | {"log_mel": 6.0, "loudness": 3.0, "onset": 3.0}


# ---- the network


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


# ---- the lessons


class Lessons(nn.Module):
    """What is heard in sound [batch, samples], by lesson [batch, frames, columns], frame t ending at HOP (t + 1)."""

    def __init__(self) -> None:
        super().__init__()
        tables = {
            "mel": mel_bands(MEL_WINDOW, BANDS),
            "classes": pitch_classes(CHROMA_WINDOW),
            "semitones": semitone_bands(CHROMA_WINDOW),
            "short": hann(MEL_WINDOW),
            "long": hann(CHROMA_WINDOW),
            "ranges": ranges(RANGES),
            **{f"recent_{count}": ranges(count) for _, count in RECENT},
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.tensor(table, dtype=torch.float32))

    @torch.no_grad()
    def forward(self, sound: Tensor) -> dict[str, Tensor]:
        short, long = (self._windows(sound, n) for n in (MEL_WINDOW, CHROMA_WINDOW))
        level = 20 * torch.log10(short.square().mean(dim=2, keepdim=True).sqrt().clamp(min=1e-9))
        log_mel = torch.log1p(LOUDER * (torch.fft.rfft(short * self.short).abs() @ self.mel))
        spectrum = torch.fft.rfft(long * self.long).abs()
        power = spectrum.square() @ self.classes
        rises = [F.pad((log_mel[:, lag:] - log_mel[:, :-lag]).clamp(min=0), (0, 0, lag, 0)) for lag in (1, 2)]
        attacks = rises[0] @ self.ranges
        return {
            "log_mel": log_mel,
            "semitones": torch.log1p(1e3 * (spectrum @ self.semitones)),
            "chroma": power / power.sum(dim=2, keepdim=True).clamp(min=1e-12),
            "onset": torch.stack([rise.mean(dim=2) for rise in rises], dim=2),
            "attacks": attacks,
            "loudness": level.clamp(min=FAINTEST_DB),
            "recent": torch.cat([_leaky(log_mel @ getattr(self, f"recent_{n}"), s) for s, n in RECENT], dim=2),
            "activity": _leaky(attacks, RECENT[-1][0]),
        }

    def _windows(self, sound: Tensor, n: int) -> Tensor:
        recent = F.pad(sound, (n - HOP, 0)).unfold(1, n, HOP)
        return recent - recent.mean(dim=2, keepdim=True)


def semitone_bands(window: int) -> NDArray[np.float64]:
    """Triangles a semitone to either side, at least a bin: [bins, SEMITONES]."""
    hz = np.arange(window // 2 + 1)[:, None] * RATE_HZ / window
    centre = LOWEST_HZ * 2.0 ** (np.arange(SEMITONES) / 12)
    half = np.maximum(centre * (2.0 ** (1 / 12) - 1), RATE_HZ / window)
    return np.maximum(1.0 - np.abs(hz - centre) / half, 0.0)


def ranges(count: int) -> NDArray[np.float64]:
    """Means of neighbouring log-mel bands: [BANDS, count]."""
    owner = np.arange(BANDS) * count // BANDS
    table = (owner[:, None] == np.arange(count)).astype(np.float64)
    return np.asarray(table / table.sum(axis=0))


def _leaky(x: Tensor, memory_s: float) -> Tensor:
    """A running mean from the segment's start."""
    keep = math.exp(-HOP / RATE_HZ / memory_s)
    ages = torch.arange(x.shape[1])[:, None] - torch.arange(x.shape[1])
    weights = torch.where(ages >= 0, keep ** ages.clamp(min=0).float(), 0.0)
    return (weights / weights.sum(dim=1, keepdim=True)) @ x


class Guesser(nn.Module):
    """Guesses every lesson, each in units of its own spread, from the embedding by one linear layer."""

    def __init__(self, columns: dict[str, int]) -> None:
        super().__init__()
        self.columns = columns
        self.linear = nn.Linear(EMBEDDING_DIM, sum(columns.values()))
        for name, count in columns.items():
            self.register_buffer(f"mean_{name}", torch.zeros(count))
            self.register_buffer(f"spread_{name}", torch.ones(count))

    def learn_scale(self, heard: dict[str, Tensor]) -> None:
        for name, lesson in heard.items():
            rows = lesson[:, WARM_UP:].flatten(0, 1)
            getattr(self, f"mean_{name}").copy_(rows.mean(dim=0))
            getattr(self, f"spread_{name}").copy_(rows.std(dim=0).clamp(min=1e-3))

    def losses(self, embeddings: Tensor, heard: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared error by lesson; 1 is what the mean alone would get."""
        guesses = self.linear(embeddings)[:, WARM_UP:].split(list(self.columns.values()), dim=2)
        audible = (heard["loudness"] > AUDIBLE_DB)[:, WARM_UP:]
        out = {}
        for (name, lesson), guess in zip(heard.items(), guesses, strict=True):
            mean, spread = getattr(self, f"mean_{name}"), getattr(self, f"spread_{name}")
            missed = (guess - (lesson[:, WARM_UP:] - mean) / spread).square()
            out[name] = (missed * audible).mean() if name == "chroma" else missed.mean()
        return out


def spread_losses(embeddings: Tensor, pairs: int = 0) -> dict[str, Tensor]:
    """What keeps the embedding's numbers apart and at rest.

    shortfall: of each number's spread below 1. covariance: squares between different numbers, per number. unrest: the
    squared step from frame to frame as a share of the variance; without it the directions that no lesson asks for
    fill with what trembles from frame to frame. phase: of the pairs, the squared difference as a share of the variance.
    """
    frames = embeddings[:, WARM_UP:]
    rows = frames.flatten(0, 1)
    rows = rows - rows.mean(dim=0)
    covariance = rows.T @ rows / (len(rows) - 1)
    variance = covariance.diagonal()
    apart = (frames[:pairs] - frames[len(frames) - pairs :]).square().mean(dim=(0, 1)) if pairs else torch.zeros(())
    return {
        "phase": (apart / (variance + 1e-2)).mean(),
        "shortfall": F.relu(1.0 - (variance + 1e-4).sqrt()).mean(),
        "covariance": (covariance.square().sum() - variance.square().sum()) / EMBEDDING_DIM,
        "unrest": (frames.diff(dim=1).square().mean(dim=(0, 1)) / (variance + 1e-2)).mean(),
    }


# ---- the sounds


class Library:
    """All sounds of a folder in memory, and segments of them as they may come over a line."""

    def __init__(self, folder: Path) -> None:
        import soundfile

        self.paths = sorted(folder.glob("*.wav"))
        if not self.paths:
            raise sounds.SoundsError(f"no .wav in {folder}; `python tools/sounds.py {folder}` renders some")
        pieces = [soundfile.read(path, dtype="int16")[0] for path in self.paths]
        self._ends = np.cumsum([len(piece) for piece in pieces])
        self._samples = np.concatenate(pieces)

    @property
    def minutes(self) -> float:
        return len(self._samples) / RATE_HZ / 60

    def excerpt(self, draw: np.random.Generator, samples: int) -> Floats:
        """A stretch of one sound, zeros after its end."""
        at = int(draw.integers(len(self._samples)))
        end = int(self._ends[np.searchsorted(self._ends, at, side="right")])
        at = max(min(at, end - samples), 0)
        cut = self._samples[at : min(at + samples, end)]
        return np.pad(cut, (0, samples - len(cut))).astype(np.float32) / np.float32(32768)

    def batch(self, seed: int, step: int, size: int, pairs: int = 0) -> Tensor:
        """Segments [size, samples] as heard in training; the last `pairs` are the first ones in another phase.

        Where there are pairs the first segment may be a steady tone.
        """
        draw = np.random.Generator(np.random.PCG64((seed, step)))
        heard = [self._heard(draw, SEGMENT * HOP) for _ in range(size - pairs)]
        if pairs and draw.random() < STEADY:
            heard[0] = steady_tone(draw, SEGMENT * HOP)
        return torch.from_numpy(np.stack(heard + [turned(draw, heard[i]) for i in range(pairs)]))

    def _heard(self, draw: np.random.Generator, samples: int) -> Floats:
        sound = self.excerpt(draw, samples)
        if draw.random() < 0.3:
            sound = sound + self.excerpt(draw, samples) * np.float32(10 ** (draw.uniform(-20, 0) / 20))
        if draw.random() < 0.4:
            sound = _equalised(draw, sound)
        return np.clip(sound * np.float32(10 ** (draw.normal(*GAIN_DB) / 20)), -1, 1).astype(np.float32)


def steady_tone(draw: np.random.Generator, samples: int) -> Floats:
    """One to three notes of a few harmonics, as loud as drawn."""
    t = np.arange(samples) / RATE_HZ
    tone, fall = np.zeros(samples), draw.uniform(0.3, 2.0)
    harmonics = draw.integers(1, 20) if draw.random() < 0.7 else 1
    for note_hz in 440.0 * 2.0 ** (draw.uniform(-45, 40, draw.integers(1, 4)) / 12):
        for harmonic in range(1, min(harmonics, int(0.45 * RATE_HZ / note_hz)) + 1):
            tone += np.sin(2 * np.pi * (harmonic * note_hz * t + draw.random())) / harmonic**fall
    level = 10 ** (draw.uniform(-45.0, -12.0) / 20) / max(float(tone.std()), 1e-9)
    return np.clip(level * tone, -1, 1).astype(np.float32)


def turned(draw: np.random.Generator, sound: Floats) -> Floats:
    """The same sound with every frequency's phase turned by one angle: no ear tells them apart."""
    turn = np.exp(1j * draw.uniform(0.0, 2 * np.pi))
    return np.clip(np.fft.irfft(np.fft.rfft(sound) * turn, len(sound)), -1, 1).astype(np.float32)


def _equalised(draw: np.random.Generator, sound: Floats) -> Floats:
    """Through a curve of a few dB over six octaves."""
    octaves = np.log2(np.maximum(np.arange(len(sound) // 2 + 1) * RATE_HZ / len(sound), 60.0) / 60.0)
    gain_db = np.interp(octaves, np.linspace(0, 7.7, 7), draw.normal(0.0, 5.0, 7))
    return np.fft.irfft(np.fft.rfft(sound) * 10 ** (gain_db / 20), len(sound)).astype(np.float32)


# ---- training


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides a run."""

    steps: int = 3700
    batch: int = 8
    rate: float = 2e-3
    seed: int = 1
    filters: int = FILTERS
    shortfall: float = 2.0
    covariance: float = 0.04
    unrest: float = 0.5
    phase: float = 0.5
    pairs: int = 1
    bfloat16: bool = True

    def rate_at(self, step: int) -> float:
        """Up over the first steps, level, and down to nothing from DECAY of the way on."""
        left = (self.steps - step) / (self.steps * (1 - DECAY))
        return self.rate * min((step + 1) / 100, left, 1.0)

    def weights_at(self, step: int) -> dict[str, float]:
        """How much each loss counts. Rest, asked for at once, would keep attacks from being learnt."""
        unrest = self.unrest * min(step / 1000, 3.0)
        lessons = WEIGHTS if step < REFINING else REFINED
        spread = {"shortfall": self.shortfall, "covariance": self.covariance, "unrest": unrest, "phase": self.phase}
        return lessons | spread


class Trainer:
    """A run that can be cut off after any saved step."""

    def __init__(self, plan: Plan, library: Library) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.library, self.step, self.seconds = plan, library, 0, 0.0
        self.network, self.lessons = Network(plan.filters), Lessons()
        heard = self.lessons(library.batch(plan.seed, 2**32, 48))
        self.guesser = Guesser({name: lesson.shape[2] for name, lesson in heard.items()})
        self.guesser.learn_scale(heard)
        self._optimizer = torch.optim.Adam(self._parameters().values(), betas=(0.9, 0.98))

    def advance(self) -> dict[str, float]:
        """One step; the losses before it."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        pairs = self.plan.pairs if self.step >= STEADYING else 0
        sound = self.library.batch(self.plan.seed, self.step, self.plan.batch, pairs)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bfloat16):
            embeddings = self.network(sound)
        embeddings = embeddings.float()
        losses = self.guesser.losses(embeddings, self.lessons(sound)) | spread_losses(embeddings, pairs)
        weights = self.plan.weights_at(self.step)
        loss = sum((weights[name] * value for name, value in losses.items()), torch.zeros(()))
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters().values(), 1.0)
        self._optimizer.step()
        self.step += 1
        return {name: float(value.detach()) for name, value in (losses | {"loss": loss}).items()}

    def save(self, path: Path) -> None:
        tensors = {f"model.{name}": value for name, value in self._modules().state_dict().items()}
        for name, parameter in self._parameters().items():
            for key, value in self._optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        metadata = {"plan": json.dumps(asdict(self.plan)), "step": str(self.step), "seconds": str(self.seconds)}
        write_atomic(path, save_torch({k: v.contiguous() for k, v in tensors.items()}, metadata))

    @classmethod
    def resume(cls, path: Path, library: Library, steps: int | None = None) -> "Trainer":
        """The run as it was saved, on the same sounds; until the learning rate falls its `steps` may be changed."""
        with safe_open(path, framework="pt") as file:
            told = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        plan = Plan(**json.loads(told["plan"]))
        trainer = cls(replace(plan, steps=steps or plan.steps), library)
        trainer.step, trainer.seconds = int(told["step"]), float(told["seconds"])
        trainer._modules().load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        for name, parameter in trainer._parameters().items():
            trainer._optimizer.state[parameter] = {
                key: tensors[f"optimizer.{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
            }
        return trainer

    def _modules(self) -> nn.Module:
        return nn.ModuleDict({"network": self.network, "guesser": self.guesser})

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self._modules().named_parameters())


def train(trainer: Trainer, checkpoint: Path | None) -> None:
    """Runs to the plan's end, telling how it goes."""
    mean: dict[str, float] = {}
    while trainer.step < trainer.plan.steps:
        began = time.monotonic()
        losses = trainer.advance()
        trainer.seconds += time.monotonic() - began
        mean = {name: 0.98 * mean.get(name, value) + 0.02 * value for name, value in losses.items()}
        if trainer.step % 20 == 0:
            told = "  ".join(f"{name} {value:.3f}" for name, value in mean.items())
            print(f"{trainer.seconds:6.0f} s  {trainer.step}/{trainer.plan.steps}  {told}", flush=True)
        if checkpoint and (trainer.step % SAVE_EVERY == 0 or trainer.step == trainer.plan.steps):
            trainer.save(checkpoint)


# ---- what comes out


def whiten(network: Network, library: Library, seed: int, excerpts: int = EXCERPTS) -> None:
    """Turns the last convolution so that over the library embeddings have mean 0 and are spread evenly, at rest first.

    All directions are made equally loud, then each is made the softer the more of its variance is steps from frame to
    frame. A turn that can be undone, so linear probes hear the same as before.
    """
    draw = np.random.Generator(np.random.PCG64((seed, 2**33)))
    with torch.no_grad():
        heard = [library.excerpt(draw, round(EXCERPT_S * RATE_HZ)) for _ in range(excerpts)]
        frames = [network(torch.from_numpy(sound[None]))[0, WARM_UP:].double() for sound in heard]
        rows, steps = torch.cat(frames), torch.cat([frame.diff(dim=0) for frame in frames])
        values, vectors = torch.linalg.eigh(torch.cov(rows.T))
        white = vectors @ torch.diag(values.clamp(min=FAINTEST * values.max()) ** -0.5) @ vectors.T
        unrest, axes = torch.linalg.eigh(white @ torch.cov(steps.T) @ white.T)
        loudness = 1 / (1 + unrest / REST)
        turn = axes @ torch.diag(loudness / loudness.square().mean().sqrt()) @ axes.T @ white
        last = network.layers["15"].conv
        last.weight.copy_(torch.einsum("pq,qik->pik", turn, last.weight.double()))
        last.bias.copy_(turn @ (last.bias.double() - rows.mean(dim=0)))


def stream_statistics(path: Path, library: Library, seed: int, excerpts: int = EXCERPTS) -> EmbeddingStats:
    """How the embeddings of the encoder in that file are spread over excerpts of the library, as they stream."""
    draw = np.random.Generator(np.random.PCG64((seed, 2**34)))
    encoder = load_encoder(path)
    heard = np.concatenate([library.excerpt(draw, round(EXCERPT_S * RATE_HZ)) for _ in range(excerpts)])
    return measure(encoder.step(heard, encoder.primed_state())[0])


def write_encoder(network: Network, library: Library, seed: int, out: Path, excerpts: int = EXCERPTS) -> None:
    """The encoder's file, with the statistics of its embeddings."""
    tensors: dict[str, NDArray[Any]] = dict(exported(network))
    write_atomic(out, save(tensors))
    stats = stream_statistics(out, library, seed, excerpts)
    write_atomic(out, save(tensors | {"embedding.mean": stats.mean, "embedding.covariance": stats.covariance}))


def compare(out: Path, measured_on: Sequence[Sequence[str]], plan: Plan, folder: Path) -> dict[str, Any]:
    """Probe figures by music: of the encoder in `out`, and of the same network before its first step."""
    torch.manual_seed(plan.seed)
    untrained = folder / "untrained.safetensors"
    write_atomic(untrained, save(dict(exported(Network(plan.filters)))))
    figures: dict[str, Any] = {}
    for label, *paths in measured_on:
        music = held_out_music(*map(Path, paths), seconds=20.0)
        for name, path in (("", out), (", before training", untrained)):
            figures[label + name] = encoder_figures(load_encoder(path), music)
            print(label + name, json.dumps(figures[label + name]), flush=True)
    return figures


def card(trainer: Trainer, measured: dict[str, Any]) -> dict[str, Any]:
    """What livelav and its users want to know of the encoder."""
    plan, library = trainer.plan, trainer.library
    kinds = sorted({path.stem.split("-")[-1] for path in library.paths})
    return {
        "name": "embedded",
        "untrained": False,
        "architecture": f"EnCodec encoder, causal, {plan.filters} filters, strides 2-4-5-8, 24 kHz, 75 Hz, 128 dims",
        "made_by": f"tools/train_encoder.py --steps {plan.steps} --seed {plan.seed}",
        "plan": asdict(plan),
        "trained_on": f"{library.minutes:.0f} min of sound from tools/sounds.py ({', '.join(kinds)}): self-made MIDI "
        "by FluidR3_GM (MIT), Sonic Pi's samples (CC0), espeak-ng, own synthesis; no recorded music",
        "trained_for": f"{plan.steps} steps of {plan.batch} x {SEGMENT * HOP / RATE_HZ:.2f} s, "
        f"{trainer.seconds / 60:.0f} min on one thread of a processor",
        "trained_to": f"guess linearly, from each frame's embedding: {', '.join(WEIGHTS)} (tools/train_encoder.py)",
        "statistics": f"embedding.mean and embedding.covariance over {EXCERPTS * EXCERPT_S / 60:.0f} min of the same "
        "sound at -18 dB RMS; the last layer is turned so that directions are about equally loud, restless ones softer",
        "measured": measured,
        "how_measured": "linear probes from the streamed embedding, fitted on some pieces and tested on others, both "
        "ways round, without the first 14 frames of each; log-mel, onset strength, chroma and loudness as defined in "
        "tools/_probes.py. The recorded music had no part in training, but figures on it were looked at when its "
        "schedule was settled",
        "limits": "hears spectrum, attacks, level and a third of a second of the past; pitch coarsely below 140 Hz; "
        "not words, melody, harmony or tempo as such; its embedding was not made to be turned back into sound",
        "licence": "MIT",
    }


def main() -> None:
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sounds", type=Path, required=True, metavar="FOLDER", help="rendered into if there are too few"
    )
    parser.add_argument("--minutes", type=float, default=200.0, help="of sound (default 200)")
    parser.add_argument("--steps", type=int, help=f"(default {plan.steps}, or what the checkpoint says)")
    parser.add_argument("--batch", type=int, default=plan.batch)
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help=f"written every {SAVE_EVERY} steps")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--measure", nargs="+", action="append", default=[], metavar=("LABEL", "MUSIC"))
    parser.add_argument("--out", type=Path, default=PACKAGE / "models" / "encoder.safetensors")
    options = parser.parse_args()
    if options.resume and not (options.checkpoint and options.checkpoint.is_file()):
        sys.exit(f"train_encoder: --resume needs a --checkpoint FILE that is there, not {options.checkpoint}")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    try:
        sounds.render(options.sounds, options.minutes, options.seed)
        library = Library(options.sounds)
    except sounds.SoundsError as error:
        sys.exit(f"train_encoder: {error}")
    plan = replace(plan, steps=options.steps or plan.steps, batch=options.batch, seed=options.seed)
    trainer = Trainer.resume(options.checkpoint, library, options.steps) if options.resume else Trainer(plan, library)
    train(trainer, options.checkpoint)
    whiten(trainer.network, library, trainer.plan.seed)
    write_encoder(trainer.network, library, trainer.plan.seed, options.out)
    measured = compare(options.out, options.measure, trainer.plan, options.sounds)
    told = card(trainer, measured)
    write_json(options.out.with_suffix(".json"), told)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
