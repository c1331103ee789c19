"""Several networks that were trained apart from each other, asked together: the mean of what they say.

How thick haze is cannot be told for certain from one picture; each network guesses in a way of its own, and what they
got wrong by chance partly cancels out (Hansen and Salamon 1990). They have to be trained apart, from other starts:
those that part from one checkpoint err alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edge import coefficients
from training.models.answer import Raw
from training.models.grid import GridNet, OnGrid
from training.models.settings import switches


class Committee(OnGrid):
    """The mean of the raw coefficients of several `GridNet`.

    Args:
        members: settings of each (see `GridNet`); all have the same input size. Whether they are `mirrored` does not
            matter here.
        mirrored: whether those who use it are to average its answer with that to the mirror image (`edge.mirrored`).
    """

    def __init__(self, members: Sequence[Mapping[str, Any]], mirrored: bool = False) -> None:
        super().__init__()
        switches(mirrored=mirrored)
        self.members = nn.ModuleList(GridNet(**settings) for settings in members)
        sizes = {member.size for member in self._each()}
        if len(sizes) != 1:
            raise ValueError(f"members see pictures of one size, not of {len(sizes)}")
        (self.size,), self.mirrored = sizes, mirrored
        self.cell: nn.Module | None = None
        self.airlight: nn.Module | None = None

    def predict(self, picture: Tensor) -> Raw:
        """Raw coefficients as `GridNet.predict` gives them; of finesse, the mean of those members that tell it."""
        if self.cell is not None and self.airlight is not None:
            seen = [member.features(picture) for member in self._each()]
            places, whole = torch.cat([each.places for each in seen], 1), torch.cat([each.whole for each in seen], 1)
            return self.cell(places), self.airlight(whole).flatten(1)
        cells, lights = zip(*(member.predict(picture) for member in self._each()), strict=True)
        light = torch.stack([each[:, :3] for each in lights]).mean(0)
        finesse = [each[:, 3:] for each in lights if each.shape[1] > 3]
        if finesse:
            light = torch.cat([light, torch.stack(finesse).mean(0)], 1)
        return torch.stack(cells).mean(0), light

    @torch.no_grad()
    def fuse(self) -> Committee:
        """Fold every normalisation into its convolution, and the members' last layers, with the mean, into one each;
        the networks must be in eval mode."""
        members = [member.fuse() for member in self._each()]
        share = 1 / len(members)
        cells = [member.cell for member in members]
        cell = nn.ConvTranspose2d(sum(each.in_channels for each in cells), coefficients.CHANNELS, 2, stride=2)
        cell.weight.copy_(torch.cat([each.weight for each in cells]) * share)
        cell.get_parameter("bias").copy_(sum(each.get_parameter("bias") for each in cells) * share)
        lights = [member.airlight for member in members]
        told = [light.out_channels > 3 for light in lights]
        light = nn.Conv2d(sum(each.in_channels for each in lights), 4 if any(told) else 3, 1)
        light.weight.zero_()
        light.get_parameter("bias").zero_()
        start = 0
        for each, tells in zip(lights, told, strict=True):
            shares = torch.tensor([share] * 3 + [1 / max(sum(told), 1)] * tells)
            end = start + each.in_channels
            light.weight[: each.out_channels, start:end] = each.weight * shares[:, None, None, None]
            light.get_parameter("bias")[: each.out_channels] += each.get_parameter("bias") * shares
            start = end
        self.cell, self.airlight = cell, light
        return self

    def _each(self) -> list[GridNet]:
        return [member for member in self.members if isinstance(member, GridNet)]
