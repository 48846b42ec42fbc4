"""What livelav and its tests need of the operating system, how to see that it is there, and how to get it.

Linux only: elsewhere the Python packages bring all that they need. Looks for the thing itself (a library by its
soname, a program by its name), not for a package. Source: the load lists of the wheels (PortAudio and PulseAudio
are opened by name; GLFW opens X11's libraries; OpenGL comes through GLVND and a vendor's driver).
"""

import ctypes
import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Need:
    """One thing and the packages that bring it. Any one of `libraries`, `files` or `programs` is enough."""

    apt: str
    dnf: str
    pacman: str
    libraries: tuple[str, ...] = ()  # sonames
    files: tuple[str, ...] = ()  # glob patterns
    programs: tuple[str, ...] = ()

    def is_met(self) -> bool:
        return (
            any(map(_loads, self.libraries))
            or any(glob.glob(pattern) for pattern in self.files)
            or any(shutil.which(program) for program in self.programs)
        )


LIVELAV: tuple[Need, ...] = (
    Need("libportaudio2", "portaudio", "portaudio", libraries=("libportaudio.so.2",)),
    Need("libpulse0", "pulseaudio-libs", "libpulse", libraries=("libpulse.so.0",)),
    Need(
        "libasound2-plugins",
        "alsa-plugins-pulseaudio",
        "alsa-plugins",
        files=tuple(f"/usr/{lib}/alsa-lib/libasound_module_pcm_pulse.so" for lib in ("lib", "lib64", "lib/*")),
    ),
    Need("libgl1", "libglvnd-glx", "libglvnd", libraries=("libGL.so.1",)),
    Need("libegl1", "libglvnd-egl", "libglvnd", libraries=("libEGL.so.1",)),
    Need("libglx-mesa0", "mesa-libGL", "mesa", libraries=("libGLX_nvidia.so.0", "libGLX_mesa.so.0")),
    Need("libegl-mesa0", "mesa-libEGL", "mesa", libraries=("libEGL_nvidia.so.0", "libEGL_mesa.so.0")),
    Need("libxcursor1", "libXcursor", "libxcursor", libraries=("libXcursor.so.1",)),
    Need("libxi6", "libXi", "libxi", libraries=("libXi.so.6",)),
    Need("libxinerama1", "libXinerama", "libxinerama", libraries=("libXinerama.so.1",)),
    Need("libxrandr2", "libXrandr", "libxrandr", libraries=("libXrandr.so.2",)),
)

RIG: tuple[Need, ...] = (
    Need("xvfb", "xorg-x11-server-Xvfb", "xorg-server-xvfb", programs=("Xvfb",)),
    # two monitors that can be unplugged
    Need("xserver-xorg-core", "xorg-x11-server-Xorg", "xorg-server", programs=("Xorg",)),
    Need(
        "xserver-xorg-video-dummy",
        "xorg-x11-drv-dummy",
        "xf86-video-dummy",
        files=("/usr/lib*/xorg/modules/drivers/dummy_drv.so",),
    ),
    Need("x11-xserver-utils", "xrandr", "xorg-xrandr", programs=("xrandr",)),
    Need("pulseaudio", "pulseaudio", "pulseaudio", programs=("pulseaudio",)),
    Need("pulseaudio-utils", "pulseaudio-utils", "libpulse", programs=("pactl",)),
    Need("jackd2", "jack-audio-connection-kit", "jack2", programs=("jackd",)),
    # llvmpipe: an NVIDIA driver on the machine does not draw into the rig's Xvfb
    Need("libglx-mesa0", "mesa-libGL", "mesa", libraries=("libGLX_mesa.so.0",)),
    Need("libegl-mesa0", "mesa-libEGL", "mesa", libraries=("libEGL_mesa.so.0",)),
)

# Debian keeps what `python -m venv` needs apart from Python itself
PYTHON_VENV = Need(
    f"python{sys.version_info.major}.{sys.version_info.minor}-venv",
    "python3",
    "python",
    files=(os.path.join(os.path.dirname(os.__file__), "ensurepip", "__init__.py"),),
)


def missing(needs: Sequence[Need]) -> list[Need]:
    """Those of `needs` that this machine lacks; nothing where it is not Linux."""
    return [need for need in needs if not need.is_met()] if sys.platform == "linux" else []


def mend(needs: Sequence[Need], say: Say) -> list[Need]:
    """Installs `needs` where it may (apt-get, as root or through a sudo that asks nothing); else says the line to type.

    Returns what is missing still. Never raises: much of livelav works without.
    """
    rights = _apt_rights()
    if rights is not None:
        say(f"installing from the system's packages: {_packages(needs, 'apt')}")
        _apt(rights, "update")  # a fresh container has no lists; one dead mirror of several is no reason to stop
        if not _apt(rights, "install", *{need.apt: None for need in needs}):
            for need in needs:  # one name that this release does not know must not keep the others out
                _apt(rights, "install", need.apt)
        needs = missing(needs)
    if needs:
        say(f"the system lacks {_packages(needs, 'apt')}; install with\n    {install_line(needs)}")
    return list(needs)


def install_line(needs: Sequence[Need]) -> str:
    """What a person types to install `needs` on this kind of Linux."""
    if not shutil.which("apt-get"):
        if shutil.which("dnf"):
            return f"sudo dnf install {_packages(needs, 'dnf')}"
        if shutil.which("pacman"):
            return f"sudo pacman -S --needed {_packages(needs, 'pacman')}"
    return f"sudo apt-get install {_packages(needs, 'apt')}"


def _packages(needs: Sequence[Need], manager: str) -> str:
    return " ".join({str(getattr(need, manager)): None for need in needs})


def _loads(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def _apt_rights() -> list[str] | None:
    """What to put before apt-get; None where it may not run, or is not there."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def _apt(rights: Sequence[str], verb: str, *packages: str) -> bool:
    options = ["-qq", "-o", "DPkg::Lock::Timeout=120"]
    if verb == "install":
        options += ["-y", "--no-install-recommends"]
    command = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *options, verb, *packages]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
    return done.returncode == 0
