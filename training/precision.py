"""Autocast on the processor, made safe."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Float32Conv2d(nn.Conv2d):
    """A convolution that computes in float32 whatever autocast says."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def keep_dilated_depthwise_in_float32(module: nn.Module) -> nn.Module:
    """Take the dilated depthwise convolutions out of autocast, in place.

    Their weights' gradient in bfloat16 on the processor (torch 2.13, oneDNN) is now and then made of memory that
    nobody wrote: 1e30 where 0.01 is right. They are a small part of the time.
    """
    for layer in module.modules():
        if type(layer) is nn.Conv2d and layer.groups == layer.in_channels > 1 and max(layer.dilation) > 1:
            layer.__class__ = Float32Conv2d
    return module
