"""Pictures of any size through a torch model, with bounded memory.

Grid models and the full model on a grid see a picture reduced to their small input and only then apply their
coefficients, so they need no tiles: the coefficients are applied strip by strip. The paper's form works at the
picture's own resolution and goes tile by tile; its channel attention pools the whole picture, so these means are
taken of the whole picture first, strip by strip, and a tile then gives what the whole picture would give.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from edge import coefficients
from edge.apply import GridApply
from training.models import GridModel
from training.models.draco import DilatedInvertedResidual, Draco

TILE = 768  # pixels of a tile's side without its margin
WHOLE = TILE * TILE * 2  # pictures of up to so many pixels go through in one piece


@torch.inference_mode()
def dehaze(model: nn.Module, picture: np.ndarray) -> np.ndarray:
    """One uint8 RGB picture (H, W, 3) through a model in eval mode; uint8 RGB of the same shape."""
    picture = np.ascontiguousarray(picture)
    if isinstance(model, GridModel):
        return _by_grid(model, picture, next(model.parameters()).device)
    if picture.shape[0] * picture.shape[1] <= WHOLE or not isinstance(model, Draco):
        return _to_picture(model(_to_tensor(picture, next(model.parameters()).device)))
    return _by_tiles(model, picture)


def _by_grid(model: GridModel, picture: np.ndarray, device: torch.device) -> np.ndarray:
    """The way that a board takes: reduce, predict, apply."""
    height, columns = model.size
    step = GridApply(columns, height)
    small = _to_tensor(step.reduce(picture), device)
    cell, airlight = model.predict(small)
    if model.mirrored:
        other_cell, other_airlight = model.predict(small.flip(3))
        cell, airlight = (cell + other_cell.flip(3)) / 2, (airlight + other_airlight) / 2
    raw = np.ascontiguousarray(cell[0].permute(1, 2, 0).float().cpu().numpy())
    means, light = step.on_grid(*raw.shape[:2]), airlight[0].float().cpu().numpy()
    return step.clear(picture, coefficients.Decoder()(raw, light, picture=means, sharpen=step.sharpen))


def _by_tiles(model: Draco, picture: np.ndarray) -> np.ndarray:
    out = np.empty_like(picture)
    with _FixedAttention(model) as attention:
        for number in range(len(attention.blocks)):  # each block's means depend on those of the blocks before
            attention.measure(number, (tile for tile, _, _ in _tiles(model, picture)), picture)
        for tile, inner, place in _tiles(model, picture):
            out[place] = _to_picture(model(tile))[inner]
    return out


def _tiles(model: Draco, picture: np.ndarray) -> Iterator[tuple[Tensor, tuple[slice, slice], tuple[slice, slice]]]:
    """Tiles with a margin of the network's reach, the part of each that counts, and its place in the picture."""
    height, width = picture.shape[:2]
    margin, device = reach(model), next(model.parameters()).device
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            y, x = max(0, top - margin), max(0, left - margin)
            cut = picture[y : min(height, bottom + margin), x : min(width, right + margin)]
            inner = slice(top - y, bottom - y), slice(left - x, right - x)
            yield _to_tensor(cut, device), inner, (slice(top, bottom), slice(left, right))


def reach(model: nn.Module) -> int:
    """How far, in pixels, a network's answer looks: the sum over its convolutions; no less than the true reach."""
    return sum(
        module.dilation[0] * (module.kernel_size[0] // 2) for module in model.modules() if isinstance(module, nn.Conv2d)
    )


class _FixedAttention:
    """While entered, the channel attentions of a model take means that were measured over the whole picture."""

    def __init__(self, model: Draco) -> None:
        self._model = model
        self.blocks = [block for block in model.ddirb.blocks if isinstance(block, DilatedInvertedResidual)]

    def __enter__(self) -> _FixedAttention:
        return self

    def __exit__(self, *_: object) -> None:
        for block in self.blocks:
            block.attention.pooled = None

    def measure(self, number: int, tiles: Iterator[Tensor], picture: np.ndarray) -> None:
        """Mean over the whole picture of what the attention of one block pools."""
        ddirb = self._model.ddirb
        block = self.blocks[number]
        total: Tensor | float = 0.0
        for tile, (_, inner, _) in zip(tiles, _tiles(self._model, picture), strict=True):
            x = ddirb.stem(tile).relu()
            for before in self.blocks[:number]:
                x = before(x)
            filtered = block.depthwise(block.expand(x).relu()).relu()[:, :, inner[0], inner[1]]
            total = total + filtered.double().sum((2, 3), keepdim=True)
        block.attention.pooled = (total / (picture.shape[0] * picture.shape[1])).float()


def _to_tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 255


def _to_picture(dehazed: Tensor) -> np.ndarray:
    return dehazed[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
