"""The optimizer and the learning rate's way through a run."""

from __future__ import annotations

import math

import torch
from torch import nn


def adamw(network: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) over what is trained; biases and normalisations do not decay."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate)


def rate(step: int, steps: int, warmup: int, highest: float, final: float) -> float:
    """Learning rate of a step (counted from 0): linear warm-up, then a cosine from `highest` to `final * highest`."""
    rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return highest * rising * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * step / steps)))
