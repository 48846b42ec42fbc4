"""The streaming encoder equals the published offline one, for any way of cutting the sound."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import encodec_oracle as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from livelav.core.values import Floats
from livelav.encode.seanet import Seanet, State, Tail
from livelav.encode.weights import read_weights

TOLERANCE = 1e-5
K24 = {"causal": True, "ratios": [8, 5, 4, 2]}
K32 = {"causal": False, "ratios": [8, 5, 4, 4], "true_skip": True}


def network(encoder: Any, folder: Path) -> Seanet:
    save_file(oracle.state_dict(encoder), folder / "w.safetensors")
    return read_weights(folder / "w.safetensors").net


def sound(n: int, seed: int) -> Floats:
    return (0.3 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def cut(samples: Floats, sizes: Sequence[int]) -> Iterator[Floats]:
    """Pieces of these sizes, over and over."""
    at = turn = 0
    while at < len(samples):
        yield samples[at : at + sizes[turn % len(sizes)]]
        at += sizes[turn % len(sizes)]
        turn += 1


def stream(net: Seanet, pieces: Iterator[Floats] | Sequence[Floats], state: State | None = None) -> Floats:
    state = net.initial_state() if state is None else state
    frames = []
    for piece in pieces:
        embeddings, state = net.step(piece, state)
        frames.append(embeddings)
    return np.concatenate(frames)


@pytest.mark.parametrize(
    ("config", "seed"),
    [
        *[({**K24, "n_filters": 8}, seed) for seed in (0, 1, 2)],
        *[({**K32, "n_filters": 8}, seed) for seed in (0, 1, 2)],
        ({**K24, "n_filters": 32}, 3),
        ({**K32, "n_filters": 64}, 4),
        ({**K24, "n_filters": 8, "pad_mode": "reflect"}, 5),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value),
)
def test_streamed_equals_offline(config: dict[str, Any], seed: int, tmp_path: Path) -> None:
    encoder = oracle.build(seed, **config)
    net = network(encoder, tmp_path)
    samples = sound(net.hop * 24 + 17, seed)
    expected = oracle.embed(encoder, samples)
    small = config["n_filters"] == 8
    for sizes in ([net.hop], [441], [1000], [5000], [1, 4999], [37, 3, 640, 2], *([[1]] if small else [])):
        frames = stream(net, cut(samples, sizes))
        assert len(frames) >= 24 - net.lookahead // net.hop - 1
        np.testing.assert_allclose(frames, expected[: len(frames)], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("config", [K24, K32], ids=["24k", "32k"])
def test_any_cut_gives_the_same_frames(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    encoder = oracle.build(7, n_filters=4, **config)
    net = network(encoder, tmp_path_factory.mktemp("weights"))
    samples = sound(net.hop * 30, 7)
    expected = oracle.embed(encoder, samples)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(1, 5000), min_size=1, max_size=40))
    def holds(sizes: list[int]) -> None:
        frames = stream(net, cut(samples, sizes))
        np.testing.assert_allclose(frames, expected[: len(frames)], atol=TOLERANCE, rtol=0)

    holds()


@pytest.mark.parametrize(("config", "needs"), [(K24, 320), (K32, 3026)], ids=["24k", "32k"])
def test_frames_come_as_soon_as_their_samples_are_heard(config: dict[str, Any], needs: int, tmp_path: Path) -> None:
    """Frame t needs hop * t + `needs` samples, once the stream has got over its mirrored start."""
    net = network(oracle.build(0, n_filters=4, **config), tmp_path)
    start = sound(net.hop * 10, 1)
    _, state = net.step(start, net.initial_state())
    heard = net.hop * 10
    frames = (heard - needs) // net.hop + 1
    for _ in range(5):
        missing = net.hop * frames + needs - heard
        almost, state = net.step(sound(missing - 1, 2), state)
        assert len(almost) == 0
        one, state = net.step(sound(1, 3), state)
        assert len(one) == 1
        heard, frames = heard + missing, frames + 1
    assert net.last_input(0) + 1 == needs


def test_what_comes_later_changes_nothing_before(tmp_path: Path) -> None:
    net = network(oracle.build(0, n_filters=4, **K24), tmp_path)
    samples = sound(net.hop * 20, 1)
    other = samples.copy()
    other[net.hop * 12 :] = sound(net.hop * 8, 2)
    one, two = (stream(net, [s]) for s in (samples, other))
    np.testing.assert_array_equal(one[:12], two[:12])
    assert np.abs(one[12:] - two[12:]).min(axis=1).max() > 0


def test_streams_share_weights_and_a_state_can_be_taken_up_twice(tmp_path: Path) -> None:
    net = network(oracle.build(0, n_filters=4, **K24), tmp_path)
    _, state = net.step(sound(net.hop * 9, 1), net.initial_state())
    kept = [s.rows.copy() if isinstance(s, Tail) else s.hidden.copy() for s in state]
    left, _ = net.step(sound(net.hop * 3, 2), state)
    net.step(sound(net.hop * 3, 3), state)
    again, _ = net.step(sound(net.hop * 3, 2), state)
    np.testing.assert_array_equal(left, again)
    for before, after in zip(kept, state, strict=True):
        np.testing.assert_array_equal(before, after.rows if isinstance(after, Tail) else after.hidden)


def test_constant_padding(tmp_path: Path) -> None:
    """AudioCraft's own default, told by Hugging Face's config.json."""
    encoder = oracle.build(0, n_filters=4, pad_mode="constant", **K32)
    (tmp_path / "config.json").write_text('{"model_type": "encodec", "pad_mode": "constant"}')
    net = network(encoder, tmp_path)
    samples = sound(net.hop * 20, 1)
    frames = stream(net, cut(samples, [100]))
    np.testing.assert_allclose(frames, oracle.embed(encoder, samples)[: len(frames)], atol=TOLERANCE, rtol=0)
    (tmp_path / "config.json").unlink()
    assert np.abs(stream(network(encoder, tmp_path), [samples])[0] - frames[0]).max() > 1e-3
