"""An EnCodec encoder as the rest of livelav sees it: sound in, embeddings out, state passed explicitly.

Knows the encoders by name and where fetched ones lie; does not fetch, resample or make features. Runs in whichever
process calls it, on one thread if OPENBLAS_NUM_THREADS is 1 (its products are too small to gain from more).
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core import store
from livelav.core.errors import WeightsError, nearest
from livelav.core.values import EMBEDDING_DIM, EmbeddingStats, Floats
from livelav.encode.calibration import passage
from livelav.encode.seanet import Seanet, State
from livelav.encode.weights import Weights, random_weights, read_weights

EMBEDDED = store.PACKAGE / "models" / "encoder.safetensors"
FETCHABLE = ("encodec-24khz", "encodec-32khz")

_CALIBRATION_S = 4.0
_PRIMING_HOPS = 100  # 7 fill the mirrored start of the last convolution; the rest lets the LSTM come to rest


@dataclass(frozen=True, slots=True)
class EncoderState:
    """What a stream remembers."""

    waiting: Floats  # [n] samples, less than a hop
    net: State


@dataclass(frozen=True, slots=True)
class Encoder:
    """Weights and what they mean; immutable, so that any number of streams may share it."""

    name: str
    sample_rate: int  # Hz
    net: Seanet
    stats: EmbeddingStats

    @property
    def dim(self) -> int:
        return EMBEDDING_DIM

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.net.hop

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    @property
    def delay_s(self) -> float:
        """How long after its end a frame can be out; 0 for a causal encoder."""
        return self.net.lookahead / self.sample_rate

    def initial_state(self) -> EncoderState:
        """A stream before its first sample: equals the offline encoder from frame 0 on, the first frames come late."""
        return EncoderState(np.zeros(0, np.float32), self.net.initial_state())

    def primed_state(self) -> EncoderState:
        """A stream that has heard silence: from here on every hop of samples gives exactly one frame.

        Equals the offline encoder on zeros followed by the sound, each frame the moment that it is due: the last few
        zeros wait, so that the network's hops end where its frames become known.
        """
        waiting = -(self.net.last_input(0) + 1) % self.hop
        silence = np.zeros(_PRIMING_HOPS * self.hop, np.float32)
        _, primed = self.net.step(silence[waiting:], self.net.initial_state())
        return EncoderState(silence[:waiting], primed)

    def step(self, samples: Floats, state: EncoderState) -> tuple[Floats, EncoderState]:
        """Mono samples [n] at `sample_rate`, any n -> (embeddings [frames, 128], the state to pass next).

        The very same frames come out, to the last bit, however the sound is cut into steps. `state` itself stays as
        it was.
        """
        assert samples.ndim == 1, "an encoder listens to mono samples [n]"
        # The network is fed hop by hop, whatever comes: products of other shapes would round otherwise.
        sound = np.concatenate([state.waiting, samples.astype(np.float32, copy=False)])
        whole = len(sound) // self.hop * self.hop
        net_state, embeddings = state.net, [np.zeros((0, self.dim), np.float32)]
        for start in range(0, whole, self.hop):
            frames, net_state = self.net.step(sound[start : start + self.hop], net_state)
            embeddings.append(frames)
        return np.concatenate(embeddings), EncoderState(sound[whole:].copy(), net_state)


def load_encoder(name: str | Path | None = None) -> Encoder:
    """An encoder by name or file.

    None or "embedded": the one in the package. "auto": the official 24 kHz one if it was fetched, else the embedded.
    "encodec-24khz", "encodec-32khz": as fetched. Anything else: a .th, .bin or .safetensors file.
    Raises WeightsError where there is none, or it cannot be read or run live.
    """
    if name == "auto":
        name = FETCHABLE[0] if os.path.isfile(fetched_path(FETCHABLE[0])) else None
    if name is None or name == "embedded":
        return _load("embedded", EMBEDDED)
    if name in FETCHABLE:
        path = fetched_path(str(name))
        if not os.path.isfile(path):
            raise WeightsError(f"encoder {name} is not here yet: `livelav models fetch {name}`")
        return _load(str(name), path)
    path = Path(os.path.expanduser(name))
    if not os.path.isfile(path):
        known = ("auto", "embedded", *FETCHABLE)
        raise WeightsError(f"no encoder {str(name)!r}: a file, or one of {', '.join(known)}{nearest(str(name), known)}")
    return _load(path.stem, path)


def fetched_path(name: str) -> Path:
    """Where a fetched encoder's weights lie."""
    return store.models_dir() / "encoders" / f"{name}.{'th' if name == 'encodec-24khz' else 'safetensors'}"


def card(name: str) -> dict[str, Any]:
    """What is known of the embedded or a fetched encoder beside its weights: origin, licence, measurements.

    Raises WeightsError where there is none.
    """
    path = (EMBEDDED if name == "embedded" else fetched_path(name)).with_suffix(".json")
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"encoder {name} has no readable card {path}; `livelav models fetch {name}`") from error
    return known


def measure(embeddings: NDArray[np.floating]) -> EmbeddingStats:
    """How embeddings [frames, 128] are spread."""
    rows = embeddings.astype(np.float64)
    return EmbeddingStats(rows.mean(axis=0).astype(np.float32), np.cov(rows, rowvar=False).astype(np.float32))


def random_encoder(name: str) -> Encoder:
    """One of FETCHABLE with random weights, as fast as the real one: for measuring."""
    return _encoder(name, random_weights(name))


def _load(name: str, path: Path) -> Encoder:
    return _encoder(name, read_weights(path))


def _encoder(name: str, weights: Weights) -> Encoder:
    mean, covariance = (weights.extra.get(f"embedding.{key}") for key in ("mean", "covariance"))
    rate_hz = weights.family.sample_rate
    if mean is not None and covariance is not None:
        if (mean.shape, covariance.shape) != ((EMBEDDING_DIM,), (EMBEDDING_DIM, EMBEDDING_DIM)):
            raise WeightsError(f"encoder {name}: its embedding statistics are not those of {EMBEDDING_DIM} numbers")
        stats = EmbeddingStats(mean.astype(np.float32), covariance.astype(np.float32))
        return Encoder(name, rate_hz, weights.net, stats)
    # Published weights come without statistics: a few seconds of music give the mapper a start.
    nothing = EmbeddingStats(np.zeros(EMBEDDING_DIM, np.float32), np.zeros((EMBEDDING_DIM, EMBEDDING_DIM), np.float32))
    encoder = Encoder(name, rate_hz, weights.net, nothing)
    embeddings, _ = encoder.net.step(passage(rate_hz, _CALIBRATION_S, seed=0), encoder.primed_state().net)
    return replace(encoder, stats=measure(embeddings))
