"""Work that is done side by side and comes out in order: a few threads, each with one thing to do, never far ahead.

What is computed outside Python (a network, an encoder) runs on other cores meanwhile. The same comes out, in the same
order, as if it were done one after the other; what goes wrong is raised where the result is asked for. Knows nothing of
the work. Threads end with the iterator, or the `with`, that began them.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


def mapped(work: Callable[[A], B], items: Iterator[A], threads: int) -> Generator[tuple[A, B], None, None]:
    """Each item with what `work` makes of it, by so many threads at a time, at most twice as many before they are asked
    for. `items` are asked for in the caller's thread."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[A, Future[B]]] = deque()
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > 2 * threads:
                first, made = waiting.popleft()
                yield first, made.result()
        while waiting:
            first, made = waiting.popleft()
            yield first, made.result()


@contextmanager
def behind(most: int) -> Iterator[Callable[..., None]]:
    """Gives `do(work, *arguments)`, which has it done in a thread of its own, in order; it waits where `most` calls are
    not done yet. It raises what an earlier call raised, as the end of the `with` does, where all is done."""
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[Any]] = deque()

        def do(work: Callable[..., Any], *arguments: Any) -> None:
            if len(waiting) >= most:
                waiting.popleft().result()
            waiting.append(thread.submit(work, *arguments))

        try:
            yield do
        finally:
            while waiting:
                waiting.popleft().result()
