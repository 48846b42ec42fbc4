"""Strangers' checkpoints as models of one's own: real files, a real process, and whatever may cut it off."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from test_generate_library import without_openvino
from test_mapping import Encoder, features, off
from x_foreign import (
    CODE,
    Plan,
    nvidia_pickle,
    nvidia_snapshot,
    nvidia_tensors,
    rosinality_file,
    rosinality_tensors,
    tensorflow_file,
    tensorflow_tensors,
)

import livelav
from live import gone
from live import livelav as run_livelav
from livelav import importing
from livelav.converting import paints
from livelav.core.errors import BackendError, LivelavError, ModelError, StorageError
from livelav.core.store import cache_dir, models_dir
from livelav.generate.checkpoint import read_foreign
from livelav.generate.files import SUFFIX, read_card, read_checkpoint
from livelav.generate.library import find_model, list_models, load_generator, model_info, remove_model
from livelav.generate.statistics import WSpread, shown_ws, w_mean_and_std, w_samples
from livelav.importing import Limits, import_model, playable
from livelav.mapping.mapper import Mapper
from livelav.show.sheet import GAP_PX

KILLS = int(os.environ.get("LIVELAV_IMPORT_KILLS", "3"))
PLAN, RESNET, LABELLED = Plan(), Plan(architecture="resnet"), Plan(labels=3, layers=2)


def ada(plan: Plan = PLAN, **kwargs: bool) -> bytes:
    return nvidia_pickle(nvidia_snapshot(plan, nvidia_tensors(plan), **kwargs))


def self_trained() -> bytes:
    tensors = rosinality_tensors(PLAN)
    del tensors["latent_avg"]
    return rosinality_file(tensors, older=True)


LAYOUTS = {
    "ada.pkl": ada,
    "classes.pkl": lambda: ada(LABELLED),
    "later.pkl": lambda: ada(Plan(clamp=256), later=True),
    "tensorflow.pkl": lambda: tensorflow_file(RESNET, tensorflow_tensors(RESNET)),
    "rosinality.pt": lambda: rosinality_file(rosinality_tensors(PLAN)),
    "self-trained.pt": self_trained,
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small file, as NVIDIA's code writes it."""
    path = tmp_path / "Its Own_Name 7.pkl"
    path.write_bytes(ada())
    return path


def with_plan(path: Path, plan: Plan) -> Path:
    path.write_bytes(ada(plan))
    return path


def left() -> set[str]:
    """What lies in the models folder, but for the lock."""
    folder = models_dir()
    return {path.name for path in folder.iterdir()} - {".import.lock"} if folder.exists() else set()


def of(name: str) -> set[str]:
    return {f"{name}{suffix}" for suffix in (SUFFIX, ".json", ".png")}


def refused(kind: type[LivelavError], *args: object, **kwargs: object) -> str:
    """The one line that an import is refused with; nothing is left of it."""
    before = left()
    with pytest.raises(kind) as caught:
        import_model(*args, **kwargs)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text and 20 < len(text) < 700
    assert left() == before
    return text


def check_whole() -> set[str]:
    """Every model in the folder is whole, with its card and pictures. Their names."""
    names = {path.stem for path in models_dir().glob(f"*{SUFFIX}")}
    for name in names:
        path = models_dir() / f"{name}{SUFFIX}"
        read_checkpoint(path)
        card = read_card(path)
        assert card["bytes"] == path.stat().st_size and len(card["source"]["sha256"]) == 64
        assert path.with_suffix(".png").read_bytes().endswith(b"IEND\xaeB`\x82")
    return names


