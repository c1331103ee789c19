"""INT8 arithmetic imitated in torch, so that a model can learn with its rounding.

Targets do not all round the same layers (docs/int8.md). What openvino and onnx both leave in float is float here too;
rpi rounds that as well, openvino leaves the first layers in float beside it, and jetson the fine ones.

Weights are rounded by output channel around 0, inputs of layers by tensor with a zero point, as the targets do it.
Rounding passes gradients on unchanged within a range and stops them outside (straight-through estimator, Jacob et al.
2018). Ranges come from calibration pictures and stay; a batch normalisation keeps its statistics, so that folding it
into the convolution before it changes nothing of what was learnt: it only scales the channels of the rounded weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.losses import Objective, Scores
from training.models.grid import HEADS

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
LEAST_SPAN = 1 / 64
Range = tuple[float, float]


def rounded_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers that the onnx target puts into INT8, by name, in a fixed order."""
    kept = _float_layers(model) if hasattr(model, "predict") else set()
    return [(name, module) for name, module in model.named_modules() if isinstance(module, LAYERS) and name not in kept]


def _float_layers(model: Any) -> set[str]:
    """Names of a grid model's layers that openvino and onnx leave in float: those of its exported graph, which may join
    layers of several networks."""
    from quantization.layers import exits, heads, pooled
    from training.tracing import Predict, traced

    fused = copy.deepcopy(model).eval().fuse()
    graph = traced(Predict(fused), torch.zeros(1, 3, *model.size), ["cell", "airlight"])
    kept = {*heads(graph), *exits(graph), *pooled(graph)}
    names = {name for name, _ in model.named_modules()}
    joined = {name for name in names if f"beside.{name.partition('.')[2]}" in kept}  # of Experts of one form
    return kept | joined | {name for name in names if name.rpartition(".")[2] in HEADS}


@torch.no_grad()
def input_ranges(model: nn.Module, pictures: Iterable[np.ndarray]) -> dict[str, Range]:
    """What each layer of a model in eval mode takes in over calibration pictures (uint8 RGB (H, W, 3)); holds 0."""
    found: dict[str, Range] = {}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = (float(v) for v in inputs[0].aminmax())
            before = found.get(name, (0.0, LEAST_SPAN))
            found[name] = (min(low, before[0]), max(high, before[1]))

        return hook

    hooks = [module.register_forward_pre_hook(note(name)) for name, module in rounded_layers(model)]
    try:
        for picture in pictures:
            model(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
    finally:
        for hook in hooks:
            hook.remove()
    return found


@contextmanager
def rounded(model: nn.Module, ranges: dict[str, Range]) -> Iterator[None]:
    """Within it, the layers of these names compute with rounded inputs and weights."""
    layers = [(module, ranges[name]) for name, module in model.named_modules() if name in ranges]
    for module, span in layers:
        module.forward = _rounding(module, span)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module, _ in layers:
            del module.forward  # the class's own is there again


class RoundedObjective(nn.Module):
    """Another objective, with the model's layers rounded and its normalisations fixed.

    Args:
        inner: called as any `training.losses.Objective`.
        ranges: of `input_ranges`.
    """

    def __init__(self, inner: Objective, ranges: dict[str, Range]) -> None:
        super().__init__()
        self.inner, self._ranges = inner, ranges

    def forward(self, model: nn.Module, hazy: Tensor, clear: Tensor, haze: Tensor) -> Scores:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        # A launcher's wrappers stand before the names that the ranges have.
        names = [name for name, module in model.named_modules() if isinstance(module, LAYERS)]
        ranges = {
            name: span for known, span in self._ranges.items() for name in names if f".{name}".endswith(f".{known}")
        }
        with rounded(model, ranges):
            return self.inner(model, hazy, clear, haze)


def _rounding(module: Any, span: Range) -> Any:
    scale = (span[1] - span[0]) / 255
    zero = round(-span[0] / scale)
    axis = 1 if isinstance(module, nn.ConvTranspose2d) else 0

    def forward(x: Tensor) -> Tensor:
        x = torch.fake_quantize_per_tensor_affine(x.float(), scale, zero, 0, 255)
        weight = module.weight.float()
        largest = weight.detach().abs().amax([d for d in range(weight.ndim) if d != axis]).clamp(min=1e-8)
        zeros = torch.zeros_like(largest, dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(weight, largest / 127, zeros, axis, -127, 127)
        if isinstance(module, nn.Conv2d):
            return module._conv_forward(x, weight, module.bias)
        if isinstance(module, nn.Linear):
            return F.linear(x, weight, module.bias)
        return F.conv_transpose2d(
            x,
            weight,
            module.bias,
            module.stride,
            module.padding,
            module.output_padding,
            module.groups,
            module.dilation,
        )

    return forward
