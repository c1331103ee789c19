"""DRACO-DehazeNet (Lee, Dam, Ferdaus, Poenar, Duong 2024, arXiv 2410.14595): DDIRB and ATTDRN.

Both networks predict a map K, and the clear picture is `J = clip(K I - K + 1, 0, 1)` as in AOD-Net (Li et al. 2017).
DDIRB gives a first K, and with it an intermediate picture J1; ATTDRN adds to K what recovers the detail.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models.answer import Answer
from training.models.settings import switches, whole_numbers

DILATIONS = (1, 2, 5)
SQUEEZE = 16  # channels for one that channel attention keeps


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): each channel scaled by what the whole picture says of it.

    Attributes:
        pooled: means (1, channels, 1, 1) to take instead of the input's own, where the input is a tile of a picture.
    """

    pooled: Tensor | None = None

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3), keepdim=True) if self.pooled is None else self.pooled
        return x * self.excite(self.squeeze(pooled).relu()).sigmoid()


class DilatedInvertedResidual(nn.Module):
    """1x1 convolution, dilated 3x3 depthwise convolution, channel attention, 1x1 convolution, added to the input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels)
        self.attention = ChannelAttention(channels, channels // SQUEEZE)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.depthwise(self.expand(x).relu()).relu()
        return x + self.project(self.attention(inner)).relu()


class DDIRB(nn.Module):
    """Dense dilated inverted residual block: features (N, channels, H, W) and a first map (N, 3, H, W), at least 0."""

    def __init__(self, channels: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(DilatedInvertedResidual(channels, dilation) for dilation in dilations))
        self.map = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(self.stem(pictures).relu())
        return features, self.map(features).relu()


class SpatialAttention(nn.Module):
    """One number for each pixel, spread over the channels again; in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 3, padding=1)
        self.squeeze = nn.Conv2d(channels, 1, 3, padding=1)
        self.excite = nn.Conv2d(1, channels, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inner = self.enter(x).relu()
        return inner, self.excite(self.squeeze(inner).relu()).sigmoid()


class ATTDRN(nn.Module):
    """Attention-based detail recovery network: features (N, channels, H, W) to a map (N, 3, H, W), at least 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 3 * channels
        self.branches = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in DILATIONS)
        self.add = SpatialAttention(wide)
        self.gate = SpatialAttention(wide)
        self.leave = nn.Conv2d(wide, channels, 3, padding=1)
        self.map = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        scales = torch.cat([branch(features).relu() for branch in self.branches], 1)
        inner, gate = self.gate(scales + self.add(scales)[1])
        return self.map(features + self.leave(inner * gate).sigmoid()).relu()


class Draco(nn.Module):
    """The full model as published: works at the frame's own resolution.

    Args:
        form: ``paper`` dilates the 3x3 depthwise convolutions by 1, 2, 5, as the text says; ``released`` is the graph
            of the published weights, whose dilations sit on 1x1 convolutions and do nothing.
        channels: of every layer of DDIRB; 32 in the paper.
        detail: whether ATTDRN takes part.
        dilated: False takes the dilations out of the ``paper`` form.
    """

    gives_parts = True

    def __init__(self, form: str = "paper", channels: int = 32, detail: bool = True, dilated: bool = True) -> None:
        super().__init__()
        if form not in ("paper", "released"):
            raise ValueError(f"form is 'paper' or 'released', not {form!r}")
        whole_numbers(channels=channels)
        if channels < SQUEEZE:
            raise ValueError(f"channels is {channels}; it is at least {SQUEEZE}, of which channel attention keeps one")
        switches(detail=detail, dilated=dilated)
        self.ddirb = DDIRB(channels, DILATIONS if form == "paper" and dilated else (1, 1, 1))
        self.attdrn = ATTDRN(channels) if detail else None

    def forward(self, pictures: Tensor, parts: bool = False) -> Tensor | Answer:
        """Dehazed pictures J (N, 3, H, W) of hazy ones in [0, 1]; in eval mode clipped to [0, 1].

        With `parts` the picture without ATTDRN's part comes too.
        """
        features, first = self.ddirb(pictures)
        first = first + pictures
        final = first if self.attdrn is None else first + self.attdrn(features)
        dehazed = self._picture(final, pictures)
        return Answer(dehazed, self._picture(first, pictures)) if parts else dehazed

    def _picture(self, k: Tensor, pictures: Tensor) -> Tensor:
        picture = k * pictures - k + 1
        return picture if self.training else picture.clamp(0, 1)  # a clipped value would have no gradient
