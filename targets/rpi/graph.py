"""A torch model in the form that becomes a clean INT8 .tflite: NHWC, no operator that stays float.

Three things are prepared here, none of which changes what the float model computes:

- pictures go in and maps come out with the channel last, so that the converter leaves no TRANSPOSE;
- the maximum over the whole picture becomes a max pooling (REDUCE_MAX has no INT8 form in the quantizer);
- each channel of a grid model's outputs is moved and scaled to [-1, 1]. An INT8 tensor has one scale for all of its
  channels, and density, colour and shift of a cell have very different ranges; folded into the last layer's weights,
  every channel gets all 256 steps, and the runner undoes it where it leaves INT8 anyway.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edge import coefficients
from edge.errors import EdgeError

# Where a coefficient stops to matter (see edge.coefficients.decode): below the least density the gain is 1 to a
# quarter of a grey level; above the most it is clipped, and so are tint and shift beyond theirs.
LEAST_DENSITY = (np.log(np.expm1(0.001)) - coefficients.DENSITY_OFFSET) / coefficients.DENSITY_SLOPE
MOST_DENSITY = (coefficients.LARGEST_LOG_GAIN + 1 - coefficients.DENSITY_OFFSET) / coefficients.DENSITY_SLOPE
MOST_TINT, MOST_SHIFT = 1 / coefficients.TINT_SCALE, 1.0
MARGIN = 0.05  # of the range that calibration saw, on either side
LEAST_SPAN = 1 / 16


@dataclass(frozen=True)
class OutputScale:
    """`value = offset + scale * stored` for each channel of one output."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]


class ChannelLast(nn.Module):
    """Pictures (1, H, W, 3) in [0, 1]; four-dimensional answers as (1, h, w, C)."""

    def __init__(self, model: nn.Module, kind: str) -> None:
        super().__init__()
        self.model, self.kind = model, kind

    def forward(self, picture: Tensor) -> Tensor | tuple[Tensor, ...]:
        picture = picture.permute(0, 3, 1, 2)
        if self.kind == "frame":
            return self.model(picture).permute(0, 2, 3, 1)
        cell, airlight = self.model.predict(picture)
        return cell.permute(0, 2, 3, 1), airlight


def output_ranges(model: nn.Module, pictures: Iterable[np.ndarray]) -> tuple[OutputScale, OutputScale]:
    """The scale that brings each channel of a grid model's `cell` and `airlight` into [-1, 1].

    Ranges are those that the float model shows on the pictures, with a margin, cut to what `edge.coefficients` uses.

    Args:
        pictures: uint8 RGB (H, W, 3).
    """
    lows, highs = [], []
    with torch.inference_mode():
        for picture in pictures:
            cell, airlight = model.predict(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
            flat = cell[0].flatten(1)
            lows.append(torch.cat([flat.amin(1), airlight[0]]))
            highs.append(torch.cat([flat.amax(1), airlight[0]]))
    low, high = torch.stack(lows).amin(0).numpy(), torch.stack(highs).amax(0).numpy()
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    low[0], high[0] = max(low[0], LEAST_DENSITY), min(high[0], MOST_DENSITY)
    for part, most in ((slice(1, 4), MOST_TINT), (slice(4, 7), MOST_SHIFT)):
        low[part], high[part] = np.maximum(low[part], -most), np.minimum(high[part], most)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, LEAST_SPAN / 2)
    split = coefficients.CHANNELS
    return tuple(
        OutputScale(tuple(map(float, half[part])), tuple(map(float, middle[part])))
        for part in (slice(0, split), slice(split, None))
    )  # type: ignore[return-value]


def with_output_scale(model: nn.Module, cell: OutputScale, airlight: OutputScale) -> nn.Module:
    """A copy of a grid model whose outputs are `(value - offset) / scale`.

    Raises:
        EdgeError: its last layers are not convolutions named `cell` and `airlight`.
    """
    model = copy.deepcopy(model)
    for name, scale in (("cell", cell), ("airlight", airlight)):
        layer = getattr(model, name, None)
        if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) or layer.bias is None:
            raise EdgeError(f"a grid model for this target ends in a convolution with bias named {name!r}")
        per_channel = 1 / torch.tensor(scale.scale)
        shape = [1] * layer.weight.ndim
        shape[1 if isinstance(layer, nn.ConvTranspose2d) else 0] = -1
        with torch.no_grad():
            layer.weight.mul_(per_channel.view(shape))
            layer.bias.sub_(torch.tensor(scale.offset)).mul_(per_channel)
    return model


def quantizable(module: nn.Module, example: Tensor, drop_last_clamp: bool) -> nn.Module:
    """The traced module, with max pooling for the whole-picture maximum.

    Args:
        drop_last_clamp: leave a clamp right before the output out; the INT8 range clips there anyway.
    """
    with torch.no_grad():
        traced = torch.export.export(module, (example,)).module()
    aten = torch.ops.aten
    for node in list(traced.graph.nodes):
        if node.target == aten.amax.default and sorted(d % 4 for d in node.args[1]) == [2, 3] and node.args[2]:
            height, width = node.args[0].meta["val"].shape[2:]
            with traced.graph.inserting_before(node):
                pooled = traced.graph.call_function(aten.max_pool2d.default, (node.args[0], [height, width]))
            pooled.meta = node.meta
            node.replace_all_uses_with(pooled)
        elif (
            drop_last_clamp
            and node.target in (aten.clamp.default, aten.clamp_.default)
            and all(map(_leads_to_output, node.users))
        ):
            node.replace_all_uses_with(node.args[0])
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced


def _leads_to_output(node: torch.fx.Node) -> bool:
    return node.op == "output" or (
        node.target == torch.ops.aten.permute.default and all(map(_leads_to_output, node.users))
    )
