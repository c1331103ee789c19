"""Batches for every process: step s of rank r of R takes the samples s B R + r B ... s B R + r B + B - 1."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler


@dataclass(frozen=True)
class Share:
    """One process's share of every step: its rank among `ranks`, and its pictures a step."""

    batch: int
    rank: int = 0
    ranks: int = 1

    def indices(self, step: int, length: int) -> list[int]:
        """The samples of a step (counted from 0); a dataset that is not endless begins anew."""
        first = (step * self.ranks + self.rank) * self.batch
        return [index % length for index in range(first, first + self.batch)]


class StepSampler(Sampler[list[int]]):
    """The samples of each of the steps."""

    def __init__(self, share: Share, length: int, steps: range) -> None:
        self.share, self.length, self.steps = share, length, steps

    def __iter__(self) -> Iterator[list[int]]:
        return (self.share.indices(step, self.length) for step in self.steps)

    def __len__(self) -> int:
        return len(self.steps)


class Batches:
    """Hazy pictures, clear ones and known haze, a batch a step, made ahead by worker processes.

    Attributes:
        waited_s: how long `next` waited for pictures, all in all.
    """

    def __init__(self, dataset: Dataset, share: Share, steps: range, *, workers: int, pin: bool = False) -> None:
        sampler = StepSampler(share, len(dataset), steps)  # type: ignore[arg-type]
        self._loader = iter(
            DataLoader(
                dataset,
                batch_sampler=sampler,
                num_workers=workers,
                pin_memory=pin,
                prefetch_factor=8 if workers else None,
                worker_init_fn=_leave_signals_to_the_trainer if workers else None,
            )
        )
        self.waited_s = 0.0

    def __next__(self) -> tuple[Tensor, Tensor, Tensor]:
        start = time.perf_counter()
        hazy, clear, haze = next(self._loader)
        self.waited_s += time.perf_counter() - start
        return hazy, clear, haze


def _leave_signals_to_the_trainer(_worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; a worker that died of it would take the last step with it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
