"""A function over parts in several processes of this machine, with few parts in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from multiprocessing import get_context

from retail_assets.engines.protocol import Part, Result


def in_processes(function: Callable[[Part], Result], parts: Iterable[Part], *, count: int) -> Iterator[Result]:
    """Results in the order of the parts; a single part stays in this process.

    Processes are spawned: threads of LightGBM and Arrow do not survive a fork. Twice as many parts as processes are
    in memory at most.

    Raises:
        concurrent.futures.process.BrokenProcessPool: a process was killed, by the system for its memory for example.
    """
    left = iter(parts)
    first = list(islice(left, 2))
    if count < 2 or len(first) < 2:
        yield from map(function, chain(first, left))
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[Result]] = deque()
        for part in chain(first, left):
            waiting.append(pool.submit(function, part))
            if len(waiting) >= 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
