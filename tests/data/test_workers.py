"""Forked processes that make windows."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from torch.utils.data import IterableDataset

from vid2vid.data.workers import forked


class Blurred(IterableDataset[float]):
    """Numbers from pictures large enough for several threads; it asks for one, as a worker does."""

    def __iter__(self) -> Iterator[float]:
        cv2.setNumThreads(1)
        for number in range(3):
            yield float(
                cv2.resize(np.full((800, 800, 3), number, np.uint8), (700, 700), interpolation=cv2.INTER_AREA).mean()
            )


@pytest.mark.robustness(61)
def test_a_worker_runs_though_opencv_had_its_threads_before() -> None:
    before = cv2.getNumThreads()
    try:
        assert list(Blurred()) == [0.0, 1.0, 2.0]
        cv2.setNumThreads(4)
        cv2.GaussianBlur(np.zeros((800, 800, 3), np.uint8), (0, 0), 3.0)
        assert list(forked(Blurred())) == [0.0, 1.0, 2.0]
        assert cv2.getNumThreads() == 4, "the caller has its threads again"
    finally:
        cv2.setNumThreads(before)
