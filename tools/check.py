"""Everything that must hold before a change is good: lint, format, types, tests, tests in the virtual rig.

`python3 tools/check.py [--fast]` sets itself up first; `--fast` leaves the rig out. Exits with 1 if anything
failed, after having run all of it. Standard library only. Continuous integration runs exactly this.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator

if sys.version_info < (3, 11):  # noqa: UP036 - see start.py
    sys.exit("livelav needs Python 3.11 or newer; this is " + sys.version.split()[0])

import _setup


def steps(python: str, fast: bool) -> Iterator[tuple[str, list[str]]]:
    """(name, command) of each check, cheapest first."""
    yield "lint", [python, "-m", "ruff", "check", "."]
    yield "format", [python, "-m", "ruff", "format", "--check", "."]
    yield "types", [python, "-m", "mypy"]
    yield "tests", [python, "-m", "pytest", "-m", "not rig"]
    if not fast:
        yield "rig tests", [python, "tools/rig.py", "run", python, "-m", "pytest", "-m", "rig"]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="check.py", description="Lint, format, types and all tests of livelav.")
    parser.add_argument("--fast", action="store_true", help="without the tests that need the virtual rig")
    fast = parser.parse_args(arguments).fast
    try:
        python = str(_setup.prepare(check=True).python)
    except _setup.SetupError as error:
        print(f"check: {error}", file=sys.stderr)
        return 1
    failed, report = [], []
    for name, command in steps(python, fast):
        print(f"\n=== {name}: {' '.join(command[1:])}", flush=True)
        began_s = time.monotonic()
        code = subprocess.run(command, cwd=_setup.ROOT, stdin=subprocess.DEVNULL, env=_environment(), check=False)
        report.append(f"{name} {'FAILED' if code.returncode else 'ok'} ({time.monotonic() - began_s:.0f} s)")
        if code.returncode:
            failed.append(name)
    print(f"\ncheck: {', '.join(report)}")
    print(f"check: {'FAILED: ' + ', '.join(failed) if failed else 'all green'}", flush=True)
    return 1 if failed else 0


def _environment() -> dict[str, str]:
    """Ours, without a virtual environment of the caller's that would answer for the one made here."""
    return {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
