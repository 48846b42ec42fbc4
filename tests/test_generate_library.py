"""Names, files and faults: what loading a generator gives and what each bad file is told."""

import json
import math
import os
import pickle
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_stylegan2 import SMALL, seeded_tensors

from livelav.core.errors import BackendError, LivelavError, ModelError
from livelav.core.normals import normals
from livelav.core.values import W_DIM, Floats
from livelav.generate import files, library
from livelav.generate.files import is_generator, read_card, read_checkpoint, write_checkpoint
from livelav.generate.layout import Config
from livelav.generate.library import Generator, find_model, list_models, load_generator, model_info, remove_model
from livelav.generate.statistics import w_mean_and_std, w_samples


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder of the user's."""
    monkeypatch.setenv("LIVELAV_MODELS", str(tmp_path))
    return tmp_path


def write_small(path: Path, seed: int = 0) -> Path:
    tensors = {name: np.asarray(t, np.float32) for name, t in seeded_tensors(SMALL, seed).items()}
    write_checkpoint(path, SMALL, tensors, *w_mean_and_std(w_samples(SMALL, tensors, 500)))
    return path


def one_line(caught: pytest.ExceptionInfo[LivelavError]) -> str:
    text = str(caught.value)
    assert "\n" not in text
    return text


# The shipped models

SHIPPED = {"default": 2048, "wide": 4096}  # channel_base


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_what_its_card_says(name: str) -> None:
    info = model_info(name)
    assert (info.architecture, info.resolution, info.num_ws) == ("skip", 256, 14)
    assert (info.channel_base, info.channel_max) == (SHIPPED[name], 128)
    assert info.trained is True
    assert info.shipped
    assert info.licence == "MIT"
    assert Path(info.path).stat().st_size <= 8_000_000
    assert info.w_std_min > 0


@pytest.mark.parametrize("name", SHIPPED)
def test_stats_in_the_file_are_those_of_its_mapping_network(name: str) -> None:
    checkpoint = read_checkpoint(find_model(name))
    mean, std = w_mean_and_std(w_samples(checkpoint.config, checkpoint.tensors, 2000))
    stats = checkpoint.stats
    assert np.abs(mean - stats.mean).max() < 0.2 * stats.std.mean()
    assert np.abs(std / stats.std - 1).max() < 0.2
    assert np.abs(stats.w_avg - stats.mean).max() < 0.01 * stats.std.mean()


def eight_pictures(generator: Generator) -> Floats:
    """[8, 256, 256, 3] in 0..1: of places as far from W's mean as z has them."""
    w = generator.stats.mean + generator.stats.std * normals(5, 0, (8, W_DIM))
    images = [generator.synthesize(np.repeat(row[None], 14, axis=0).astype(np.float32)) for row in w]
    return np.stack(images)[..., :3] / np.float32(255.0)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_paints_contrast_colour_and_variety(name: str) -> None:
    generator = load_generator(name, threads=1)
    assert (generator.name, generator.resolution, generator.num_ws) == (name, 256, 14)
    assert generator.warnings == ()
    pictures = eight_pictures(generator)
    assert pictures.mean(axis=-1).std(axis=(1, 2)).min() > 0.03, "contrast"
    assert 0.05 < pictures.mean() < 0.4, "dark, not black"
    assert (pictures.max(-1) - pictures.min(-1)).mean() > 0.1, "colour"
    gaps = np.sqrt(((pictures[:, None] - pictures[None]) ** 2).mean(axis=(2, 3, 4)))
    assert gaps[~np.eye(8, dtype=bool)].min() > 0.1, "no two alike"


