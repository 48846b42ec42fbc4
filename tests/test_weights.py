"""Every layout in which the weights are published gives the same network; everything else one clear error."""

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import encodec_oracle as oracle
import numpy as np
import pytest
from safetensors.numpy import save, save_file

from livelav.core.errors import WeightsError
from livelav.core.values import Floats
from livelav.encode.weights import FAMILIES, random_weights, read_weights

TINY: dict[str, Any] = {"n_filters": 4, "causal": True}
TINY_32K: dict[str, Any] = {"n_filters": 4, "causal": False, "ratios": [8, 5, 4, 4], "true_skip": True}


def hugging_face(tensors: dict[str, Floats], parametrized: bool) -> dict[str, Floats]:
    """The same tensors under the names that Hugging Face gives them."""

    def theirs(name: str) -> str:
        name = name.replace("encoder.model.", "encoder.layers.").replace(".conv.conv.", ".conv.")
        for ours, new in (("weight_g", "original0"), ("weight_v", "original1")):
            name = name.replace(ours, f"parametrizations.weight.{new}") if parametrized else name
        return name

    return {theirs(name): value for name, value in tensors.items()}


def write(layout: str, tensors: dict[str, Floats], path: Path) -> None:
    import torch

    state = {name: torch.from_numpy(value) for name, value in tensors.items()}
    state |= {"decoder.model.0.conv.conv.bias": torch.zeros(3), "quantizer.vq.layers.0._codebook.inited": torch.ones(1)}
    config = "sample_rate: 32000\nseanet:\n  pad_mode: reflect\n  causal: false\n"
    match layout:
        case "th":
            torch.save(state, path)
        case "th, old layout":
            torch.save(state, path, _use_new_zipfile_serialization=False)
        case "musicgen":
            torch.save({"xp.cfg": config, "best_state": state, "exported": True}, path)
        case _:
            save_file(hugging_face(tensors, parametrized=layout.endswith("parametrized")), path)


@pytest.mark.parametrize("config", [TINY, TINY_32K], ids=["24k", "32k"])
@pytest.mark.parametrize("layout", ["th", "th, old layout", "musicgen", "safetensors", "safetensors, parametrized"])
def test_every_layout_equals_the_published_encoder(layout: str, config: dict[str, Any], tmp_path: Path) -> None:
    encoder = oracle.build(11, **config)
    write(layout, oracle.state_dict(encoder), tmp_path / "weights")
    weights = read_weights(tmp_path / "weights")
    samples = (0.3 * np.random.default_rng(0).standard_normal(weights.net.hop * 15)).astype(np.float32)
    frames, _ = weights.net.step(samples, weights.net.initial_state())
    assert len(frames) > 9
    np.testing.assert_allclose(frames, oracle.embed(encoder, samples)[: len(frames)], atol=1e-5, rtol=0)
    assert weights.family.name == ("encodec-24khz" if config is TINY else "encodec-32khz")
    assert weights.filters == 4


