"""What this machine has and lacks for livelav, and the line that mends each.

Whatever might crash or hang (drivers, sound servers, packages that load libraries) is asked in a child process:
`python -m livelav.doctor PROBE [ARGUMENT]` prints one finding as JSON. Changes nothing on the machine.
"""

import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from livelav.core import store
from livelav.core.child import python
from livelav.core.errors import LivelavError, MidiError

PATIENCE_S = 20.0  # for one probe: importing torch from a cold disk takes seconds
ROOM_GB = 3.0  # models, compiled networks and an hour of recording
SET_UP = "run `python3 tools/start.py`, which installs it"
AT_IMPORT = ("soundcard",)  # connects to a sound server while it is imported: its presence has to do
NO_WHEEL = {"python-rtmidi": "use Python 3.11 or 3.12 for MIDI: no package is built for later ones"}
LIBRARIES = {"sounddevice": "libportaudio2", "rtmixer": "libportaudio2", "python-rtmidi": "libasound2"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `remedy` is the line that mends it, empty where nothing needs mending."""

    what: str
    state: Literal["ok", "warn", "missing"]
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Looks at everything, in a fixed order; takes some seconds. Never raises."""
    checks: list[Callable[[], Finding]] = [_python]
    checks += [partial(_in_child, f"package {name}", "package", name) for name in _requirements()]
    checks += [partial(_in_child, name, name) for name in ("display", "headless", "sound")]
    checks += [_midi]
    checks += [_processor, partial(_in_child, "priority", "priority"), _nvidia]
    folders = {"cache": store.cache_dir(), "models": store.models_dir(), "configuration": store.config_dir()}
    checks += [partial(_folder, name, folder) for name, folder in folders.items()]
    checks += [_encoder, partial(_disk, store.cache_dir())]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(lambda check: check(), checks))


def _requirements() -> list[str]:
    """The packages that livelav's own metadata name."""
    try:
        required = importlib.metadata.requires("livelav") or []
    except importlib.metadata.PackageNotFoundError:
        return ["livelav"]
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required if "extra ==" not in line]


def _python() -> Finding:
    return Finding("Python", "ok", sys.version.split()[0])


