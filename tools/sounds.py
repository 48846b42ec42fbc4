"""Renders sound to train an encoder on: hours of it from one seed, none of it anyone's music.

    python tools/sounds.py FOLDER [--minutes M] [--seed N] [--soundfont FILE] [--only KIND]

Writes mono 16-bit WAV files of 24 kHz, 20 to 60 s each, named by number and kind:

- music: pieces made up here, as MIDI (chords, bass, melody, arpeggio, drums; any General MIDI program, key, tempo and
  dynamics), played by fluidsynth with FluidR3_GM (MIT)
- electronic: kick, hats, filtered saw bass and chords that duck under the kick, synthesised here
- samples: loops built of Sonic Pi's samples (CC0)
- speech: sentences of made-up words, spoken by espeak-ng
- passage: livelav's own synthetic music; noise: noises, sweeps, steady tones, clicks, rests

Debian has what it needs: apt install fluidsynth fluid-soundfont-gm sonic-pi-samples espeak-ng. Knows nothing of
encoders. The same seed gives the same sounds with the same versions of those programs.

Source of the MIDI file format: Standard MIDI Files 1.0 (MIDI Manufacturers Association, 1996).
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _probes import RATE_HZ, read_sound
from numpy.typing import NDArray

from livelav.core.values import Floats
from livelav.encode.calibration import passage

SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SAMPLES = Path("/usr/share/sonic-pi/samples")
SHARES = {"music": 0.50, "electronic": 0.18, "samples": 0.12, "passage": 0.08, "speech": 0.06, "noise": 0.06}

_LEVEL = 10 ** (-18 / 20)  # RMS of every file; training varies the gain
_TICKS_PER_S = 960  # 480 ticks a quarter note at the 120 beats a minute that MIDI files have unless they say otherwise
_DRUMS = 9  # the channel that General MIDI keeps for them
_MODES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 1, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 8, 11),
)
_VOICES = ("en", "en-us", "de", "fr", "es", "it", "pt", "pl", "sv", "tr", "fi", "cs", "hu", "nl", "ro")
_VARIANTS = ("", "+m1", "+m3", "+m5", "+m7", "+f1", "+f2", "+f3", "+f4", "+croak", "+whisper")

Doubles = NDArray[np.float64]
Draw = np.random.Generator


class SoundsError(Exception):
    """Something that the rendering needs is missing; the message names the Debian package."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note of a piece."""

    start_s: float
    length_s: float
    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Piece:
    """What fluidsynth is to play."""

    programs: tuple[int, ...]  # General MIDI program of channels 0, 1, ...
    notes: tuple[Note, ...]


# ---- music


