"""How far a long step is, on stderr: a bar on a terminal, a line for each step elsewhere. Knows nothing of the work."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from livelav.core.errors import one_line, tell


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[str, float], None]]:
    """Gives what is to be called with (step, how much of it is done, 0..1), as often as one likes."""
    what, last = one_line(what), ""

    def say(step: str, _share: float) -> None:
        nonlocal last
        if step != last:
            last = step
            tell(f"{what}: {step}")

    if not sys.stderr.isatty():
        yield say
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(escape(what)), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda step, share: bar.update(task, description=step, completed=share)
