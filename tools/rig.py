"""The virtual rig: a display, a sound server and a MIDI server on a machine that has none of them.

`python tools/rig.py run COMMAND...` runs a command inside a rig of its own and stops everything afterwards. Tests
inside reach the running rig through `Rig.attach()`. Several rigs stand side by side: each has its own folder,
display number, sockets and JACK server, and its programs die with whoever started them, even by `kill -9`.

Xvfb draws with Mesa's llvmpipe; `--monitors 2` puts Xorg's dummy driver in its place, whose monitors can be
unplugged and change their mode. PulseAudio has a null sink `lav`, whose monitor is the default source (what
`--input loopback` takes), and a source `lavmic`, fed by the sink `lavmic_in`; jackd's dummy driver carries MIDI, in
real time where it may: without, it loses messages beside what fills all cores.
Linux only. Knows nothing of livelav. numpy and Pillow are used by the helpers for tests alone.
"""

import argparse
import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# program -> its package in Debian
SOUND = {
    "pulseaudio": "pulseaudio",
    "pactl": "pulseaudio-utils",
    "pacat": "pulseaudio-utils",
    "jackd": "jackd2",
    "jack_wait": "jackd2",
}
TWO_MONITORS = {"Xorg": "xserver-xorg-core", "xrandr": "x11-xserver-utils"}
DUMMY_DRIVER = "xserver-xorg-video-dummy"
DUMMY_DRIVER_FILE = "/usr/lib*/xorg/modules/drivers/dummy_drv.so"
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")  # Linux ends the program when its parent is gone
SINK, MIC_SINK, MIC = "lav", "lavmic_in", "lavmic"
SCREEN = "Xvfb_screen0"  # the name that Xvfb gives the file of its first screen

# PortAudio reaches PulseAudio only through ALSA's plugin; these names show up among its devices
ALSA_CONF = """\
</usr/share/alsa/alsa.conf>
pcm.lav_monitor { type pulse device "lav.monitor" hint { show on description "rig: loopback" } }
pcm.lav_sink { type pulse device "lav" hint { show on description "rig: output" } }
pcm.lav_mic { type pulse device "lavmic" hint { show on description "rig: microphone" } }
"""

# the host's keyboards, cards and consoles are left alone; every mode of its own list fits twice into the space
XORG_CONF = """\
Section "ServerFlags"
  Option "AutoAddDevices" "false"
  Option "AutoAddGPU" "false"
  Option "DontVTSwitch" "true"
EndSection
Section "Monitor"
  Identifier "monitor"
  HorizSync 5-1000
  VertRefresh 5-1000
EndSection
Section "Device"
  Identifier "card"
  Driver "dummy"
  VideoRam 65536
EndSection
Section "Screen"
  Identifier "screen"
  Device "card"
  Monitor "monitor"
  DefaultDepth 24
  SubSection "Display"
    Virtual 4096 2160
    Modes "%(width)dx%(height)d" "1024x576"
  EndSubSection
EndSection
"""
FIRST, SECOND = "DUMMY0", "DUMMY1"  # the dummy driver's monitors


