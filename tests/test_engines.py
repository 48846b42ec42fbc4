"""Engines around the picture: what is exported, what is kept on disk, and which one steps in for another."""

import gc
import hashlib
import importlib
import importlib.util
import mmap
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
import torch
from stylegan2_oracle import Synthesis
from test_generate_backends import CLAMPED, faint_tensors, quiet_tensors
from test_generate_library import write_small
from test_stylegan2 import ARCHITECTURES, SMALL, relative_error, seeded_ws
from torch.utils.flop_counter import FlopCounterMode
from x_engines import Failing

from live import Run
from livelav.bench import engines
from livelav.bench.engines import markdown
from livelav.core.clock import FakeClock
from livelav.core.errors import BackendError, MissingBackendError, UnbuiltBackendError
from livelav.core.scene import PACKED
from livelav.core.shm import Board, Histogram, Latest, SampleRing, StopFlag
from livelav.core.values import Block, Bytes, noise_factors
from livelav.generate import engine_cache, library, openvino_backend
from livelav.generate.backend import OWN_NOISE, Backend
from livelav.generate.engine_cache import Key
from livelav.generate.layout import Architecture, Config, NoiseMode
from livelav.generate.library import Generator, load_generator, step_down
from livelav.generate.onnx_graph import onnx_model
from livelav.generate.openvino_graph import build_graph
from livelav.generate.static import StaticNetwork, static_network
from livelav.generate.torch_backend import Network
from livelav.generate.yardsticks import (
    BATCH,
    PEAK_FLOP,
    PlainModule,
    device_of,
    flop,
    grown_mb,
    held_mb,
    peak_gflops,
    random_tensors,
    torch_conv,
)
from livelav.live.presenter import PACE_FIELDS
from livelav.live.relay import Relay
from livelav.live.synth import IMAGE_FIELDS, SYNTH_FIELDS, TURN_FIELDS, SynthConfig, SynthShared, _Synth

HAS_TRT_RTX = importlib.util.find_spec("tensorrt_rtx") is not None  # which builds without a card


def network_of(config: Config, sha256: str = "") -> StaticNetwork:
    return static_network(config, quiet_tensors(config), sha256)


# The export


def exported_picture(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> np.ndarray:
    """[3, h, w] before it becomes bytes: what goes into the last clip, as levels."""
    last = [node for node in model.graph.node if node.op_type == "Clip"][-1].input[0]
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([last], feed)[0][0, :3]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("noise_mode", ["const", "random", "none"])
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_the_export_agrees_with_torch(architecture: Architecture, noise_mode: NoiseMode, clamp: float | None) -> None:
    config = replace(SMALL, architecture=architecture, conv_clamp=clamp)
    network, ws = network_of(config), seeded_ws(config)
    noise = noise_factors(np.array([0.5, 2.0, 1.0]), 0.1)
    rng = np.random.default_rng(0)
    maps = {name: rng.standard_normal(shape, np.float32) for name, shape in network.drawn_shapes.items()}
    feed = {"ws": ws} | ({} if noise_mode == "none" else {"noise": noise}) | (maps if noise_mode == "random" else {})
    model = onnx_model(network, noise_mode)
    onnx.checker.check_model(model, full_check=True)
    tensors = (torch.from_numpy(ws), torch.from_numpy(noise), {name: torch.from_numpy(m) for name, m in maps.items()})
    with torch.inference_mode():
        expected = Network(network, torch.device("cpu"), torch.float32, noise_mode).picture(*tensors)[0].numpy()
    assert relative_error((exported_picture(model, feed) - 128.0) / 127.5, expected) <= 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_export_of_faint_weights_and_styles_agrees_with_the_oracle(architecture: Architecture) -> None:
    config = replace(CLAMPED, architecture=architecture)
    tensors, ws = faint_tensors(config), seeded_ws(config)
    expected = Synthesis(tensors, 32, architecture, config.conv_clamp)(ws.astype(np.float64))
    feed = {"ws": ws, "noise": OWN_NOISE}
    exact, half = (
        (exported_picture(onnx_model(static_network(config, tensors), precision=precision), feed) - 128.0) / 127.5
        for precision in ("fp32", "fp16")
    )
    assert relative_error(exact, expected) <= 1e-5
    assert (half - expected).std() < 0.02 * expected.std()


@pytest.mark.parametrize("config", [CLAMPED, Config(64, 1024, 24, mapping_layers=2, conv_clamp=256.0)])
def test_the_export_in_float16_is_close(config: Config) -> None:
    network, ws = network_of(config), seeded_ws(config)
    images = {}
    for precision in ("fp32", "fp16"):
        model = onnx_model(network, precision=precision)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (images[precision],) = session.run(["image"], {"ws": ws, "noise": OWN_NOISE})
    assert images["fp16"].shape == (config.resolution, config.resolution, 4)
    assert (images["fp16"].astype(int) - images["fp32"]).std() < 0.02 * images["fp32"][..., :3].std()


def test_the_export_is_plain_and_its_shapes_are_fixed() -> None:
    model = onnx_model(network_of(replace(SMALL, architecture="resnet")))
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            assert node.input[1] in constants, "engines can pack the weights once"
    for value in (*model.graph.input, *model.graph.output):
        assert all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim)


