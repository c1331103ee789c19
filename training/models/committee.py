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
from training.models.grid import Features, GridNet, OnGrid
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
        self.cell: nn.ConvTranspose2d | None = None
        self.airlight: nn.Conv2d | None = None

    @property
    def seen_of_all(self) -> int:
        """Channels of `Features.whole`."""
        return sum(member.seen_of_all for member in self._each())

    @property
    def tells_finesse(self) -> bool:
        """Whether any member does."""
        return any(member.tells_finesse for member in self._each())

    def predict(self, picture: Tensor) -> Raw:
        """Raw coefficients as `GridNet.predict` gives them; of finesse, the mean of those members that tell it."""
        return self.heads(self.features(picture))

    def features(self, picture: Tensor) -> Features:
        """What the members' last layers see of small pictures, one member's channels after the other's."""
        places, wholes = zip(*(member.features(picture) for member in self._each()), strict=True)
        return Features(torch.cat(places, 1), torch.cat(wholes, 1))

    def heads(self, seen: Features) -> Raw:
        """What the last layers say of `features`, as `predict` gives it."""
        if self.cell is not None and self.airlight is not None:
            return self.cell(seen.places), self.airlight(seen.whole).flatten(1)
        places = seen.places.split([member.cell.in_channels for member in self._each()], 1)
        wholes = seen.whole.split([member.seen_of_all for member in self._each()], 1)
        answers = (m.heads(Features(p, w)) for m, p, w in zip(self._each(), places, wholes, strict=True))
        cells, lights = zip(*answers, strict=True)
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


def looking(settings: Mapping[str, Any]) -> GridNet | Committee:
    """What settings describe: one network, or with ``members`` several."""
    return Committee(**settings) if "members" in settings else GridNet(**settings)
