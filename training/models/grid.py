"""The edge model: a grid network in the spirit of DDIRB (Lee et al. 2024, arXiv 2410.14595), and its application.

Haze is smooth, so what it takes to remove it can be told on a small grid. The network sees the frame reduced to a
fixed small size and says, for each cell, how dense the haze is, what tint it has and by how much to shift the
result, and for the whole picture the airlight; `edge.coefficients` tells what these mean. Blocks are inverted
residuals with dilated depthwise convolutions (dilation 1, 2, 5); airlight and density are global properties, so a
branch pools the whole picture and gives back to every cell. Activations are bounded (ReLU6) and all that is not a
convolution, an addition, a pooling or an enlargement stays outside the graph: it quantizes well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge import coefficients
from training.models.answer import Answer, Raw
from training.models.settings import switches, whole_numbers

HEADS = ("cell", "airlight", "finesse")  # a network's last layers; `GridNet.fuse` makes one of the last two


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation and, if asked for, ReLU6; the first two become one by `fuse`."""

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        padding = kernel // 2 * dilation
        super().__init__(
            nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False),
            nn.BatchNorm2d(out),
            *([nn.ReLU6()] if act else []),
        )

    def fuse(self) -> None:
        """Fold the normalisation into the convolution; for inference and quantization-aware training."""
        if isinstance(self[0], nn.Conv2d) and isinstance(self[1], nn.BatchNorm2d):
            self[0] = nn.utils.fuse_conv_bn_eval(self[0], self[1])
            self[1] = nn.Identity()


