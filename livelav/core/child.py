"""What Python processes of livelav's are started with: a command line that runs one of its modules, and deaf ears.

Modules come from where the caller's do. With `python -m` they would come first from the folder that livelav was started
in, where a stranger's file may have brought a numpy.py along.
"""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator

_START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def python(module: str, *arguments: str) -> list[str]:
    """What to start so that `module` is the main program, with `arguments` in sys.argv."""
    return [sys.executable, "-P", "-c", _START, json.dumps(sys.path), module, *arguments]


@contextlib.contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started meanwhile never hear Ctrl-C, SIGTERM or SIGHUP: those reach the whole group, and main alone
    says when to stop, so that nobody dies in the middle of an import or a recording."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    ours = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    try:
        resource_tracker.ensure_running()  # now, for starting it ends the blocking
        signal.pthread_sigmask(signal.SIG_BLOCK, ours)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
