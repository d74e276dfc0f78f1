"""Scans side by side: one thread a core, each with PyTorch and BLAS on one core, results in order.

A network as small as these, on one scan at a time, leaves cores waiting for each other; whole scans do not. BLAS
threads (NumPy, SciPy) wait by spinning, some 50 ms after each small product, on cores that networks need. The numbers
are the same whatever the number of cores.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")

MAX_WORKERS = 8


def in_order(function: Callable[[T], R], items: Iterable[T], num_workers: int | None = None) -> Iterator[R]:
    """Results of a function for each item, in order; at most twice as many as workers wait to be taken.

    num_workers None: one a core that PyTorch uses. While it runs, PyTorch and BLAS work on one core a thread.
    """
    num_threads = torch.get_num_threads()
    num_workers = num_workers or min(num_threads, MAX_WORKERS)
    torch.set_num_threads(1)
    blas = threadpool_limits(1, user_api="blas")
    pool = ThreadPoolExecutor(num_workers)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        blas.restore_original_limits()
        torch.set_num_threads(num_threads)