class InvertedResidual(nn.Module):
    """Expand, filter each channel with a dilated 3x3 kernel, project; added to the input where the shapes agree.

    Attributes:
        skipped: how often, in training, what is added is left out for a picture (stochastic depth, Huang et al. 2016).
    """

    skipped: float = 0.0

    def __init__(self, channels: int, out: int, expand: int = 2, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        inner = channels * expand
        self.residual = channels == out and stride == 1
        self.body = nn.Sequential(
            ConvNorm(channels, inner),
            ConvNorm(inner, inner, 3, stride=stride, dilation=dilation, groups=inner),
            ConvNorm(inner, out, act=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        if not self.residual:
            return self.body(x)
        if self.training and self.skipped:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.skipped
            return x + self.body(x) * (kept / (1 - self.skipped)).to(x.dtype)
        return x + self.body(x)

    def start_as_identity(self) -> None:
        """Let the block add nothing before training (Goyal et al. 2017): a block more does not change a network."""
        nn.init.zeros_(self.body[2][1].weight)


class SeparableResidual(nn.Module):
    """Depthwise 3x3, pointwise, added to the input: an inverted residual without its expansion, for large pictures."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(channels, channels, 3, groups=channels), ConvNorm(channels, channels, act=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Whole(nn.Sequential):
    """What the whole picture says, (N, channels, 1, 1), of its features' means and maxima."""

    def __init__(self, channels: int) -> None:
        super().__init__(ConvNorm(2 * channels, channels), ConvNorm(channels, channels, act=False))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.cat([x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)], 1))


class Features(NamedTuple):
    """What the last layers see.

    Attributes:
        places: of each place, (N, stem, height / 2, columns / 2).
        whole: of the whole picture, (N, 2 width, 1, 1).
    """

    places: Tensor
    whole: Tensor


class OnGrid(nn.Module, ABC):
    """What predicts raw coefficients of small pictures and, in `forward`, applies them to pictures of any size.

    Attributes:
        size: rows and columns of the small picture that `predict` takes.
        mirrored: whether those who use it are to average its answer with that to the mirror image (`edge.mirrored`).
    """

    gives_parts = True
    size: tuple[int, int]
    mirrored: bool

    @abstractmethod
    def predict(self, picture: Tensor) -> Raw:
        """Raw coefficients of small pictures (N, 3, *size) in [0, 1]."""

    def certain(self) -> tuple[OnGrid, ...]:
        """Copies, of one that is fused, that are sure of what it tells from a picture and chooses its answer by.

        What they compute belongs to its ranges, too, where calibration pictures leave a choice unmade.
        """
        return ()

    def forward(self, pictures: Tensor, parts: bool = False) -> Tensor | Answer:
        """Dehazed pictures (N, 3, H, W), of hazy ones in [0, 1]; clipped to [0, 1] except in training."""
        raw = self.predict(self._small(pictures))
        return Answer(self._cleared(raw, pictures), raw=raw) if parts else self._cleared(raw, pictures)

    def _small(self, pictures: Tensor) -> Tensor:
        return pictures if pictures.shape[2:] == self.size else F.interpolate(pictures, self.size, mode="area")

    def _cleared(self, raw: Raw, pictures: Tensor) -> Tensor:
        clear = applied(raw, pictures)
        return clear if self.training else clear.clamp(0, 1)


class GridNet(OnGrid):
    """The edge model's network.

    Args:
        width: channels at a quarter of the input's resolution; 36 gives about 150,000 parameters.
        stem: channels at half of the input's resolution.
        deep: number of blocks at an eighth of the input's resolution, with dilation 1, 2, 5, 1, 2, ...
        looks: how often the whole picture is pooled: 1 after the deep blocks, 2 also after the first half of them, so
            that the others know already what haze they look at.
        height, columns: of the small input, in pixels; multiples of 8.
        finesse: whether it says how much more of fine detail is to be enlarged (see `edge.coefficients`).
        mirrored: whether those who use it are to average its answer with that to the mirror image (`edge.mirrored`).
    """

    def __init__(
        self,
        width: int = 36,
        stem: int = 24,
        deep: int = 4,
        looks: int = 1,
        height: int = 120,
        columns: int = 160,
        finesse: bool = False,
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        whole_numbers(width=width, stem=stem, deep=deep, looks=looks, height=height, columns=columns)
        switches(finesse=finesse, mirrored=mirrored)
        self.size, self.mirrored = (height, columns), mirrored
        w = width
        self.down2, self.at2 = ConvNorm(3, stem, 3, stride=2), SeparableResidual(stem)
        self.down4 = ConvNorm(stem, w, 3, stride=2)
        self.at4 = nn.Sequential(InvertedResidual(w, w), InvertedResidual(w, w, dilation=2))
        self.down8 = InvertedResidual(w, 2 * w, stride=2)
        dilations = [(1, 2, 5)[i % 3] for i in range(deep)]
        self.at8 = nn.Sequential(*(InvertedResidual(2 * w, 2 * w, dilation=d) for d in dilations))
        self.first = Whole(2 * w) if looks > 1 else None
        self.whole = Whole(2 * w)
        self.up4, self.fuse4 = ConvNorm(2 * w, w, act=False), InvertedResidual(w, w)
        self.up2, self.fuse2 = ConvNorm(w, stem, act=False), SeparableResidual(stem)
        # Four fine cells from each position: cells as fine as the input's pixels, without a layer of that size.
        self.cell = nn.ConvTranspose2d(stem, coefficients.CHANNELS, 2, stride=2)
        self.airlight = nn.Conv2d(2 * w, 3, 1)
        self.finesse = nn.Conv2d(2 * w, 1, 1) if finesse else None
        for block in (*self.at4, *self.at8, self.fuse4):
            block.start_as_identity()
        if self.first is not None:
            nn.init.zeros_(self.first[1][1].weight)
        for parameter in (*self.cell.parameters(), *self.airlight.parameters()):
            nn.init.zeros_(parameter)
        nn.init.ones_(self.airlight.get_parameter("bias"))
        if self.finesse is not None:
            nn.init.zeros_(self.finesse.weight)
            nn.init.zeros_(self.finesse.get_parameter("bias"))

    @property
    def seen_of_all(self) -> int:
        """Channels of `Features.whole`."""
        return self.airlight.in_channels

    @property
    def tells_finesse(self) -> bool:
        """Whether raw airlight has a fourth number."""
        return self.finesse is not None or self.airlight.out_channels > 3

    def predict(self, picture: Tensor) -> Raw:
        """Raw coefficients of small pictures (N, 3, height, columns) in [0, 1].

        Returns:
            cell (N, 7, height, columns) and airlight (N, 3), or (N, 4) with finesse, as `edge.coefficients.decode`
            takes them (there with the channel last).
        """
        return self.heads(self.features(picture))

    def features(self, picture: Tensor) -> Features:
        """What the last layers see of small pictures (N, 3, height, columns) in [0, 1]."""
        x2 = self.at2(self.down2(picture * 2 - 1))
        x4 = self.at4(self.down4(x2))
        x8 = self.down8(x4)
        for number, block in enumerate(self.at8):
            if self.first is not None and number == len(self.at8) // 2:
                x8 = x8 + self.first(x8)
            x8 = block(x8)
        whole = self.whole(x8)
        y = self.fuse4(_enlarge(self.up4(x8 + whole), x4) + x4)
        return Features(self.fuse2(_enlarge(self.up2(y), x2) + x2), whole)

    def heads(self, seen: Features) -> Raw:
        """What the last layers say of `features`, as `predict` gives it."""
        heads = [self.airlight(seen.whole)]
        if self.finesse is not None:
            heads.append(self.finesse(seen.whole))
        return self.cell(seen.places), torch.cat(heads, 1).flatten(1)

    def fuse(self) -> GridNet:
        """Fold every normalisation into its convolution, and the airlight's and finesse's convolutions into one; the
        network must be in eval mode."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        if self.finesse is not None:
            heads, self.finesse = (self.airlight, self.finesse), None
            self.airlight = nn.Conv2d(heads[0].in_channels, 4, 1)
            with torch.no_grad():
                self.airlight.weight.copy_(torch.cat([head.weight for head in heads]))
                self.airlight.get_parameter("bias").copy_(torch.cat([head.get_parameter("bias") for head in heads]))
        return self


def decode(cell: Tensor, airlight: Tensor, means: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`edge.coefficients.decode` for tensors: gain and bias (N, 3, h, w) of raw coefficients, at strength 1.

    Args:
        means: the pictures' over the cells (N, 3, h, w), where they hold something finer.
    """
    c = coefficients
    cell = cell.float()
    density, light = haze(cell, airlight)
    tint = (c.TINT_SCALE * cell[:, 1:4]).clamp(-1.0, 1.0)
    log_gain, veil = density * (1 + tint), 1 - torch.exp(-density)
    gain = log_gain.clamp(max=c.LARGEST_LOG_GAIN).exp()
    light = light[:, :, None, None]
    shift = c.SHIFT_SCALE * cell[:, 4:7].clamp(-1.0, 1.0) * veil
    if means is None:
        return gain, light * (1 - gain) + shift
    finesse = 2 * torch.sigmoid(airlight[:, 3:4].float()) if airlight.shape[1] > 3 else airlight.new_ones(1, 1)
    more = c.DETAIL * finesse[:, :, None, None] * veil * veil
    shift = shift + more * gain * (light - means)
    gain = (log_gain + torch.log1p(more)).clamp(max=c.LARGEST_LOG_GAIN).exp()
    return gain, light * (1 - gain) + shift


def haze(cell: Tensor, airlight: Tensor) -> tuple[Tensor, Tensor]:
    """What raw coefficients say of the haze: optical thickness (N, 1, h, w) and airlight (N, 3)."""
    c = coefficients
    density = F.softplus(c.DENSITY_SLOPE * cell[:, :1].float() + c.DENSITY_OFFSET)
    return density, c.AIRLIGHT_SCALE * torch.sigmoid(airlight[:, :3].float())


def applied(raw: Raw, pictures: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) with raw coefficients applied, not clipped."""
    cells = raw[0].shape[2:]
    finer = pictures.shape[2] > cells[0] and pictures.shape[3] > cells[1]
    means = F.interpolate(pictures, cells, mode="area") if finer else None
    gain, bias = (_enlarge(grid, pictures) for grid in decode(*raw, means))
    return gain * pictures + bias


def _enlarge(grid: Tensor, like: Tensor) -> Tensor:
    if grid.shape[2:] == like.shape[2:]:
        return grid
    return F.interpolate(grid, size=like.shape[2:], mode="bilinear", align_corners=False)