# What is kept on disk

KEY = Key("0" * 64, 256, "engine 1.2", "card", "fp16", "const")


def test_what_was_kept_is_found_under_the_same_key_alone() -> None:
    engine_cache.write(KEY, b"engine")
    assert engine_cache.read(KEY) == b"engine"
    for field in fields(Key):
        other = replace(KEY, **{field.name: 512 if field.name == "resolution" else "other"})
        assert engine_cache.read(other) is None, field.name
    engine_cache.forget(KEY)
    assert engine_cache.read(KEY) is None


def test_a_damaged_engine_is_a_miss() -> None:
    engine_cache.write(KEY, bytes(range(200)))
    whole = KEY.path.read_bytes()
    for cut in (0, 1, 31, 32, 33, len(whole) - 1):
        KEY.path.write_bytes(whole[:cut])
        assert engine_cache.read(KEY) is None, cut
    for at in (0, 40, len(whole) - 1):
        KEY.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert engine_cache.read(KEY) is None, at
    KEY.path.write_bytes(whole)
    assert engine_cache.read(KEY) == bytes(range(200))


def kept_of(keys: list[Key]) -> list[Key]:
    """Which are still there, after each was written a second after the one before it. Uses none of them."""
    now_s = time.time() - len(keys)
    for i, key in enumerate(keys):
        engine_cache.write(key, b"engine")
        os.utime(key.path, (now_s + i, now_s + i))
    return [key for key in keys if key.path.exists()]


def test_the_engine_unused_for_longest_goes_when_they_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [replace(KEY, device=f"card {i}") for i in range(6)]
    size = engine_cache.DIGEST + len(b"engine")
    monkeypatch.setattr(engine_cache, "MOST_BYTES", 4 * size + 1)
    assert kept_of(keys) == keys[2:]
    assert engine_cache.read(keys[2]) is not None, "which counts as use"
    engine_cache.write(KEY, b"engine")
    assert [key for key in keys if key.path.exists()] == [keys[2], *keys[4:]]


def test_notes_of_a_few_bytes_push_no_engine_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each model and each number of threads has one; an engine takes minutes to build."""
    keys = [replace(KEY, device=f"card {i}") for i in range(100)]
    with monkeypatch.context() as bounded:
        bounded.setattr(engine_cache, "MOST", 60)
        assert kept_of(keys) == keys[40:], "yet they do not grow without end"
    assert kept_of(keys) == keys


def test_what_killed_writers_left_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        for name in ("replace", "unlink"):  # as at the moment before it has its name

            def end(*_: object) -> None:
                raise OSError

            killed.setattr(f"livelav.core.store.os.{name}", end)
        engine_cache.write(KEY, b"engine")
        engine_cache.write(replace(KEY, device="other"), b"engine")
    old, new = KEY.path.parent.iterdir()
    then_s = time.time() - engine_cache.STALE_S - 1.0
    os.utime(old, (then_s, then_s))
    engine_cache.write(KEY, b"engine")
    assert set(KEY.path.parent.iterdir()) == {new, KEY.path}, "one of now may be another's at work"


def test_an_engine_that_is_kept_waits_for_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(os, "fsync", waited.append)
    engine_cache.write(KEY, b"engine")
    assert engine_cache.read(KEY) == b"engine" and not waited


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LIVELAV_CACHE", str(tmp_path / "file" / "cache"))
    engine_cache.write(KEY, b"engine")
    engine_cache.forget(KEY)
    assert engine_cache.read(KEY) is None


class CountingCore:
    """OpenVINO's own, and how often it compiled."""

    def __init__(self) -> None:
        self.core, self.compiled = ov.Core(), 0

    def compile_model(self, *args: object) -> object:
        self.compiled += 1
        return self.core.compile_model(*args)

    def __getattr__(self, name: str) -> object:
        return getattr(self.core, name)


