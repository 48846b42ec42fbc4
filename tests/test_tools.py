"""Setting up: what is missing is seen and got or named, no CUDA comes in unasked, a second run does nothing."""

import ast
import json
import os
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import _setup
import _system
import check
import pytest
import start
from _setup import SetupError, Venv
from _system import Need
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ABSENT = Need("nothing1", "nothing-dnf", "nothing-pacman", libraries=("libnothing.so.1",))


# ---- the operating system


@pytest.mark.skipif(sys.platform != "linux", reason="looks for Linux libraries")
@pytest.mark.parametrize(
    ("need", "met"),
    [
        (Need("c", "c", "c", libraries=("libnothing.so.1", "libc.so.6")), True),
        (Need("sh", "sh", "sh", programs=("sh",)), True),
        (Need("passwd", "passwd", "passwd", files=("/etc/nothing", "/etc/pass*")), True),
        (ABSENT, False),
        (Need("no", "no", "no", programs=("no-such-program",), files=("/nowhere/*",)), False),
    ],
)
def test_a_need_is_seen_by_the_thing_itself(need: Need, met: bool) -> None:
    assert need.is_met() == met
    assert _system.missing([need]) == ([] if met else [need])


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        ("apt-get", "sudo apt-get install nothing1 xvfb"),
        ("dnf", "sudo dnf install nothing-dnf xorg-x11-server-Xvfb"),
        ("pacman", "sudo pacman -S --needed nothing-pacman xorg-server-xvfb"),
        ("none", "sudo apt-get install nothing1 xvfb"),
    ],
)
def test_the_line_to_type_suits_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, manager: str, line: str
) -> None:
    program(tmp_path / manager, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    xvfb = next(need for need in _system.RIG if need.apt == "xvfb")
    assert _system.install_line([ABSENT, xvfb, ABSENT]) == line


def test_without_rights_the_line_is_said_and_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "apt-get", f"touch {tmp_path}/ran")
    program(tmp_path / "sudo", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said: list[str] = []
    assert _system.mend([ABSENT], said.append) == [ABSENT]
    assert "sudo apt-get install nothing1" in said[-1]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("user", [0, 1000])
def test_one_unknown_package_does_not_keep_the_others_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int
) -> None:
    calls = tmp_path / "calls"
    program(
        tmp_path / "apt-get",
        f'echo "$*" >> {calls}; case "$*" in *nothing1*) exit 100;; *) touch {tmp_path}/other;; esac',
    )
    program(tmp_path / "sudo", f'shift; echo sudo >> {calls}; exec "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    other = Need("other", "other", "other", files=(f"{tmp_path}/other",))
    (tmp_path / "other").unlink(missing_ok=True)
    assert _system.mend([ABSENT, other], lambda _: None) == [ABSENT]
    lines = calls.read_text().splitlines()
    assert ("sudo" in lines) == (user != 0)
    verbs = [re.sub(r"^.*Timeout=120 ", "", line) for line in lines if line != "sudo"]
    assert verbs[0] == "update"
    assert [v.split()[-1] for v in verbs[1:]] == ["other", "nothing1", "other"]


# ---- the Python packages


def test_everything_that_is_installed_is_pinned_within_what_pyproject_allows() -> None:
    wanted = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["check"],
        *PROJECT["project"]["optional-dependencies"]["score"],
        *PROJECT["build-system"]["requires"],
        *_setup.WITHOUT_WHEELS,
    ]
    for requirement in map(Requirement, wanted):
        pinned = _setup._pinned(requirement.name.lower())
        assert requirement.specifier.contains(pinned), f"{requirement} against pin {pinned}"
        assert version(requirement.name).split("+")[0] == pinned, "tested with another version than is pinned"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Venv:
    """A checkout with a venv of its own whose pip notes what it was asked for; no card, and nothing missing."""
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    monkeypatch.setattr(_setup, "ROOT", tmp_path)
    monkeypatch.setattr(_setup, "has_nvidia", lambda: False)
    monkeypatch.setattr(_system, "missing", lambda _: [])
    monkeypatch.setattr(_setup, "_make_venv", lambda venv, _: program(venv.python, f'echo "$*" >> {tmp_path}/pip'))
    venv = Venv(tmp_path / ".venv")
    program(venv.python, "")
    return venv


def pip_calls(venv: Venv) -> list[str]:
    file = venv.folder.parent / "pip"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.partition(" install ")[2] for line in lines]


def test_without_a_card_torch_comes_first_from_the_cpu_index_and_nowhere_else(checkout: Venv) -> None:
    _setup.prepare(check=True)
    first, *others = pip_calls(checkout)
    assert first.startswith(f"--index-url {_setup.TORCH_CPU_INDEX} ")
    assert first.endswith(f"--no-deps torch=={_setup._pinned('torch')}+cpu")
    assert any(re.search(r"\btorch==[\d.]+\+cpu\b", call) for call in others), "or what it needs itself stays away"
    assert not any(re.search(r"\btorch\b(?!==[\d.]+\+cpu)", call) for call in others)
    assert any("numpy" in call and "pytest" in call and "librosa" in call for call in others)
    assert "--editable" in others[-1]


def test_with_a_card_torch_is_the_ordinary_one(checkout: Venv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_setup, "has_nvidia", lambda: True)
    _setup.prepare(check=False)
    assert pip_calls(checkout)[0].endswith(f" torch=={_setup._pinned('torch')}")
    assert "--index-url" not in pip_calls(checkout)[0]