# ---- what becomes of a file


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_file_of_any_layout_becomes_a_model(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LAYOUTS[name]())
    steps: list[tuple[str, float]] = []
    imported = import_model(path, licence="CC0-1.0", progress=lambda step, share: steps.append((step, share)))
    foreign, ours = read_foreign(path), read_checkpoint(imported.path)
    assert imported.is_new and imported.name == path.stem and left() == of(path.stem)
    assert check_whole() == {path.stem}
    assert ours.config == foreign.config
    for key, tensor in foreign.tensors.items():
        if foreign.has_w_avg or key != "mapping.w_avg":
            assert ours.tensors[key].dtype == tensor.dtype and np.array_equal(ours.tensors[key], tensor), key
    mean, std = w_mean_and_std(w_samples(ours.config, ours.tensors))
    near = 0.05 * ours.stats.std.mean()
    assert np.abs(ours.stats.mean - mean).max() < near and np.abs(ours.stats.std - std).max() < near
    assert foreign.has_w_avg or np.abs(ours.stats.w_avg - mean).max() < near
    assert ours.stats.labels == foreign.config.labels
    card = read_card(imported.path)
    assert (card["layout"], card["labels"], card["licence"]) == (foreign.layout, foreign.config.labels, "CC0-1.0")
    assert card["source"]["name"] == name and card["source"]["bytes"] == path.stat().st_size
    assert card["resolution"] == ours.config.resolution == 32
    assert f"StyleGAN2, {ours.config.architecture}, 32 px" in card["architecture"]
    said = card["statistics"]
    assert said["of"].startswith("w of 10,000 z") and ("3 labels" in said["of"]) == (ours.config.labels == 3)
    means, stds = ours.stats.mean, ours.stats.std
    due = {"w_mean_min": means.min(), "w_mean_max": means.max()}
    due |= {"w_std_mean": stds.mean(), "w_std_min": stds.min(), "w_std_max": stds.max()}
    assert {key: said[key] for key in due} == pytest.approx(due, abs=1e-4)
    assert list(dict.fromkeys(step for step, _ in steps)) == list(importing.STEPS)
    generator = load_generator(imported.name, threads=1)
    assert generator.synthesize(np.repeat(generator.stats.w_avg[None], generator.num_ws, 0)).shape == (32, 32, 4)


def test_the_card_is_shown_and_the_sheet_has_sixteen_pictures(source: Path, tmp_path: Path) -> None:
    imported = import_model(source)
    code, out, _ = run_livelav(tmp_path, "models", "info", imported.name)
    shown = dict(line.split(maxsplit=1) for line in out.splitlines() if len(line.split()) > 1)
    assert code == 0 and (shown["licence"], shown["resolution"]) == ("unknown", "32")
    for name, value in read_card(imported.path)["statistics"].items():
        assert f"  {name} " in out and str(value) in out
    assert shown["architecture"] == "skip" and shown["name"] == imported.name and f" {source.name}\n" in out
    generator, checkpoint = load_generator(imported.name, threads=1), read_checkpoint(imported.path)
    ws = shown_ws(checkpoint.config, checkpoint.tensors, WSpread(checkpoint.stats.mean, checkpoint.stats.std), 16)
    pixels = np.asarray(Image.open(imported.path.with_suffix(".png")), float)
    cell_px = (pixels.shape[0] + GAP_PX) // 4
    assert pixels.shape == (4 * cell_px - GAP_PX,) * 2 + (3,)
    for number, w in enumerate(ws):
        top, left_px = (place * cell_px for place in divmod(number, 4))
        cell = pixels[top : top + cell_px - GAP_PX, left_px : left_px + cell_px - GAP_PX]
        blocks = cell.reshape(32, 8, 32, 8, 3).mean(axis=(1, 3))
        assert np.abs(blocks - generator.synthesize(w)[..., :3]).mean() < 5, number


def test_an_import_leaves_to_shows_what_a_model_is_computed_best_in(source: Path) -> None:
    """It stands behind all others and is short of memory: what it measured would hold for every show after it."""
    imported = import_model(source)
    assert not (cache_dir() / "engines").exists()
    load_generator(imported.name, "openvino", threads=1)
    assert list((cache_dir() / "engines").iterdir()), "as shows do"


