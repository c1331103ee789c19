"""A torch model in the form that becomes a clean INT8 .tflite: NHWC, no operator that stays float.

Four things are prepared here, none of which changes what the float model computes within the picture:

- pictures go in and maps come out with the channel last, so that the converter leaves no TRANSPOSE;
- the maximum over the whole picture becomes a max pooling (REDUCE_MAX has no INT8 form in the quantizer);
- a scale and a shift that come before anything else are taken out: an INT8 input has a scale and a zero of its own,
  which is moved to one of the picture's levels (`quantization.levels.on_levels`);
- each channel of a grid model's outputs is moved and scaled to [-1, 1). An INT8 tensor has one scale for all of its
  channels, and density, colour and shift of a cell have very different ranges; folded into the last layer's weights,
  every channel gets all 256 steps, and the runner undoes it where it leaves INT8 anyway. The airlight, on which every
  pixel depends, is told in `PARTS` parts, each of which is clipped where the next one starts: their sum has that many
  times the steps, over all that an airlight can be and not only what calibration pictures have.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from edge import coefficients
from edge.errors import EdgeError
from quantization.levels import on_levels
from targets.rpi.scales import STORED, OutputScale

# Where a coefficient stops to matter (see edge.coefficients.decode): below the least density the gain is 1 to a
# quarter of a grey level; above the most it is clipped, and so are tint and shift beyond theirs.
LEAST_DENSITY = (np.log(np.expm1(0.001)) - coefficients.DENSITY_OFFSET) / coefficients.DENSITY_SLOPE
MOST_DENSITY = (coefficients.LARGEST_LOG_GAIN + 1 - coefficients.DENSITY_OFFSET) / coefficients.DENSITY_SLOPE
MOST_TINT, MOST_SHIFT = 1 / coefficients.TINT_SCALE, 1.0
LIGHT = -4.0, 6.0  # an airlight of 0.02 to 1.1, and of finesse all but its last hundredths
PARTS = 8
MARGIN = 0.05  # of the range that calibration saw, on either side
LEAST_SPAN = 1 / 16


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


def output_scales(models: Sequence[nn.Module], pictures: Iterable[np.ndarray]) -> tuple[OutputScale, OutputScale]:
    """The scales that bring each channel of a grid model's `cell` and `airlight` into [-1, 1).

    A cell's ranges are those that the float model shows on the pictures, with a margin, cut to what
    `edge.coefficients` uses.

    Args:
        models: the model, and what else of its kind has to fit (see `OnGrid.certain`).
        pictures: uint8 RGB (H, W, 3).
    """
    lows, highs = [], []
    with torch.inference_mode():
        for picture in pictures:
            for model in models:
                cell, airlight = model.predict(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
                lows.append(cell[0].flatten(1).amin(1))
                highs.append(cell[0].flatten(1).amax(1))
    low, high = torch.stack(lows).amin(0).numpy(), torch.stack(highs).amax(0).numpy()
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    low[0], high[0] = max(low[0], LEAST_DENSITY), min(high[0], MOST_DENSITY)
    for part, most in ((slice(1, 4), MOST_TINT), (slice(4, 7), MOST_SHIFT)):
        low[part], high[part] = np.maximum(low[part], -most), np.minimum(high[part], most)
    high = np.maximum(high, low + LEAST_SPAN)
    light_low, light_high = (np.full(airlight.shape[1], end) for end in LIGHT)
    return OutputScale.over(low, high), OutputScale.over(light_low, light_high, PARTS)


def with_output_scale(model: nn.Module, cell: OutputScale, airlight: OutputScale) -> nn.Module:
    """A copy of a grid model whose outputs are what is stored of their values.

    Raises:
        EdgeError: its last layers are not convolutions named `cell` and `airlight`.
    """
    model = copy.deepcopy(model)
    for name, scale in (("cell", cell), ("airlight", airlight)):
        layer = getattr(model, name, None)
        if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) or layer.bias is None:
            raise EdgeError(f"a grid model for this target ends in a convolution with bias named {name!r}")
        axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        steps = torch.tensor(scale.scale, dtype=torch.float32)
        shape = [1] * layer.weight.ndim
        shape[axis] = -1
        weight = (layer.weight / steps.view(shape)).detach()
        ends = np.linspace(scale.low, scale.high, scale.parts + 1)[:-1].astype(np.float32)
        biases = [(layer.bias - torch.from_numpy(low)) / steps + STORED[0] for low in ends]
        layer.weight = nn.Parameter(torch.cat([weight] * scale.parts, axis))
        layer.bias = nn.Parameter(torch.cat(biases).detach())
        layer.out_channels *= scale.parts
    return model


def quantizable(module: nn.Module, example: Tensor, int8: bool) -> tuple[nn.Module, tuple[float, float]]:
    """The traced module, with max pooling for the whole-picture maximum, and what it takes for black and for white.

    Args:
        int8: leave a clamp right before the output out, since the INT8 range clips there anyway, and what only scales
            and shifts the picture, since the input's range tells that.
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
            int8 and node.target in (aten.clamp.default, aten.clamp_.default) and all(map(_leads_to_output, node.users))
        ):
            node.replace_all_uses_with(node.args[0])
    taken = _without_prelude(traced) if int8 else (0.0, 1.0)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced, taken


def _without_prelude(traced: torch.fx.GraphModule) -> tuple[float, float]:
    """Take out what scales and shifts the picture before each convolution that it goes to first; what these now take
    for black and white. Where they take different ones, or the picture goes elsewhere, all stays."""
    aten = torch.ops.aten
    (picture,) = (node for node in traced.graph.nodes if node.op == "placeholder")
    waiting, passed, entered = [(picture, 0.0, 1.0)], [], []
    while waiting:
        node, black, white = waiting.pop()
        for user in node.users:
            if not user.users:  # torch's check of the shape
                continue
            if user.target == aten.permute.default:
                waiting.append((user, black, white))
            elif user.target in (aten.mul.Tensor, aten.sub.Tensor) and isinstance(user.args[1], (int, float)):
                number = user.args[1]
                scaled = user.target == aten.mul.Tensor
                ends = (black * number, white * number) if scaled else (black - number, white - number)
                waiting.append((user, *ends))
                passed.append(user)
            elif user.target == aten.conv2d.default and len(user.args) >= 3:
                entered.append((user, (black, white)))
            else:
                return 0.0, 1.0
    if not passed or len({ends for _, ends in entered}) != 1:
        return 0.0, 1.0
    black, white, moved = on_levels(*entered[0][1])
    for convolution, _ in entered:
        weight, bias = (traced.get_parameter(n.target) for n in convolution.args[1:3])
        with torch.no_grad():
            bias.add_(weight.sum((1, 2, 3)) * moved)
    for node in passed:
        node.replace_all_uses_with(node.args[0])
    return black, white


def _leads_to_output(node: torch.fx.Node) -> bool:
    return node.op == "output" or (
        node.target == torch.ops.aten.permute.default and all(map(_leads_to_output, node.users))
    )
