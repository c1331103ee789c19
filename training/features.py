"""Features in which the quadruplet loss compares pictures; none needs a download.

They start at half of the pictures' resolution: what is finer is mostly noise, and took half of a training step.

``random``: convolutions with fixed random orthogonal weights at four scales. Random convolutional features keep
distances between pictures well enough to serve as a perceptual metric (He, Wang and Hopcroft 2016; Amir and Weiss
2021), cost nothing to get and are the same on every machine.

``structure``: local contrast and gradients of luminance, and colour with the local mean taken out, at four scales:
what haze takes away, written down by hand (Wang et al. 2004; Berman et al. 2016 for the colours).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALES = 4
EPSILON = 1e-4


class RandomFeatures(nn.Module):
    """Pictures (N, 3, H, W) to a list of maps (N, C, h, w), the first half as large, each half the one before."""

    def __init__(self, channels: int = 32, seed: int = 7) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.layers = nn.ModuleList()
        for scale in range(SCALES):
            layer = nn.Conv2d(3 if scale == 0 else channels, channels, 3, padding=1, bias=False)
            flat = torch.randn(channels, layer.weight[0].numel(), generator=generator)
            columns = min(flat.shape)
            q, _ = torch.linalg.qr(flat.T if flat.shape[1] >= flat.shape[0] else flat)
            q = q[:, :columns].T if flat.shape[1] >= flat.shape[0] else q[:, :columns]
            layer.weight = nn.Parameter(q.reshape(layer.weight.shape).contiguous() * 2**0.5, requires_grad=False)
            self.layers.append(layer)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps, x = [], F.avg_pool2d(pictures, 2) * 2 - 1
        for scale, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x if scale == 0 else F.avg_pool2d(x, 2)), 0.1)
            maps.append(x)
        return maps


class StructureFeatures(nn.Module):
    """Pictures (N, 3, H, W) to a list of maps (N, 6, h, w), the first half as large, each half the one before."""

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps, x = [], pictures
        for _ in range(SCALES):
            x = F.avg_pool2d(x, 2)
            light = x.mean(1, keepdim=True)
            mean = F.avg_pool2d(light, 5, 1, 2, count_include_pad=False)
            spread = F.avg_pool2d((light - mean) ** 2, 5, 1, 2, count_include_pad=False)
            across = F.pad(light[..., 1:] - light[..., :-1], (0, 1, 0, 0))
            down = F.pad(light[..., 1:, :] - light[..., :-1, :], (0, 0, 0, 1))
            maps.append(torch.cat([(spread + EPSILON).sqrt(), across, down, x - light], 1))
        return maps


FEATURES: dict[str, type[nn.Module]] = {"random": RandomFeatures, "structure": StructureFeatures}