@pytest.mark.parametrize("layout", ["th", "th, old layout", "safetensors"])
def test_a_truncated_file_is_one_clear_error(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.th"
    write(layout, oracle.state_dict(oracle.build(0, **TINY)), path)
    content = path.read_bytes()
    for share in (0.0, 0.0001, 0.01, 0.1, 0.5, 0.9, 0.97):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(WeightsError, match=r"cut\.th: "):
            read_weights(path)


def refused(tmp_path: Path, tensors: dict[str, Floats], reason: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(save(tensors))
    with pytest.raises(WeightsError, match=reason) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_other_models_are_refused(tmp_path: Path) -> None:
    good = oracle.state_dict(oracle.build(0, **TINY))
    first = "encoder.model.0.conv.conv"
    refused(tmp_path, {"layer.weight": np.zeros((2, 2), np.float32)}, "0.weight of an EnCodec encoder is missing")
    refused(tmp_path, {**good, f"{first}.norm.weight".replace("conv.norm", "norm"): good[f"{first}.bias"]}, "48 kHz")
    refused(tmp_path, oracle.state_dict(oracle.build(0, n_filters=4, causal=True, ratios=[8, 5, 2, 2])), "strides")
    refused(tmp_path, oracle.state_dict(oracle.build(0, channels=2, **TINY)), "2 channels")
    refused(tmp_path, oracle.state_dict(oracle.build(0, dimension=64, **TINY)), "15.weight has shape")
    refused(tmp_path, {k: v for k, v in good.items() if "bias_hh_l1" not in k}, "bias_hh_l1 of an EnCodec .* missing")
    refused(tmp_path, {k: v for k, v in good.items() if k != f"{first}.weight_g"}, "weight norm of layer 0")
    refused(tmp_path, {**good, f"{first}.bias": np.full(4, np.nan, np.float32)}, "finite")
    refused(tmp_path, {**good, f"{first}.bias": np.zeros(4, np.int32)}, "finite")


def test_a_file_that_only_names_a_model_says_what_to_fetch(tmp_path: Path) -> None:
    import torch

    torch.save({"pretrained": "facebook/encodec_32khz", "exported": True}, tmp_path / "compression_state_dict.bin")
    with pytest.raises(WeightsError, match="livelav models fetch encodec-32khz"):
        read_weights(tmp_path / "compression_state_dict.bin")


def test_an_unknown_padding_is_refused(tmp_path: Path) -> None:
    import torch

    torch.save({"best_state": {}, "xp.cfg": "seanet:\n  pad_mode: circular\n"}, tmp_path / "w.bin")
    with pytest.raises(WeightsError, match="circular"):
        read_weights(tmp_path / "w.bin")


class _Gadget:
    """Pickled, it would create a file when loaded as code."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self._path), "w")


@pytest.mark.parametrize("old_layout", [False, True])
def test_code_in_a_file_is_refused_and_not_run(old_layout: bool, tmp_path: Path) -> None:
    import torch

    state = {"encoder.model.0.conv.conv.bias": torch.zeros(4), "extra": _Gadget(tmp_path / "ran")}
    torch.save(state, tmp_path / "w.th", _use_new_zipfile_serialization=not old_layout)
    with pytest.raises(WeightsError, match=r"io\.open, which is code"):
        read_weights(tmp_path / "w.th")
    assert not (tmp_path / "ran").exists()


def test_files_that_are_no_weights_at_all(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[9999999999],"data_offsets":[0,39999999996]}}'
    for content in (
        b"",
        b"RIFF1234WAVEfmt ",
        b"{}",
        pickle.dumps({"a": 1}),
        struct.pack("<Q", len(header)) + header,
        struct.pack("<Q", 1 << 62) + b"{",
        io.BytesIO(b"PK\x03\x04").read(),
    ):
        (tmp_path / "w.th").write_bytes(content)
        with pytest.raises(WeightsError, match=r"w\.th: "):
            read_weights(tmp_path / "w.th")
    with pytest.raises(WeightsError, match="No such file"):
        read_weights(tmp_path / "absent.th")
    with pytest.raises(WeightsError, match="directory"):
        read_weights(tmp_path)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_random_weights_have_the_published_size(family: Any) -> None:
    """What is measured in place of the real weights must do the same work."""
    weights = random_weights(family.name)
    count = sum(p.numel() for p in _published(family).parameters())
    arrays = [value for layer in weights.net.layers for value in _arrays(layer)]
    biases_merged = {"encodec-24khz": 32 + 64 + 128 + 256 + 2 * 2048, "encodec-32khz": 2 * 4096}[family.name]
    assert sum(array.size for array in arrays) == count - biases_merged


def _published(family: Any) -> Any:
    """The package's own encoder of that architecture, without weight norm's extra parameters."""
    import torch

    ratios = list(reversed(family.strides))
    options = {"n_filters": family.filters, "causal": family.causal, "true_skip": family.identity_skip}
    encoder = oracle.build(0, ratios=ratios, **options)
    for module in encoder.modules():
        if isinstance(module, torch.nn.Conv1d):
            torch.nn.utils.remove_weight_norm(module)
    return encoder


def _arrays(layer: Any) -> list[Floats]:
    """All weight arrays within a layer."""
    parts = [getattr(layer, name) for name in layer.__slots__]
    nested = [part for parts_of in parts if isinstance(parts_of, tuple) for part in parts_of]
    return [p for p in parts if isinstance(p, np.ndarray)] + [a for part in nested for a in _arrays(part)]
