"""Two networks of which each knows one kind of haze, and a few layers that tell the kinds apart.

Haze that was laid over a clear picture and haze that a camera saw look alike on a small grid and ask for different
answers, and what one teaches a network spoils the other (docs/notes/training.md). So each kind has a network of its own
(a mixture of experts, Jacobs et al. 1991). What they say is mixed by how likely the haze is real. The first network has
to know laid haze from all else, so it is what that is told from; the second may be small, and replaced by another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.answer import Answer, Raw
from training.models.committee import looking
from training.models.grid import ConvNorm, OnGrid
from training.models.settings import switches

SURE = 6.0  # what ReLU6 lets through: certainly real, as 0 is certainly laid
GIVEN = 0.75  # of the pictures, in training: for how many it is given whether their haze is real
TELLING = 16  # channels


class Experts(OnGrid):
    """The raw coefficients of two networks, mixed by how likely the haze is real.

    Args:
        laid, real: settings of the network that knows haze laid over clear pictures and clear air, and of the one that
            knows real haze (see `GridNet`), or of several of either (see `Committee`). Both see pictures of one size,
            and both or neither tell finesse.
        mirrored: whether those who use it are to average its answer with that to the mirror image (`edge.mirrored`).
    """

    def __init__(self, laid: Mapping[str, Any], real: Mapping[str, Any], mirrored: bool = False) -> None:
        super().__init__()
        switches(mirrored=mirrored)
        self.laid, self.real = looking(laid), looking(real)
        if self.laid.size != self.real.size:
            raise ValueError(f"laid sees pictures of {self.laid.size} and real of {self.real.size}; both see one size")
        if self.laid.tells_finesse != self.real.tells_finesse:
            raise ValueError("of laid and real one tells finesse; both do or neither")
        self.size, self.mirrored = self.laid.size, mirrored
        self.tell = nn.Sequential(ConvNorm(self.laid.seen_of_all, TELLING), nn.Conv2d(TELLING, 1, 1))
        nn.init.constant_(self.tell[1].get_parameter("bias"), SURE / 2)

    def predict(self, picture: Tensor) -> Raw:
        """Raw coefficients as `GridNet.predict` gives them."""
        return self._told(picture, None)[0]

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """See `OnGrid`."""
        return self.laid, self.real

    def forward(self, pictures: Tensor, parts: bool = False, real: Tensor | None = None) -> Tensor | Answer:
        """As `OnGrid.forward`.

        Args:
            real: bool (N,), of which pictures the haze is real and not laid, where that is known. In training most are
                answered by it, some by what is told; else all.
        """
        raw, told = self._told(self._small(pictures), real)
        clear = self._cleared(raw, pictures)
        return Answer(clear, raw=raw, real=told.flatten() - SURE / 2) if parts else clear

    def _told(self, picture: Tensor, real: Tensor | None) -> tuple[Raw, Tensor]:
        """Raw coefficients, and what was told of the haze (N, 1, 1, 1): log odds of being real, more `SURE` / 2."""
        of_laid, of_real = self.laid.features(picture), self.real.features(picture)
        told = self.tell(of_laid.whole)
        level = F.relu6(told) if real is None else self._given(F.relu6(told), real)
        is_real = level / SURE
        is_laid = 1 - is_real  # a sum of two shares, and not one answer and a share of a difference: it rounds less
        cells, lights = zip(self.laid.heads(of_laid), self.real.heads(of_real), strict=True)
        cell = cells[0] * is_laid + cells[1] * is_real
        return (cell, lights[0] * is_laid.flatten(1) + lights[1] * is_real.flatten(1)), told

    def _given(self, level: Tensor, real: Tensor) -> Tensor:
        given = SURE * real[:, None, None, None].to(level.dtype)
        if not self.training:
            return given
        return torch.where(torch.rand(level.shape, device=level.device) < GIVEN, given, level)

    def fuse(self) -> Experts:
        """Fold every normalisation into its convolution; the networks must be in eval mode."""
        self.laid.fuse()
        self.real.fuse()
        self.tell[0].fuse()
        return self
