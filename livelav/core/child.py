"""The command line of a Python process that runs one of livelav's modules.

Modules come from where the caller's do. With `python -m` they would come first from the folder that livelav was started
in, where a stranger's file may have brought a numpy.py along.
"""

import json
import sys

_START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def python(module: str, *arguments: str) -> list[str]:
    """What to start so that `module` is the main program, with `arguments` in sys.argv."""
    return [sys.executable, "-P", "-c", _START, json.dumps(sys.path), module, *arguments]
