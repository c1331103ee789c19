"""The full model in its default form: DDIRB and ATTDRN on a grid, after a look at the whole picture.

The paper's network sees some 30 pixels around each pixel, so it cannot know the airlight, and works at the frame's
resolution, where ATTDRN alone takes 95 % of its 72 GMAC at 640x480. Here a small network first looks at the whole
picture and gives coefficients and with them the intermediate picture J1 (see `training.models.grid`); then DDIRB looks
at the hazy picture beside these coefficients, at a quarter of 320x240, and ATTDRN recovers the detail that it finds
missing: both correct the coefficients. The cost does not grow with the frame.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge import coefficients
from training.models.answer import Answer, Raw
from training.models.committee import looking
from training.models.experts import Experts
from training.models.grid import ConvNorm, InvertedResidual, applied
from training.models.settings import switches, whole_numbers

DILATIONS = (1, 2, 5)
SQUEEZE = 4  # channels for one that channel attention keeps
SHRINK = 4  # from the input to the grid that DDIRB and ATTDRN work on


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al. 2018), with a bounded gate that needs no sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = ConvNorm(channels, channels // SQUEEZE)
        self.excite = nn.Conv2d(channels // SQUEEZE, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.excite(self.squeeze(x.mean((2, 3), keepdim=True))))


class DenseDilatedBlock(nn.Module):
    """Inverted residual blocks with dilation 1, 2, 5; what each adds is kept and all of it is joined at the end."""

    def __init__(self, channels: int, blocks: int, *, dilated: bool) -> None:
        super().__init__()
        dilations = [DILATIONS[i % 3] if dilated else 1 for i in range(blocks)]
        self.blocks = nn.ModuleList(InvertedResidual(channels, channels, dilation=d) for d in dilations)
        self.attentions = nn.ModuleList(ChannelAttention(channels) for _ in dilations)
        self.join = ConvNorm(channels * (blocks + 1), channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        dense = [x]
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            x = attention(block(x))
            dense.append(x)
        return self.join(torch.cat(dense, 1))


class SpatialAttention(nn.Module):
    """As in the paper's ATTDRN, one number for each cell spread over the channels, with separable convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(ConvNorm(channels, channels, 3, groups=channels), ConvNorm(channels, channels))
        self.squeeze = ConvNorm(channels, 1, 3)
        self.excite = nn.Conv2d(1, channels, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inner = self.enter(x)
        return inner, F.hardsigmoid(self.excite(self.squeeze(inner)))


class DetailRecovery(nn.Module):
    """ATTDRN: three dilated views of the features, weighed twice by attention, added to the features."""

    def __init__(self, channels: int, narrow: int, *, dilated: bool) -> None:
        super().__init__()
        dilations = DILATIONS if dilated else (1, 1, 1)
        self.branches = nn.ModuleList(ConvNorm(channels, narrow, 3, dilation=d) for d in dilations)
        self.add, self.gate = SpatialAttention(3 * narrow), SpatialAttention(3 * narrow)
        self.leave = ConvNorm(3 * narrow, channels, act=False)

    def forward(self, features: Tensor) -> Tensor:
        views = torch.cat([branch(features) for branch in self.branches], 1)
        inner, gate = self.gate(views + self.add(views)[1])
        return features + self.leave(inner * gate)


class DracoGrid(nn.Module):
    """The full model on a grid; `predict` and `forward` as those of `GridNet`.

    Args:
        channels: of DDIRB.
        blocks: of DDIRB, with dilation 1, 2, 5, 1, 2, ...
        narrow: channels of each of ATTDRN's three branches.
        detail: whether ATTDRN takes part.
        dilated: whether the dilations do.
        coarse: settings of the network that looks at the whole picture (see `GridNet`), or of several that do (see
            `Committee`, `Experts`).
        mirrored: whether those who use it are to average its answer with that to the mirror image (`edge.mirrored`).
        height, columns: of the input, in pixels; multiples of 8.
    """

    gives_parts = True

    def __init__(
        self,
        channels: int = 48,
        blocks: int = 3,
        narrow: int = 16,
        detail: bool = True,
        dilated: bool = True,
        coarse: dict[str, Any] | None = None,
        height: int = 240,
        columns: int = 320,
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        whole_numbers(channels=channels, blocks=blocks, narrow=narrow, height=height, columns=columns)
        switches(detail=detail, dilated=dilated, mirrored=mirrored)
        if channels < SQUEEZE:
            raise ValueError(f"channels is {channels}; it is at least {SQUEEZE}, of which channel attention keeps one")
        if height % SHRINK or columns % SHRINK:
            raise ValueError(f"height and columns are {height} and {columns}; they are multiples of {SHRINK}")
        self.size, self.mirrored = (height, columns), mirrored
        coarse = coarse or {}
        self.coarse = Experts(**coarse) if "laid" in coarse else looking(coarse)
        seen = 3 * SHRINK**2 + 3 + coefficients.CHANNELS
        self.enter = nn.Sequential(ConvNorm(seen, channels), ConvNorm(channels, channels, 3, groups=channels))
        self.ddirb = DenseDilatedBlock(channels, blocks, dilated=dilated)
        self.attdrn = DetailRecovery(channels, narrow, dilated=dilated) if detail else None
        # Four fine cells from each position, and what is to be changed in the airlight.
        self.cell = nn.ConvTranspose2d(channels, coefficients.CHANNELS, 2, stride=2)
        self.airlight = nn.Conv2d(channels, 3, 1)
        for parameter in (*self.cell.parameters(), *self.airlight.parameters()):
            nn.init.zeros_(parameter)  # so that training starts from the coarse network's own answer

    def predict(self, picture: Tensor) -> Raw:
        """Raw coefficients of pictures (N, 3, height, columns) in [0, 1].

        Returns:
            cell (N, 7, height / 2, columns / 2) and airlight (N, 3 or 4), as `edge.coefficients.decode` takes them
            (there with the channel last).
        """
        return self._both(picture)[0]

    def forward(self, pictures: Tensor, parts: bool = False) -> Tensor | Answer:
        """Dehazed pictures J (N, 3, H, W) of hazy ones in [0, 1]; clipped to [0, 1] except in training."""
        small = pictures if pictures.shape[2:] == self.size else F.interpolate(pictures, self.size, mode="area")
        final, first = self._both(small)
        dehazed = self._applied(final, pictures)
        return Answer(dehazed, self._applied(first, pictures), final) if parts else dehazed

    def fuse(self) -> DracoGrid:
        """Fold every normalisation into its convolution; the network must be in eval mode."""
        self.coarse.fuse()
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        return self

    def _both(self, picture: Tensor) -> tuple[Raw, Raw]:
        """Final and first coefficients."""
        cell, airlight = self.coarse.predict(F.interpolate(picture, self.coarse.size, mode="area"))
        rows, columns = self.size[0] // SHRINK, self.size[1] // SHRINK
        on_grid = F.interpolate(cell, (rows, columns), mode="area")
        light = airlight[:, :3, None, None].expand(-1, -1, rows, columns)
        seen = torch.cat([F.pixel_unshuffle(picture * 2 - 1, SHRINK), on_grid, light], 1)
        features = self.ddirb(self.enter(seen))
        if self.attdrn is not None:
            features = self.attdrn(features)
        correction = self.cell(features)
        finer = cell
        if cell.shape[2:] != correction.shape[2:]:
            finer = F.interpolate(cell, correction.shape[2:], mode="bilinear", align_corners=False)
        light_correction = self.airlight(features.mean((2, 3), keepdim=True)).flatten(1)
        light_correction = F.pad(light_correction, (0, airlight.shape[1] - 3))  # what is said of detail stays
        return (finer + correction, airlight + light_correction), (cell, airlight)

    def _applied(self, raw: Raw, pictures: Tensor) -> Tensor:
        clear = applied(raw, pictures)
        return clear if self.training else clear.clamp(0, 1)
