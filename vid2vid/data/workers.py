"""Processes that make training windows: forked, so that footage in memory is shared and not copied."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import cv2
from torch.utils.data import DataLoader, IterableDataset


def forked(windows: IterableDataset[Any], workers: int = 1, ahead: int = 6) -> Iterator[Any]:
    """What a stream makes, in the order it makes it, made by `workers` other processes that keep `ahead` items ready.

    OpenCV's pool of threads does not come along into a forked process, which waits forever as soon as it changes their
    number (OpenCV's pthreads backend): the pool is put away while the processes start, and they work without one.
    Nor do the threads of other libraries, on which their objects wait when they are thrown away: what is garbage goes
    before, and what is left is not collected in the new processes.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    gc.collect()
    gc.freeze()
    try:
        return iter(
            DataLoader(
                windows,
                batch_size=None,
                num_workers=workers,
                prefetch_factor=ahead,
                multiprocessing_context="fork",
            )
        )
    finally:
        gc.unfreeze()
        cv2.setNumThreads(threads)
