"""What a network costs: multiply-accumulates of one call, counted layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

COUNTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def multiply_accumulates(module: nn.Module, *inputs: Tensor) -> int:
    """MACs of the convolutions and linear layers in one call; additions, activations and resizing are not counted."""
    total = 0

    def count(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, COUNTED)
        each = layer.weight[0].numel()  # of one value of the output; of the input for a transposed convolution
        total += each * (given[0] if isinstance(layer, nn.ConvTranspose2d) else output).numel()

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if isinstance(layer, COUNTED)]
    try:
        with torch.inference_mode():
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total
