"""The exponential moving average of a model's weights: what is validated, saved and shipped."""

from __future__ import annotations

import copy

import torch
from torch import nn

SLOW_START = 50  # the average of the first steps forgets faster, or it would remember the random start for long


class Average:
    """Holds `module`, in eval mode, whose weights and statistics follow those of another.

    Args:
        model: the one that is trained.
        keep: how much of the average is kept at each step; 0 copies the model.
    """

    def __init__(self, model: nn.Module, keep: float) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self._keep = keep
        self._pairs = list(zip(self.module.state_dict().values(), model.state_dict().values(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after update number `step`, counted from 1."""
        keep = min(self._keep, step / (step + SLOW_START)) if self._keep else 0.0
        floating = [(mine, theirs) for mine, theirs in self._pairs if mine.is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in floating], [theirs for _, theirs in floating], 1 - keep)
        for mine, theirs in self._pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)
