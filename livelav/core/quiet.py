"""Silence for drivers that write their troubles to descriptor 2. For processes that talk to such drivers only."""

import os
import sys


def mute_drivers() -> None:
    """What Python has to say still gets through; what C libraries print does not."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
