"""Strangers' checkpoints draw the pictures that they draw at home; what is no StyleGAN2 is refused, and says why."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_oracle import Nvidia, Rosinality, TensorFlow
from numpy.typing import NDArray
from stylegan2_oracle import to_rgba
from test_stylegan2 import relative_error
from x_foreign import (
    Module,
    Network,
    Plan,
    nvidia_module,
    nvidia_pickle,
    nvidia_snapshot,
    nvidia_tensors,
    rosinality_file,
    rosinality_tensors,
    tensorflow_file,
    tensorflow_network,
    tensorflow_pickle,
    tensorflow_tensors,
)
from x_gadgets import gadgets

from livelav.core.errors import CheckpointError
from livelav.core.normals import normals
from livelav.core.values import W_DIM
from livelav.generate.checkpoint import Foreign, read_foreign
from livelav.generate.files import read_checkpoint, write_checkpoint
from livelav.generate.openvino_backend import OpenVINOBackend
from livelav.generate.static import static_network
from livelav.generate.stylegan2 import StyleGAN2

LARGE = (
    {"resolution": 1024, "base": 32_768, "most": 512}
    if "LIVELAV_LARGE" in os.environ
    else {"resolution": 256, "base": 16_384, "most": 256}
)
PROGRAMS = int(os.environ.get("LIVELAV_PROGRAMS", "2000"))  # 100,000 once before a release
EACH = 3  # tensors that are changed in each way
PLAIN = Plan()
FLAGS = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
RICH = Plan(clamp=0.7, labels=5)
Z = normals(3, 0, (W_DIM,))


def nvidia(plan: Plan, tensors: dict[str, Any]) -> bytes:
    return nvidia_pickle(nvidia_snapshot(plan, tensors))


def nvidia_later(plan: Plan, tensors: dict[str, Any]) -> bytes:
    return nvidia_pickle(nvidia_snapshot(plan, tensors, later=True), 3)


def rosinality(plan: Plan, tensors: dict[str, Any]) -> bytes:
    return rosinality_file(tensors)


def rosinality_older(plan: Plan, tensors: dict[str, Any]) -> bytes:
    return rosinality_file(tensors, older=True)


LAYOUTS: dict[str, tuple[Any, Any, Any]] = {
    "stylegan2-ada": (nvidia_tensors, nvidia, Nvidia),
    "stylegan3-era stylegan2": (nvidia_tensors, nvidia_later, Nvidia),
    "tensorflow": (tensorflow_tensors, tensorflow_file, TensorFlow),
    "rosinality": (rosinality_tensors, rosinality, Rosinality),
    "rosinality, older": (rosinality_tensors, rosinality_older, Rosinality),
}
NVIDIAS = ("stylegan2-ada", "stylegan3-era stylegan2", "tensorflow")
CASES = [(layout, replace(plan, architecture=kind)) for layout in NVIDIAS for plan in (PLAIN, RICH)
         for kind in ("skip", "resnet", "orig")]  # fmt: skip
CASES += [("rosinality", PLAIN), ("rosinality, older", PLAIN), ("stylegan3-era stylegan2", replace(PLAIN, clamp=256))]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Foreign]:
    def from_bytes(content: bytes) -> Foreign:
        path = tmp_path / "theirs.pkl"
        path.write_bytes(content)
        return read_foreign(path)

    return from_bytes


@pytest.fixture
def refused(read: Callable[[bytes], Foreign]) -> Callable[[bytes], str]:
    def reason(content: bytes) -> str:
        with pytest.raises(CheckpointError) as caught:
            read(content)
        return str(caught.value)

    return reason


def image(found: Foreign, label: NDArray[np.float64] | None, psi: float, noise: float) -> NDArray[np.float32]:
    """Drawn by livelav."""
    network = StyleGAN2.from_tensors(found.config, found.tensors)
    one = None if label is None else torch.from_numpy(label).float()[None]
    drawn: NDArray[np.float32] = network(torch.from_numpy(Z).float()[None], psi, noise, label=one)[0].numpy()
    return drawn


@pytest.mark.parametrize(("layout", "plan"), CASES, ids=lambda case: case if type(case) is str else case.architecture)
def test_pictures_are_those_that_the_file_draws_at_home(layout: str, plan: Plan, read: Any) -> None:
    draw, write, oracle = LAYOUTS[layout]
    tensors = draw(plan)
    found = read(write(plan, tensors))
    assert found.layout == layout.removesuffix(", older")
    assert found.has_w_avg
    assert (found.config.architecture, found.config.conv_clamp) == (plan.architecture, plan.clamp)
    assert (found.config.labels, found.config.mapping_layers) == (plan.labels, plan.layers)
    label = np.eye(plan.labels)[2] if plan.labels else None
    for psi, noise in itertools.product((1.0, 0.7), (1.0, 0.0)):
        reference = oracle(tensors, plan)(Z, label, psi, noise)
        assert reference.std() > 0.05, "a flat picture would prove nothing"
        assert relative_error(image(found, label, psi, noise), reference) <= 1e-5


def test_the_differences_that_matter_are_seen(read: Any) -> None:
    """What the test above would miss if both sides had it: kernels that are not turned, styles that lack their one."""
    plan = PLAIN
    tensors = tensorflow_tensors(plan)
    found = read(tensorflow_file(plan, tensors))
    reference = TensorFlow(tensors, plan)(Z, None, 1.0, 1.0)
    for name, change in (
        ("synthesis.b32.conv0.weight", lambda x: x[:, :, ::-1, ::-1]),
        ("synthesis.b16.conv1.affine.bias", lambda x: x - 1),
        ("synthesis.b8.conv0.noise_const", lambda x: x.T),
        ("mapping.fc1.weight", lambda x: x.T),
    ):
        other = replace(found, tensors=found.tensors | {name: np.ascontiguousarray(change(found.tensors[name]))})
        assert relative_error(image(other, None, 1.0, 1.0), reference) > 1e-2, name


@pytest.mark.skipif("bf16" not in FLAGS,
                    reason="this processor does not compute in bfloat16")  # fmt: skip
def test_bfloat16_is_close(read: Any) -> None:
    plan = replace(PLAIN, base=512, most=32)
    tensors = tensorflow_tensors(plan)
    found = read(tensorflow_file(plan, tensors))
    network = StyleGAN2.from_tensors(found.config, found.tensors)
    ws = np.tile(network.mapping(torch.from_numpy(Z).float()[None]).numpy(), (found.config.num_ws, 1))
    pixels = OpenVINOBackend(static_network(found.config, found.tensors), 1, precision="bf16").synthesize(ws)
    reference = to_rgba(TensorFlow(tensors, plan)(Z, None, 1.0, 1.0)).astype(int)[..., :3]
    error = pixels[..., :3] - reference
    print(f"bfloat16: {(error**2).mean() ** 0.5 / reference.std():.2%} rms")
    assert (error**2).mean() ** 0.5 <= 0.02 * reference.std()


def test_files_lie_open_to_nobody_else(read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pickles carry source text that would print, leave a file and end the program."""
    monkeypatch.chdir(tmp_path)
    content = nvidia(PLAIN, nvidia_tensors(PLAIN))
    assert b"was-run" in content
    read(content)
    read(tensorflow_file(PLAIN, tensorflow_tensors(PLAIN)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs.pkl"]


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_protocol_and_both_names_of_numpy(protocol: int, read: Any) -> None:
    tensors = tensorflow_tensors(PLAIN)
    one = read(tensorflow_file(PLAIN, tensors, 4))
    content = tensorflow_file(PLAIN, tensors, protocol)
    contents = [content, nvidia_pickle(nvidia_snapshot(PLAIN, nvidia_tensors(PLAIN)), protocol)]
    if protocol < 4:  # its names are lines there
        contents.append(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
        assert contents[0] != contents[-1]
    for other in contents:
        assert read(other).config == one.config
    for name, tensor in one.tensors.items():
        assert np.array_equal(read(content).tensors[name], tensor)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", ["nvidia", "rosinality", "older"])
def test_other_kinds_of_numbers(dtype: torch.dtype, layout: str, read: Any) -> None:
    if layout == "nvidia":
        tensors = nvidia_tensors(PLAIN)
        found = read(nvidia_pickle(nvidia_snapshot(PLAIN, tensors, dtype=dtype)))
        name = "synthesis.b8.conv1.weight"
        due = tensors[name]
    else:
        tensors = rosinality_tensors(PLAIN)
        found = read(rosinality_file(tensors, layout == "older", dtype))
        name, due = "mapping.fc0.weight", tensors["style.1.weight"]
    assert found.tensors[name].dtype == (np.float16 if dtype is torch.float16 else np.float32)
    assert np.array_equal(found.tensors[name], torch.from_numpy(due).to(dtype).to(found_dtype(dtype)).numpy())


def found_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float16 if dtype is torch.float16 else torch.float32


def test_rosinality_without_an_average_or_noise(read: Any) -> None:
    """Self-trained files have no latent_avg; some forks keep no noise maps, for they draw them for every picture."""
    tensors = {name: t for name, t in rosinality_tensors(PLAIN).items() if name != "latent_avg"}
    found = read(rosinality_file(tensors))
    assert not found.has_w_avg
    assert not found.tensors["mapping.w_avg"].any()
    silent = {name: t for name, t in tensors.items() if not name.startswith("noises.")}
    one, again = read(rosinality_file(silent)), read(rosinality_file(silent))
    maps = [name for name in one.tensors if name.endswith("noise_const")]
    assert len(maps) == 7
    assert all(np.array_equal(one.tensors[name], again.tensors[name]) for name in maps)
    drawn = np.concatenate([one.tensors[name].ravel() for name in maps])
    assert abs(drawn.std() - 1) < 0.05, "what the network was trained with"
    assert abs(np.corrcoef(one.tensors[maps[-1]].ravel(), one.tensors[maps[-2]].ravel())[0, 1]) < 0.1


def test_what_was_read_is_a_file_of_ours(read: Any, tmp_path: Path) -> None:
    for plan, content in (
        (RICH, tensorflow_file(RICH, tensorflow_tensors(RICH))),
        (PLAIN, rosinality_older(PLAIN, rosinality_tensors(PLAIN))),
    ):
        found = read(content)
        path = tmp_path / "ours.safetensors"
        by_label = tuple(np.zeros((2, plan.labels, W_DIM))) if plan.labels else None
        write_checkpoint(path, found.config, found.tensors, np.zeros(W_DIM), np.ones(W_DIM), by_label)
        ours = read_checkpoint(path)
        assert ours.config == found.config
        assert ours.config.labels == plan.labels
        assert all(np.array_equal(ours.tensors[name], found.tensors[name]) for name in found.config.tensor_shapes)


def changed(name: str, tensor: Any) -> bytes:
    return nvidia(PLAIN, nvidia_tensors(PLAIN) | {name: tensor})


def lacking(name: str) -> bytes:
    return nvidia(PLAIN, {key: t for key, t in nvidia_tensors(PLAIN).items() if key != name})


def floats(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def stylegan3() -> bytes:
    module = Module("Generator", img_resolution=512)
    for name in ("freqs", "phases", "transform"):
        module.set(f"synthesis.input.{name}", torch.zeros(4, 2))
    module.set("synthesis.L0_36_512.weight", torch.zeros(4, 4, 3, 3))
    return nvidia_pickle({"G_ema": module})


def attribute(layer: str, **values: Any) -> bytes:
    module = nvidia_module(PLAIN, nvidia_tensors(PLAIN))
    next(one for path, one in module.each() if path == layer).state.update(values)
    return nvidia_pickle({"G_ema": module})


def tensorflow_said(**kwargs: Any) -> bytes:
    network = tensorflow_network(PLAIN, tensorflow_tensors(PLAIN))
    network.state["static_kwargs"].update(kwargs)
    return tensorflow_pickle((None, None, network))


def renamed_tensorflow(old: str, new: str) -> bytes:
    tensors = {name.replace(old, new): t for name, t in tensorflow_tensors(PLAIN).items()}
    return tensorflow_file(PLAIN, tensors)


OTHER_W = Plan(dim=256)
WEIGHT = "synthesis.b8.conv1.weight"
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "stylegan3": (stylegan3, "StyleGAN3"),
    "no average": (lambda: nvidia_pickle({"G": Module("Generator"), "D": Module("D")}), "dictionary of G, D"),
    "discriminator": (lambda: nvidia_pickle({"D": Module("Discriminator")}), "dictionary of D"),
    "discriminator as generator": (lambda: nvidia_pickle({"G_ema": Module("Discriminator")}), "no synthesis.b4.const"),
    "no network": (lambda: nvidia_pickle({"G_ema": None}), "G_ema is no network"),
    "other w, pytorch": (lambda: nvidia(OTHER_W, nvidia_tensors(OTHER_W)), "z has 256 numbers and w 256"),
    "other w, tensorflow": (lambda: tensorflow_file(OTHER_W, tensorflow_tensors(OTHER_W)), "z has 256 numbers and w"),
    "other w, rosinality": (lambda: rosinality_file(rosinality_tensors(OTHER_W)), "z has 256 numbers and w"),
    "wide": (lambda: changed("synthesis.b4.const", floats(12, 4, 7)), "not square: it grows from 4 x 7"),
    "wide, rosinality": (lambda: rosinality_file(rosinality_tensors(PLAIN) | {"input.input": floats(1, 12, 4, 6)}),
                         "not square: it grows from 4 x 6"),
    "wide, tensorflow": (lambda: renamed_tensorflow("32x32", "32x48"), "synthesis/32x48"),
    "16 px": (lambda: nvidia(Plan(16), nvidia_tensors(Plan(16))), "16 px: the resolution"),
    "a block missing": (lambda: rosinality_file(
        {name: t for name, t in rosinality_tensors(PLAIN).items() if not name.startswith(("convs.2", "convs.3"))}),
                        "blocks of 4, 8, 32 px"),
    "a part missing": (lambda: lacking("synthesis.b8.conv1.bias"), "without synthesis.b8.conv1.bias"),
    "no mapping": (lambda: nvidia(Plan(layers=0), nvidia_tensors(Plan(layers=0))), "without a mapping"),
    "a constant alone": (lambda: nvidia(PLAIN, {"synthesis.b4.const": floats(12, 4, 4)}), "blocks of no px"),
    "another part": (lambda: changed("synthesis.b8.attention.weight", floats(3)), "synthesis.b8.attention.weight"),
    "another shape": (lambda: changed(WEIGHT, floats(12, 12, 5, 5)), r"\[12, 12, 5, 5\] where floats \[12, 12, 3, 3\]"),
    "other channels": (lambda: changed(WEIGHT, floats(9, 12, 3, 3)), "12 at 4 px, 9 at 8 px"),
    "whole numbers": (lambda: changed("synthesis.b8.conv1.bias", np.zeros(12, np.int64)), "int64"),
    "no numbers": (lambda: changed("synthesis.b8.conv1.bias", np.full(12, np.nan, np.float32)), "not finite"),
    "too large numbers": (lambda: nvidia_pickle(nvidia_snapshot(
        PLAIN, nvidia_tensors(PLAIN) | {"mapping.w_avg": np.full(512, 1e300)})), "not finite"),
    "another filter": (lambda: changed("synthesis.b8.conv1.resample_filter", floats(4, 4)), "upsampling filter"),
    "another activation": (lambda: attribute("synthesis.b8.conv1", activation="relu"), "activation relu"),
    "another learning rate": (lambda: attribute("mapping.fc1", bias_gain=1.0), "multiplier 1.0 where 0.01"),
    "clamps that differ": (lambda: attribute("synthesis.b8.conv1", conv_clamp=3.0), "differ in clamp"),
    "another architecture": (lambda: attribute("synthesis.b8", architecture="swin"), "calls itself swin|architecture"),
    "a learning rate of tensorflow": (lambda: tensorflow_said(mapping_lrmul=0.1), "mapping_lrmul 0.1"),
    "z as it comes": (lambda: tensorflow_said(normalize_latents=False), "normalize_latents False where True is due"),
    "a filter of tensorflow": (lambda: tensorflow_said(resample_kernel=[1, 2, 1]), "upsampling filter"),
    "labels of the older kind": (lambda: tensorflow_file(
        PLAIN, tensorflow_tensors(PLAIN) | {"mapping/LabelConcat/weight": floats(5, 512)}), "mapping/LabelConcat"),
    "stylegan 1": (lambda: renamed_tensorflow("mod_weight", "StyleMod/weight"), "StyleMod"),
    "two networks": (lambda: tensorflow_pickle((None, Network("G", {}, []))), "2 things in a row"),
    "half a file": (lambda: nvidia(PLAIN, nvidia_tensors(PLAIN))[:500_000], "damaged|expected"),
    "half an archive": (lambda: rosinality_file(rosinality_tensors(PLAIN))[:500_000], "damaged"),
    "a generator in training": (lambda: rosinality_file({}, older=True).replace(b"g_ema", b"g_emb"),
                                "dictionary of g, args, g_emb"),
    "text": (lambda: b"version https://git-lfs.github.com/spec/v1", "neither a pickle nor"),
    "nothing": (lambda: b"", "neither a pickle nor"),
}  # fmt: skip


CHANGES: dict[str, Callable[[NDArray[Any]], NDArray[Any] | None]] = {
    "gone": lambda x: None,
    "empty": lambda x: x.ravel()[:0],
    "flat": lambda x: x.ravel(),
    "one number": lambda x: np.array(x.ravel()[0]),
    "one more": lambda x: np.concatenate([x.reshape(-1), x.reshape(-1)[:1]]),
    "turned": lambda x: np.array(x.T, order="C"),
    "deeper": lambda x: x[None],
    "whole": lambda x: np.asarray(x, np.int32),
}


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "rosinality, older"])
def test_any_tensor_may_be_missing_or_another(layout: str, read: Any) -> None:
    """Whatever a tensor is, the file gives the one error, or a generator whose every tensor is as its config says."""
    draw, write, _ = LAYOUTS[layout]
    tensors, chance = draw(replace(PLAIN, labels=2 if "style" in layout else 0)), np.random.default_rng(5)
    refused = 0
    for change in CHANGES.values():
        for name in chance.choice(list(tensors), EACH):
            other = change(tensors[name])
            changed = {key: t for key, t in tensors.items() if key != name} | ({} if other is None else {name: other})
            try:
                found = read(write(PLAIN, changed))
            except CheckpointError:
                refused += 1
                continue
            assert {key: t.shape for key, t in found.tensors.items()} == found.config.tensor_shapes, name
    assert refused > EACH * len(CHANGES) / 2


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_such_generator_is_refused_with_the_reason(what: str, refused: Any) -> None:
    make, reason = REFUSED[what]
    said = refused(make())
    assert re.search(reason, said), said
    assert "livelav reads square StyleGAN2" in said
    assert "theirs.pkl" in said


def test_files_that_are_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.pkl"):
        with pytest.raises(CheckpointError, match=str(path)):
            read_foreign(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.pkl")
        with pytest.raises(CheckpointError, match="no regular file"):
            read_foreign(tmp_path / "pipe.pkl")
    with (tmp_path / "endless.pkl").open("wb") as file:
        file.truncate(3 << 30)  # no more than a name on the disk
    with pytest.raises(CheckpointError, match="more than the"):
        read_foreign(tmp_path / "endless.pkl")


ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is watched is said by Linux's /proc")


def watched(*arguments: str) -> list[dict[str, Any]]:
    """What x_watched.py says."""
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(here), str(here.parent)))}
    command = [sys.executable, str(here / "x_watched.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@ON_LINUX
def test_hostile_files_reach_nothing_and_use_up_nothing(tmp_path: Path) -> None:
    """Python's own audit events are the witness that no import, open, compile, exec, process or socket is asked for."""
    tried: dict[str, str] = {}
    for what, content in gadgets():
        name = f"{len(tried):03}.pkl"
        (tmp_path / name).write_bytes(content)
        tried[name] = what
    *results, process = watched(*(str(tmp_path / name) for name in tried))
    assert len(results) == len(tried) > 300
    for result in results:
        what = tried[result["file"]]
        assert result["said"].startswith("cannot read "), what
        assert "; livelav reads " in result["said"], what
        assert result["events"] == [], what
        assert result["seconds"] < 2, what
    assert process["heavy"] == [], "torch is not needed"
    assert process["peak_mib"] < 512
    slowest = max(results, key=lambda result: float(result["seconds"]))
    print(f"{len(tried)} gadgets: {slowest['seconds']:.2f} s at most, {process['peak_mib']:.0f} MiB")


@ON_LINUX
def test_a_large_file_is_read_in_little_more_memory_than_it_has(tmp_path: Path) -> None:
    """Of config-f's size where LIVELAV_LARGE is set, with the networks that a training writes besides."""
    plan = replace(PLAIN, **LARGE, layers=8)
    networks = [nvidia_module(plan, nvidia_tensors(replace(plan, seed=seed))) for seed in range(3)]
    path = tmp_path / "large.pkl"
    path.write_bytes(nvidia_pickle(dict(zip(("G", "D", "G_ema"), networks, strict=True))))
    result, process = watched(str(path))
    size_mib = path.stat().st_size / 2**20
    print(f"{size_mib:.0f} MiB: {result['seconds']:.2f} s, {process['peak_mib']:.0f} MiB")
    assert result["said"] == "read"
    assert process["peak_mib"] < 3 * size_mib


@ON_LINUX
def test_programs_by_chance_end_in_one_error_or_a_generator() -> None:
    """As many as LIVELAV_PROGRAMS says."""
    (report,) = watched("--programs", str(PROGRAMS))
    assert report["bad"] == []
    assert report["peak_mib"] < 512
    assert report["count"] == PROGRAMS
    assert len(report["reasons"]) > 50, "they come to grief in many places"
    print(f"{PROGRAMS} programs: {report['slowest_s']:.3f} s at most, {report['peak_mib']:.0f} MiB")


@ON_LINUX
def test_damaged_files_end_in_one_error_or_a_generator(tmp_path: Path) -> None:
    """A tenth as many as LIVELAV_PROGRAMS says, of every layout."""
    plan = replace(PLAIN, layers=1)
    files = []
    for number, (draw, write, _) in enumerate(LAYOUTS.values()):
        tensors = draw(plan)
        zeros = {name: t if name.endswith("kernel") else np.zeros_like(t) for name, t in tensors.items()}
        files.append(tmp_path / f"{number}.pkl")
        files[-1].write_bytes(write(plan, zeros))
    (report,) = watched("--mutants", str(PROGRAMS // 10), *map(str, files))
    assert report["bad"] == []
    assert report["peak_mib"] < 512
    assert 0.02 < report["reasons"]["read"] / report["count"] < 0.7, "some are harmless, some are not"
    print(f"{PROGRAMS // 10} mutants: {report['slowest_s']:.3f} s at most, {report['peak_mib']:.0f} MiB")
