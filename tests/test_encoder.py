"""Encoders by name: what the embedded one hears, how a primed stream runs, and what a wrong name is answered."""

import shutil
from pathlib import Path

import encodec_oracle as oracle
import numpy as np
import pytest
from safetensors.numpy import save_file

from livelav.core.errors import WeightsError
from livelav.core.values import Floats
from livelav.encode.calibration import passage
from livelav.encode.encoder import Encoder, card, fetched_path, load_encoder, measure


@pytest.fixture(scope="module")
def embedded() -> Encoder:
    return load_encoder()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the user's models."""
    monkeypatch.setenv("LIVELAV_MODELS", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def lookahead(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A small encoder of the 32 kHz kind."""
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    tensors = oracle.state_dict(oracle.build(0, n_filters=4, causal=False, ratios=[8, 5, 4, 4], true_skip=True))
    save_file(tensors, path)
    return load_encoder(path)


def settled(encoder: Encoder, samples: np.ndarray) -> Floats:
    """The embeddings after the first half second."""
    frames, _ = encoder.step(samples.astype(np.float32), encoder.primed_state())
    return frames[round(0.5 * encoder.frame_rate) :]


def note(pitch_hz: float, gain: float = 0.2, harmonics: int = 1, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(24_000 * seconds)) / 24_000
    return gain * sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, harmonics + 1))


def test_what_it_says_of_itself(embedded: Encoder, lookahead: Encoder) -> None:
    assert (embedded.name, embedded.sample_rate, embedded.hop, embedded.dim) == ("embedded", 24_000, 320, 128)
    assert (embedded.frame_rate, embedded.delay_s) == (75.0, 0.0)
    assert (lookahead.sample_rate, lookahead.hop, lookahead.frame_rate) == (32_000, 640, 50.0)
    assert lookahead.delay_s == pytest.approx(0.0746, abs=1e-4)


@pytest.mark.parametrize("which", ["embedded", "lookahead"])
def test_a_primed_stream_gives_one_frame_each_hop(which: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(which)
    state = encoder.primed_state()
    for block in passage(encoder.sample_rate, 0.5, seed=1)[: encoder.hop * 20].reshape(-1, encoder.hop):
        frames, state = encoder.step(block, state)
        assert frames.shape == (1, 128)


@pytest.mark.parametrize(("which", "due"), [("embedded", 320), ("lookahead", 3026 % 640)])
def test_a_primed_stream_gives_each_frame_when_it_is_due(which: str, due: int, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(which)
    almost, state = encoder.step(np.ones(due - 1, np.float32), encoder.primed_state())
    one, _ = encoder.step(np.ones(1, np.float32), state)
    assert (len(almost), len(one)) == (0, 1)


def test_a_primed_stream_equals_the_plain_one_after_zeros(embedded: Encoder) -> None:
    sound = passage(24_000, 0.5, seed=2)
    primed, _ = embedded.step(sound, embedded.primed_state())
    plain, _ = embedded.step(
        np.concatenate([np.zeros(100 * embedded.hop, np.float32), sound]), embedded.initial_state()
    )
    np.testing.assert_allclose(primed, plain[-len(primed) :], atol=1e-4, rtol=0)


@pytest.mark.parametrize("which", ["embedded", "lookahead"])
def test_any_cut_gives_the_same_bits(which: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(which)
    sound = passage(encoder.sample_rate, 0.5, seed=3)
    whole, _ = encoder.step(sound, encoder.primed_state())
    for size in (1, 160, 441, 777, encoder.hop, 5000):
        state, parts = encoder.primed_state(), []
        for start in range(0, len(sound), size):
            frames, state = encoder.step(sound[start : start + size], state)
            parts.append(frames)
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_samples_need_not_be_contiguous_and_may_be_none(embedded: Encoder) -> None:
    stereo = passage(24_000, 0.2, seed=4).repeat(2).reshape(-1, 2)
    strided, _ = embedded.step(stereo[:, 0], embedded.primed_state())
    whole, _ = embedded.step(stereo[:, 0].copy(), embedded.primed_state())
    np.testing.assert_array_equal(strided, whole)
    assert embedded.step(np.zeros(0, np.float32), embedded.primed_state())[0].shape == (0, 128)


def test_silence_stands_still(embedded: Encoder) -> None:
    frames, state = embedded.step(np.zeros(24_000, np.float32), embedded.primed_state())
    frames, _ = embedded.step(np.zeros(24_000, np.float32), state)
    assert np.abs(np.diff(frames, axis=0)).max() < 1e-3


def test_it_hears_pitch_timbre_and_loudness(embedded: Encoder) -> None:
    """Different steady sounds lie farther apart than either of them moves."""
    sounds = [note(110), note(220), note(880), note(220, harmonics=20), note(220, gain=0.02), 0 * note(220)]
    heard = [settled(embedded, sound) for sound in sounds]
    for i, one in enumerate(heard):
        for other in heard[:i]:
            moves = max(one.std(axis=0).mean(), other.std(axis=0).mean())
            assert np.abs(one.mean(axis=0) - other.mean(axis=0)).mean() > 1.5 * moves


def test_embeddings_are_spread_out(embedded: Encoder) -> None:
    """Over music that had no part in the scaling: about unit variance, in tens of directions, near the stored mean."""
    frames = settled(embedded, passage(24_000, 20.0, seed=901))
    stats = measure(frames)
    values = np.maximum(np.linalg.eigvalsh(stats.covariance.astype(np.float64)), 1e-12)
    share = values / values.sum()
    assert np.exp(-np.sum(share * np.log(share))) > 30
    assert 0.3 < np.sqrt(values.mean()) < 3
    assert np.abs(stats.mean - embedded.stats.mean).mean() < 1
    assert embedded.stats.covariance.shape == (128, 128)


def test_published_weights_get_statistics_at_load(lookahead: Encoder) -> None:
    frames = settled(lookahead, passage(32_000, 4.0, seed=5))
    ratio = np.sqrt(np.diag(lookahead.stats.covariance) / frames.var(axis=0))
    assert 1 / 3 < np.median(ratio) < 3


def test_auto_prefers_what_was_fetched(models: Path) -> None:
    assert load_encoder("auto").name == "embedded"
    path = fetched_path("encodec-24khz")
    assert models in path.parents
    path.parent.mkdir(parents=True)
    shutil.copy(Path(load_encoder.__code__.co_filename).parents[1] / "models" / "encoder.safetensors", path)
    assert load_encoder("auto").name == "encodec-24khz"
    assert load_encoder("encodec-24khz").name == "encodec-24khz"


@pytest.mark.usefixtures("models")
def test_wrong_names_are_answered_with_the_remedy() -> None:
    with pytest.raises(WeightsError, match="livelav models fetch encodec-32khz"):
        load_encoder("encodec-32khz")
    with pytest.raises(WeightsError, match="did you mean 'encodec-24khz'"):
        load_encoder("encodec-24kh")
    with pytest.raises(WeightsError, match="livelav models fetch encodec-24khz"):
        card("encodec-24khz")


def test_the_embedded_card_is_honest() -> None:
    """Trained, on what, how well on what music, and where it ends."""
    told = card("embedded")
    assert told["untrained"] is False
    assert told["licence"] == "MIT"
    assert told["trained_on"] and told["limits"]
    assert any("before training" in music for music in told["measured"])
