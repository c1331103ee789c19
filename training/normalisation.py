"""Batch normalisation over the batches of all processes, where torch has none (it synchronises on GPUs only)."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes, and of its gradient on the way back."""

    @staticmethod
    def forward(_context, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        torch.distributed.all_reduce(total)
        return total


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose statistics are those of every process's batch together; gradients pass through."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = torch.cat([values.sum((0, 2, 3)), (values * values).sum((0, 2, 3)), count])
        sums = _Sum.apply(sums)
        total = sums[-1]
        mean = sums[: self.num_features] / total
        variance = sums[self.num_features : -1] / total - mean * mean
        with torch.no_grad():
            share = 1 - self.momentum if self.momentum is not None else 0.9
            assert self.running_mean is not None and self.running_var is not None
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
            self.running_mean.mul_(share).add_(mean, alpha=1 - share)
            self.running_var.mul_(share).add_(variance * total / (total - 1), alpha=1 - share)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


def synchronised(module: nn.Module, device: torch.device) -> nn.Module:
    """The module with every batch normalisation replaced by one over all processes; the names of weights stay."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            other = GlobalBatchNorm2d(child.num_features, child.eps, child.momentum)
            other.load_state_dict(child.state_dict())
            other.train(child.training)
            setattr(module, name, other)
        else:
            synchronised(child, device)
    return module
