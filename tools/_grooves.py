"""Drum music with known beats, to measure the hearing of tempo by: patterns as data, synthesised drums, bass and pad.

Two sets: DEVELOPED_ON were looked at while livelav's hearing of tempo was made, HELD_OUT were written and measured
after it was done. Knows nothing of estimators; pure numpy, seeded: the same groove and seed give the same samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats

RATE_HZ = 24_000

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Groove:
    """A pattern that goes round for ever."""

    name: str
    bpm: float
    rows: Mapping[str, str]  # voice -> one sign per step: strength 0 to 9, "." rests
    steps: int = 4  # per beat
    swing: float = 0.0  # of a step: how much later every second one is
    pad: float = 0.1
    noise: float = 0.003


# fmt: off
DEVELOPED_ON: tuple[Groove, ...] = (
    Groove("house", 124, {"kick": "9...9...9...9...", "clap": "....8.......8...", "hat": "..9...9...9...9."}),
    Groove("house, hats loudest", 128, {"kick": "6...6...6...6...", "open": "..9...9...9...9.",
        "hat": "4.944.944.944.94"}),
    Groove("techno", 138, {"kick": "9...9...9...9...", "hat": "5575557555755575", "bass": ".888.888.888.888"}),
    Groove("break", 160, {"kick": "9.9.......99....", "snare": "....9..5.5..9..5", "hat": "7.7.7.7.7.7.7.7."}),
    Groove("drum and bass", 174, {"kick": "9.........9.....", "snare": "....9.......9...", "hat": "7.5.7.5.7.5.7.5.",
        "bass": "8.....6...8....."}),
    Groove("drum and bass, rolling", 170, {"kick": "9.....5...9.....", "snare": "....9..3.3..9...",
        "ride": "7535753575357535"}),
    Groove("hip-hop", 90, {"kick": "9......9..9.....", "snare": "....9.......9...",
        "hat": "7.5.7.5.7.5.7.55"}, swing=0.2),
    Groove("hip-hop, slow", 85, {"kick": "9..9.....99.....", "snare": "....9.......9..3",
        "hat": "7.7.7.7.7.7.7.7."}, swing=0.3),
    Groove("waltz", 150, {"kick": "9.....", "snare": "..7.7.", "hat": "5.5.5."}, steps=2),
    Groove("swing", 140, {"ride": "9..9.79..9.7", "pedal": "...8.....8..", "kick": "4..4..4..4.."}, steps=3),
    Groove("rock", 104, {"kick": "9.....9.9.......", "snare": "....9.......9...", "hat": "8.6.8.6.8.6.8.6."}),
    Groove("ballad", 70, {"kick": "9.......9.9.....", "snare": "....9.......9...",
        "hat": "6.4.6.4.6.4.6.4."}, pad=0.25),
    Groove("trance", 142, {"kick": "9...9...9...9...", "clap": "....7.......7...", "open": "..9...9...9...9.",
        "bass": "..8...8...8...8."}, pad=0.3),
    Groove("deep house", 118, {"kick": "8...8...8...8...", "hat": "..8...85..8..58.", "snare": "....5.......5..4",
        "bass": "7..6..7..6..7..."}, swing=0.15, pad=0.25),
    Groove("disco", 112, {"kick": "9...9...9...9...", "snare": "....9.......9...", "open": "..8...8...8...8.",
        "hat": "64.464.464.464.4", "bass": "8.8.8.8.8.8.8.8."}),
    Groove("two-step", 132, {"kick": "9.........9.....", "snare": "....9.......9...",
        "hat": "..7..77...7.7.7."}, swing=0.3),
    Groove("jungle", 165, {"kick": "9.9.......99....9.9.......9.....", "snare": "....9..6.6..9..6.6..9..6.6....9.",
        "ride": "7.7.7.7.7.7.7.7.7.7.7.7.7.7.7.7."}),
    Groove("drum and bass, half ghosts", 176, {"kick": "9.........8...6.", "snare": "...29....2..9..3",
        "hat": "6666666666666666", "bass": "9..............."}, pad=0.25),
    Groove("drum and bass, four on the floor", 172, {"kick": "9...9...9...9...", "snare": "....9.......9...",
        "open": "..7...7...7...7."}),
    Groove("trap", 140, {"kick": "9.....9.......9.", "snare": "........9.......", "hat": "7.7.7.777.7.7777"}),
    Groove("boom bap", 94, {"kick": "9.9.......9.....", "snare": "....9.......9...",
        "hat": "8.8.8.8.8.8.8.8."}, swing=0.4, noise=0.01),
    Groove("reggaeton", 96, {"kick": "9...9...9...9...", "snare": "...8..8....8..8.", "hat": "5.5.5.5.5.5.5.5."}),
    Groove("electro", 127, {"kick": "9.....9...9.....", "clap": "....9.......9...", "hat": "7777777777777777"}),
    Groove("funk", 100, {"kick": "9.9...9...9..9..", "snare": "....9..3.3.39..3", "hat": "8787878787878787"}),
    Groove("waltz, eighths", 150, {"kick": "9.....", "snare": "..6.6.", "hat": "646464"}, steps=2),
    Groove("slow waltz", 92, {"kick": "9....4", "snare": "..7.7.", "ride": "636363"}, steps=2, pad=0.25),
    Groove("shuffle", 120, {"kick": "9.....9.5...", "snare": "...9.....9..", "hat": "8.68.68.68.6"}, steps=3),
    Groove("jazz", 180, {"ride": "8..8.68..8.6", "pedal": "...7.....7..", "snare": "..4........3"}, steps=3),
    Groove("punk", 168, {"kick": "9...9.9.9...9.9.", "snare": "..9...9...9...9.",
        "open": "8.8.8.8.8.8.8.8."}, noise=0.02),
    Groove("dub", 74, {"kick": "........9.......", "snare": "........7.......", "hat": "..6...6...6...65",
        "bass": "8....8..8..8...."}, pad=0.2),
    Groove("samba", 108, {"kick": "6..96..96..96..9", "hat": "8568856885688568", "snare": "7.7..7.7.7.77.7."}),
    Groove("ambient pulse", 96, {"kick": "4.......4.......", "hat": "..2..2....2....2"}, pad=0.4),
)

HELD_OUT: tuple[Groove, ...] = (
    Groove("synthwave", 84, {"kick": "9.......9.......", "snare": "....9.......9...", "hat": "6464646464646464",
        "bass": "8.8.8.8.8.8.8.8."}, pad=0.25),
    Groove("big beat", 130, {"kick": "9.....9..9......", "snare": "....9.......9..5", "open": "7...7...7...7...",
        "hat": "..6...6...6...6."}),
    Groove("liquid", 173, {"kick": "9.........9.....", "snare": "....9.......9...",
        "ride": "6.4.6.4.6.4.6.4."}, pad=0.35),
    Groove("neurofunk", 175, {"kick": "9.....9...9.....", "snare": "....9.......9...", "hat": "7.7.7.7.7.7.7.7.",
        "bass": "8...6.8...8.6..."}),
    Groove("drumfunk", 166, {"kick": "9.9.......9..9..", "snare": "....9..3.3..9.3.", "ride": "7.7.7.7.7.7.7.7."}),
    Groove("afrobeat", 114, {"kick": "9.....9.9.....9.", "snare": "....6..3....6..3", "hat": "8.68.68.8.68.68."}),
    Groove("psytrance", 145, {"kick": "9...9...9...9...", "bass": ".887.887.887.887", "hat": "..7...7...7...7."}),
    Groove("minimal", 125, {"kick": "9...9...9...9...", "hat": "..........6....."}),
    Groove("hard rock", 122, {"kick": "9.....9.9.9.....", "snare": "....9.......9...",
        "open": "8...8...8...8..."}, noise=0.02),
    Groove("train beat", 108, {"snare": "5595559555955595", "kick": "9...9...9...9..."}),
    Groove("Viennese waltz", 174, {"kick": "9.....", "snare": "..6.6."}, steps=2, pad=0.3),
    Groove("slow blues", 66, {"kick": "9.....9.5...", "snare": "...9.....9..", "hat": "865865865865"}, steps=3),
    Groove("lo-fi", 78, {"kick": "9......99.......", "snare": "....8.......8...",
        "hat": "6.6.6.6.6.6.6.65"}, swing=0.35, noise=0.012),
    Groove("hardcore", 170, {"kick": "9...9...9...9...", "bass": "..9...9...9...9.", "clap": "....7.......7..."}),
    Groove("bossa nova", 128, {"kick": "7..67..67..67..6", "snare": "6..6..6...6..6..", "hat": "5.5.5.5.5.5.5.5."}),
    Groove("tech house", 127, {"kick": "9...9...9...9...", "hat": "..7...7...7...7.", "clap": "....7.......7...",
        "bass": "..7..7....7..7.6"}, swing=0.1, pad=0.2),
)
# fmt: on


def render(groove: Groove, seconds: float, seed: int = 0, start_s: float = 0.0) -> tuple[Floats, Doubles]:
    """(mono samples [n] at RATE_HZ, times of the beats in s). Music begins `start_s` in; the seed tunes the drums."""
    draw = np.random.default_rng(seed)
    kit = _kit(draw)
    beat_s = 60.0 / groove.bpm
    mix = np.zeros(round(seconds * RATE_HZ))
    beats_s = np.arange(start_s, seconds, beat_s)
    for voice, row in groove.rows.items():
        for step in range(len(beats_s) * groove.steps):
            if (sign := row[step % len(row)]) != ".":
                late = groove.swing if step % 2 else 0.0
                at_s = start_s + (step + late) * beat_s / groove.steps + draw.normal(0.0, 0.002)
                strength = int(sign) / 9 * draw.uniform(0.85, 1.0)
                _add(mix, round(max(at_s, 0.0) * RATE_HZ), strength * kit[voice])
    mix += groove.pad * _pad(len(mix), 4 * beat_s, draw)
    mix += groove.noise * draw.standard_normal(len(mix))
    mix[: round(start_s * RATE_HZ)] = 0.0
    return (0.5 * np.tanh(mix)).astype(np.float32), beats_s


def _kit(draw: np.random.Generator) -> dict[str, Doubles]:
    """One stroke of each voice."""

    def seconds(length_s: float) -> Doubles:
        return np.arange(round(length_s * RATE_HZ)) / RATE_HZ

    t = seconds(0.4)
    hiss = draw.standard_normal(len(t))
    bright = 0.6 * np.diff(hiss, 2, prepend=[0.0, 0.0])  # falls by 12 dB an octave towards the bass
    sweep_hz = draw.uniform(45, 60) * (1 + draw.uniform(2, 6) * np.exp(-t / draw.uniform(0.01, 0.03)))
    body = np.sin(2 * np.pi * draw.uniform(170, 220) * t)
    low = np.sign(np.sin(2 * np.pi * draw.uniform(41, 65) * t)) * np.minimum(t / 0.005, 1)
    return {
        "kick": 0.9 * np.sin(2 * np.pi * np.cumsum(sweep_hz) / RATE_HZ) * np.exp(-t / draw.uniform(0.08, 0.2)),
        "snare": 0.35 * (hiss + body) * np.exp(-t / draw.uniform(0.05, 0.12)),
        "clap": 0.35 * hiss * np.exp(-t / 0.07) * (0.4 + 0.6 * (t % 0.011 < 0.006)),
        "hat": 0.22 * bright * np.exp(-t / draw.uniform(0.015, 0.04)),
        "pedal": 0.2 * bright * np.exp(-t / 0.03),
        "open": 0.22 * bright * np.exp(-t / draw.uniform(0.08, 0.2)),
        "ride": 0.16 * bright * np.exp(-t / draw.uniform(0.1, 0.3)),
        "bass": 0.2 * low * np.exp(-t / 0.12),
    }


def _pad(n: int, chord_s: float, draw: np.random.Generator) -> Doubles:
    """Chords that swell and last, one for each `chord_s`."""
    t = np.arange(n) / RATE_HZ
    pad = np.zeros(n)
    turn = np.floor(t / chord_s).astype(int)
    root = draw.integers(45, 57) + np.array([0, 5, -3, 7])[turn % 4]
    swell = 0.6 - 0.4 * np.cos(2 * np.pi * t / (2.3 * chord_s))
    for interval in (0, 7, 12, 16):
        for harmonic in (1, 2, 3):
            hz = harmonic * 440.0 * 2.0 ** ((root + interval - 69) / 12)
            pad += np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ) / (4 * harmonic)
    return np.asarray(pad * swell)


def _add(mix: Doubles, at: int, sound: Doubles) -> None:
    """Adds `sound` into `mix` from sample `at` on; what hangs over is cut."""
    n = min(len(sound), len(mix) - at)
    if n > 0:
        mix[at : at + n] += sound[:n]
