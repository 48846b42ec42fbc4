"""The shipped encoder's making: sounds, lessons, training and probes, each small; one alone needs a soundfont."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import sounds
import torch
from _ear import Network, exported
from _lessons import Lessons
from _probes import HOP, RATE_HZ, effective_rank, encoder_figures, hear, held_out_music
from _segments import Library, turned
from safetensors.numpy import save
from scipy.io import wavfile
from train_encoder import Plan, Trainer, whiten, write_encoder

from livelav.encode.calibration import passage
from livelav.encode.encoder import load_encoder

SMALL = Plan(steps=20, batch=2, filters=4, bfloat16=False)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("sounds")
    for seed in range(3):
        write_wav(folder / f"{seed:05d}-passage.wav", passage(RATE_HZ, 6.0, seed))
    return Library(folder)


def write_wav(path: Path, sound: np.ndarray) -> None:
    wavfile.write(path, RATE_HZ, (32767 * np.clip(sound, -1, 1)).astype(np.int16))


def note(hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ).astype(np.float32)


# ---- the network


def test_what_is_exported_streams_as_the_network_hears(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Network(filters=4)
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(save(dict(exported(network))))
    network.load_state_dict({name[8:]: torch.from_numpy(half).float() for name, half in exported(network).items()})
    sound = passage(RATE_HZ, 2.0, seed=4)
    encoder = load_encoder(path)
    streamed, _ = encoder.step(sound, encoder.initial_state())
    with torch.no_grad():
        whole = network(torch.from_numpy(sound[None]))[0].numpy()
    assert streamed.shape == whole.shape == (150, 128)
    assert np.abs(streamed - whole).max() < 1e-3 * np.abs(whole).max()


def test_whitened_embeddings_are_spread_evenly(library: Library, tmp_path: Path) -> None:
    torch.manual_seed(5)
    network = Network(filters=4)
    whiten(network, library, seed=1, excerpts=4)
    write_encoder(network, library, 1, tmp_path / "encoder.safetensors", excerpts=4)
    encoder = load_encoder(tmp_path / "encoder.safetensors")
    assert np.abs(encoder.stats.mean).max() < 0.5
    assert effective_rank(encoder.stats.covariance) > 20


# ---- training


def test_training_lowers_the_loss_and_resumes_exactly(library: Library, tmp_path: Path) -> None:
    straight = Trainer(SMALL, library)
    told = []
    for _ in range(SMALL.steps):
        if straight.step == 10:
            straight.save(tmp_path / "checkpoint")
        told.append(straight.advance()["loss"])
    assert np.mean(told[-4:]) < np.mean(told[:4])
    resumed = Trainer.resume(tmp_path / "checkpoint", library)
    assert resumed.plan == SMALL
    assert [resumed.advance()["loss"] for _ in range(10)] == told[10:]


def test_the_number_of_steps_matters_only_once_the_rate_falls() -> None:
    shorter, longer = Plan(steps=1000), Plan(steps=2000)
    assert [shorter.rate_at(step) for step in range(650)] == [longer.rate_at(step) for step in range(650)]
    assert 0 < shorter.rate_at(999) < shorter.rate_at(700) < longer.rate_at(700)


def test_a_folder_without_sounds_is_told_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(sounds.SoundsError, match=r"tools/sounds\.py"):
        Library(tmp_path)


# ---- lessons and probes: the same things heard


def test_lessons_are_what_the_probes_ask_for() -> None:
    sound = passage(RATE_HZ, 2.0, seed=8)
    asked = hear(sound)
    taught = {name: lesson[0].numpy() for name, lesson in Lessons()(torch.from_numpy(sound[None])).items()}
    after = 13  # frames; before that the windows of one reach into the silence before the sound
    for name in ("log_mel", "chroma", "loudness"):
        np.testing.assert_allclose(taught[name][after:], asked[name][after:], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(taught["onset"][after:, :1], asked["onset"][after:], rtol=1e-2, atol=1e-3)


def test_a_turned_phase_teaches_the_same() -> None:
    draw = np.random.default_rng(2)
    sound = np.float32(0.3) * passage(RATE_HZ, 2.0, seed=9)
    one, other = (Lessons()(torch.from_numpy(s[None]))["log_mel"][0, 13:] for s in (sound, turned(draw, sound)))
    assert (one - other).square().mean() < 0.02 * one.var()


def test_what_is_heard_is_where_it_belongs() -> None:
    heard = hear(np.concatenate([np.zeros(RATE_HZ, np.float32), note(440.0)]))
    assert heard["chroma"][-1].argmax() == 9
    assert heard["loudness"][-1, 0] == pytest.approx(-3.01, abs=0.1)
    assert heard["loudness"][0, 0] == -80.0
    assert heard["onset"][:, 0].argmax() in range(RATE_HZ // HOP, RATE_HZ // HOP + 4)
    assert effective_rank(np.eye(7)) == pytest.approx(7)


def test_probes_of_the_shipped_encoder(tmp_path: Path) -> None:
    for seed in (901, 902, 903, 904):
        write_wav(tmp_path / f"{seed}.wav", passage(RATE_HZ, 12.0, seed))
    music = held_out_music(tmp_path, seconds=10.0)
    assert [(name, len(sound)) for name, sound in music[:2]] == [("901", 10 * RATE_HZ), ("902", 10 * RATE_HZ)]
    figures = encoder_figures(load_encoder(), music)
    assert figures["log_mel_r2"] > 0.5
    assert figures["effective_rank"] > 20
    with pytest.raises(ValueError, match="2 or more"):
        encoder_figures(load_encoder(), music[:1])


# ---- sounds


def test_pieces_become_midi_files() -> None:
    for seed in range(5):
        piece = sounds.piece(np.random.default_rng(seed), 30.0)
        events = read_midi(sounds.midi(piece))
        sounding: dict[tuple[int, int], int] = {}
        for status, channel, data in events:
            if status == 0x90:
                sounding[channel, data[0]] = sounding.get((channel, data[0]), 0) + 1
            elif status == 0x80:
                sounding[channel, data[0]] -= 1
        assert sum(status == 0x90 for status, _, _ in events) == len(piece.notes)
        assert not any(sounding.values())


def read_midi(data: bytes) -> list[tuple[int, int, bytes]]:
    """(status, channel, data) of each event of a one-track file; asserts that every byte is accounted for."""
    assert data[:14] == b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0"
    assert data[14:18] == b"MTrk"
    track, events, at = data[22:], [], 0
    assert len(track) == int.from_bytes(data[18:22], "big")
    while True:
        while track[at] & 0x80:
            at += 1
        at += 1
        if track[at] == 0xFF:
            assert track[at:] == b"\xff\x2f\x00"
            return events
        status, channel = track[at] & 0xF0, track[at] & 0x0F
        size = 1 if status == 0xC0 else 2
        events.append((status, channel, track[at + 1 : at + 1 + size]))
        assert all(byte < 0x80 for byte in events[-1][2])
        at += 1 + size


@pytest.mark.parametrize("kind", ["electronic", "passage", "noise"])
def test_sounds_made_here_are_the_same_from_the_same_seed(kind: str) -> None:
    nothing = sounds.Tools("", Path(), "", ())
    once, again = (sounds.KINDS[kind](np.random.default_rng(3), 4.0, nothing) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.isfinite(once).all() and np.abs(once).max() > 0.01


def test_what_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(sounds.SoundsError, match=r"Debian package fluidsynth.*Debian package espeak-ng"):
        sounds.find_tools()


@pytest.mark.skipif(not (shutil.which("fluidsynth") and sounds.SOUNDFONT.is_file()), reason="needs fluidsynth")
def test_music_is_rendered(tmp_path: Path) -> None:
    tools = sounds.Tools("fluidsynth", sounds.SOUNDFONT, "", ())
    assert sounds.render(tmp_path, 0.2, 1, tools, only="music") == 1
    rate, sound = wavfile.read(next(tmp_path.glob("00000-music.wav")))
    assert (rate, sound.dtype, sound.ndim) == (RATE_HZ, np.int16, 1)
    assert np.sqrt(np.mean((sound / 32768.0) ** 2)) == pytest.approx(10 ** (-18 / 20), rel=0.3)
