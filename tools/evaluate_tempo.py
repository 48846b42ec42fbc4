"""How well livelav hears tempo and beat: drum music with known beats, and how steady real music is heard.

    python tools/evaluate_tempo.py [--developed] [MUSIC ...]

Prints a row for each groove (two kits each, 30 s, from the eighth second on): share of the time within 4 % of the
tempo; of its half or double; of anything else; of all that was believed (confidence from a half on) the share that is
wrong; how far beats are off the true ones, in ms and as the share within a tenth of a beat, where the tempo is right;
when the tempo was right for good. Then what becomes of a change of tempo, a break and silence. Files and folders of
music, whose tempo nobody knows, get the middle of what was heard in their middle minute, where nine of ten tempi that
were believed lie, and which share of the time something was believed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _grooves import DEVELOPED_ON, HELD_OUT, RATE_HZ, Groove, render
from _probes import HOP, held_out_music
from numpy.typing import NDArray

from livelav.core.values import Floats
from livelav.encode.features import FeatureExtractor
from livelav.encode.tempo import TempoFollower

SECONDS, FROM_S = 30.0, 8.0
NEAR = 0.04  # of the tempo
BELIEVED = 0.5
ON_IT = 0.1  # beats

Doubles = NDArray[np.float64]


def follow(sound: Floats) -> Doubles:
    """What is told about mono samples at 24 kHz: rows of (time in s, bpm, time of a beat in s, confidence)."""
    frame_s = HOP / RATE_HZ
    follower = TempoFollower(1.0 / frame_s)
    told = []
    for number, flux in enumerate(FeatureExtractor(RATE_HZ, HOP).step(sound).flux, start=1):
        if beat := follower.step(flux):
            now_s = number * frame_s
            told.append((now_s, beat.bpm, now_s - beat.ago_s, beat.confidence))
    return np.array(told).reshape(-1, 4)


def off_s(told: Doubles, bpm: float, origin_s: float) -> Doubles:
    """How much later than true beats the heard ones are, in seconds, half a beat at most."""
    beats = (told[:, 2] - origin_s) * bpm / 60.0
    return np.asarray((beats + 0.5) % 1.0 - 0.5) * 60.0 / bpm


def is_near(told: Doubles, bpm: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(told[:, 1] / bpm - 1.0) <= NEAR)


def _figures(groove: Groove) -> Doubles:
    """Right, octave, other, believed and wrong, ms off, on the beat, right from (s)."""
    rows = []
    for seed, start_s in ((1, 0.0), (2, 0.37)):
        sound, beats_s = render(groove, SECONDS, seed, start_s)
        told = follow(sound)
        late = told[told[:, 0] >= FROM_S]
        right, octave = is_near(late, groove.bpm), is_near(late, groove.bpm / 2) | is_near(late, groove.bpm * 2)
        believed = late[:, 3] >= BELIEVED
        away_s = np.abs(off_s(late[right], groove.bpm, beats_s[0]))
        wrong_s = told[~is_near(told, groove.bpm), 0]
        due = round((SECONDS - FROM_S) * 4)
        rows.append(
            (
                right.sum() / max(len(late), 1),
                octave.sum() / max(len(late), 1),
                1.0 - (right | octave).sum() / max(len(late), 1),
                (believed & ~right & ~octave).sum() / due,
                1000 * np.median(away_s) if len(away_s) else np.nan,
                (away_s <= ON_IT * 60.0 / groove.bpm).mean() if len(away_s) else np.nan,
                min(told[told[:, 0] > wrong_s.max(initial=0.0), 0], default=np.nan),
                np.median(late[:, 3]) if len(late) else 0.0,
            )
        )
    return _mean(np.array(rows))


def _mean(rows: Doubles) -> Doubles:
    """Of each column, without what is no number."""
    return np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else np.nan for column in rows.T])


def grooves(name: str, table: Sequence[Groove]) -> None:
    """Prints the table."""
    print(f"\n{name:34}   bpm  right octave  other misled ms off  on it from s  sure")
    rows = []
    for groove in table:
        rows.append(_figures(groove))
        right, octave, other, misled, ms, on_it, from_s, sure = rows[-1]
        print(
            f"{groove.name:34} {groove.bpm:5.0f} {right:6.2f} {octave:6.2f} {other:6.2f} {misled:6.2f} "
            f"{ms:6.1f} {on_it:6.2f} {from_s:6.1f} {sure:5.2f}"
        )
    mean, middle = _mean(np.array(rows)), np.nanmedian(np.array(rows), axis=0)
    print(
        f"{'mean (ms, s and sure: median)':34} {'':5} {mean[0]:6.2f} {mean[1]:6.2f} {mean[2]:6.2f} {mean[3]:6.3f} "
        f"{middle[4]:6.1f} {mean[5]:6.2f} {middle[6]:6.1f} {middle[7]:5.2f}"
    )


def changes() -> None:
    """Prints how long a new tempo takes, and what a break and silence do to tempo, beat and confidence."""
    house, techno = DEVELOPED_ON[0], DEVELOPED_ON[2]
    print("\nchanges")
    for first, second in ((house, techno), (techno, house), (DEVELOPED_ON[6], DEVELOPED_ON[4])):
        sound = np.concatenate([render(first, 20.0, 1)[0], render(second, 20.0, 2)[0]])
        told = follow(sound)
        after = told[told[:, 0] > 20.0]
        wrong_s = after[~is_near(after, second.bpm), 0].max(initial=20.0)
        unsure_s = after[(after[:, 3] < BELIEVED) & (after[:, 0] < wrong_s + 5.0)]
        print(
            f"  {first.name} {first.bpm:g} -> {second.name} {second.bpm:g}: right {wrong_s - 20.0:.1f} s later, "
            f"unsure for {len(unsure_s) / 4:.1f} s"
        )
    before_s, rest_s = 40 * 60.0 / house.bpm, 24 * 60.0 / house.bpm
    music, _ = render(house, before_s, 1)
    pad, _ = render(Groove("pad", house.bpm, {}, pad=0.3), rest_s, 3)
    for name, rest in (("six bars of a pad alone", pad), ("six bars of silence", np.zeros(len(pad), np.float32))):
        again, _ = render(house, 20.0, 1)
        told = follow(np.concatenate([music, rest, again]))
        gone = told[(told[:, 0] > before_s) & (told[:, 3] < BELIEVED), 0].min(initial=np.inf) - before_s
        end = told[told[:, 0] <= before_s + rest_s][-1:]
        drift_s = off_s(end, house.bpm, 0.0)[0]
        print(
            f"  {name}: not believed after {gone:.1f} s; at its end {end[0, 1]:.2f} bpm, beats "
            f"{1000 * drift_s:+.0f} ms off, confidence {end[0, 3]:.2f}; {told[-1, 1]:.2f} bpm 20 s later"
        )


def music(paths: Sequence[Path]) -> None:
    """Prints how steady the tempo of real music is heard."""
    print(f"\n{'':40} {'middle':>7} {'5 %':>7} {'95 %':>7} {'believed':>8} {'jumps':>6}")
    for name, sound in held_out_music(*paths, seconds=60.0):
        told = follow(sound)
        told = told[told[:, 0] >= FROM_S]
        believed = told[told[:, 3] >= BELIEVED]
        jumps = int((np.abs(np.diff(believed[:, 1])) > NEAR * believed[1:, 1]).sum())
        low, middle, high = np.percentile(believed[:, 1], (5, 50, 95)) if len(believed) else (np.nan,) * 3
        print(f"{name:40} {middle:7.1f} {low:7.1f} {high:7.1f} {len(believed) / (4 * 52):8.2f} {jumps:6d}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", nargs="*", type=Path, help="files or folders; without any: grooves and changes")
    parser.add_argument("--developed", action="store_true", help="the grooves that it was made on, too")
    options = parser.parse_args()
    if options.music:
        music(options.music)
        return
    if options.developed:
        grooves("developed on", DEVELOPED_ON)
    grooves("held out", HELD_OUT)
    changes()


if __name__ == "__main__":
    main()
