"""What the encoder is asked to tell from its embedding, and what keeps the embedding wide and at rest.

A linear layer guesses the lessons below from each frame's embedding: whatever it needs lies open there. All are of
sound up to the frame's end:

- log_mel, chroma, onset, loudness: as tools/_probes.py defines them; onset also over a lag of two frames
- semitones: the spectrum of 4,096 samples in 48 semitones from 131 Hz up, log(1 + 10^3 magnitude)
- attacks: the onset strength in six ranges of pitch, each for itself
- recent: running means of the log-mel, in 24 ranges over 0.12 s and in 12 over 0.4 s; activity: of the attacks

Guessing alone would leave the embedding with a handful of directions, so further terms ask for unit variance, no
covariance and small steps from frame to frame. Source: Bardes et al., VICReg (2022).
"""

import math

import numpy as np
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
    hann,
    mel_bands,
    pitch_classes,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from livelav.core.values import EMBEDDING_DIM

WARM_UP = 14  # frames at a segment's start that no lesson is asked of
SEMITONES, LOWEST_HZ = 48, 131.0
RANGES = 6
RECENT = ((0.12, 24), (0.4, 12))  # memory in seconds, and the ranges of pitch remembered


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
