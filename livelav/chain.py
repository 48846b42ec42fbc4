"""Sound to controls: the stages in order, in one object, the same for the live show and for an offline render.

    Block -> gain, mono -> Resampler -> Encoder, FeatureExtractor -> Mapper -> Controls
                                                                  -> TempoFollower -> the beat

Knows no clock, process or device. Pushing the same samples gives the same controls, whatever the block sizes.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from livelav.audio.resample import Resampler
from livelav.core.params import Settings
from livelav.core.values import Block, Controls, Features, Floats
from livelav.encode.encoder import Encoder
from livelav.encode.features import FeatureExtractor
from livelav.encode.tempo import HeardBeat, TempoFollower


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoder step: what was heard, and what the picture is to do."""

    features: Features
    controls: Controls
    beat: HeardBeat | None = None  # where there is news of it


class Steps(Protocol):
    """A mapping, a blend of some, or whoever else listens to features."""

    def step(self, features: Features, settings: Settings) -> Controls: ...


class Chain:
    """One stream through all stages that come before the generator."""

    def __init__(self, encoder: Encoder, mapper: Steps) -> None:
        self._encoder, self._mapper = encoder, mapper
        self._state = encoder.primed_state()
        self._extractor = FeatureExtractor(encoder.sample_rate, encoder.hop)
        self._follower = TempoFollower(encoder.frame_rate)
        self._resampler = Resampler(encoder.sample_rate, encoder.sample_rate)
        self._rate_hz = float(encoder.sample_rate)
        # Frame by frame; an encoder that looks ahead and the features need not come in step.
        self._heard: deque[tuple[float, Floats, float, Floats, Floats]] = deque()  # rows of Heard
        self._embeddings: deque[Floats] = deque()
        self._pending = np.zeros(0, np.float32)
        self._samples_in = 0
        self._frames_out = 0

    def __getstate__(self) -> dict[str, Any]:
        """What it remembers, for another process: without the encoder and the mapping, which that one gives it."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_encoder", "_mapper")}

    def go_on(self, encoder: Encoder, mapper: Steps) -> None:
        """Goes on in another process, with the same encoder."""
        self._encoder, self._mapper = encoder, mapper

    def push(self, block: Block, settings: Settings) -> list[Frame]:
        """The frames that this block completes, oldest first. The block may have any rate and length."""
        if block.rate_hz != self._rate_hz:
            self._resampler = Resampler(round(block.rate_hz), self._encoder.sample_rate)
            self._rate_hz = block.rate_hz
        channels = block.samples.shape[1]
        gains = np.full(channels, 10.0 ** (settings["audio.gain"] / 20.0) / channels, np.float32)
        samples = self._resampler.step(block.samples @ gains)
        self._samples_in += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        # Pieces of one size, so that rounding, too, is the same whatever the block sizes; of half a hop, so that no
        # frame is late by more than that where the encoder looks ahead.
        piece, frames = self._encoder.hop // 2, []
        while len(self._pending) >= piece:
            samples, self._pending = self._pending[:piece], self._pending[piece:]
            heard = self._extractor.step(samples)
            onset, rms = heard.onset.tolist(), heard.rms.tolist()
            self._heard.extend(zip(onset, heard.chroma, rms, heard.flux, heard.spectrum, strict=True))
            embeddings, self._state = self._encoder.step(samples, self._state)
            self._embeddings.extend(embeddings)
            while self._heard and self._embeddings:
                frames.append(self._frame(block.captured_s, settings))
        return frames

    def _frame(self, captured_s: float, settings: Settings) -> Frame:
        onset, chroma, rms, flux, spectrum = self._heard.popleft()
        embedding = self._embeddings.popleft()
        self._frames_out += 1
        newer = self._samples_in - self._frames_out * self._encoder.hop
        captured_s -= newer / self._encoder.sample_rate
        rise, bin_hz = float(flux.mean()), self._extractor.bin_hz
        features = Features(embedding, onset, chroma, rms, captured_s, rise, spectrum, bin_hz)
        return Frame(features, self._mapper.step(features, settings), self._follower.step(flux))
