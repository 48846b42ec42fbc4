"""The walls of the house: imports go one way, stages do not know each other, each heavy package has one home."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "livelav"
STAGES = ("audio", "encode", "mapping", "generate", "show", "control", "score")
# rooms between the stages and the verbs -> those that they must not know, and modules of verbs
BETWEEN = {
    "takes": {"desk", "live", "render", "bench", "play", "scoring"},
    "desk": {"live", "render", "bench", "play", "scoring"},
    "live": {"render", "bench", "play", "scoring"},
    "render": {"live", "bench", "play", "scoring"},
    "bench": {"render", "scoring"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))

# package -> the rooms that may import it; a module at the top has its own name as its room
THIRD_PARTY = {
    "sounddevice": {"audio"},
    "rtmixer": {"audio"},
    "pa_ringbuffer": {"audio"},
    "soundcard": {"audio"},
    "soundfile": {"audio"},
    "torch": {"encode", "generate"},
    "openvino": {"encode", "generate"},
    "tensorrt": {"encode", "generate"},
    "tensorrt_rtx": {"generate"},
    "onnx": {"generate"},
    "glfw": {"show"},
    "moderngl": {"show"},
    "imgui_bundle": {"show"},
    "av": {"show", "audio", "score"},
    "PIL": {"show", "score"},
    "librosa": {"score"},
    "soxr": {"score"},
    "sklearn": {"score"},
    "scipy": {"score"},
    "cv2": {"score", "show"},
    "rtmidi": {"control"},
    "aalink": {"control"},
    "click": {"cli", "play", "catalogue"},
    "rich": {"cli", "play", "catalogue", "progress", "scoring"},
}
HEAVY = (
    "torch",
    "openvino",
    "onnx",
    "tensorrt",
    "tensorrt_rtx",
    "sounddevice",
    "rtmixer",
    "soundcard",
    "soundfile",
    "av",
    "glfw",
    "moderngl",
    "imgui_bundle",
    "PIL",
    "librosa",
    "soxr",
    "sklearn",
    "scipy",
    "cv2",
    "rtmidi",
    "aalink",
)


def room(path: Path) -> str:
    """`audio` for livelav/audio/capture.py, `chain` for livelav/chain.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports anywhere in it, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write livelav.… in full"
            assert node.module is not None
            # `from livelav import x` may mean the room x
            yield from (f"{node.module}.{a.name}" for a in node.names) if node.module == "livelav" else [node.module]


def rooms_of_livelav(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("livelav.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_stays_inside_its_fences(path: Path) -> None:
    here = room(path)
    known = rooms_of_livelav(path)
    if here == "core":
        assert known <= {"core"}
    if here in STAGES:
        assert known <= {"core", here}, f"{here} may know core alone, not {sorted(known - {'core', here})}"
    assert not known & BETWEEN.get(here, set()), f"{here} knows {', '.join(sorted(known & BETWEEN[here]))}"
    assert here in {"cli", "__main__"} or "cli" not in known, "nothing knows the command line"
    for name in {name.split(".")[0] for name in imports(path)}:
        allowed = THIRD_PARTY.get(name, {here})
        assert here in allowed, f"{name} belongs to {', '.join(sorted(allowed))}, not to {here}"


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) in {"mapping", "core"}], ids=lambda p: p.stem)
def test_core_and_mapping_need_numpy_at_most(path: Path) -> None:
    foreign = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"livelav"}
    assert foreign <= (
        {"numpy"} if room(path) == "mapping" else {"numpy", "platformdirs", "psutil", "filelock", "tomlkit"}
    )


@pytest.mark.parametrize("module", ["livelav", "livelav.cli"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    """`livelav --help` answers at once, on a machine without sound or OpenGL too."""
    script = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not {name.split(".")[0] for name in json.loads(done.stdout)}.intersection(HEAVY)


def test_the_fences_would_hold_something_back(tmp_path: Path) -> None:
    """The reader of imports sees them where they hide."""
    source = tmp_path / "sly.py"
    source.write_text(
        "from livelav import show\ndef late():\n    import torch.nn as t\n    from livelav.audio import x\n"
    )
    assert set(imports(source)) == {"livelav.show", "torch.nn", "livelav.audio"}