def test_a_preset_looks_the_same_by_the_narrow_model_as_by_the_wide() -> None:
    narrow, wide = (load_generator(name, threads=1) for name in SHIPPED)
    assert narrow.stats.mean == pytest.approx(wide.stats.mean, abs=1e-6)
    assert narrow.stats.std == pytest.approx(wide.stats.std, abs=1e-6)
    mine, theirs = eight_pictures(narrow), eight_pictures(wide)
    gaps = np.sqrt(((mine[:, None] - theirs[None]) ** 2).mean(axis=(2, 3, 4)))
    assert gaps.argmin(axis=1).tolist() == list(range(8)), "each is nearest to its own"
    apart = gaps[~np.eye(8, dtype=bool)]
    assert np.median(gaps.diagonal()) < 0.4 * np.median(apart), "and near"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_moves_without_jumps_and_stands_still(name: str) -> None:
    generator = load_generator(name, threads=1)
    stats = generator.stats
    ends = stats.mean + stats.std * normals(6, 0, (2, W_DIM))
    steps = []
    last = None
    for t in np.linspace(0.0, 0.1, 12):
        w = (np.cos(t) * (ends[0] - stats.mean) + np.sin(t) * (ends[1] - stats.mean) + stats.mean).astype(np.float32)
        image = generator.synthesize(np.repeat(w[None], 14, axis=0)).astype(float)
        if last is not None:
            steps.append(np.sqrt(((image - last) ** 2).mean()))
        last = image
    assert max(steps) < 3 * np.median(steps)
    assert max(steps) < 20
    ws = np.repeat(stats.w_avg[None], 14, axis=0)
    assert np.array_equal(generator.synthesize(ws), generator.synthesize(ws))


def test_several_images_at_a_time_are_those_that_are_made_one_by_one() -> None:
    one, several = load_generator(threads=2), load_generator(threads=2, streams=2, backend="openvino")
    assert (one.streams, several.streams) == (1, 2)
    assert load_generator(threads=2, streams=2, noise_mode="random").streams == 1, "drawn noise knows an order"
    rng = np.random.default_rng(0)
    ws = one.stats.mean + one.stats.std * rng.standard_normal((24, one.num_ws, W_DIM)).astype(np.float32)
    with ThreadPoolExecutor(several.streams) as pool:
        found = list(pool.map(several.synthesize, ws))
    for image, w in zip(found, ws, strict=True):
        assert np.array_equal(image, one.synthesize(w))


def test_loading_and_painting_does_not_load_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from livelav.generate.library import load_generator\n"
        "g = load_generator('default', backend='openvino', threads=1)\n"
        "g.synthesize(np.repeat(g.stats.w_avg[None], g.num_ws, axis=0))\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Names


def test_a_model_of_ones_own_comes_and_goes(models: Path) -> None:
    assert list_models()[0] == "default"
    write_small(models / "own-one.safetensors")
    (models / "own-one.json").write_text(json.dumps({"licence": "CC0-1.0", "untrained": False}))
    assert "own-one" in list_models()
    info = model_info("own-one")
    assert (info.licence, info.trained, info.shipped) == ("CC0-1.0", True, False)
    assert load_generator("own-one", backend="torch", threads=1).name == "own-one"
    remove_model("own-one")
    assert list_models() == tuple(name for name in list_models() if name != "own-one")
    assert not list(models.iterdir())


def test_a_file_by_its_path_needs_no_card(tmp_path: Path) -> None:
    path = write_small(tmp_path / "Any Name.safetensors")
    generator = load_generator(path, backend="openvino", threads=1)
    assert generator.synthesize(np.zeros((generator.num_ws, W_DIM), np.float32)).shape == (32, 32, 4)
    info = model_info(str(path))
    assert (info.licence, info.trained) == ("unknown", None)
    assert info.sha256 == generator.sha256


def test_encoders_and_odd_names_are_not_listed(models: Path) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, models / "encoder-like.safetensors")
    write_small(models / "Not A Slug.safetensors")
    assert set(list_models()) & {"encoder-like", "Not A Slug", "encoder"} == set()


def test_what_else_lies_in_the_models_folder_holds_nobody_up(models: Path) -> None:
    """A pipe has no end, and nobody else to write into it; a card may be as long as the disk is."""
    os.mkfifo(models / "pipe.safetensors")
    (models / "folder.safetensors").mkdir()
    write_small(models / "own.safetensors")
    assert {"pipe", "folder", "own"} & set(list_models()) == {"own"}
    assert "no regular file" in fault(models / "pipe.safetensors")
    assert not is_generator(models / "pipe.safetensors")
    os.mkfifo(models / "own.json")
    assert read_card(models / "own.safetensors") == {} and model_info("own").licence == "unknown"
    (models / "own.json").unlink()
    (models / "own.json").write_text(json.dumps({"licence": "CC0-1.0"}) + " " * files.LARGEST_CARD)
    assert read_card(models / "own.safetensors") == {}
    with (models / "own.json").open("wb") as file:
        file.truncate(1 << 40)  # of holes
    assert read_card(models / "own.safetensors") == {}


