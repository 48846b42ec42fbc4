"""Makes `.venv` beside pyproject.toml and installs into it what pyproject names, at the versions of pins.txt.

One stamp file remembers what was installed, so a second run has nothing to do; whatever a broken-off run left is
repaired by the next. PyTorch comes first, because its ordinary Linux build drags in gigabytes of CUDA: a machine
without an NVIDIA card gets the build from PyTorch's own CPU index, or none at all. Standard library only.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import _system

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "tools" / "pins.txt"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
WITHOUT_WHEELS = (
    "encodec",
)  # sources only; and it asks for torchaudio, which the parts that we compare with never use
WHEELS_UP_TO_312 = ("python-rtmidi",)  # without it livelav plays, but hears no MIDI


class SetupError(Exception):
    """Why the set-up stopped, in one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Venv:
    """A virtual environment on disk."""

    folder: Path

    def program(self, name: str) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / (name + (".exe" if os.name == "nt" else ""))

    @property
    def python(self) -> Path:
        return self.program("python")

    @property
    def stamp(self) -> Path:
        return self.folder / "livelav-setup.json"

    @property
    def log(self) -> Path:
        return self.folder / "livelav-setup.log"

    def distributions(self) -> list[Path]:
        """The `.dist-info` folders of what is installed."""
        return [*self.folder.glob("lib/python*/site-packages/*.dist-info")] or [
            *self.folder.glob("Lib/site-packages/*.dist-info")
        ]


def prepare(check: bool) -> Venv:
    """The environment, ready; `check` adds what lint, types and tests need. Says what it does on stderr.

    Raises SetupError.
    """
    lacking = _system.missing([*_system.LIVELAV, *(_system.RIG if check else ())])
    if lacking:
        _system.mend(lacking, _say)
    venv = Venv(ROOT / ".venv")
    wanted = _fingerprint(has_nvidia())
    if _read_stamp(venv).get("check" if check else "start") != wanted:
        _install(venv, wanted, check)
    return venv


def has_nvidia() -> bool:
    """Whether an NVIDIA card and its driver are here, as far as can be seen without asking the driver."""
    signs = ("/proc/driver/nvidia", "/dev/nvidia0", "/usr/lib/wsl/lib/nvidia-smi")
    return shutil.which("nvidia-smi") is not None or any(map(os.path.exists, signs))


def cuda_packages(venv: Venv) -> list[str]:
    """The names of installed packages that only a CUDA build of PyTorch brings."""
    names = [folder.name.split("-")[0] for folder in venv.distributions()]
    return sorted(name for name in names if re.match(r"(nvidia|cuda|triton)(_|$)", name))


def incomplete(venv: Venv) -> list[Path]:
    """What an interrupted pip left half copied: it writes INSTALLER after all other files, RECORD last."""
    return [f for f in venv.distributions() if not ((f / "INSTALLER").is_file() and (f / "RECORD").is_file())]


def _install(venv: Venv, wanted: dict[str, str], check: bool) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    torch = _torch(nvidia=wanted["torch"] == "cuda")
    # torch stands among them for what it needs itself; named exactly, or pip might prefer another build of it
    packages = [torch if _name(r) == "torch" else r for r in project["project"]["dependencies"]]
    if check:
        extras = project["project"]["optional-dependencies"]
        packages += [*extras["check"], *extras["score"]]
    _say(f"setting up {venv.folder} (once; the first time takes some minutes)")
    _make_venv(venv, wanted)
    for folder in incomplete(venv):
        shutil.rmtree(folder)
    _install_torch(venv, torch)

    if wanted["python"] not in ("3.11", "3.12"):
        packages = [r for r in packages if _name(r) not in WHEELS_UP_TO_312]
        _say(f"without MIDI: {', '.join(WHEELS_UP_TO_312)} is built for Python 3.11 and 3.12")
    _pip(venv, "the Python packages", "-c", str(PINS), "--only-binary=:all:", *packages)
    build = [*project["build-system"]["requires"], "editables", "setuptools"]
    _pip(venv, "the build tools", "-c", str(PINS), "--only-binary=:all:", *build)
    if check:
        _pip(venv, "the test oracle", "-c", str(PINS), "--no-deps", "--no-build-isolation", *WITHOUT_WHEELS)
    _pip(venv, "livelav itself", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))

    if wanted["torch"] != "cuda" and (found := cuda_packages(venv)):
        raise SetupError(f"CUDA packages came in without an NVIDIA card ({', '.join(found)}): remove {venv.folder}")
    stamp = {"start": wanted, "check": wanted} if check else {"start": wanted}
    venv.stamp.write_text(json.dumps(stamp), encoding="utf-8")
    _say("set up")


