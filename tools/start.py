"""Sets livelav up, once, and starts it: `python3 tools/start.py [anything that livelav takes]`.

Without arguments it runs `livelav --input loopback`. The first run makes `.venv` and installs what is missing;
later runs go straight on. Standard library only. Knows nothing of what livelav does with its arguments.
"""

import os
import subprocess
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one should read this line, not a SyntaxError
    sys.exit(
        "livelav needs Python 3.11 or newer; this is "
        + sys.version.split()[0]
        + ". Install a newer one and run for instance `python3.12 tools/start.py`"
    )

import _setup

DEFAULT_ARGUMENTS = ("--input", "loopback")


def main(arguments: list[str]) -> int:
    try:
        program = str(_setup.prepare(check=False).program("livelav"))
    except _setup.SetupError as error:
        print(f"start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("start: stopped; the next run goes on from here", file=sys.stderr)
        return 130
    command = [program, *(arguments or DEFAULT_ARGUMENTS)]
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(program, command)
    return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