def test_a_model_is_looked_into_again_only_when_it_has_changed(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running show asks what there is, and has no time to read a folder of a hundred."""
    for number in range(3):
        write_small(models / f"own-{number}.safetensors", number)
    found = list_models()
    opened: list[str] = []
    real = files._open
    monkeypatch.setattr(files, "_open", lambda path: opened.append(path.name) or real(path))
    assert list_models() == found and opened == []
    save_file({"weight": np.zeros(3, np.float32)}, models / "own-1.safetensors")
    assert set(found) - set(list_models()) == {"own-1"} and opened == ["own-1.safetensors"]
    write_small(models / "own-1.safetensors")
    (models / "own-2.safetensors").unlink()
    assert set(found) - set(list_models()) == {"own-2"}


def test_an_unknown_name_gets_the_nearest(models: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_generator("defualt")
    assert "'default'" in one_line(caught)


@pytest.mark.parametrize("name", ["default", "../default", "no-such", ""])
def test_only_ones_own_models_can_be_removed(models: Path, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        remove_model(name)
    one_line(caught)
    assert "default" in list_models()


# Faults


def fault(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_generator(path)
    text = one_line(caught)
    assert path.name in text
    return text


@pytest.mark.parametrize("name", ["gone.safetensors", "folder/gone.safetensors", "gone"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    assert "No such file" in fault(tmp_path / name)


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "f.safetensors").mkdir()
    fault(tmp_path / "f.safetensors")


@pytest.mark.parametrize("suffix", [".pkl", ".pt", ".PTH"])
def test_strangers_formats_are_refused_unread(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ffhq{suffix}"
    path.write_bytes(pickle.dumps(print))
    assert "livelav models import" in fault(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\xff" * 64, b"RIFF....WAVEfmt ", b"\x02\0\0\0\0\0\0\0[]"])
def test_what_is_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    fault(path)


def with_header(path: Path, header: bytes, size: int = 0, length: int | None = None) -> Path:
    """A file of `size` bytes, all holes but for the header, which says that it is as long as it is, or `length`."""
    with path.open("wb") as file:
        file.write((len(header) if length is None else length).to_bytes(8, "little") + header)
        file.truncate(max(size, file.tell()))
    return path


def header_of(config: dict[str, object], **tensors: object) -> bytes:
    said = json.dumps({"format": files.FORMAT, "config": config})
    return json.dumps({"__metadata__": {files.METADATA_KEY: said}, **tensors}).encode()


OURS, VAST = SMALL.as_dict(), SMALL.as_dict() | {"channel_base": 10**12, "channel_max": 10**12}
HEADERS = {
    "holes": (b"", 1 << 40, None),
    "all numbers": (b"[" + b"[]," * 1_000_000 + b"[]]", 0, None),
    "a length that is not there": (header_of(OURS), 0, files.LARGEST_HEADER),
    "a length of 2^63": (header_of(OURS), 0, (1 << 63) - 1),
    "a tail of a terabyte": (header_of(OURS), 1 << 40, None),
    "a terabyte that it would have": (header_of(VAST), 1 << 40, None),
    "a tensor of a terabyte": (header_of(OURS, x={"dtype": "F32", "shape": [1 << 38], "data_offsets": [0, 1 << 40]}),
                               1 << 40, None),
    "a tensor that is not there": (header_of(OURS, x={"dtype": "F32", "shape": [1 << 38],
                                                      "data_offsets": [0, 1 << 40]}), 0, None),
    "tensors that are one": (header_of(OURS, **{name: {"dtype": "F32", "shape": [1024], "data_offsets": [0, 4096]}
                                                for name in SMALL.tensor_shapes}), 5000, None),
}  # fmt: skip


@pytest.mark.parametrize("what", HEADERS)
def test_a_header_that_is_nonsense_costs_nothing(tmp_path: Path, what: str) -> None:
    path = with_header(tmp_path / "x.safetensors", *HEADERS[what])
    tracemalloc.start()
    try:
        is_generator(path)
        fault(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_the_largest_of_headers_has_room(tmp_path: Path) -> None:
    """Of all that a config may be: each tensor's name, kind, shape and place, and the config itself."""
    config = Config(2048, 1 << 40, 1 << 28, "resnet", mapping_layers=64, conv_clamp=0.1 + 0.2, labels=4096)
    shapes = {
        name: {"dtype": "F32", "shape": s, "data_offsets": [1 << 48] * 2} for name, s in files._shapes(config).items()
    }
    assert len(header_of(config.as_dict(), **shapes)) < files.LARGEST_HEADER / 2


def test_double_precision_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {name: np.asarray(t, np.float64) for name, t in seeded_tensors(SMALL).items()}
    rewrite(path, OURS, tensors | {"stats.w_mean": np.zeros(W_DIM), "stats.w_std": np.ones(W_DIM)})
    assert path.stat().st_size > 8 * sum(map(math.prod, SMALL.tensor_shapes.values()))
    assert read_checkpoint(path).config == SMALL


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.999])
def test_a_truncated_file(tmp_path: Path, share: float) -> None:
    path = write_small(tmp_path / "x.safetensors")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    fault(path)