def test_where_no_cpu_build_is_to_be_had_nothing_else_is_fetched(
    checkout: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        _setup, "_make_venv", lambda venv, _: program(venv.python, f'echo "$*" >> {checkout.folder.parent}/pip; exit 1')
    )
    with pytest.raises(SetupError, match=r"no CPU build of PyTorch .*: check the network") as caught:
        _setup.prepare(check=False)
    assert "\n" not in str(caught.value)
    assert len(pip_calls(checkout)) == 1
    assert not checkout.stamp.exists()


def test_cuda_packages_without_a_card_are_an_error(checkout: Venv) -> None:
    for name in ("numpy-2.0", "nvidia_cublas_cu12-12.8", "triton-3.4", "tritonclient_like-1", "cuda_pathfinder-1.3"):
        installed(checkout, name)
    assert _setup.cuda_packages(checkout) == ["cuda_pathfinder", "nvidia_cublas_cu12", "triton"]
    with pytest.raises(SetupError, match="CUDA packages came in"):
        _setup.prepare(check=False)
    assert not checkout.stamp.exists()


def test_a_second_run_asks_pip_nothing_until_something_changes(checkout: Venv) -> None:
    _setup.prepare(check=False)
    first = len(pip_calls(checkout))
    _setup.prepare(check=False)
    assert len(pip_calls(checkout)) == first
    _setup.prepare(check=True)
    second = len(pip_calls(checkout))
    assert second > first
    _setup.prepare(check=False)
    assert len(pip_calls(checkout)) == second, "checking sets up all that starting needs"
    with (checkout.folder.parent / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    _setup.prepare(check=False)
    assert len(pip_calls(checkout)) > second


def test_a_package_that_a_killed_pip_left_half_is_taken_away(checkout: Venv) -> None:
    whole, half = installed(checkout, "numpy-2.0"), installed(checkout, "rich-15.0")
    (half / "RECORD").unlink()
    checkout.stamp.write_text("{ half a stam")
    _setup.prepare(check=False)
    assert whole.exists()
    assert not half.exists()
    assert json.loads(checkout.stamp.read_text())["start"]["torch"] == "cpu"


@pytest.mark.parametrize(("python", "asked"), [("3.11", True), ("3.12", True), ("3.13", False)])
def test_midi_is_left_out_where_it_is_not_built(
    checkout: Venv, monkeypatch: pytest.MonkeyPatch, python: str, asked: bool
) -> None:
    wanted = _setup._fingerprint(nvidia=False) | {"python": python}
    monkeypatch.setattr(_setup, "_fingerprint", lambda _: wanted)
    _setup.prepare(check=False)
    assert any("python-rtmidi" in call for call in pip_calls(checkout)) == asked
    assert json.loads(checkout.stamp.read_text())["start"] == wanted


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands in for Python")
def test_a_venv_whose_pip_does_not_run_is_noticed(tmp_path: Path) -> None:
    venv = Venv(tmp_path)
    assert not _setup._runs_pip(venv, "3.11")
    program(venv.python, "exit 1")
    assert not _setup._runs_pip(venv, "3.11")
    here = Venv(Path(sys.prefix))
    assert _setup._runs_pip(here, f"{sys.version_info.major}.{sys.version_info.minor}")
    assert not _setup._runs_pip(here, "2.7")


# ---- the commands


@pytest.mark.parametrize(
    ("given", "passed"),
    [([], ["--input", "loopback"]), (["--input", "demo", "--seconds", "5"],) * 2, (["devices", "--json"],) * 2],
)
def test_start_hands_its_arguments_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: list[str], passed: list[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(_setup, "prepare", lambda check: Venv(tmp_path))

    def become(_: str, command: list[str]) -> None:
        ran.append(command)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(SystemExit):
        start.main(given)
    assert ran == [[str(Venv(tmp_path).program("livelav")), *passed]]


def test_start_fails_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def prepare(check: bool) -> Venv:
        raise SetupError("no network")

    monkeypatch.setattr(_setup, "prepare", prepare)
    assert start.main([]) == 1
    assert capsys.readouterr().err == "start: no network\n"


@pytest.mark.parametrize("tool", ["start.py", "check.py"])
def test_an_old_python_can_read_far_enough_to_say_so(tool: str) -> None:
    ast.parse((ROOT / "tools" / tool).read_text(encoding="utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize(("bad", "code"), [(None, 0), ("types", 1), ("tests", 1)])
def test_check_runs_everything_and_says_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, bad: str | None, code: int
) -> None:
    names = [name for name, _ in check.steps("python", fast=False)]
    monkeypatch.setattr(_setup, "prepare", lambda check: Venv(tmp_path))
    monkeypatch.setattr(check, "steps", lambda *_: [(n, ["sh", "-c", f"exit {int(n == bad)}"]) for n in names])
    assert check.main([]) == code
    summary, verdict = capsys.readouterr().out.splitlines()[-2:]
    assert all(f"{name} {'FAILED' if name == bad else 'ok'} (" in summary for name in names)
    assert verdict == (f"check: FAILED: {bad}" if bad else "check: all green")


def test_a_fast_check_leaves_only_the_rig_out() -> None:
    every, fast = (dict(check.steps("python", fast=fast)) for fast in (False, True))
    assert every.keys() - fast.keys() == {"rig tests"}
    assert fast["tests"][-2:] == ["-m", "not rig"]
    assert every["rig tests"][-2:] == ["-m", "rig"]


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def installed(venv: Venv, name: str) -> Path:
    """What pip leaves of a package, as far as the set-up looks."""
    folder = venv.folder / "lib" / "python3.11" / "site-packages" / f"{name}.dist-info"
    folder.mkdir(parents=True)
    for file in ("METADATA", "INSTALLER", "RECORD"):
        (folder / file).write_text("")
    return folder