def test_the_pictures_are_painted_without_openvino_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ws = np.zeros((read_checkpoint(find_model("default")).stats.num_ws, 512), np.float32)
    first = paints(find_model("default"))
    without_openvino(monkeypatch)
    second = paints(find_model("default"))
    assert (first.name, second.name) == ("openvino cpu f32", "torch cpu fp32")
    assert np.abs(first.synthesize(ws).astype(int) - second.synthesize(ws)).max() <= 1
    monkeypatch.setitem(sys.modules, "livelav.generate.torch_backend", None)
    with pytest.raises(BackendError, match=r"no engine runs this generator: openvino .* torch "):
        paints(find_model("default"))


def test_labels_move_the_pictures(source: Path) -> None:
    generator = load_generator(import_model(with_plan(source, LABELLED)).name, threads=1)
    stats = generator.stats
    assert stats.labels == LABELLED.labels

    def picture(label: float) -> np.ndarray:
        mapper, rng = Mapper(stats, Encoder(), 7), np.random.default_rng(0)
        controls = [mapper.step(features(rng), off(generate__label=label)) for _ in range(20)]
        return generator.synthesize(controls[-1].ws).astype(float)

    pictures = [picture(label) for label in range(LABELLED.labels)]
    assert np.array_equal(picture(2), pictures[2]), "the same sound and label, the same picture"
    gaps = [np.abs(a - b).mean() for a, b in itertools.pairwise(pictures)]
    assert min(gaps) > 3.0, "of 255"
    for label, (mean, std) in enumerate(zip(stats.label_mean, stats.label_std, strict=True)):
        assert np.abs(mean - stats.mean).mean() > 0.1 * stats.std.mean(), f"label {label} is somewhere of its own"
        assert std.min() > 0


def test_the_same_file_is_imported_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = import_model(source)
    assert first.name == "its-own-name-7"
    before = first.path.stat().st_mtime_ns
    other = Path(shutil.copy(source, tmp_path / "copy.pkl"))
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", None)  # nothing is read anew
        again = import_model(other, name="another", licence="CC BY 4.0")
        assert (again.name, again.is_new) == (first.name, False)
        assert playable(str(source)) == first.name
        assert livelav.load_generator(source, backend="torch", threads=1).name == first.name
    assert first.path.stat().st_mtime_ns == before and left() == of(first.name)
    assert model_info(first.name).licence == "CC BY 4.0", "what was learnt of it since"
    # another training's file of that name
    source.write_bytes(ada(Plan(seed=9)))
    second = import_model(source)
    assert second.is_new and second.name.startswith("its-own-name-7-") and check_whole() == {first.name, second.name}
    refusal = refused(ModelError, with_plan(source, Plan(seed=10)), name=first.name)
    assert "--name" in refusal and f"remove {first.name}" in refusal
    remove_model(first.name)
    remove_model(second.name)
    assert left() == set()


def full(path: Path, _content: object) -> None:
    raise StorageError(f"cannot write {path}: no space left on device")


