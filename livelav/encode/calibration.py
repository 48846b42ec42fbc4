"""A passage of synthetic music, the same for ever from one seed: what an encoder is measured and scaled on.

Chords and melodies of changing timbre, drums, noise and rests, loud and soft, so that an encoder meets about what
it will meet on stage. Not for listening to. Knows nothing of encoders. Pure.
"""

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats

_BEAT_S = 0.5
_SCALES = ((0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7, 14), (0, 3, 6, 9), (0, 2, 7, 12))


def passage(sample_rate: int, seconds: float, seed: int) -> Floats:
    """Mono [seconds * sample_rate], driven softly into full scale, its level about that of records: -18 dB RMS."""
    draw = np.random.Generator(np.random.PCG64(seed))
    total = round(seconds * sample_rate)
    mix = np.zeros(total)
    for start in range(0, total, round(_BEAT_S * sample_rate)):
        n = min(round(draw.uniform(0.5, 2.0) * _BEAT_S * sample_rate), total - start)
        if draw.random() < 0.9:
            mix[start : start + n] += _tone(draw, n, sample_rate)
        if draw.random() < 0.7:
            mix[start : start + n] += _drum(draw, n, sample_rate)
    steps = round(_BEAT_S * sample_rate)
    swell = np.repeat(draw.uniform(-15.0, 6.0, total // steps + 1), steps)[:total]
    return np.tanh(mix * 10.0 ** (swell / 20.0)).astype(np.float32)


def _tone(draw: np.random.Generator, n: int, sample_rate: int) -> NDArray[np.float64]:
    """A chord or single note: additive, with its own brightness, vibrato and envelope."""
    t = np.arange(n) / sample_rate
    root = 27.5 * 2.0 ** (draw.integers(4, 62) / 12.0)
    notes = _SCALES[draw.integers(len(_SCALES))][: draw.integers(1, 5)]
    brightness, odd_only = draw.uniform(0.5, 2.5), draw.random() < 0.3
    vibrato = draw.uniform(0.0, 0.004) * np.sin(2 * np.pi * draw.uniform(3.0, 7.0) * t)
    out = np.zeros(n)
    for interval in notes:
        pitch_hz = root * 2.0 ** (interval / 12.0)
        for harmonic in range(1, min(24, int(0.45 * sample_rate / pitch_hz)) + 1, 2 if odd_only else 1):
            phase = 2 * np.pi * (harmonic * pitch_hz * t + draw.random()) + harmonic * vibrato
            out += np.sin(phase) / harmonic**brightness
    attack_s, decay_s = draw.uniform(0.002, 0.2), draw.uniform(0.1, 3.0)
    envelope = np.minimum(t / attack_s, 1.0) * np.exp(-t / decay_s)
    release = np.minimum((n - np.arange(n)) / (0.005 * sample_rate), 1.0)
    gain = draw.uniform(0.2, 0.8) / np.sqrt(len(notes))
    note: NDArray[np.float64] = gain * out * envelope * release
    return note


def _drum(draw: np.random.Generator, n: int, sample_rate: int) -> NDArray[np.float64]:
    """A falling sine, or noise through a random resonance."""
    t = np.arange(n) / sample_rate
    decay = np.exp(-t / draw.uniform(0.01, 0.2))
    if draw.random() < 0.5:
        pitch_hz = draw.uniform(40.0, 90.0) * (1.0 + 4.0 * np.exp(-t / 0.02))
        out: NDArray[np.float64] = np.sin(2 * np.pi * np.cumsum(pitch_hz) / sample_rate)
        return draw.uniform(0.2, 0.8) * out * decay
    noise = draw.uniform(-1.0, 1.0, n)
    colour: NDArray[np.float64] = np.cos(
        2 * np.pi * draw.uniform(200.0, 0.45 * sample_rate) * np.arange(32) / sample_rate
    ) * np.hanning(32)
    hiss: NDArray[np.float64] = draw.uniform(0.05, 0.4) * np.convolve(noise, colour)[:n] * decay
    return hiss
