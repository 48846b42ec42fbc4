"""What is heard, as features over time: a row for each of the times that are asked for.

    mfcc 20      timbre                                rms 1      loudness
    contrast 7   peaks against valleys, by octaves     drop 1     how much louder than before, see `_drop`
    flatness 1   noise against tones                   onset 1    attacks (spectral flux)
    chroma 12    pitch classes                         pulse 1    predominant local pulse
    tonnetz 6    harmony: the tonal centroid           parts 5    which part of the piece, see structure.py

After Brouwer's thesis on audio-reactive video (TU Delft, 2022), which names them. Sound is taken in pieces of a minute
and its features kept at ANALYSIS_HZ alone, so that eight hours cost some hundred megabytes. Knows no file and no clock.
librosa, and the soxr that comes with it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.values import Floats
from livelav.score.structure import parts

ANALYSIS_HZ = 24  # pictures and moments a second: what eyes take for motion, and every film has
RATE_HZ = 24_000  # so that a hop is a whole number of samples
_HOP, _EACH = 500, 2  # onsets and pulse are looked for twice as often
_WINDOW, _WIDE = 2048, 4096  # the wide one tells low pitches apart
_PIECE = 60 * ANALYSIS_HZ * _EACH  # hops
_PULSE_WINDOW = 8 * ANALYSIS_HZ * _EACH  # hops: eight seconds make a tempo
_SILENT = 1e-8  # power: -80 dB is as quiet as it gets
_LOWEST_HZ = 160.0  # of spectral contrast's six octaves
_AFTER_S, _BEFORE_S = 2.0, 10.0  # of a drop

Wide = NDArray[np.float64]


def sound_features(samples: Floats, rate_hz: int, times_s: NDArray[Any]) -> dict[str, Floats]:
    """{name: [len(times_s), d]} of a whole sound [n] or [n, channels]; see `SoundFeatures`."""
    features = SoundFeatures(rate_hz)
    features.push(samples)
    return features.at(times_s)


class SoundFeatures:
    """Takes a sound in blocks of any length, and then says what it was like at any time."""

    def __init__(self, rate_hz: int) -> None:
        import soxr

        self._rate_hz, self._heard = rate_hz, 0
        self._resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1)
        self._waiting, self._length = [np.zeros(_WIDE // 2, np.float32)], _WIDE // 2
        self._before: Wide | None = None  # the last hop's spectrum
        self._rows: list[dict[str, Floats]] = []
        self._flux: list[Floats] = []

    @property
    def seconds(self) -> float:
        """Of sound taken so far."""
        return self._heard / self._rate_hz

    def push(self, samples: Floats) -> None:
        """The next samples, [n] or [n, channels]; what is no number is silence."""
        mono = samples if samples.ndim == 1 else samples.mean(axis=1)
        self._heard += len(mono)
        self._take(self._resampler.resample_chunk(np.nan_to_num(mono, posinf=0.0, neginf=0.0).astype(np.float32)))

    def at(self, times_s: NDArray[Any]) -> dict[str, Floats]:
        """{name: [len(times_s), d]}; nothing may be pushed after. At n / ANALYSIS_HZ nothing is interpolated."""
        self._take(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        rest = self._length - _WIDE // 2  # samples whose middle was not reached
        self._take(np.zeros(_WIDE // 2 + _HOP * _EACH, np.float32))
        self._analyse(-(-rest // (_HOP * _EACH)) * _EACH or _EACH)  # of no sound at all, one moment of silence
        features = {name: np.concatenate([row[name] for row in self._rows]) for name in self._rows[0]}
        flux = np.concatenate(self._flux)
        features |= {
            "drop": _drop(features["rms"][:, 0])[:, None],
            "onset": flux.reshape(-1, _EACH).max(axis=1)[:, None],
            "pulse": _pulse(flux)[::_EACH, None],
            "parts": parts(np.concatenate([features["mfcc"], 10.0 * features["chroma"]], axis=1), ANALYSIS_HZ),
        }
        known_s = np.arange(len(flux) // _EACH) / ANALYSIS_HZ
        return {name: _between(known_s, values, times_s) for name, values in features.items()}

    def _take(self, samples: Floats) -> None:
        self._waiting.append(samples)
        self._length += len(samples)
        while self._length >= _PIECE * _HOP + _WIDE:
            self._analyse(_PIECE)

    def _analyse(self, hops: int) -> None:
        """The next `hops`, an even number: hop k looks at the samples around k * _HOP.

        held:   |<- _WIDE/2 before ->|k=0 ... one _HOP ... k=1 ...            |<- _WIDE/2 after ->|
        """
        from librosa import feature, onset, power_to_db, stft

        held = np.concatenate(self._waiting)
        sound = held[: (hops - 1) * _HOP + _WIDE]
        sound = np.pad(sound, (0, (hops - 1) * _HOP + _WIDE - len(sound)))
        held = held[hops * _HOP :]
        self._waiting, self._length = [held], len(held)

        inner = sound[(_WIDE - _WINDOW) // 2 : len(sound) - (_WIDE - _WINDOW) // 2]
        spectrum = np.abs(stft(inner, n_fft=_WINDOW, hop_length=_HOP, center=False))
        mel = feature.melspectrogram(S=spectrum**2, sr=RATE_HZ, n_fft=_WINDOW)
        loud = power_to_db(mel, amin=_SILENT, top_db=None)
        before = loud[:, :1] if self._before is None else self._before
        self._before = loud[:, -1:]
        self._flux.append(
            np.asarray(onset.onset_strength(S=np.concatenate([before, loud], axis=1), center=False)[1:], np.float32)
        )
        wide = np.abs(stft(sound, n_fft=_WIDE, hop_length=_HOP * _EACH, center=False))
        spectrum, loud = spectrum[:, ::_EACH], loud[:, ::_EACH]
        chroma = feature.chroma_stft(S=wide**2, sr=RATE_HZ, n_fft=_WIDE, tuning=0.0)
        rms = feature.rms(y=inner, frame_length=_WINDOW, hop_length=_HOP * _EACH, center=False)
        rows = {
            "mfcc": feature.mfcc(S=loud, n_mfcc=20),
            "contrast": feature.spectral_contrast(S=spectrum, sr=RATE_HZ, n_fft=_WINDOW, fmin=_LOWEST_HZ),
            "flatness": feature.spectral_flatness(S=spectrum, amin=_SILENT),
            "chroma": chroma,
            "tonnetz": feature.tonnetz(chroma=chroma),
            "rms": rms[:, : hops // _EACH],
        }
        self._rows.append({name: np.ascontiguousarray(row.T, np.float32) for name, row in rows.items()})


def _drop(rms: Floats) -> Floats:
    """How many decibels the two seconds that begin are louder than the ten before them were, 0 where they are not.

    Loudness below -60 dB counts as that. In the first two seconds there is no past to speak of, and nothing drops.
    """
    level = 20.0 * np.log10(np.maximum(rms.astype(np.float64), 1e-3))
    total = np.concatenate([[0.0], np.cumsum(level)])
    now = np.arange(len(level))
    until = np.minimum(now + round(_AFTER_S * ANALYSIS_HZ), len(level))
    since = np.maximum(now - round(_BEFORE_S * ANALYSIS_HZ), 0)
    after, before = (
        (total[until] - total[now]) / (until - now),
        (total[now] - total[since]) / np.maximum(now - since, 1),
    )
    return np.where(now >= _AFTER_S * ANALYSIS_HZ, np.maximum(after - before, 0.0), 0.0).astype(np.float32)


def _pulse(flux: Floats) -> Floats:
    """The predominant local pulse, a piece at a time: a tempogram of a whole night would not fit."""
    from librosa import beat

    pulses = []
    for start in range(0, len(flux), _PIECE):
        first, last = max(start - _PULSE_WINDOW, 0), start + _PIECE + _PULSE_WINDOW
        around = flux[first:last]
        if around.max(initial=0.0) <= 0.0:  # silence has no tempo
            pulse = np.zeros_like(around)
        else:
            pulse = beat.plp(
                onset_envelope=around, sr=RATE_HZ, hop_length=_HOP, win_length=min(_PULSE_WINDOW, len(around))
            )
        pulses.append(np.asarray(pulse[start - first :][: min(_PIECE, len(flux) - start)], np.float32))
    return np.nan_to_num(np.concatenate(pulses))


def _between(known_s: NDArray[Any], values: Floats, times_s: NDArray[Any]) -> Floats:
    """[len(times_s), d]: interpolated; before the first and after the last as these are."""
    at = np.clip(np.asarray(times_s, np.float64) * ANALYSIS_HZ, 0, len(known_s) - 1)
    low = np.floor(at).astype(int)
    share = (at - low)[:, None].astype(np.float32)
    return np.asarray((1 - share) * values[low] + share * values[np.minimum(low + 1, len(known_s) - 1)], np.float32)
