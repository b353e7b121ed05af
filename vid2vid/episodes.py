"""Training windows in slots: each stays with one passage for an episode, then moves on; repeatable from any step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice

import numpy as np
from torch.utils.data import IterableDataset

from vid2vid.data.workers import forked
from vid2vid.errors import InvalidOption
from vid2vid.fitting import Window


class SlottedWindows(IterableDataset[Window], ABC):
    """Windows without end, one of each slot side by side in a batch.

    Args:
        slots: how many there are.
        seed: of everything random.
    """

    def __init__(self, *, slots: int, seed: int) -> None:
        self.slots, self.seed = slots, seed
        self._from = (0, 0, 1)

    @abstractmethod
    def slot(self, number: int, step: int) -> Iterator[Window]:
        """Windows of one slot without end, each a batch of one, from a step onwards."""

    def start(self, step: int, rank: int = 0, world: int = 1) -> Iterator[Window]:
        """Windows from a step onwards, made by another process; of several trainings each takes every `world`-th slot.

        Raises:
            InvalidOption: more trainings than slots.
        """
        if world > self.slots:
            raise InvalidOption(
                f"{world} processes share {self.slots} slots. Give batch={world} or more, or start fewer."
            )
        self._from = (step, rank, world)
        return self.elsewhere()

    def elsewhere(self) -> Iterator[Window]:
        """Goes through this stream in a process of its own."""
        return forked(self)

    def __iter__(self) -> Iterator[Window]:
        step, rank, world = self._from
        slots = [self.slot(number, step) for number in range(rank, self.slots, world)]
        while True:
            yield Window.together([next(slot) for slot in slots])

    def chance(self, slot: int, episode: int) -> np.random.Generator:
        """Where the random numbers of one passage come from."""
        return np.random.default_rng((self.seed, slot, episode))


class EpisodeWindows(SlottedWindows):
    """Windows in episodes of equal length; what one shows follows from (seed, slot, number of the episode) alone.

    Args:
        slots: how many there are.
        windows: how many an episode has.
        seed: of everything random.
    """

    def __init__(self, *, slots: int, windows: int, seed: int) -> None:
        super().__init__(slots=slots, seed=seed)
        self.windows = windows

    @abstractmethod
    def episode(self, rng: np.random.Generator) -> Iterator[Window]:
        """The windows of one episode, each a batch of one."""

    def slot(self, number: int, step: int) -> Iterator[Window]:
        """Windows of one slot; an episode that is under way at the step goes on where it is."""
        episode, skipped = divmod(step, self.windows)
        while True:
            yield from islice(self.episode(self.chance(number, episode)), skipped, self.windows)
            episode, skipped = episode + 1, 0
