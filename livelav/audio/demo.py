"""Music that the program makes itself: eight bars at 120 beats a minute, without a seam, the same every time.

The first thing that somebody without a loopback hears about: drums for the onsets, chords that move for the chroma,
a bass that ducks under the kick for the loudness. Patterns are data; instruments are the functions above them.
Everything is written into a circle of samples, so tails of notes and echoes run over the end into the beginning.
"""

import numpy as np
from numpy.typing import NDArray

from livelav.audio.paced import PacedPlayer
from livelav.audio.source import SourceInfo
from livelav.core.clock import Clock
from livelav.core.values import Block, Floats

RATE_HZ = 48_000
BEAT = RATE_HZ // 2  # samples
STEP = BEAT // 4  # a sixteenth
BARS = 8
LENGTH = BARS * 4 * BEAT

_TABLE = 4096  # samples of one period of a waveform; a power of two
_STEPS_A_BAR = 16

# One bar each: bass note and four chord notes, as MIDI numbers (Am9, Fadd9, C6, Gadd9, Am9, Dm7, F, E7): few notes
# are common to neighbours, so the chroma moves with every bar.
CHORDS: tuple[tuple[int, tuple[int, int, int, int]], ...] = (
    (33, (60, 64, 67, 71)),
    (29, (60, 65, 67, 69)),
    (36, (60, 64, 67, 69)),
    (31, (59, 62, 67, 69)),
    (33, (60, 64, 67, 71)),
    (38, (60, 62, 65, 69)),
    (29, (57, 60, 65, 72)),
    (28, (56, 59, 62, 68)),
)

# Strength 0..9 on each sixteenth of a bar; the second half of the loop is the busier one.
KICK = ("9...9...9...9...", "9...9...9...9..5")
CLAP = ("....8.......8...", "....8.......8..3")
HAT = ("..5...5...5...5.", "3253425332534254")
OPEN = ("................", "..6...6...6...6.")
BASS = ("..8..86...8..86.", "..8.86.8..8.8687")
ARP = ("................", "7.46.5.74.6.57.4")
FILL = "............4567"  # snare, last bar only


def _hz(note: float) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def _decay(n: int, seconds: float) -> Floats:
    """An exponential [n] that falls to 1/e in `seconds`."""
    decay: Floats = np.exp(-np.arange(n, dtype=np.float32) / np.float32(seconds * RATE_HZ))
    return decay


def _scaled(samples: NDArray[np.floating], peak: float) -> Floats:
    scaled: Floats = (samples * (peak / np.abs(samples).max())).astype(np.float32)
    return scaled


def _saw(brightness: float) -> Floats:
    """One period of a saw whose harmonics fade with `brightness` as their 1/e point."""
    k = np.arange(1, 40)
    phase = np.arange(_TABLE) / _TABLE
    wave = (np.sin(2 * np.pi * k[:, None] * phase) * (np.exp(-k / brightness) / k)[:, None]).sum(0)
    return _scaled(wave, 1.0)


def _tone(wave: Floats, hz: float, n: int, phase: float = 0.0) -> Floats:
    at = (np.arange(n) * (hz * _TABLE / RATE_HZ) + phase * _TABLE).astype(np.int32)
    tone: Floats = wave[at & (_TABLE - 1)]
    return tone


def _band(noise: Floats, low_hz: float, high_hz: float) -> Floats:
    """Noise [n] between two frequencies, at its old peak."""
    spectrum = np.fft.rfft(noise)
    hz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    band = np.fft.irfft(spectrum * np.exp(-(((2 * hz - low_hz - high_hz) / (high_hz - low_hz)) ** 2)), len(noise))
    return _scaled(band, float(np.abs(noise).max()))


class _Mix:
    """A circle of stereo samples into which notes are written."""

    def __init__(self) -> None:
        self.samples: Floats = np.zeros((LENGTH, 2), np.float32)

    def add(self, at: int, mono: Floats, gain: float, pan: float = 0.0) -> None:
        """Mono [n] from sample `at` on, round the end; pan -1 left to 1 right."""
        sides = np.array([1 - max(pan, 0.0), 1 + min(pan, 0.0)], np.float32) * np.float32(gain)
        head = min(len(mono), LENGTH - at)
        self.samples[at : at + head] += mono[:head, None] * sides
        self.samples[: len(mono) - head] += mono[head:, None] * sides  # what rings past the end


