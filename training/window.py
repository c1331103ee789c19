"""What happened since the last report, and the line of progress that tells it."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from training.journal import duration
from training.losses import Scores


class Window:
    """Means since the last report: loss, terms, PSNR, pictures a second, share of the time spent waiting for data."""

    def __init__(self, pictures: int) -> None:
        self._pictures = pictures
        self.reset(0.0)
        self._previous_s = time.perf_counter()
        self.last_step_s = 0.0

    def reset(self, waited_s: float) -> None:
        self._start_s, self._waited_before_s, self._waited_s = time.perf_counter(), waited_s, waited_s
        self._steps = 0
        self._sums: dict[str, float] = {}
        self._previous_s = self._start_s

    def add(self, scores: Scores, clear: Tensor, waited_s: float) -> None:
        now = time.perf_counter()
        self.last_step_s, self._previous_s = now - self._previous_s, now
        self._steps += 1
        self._waited_s = waited_s
        values = {name: float(value.detach()) for name, value in {"loss": scores.loss, **scores.terms}.items()}
        values["psnr_db"] = mean_psnr_db(scores.dehazed, clear)
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def figures(self) -> dict[str, float]:
        elapsed_s = max(time.perf_counter() - self._start_s, 1e-9)
        return {
            **{name: total / self._steps for name, total in self._sums.items()},
            "pictures_per_s": self._pictures * self._steps / elapsed_s,
            "data_wait_share": (self._waited_s - self._waited_before_s) / elapsed_s,
        }

    def text(self, step: int, steps: int) -> str:
        figures = self.figures()
        left_s = (steps - step) * self._pictures / figures["pictures_per_s"]
        return (
            f"step {step}/{steps}  loss {figures['loss']:.4f}  PSNR {figures['psnr_db']:.2f} dB  "
            f"{figures['pictures_per_s']:.1f} pictures/s  {duration(left_s)} left  "
            f"waiting for data {figures['data_wait_share']:.1%}"
        )


@torch.no_grad()
def mean_psnr_db(dehazed: Tensor, clear: Tensor) -> float:
    """Mean PSNR of a batch (N, 3, H, W), clipped to [0, 1]; pictures whose clear one is NaN are left out."""
    mse = ((dehazed.clamp(0, 1) - clear.to(dehazed.device)) ** 2).mean((1, 2, 3))
    return float((-10 * torch.log10(mse + 1e-10)).nanmean())
