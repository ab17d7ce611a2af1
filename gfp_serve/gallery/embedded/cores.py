"""Cores are shared between the searches of this process that run at once.

FAISS starts a thread on every core for each call, whoever else calls it, and these threads wait for each other. On two
cores, two exact searches of 32 queries over 40,000 vectors at once answered 0.45 times as much as on one thread
each, and four 0.07 times (`benchmarks/gallery.py cores`).
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss

from gfp_serve.cores import cpu_limit


class Cores:
    """Counts searches that run at once, and gives each its share of the cores."""

    def __init__(self) -> None:
        self._num_searching = 0
        self._counting = threading.Lock()
        self._limit = cpu_limit()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Let FAISS use this thread's share of the cores in the block: all of them, divided by the searches that run.

        "All" is what FAISS would use otherwise in this thread, which OMP_NUM_THREADS may say, but no more than a
        container may use.
        """
        usual = max(1, math.ceil(min(faiss.omp_get_max_threads(), self._limit)))
        with self._counting:
            self._num_searching += 1
            share = max(1, usual // self._num_searching)
        faiss.omp_set_num_threads(share)  # counts for calls from this thread only
        try:
            yield
        finally:
            faiss.omp_set_num_threads(usual)
            with self._counting:
                self._num_searching -= 1


# Of the whole process, because galleries share its cores too.
CORES = Cores()