class RigError(Exception):
    """Why there is no rig, in one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Rig:
    """A running rig, known by its folder; the programs' ids and logs lie there."""

    folder: Path

    @staticmethod
    def attach() -> "Rig":
        """The rig that this process runs in. Raises RigError outside of one."""
        folder = os.environ.get("LIVELAV_RIG_DIR")
        if os.environ.get("LIVELAV_RIG") != "1" or not folder:
            raise RigError("not inside a rig; start this with `python tools/rig.py run ...`")
        return Rig(Path(folder))

    @property
    def env(self) -> dict[str, str]:
        """The whole environment for a program inside the rig."""
        # a desktop's own servers must not be reached past the rig's
        foreign = ("PULSE_", "JACK_", "PIPEWIRE_", "WAYLAND_", "LIBGL_", "XAUTHORITY")
        ours: dict[str, str] = json.loads((self.folder / "env.json").read_text())
        return {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | ours

    # ---- sound

    def play(self, samples: "NDArray[np.float32]", rate_hz: int = 48_000, sink: str = SINK) -> None:
        """Plays samples [n] or [n, channels] into a sink and returns when the last has been played."""
        with self.playing(samples, rate_hz, sink) as player:
            player.wait()

    @contextlib.contextmanager
    def playing(
        self, samples: "NDArray[np.float32]", rate_hz: int = 48_000, sink: str = SINK
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Plays meanwhile; yields the player, and ends it on leaving, played to the end or not."""
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        descriptor, name = tempfile.mkstemp(suffix=".f32", dir=self.folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(samples.astype("<f4").tobytes())
        player = subprocess.Popen([*_pacat(sink, rate_hz, channels), name], env=self.env, stdin=subprocess.DEVNULL)
        try:
            yield player
        finally:
            player.kill()
            player.wait()
            os.unlink(name)

    def sinks(self) -> list[str]:
        """The names of the sound server's sinks."""
        return [line.split("\t")[1] for line in self.pactl("list", "short", "sinks").splitlines()]

    def sources(self) -> list[str]:
        """The names of the sound server's sources, monitors among them."""
        return [line.split("\t")[1] for line in self.pactl("list", "short", "sources").splitlines()]

    def load_sink(self, name: str, rate_hz: int = 48_000) -> None:
        """Plugs a null sink in."""
        arguments = [
            "load-module",
            "module-null-sink",
            f"sink_name={name}",
            f"rate={rate_hz}",
            "channels=2",
            "format=float32le",
            f"sink_properties=device.description={name}",
        ]
        try:
            self.pactl(*arguments, "norewinds=1")  # else an idle sink answers a new capture only after up to 2 s
        except RigError:
            self.pactl(*arguments)  # PulseAudio before 16 does not know the word
        if name == SINK:
            self.pactl("set-default-sink", SINK)
            self.pactl("set-default-source", f"{SINK}.monitor")
            # a silent player keeps the sink awake, its period short, and its rate from following the first other player
            self._spawn("keeper", [*_pacat(SINK, rate_hz, 2), "/dev/zero"])

    def unload_sink(self, name: str) -> None:
        """Pulls a null sink out, and its monitor with it. Raises RigError where there is none."""
        for line in self.pactl("list", "short", "modules").splitlines():
            index, module, arguments = [*line.split("\t"), "", ""][:3]
            if module == "module-null-sink" and f"sink_name={name}" in arguments.split():
                if name == SINK:  # else the keeper moves on to the next sink, and back to this one when it returns
                    _stop(self._pid("keeper"), patience_s=1.0)
                self.pactl("unload-module", index)
                return
        raise RigError(f"no sink {name!r} to unload: there are {', '.join(self.sinks())}")

    def stop_sound(self) -> None:
        """Hangs the sound server: it keeps its sockets and answers nothing."""
        os.kill(self._pid("pulse"), signal.SIGSTOP)

    def continue_sound(self) -> None:
        """Ends the hanging."""
        os.kill(self._pid("pulse"), signal.SIGCONT)

    def sound_lives(self) -> bool:
        """Whether the sound server's process runs, hung or not."""
        return _lives(self._pid("pulse"))

    def kill_sound(self) -> None:
        """Kills the sound server, as a crash would."""
        _stop(self._pid("pulse"), patience_s=0)

    def start_sound(self) -> None:
        """Starts the sound server with its sinks. Raises RigError where it does not come up."""
        path = self.folder / "pulse.sock"
        path.unlink(missing_ok=True)
        protocol = f"module-native-protocol-unix auth-anonymous=1 socket={path}"
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        self._spawn(
            "pulse",
            [*command, "--realtime=yes", "--high-priority=yes", "-L", protocol],
            XDG_RUNTIME_DIR="xdg",
            HOME="xdg",
        )
        self._wait("pulse", lambda: _answers(path))
        self.load_sink(SINK)
        self.load_sink(MIC_SINK)
        self.pactl("load-module", "module-remap-source", f"master={MIC_SINK}.monitor", f"source_name={MIC}")

    def pactl(self, *arguments: str) -> str:
        """What pactl answers. Raises RigError where it fails or hangs."""
        try:
            done = subprocess.run(
                ["pactl", *arguments], env=self.env, capture_output=True, text=True, timeout=10, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise RigError(f"pactl {arguments[0]}: the sound server does not answer") from error
        if done.returncode:
            raise RigError(f"pactl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    # ---- picture

    def screenshot(self) -> "NDArray[np.uint8]":
        """The whole screen as [height, width, 3], RGB, top row first."""
        import numpy as np

        if not (self.folder / SCREEN).exists():
            from PIL import ImageGrab

            return np.asarray(ImageGrab.grab(xdisplay=self.env["DISPLAY"]).convert("RGB"))
        content = (self.folder / SCREEN).read_bytes()  # Xvfb keeps its frame buffer in an XWD file
        header = struct.unpack(">25I", content[:100])
        start, width, height, row, colours = header[0], header[4], header[5], header[12], header[19]
        bgrx = np.frombuffer(content, np.uint8, height * row, start + colours * 12).reshape(height, row)
        return np.ascontiguousarray(bgrx[:, : width * 4].reshape(height, width, 4)[..., 2::-1])

    def save_screenshot(self, path: Path) -> None:
        """The whole screen as a PNG."""
        from PIL import Image

        Image.fromarray(self.screenshot()).save(path)

    def plug(self, monitor: str, mode: str = "1024x576", x: int = 1280) -> None:
        """Plugs a monitor of a rig with two in, its left edge at `x`; one that is there changes mode and place."""
        if f"{monitor} connected" not in self.xrandr():
            self.xrandr("--addmode", monitor, mode)
        self.xrandr("--output", monitor, "--mode", mode, "--pos", f"{x}x0")
        self.xrandr()  # probes again: programs read a list in which the monitor is disconnected still

    def unplug(self, monitor: str) -> None:
        """Pulls a monitor of a rig with two out."""
        self.xrandr("--output", monitor, "--off")

    def xrandr(self, *arguments: str) -> str:
        """What xrandr answers. Raises RigError where it fails."""
        done = subprocess.run(
            ["xrandr", *arguments], env=self.env, capture_output=True, text=True, timeout=10, check=False
        )
        if done.returncode:
            raise RigError(f"xrandr {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    # ---- programs

    def _spawn(self, name: str, command: Sequence[str], pass_fds: Sequence[int] = (), **folders: str) -> None:
        """Starts a program that dies with this process; its output goes to NAME.log."""
        extra = {variable: str(self.folder / folder) for variable, folder in folders.items()}
        with (self.folder / f"{name}.log").open("ab") as log:
            program = subprocess.Popen(
                [*DIE_WITH_PARENT, *command],
                env=self.env | extra,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,  # Ctrl-C is for the command inside, not for the rig
            )
        (self.folder / f"{name}.pid").write_text(str(program.pid))

    def _pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def _wait(self, name: str, ready: Callable[[], bool], most_s: float = 10.0) -> None:
        """Until `ready()`. Raises RigError with what its log says where the program died or takes too long."""
        deadline = time.monotonic() + most_s
        while not ready():
            if not _lives(self._pid(name)) or time.monotonic() > deadline:
                said = (self.folder / f"{name}.log").read_text(errors="replace")
                raise RigError(f"{name} did not start: {_reason(said)}")
            time.sleep(0.02)

    def _start(self, width: int, height: int, monitors: int, sound: bool) -> None:
        (self.folder / "client.conf").write_text("autospawn = no\nauto-connect-display = no\n")
        (self.folder / "alsa.conf").write_text(ALSA_CONF)
        (self.folder / "xdg").mkdir(mode=0o700)
        jack = f"livelav-{self.folder.name[-8:]}"
        ours = {
            "LIVELAV_RIG": "1",
            "LIVELAV_RIG_DIR": str(self.folder),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "XDG_SESSION_TYPE": "x11",
            "PULSE_SERVER": f"unix:{self.folder / 'pulse.sock'}",
            "PULSE_CLIENTCONFIG": str(self.folder / "client.conf"),
            "PULSE_COOKIE": str(self.folder / "cookie"),
            "ALSA_CONFIG_PATH": str(self.folder / "alsa.conf"),
            "JACK_DEFAULT_SERVER": jack,
            "JACK_NO_START_SERVER": "1",
        }
        self._write_env(ours)
        read, write = os.pipe()
        with os.fdopen(read) as number, os.fdopen(write, "w") as sender:
            options = ["-displayfd", str(sender.fileno()), "-noreset", "-nolisten", "tcp"]
            server = self._xvfb(width, height) if monitors == 1 else self._xorg(width, height)
            self._spawn("display", [*server, *options], pass_fds=[sender.fileno()])
            if sound:
                # 128 samples: a message waits 2.7 ms at most; without real-time rights, which a container may lack
                self._spawn("jackd", ["jackd", "-R", "-n", jack, "-d", "dummy", "-r48000", "-p128", "-C0", "-P0"])
                self.start_sound()
            sender.close()  # the server's alone now: where that died, the line below reads an end and not for ever
            display = number.readline().strip()
        self._wait("display", lambda: display != "")
        self._write_env(ours | {"DISPLAY": f":{display}", "PULSE_SINK": SINK, "PULSE_SOURCE": f"{SINK}.monitor"})
        if monitors == 2:
            self.plug(SECOND, x=width)
        wait = ["jack_wait", "-s", jack, "-w", "-t", "10"]
        if sound and subprocess.run(wait, env=self.env, capture_output=True, check=False).returncode:
            self._wait("jackd", lambda: False, most_s=0)

    def _xvfb(self, width: int, height: int) -> list[str]:
        return ["Xvfb", "-screen", "0", f"{width}x{height}x24", "-fbdir", str(self.folder)]

    def _xorg(self, width: int, height: int) -> list[str]:
        conf = self.folder / "xorg.conf"
        conf.write_text(XORG_CONF % {"width": width, "height": height})
        # not by its wrapper, which lets only a person at the console start it, nor with the host's own settings
        paths = ("/usr/lib/xorg/Xorg", "/usr/libexec/Xorg", "/usr/lib/Xorg")
        server = next(filter(os.path.exists, paths), "Xorg")
        options = ["-config", str(conf), "-configdir", str(self.folder / "xdg"), "-logfile", "/dev/null"]
        return [server, *options, "-novtswitch", "-sharevts"]

    def _write_env(self, ours: Mapping[str, str]) -> None:
        (self.folder / "env.json").write_text(json.dumps(ours))

    def _end(self) -> None:
        for file in sorted(self.folder.glob("*.pid"), key=lambda f: f.name == "display.pid"):  # the display last
            _stop(int(file.read_text()), patience_s=2.0)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running(width: int = 1280, height: int = 720, monitors: int = 1, sound: bool = True) -> Iterator[Rig]:
    """A rig with a first monitor of that size, stopped on leaving; `sound=False` leaves out PulseAudio and JACK.

    A second monitor has 1024x576 and stands at the right of the first. Raises RigError where the rig cannot start.
    """
    if sys.platform != "linux":
        raise RigError("the rig needs Linux")
    display = TWO_MONITORS if monitors == 2 else {"Xvfb": "xvfb"}
    programs = display | {"setpriv": "util-linux"} | (SOUND if sound else {})
    lacking = {package for program, package in programs.items() if not shutil.which(program)}
    if monitors == 2 and not glob.glob(DUMMY_DRIVER_FILE):
        lacking.add(DUMMY_DRIVER)
    if lacking:
        raise RigError(f"programs are missing: sudo apt-get install {' '.join(sorted(lacking))}")
    rig = Rig(Path(tempfile.mkdtemp(prefix="livelav-rig-")))
    try:
        rig._start(width, height, monitors, sound)
        yield rig
    finally:
        rig._end()


def _pacat(sink: str, rate_hz: int, channels: int) -> list[str]:
    shape = [f"--rate={rate_hz}", f"--channels={channels}", "--format=float32le", "--raw"]
    return ["pacat", "--playback", f"--device={sink}", "--latency-msec=10", *shape]


def _reason(log: str) -> str:
    """The one line of a program's log that says why it ended."""
    _, fatal, after = log.partition("Fatal server error:")  # X servers say it before their farewells
    lines = [line.replace("(EE)", "").strip() for line in (after if fatal else log).splitlines()]
    lines = [line for line in lines if line]
    return (lines[0] if fatal else lines[-1]) if lines else "it said nothing"


def _answers(path: Path) -> bool:
    """Whether a server listens at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _lives(pid: int) -> bool:
    """Whether the process runs; one that has ended but was not yet waited for does not."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # somebody else's child: it was started inside the rig
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _stop(pid: int, patience_s: float) -> None:
    """Ends a process, in earnest after `patience_s`."""
    deadline = time.monotonic() + patience_s
    with contextlib.suppress(ProcessLookupError):
        if patience_s:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)  # a stopped one could not heed it
        while _lives(pid):
            if time.monotonic() >= deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _terminate(*_: Any) -> None:
    sys.exit(143)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="rig.py", description="A virtual display, sound server and MIDI server.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run a command inside a rig")
    run.add_argument("--monitors", type=int, choices=(1, 2), default=1, help="2: they can be unplugged (1)")
    run.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args(arguments)
    command: list[str] = asked.command
    if not command:
        parser.error("run what? give a command")
    if not shutil.which(command[0]):
        print(f"rig: no program {command[0]!r}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, _terminate)
    try:
        with (
            running(monitors=asked.monitors) as rig,
            subprocess.Popen([*DIE_WITH_PARENT, *command], env=rig.env) as inside,
        ):
            try:
                return inside.wait()
            except BaseException:
                _stop(inside.pid, patience_s=5.0)
                raise
    except RigError as error:
        print(f"rig: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