def _hits(pattern: tuple[str, str]) -> list[tuple[int, float]]:
    """(sample, strength 0..1) of every stroke in the loop: the first row for bars 1 to 4, the second for 5 to 8."""
    return [
        ((bar * _STEPS_A_BAR + step) * STEP, int(sign) / 9)
        for bar in range(BARS)
        for step, sign in enumerate(pattern[bar * 2 // BARS])
        if sign != "."
    ]


def _drums(rng: np.random.Generator) -> _Mix:
    mix = _Mix()
    n = RATE_HZ // 2
    seconds = np.arange(n) / RATE_HZ
    sweep = 2 * np.pi * (48 * seconds + 5.5 * (1 - np.exp(-seconds * 32)))
    kick = (np.sin(sweep) * _decay(n, 0.13)).astype(np.float32)
    kick[:96] += rng.standard_normal(96).astype(np.float32) * _decay(96, 0.0006) * 0.3
    noise = rng.standard_normal(n).astype(np.float32)
    hiss = _band(noise, 6_000, 12_000)
    clap = _band(noise, 600, 4_000) * _decay(n, 0.06)
    clap[: RATE_HZ // 50] *= (np.arange(RATE_HZ // 50) % (RATE_HZ // 150) < RATE_HZ // 400).astype(np.float32)
    snare = 0.5 * _band(noise, 500, 8_000) * _decay(n, 0.07) + (
        np.sin(2 * np.pi * 190 * seconds) * _decay(n, 0.05)
    ).astype(np.float32)
    for at, strength in _hits(KICK):
        mix.add(at, kick, 0.62 * strength)
    for at, strength in _hits(CLAP):
        mix.add(at, clap, 0.20 * strength)
    for at, strength in _hits(HAT):
        mix.add(at, hiss * _decay(n, 0.018), 0.08 * strength, pan=0.25)
    for at, strength in _hits(OPEN):
        mix.add(at, hiss * _decay(n, 0.09), 0.06 * strength, pan=-0.25)
    for step, sign in enumerate(FILL):
        if sign != ".":
            mix.add(LENGTH + (step - _STEPS_A_BAR) * STEP, snare, 0.3 * int(sign) / 9)
    return mix


def _bass() -> _Mix:
    mix = _Mix()
    bright, dark = _saw(9.0), _saw(2.0)
    n = BEAT
    for at, strength in _hits(BASS):
        root = CHORDS[at // (4 * BEAT)][0]
        hz = _hz(root + (12 if at // STEP % 4 == 3 else 0))
        attack = np.minimum(np.arange(n, dtype=np.float32) / 150, 1)
        pluck = _tone(bright, hz, n) * _decay(n, 0.05) + _tone(dark, hz, n) * _decay(n, 0.16)
        mix.add(at, pluck * attack, 0.28 * strength)
    return mix


def _pad() -> _Mix:
    mix = _Mix()
    waves = (_saw(2.0), _saw(6.0))
    n = 4 * BEAT + BEAT  # each chord rings into the next
    seconds = np.arange(n, dtype=np.float32) / RATE_HZ
    swell = np.minimum(seconds / 0.08, 1) * np.clip((n / RATE_HZ - seconds) / 0.5, 0, 1)
    for bar, (_, notes) in enumerate(CHORDS):
        opening = (0.2 + 0.6 * bar / BARS) * (0.5 - 0.5 * np.cos(2 * np.pi * seconds / 4))
        for i, note in enumerate(notes):
            for side, detune in ((-0.9, -0.06), (0.9, 0.06)):
                hz, phase = _hz(note + detune), 0.37 * i + 0.5 * side
                tone = _tone(waves[0], hz, n, phase) * (1 - opening) + _tone(waves[1], hz, n, phase) * opening
                mix.add(bar * 4 * BEAT, (tone * swell).astype(np.float32), 0.085, pan=side)
    return mix


def _arp() -> _Mix:
    mix = _Mix()
    wave = _saw(1.2)
    n = BEAT
    for count, (at, strength) in enumerate(_hits(ARP)):
        notes = CHORDS[at // (4 * BEAT)][1]
        note = notes[(0, 2, 1, 3, 2)[count % 5]] + (24 if count % 3 == 0 else 12)
        mix.add(at, _tone(wave, _hz(note), n) * _decay(n, 0.09), 0.42 * strength, pan=0.6 if count % 2 else -0.6)
    return mix


def _ducked(mix: _Mix, depth: float) -> Floats:
    """The mix, pressed down by each kick and let up again within a beat."""
    gain = np.ones(LENGTH, np.float32)
    dip = 1 - depth * _decay(BEAT, 0.12)
    for at, strength in _hits(KICK):
        if strength == 1:
            gain[at : at + BEAT] = np.minimum(gain[at : at + BEAT], dip)
    return mix.samples * gain[:, None]


def _echoed(samples: Floats, rng: np.random.Generator) -> Floats:
    """Samples with their echo of a dotted eighth and a room of a second and a half, round the circle."""
    room = rng.standard_normal((int(1.5 * RATE_HZ), 2)).astype(np.float32) * _decay(int(1.5 * RATE_HZ), 0.35)[:, None]
    answer = np.zeros((LENGTH, 2), np.float32)
    answer[: len(room)] = 0.006 * room
    answer[0] += 1
    for turn in range(1, 5):
        answer[turn * 3 * STEP, turn % 2] += 0.45**turn
    spectrum = np.fft.rfft(samples, axis=0) * np.fft.rfft(answer, axis=0)
    return np.fft.irfft(spectrum, LENGTH, axis=0).astype(np.float32)


def compose() -> Floats:
    """The loop, stereo [LENGTH, 2] at RATE_HZ, peak 0.8; about half a second of work."""
    rng = np.random.default_rng(120)
    music = _drums(rng).samples + _ducked(_bass(), 0.7)
    music += _echoed(_ducked(_pad(), 0.6) + _arp().samples, rng)
    music = np.tanh(1.1 * music)  # holds the drums and the rest together as a limiter would
    return _scaled(music, 0.8)


class DemoSource:
    """The loop as a source, for ever."""

    patience_s = 0.5
    xruns = 0

    def __init__(self, clock: Clock) -> None:
        self.info = SourceInfo("demo", "demo", float(RATE_HZ), 2)
        self._music = compose()
        self._player = PacedPlayer(RATE_HZ, clock)
        self._at = 0

    def read(self, timeout_s: float) -> Block | None:
        if not self._player.wait(timeout_s):
            return None
        where = (self._at + np.arange(self._player.block)) % LENGTH
        self._at = int(where[-1]) + 1
        return self._player.play(self._music[where])

    def close(self) -> None:
        """Nothing to let go of."""