def midi(piece: Piece) -> bytes:
    """The piece as a MIDI file of format 0."""
    events = [(0, bytes((0xC0 | channel, program))) for channel, program in enumerate(piece.programs)]
    for note in piece.notes:
        start, end = (round(_TICKS_PER_S * s) for s in (note.start_s, note.start_s + note.length_s))
        events.append((start, bytes((0x90 | note.channel, note.pitch, note.velocity))))
        events.append((max(end, start + 1), bytes((0x80 | note.channel, note.pitch, 0))))
    track, now = b"", 0
    for tick, message in sorted(events, key=lambda event: (event[0], event[1][0] & 0xF0 != 0x80)):  # ends come first
        track += _variable_length(tick - now) + message
        now = tick
    track += b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in (0, 1, 480))
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def _variable_length(value: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last have bit 7 set."""
    out = bytes((value & 0x7F,))
    while value := value >> 7:
        out = bytes((0x80 | value & 0x7F,)) + out
    return out


@dataclass(frozen=True, slots=True)
class Score:
    """What the parts of one section share."""

    start_s: float
    bars: int
    beat_s: float
    root: int  # pitch, 48 to 59
    mode: tuple[int, ...]
    degrees: tuple[int, ...]  # of the chords, one per bar
    loudness: float  # 0..1

    def chord(self, bar: int, size: int) -> list[int]:
        degree = self.degrees[bar % len(self.degrees)]
        return [self.pitch(degree + 2 * k) for k in range(size)]

    def pitch(self, degree: int) -> int:
        octave, step = divmod(degree, len(self.mode))
        return self.root + 12 * octave + self.mode[step]

    def note(self, draw: Draw, beat: float, beats: float, channel: int, pitch: int, accent: float = 1.0) -> Note:
        """A note so many beats after the section's start, played by a human hand."""
        velocity = int(np.clip(127 * self.loudness * accent * draw.uniform(0.8, 1.1), 8, 127))
        start_s = max(self.start_s + self.beat_s * beat + draw.normal(0.0, 0.004), 0.0)
        return Note(start_s, beats * self.beat_s, channel, int(np.clip(pitch, 12, 115)), velocity)


def piece(draw: Draw, seconds: float) -> Piece:
    """A piece of two to five sections, each with its own parts and dynamics."""
    beat_s = 60.0 / draw.uniform(60.0, 175.0)
    sections = int(draw.integers(2, 6))
    bars = max(round(seconds / sections / (4 * beat_s)), 1)
    score = Score(0.0, bars, beat_s, int(draw.integers(43, 60)), _MODES[draw.integers(len(_MODES))], (0,), 1.0)
    programs = tuple(int(p) for p in draw.integers(0, 120, 5))
    bass = int(draw.integers(32, 40)) if draw.random() < 0.8 else programs[1]
    notes: list[Note] = []
    parts = (_chords, _bass, _melody, _arpeggio, _drums)
    for section in range(sections):
        score = replace(
            score,
            start_s=section * bars * 4 * beat_s,
            root=score.root + int(draw.choice((0, 0, 0, 2, -2, 5, -3))),
            degrees=tuple(int(d) for d in draw.integers(-2, 6, draw.integers(1, 5))),
            loudness=draw.uniform(0.35, 1.0),
        )
        chosen = [
            part for part, chance in zip(parts, (0.7, 0.7, 0.7, 0.4, 0.65), strict=True) if draw.random() < chance
        ]
        for part in chosen:
            notes += part(draw, score)
    return Piece((programs[0], bass, *programs[2:4]), tuple(notes))


def _chords(draw: Draw, score: Score) -> list[Note]:
    size, octave = int(draw.integers(2, 5)), 12 * int(draw.integers(0, 2))
    hits = ((0.0, 4.0),) if draw.random() < 0.5 else tuple((float(b), draw.uniform(0.2, 1.0)) for b in range(4))
    off_beat = 0.5 * draw.integers(0, 2)
    return [
        score.note(draw, 4 * bar + beat + off_beat, beats, 0, pitch + octave, 0.8)
        for bar in range(score.bars)
        for beat, beats in hits
        for pitch in score.chord(bar, size)
    ]


def _bass(draw: Draw, score: Score) -> list[Note]:
    step = float(draw.choice((0.5, 1.0, 2.0)))
    density = draw.uniform(0.5, 1.0)
    return [
        score.note(
            draw,
            4 * bar + beat,
            step * 0.9,
            1,
            score.chord(bar, 3)[int(draw.choice((0, 0, 0, 2)))] - 24 + 12 * (draw.random() < 0.2),
        )
        for bar in range(score.bars)
        for beat in np.arange(0.0, 4.0, step)
        if beat == 0 or draw.random() < density
    ]


def _melody(draw: Draw, score: Score) -> list[Note]:
    """A walk along the scale with rests."""
    notes, beat, degree = [], 0.0, int(draw.integers(5, 14))
    while beat < 4 * score.bars:
        beats = float(draw.choice((0.25, 0.5, 0.5, 1.0, 1.5, 2.0)))
        degree = int(np.clip(degree + draw.integers(-3, 4), 2, 20))
        if draw.random() < 0.85:
            notes.append(score.note(draw, beat, 0.95 * beats, 2, score.pitch(degree)))
        beat += beats
    return notes


def _arpeggio(draw: Draw, score: Score) -> list[Note]:
    step, span, rising = float(draw.choice((0.25, 0.5, 1 / 3))), int(draw.integers(3, 7)), draw.random() < 0.5
    count = round(4 / step)
    order = [k % span if rising else span - 1 - k % span for k in range(count)]
    return [
        score.note(draw, 4 * bar + k * step, step * 0.9, 3, score.chord(bar, span)[order[k]] + 12, 0.7)
        for bar in range(score.bars)
        for k in range(count)
    ]


def _drums(draw: Draw, score: Score) -> list[Note]:
    """One pattern of sixteenths per voice, with fills left to chance."""
    voices = {
        36: 0.3,
        38: 0.2,
        42: 0.6,
        46: 0.1,
        49: 0.03,
        int(draw.integers(41, 82)): 0.2,
        int(draw.integers(41, 82)): 0.1,
    }
    patterns = {pitch: draw.random(16) < chance for pitch, chance in voices.items()}
    patterns[36][0], patterns[38][4], patterns[38][12] = True, True, True
    return [
        score.note(draw, 4 * bar + k / 4, 0.2, _DRUMS, pitch, 1.0 if k % 4 == 0 else 0.75)
        for bar in range(score.bars)
        for pitch, pattern in patterns.items()
        for k in range(16)
        if pattern[k] ^ (draw.random() < 0.03)
    ]


def _music(draw: Draw, seconds: float, tools: "Tools") -> Floats:
    with tempfile.TemporaryDirectory() as folder:
        score, out = Path(folder) / "piece.mid", Path(folder) / "piece.wav"
        score.write_bytes(midi(piece(draw, seconds)))
        wet = str(int(draw.random() < 0.7))
        _run([tools.fluidsynth, "-ni", "-q", "-g", "0.5", "-R", wet, "-C", wet, "-r", str(RATE_HZ),
              "-F", str(out), str(tools.soundfont), str(score)])  # fmt: skip
        return read_sound(out)


# ---- the other kinds


@dataclass(frozen=True, slots=True)
class Groove:
    """What the bars of one electronic piece share."""

    beat: int  # samples
    kicks: NDArray[np.intp]  # sixteenths of a bar
    hits: tuple[tuple[NDArray[np.intp], Doubles, float], ...]  # sixteenths, sound and gain of each drum
    riff: NDArray[np.int64]  # semitones over the root at each sixteenth; 0 rests, but on the first
    root: int  # pitch
    bass_hz: float  # cutoffs
    chord_hz: float


def _electronic(draw: Draw, seconds: float, tools: "Tools") -> Floats:
    """Four on the floor or broken, at 90 to 175 beats a minute; chords duck under the kick."""
    groove = _groove(draw)
    bars = max(round(seconds * RATE_HZ / (4 * groove.beat)), 1)
    mix, duck = np.zeros(4 * groove.beat * bars), np.ones(4 * groove.beat * bars)
    drums, bass, chords = (np.repeat(draw.random(bars // 4 + 1) < p, 4)[:bars] for p in (0.8, 0.75, 0.7))
    for bar in range(bars):
        for step in range(16):
            at = 4 * bar * groove.beat + step * groove.beat // 4
            if drums[bar]:
                _strike(draw, groove, step, mix[at:], duck[at : at + groove.beat // 2])
            if bass[bar] and (groove.riff[step] or step == 0):
                sweep_hz = groove.bass_hz * (1.0 + 3.0 * (0.5 - 0.5 * np.cos(2 * np.pi * bar / 8)))
                tone = _saw(draw, groove.root + int(groove.riff[step]), groove.beat // 4, sweep_hz, 0.15)
                _add(mix, at, 0.3 * tone)
        if chords[bar]:
            within = slice(4 * bar * groove.beat, 4 * (bar + 1) * groove.beat)
            degree = int(draw.choice((0, 3, 5, 7, 8, 10)))
            for interval in (0, 3 + (bar % 2), 7, 12)[: draw.integers(2, 5)]:
                tone = _saw(draw, groove.root + 24 + degree + interval, 4 * groove.beat, groove.chord_hz, 2.0)
                mix[within] += 0.12 * tone * duck[within]
    return np.tanh(draw.uniform(0.5, 2.0) * mix).astype(np.float32)


def _groove(draw: Draw) -> Groove:
    beat = round(60.0 / draw.uniform(90.0, 175.0) * RATE_HZ)
    kick, hat, clap = _kick(draw), _hiss(draw, 0.05), _hiss(draw, 0.15)
    kicks = np.arange(0, 16, 4) if draw.random() < 0.6 else np.flatnonzero(draw.random(16) < 0.3)
    hats = np.flatnonzero(draw.random(16) < draw.uniform(0.2, 0.9))
    riff = draw.integers(-5, 8, 16) * (draw.random(16) < 0.6)
    root, bass_hz, chord_hz = int(draw.integers(28, 40)), draw.uniform(200.0, 3000.0), draw.uniform(300.0, 5000.0)
    hits = ((kicks, kick, 0.9), (hats, hat, 0.25), (np.array([4, 12]), clap, 0.4))
    return Groove(beat, kicks, hits, riff, root, bass_hz, chord_hz)


def _strike(draw: Draw, groove: Groove, step: int, mix: Doubles, duck: Doubles) -> None:
    """The drums of one sixteenth into the start of `mix`, and what the kick does to the chords."""
    for steps, sound, gain in groove.hits:
        if step in steps:
            _add(mix, 0, gain * draw.uniform(0.8, 1.0) * sound)
    if step in groove.kicks:
        duck[:] = np.minimum(duck, np.linspace(0.2, 1.0, groove.beat // 2)[: len(duck)])


def _kick(draw: Draw) -> Doubles:
    t = np.arange(round(0.35 * RATE_HZ)) / RATE_HZ
    pitch_hz = draw.uniform(40.0, 65.0) * (1.0 + draw.uniform(2.0, 6.0) * np.exp(-t / draw.uniform(0.01, 0.04)))
    return np.asarray(np.sin(2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ) * np.exp(-t / draw.uniform(0.05, 0.2)))


def _hiss(draw: Draw, decay_s: float) -> Doubles:
    n = round(4 * decay_s * RATE_HZ)
    return _coloured(draw, n, draw.uniform(0.0, 1.5)) * np.exp(
        -np.arange(n) / (RATE_HZ * decay_s * draw.uniform(0.3, 1.0))
    )


def _saw(draw: Draw, pitch: int, n: int, cutoff_hz: float, decay_s: float) -> Doubles:
    """Two saws, slightly apart, through a lowpass that closes: harmonics that fade the faster the higher they are."""
    t = np.arange(n) / RATE_HZ
    cutoff = cutoff_hz * (0.2 + 0.8 * np.exp(-t / decay_s))
    out = np.zeros(n)
    for detuned in (0.0, draw.uniform(0.02, 0.15)):
        base_hz = 440.0 * 2.0 ** ((pitch + detuned - 69) / 12)
        for harmonic in range(1, min(30, int(0.45 * RATE_HZ / base_hz)) + 1):
            gain = 1.0 / (harmonic * (1.0 + (harmonic * base_hz / cutoff) ** 4))
            out += gain * np.sin(2 * np.pi * (harmonic * base_hz * t + draw.random()))
    return out * np.minimum(1.0, np.minimum(t, t[::-1]) / 0.004)


def _samples(draw: Draw, seconds: float, tools: "Tools") -> Floats:
    """A loop of a few of Sonic Pi's samples, each at its own speed and steps."""
    step = round(60.0 / draw.uniform(70.0, 180.0) / 4 * RATE_HZ)
    total = round(seconds * RATE_HZ)
    mix = np.zeros(total)
    for _ in range(draw.integers(2, 7)):
        sample = read_sound(tools.samples[draw.integers(len(tools.samples))], 8.0)
        speed = 2.0 ** draw.choice((-1.0, -0.5, 0.0, 0.0, 0.0, 0.25, 7 / 12))
        sample = np.interp(np.arange(0, len(sample) - 1, speed), np.arange(len(sample)), sample)
        every = max(16 * round(len(sample) / (16 * step)), 16) if len(sample) > 4 * step else 16
        hits = np.flatnonzero(draw.random(every) < draw.uniform(0.05, 0.4)) if every == 16 else np.array([0])
        first, last = np.sort(draw.integers(0, total, 2)) if draw.random() < 0.6 else (0, total)
        for start in range(int(first) // step * step, int(last), every * step):
            for hit in hits:
                _add(mix, start + int(hit) * step, draw.uniform(0.5, 1.0) * sample)
    return mix.astype(np.float32)


def _speech(draw: Draw, seconds: float, tools: "Tools") -> Floats:
    consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
    words = [
        "".join(consonants[draw.integers(18)] + vowels[draw.integers(5)] for _ in range(draw.integers(1, 4)))
        for _ in range(round(2.0 * seconds))
    ]
    text = " ".join(word + ("" if draw.random() < 0.85 else str(draw.choice((".", ",", "?", "!")))) for word in words)
    voice = str(draw.choice(_VOICES)) + str(draw.choice(_VARIANTS))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.wav"
        pace, pitch = str(draw.integers(110, 220)), str(draw.integers(10, 90))
        _run([tools.espeak, "-v", voice, "-s", pace, "-p", pitch, "-w", str(out), text])
        return read_sound(out, seconds)


def _passage(draw: Draw, seconds: float, tools: "Tools") -> Floats:
    return passage(RATE_HZ, seconds, seed=int(draw.integers(10_000, 2**31)))  # the tests measure on seeds below


def _noise(draw: Draw, seconds: float, tools: "Tools") -> Floats:
    """Stretches of noise, sweeps, steady tones, clicks and rests."""
    out: list[Doubles] = []
    while sum(map(len, out)) < seconds * RATE_HZ:
        n = round(draw.uniform(0.5, 5.0) * RATE_HZ)
        t = np.arange(n) / RATE_HZ
        match draw.integers(5):
            case 0:
                sound = _coloured(draw, n, draw.uniform(-0.5, 2.0))
            case 1:
                hz = np.geomspace(*np.exp(draw.uniform(np.log(40.0), np.log(10_000.0), 2)), n)
                sound = np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)
            case 2:
                pitches = draw.integers(24, 108, draw.integers(1, 4))
                harmonics = range(1, int(draw.integers(2, 12)))
                hz = 440.0 * 2.0 ** ((pitches - 69) / 12)
                sound = sum(
                    (np.sin(2 * np.pi * h * f * t) / h**1.2 for f in hz for h in harmonics if h * f < 10_800), 0 * t
                )
            case 3:
                sound = (np.arange(n) % round(RATE_HZ / draw.uniform(1.0, 30.0)) == 0) * 5.0
            case _:
                sound = np.zeros(n)
        swell = 1.0 if draw.random() < 0.5 else np.linspace(*draw.uniform(0.0, 1.0, 2), n)
        out.append(sound * swell * draw.uniform(0.05, 1.0))
    return np.concatenate(out).astype(np.float32)


def _coloured(draw: Draw, n: int, slope: float) -> Doubles:
    """Noise whose amplitude falls with frequency to the power of `slope`, about unit RMS."""
    spectrum = np.fft.rfft(draw.standard_normal(n)) / np.maximum(np.arange(n // 2 + 1), 20.0 * n / RATE_HZ) ** slope
    noise = np.fft.irfft(spectrum, n)
    return np.asarray(noise / max(noise.std(), 1e-12))


def _add(mix: Doubles, at: int, sound: Doubles) -> None:
    """Adds `sound` into `mix` from sample `at` on; what hangs over is cut."""
    n = min(len(sound), len(mix) - at)
    if n > 0:
        mix[at : at + n] += sound[:n]


# ---- rendering


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs and files that rendering calls on."""

    fluidsynth: str
    soundfont: Path
    espeak: str
    samples: tuple[Path, ...]


def find_tools(soundfont: Path = SOUNDFONT) -> Tools:
    """Raises SoundsError with the package to install where one is missing."""
    samples = tuple(sorted(SAMPLES.glob("*.flac")))
    missing = [
        f"{what} (Debian package {package})"
        for there, what, package in (
            (shutil.which("fluidsynth"), "the program fluidsynth", "fluidsynth"),
            (soundfont.is_file(), f"the soundfont {soundfont}", "fluid-soundfont-gm"),
            (shutil.which("espeak-ng"), "the program espeak-ng", "espeak-ng"),
            (samples, f"samples in {SAMPLES}", "sonic-pi-samples"),
        )
        if not there
    ]
    if missing:
        raise SoundsError(f"rendering needs {', '.join(missing)}")
    return Tools("fluidsynth", soundfont, "espeak-ng", samples)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SoundsError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-200:]}")


KINDS: dict[str, Callable[[Draw, float, Tools], Floats]] = {
    "music": _music,
    "electronic": _electronic,
    "samples": _samples,
    "passage": _passage,
    "speech": _speech,
    "noise": _noise,
}


def render(folder: Path, minutes: float, seed: int = 1, tools: Tools | None = None, only: str | None = None) -> int:
    """Writes sounds until there are so many minutes; files that are there already are kept. Returns their number."""
    import soundfile

    tools = tools or find_tools()
    folder.mkdir(parents=True, exist_ok=True)
    kinds = np.random.Generator(np.random.PCG64(seed))
    rendered_s, number = 0.0, 0
    while rendered_s < 60 * minutes:
        kind, seconds = str(kinds.choice(list(SHARES), p=list(SHARES.values()))), kinds.uniform(20.0, 60.0)
        kind = only or kind
        path = folder / f"{number:05d}-{kind}.wav"
        if not path.exists():
            sound = KINDS[kind](np.random.Generator(np.random.PCG64((seed, number))), seconds, tools)
            level = max(float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))), 1e-6)
            unfinished = path.with_suffix(".part")
            soundfile.write(unfinished, np.clip(sound * (_LEVEL / level), -1, 1), RATE_HZ, "PCM_16", format="WAV")
            unfinished.rename(path)
            print(f"\r{rendered_s / 60:.1f} of {minutes:g} min", end="", file=sys.stderr, flush=True)
        rendered_s += soundfile.info(path).duration
        number += 1
    print(file=sys.stderr)
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a cache, best outside the repository")
    parser.add_argument("--minutes", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT)
    parser.add_argument("--only", choices=KINDS, help="this kind alone")
    options = parser.parse_args()
    try:
        count = render(options.folder, options.minutes, options.seed, find_tools(options.soundfont), options.only)
    except SoundsError as error:
        sys.exit(f"sounds: {error}")
    print(f"{count} sounds in {options.folder}")


if __name__ == "__main__":
    main()