def test_another_networks_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"weight": np.zeros(3, np.float32)}, path)
    assert files.FORMAT in fault(path)


def rewrite(path: Path, config: dict[str, object], tensors: dict[str, np.ndarray]) -> None:
    header = {"format": files.FORMAT, "config": config}
    save_file(tensors, path, {files.METADATA_KEY: json.dumps(header)})


@pytest.mark.parametrize("change", [{"architecture": "stylegan3"}, {"resolution": 64}, {"resolution": 2048}, {"x": 1}])
def test_a_config_that_does_not_fit(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "x.safetensors"
    rewrite(path, SMALL.as_dict() | change, {"mapping.w_avg": np.zeros(W_DIM, np.float32)})
    with pytest.raises(ModelError) as caught:
        load_generator(path)
    one_line(caught)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("synthesis.b8.conv0.weight", None),
        ("synthesis.b8.conv0.weight", np.zeros((3, 3), np.float32)),
        ("synthesis.b8.conv0.bias", np.zeros(24, np.int32)),
        ("synthesis.b8.conv0.bias", np.full(24, np.nan, np.float32)),
        ("stats.w_std", None),
        ("synthesis.b8.extra", np.zeros(1, np.float32)),
    ],
)
def test_a_tensor_that_is_missing_wrong_or_too_many(tmp_path: Path, name: str, value: np.ndarray | None) -> None:
    tensors = {n: np.asarray(t, np.float32) for n, t in seeded_tensors(SMALL).items()}
    tensors |= {"stats.w_mean": np.zeros(W_DIM, np.float32), "stats.w_std": np.ones(W_DIM, np.float32)}
    tensors.pop(name, None)
    if value is not None:
        tensors[name] = value
    path = tmp_path / "x.safetensors"
    rewrite(path, SMALL.as_dict(), tensors)
    assert name in fault(path)


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write_small(tmp_path / "a.safetensors"), write_small(tmp_path / "b.safetensors")
    assert first.read_bytes() == second.read_bytes()


# Engines


def test_an_unknown_backend_gets_the_nearest() -> None:
    with pytest.raises(BackendError) as caught:
        load_generator("default", backend="openvivo")
    assert "'openvino'" in one_line(caught)


def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "livelav.generate.openvino_backend", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)


def test_auto_steps_down_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_openvino(monkeypatch)
    generator = load_generator(write_small(tmp_path / "x.safetensors"), threads=1)
    assert generator.backend_name.startswith("torch")
    assert len(generator.warnings) == 1
    assert "pip install openvino" in generator.warnings[0]


def test_an_engine_asked_for_by_name_that_is_not_installed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_openvino(monkeypatch)
    with pytest.raises(BackendError) as caught:
        load_generator(write_small(tmp_path / "x.safetensors"), backend="openvino")
    assert "pip install openvino" in one_line(caught)


def test_no_engine_at_all_names_every_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_openvino(monkeypatch)
    monkeypatch.setattr(library, "PREFERENCE", ("openvino",))
    with pytest.raises(BackendError) as caught:
        load_generator(write_small(tmp_path / "x.safetensors"))
    assert "openvino" in one_line(caught)