def _make_venv(venv: Venv, wanted: dict[str, str]) -> None:
    """An environment of this Python that can run pip, made anew where there is none or one of another kind."""
    made_for = next(iter(_read_stamp(venv).values()), wanted)
    same_kind = all(made_for.get(key) == wanted[key] for key in ("python", "torch"))
    if same_kind and _runs_pip(venv, wanted["python"]):
        venv.stamp.unlink(missing_ok=True)
        return
    if lacking := _system.missing([_system.PYTHON_VENV]):
        _system.mend(lacking, _say)
    # inside `.venv` itself, sys.executable would be deleted under our feet
    base = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [base, "-m", "venv", "--clear", str(venv.folder)], capture_output=True, text=True, check=False
    )
    if done.returncode or not _runs_pip(venv, wanted["python"]):
        reason = (done.stdout + done.stderr).strip().splitlines() or ["it has no pip"]
        raise SetupError(f"cannot make {venv.folder}: {reason[0]}; try `{_system.install_line([_system.PYTHON_VENV])}`")


def _runs_pip(venv: Venv, version: str) -> bool:
    """Whether the environment has a working pip and is of Python `version`."""
    ask = f"import pip, sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    try:
        return subprocess.run([venv.python, "-c", ask], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _torch(nvidia: bool) -> str:
    """The requirement on PyTorch: on Linux and Windows without a card, none but the build for CPUs will do."""
    return f"torch=={_pinned('torch')}" + ("" if nvidia or sys.platform == "darwin" else "+cpu")


def _install_torch(venv: Venv, torch: str) -> None:
    if not torch.endswith("+cpu"):
        _pip(venv, "PyTorch", "-c", str(PINS), torch)
        return
    # one short try: where this index cannot be reached, pip's own configured sources may still have the CPU build
    source = ["--index-url", TORCH_CPU_INDEX, "--retries", "1", "--timeout", "20", "--only-binary=:all:", "--no-deps"]
    try:
        _pip(venv, "PyTorch for CPUs", *source, torch)
    except SetupError as error:
        raise SetupError(
            f"no CPU build of PyTorch ({torch}) from {TORCH_CPU_INDEX}: check the network and run this again "
            f"(the ordinary build would bring gigabytes of CUDA; details in {venv.log})"
        ) from error


def _pip(venv: Venv, what: str, *arguments: str) -> None:
    """One pip run: downloads are said as they begin, all else goes into the log. Raises SetupError."""
    _say(f"installing {what}")
    command = [str(venv.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", *arguments]
    errors: list[str] = []
    with (
        venv.log.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip,
    ):
        assert pip.stdout is not None, "asked for a pipe"
        try:
            for line in pip.stdout:
                log.write(line)
                if large := re.match(r"\s*Downloading (?:\S*/)?([^-/]+)-([^-]+)\S* (\([\d.]+ [MG]B\))", line):
                    _say("  downloading " + " ".join(large.groups()))
                elif line.startswith("ERROR"):
                    errors.append(line.strip())
        except BaseException:
            pip.kill()  # else it would go on beside the next run
            raise
    if pip.returncode:
        raise SetupError(f"installing {what} failed: {(errors or ['pip stopped'])[0]} (details in {venv.log})")


def _fingerprint(nvidia: bool) -> dict[str, str]:
    """All that decides what gets installed."""
    content = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + PINS.read_bytes())
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "torch": "cuda" if nvidia else "cpu",
        "project": str(ROOT),  # an editable install points here: a folder that moved must be set up again
        "content": content.hexdigest(),
    }


def _read_stamp(venv: Venv) -> dict[str, dict[str, str]]:
    """What was installed, for `start` and for `check`; empty where nothing is, or the record cannot be read."""
    try:
        stamp = json.loads(venv.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and venv.python.exists() else {}


def _pinned(name: str) -> str:
    pins = dict(line.split("==") for line in PINS.read_text(encoding="utf-8").split() if "==" in line)
    return pins[name]


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


def _say(text: str) -> None:
    print(f"livelav set-up: {text}", file=sys.stderr, flush=True)