def _processor() -> Finding:
    """What the generator's arithmetic can use. Knows Linux on x86 only."""
    try:
        flags = set(re.findall(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[0].split())
    except (OSError, IndexError):
        return Finding("processor", "ok", f"{os.cpu_count()} cores; its features are not known here")
    cores = f"{os.cpu_count()} cores"
    for names, says in (({"amx_bf16"}, "bfloat16 on AMX"), ({"avx512_bf16"}, "bfloat16 on AVX-512")):
        if names <= flags:
            return Finding("processor", "ok", f"{cores}, {says}")
    best = next((name for name in ("avx512f", "avx2") if name in flags), "neither AVX2 nor AVX-512")
    slower = "images are made in float32: where they come too slowly, take a smaller --model or a graphics card"
    return Finding("processor", "warn", f"{cores}, no bfloat16 ({best})", slower)


def _nvidia() -> Finding:
    program = shutil.which("nvidia-smi")
    if not program:
        return Finding("NVIDIA card", "ok", "none: the processor makes the images")
    ask = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        card = subprocess.run(ask, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("NVIDIA card", "warn", f"nvidia-smi fails ({error})"[:200], "reinstall the card's driver")
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        torch = "none"
    if torch.endswith("+cpu"):
        return Finding(
            "NVIDIA card",
            "warn",
            f"{card}, but PyTorch is built for CPUs",
            "run `python3 tools/start.py`, which sets it up anew with CUDA",
        )
    return Finding("NVIDIA card", "ok", card.replace("\n", "; "))


def _folder(name: str, folder: Path) -> Finding:
    """Whether livelav can write there; the folder itself may still be to be made."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if existing.is_dir() and os.access(existing, os.W_OK):
        return Finding(f"{name} folder", "ok", str(folder))
    variable = {"cache": "LIVELAV_CACHE", "models": "LIVELAV_MODELS", "configuration": "LIVELAV_CONFIG"}[name]
    remedy = f"`chown` {existing} to you, or set {variable} to a folder of yours"
    return Finding(f"{name} folder", "missing", f"{folder} cannot be written", remedy)


def _disk(folder: Path) -> Finding:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < ROOM_GB:
        return Finding("disk", "warn", f"{free_gb:.1f} GB free", f"make room: {ROOM_GB:g} GB are good to have")
    return Finding("disk", "ok", f"{free_gb:.0f} GB free")


def _encoder() -> Finding:
    from livelav.encode.encoder import EMBEDDED, FETCHABLE, fetched_path

    fetched = [name for name in FETCHABLE if fetched_path(name).is_file()]
    if fetched:
        return Finding("encoder", "ok", f"{', '.join(fetched)} fetched")
    fetch = f"`livelav models fetch {FETCHABLE[0]}`"
    if EMBEDDED.is_file():
        return Finding("encoder", "ok", f"the embedded one; {fetch} gets Meta's")
    return Finding("encoder", "missing", f"no weights at {EMBEDDED}", f"reinstall livelav, or {fetch}")


# ---- what is asked in a child


def _in_child(what: str, *probe: str) -> Finding:
    """A probe's finding, or what became of its process."""
    command = python("livelav.doctor", *probe)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        return Finding(**json.loads(done.stdout.strip().splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Finding(
            what, "missing", f"no answer in {PATIENCE_S:g} s", "restart its server or driver, then ask again"
        )
    except (ValueError, TypeError, IndexError):
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Finding(what, "missing", f"its process ended with {done.returncode}: {reason[:150]}", SET_UP)


def _package(name: str) -> Finding:
    what, canonical = f"package {name}", re.sub(r"[-_.]+", "-", name).lower()
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(what, "missing", "not installed", NO_WHEEL.get(canonical, SET_UP))
    modules = [
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if module.isidentifier() and not module.startswith("_") and distribution.metadata["Name"] in owners
    ]
    if canonical not in AT_IMPORT:
        try:
            for module in modules:
                importlib.import_module(module)
        except Exception as error:  # whatever a package does when its libraries are not there
            library = LIBRARIES.get(canonical)
            remedy = f"sudo apt-get install {library}" if library else SET_UP
            return Finding(what, "missing", f"{distribution.version} does not load: {error}"[:200], remedy)
    return Finding(what, "ok", distribution.version)


def _display() -> Finding:
    from livelav.show.window import Window, monitors

    try:
        screens = ", ".join(f"{m.name} {m.width}x{m.height}" for m in monitors())
        window = Window((64, 64))
    except LivelavError as error:
        return Finding("display", "missing", *_split(error))
    renderer = window.ctx.info["GL_RENDERER"]
    software = window.software
    window.close()
    if software:
        return Finding("display", "warn", f"{screens}; {renderer}", "drawn by the processor: install the card's driver")
    return Finding("display", "ok", f"{screens}; {renderer}")


def _headless() -> Finding:
    from livelav.show.headless import HeadlessSurface

    try:
        surface = HeadlessSurface((64, 64))
    except LivelavError as error:
        return Finding("headless", "missing", *_split(error))
    renderer = surface.ctx.info["GL_RENDERER"]
    surface.close()
    return Finding("headless", "ok", f"EGL; {renderer}")


def _sound() -> Finding:
    from livelav.audio.devices import survey_devices

    survey = survey_devices()
    loopback = next((device for device in survey.devices if device.would_take), None)
    if loopback:
        return Finding("sound", "ok", f"loopback {loopback.name}, {len(survey.devices)} inputs in all")
    trouble, remedy = _split(survey.troubles[0] if survey.troubles else "no loopback; play --input demo")
    if survey.devices:
        return Finding("sound", "warn", f"{len(survey.devices)} inputs, but {trouble}", remedy)
    return Finding("sound", "missing", trouble, remedy)


def _priority() -> Finding:
    from livelav.core.processor import stand_in_front

    granted = stand_in_front()
    if granted or not sys.platform.startswith("linux"):
        return Finding("priority", "ok", "pictures are presented in real time" if granted else "the system's own")
    limits = 'echo "@audio - rtprio 20" | sudo tee /etc/security/limits.d/livelav.conf'
    remedy = f"if pictures jerk beside other programs: {limits}, be in the group audio, log in again"
    return Finding("priority", "ok", "pictures are presented as other programs run", remedy)


def _midi() -> Finding:
    """Asks in a process of its own anyhow."""
    from livelav.control.midi import list_ports

    try:
        ports = list_ports()
    except MidiError as error:
        return Finding("controllers", "warn", *_split(error))
    return Finding("controllers", "ok", ", ".join(ports) or "none plugged in")


def _split(error: LivelavError | str) -> tuple[str, str]:
    """(what, remedy) of an error's line."""
    what, _, remedy = str(error).partition("; ")
    return what, remedy or SET_UP


_PROBES: dict[str, Callable[..., Finding]] = {
    "package": _package,
    "display": _display,
    "headless": _headless,
    "sound": _sound,
    "priority": _priority,
}

if __name__ == "__main__":
    print(json.dumps(asdict(_PROBES[sys.argv[1]](*sys.argv[2:]))))