def test_openvino_engines_are_read_back_and_damaged_ones_built_anew() -> None:
    """The way that a GPU's engines take as well: no GPU is here."""
    network, ws = network_of(CLAMPED, "ab" * 32), seeded_ws(CLAMPED)
    core, graph = CountingCore(), build_graph(network, "const")
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}

    def pixels() -> Bytes:
        compiled, _key = openvino_backend.compile_cached(core, graph, network, "CPU", options, "const")
        return openvino_backend._Compiled(compiled, network, "const").synthesize(ws, OWN_NOISE)

    first = pixels()
    assert core.compiled == 1
    assert np.array_equal(pixels(), first) and core.compiled == 1, "read back"
    (path,) = KEY.path.parent.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    assert np.array_equal(pixels(), first) and core.compiled == 2, "cut off"
    content = b"whole, but no engine of anybody's"
    path.write_bytes(hashlib.sha256(content).digest() + content)
    assert np.array_equal(pixels(), first) and core.compiled == 3, "refused by the engine"
    assert np.array_equal(pixels(), first) and core.compiled == 3


# TensorRT, as far as it goes without a card


@pytest.mark.skipif(not HAS_TRT_RTX, reason="needs tensorrt_rtx, which builds engines without a card")
@pytest.mark.parametrize("noise_mode", ["const", "random", "none"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tensorrt_builds_the_export_and_tells_how_far_it_is(architecture: Architecture, noise_mode: NoiseMode) -> None:
    from livelav.generate import tensorrt_backend

    said: list[str] = []
    model = onnx_model(network_of(replace(CLAMPED, architecture=architecture)), noise_mode, "fp16")
    built = tensorrt_backend.build_engine(model.SerializeToString(), tensorrt_backend.Log(), said.append)
    assert len(built) > 100_000
    assert said and all("building the TensorRT engine" in text for text in said)
    with pytest.raises(RuntimeError):
        tensorrt_backend.build_engine(b"no model", tensorrt_backend.Log(), said.append)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA card")
def test_tensorrt_without_package_or_card_is_one_line() -> None:
    if HAS_TRT_RTX:
        (text,) = load_generator("default", backend="tensorrt", threads=1).warnings
    else:
        with pytest.raises(MissingBackendError) as caught:
            load_generator("default", backend="tensorrt", threads=1)
        text = str(caught.value)
    assert "tensorrt" in text and "\n" not in text


class Card:
    """What livelav asks of TensorRT for RTX and of a card, without either: how often it built, and what it raises in
    `fails`, at what was `kernels`, `context` or `image`."""

    def __init__(self) -> None:
        self.built, self.at, self.fails = 0, "", RuntimeError("the driver knows it no more")

    def comes_to(self, at: str) -> None:
        if at == self.at:
            raise self.fails

    def build(self, *_: object) -> bytes:
        self.built += 1
        return b"engine"

    def record(self, *_: object) -> Callable[..., Bytes]:
        def call(*_: object) -> Bytes:
            self.comes_to("image")
            return np.zeros((32, 32, 4), np.uint8)

        return call

    def module(self) -> Any:
        """As `import tensorrt_rtx` gives it."""
        kernels = SimpleNamespace(deserialize=lambda _: self.comes_to("kernels"), serialize=lambda: b"kernels")
        options = SimpleNamespace(create_runtime_cache=lambda: kernels, set_runtime_cache=lambda _: None)
        engine = SimpleNamespace(
            create_runtime_config=lambda: options,
            create_execution_context=lambda _: None if self.at == "context" else SimpleNamespace(),
        )
        module = ModuleType("tensorrt_rtx")
        vars(module).update(
            __version__="1.0",
            ILogger=type("ILogger", (), {}),
            IProgressMonitor=type("IProgressMonitor", (), {}),
            Runtime=lambda _: SimpleNamespace(deserialize_cuda_engine=lambda _: engine),
        )
        return module


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", card.module())
    monkeypatch.delitem(sys.modules, "livelav.generate.tensorrt_backend", raising=False)
    monkeypatch.setattr("livelav.generate.tensorrt_backend", None, raising=False)  # as it was, afterwards
    backend = importlib.import_module("livelav.generate.tensorrt_backend")
    cpu = SimpleNamespace(
        device=lambda *_: torch.device("cpu"),
        cuda=SimpleNamespace(current_device=lambda: 0),
        **{name: getattr(torch, name) for name in ("zeros", "uint8", "OutOfMemoryError")},
    )
    monkeypatch.setattr(backend, "torch", cpu)
    monkeypatch.setattr(backend, "Recording", card.record)
    monkeypatch.setattr(backend, "build_engine", card.build)
    monkeypatch.setattr(backend, "_card", lambda: "a card")
    return card


def test_tensorrts_kernels_that_it_refuses_are_compiled_anew(card: Card) -> None:
    network = network_of(CLAMPED, "7" * 64)
    library.build(network, "tensorrt", 1).warmup()
    (kept,) = [path for path in KEY.path.parent.iterdir() if "kernels" in path.name]
    then_ns = kept.stat().st_mtime_ns
    card.at = "kernels"
    library.build(network, "tensorrt", 1).warmup()
    assert kept.stat().st_mtime_ns > then_ns, "and kept in their place"
    assert card.built == 1, "the engine is as good as before"


@pytest.mark.parametrize("at", ["context", "image"])
def test_tensorrts_engine_that_was_kept_and_fails_before_its_first_image_is_built_anew(card: Card, at: str) -> None:
    network = network_of(CLAMPED, "7" * 64)
    library.build(network, "tensorrt", 1).warmup()
    library.build(network, "tensorrt", 1).warmup()
    assert card.built == 1, "read back"
    card.at = at
    with pytest.raises(BackendError):
        library.build(network, "tensorrt", 1).warmup()
    assert not [path for path in KEY.path.parent.iterdir() if "-kernels-" in path.name], "which may be what fails"
    card.at = ""
    library.build(network, "tensorrt", 1).warmup()
    assert card.built == 2


@pytest.mark.parametrize("why", ["a later image", "memory"])
def test_tensorrts_engine_stays_where_another_thing_is_wrong(card: Card, why: str) -> None:
    """It takes minutes to build, and the card is others' too."""
    network = network_of(CLAMPED, "7" * 64)
    library.build(network, "tensorrt", 1).warmup()
    backend = library.build(network, "tensorrt", 1)
    if why == "memory":
        card.fails = torch.OutOfMemoryError("no memory is left")
    else:
        backend.warmup()
    card.at = "image"
    with pytest.raises(BackendError):
        backend.warmup()
    card.at = ""
    library.build(network, "tensorrt", 1).warmup()
    assert card.built == 1


# Stepping down


def failing(generator: Generator, images: int) -> Generator:
    return replace(generator, backend=Failing(generator.backend, images))


def test_an_engine_that_fails_is_followed_by_the_next_and_never_comes_back(tmp_path: Path) -> None:
    first = failing(load_generator(write_small(tmp_path / "x.safetensors"), threads=1), 0)
    ws = np.zeros((first.num_ws, 512), np.float32)
    with pytest.raises(BackendError) as caught:
        first.synthesize(ws)
    second = step_down(first, caught.value)
    assert second.engine == "torch cpu" and second.failed == ("openvino cpu",)
    assert "the driver went" in second.warnings[0] and second.backend_name in second.warnings[0]
    assert second.sha256 == first.sha256
    assert second.synthesize(ws).shape == (32, 32, 4)
    with pytest.raises(BackendError, match="no engine is left"):
        step_down(second, caught.value)


def test_what_was_asked_for_by_name_is_followed_by_another_too(tmp_path: Path) -> None:
    generator = load_generator(write_small(tmp_path / "x.safetensors"), "torch", threads=1)
    assert step_down(generator, BackendError("gone")).engine == "openvino cpu"


@pytest.mark.parametrize("asked", ["auto", "openvino"])
def test_an_engine_that_fails_at_its_first_image_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    path, build = write_small(tmp_path / "x.safetensors"), library.build

    def fails_on(*engines: str) -> None:
        def built(network: StaticNetwork, engine: str, *args: Any) -> Backend:
            made = build(network, engine, *args)
            return Failing(made, 0) if engine.partition(" ")[0] in engines else made

        monkeypatch.setattr(library, "build", built)

    fails_on("openvino")
    generator = load_generator(path, asked, threads=1)
    assert generator.engine == "torch cpu" and generator.failed == ("openvino cpu",)
    assert generator.warnings == ("the driver went; try another; going on with " + generator.backend_name,)
    with pytest.raises(BackendError, match="no engine is left"):
        step_down(generator, BackendError("gone"))
    fails_on("torch")
    generator = load_generator(path, "openvino", threads=1)
    fails_on("openvino", "torch")
    with pytest.raises(BackendError, match="no engine runs this generator"):
        load_generator(path, asked, threads=1)
    with pytest.raises(BackendError, match="no engine runs this generator"):
        step_down(generator, BackendError("gone"))


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    """Starts the whole program with that fault, as real processes."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    runs: list[Run] = []

    def start(fault: str, *args: str) -> Run:
        runs.append(Run(tmp_path, "--input", "demo", "--osc", "off", *args, program=("x_engines", fault)))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.end()


def ended(run: Run) -> str:
    """What it wrote to stderr."""
    run.process.terminate()
    code, err = run.finish()
    assert code == 0
    return err


def test_a_show_whose_engine_fails_at_the_first_image_begins_on_the_next(
    tmp_path: Path, show: Callable[..., Run]
) -> None:
    run = show("openvino-fails", "--backend", "openvino")
    assert run.playing()["backend"].startswith("torch cpu")
    said = "the driver went; try another; going on with torch cpu"
    assert said in ended(run)
    assert f"!: {said}" in (tmp_path / "hud.txt").read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA card")
@pytest.mark.parametrize("asked", ["auto", "tensorrt"])
def test_an_engine_is_built_while_another_plays_and_then_takes_over(
    tmp_path: Path, show: Callable[..., Run], asked: str
) -> None:
    run, hud = show("tensorrt-builds", "--backend", asked), tmp_path / "hud.txt"
    assert run.playing()["backend"].startswith("openvino cpu"), "the picture waits for nothing"
    run.wait_for(lambda _: "loading tensorrt: building the engine: 40 %" in hud.read_text(), "its progress is shown")
    images = run.stats["generate"]["images"]
    run.wait_for(lambda s: s["generate"]["images"] > images + 20, "pictures go on meanwhile")
    (tmp_path / "go").touch()
    run.wait_for(lambda s: s["backend"] == "tensorrt stand-in", "the picture goes over to it")
    assert "going to tensorrt" in hud.read_text()
    os.kill(max(run.children().values()), signal.SIGKILL)  # the youngest, which took over
    stats = run.wait_for(lambda s: s["restarts"]["synth"] >= 1, "it is started again")
    run.wait_for(
        lambda s: s["generate"]["images"] > stats["generate"]["images"] + 10 and s["backend"] == "tensorrt stand-in",
        "on the engine that is kept",
    )
    assert "tensorrt" not in ended(run)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA card")
def test_where_the_engine_cannot_be_built_the_one_that_plays_stays(tmp_path: Path, show: Callable[..., Run]) -> None:
    run, hud = show("tensorrt-builds"), tmp_path / "hud.txt"
    (tmp_path / "fail").touch()
    run.playing()
    reason = "no memory is left on the card; staying with openvino cpu"
    stats = run.wait_for(lambda _: f"!: {reason}" in hud.read_text(), "the reason is shown")
    run.wait_for(lambda s: s["generate"]["images"] > stats["generate"]["images"] + 60, "it plays on")
    assert ended(run).count(reason) == 1, "it is not tried again"


def test_an_engine_that_takes_the_process_along_is_followed_by_openvino_and_not_by_another_model(
    tmp_path: Path, show: Callable[..., Run]
) -> None:
    run = show("dies")
    assert run.playing()["backend"].startswith("openvino cpu")
    err = ended(run)
    assert err.count("going on with openvino") == 1 and "embedded model" not in err, err


def test_a_model_that_takes_the_process_along_on_every_engine_is_followed_by_the_embedded_one(
    tmp_path: Path, show: Callable[..., Run]
) -> None:
    run = show("dies", "--model", str(write_small(tmp_path / "x.safetensors")))
    stats = run.playing()
    assert stats["model"]["name"] == "default" and stats["restarts"]["synth"] == 6
    err = ended(run)
    assert err.index("going on with openvino") < err.index("going on with the embedded model"), err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA card")
def test_an_engine_that_nobody_asked_for_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is built for a show is built alone: what plays already is not loaded again where that fails."""
    path, build, tried = "default", library.build, list[str]()

    def built(network: StaticNetwork, engine: str, *args: Any) -> Backend:
        tried.append(engine)
        if engine == "tensorrt" and not args[-1]:
            raise UnbuiltBackendError("it has to be built first")
        if engine in ("tensorrt", "torch", "torch cuda"):
            raise BackendError("no memory is left on the card")
        return build(network, engine, *args)

    monkeypatch.setattr(library, "build", built)
    monkeypatch.setattr(library, "has_cuda", lambda: True)
    assert load_generator(path, "auto", threads=1).unbuilt == "tensorrt"
    assert load_generator(path, "tensorrt", threads=1, building="never").unbuilt == "tensorrt"
    tried.clear()
    generator = load_generator(path, "torch", threads=1)
    assert generator.unbuilt == "" and tried == ["torch", "tensorrt", "openvino"]
    tried.clear()
    with pytest.raises(BackendError, match="no memory"):
        load_generator(path, "tensorrt", threads=1, building="alone")
    assert tried == ["tensorrt"]


NO_GPU = not any(name.startswith("GPU") for name in ov.Core().available_devices)


def test_what_a_network_computes_best_in_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a start takes half as long, and no other program's load decides how a video is computed."""
    network, ws = network_of(CLAMPED, "f" * 64), seeded_ws(CLAMPED)
    first = openvino_backend.OpenVINOBackend(network, 1)
    measured = []

    def seconds(built):
        measured.append(built)
        return dict.fromkeys(built, 1.0)

    monkeypatch.setattr(openvino_backend, "seconds", seconds)
    second = openvino_backend.OpenVINOBackend(network, 1)
    assert second.name == first.name and not measured
    assert np.array_equal(first.synthesize(ws), second.synthesize(ws))
    openvino_backend.OpenVINOBackend(network_of(CLAMPED, "e" * 64), 1)
    openvino_backend.OpenVINOBackend(network_of(CLAMPED), 1)
    assert len(measured) == 2, "of another model nothing is known, nor of one without a file"


@pytest.mark.parametrize("change", ["OPTIMIZATION_CAPABILITIES", *openvino_backend.LIMITS])
def test_what_is_best_is_measured_anew_where_the_processor_may_do_other_things(
    monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """One run with oneDNN held to an older CPU must not decide for all later ones."""

    class Lesser(CountingCore):
        def get_property(self, device: str, name: str) -> object:
            return ["FP32", "EXPORT_IMPORT"] if name == change else self.core.get_property(device, name)

    network, core = network_of(CLAMPED, "c" * 64), Lesser()
    with monkeypatch.context() as held:
        if change in openvino_backend.LIMITS:
            held.setenv(change, "AVX2")
        held.setattr(openvino_backend.ov, "Core", lambda: core)
        openvino_backend.OpenVINOBackend(network, 1)
    measured: list[Any] = []

    def seconds(built: Any) -> dict[str, float]:
        measured.append(built)
        return dict.fromkeys(built, 1.0)

    monkeypatch.setattr(openvino_backend, "seconds", seconds)
    openvino_backend.OpenVINOBackend(network, 1)
    assert len(measured) == 1
    openvino_backend.OpenVINOBackend(network, 1)
    assert len(measured) == 1


@pytest.mark.parametrize("noise_mode", ["const", "random", "none"])
def test_once_it_is_known_what_is_best_its_engine_is_kept_too(
    monkeypatch: pytest.MonkeyPatch, noise_mode: NoiseMode
) -> None:
    network, ws, core = network_of(CLAMPED, "d" * 64), seeded_ws(CLAMPED), CountingCore()
    monkeypatch.setattr(openvino_backend.ov, "Core", lambda: core)
    pixels, compiled = [], []
    for _ in range(4):
        before = core.compiled
        pixels.append(openvino_backend.OpenVINOBackend(network, 1, noise_mode).synthesize(ws))
        compiled.append(core.compiled - before)
    assert compiled[0] >= 1 and compiled[1:] == [1, 0, 0]
    assert all(np.array_equal(pixels[0], other) for other in pixels)


class Refusing:
    """What OpenVINO read back, which fails at one of its methods."""

    def __init__(self, real: Any, at: str) -> None:
        self._real, self._at = real, at

    def create_infer_request(self) -> "Refusing":
        if self._at == "create_infer_request":
            raise RuntimeError("the driver knows it no more")
        return Refusing(self._real.create_infer_request(), self._at)

    def infer(self, feed: object) -> object:
        if self._at == "infer":
            raise RuntimeError("the driver knows it no more")
        return self._real.infer(feed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("at", ["create_infer_request", "infer"])
def test_what_was_kept_and_fails_before_its_first_image_is_built_anew(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    class Misread(CountingCore):
        def import_model(self, *args: Any) -> Any:
            return Refusing(self.core.import_model(*args), at)

    network, ws, core = network_of(CLAMPED, "9" * 64), seeded_ws(CLAMPED), Misread()
    monkeypatch.setattr(openvino_backend.ov, "Core", lambda: core)
    for _ in range(2):
        pixels = openvino_backend.OpenVINOBackend(network, 1).synthesize(ws)
    if at == "infer":
        with pytest.raises(BackendError, match="knows it no more"):
            openvino_backend.OpenVINOBackend(network, 1).warmup()
    assert np.array_equal(openvino_backend.OpenVINOBackend(network, 1).synthesize(ws), pixels)


def test_what_was_kept_and_fails_later_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thing is wrong than the engine, which has made images."""
    network, core = network_of(CLAMPED, "8" * 64), CountingCore()
    monkeypatch.setattr(openvino_backend.ov, "Core", lambda: core)
    for _ in range(3):
        backend = openvino_backend.OpenVINOBackend(network, 1)
        backend.warmup()
    backend._compiled._free.put(Refusing(backend._compiled._free.get(), "infer"))
    with pytest.raises(BackendError, match="knows it no more"):
        backend.warmup()
    compiled = core.compiled
    openvino_backend.OpenVINOBackend(network, 1).warmup()
    assert core.compiled == compiled, "read back"


@pytest.mark.skipif(not NO_GPU, reason="there is an Intel GPU")
def test_what_was_best_and_is_gone_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cache, "read", lambda _key: b"GPU f16")
    assert openvino_backend.OpenVINOBackend(network_of(CLAMPED, "f" * 64), 1).name.startswith("openvino cpu")


@pytest.mark.skipif(not NO_GPU, reason="there is an Intel GPU")
def test_a_device_that_fails_takes_no_other_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO is told of a GPU that is not here: its own errors, and the processor all the same."""
    path = write_small(tmp_path / "x.safetensors")
    with pytest.raises(BackendError) as caught:
        library.build(network_of(SMALL), "openvino gpu", 1)
    assert "\n" not in str(caught.value) and "openvino cannot build" in str(caught.value)
    monkeypatch.setattr(openvino_backend, "_devices", lambda _core: ["GPU", "CPU"])
    assert load_generator(path, threads=1).engine == "openvino cpu"


def test_after_the_gpu_openvino_goes_on_with_the_processor_and_then_torch_does(tmp_path: Path) -> None:
    on_gpu = replace(load_generator(write_small(tmp_path / "x.safetensors"), threads=1), engine="openvino gpu")
    second = step_down(on_gpu, BackendError("the device was lost"))
    assert (second.engine, second.failed) == ("openvino cpu", ("openvino gpu",))
    assert second.backend_name.startswith("openvino cpu") and "the device was lost" in second.warnings[0]
    third = step_down(second, BackendError("and the next"))
    assert (third.engine, third.failed) == ("torch cpu", ("openvino gpu", "openvino cpu"))
    with pytest.raises(BackendError, match="no engine is left"):
        step_down(third, BackendError("and the last"))


def test_with_a_card_auto_passes_tensorrt_by_unless_its_engine_lies_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA card")
    monkeypatch.setattr(library, "has_cuda", lambda: True)  # as a driver without a torch that can use it
    generator = load_generator(write_small(tmp_path / "x.safetensors"), threads=1)
    assert generator.engine == "openvino cpu"
    assert len(generator.warnings) == 1 and "torch cannot use 'cuda'" in generator.warnings[0]


def test_the_show_goes_on_when_the_engine_fails(tmp_path: Path) -> None:
    ctx = multiprocessing.get_context("spawn")
    shared = SynthShared(
        SampleRing(), Latest(PACKED, "f8"), Board(PACE_FIELDS), Board(TURN_FIELDS),
        Latest(32 * 32 * 4, "u1", IMAGE_FIELDS),
        Board(SYNTH_FIELDS), Histogram(), Histogram(), StopFlag(), Relay(),
    )  # fmt: skip
    ours, theirs = ctx.Pipe(duplex=False)
    model = str(write_small(tmp_path / "x.safetensors"))
    synth = _Synth(SynthConfig(model, "auto", "embedded", "const"), shared, theirs, FakeClock())
    synth._generator = failing(synth._generator, 2)
    rng = np.random.default_rng(0)

    def next_image() -> float:
        synth._push(Block(0.3 * rng.standard_normal((4800, 2)).astype(np.float32), 0.0, 48000.0), 0.0)
        synth._tick()
        return shared.board["images"]

    assert [next_image() for _ in range(5)] == [1, 2, 2, 3, 4], "the third one failed"
    events = []
    while ours.poll():
        events.append(ours.recv())
    kinds = [event["kind"] for event in events]
    assert kinds == ["loaded", "warning", "loaded"]
    assert "the driver went" in events[1]["text"]
    assert events[0]["backend"].startswith("openvino") and events[2]["backend"].startswith("torch cpu")


# What they are measured by


@pytest.mark.parametrize(
    ("config", "gmac"),
    [(Config(256, 4096, 128), 0.94), (Config(512, 8192, 64), 2.84), (Config(1024, 32768, 512), 74.3)],
)
def test_the_work_of_an_image_is_that_of_its_convolutions(config: Config, gmac: float) -> None:
    assert flop(config) / 2e9 == pytest.approx(gmac, rel=0.05)


def test_the_plain_module_draws_what_engines_draw() -> None:
    tensors, ws = random_tensors(CLAMPED), seeded_ws(CLAMPED)
    plain = PlainModule(CLAMPED, tensors, 1).synthesize(ws)
    engine = library.build(static_network(CLAMPED, tensors), "torch cpu", 1, precision="fp32").synthesize(ws)
    assert np.abs(plain.astype(int) - engine[..., :3]).max() <= 1


def test_memory_is_that_of_the_device_that_computes() -> None:
    gc.collect()
    before = held_mb()
    assert ("cuda" in before) == torch.cuda.is_available()
    with mmap.mmap(-1, 64 << 20) as kept:  # of the system, and not of what an earlier test gave back
        for _ in range(64):
            kept.write(bytes(1 << 20))
        after = held_mb()
    assert 60 <= (grown_mb(before, after, "cpu") or 0) <= 100, "64 MiB, and what else this process took"
    assert grown_mb(before, after, "gpu") is None, "no figure rather than another device's"
    if not torch.cuda.is_available():
        assert grown_mb(before, after, "cuda") is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
def test_a_cards_memory_is_by_its_own_account() -> None:
    before = held_mb()
    kept = torch.ones(256 << 20, dtype=torch.uint8, device="cuda")
    assert 250 <= (grown_mb(before, held_mb(), "cuda") or 0) <= 300
    assert kept.numel() == 256 << 20


def test_an_engine_says_whose_memory_it_fills() -> None:
    names = "openvino cpu bf16", "openvino gpu f16", "torch module fp32", "torch cuda fp16", "tensorrt-rtx cuda fp16"
    assert [device_of(name) for name in names] == ["cpu", "gpu", "cpu", "cuda", "cuda"]


def test_the_engines_table_has_no_figure_for_what_is_unknown() -> None:
    row = {"model": "m", "engine": "openvino gpu f16", "p50_ms": 1.0, "p99_ms": 2.0, "images_s": 3.0, "gflops": 4.0}
    row |= {"times_plain": 5.0, "memory_mb": None, "build_s": 6.0}
    assert list(markdown([row]))[-1] == "| m | openvino gpu f16 | 1.0 | 2.0 | 3.0 | 4 |  | 5.0 | - | 6.0 |"
    assert list(markdown([row | {"p99_ms": None}]))[-1].startswith("| m | openvino gpu f16 | 1.0 | - | 3.0 |")


def test_a_p99_is_given_of_a_hundred_images_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    builds = (("openvino", "f32"), ("torch cpu", "fp32"))
    rows = engines._model("m", CLAMPED, random_tensors(CLAMPED), builds, 1, 0.0)
    assert [(row["p99_ms"], row["runs"]) for row in rows] == [(None, engines.LEAST_RUNS)] * 3
    monkeypatch.setattr(engines, "LEAST_RUNS", 100)
    rows = engines._model("m", CLAMPED, random_tensors(CLAMPED), builds, 1, 0.0)
    assert all(row["p99_ms"] >= row["p50_ms"] and row["runs"] >= 100 for row in rows)


def test_with_a_card_its_engines_have_their_share_of_a_peak_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(_name: str, _config: Config, _tensors: Any, builds: Any, *_: Any) -> list[dict[str, Any]]:
        return [{"peak_of": one, "gflops": 100.0} for one in builds]

    monkeypatch.setattr(engines, "has_cuda", lambda: True)
    monkeypatch.setattr(engines, "_model", rows)
    monkeypatch.setattr(engines, "peak_gflops", lambda *_: 400.0)
    table = engines.engines(large=False, seconds=0.0)
    assert len(table) == 3 * len(engines.ON_CUDA + engines.BUILDS)
    assert all((row["peak_gflops"], row["of_peak"]) == (400, 0.25) for row in table)


@pytest.mark.parametrize("batch", [1, BATCH])
def test_the_large_convolution_is_the_work_that_it_is_counted_as(batch: int) -> None:
    work = torch_conv("fp16", "meta", batch)
    with FlopCounterMode(display=False) as counted:
        work()
    assert counted.get_total_flops() == batch * PEAK_FLOP


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
def test_a_cards_peak_is_more_than_any_processors() -> None:
    assert 2_000 < peak_gflops("torch cuda", "fp16", 1) < 10_000_000
