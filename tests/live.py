"""Runs livelav as a user does, in a process of its own, for the tests of the whole program."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DEADLINE_S = 40.0
SAY_AGAIN_S = 4.0


class Run:
    """One `livelav` process; `stats` is what it last wrote."""

    def __init__(
        self, folder: Path, *args: str, headless: bool = True, program: tuple[str, ...] = ("livelav",)
    ) -> None:
        """`program`: the module that is run, and what comes before livelav's own arguments."""
        self.stats_path = folder / "stats.json"
        self.say_again: Any = None  # called every SAY_AGAIN_S while something is waited for: JACK loses single messages
        if headless:
            args = ("--headless", "--size", "320x180", *args)
        self.process = subprocess.Popen(
            [sys.executable, "-m", *program, *args, "--stats", str(self.stats_path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        )  # fmt: skip

    @property
    def stats(self) -> dict[str, Any]:
        return json.loads(self.stats_path.read_text()) if self.stats_path.exists() else {}

    def wait_for(self, condition: Any, what: str) -> dict[str, Any]:
        """Reads the statistics, which are written every second, until `condition(stats)` holds; returns them."""
        begin_s = said_s = time.monotonic()
        while time.monotonic() < begin_s + DEADLINE_S:
            if self.say_again and time.monotonic() - said_s > SAY_AGAIN_S:
                said_s = time.monotonic()
                self.say_again()
            stats = self.stats
            if stats and condition(stats):
                return stats
            if self.process.poll() is not None:
                raise AssertionError(f"livelav ended while waiting until {what}: {self.process.communicate()}")
            time.sleep(0.05)
        raise AssertionError(f"not within {DEADLINE_S} s: {what}; {self.stats}")

    def playing(self) -> dict[str, Any]:
        return self.wait_for(lambda s: s["present"]["presented"] > 5 and s["generate"]["images"] > 5, "it plays")

    def children(self) -> dict[str, int]:
        """Process ids by what they are: capture, synth, tracker."""
        import psutil

        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = " ".join(child.cmdline())
            except psutil.NoSuchProcess:  # it has ended meanwhile
                continue
            found["tracker" if "resource_tracker" in line else f"child{child.pid}"] = child.pid
        return found

    def end(self) -> None:
        """Ends it as a user would; what is killed with a connection to JACK leaves that server losing messages."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def finish(self, timeout_s: float = DEADLINE_S) -> tuple[int, str]:
        """(exit code, what it wrote to stderr)"""
        try:
            _, err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, err = self.process.communicate()
            raise AssertionError(f"livelav did not end within {timeout_s} s: {err}") from None
        return self.process.returncode, err


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc/self").exists() else True


def gone(pids: list[int], within_s: float) -> bool:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def livelav(folder: Path, *args: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of one short run."""
    done = subprocess.run(
        [sys.executable, "-m", "livelav", *args],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        cwd=folder,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
