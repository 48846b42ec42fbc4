"""How much of the sound an encoder's embeddings tell, and in how many directions: figures for any encoder.

Linear probes: ridge regressions from the embedding of frame t, as it streams, to what is heard at frame t, fitted on
some pieces of music and tested on others. What is heard is defined here, once; tools/train_encoder.py teaches it.
Frame t ends at sample 320 (t + 1) of 24 kHz; every window ends there, so all of it is causal. The probes leave out the
first 14 frames of a piece, where windows reach before it and the cut's edge would count as an attack.

- log-mel: 64 triangular bands from 30 Hz to 10.8 kHz over a Hann window of 1,024 samples, log(1 + 10^4 magnitude)
- onset strength: what the log-mel rose by since the frame before, falls counting as zero, mean over the bands
- chroma: power by pitch class over 4,096 samples, 110 to 2,000 Hz, as shares that sum to 1; of frames over -60 dB
- loudness: RMS of 1,024 samples in dB, from -80 up

Knows encoders by what they offer, and nothing of training. Pure but for reading music files.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import CHROMA_BINS, Floats
from livelav.encode.encoder import Encoder

RATE_HZ = 24_000
HOP = 320
MEL_WINDOW, CHROMA_WINDOW = 1024, 4096
BANDS = 64
LOUDER = 1e4  # the log-mel is log(1 + LOUDER * magnitude)
FAINTEST_DB, AUDIBLE_DB = -80.0, -60.0
MUSIC_ENDINGS = (".ogg", ".opus", ".flac", ".wav", ".mp3")

START = 14  # frames of each piece that the probes leave out: their windows reach before it, its edge is no attack

_RIDGE = 1e-4  # share of the embeddings' variance
_BLOCK_S = 60.0  # sound is analysed in such pieces, for the memory's sake

Doubles = NDArray[np.float64]
Sound = tuple[str, Floats]  # name, mono samples [n] at RATE_HZ


def encoder_figures(encoder: Encoder, sounds: Sequence[Sound]) -> dict[str, float]:
    """Probe figures of a 24 kHz encoder over pieces of music, at least two of them.

    Pieces 0, 2, 4, ... fit the probes that pieces 1, 3, 5, ... test, and the other way round; the figures are the
    means of both. `effective_rank` and `step_over_spread` are of the embeddings over all pieces. R2 of 1 is all of
    it, 0 no more than the mean of the music tested. `*_chance` is what naming the commonest class always would get.
    """
    if (encoder.sample_rate, encoder.hop) != (RATE_HZ, HOP):
        raise ValueError(f"encoder {encoder.name} runs at {encoder.sample_rate} Hz; the probes at {RATE_HZ} Hz only")
    if len(sounds) < 2:
        raise ValueError(f"{len(sounds)} pieces of music; the probes need 2 or more, to fit on some and test on others")
    embeddings = [encoder.step(sound, encoder.primed_state())[0].astype(np.float64) for _, sound in sounds]
    heard = [hear(sound) for _, sound in sounds]
    folds = [_probe([rows[START:] for rows in embeddings], [_without_start(h) for h in heard], f) for f in (0, 1)]
    everything = np.concatenate(embeddings)
    steps = np.concatenate([np.diff(rows, axis=0) for rows in embeddings])
    return {
        "pieces": len(sounds),
        "seconds": round(len(everything) * HOP / RATE_HZ),
        **{key: round(float(np.mean([fold[key] for fold in folds])), 3) for key in folds[0]},
        "effective_rank": round(effective_rank(np.cov(everything, rowvar=False)), 1),
        "step_over_spread": round(float(np.sqrt(steps.var() / everything.var(axis=0).mean())), 3),
    }


def effective_rank(covariance: NDArray[Any]) -> float:
    """exp of the entropy of the eigenvalues: how many directions the embeddings really use."""
    values = np.maximum(np.linalg.eigvalsh(covariance.astype(np.float64)), 0)
    share = values / values.sum()
    return float(np.exp(-np.sum(share * np.log(share + 1e-30))))


def held_out_music(*paths: Path, seconds: float = 30.0) -> list[Sound]:
    """The middle of each music file, mono at 24 kHz, longer ones cut to `seconds`; folders give all that lie in them.

    Raises ValueError where there is no music, OSError or soundfile's error where a file cannot be read.
    """
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        files += [file for file in inside if file.suffix.lower() in MUSIC_ENDINGS]
    if not files:
        raise ValueError(f"no music ({', '.join(MUSIC_ENDINGS)}) in {', '.join(map(str, paths)) or 'no path at all'}")
    return [(file.stem, read_sound(file, seconds)) for file in files]


def read_sound(path: Path, seconds: float | None = None) -> Floats:
    """A sound file as mono samples at 24 kHz: all of it, or its middle."""
    import soundfile
    from scipy.signal import resample_poly  # type: ignore[import-untyped]

    with soundfile.SoundFile(path) as file:
        wanted = file.frames if seconds is None else min(round(seconds * file.samplerate), file.frames)
        file.seek((file.frames - wanted) // 2)
        sound = file.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
        common = math.gcd(RATE_HZ, file.samplerate)
        mono: Floats = resample_poly(sound, RATE_HZ // common, file.samplerate // common).astype(np.float32)
    return mono


# ---- what is heard


def hear(sound: Floats) -> dict[str, Doubles]:
    """What the probes are asked for, a row per frame: log_mel, onset, chroma, loudness (dB)."""
    frames = len(sound) // HOP
    mels, pitches, levels = [], [], []
    for start in range(0, frames, round(_BLOCK_S * RATE_HZ / HOP)):
        rows = range(start, min(start + round(_BLOCK_S * RATE_HZ / HOP), frames))
        mels.append(np.log1p(LOUDER * (_magnitudes(sound, rows, MEL_WINDOW) @ mel_bands(MEL_WINDOW, BANDS))))
        pitches.append(np.square(_magnitudes(sound, rows, CHROMA_WINDOW)) @ pitch_classes(CHROMA_WINDOW))
        recent = _windows(sound, rows, MEL_WINDOW)
        levels.append(np.sqrt(np.square(recent - recent.mean(axis=1, keepdims=True)).mean(axis=1)))
    log_mel, power, rms = np.concatenate(mels), np.concatenate(pitches), np.concatenate(levels)
    rise = np.maximum(np.diff(log_mel, axis=0, prepend=log_mel[:1]), 0).mean(axis=1)
    chroma = power / np.maximum(power.sum(axis=1, keepdims=True), 1e-12)
    loudness = np.maximum(20 * np.log10(np.maximum(rms, 1e-9)), FAINTEST_DB)
    return {"log_mel": log_mel, "onset": rise[:, None], "chroma": chroma, "loudness": loudness[:, None]}


def hann(n: int) -> Doubles:
    """Scaled so that a sine of amplitude 1 has magnitude 1."""
    window = np.hanning(n + 1)[:-1]
    return window * (2.0 / window.sum())


def mel_bands(window: int, bands: int) -> Doubles:
    """Triangles evenly spaced in mel from 30 Hz to 0.45 of the rate: [bins, bands]; narrow ones take the nearest."""
    low_mel, high_mel = (2595.0 * math.log10(1.0 + hz / 700.0) for hz in (30.0, 0.45 * RATE_HZ))
    edges = 700.0 * (10.0 ** (np.linspace(low_mel, high_mel, bands + 2) / 2595.0) - 1.0)
    width = RATE_HZ / window
    bins = np.arange(window // 2 + 1)[:, None] * width
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / np.maximum(centre - low, width), (high - bins) / np.maximum(high - centre, width)
    return np.maximum(np.minimum(rising, falling), 0.0)


def pitch_classes(window: int) -> Doubles:
    """How much each bin's power says of each pitch class [bins, 12], C first, tuned to A = 440 Hz."""
    hz = np.arange(window // 2 + 1) * RATE_HZ / window
    within = (hz >= 110.0) & (hz <= 2000.0)
    semitones = 12.0 * np.log2(np.where(within, hz, 440.0) / 440.0) + 9.0
    distance = np.abs((semitones[:, None] - np.arange(CHROMA_BINS) + 6.0) % 12.0 - 6.0)
    return np.asarray(np.maximum(1.0 - distance, 0.0) ** 2 * within[:, None])


def _windows(sound: Floats, rows: range, window: int) -> Floats:
    """The last `window` samples at the end of each frame of `rows`, silence before the first: [frames, window]."""
    first = (rows.start + 1) * HOP - window
    piece = sound[max(first, 0) : rows.stop * HOP]
    piece = np.concatenate([np.zeros(max(-first, 0), np.float32), piece])
    return np.lib.stride_tricks.sliding_window_view(piece, window)[::HOP]


def _magnitudes(sound: Floats, rows: range, window: int) -> Doubles:
    recent = _windows(sound, rows, window)
    return np.abs(np.fft.rfft((recent - recent.mean(axis=1, keepdims=True)) * hann(window), axis=1))


# ---- the probes


def _probe(embeddings: Sequence[Doubles], heard: Sequence[dict[str, Doubles]], first: int) -> dict[str, float]:
    """Fits on pieces first, first + 2, ... and tests on the others."""

    def gather(start: int) -> tuple[Doubles, dict[str, Doubles]]:
        chosen = range(start, len(heard), 2)
        return (
            np.concatenate([embeddings[i] for i in chosen]),
            {key: np.concatenate([heard[i][key] for i in chosen]) for key in heard[0]},
        )

    (fit_x, fit_y), (test_x, test_y) = gather(first), gather(1 - first)
    guesses = {key: _ridge(fit_x, fit_y[key], test_x) for key in ("log_mel", "onset", "loudness")}
    loud_fit, loud = fit_y["loudness"][:, 0] > AUDIBLE_DB, test_y["loudness"][:, 0] > AUDIBLE_DB
    chroma, named = test_y["chroma"][loud], test_y["chroma"][loud].argmax(axis=1)
    guess = _ridge(fit_x[loud_fit], fit_y["chroma"][loud_fit], test_x[loud])
    return {
        **{f"{key}_r2": _r2(test_y[key], guesses[key]) for key in guesses},
        "chroma_r2": _r2(chroma, guess),
        "chroma_accuracy": float(np.mean(guess.argmax(axis=1) == named)),
        "chroma_chance": float(np.bincount(named, minlength=CHROMA_BINS).max() / len(named)),
    }


def _without_start(heard: dict[str, Doubles]) -> dict[str, Doubles]:
    return {key: rows[START:] for key, rows in heard.items()}


def _ridge(fit_x: Doubles, fit_y: Doubles, test_x: Doubles) -> Doubles:
    """Guesses for test_x of a ridge regression on standardised inputs."""
    mean, spread = fit_x.mean(axis=0), np.maximum(fit_x.std(axis=0), 1e-9)
    x = (fit_x - mean) / spread
    gram = x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (fit_y - fit_y.mean(axis=0)))
    return np.asarray(((test_x - mean) / spread) @ weights + fit_y.mean(axis=0))


def _r2(truth: Doubles, guess: Doubles) -> float:
    """Mean over the columns, each weighed alike; columns that never move are left out."""
    spread = truth.var(axis=0)
    moving = spread > 1e-6
    missed = np.square(truth - guess).mean(axis=0)
    return float(np.mean(1.0 - missed[moving] / spread[moving])) if moving.any() else 0.0