def test_a_file_that_has_not_changed_is_not_read_again(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = importing._sha256
    monkeypatch.setattr(importing, "_sha256", lambda path, *args: read.append(path) or real(path, *args))
    monkeypatch.setattr(importing, "_SETTLED_S", float("inf"))
    first = import_model(source)  # it was made this moment
    assert import_model(source).name == first.name and len(read) == 2
    monkeypatch.setattr(importing, "_SETTLED_S", -1.0)
    for _ in range(3):  # the first of them makes its acquaintance
        assert import_model(source) == replace(first, is_new=False) and len(read) == 3
    os.chmod(source, 0o600)  # as a move or a backup does, it changes the last of its dates
    for _ in range(3):
        assert import_model(source).name == first.name and len(read) == 4
    read.clear()
    read += [source, source]
    os.chmod(source, 0o644)
    with monkeypatch.context() as patch:
        patch.setattr(importing, "write_json", full)
        assert import_model(source).name == first.name, "what cannot be noted is no reason not to play"
        with pytest.raises(StorageError):
            import_model(source, licence="CC0")
    read.clear()
    read += [source, source]
    remove_model(first.name)
    assert import_model(source).is_new and len(read) == 3
    assert import_model(source) == replace(first, is_new=False) and len(read) == 3
    # another of the same length and date
    before, other = source.stat(), ada(Plan(seed=9))
    assert len(other) == before.st_size
    source.write_bytes(other)
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = import_model(source)
    assert second.is_new and second.name != first.name and len(read) == 4


@pytest.mark.parametrize("name", ["", "Two Words", "../up", "a" * 65, "x.y", "-x"])
def test_what_is_no_name(source: Path, name: str) -> None:
    assert "lower-case" in refused(ModelError, source, name=name)


@pytest.mark.parametrize("name", ["default", "embedded", "encodec-24khz"])
def test_a_name_that_is_taken(source: Path, name: str) -> None:
    assert name in refused(ModelError, source, name=name)


def test_what_else_lies_in_the_models_folder_stays(tmp_path: Path) -> None:
    folder = models_dir()
    folder.mkdir(parents=True)
    for name in ("holiday.png", "holiday.json", "other.safetensors"):
        (folder / name).write_bytes(b"precious")
    (folder / "holiday.pkl").write_bytes(b"no checkpoint")
    with pytest.raises(ModelError):
        import_model(folder / "holiday.pkl")
    (folder / "holiday.pkl").write_bytes(ada())
    assert import_model(folder / "holiday.pkl").name.startswith("holiday-"), "the name is taken"
    with pytest.raises(ModelError, match=r"holiday\.json|holiday\.png"):
        import_model(with_plan(tmp_path / "it.pkl", RESNET), name="holiday")
    with pytest.raises(ModelError, match="no model 'other'"):
        remove_model("other")
    for name in ("holiday.png", "holiday.json", "other.safetensors"):
        assert (folder / name).read_bytes() == b"precious"


@pytest.mark.parametrize("licence", ["", "two\nlines", "\x1b[2J", "x" * 201])
def test_what_is_no_licence(source: Path, licence: str) -> None:
    assert "licence" in refused(ModelError, source, licence=licence)


# ---- what cannot be imported


def test_a_file_that_would_run_something_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c" + bytes([len(CODE)]) + CODE.encode() + b"\x85R.")
    assert "code and not plain data" in refused(ModelError, path)
    assert not (tmp_path / "was-run").exists()


def test_what_lies_beside_a_file_is_not_run(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "resource", "psutil", "livelav"):
        (source.parent / f"{name}.py").write_text("open('was-run', 'w').close()")
    monkeypatch.chdir(source.parent)
    assert import_model(Path(source.name)).is_new
    assert not (source.parent / "was-run").exists()


def infinite() -> bytes:
    tensors = nvidia_tensors(PLAN)
    tensors["synthesis.b8.conv0.bias"][3] = np.inf
    return nvidia_pickle(nvidia_snapshot(PLAN, tensors))


@pytest.mark.parametrize("content", [lambda: b"", lambda: ada()[:-1000], infinite], ids=["empty", "truncated", "inf"])
def test_a_file_that_is_no_checkpoint(tmp_path: Path, content: Callable[[], bytes]) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(content())
    assert str(path) in refused(ModelError, path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pkl")
    for path in (tmp_path, tmp_path / "pipe.pkl", tmp_path / "gone.pkl", Path("/dev/zero")):
        assert str(path) in refused(ModelError, path)


def test_a_file_of_ours_is_one_already() -> None:
    assert "as it is" in refused(ModelError, find_model("default"))


def test_a_file_that_is_far_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # of holes
    assert "GB" in refused(ModelError, path)


def test_memory_is_bounded(source: Path) -> None:
    text = refused(ModelError, source, limits=Limits(1 << 20, 60.0))
    assert "memory" in text and str(source) in text


def test_memory_is_bounded_where_the_system_has_no_limit(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, which refuses to be asked."""
    begin = (
        "import resource, runpy, sys\n"
        "from livelav import importing\n"
        "def refuse(kind, _):\n"
        "    if kind == resource.RLIMIT_AS: raise ValueError\n"
        "resource.setrlimit, importing.PAINTING_BYTES = refuse, int(sys.argv[1])\n"
        "runpy.run_module('livelav.converting', run_name='__main__')"
    )
    for painting_bytes in (0, importing.PAINTING_BYTES):
        command = [sys.executable, "-c", begin, str(painting_bytes)]
        monkeypatch.setattr(importing, "python", lambda _, command=command: command)
        if painting_bytes:
            assert import_model(source).is_new
        else:
            text = refused(ModelError, source, limits=Limits(1 << 20, 60.0))
            assert "memory" in text and str(source) in text


def test_time_is_bounded(source: Path) -> None:
    text = refused(ModelError, source, limits=Limits(2 << 30, 0.002))
    assert "longer than 0.002 s" in text
    # however often it says how far it is
    text = refused(ModelError, with_plan(source, LABELLED), limits=Limits(2 << 30, 60.0, 0.2))
    assert "longer than 0.2 s in all" in text


def test_the_process_that_converts_may_die(source: Path) -> None:
    def kill_it(step: str, _share: float) -> None:
        if step == "statistics":
            for child in psutil.Process().children():
                if any("livelav.converting" in word for word in child.cmdline()):
                    child.kill()

    assert "ended with -9" in refused(ModelError, source, progress=kill_it)


def test_a_folder_that_cannot_be_written(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVELAV_MODELS", str(source))  # a file
    with pytest.raises(StorageError, match="LIVELAV_MODELS"):
        import_model(source)


def test_a_disk_that_is_full(source: Path, tmp_path: Path) -> None:
    command = f'ulimit -f 100; exec "{sys.executable}" -m livelav models import "{source}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    *_, last = done.stderr.splitlines()
    assert done.returncode == 1 and last.startswith("livelav: cannot write") and ".import-" not in last, done.stderr
    assert left() == set()


# ---- what may cut it off


class Import:
    """`livelav models import` in a process of its own."""

    def __init__(self, source: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "livelav", "models", "import", str(source), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def children(self) -> list[int]:
        try:
            return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=90)
        return self.process.returncode, out, err


def test_ctrl_c_leaves_nothing(source: Path) -> None:
    run = Import(source)
    while not (children := run.children()) and run.process.poll() is None:
        time.sleep(0.01)
    assert left(), "it is at work"
    run.process.send_signal(signal.SIGINT)
    code, _, err = run.end()
    assert code == 130 and "Traceback" not in err
    assert gone(children, 5.0) and left() == set()


def test_two_imports_of_one_file_at_once_end_well(source: Path) -> None:
    ended = [run.end() for run in [Import(source), Import(source)]]
    assert [code for code, _, _ in ended] == [0, 0], ended
    facts = [json.loads(out) for _, out, _ in ended]
    assert sorted(fact["new"] for fact in facts) == [False, True] and facts[0]["name"] == facts[1]["name"]
    assert left() == of("its-own-name-7") and check_whole() == {"its-own-name-7"}


@pytest.mark.timeout(60 + 30 * KILLS)
def test_no_kill_leaves_half_a_model(source: Path) -> None:
    began_s = time.monotonic()
    assert Import(source).end()[0] == 0
    whole_s, chance, done = time.monotonic() - began_s, random.Random(5), 0
    for number in range(KILLS):
        for path in models_dir().iterdir():  # to begin with nothing but what the last one left
            if path.suffix == SUFFIX:
                remove_model(path.stem)
        run = Import(source)
        # one in each part of the way, so that none is left out, and beyond its end
        time.sleep(1.2 * whole_s * (number + chance.random()) / KILLS)
        children = run.children()
        run.process.kill()
        run.end()
        assert gone(children, 10.0), "what converts does not outlive whoever asked"
        done += len(check_whole())
        assert set(list_models()) <= {"default", "wide", "its-own-name-7"}
    print(f"killed {KILLS} times, of which {done} came too late")
    assert Import(source).end()[0] == 0
    assert left() == of("its-own-name-7") and check_whole() == {"its-own-name-7"}


@pytest.mark.parametrize("moves", range(4))
def test_putting_in_place_may_be_cut_off_anywhere(moves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = models_dir() / ".import-x.abc"
    made.mkdir(parents=True)
    for name in of("x"):
        (made / name).write_text(name)
    real, done = os.replace, 0

    def replace(a: Path, b: Path) -> None:
        nonlocal done
        if done == moves:
            raise SystemExit("killed")
        done += 1
        real(a, b)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        if moves < 3:
            with pytest.raises(SystemExit):
                importing._publish(made, models_dir(), "x")
        else:
            importing._publish(made, models_dir(), "x")
    assert ("x" + SUFFIX in left()) == (moves == 3), "the model itself comes last"
    with importing._folder(lambda: None):
        assert left() == (of("x") if moves == 3 else set())


# ---- as users meet it


def test_the_verbs(source: Path, tmp_path: Path) -> None:
    with_plan(source, LABELLED)
    importing_it = ("models", "import", str(source))
    code, out, _ = run_livelav(tmp_path, *importing_it, "--name", "mine", "--licence", "CC0", "--json")
    facts = json.loads(out)
    assert code == 0 and (facts["name"], facts["labels"], facts["licence"], facts["new"]) == ("mine", 3, "CC0", True)
    code, out, err = run_livelav(tmp_path, *importing_it)
    assert code == 0 and "was imported before, as mine" in out and "--model mine" in out and "reading" in err
    code, out, _ = run_livelav(tmp_path, "models", "list")
    (line,) = (line for line in out.splitlines() if line.startswith("mine "))
    assert all(word in line for word in ("yours", "32 px", "3 labels", source.name, "stylegan2-ada", "CC0")), line
    code, out, _ = run_livelav(tmp_path, "models", "info", "mine", "--json")
    assert json.loads(out)["source"]["name"] == source.name and json.loads(out)["layout"] == "stylegan2-ada"
    code, out, _ = run_livelav(tmp_path, "models", "remove", "mine", "--json")
    assert (code, json.loads(out)) == (0, {"removed": "mine"}) and left() == set()


def test_a_model_that_is_broken_hides_no_other(source: Path, tmp_path: Path) -> None:
    path = import_model(source, name="mine").path
    path.write_bytes(path.read_bytes()[:-100])
    code, out, _ = run_livelav(tmp_path, "models", "list")
    assert code == 0 and any(line.split()[:3] == ["mine", "generator", "broken"] for line in out.splitlines())
    assert "default" in out


def test_a_strangers_file_is_played(source: Path, tmp_path: Path) -> None:
    arguments = ["--input", "demo", "--headless", "--size", "320x180", "--seconds", "1", "--osc", "off"]
    arguments += ["--midi", "off"]
    played = [*arguments, "--model", str(with_plan(source, LABELLED)), "--label", "7", "--stats", "s.json"]
    code, _, err = run_livelav(tmp_path, *played)
    assert code == 0, err
    stats = json.loads((tmp_path / "s.json").read_text())
    assert (stats["model"]["name"], stats["model"]["resolution"]) == ("its-own-name-7", 32)
    assert stats["settings"]["generate.label"] == 7 and stats["generate"]["images"] > 0
    assert f"{source.name}: statistics" in err and "classes" not in err
    code, _, err = run_livelav(tmp_path, *arguments, "--model", "gone.pkl")
    assert code == 1 and err.startswith("livelav: cannot import gone.pkl") and err.count("\n") == 1
