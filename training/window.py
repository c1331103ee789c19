"""What happened since the last report, and the line of progress that tells it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from training.journal import duration
from training.losses import Scores


class Window:
    """Means since the last report: loss, terms, PSNR, pictures a second, share of the time spent waiting for data.

    A figure that some steps do not have, such as a term that needs clear pictures, is the mean over those that do.

    Args:
        pictures: of a step, in all processes.
        held: of a run that goes on, from `held`: what it had seen since its last report.

    Attributes:
        last_step_s: how long the last step took, in seconds.
    """

    def __init__(self, pictures: int, held: Mapping[str, Any] | None = None) -> None:
        self._pictures = pictures
        self._sums: dict[str, tuple[float, int]] = {}
        self.reset()
        if held:
            self._steps, self._elapsed_s, self._waited_s = held["steps"], held["elapsed_s"], held["waited_s"]
            self._sums = {name: (total, count) for name, (total, count) in held["sums"].items()}
        self.last_step_s = 0.0
        self._waited_before_s = 0.0
        self.resume()

    def held(self) -> dict[str, Any]:
        """What it takes to go on, as JSON knows it."""
        return {
            "steps": self._steps,
            "elapsed_s": self._elapsed_s,
            "waited_s": self._waited_s,
            "sums": dict(self._sums),
        }

    def reset(self) -> None:
        """Begin anew, after a report."""
        self._steps, self._elapsed_s, self._waited_s = 0, 0.0, 0.0
        self._sums = {}

    def resume(self) -> None:
        """Let the clock run on from now: what was done since the last step was no training."""
        self._previous_s = time.perf_counter()

    def add(self, scores: Scores, clear: Tensor, waited_s: float) -> None:
        """A step, and for how long the run has waited for data so far, in seconds."""
        now = time.perf_counter()
        self.last_step_s, self._previous_s = now - self._previous_s, now
        self._steps += 1
        self._elapsed_s += self.last_step_s
        self._waited_s += waited_s - self._waited_before_s
        self._waited_before_s = waited_s
        values = {name: float(value.detach()) for name, value in {"loss": scores.loss, **scores.terms}.items()}
        values["psnr_db"] = mean_psnr_db(scores.dehazed, clear)
        for name, value in values.items():
            if not math.isnan(value):
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = total + value, count + 1

    def figures(self) -> dict[str, float]:
        """After at least one step."""
        elapsed_s = max(self._elapsed_s, 1e-9)
        return {
            **{name: total / count for name, (total, count) in self._sums.items()},
            "pictures_per_s": self._pictures * self._steps / elapsed_s,
            "data_wait_share": self._waited_s / elapsed_s,
        }

    def text(self, step: int, steps: int) -> str:
        figures = self.figures()
        left_s = (steps - step) * self._pictures / figures["pictures_per_s"]
        psnr = f"PSNR {figures['psnr_db']:.2f} dB  " if "psnr_db" in figures else ""
        return (
            f"step {step}/{steps}  loss {figures['loss']:.4f}  {psnr}"
            f"{figures['pictures_per_s']:.1f} pictures/s  {duration(left_s)} left  "
            f"waiting for data {figures['data_wait_share']:.1%}"
        )


@torch.no_grad()
def mean_psnr_db(dehazed: Tensor, clear: Tensor) -> float:
    """Mean PSNR of a batch (N, 3, H, W), clipped to [0, 1], without pictures whose clear one is NaN; NaN if all are."""
    mse = ((dehazed.clamp(0, 1) - clear.to(dehazed.device)) ** 2).mean((1, 2, 3))
    return float((-10 * torch.log10(mse + 1e-10)).nanmean())
