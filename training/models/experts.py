"""Two networks of which each knows one kind of haze, and a few layers that tell the kinds apart.

Haze that was laid over a clear picture and haze that a camera saw look alike on a small grid and ask for different
answers, and what one teaches a network spoils the other (docs/notes/training.md). So each kind has a network of its own
(a mixture of experts, Jacobs et al. 1991). What they say is mixed by how likely the haze is real. The first network has
to know laid haze from all else, so it is what that is told from; the second may be small, and replaced by another.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.answer import Answer, Raw
from training.models.committee import looking
from training.models.grid import ConvNorm, Features, GridNet, OnGrid
from training.models.settings import ranges, switches
from training.models.side_by_side import of_one_form, side_by_side

SURE = 6.0  # what ReLU6 lets through: certainly real, as 0 is certainly laid
UNDECIDED = (-SURE / 2, SURE / 2)  # the log odds between which both networks are asked, in training
BEYOND_DOUBT = 1000.0  # more than any picture tells against it
GIVEN = 0.75  # of the pictures, in training: for how many it is given whether their haze is real
TELLING = 16  # channels


class Experts(OnGrid):
    """The raw coefficients of two networks, mixed by how likely the haze is real.

    Args:
        laid, real: settings of the network that knows haze laid over clear pictures and clear air, and of the one that
            knows real haze (see `GridNet`), or of several of either (see `Committee`). Both see pictures of one size,
            and both or neither tell finesse.
        mirrored: whether those who use it are to average its answer with that to the mirror image (`edge.mirrored`).
        decide: log odds of the haze being real up to which those who use it ask the network for laid haze alone, and
            from which they ask the one for real haze. In training it is `UNDECIDED`, which suits what was trained on:
            of real haze at a new place what is told is less sure.
    """

    def __init__(
        self,
        laid: Mapping[str, Any],
        real: Mapping[str, Any],
        mirrored: bool = False,
        decide: Sequence[float] = UNDECIDED,
    ) -> None:
        super().__init__()
        switches(mirrored=mirrored)
        ranges(decide=decide)
        self.laid, self.real = looking(laid), looking(real)
        if self.laid.size != self.real.size:
            raise ValueError(f"laid sees pictures of {self.laid.size} and real of {self.real.size}; both see one size")
        if self.laid.tells_finesse != self.real.tells_finesse:
            raise ValueError("of laid and real one tells finesse; both do or neither")
        self.size, self.mirrored = self.laid.size, mirrored
        self.steeper, self.earlier = SURE / (decide[1] - decide[0]), UNDECIDED[0] - decide[0]
        self.tell = nn.Sequential(ConvNorm(self.laid.seen_of_all, TELLING), nn.Conv2d(TELLING, 1, 1))
        nn.init.constant_(self.tell[1].get_parameter("bias"), SURE / 2)
        self.beside: GridNet | None = None
        self.weigh: _Weigh | None = None
        self.cell: nn.Module | None = None
        self.airlight: nn.Module | None = None

    def predict(self, picture: Tensor) -> Raw:
        """Raw coefficients as `GridNet.predict` gives them."""
        if self.weigh is None or self.cell is None or self.airlight is None:
            return self._told(picture, None)[0]
        seen = self.weigh(*self._features(picture))
        return self.cell(seen.places), self.airlight(seen.whole).flatten(1)

    @torch.no_grad()
    def certain(self) -> tuple[Experts, ...]:
        """See `OnGrid.certain`: one that takes all haze for real, and one that takes all for laid."""
        found = []
        for more in (BEYOND_DOUBT, -BEYOND_DOUBT):
            model = copy.deepcopy(self)
            assert model.weigh is not None, "once fused"
            model.weigh.tell[1].get_parameter("bias").add_(more)
            found.append(model)
        return tuple(found)

    def forward(self, pictures: Tensor, parts: bool = False, real: Tensor | None = None) -> Tensor | Answer:
        """As `OnGrid.forward`.

        Args:
            real: bool (N,), of which pictures the haze is real and not laid, where that is known. In training most are
                answered by it, some by what is told; else all.
        """
        raw, told = self._told(self._small(pictures), real)
        clear = self._cleared(raw, pictures)
        return Answer(clear, raw=raw, real=told.flatten() - SURE / 2) if parts else clear

    def _features(self, picture: Tensor) -> tuple[Features, Features]:
        """What the last layers of each network see."""
        if self.beside is None:
            return self.laid.features(picture), self.real.features(picture)
        places, whole = (seen.chunk(2, 1) for seen in self.beside.features(picture))
        return Features(places[0], whole[0]), Features(places[1], whole[1])

    def _told(self, picture: Tensor, real: Tensor | None) -> tuple[Raw, Tensor]:
        """Raw coefficients, and what was told of the haze (N, 1, 1, 1): log odds of being real, more `SURE` / 2."""
        of_laid, of_real = self.laid.features(picture), self.real.features(picture)
        told = self.tell(of_laid.whole)
        level = F.relu6(told if self.training else (told + self.earlier) * self.steeper)
        share = (level if real is None else self._given(level, real)) / SURE
        cells, lights = zip(self.laid.heads(of_laid), self.real.heads(of_real), strict=True)
        return (torch.lerp(*cells, share), torch.lerp(*lights, share.flatten(1))), told

    def _given(self, level: Tensor, real: Tensor) -> Tensor:
        given = SURE * real[:, None, None, None].to(level.dtype)
        if not self.training:
            return given
        return torch.where(torch.rand(level.shape, device=level.device) < GIVEN, given, level)

    @torch.no_grad()
    def fuse(self) -> Experts:
        """Fold every normalisation into its convolution, and the networks' last layers into one each, or all their
        layers where they are of one form; the networks must be in eval mode."""
        laid, real = self.laid.fuse(), self.real.fuse()
        self.tell[0].fuse()
        self.cell, self.airlight = _joined(laid.cell, real.cell), _joined(laid.airlight, real.airlight)
        self.weigh = _Weigh(self.tell, (self.size[0] // 2, self.size[1] // 2))
        last = self.weigh.tell[1]
        last.get_parameter("weight").mul_(self.steeper)
        last.get_parameter("bias").add_(self.earlier).mul_(self.steeper)
        if isinstance(laid, GridNet) and isinstance(real, GridNet) and of_one_form([laid, real]):
            self.beside = side_by_side([laid, real])
            del self.laid, self.real
        return self


class _Weigh(nn.Module):
    """What the last layers of two networks see, each weighed by how likely its kind of haze is.

    A quantizer rounds what each layer gives, so the answer is to be that of one layer, not a sum of two: the weights
    come before it, and what differs between the networks' biases is one more channel. Both weights come of one layer,
    so that, rounded, they are still `SURE` together: what they are more or less, all haze would be thicker or thinner.
    """

    def __init__(self, tell: nn.Sequential, cells: tuple[int, int]) -> None:
        super().__init__()
        self.tell = copy.deepcopy(tell)
        self.everywhere = nn.Parameter(torch.ones(1, 1, *cells), requires_grad=False)

    def forward(self, laid: Features, real: Features) -> Features:
        is_real = F.relu6(self.tell(laid.whole))
        is_laid = SURE - is_real
        return Features(
            torch.cat([laid.places * is_laid, real.places * is_real, self.everywhere * is_real], 1),
            torch.cat([laid.whole * is_laid, real.whole * is_real, is_real], 1),
        )


def _joined(
    laid: nn.Conv2d | nn.ConvTranspose2d, real: nn.Conv2d | nn.ConvTranspose2d
) -> nn.Conv2d | nn.ConvTranspose2d:
    """One layer for both, of what each of them sees times `SURE` or 0, and of one channel more that is `SURE` or 0."""
    inner, out = laid.in_channels + real.in_channels + 1, laid.out_channels
    difference = real.get_parameter("bias") - laid.get_parameter("bias")
    if isinstance(laid, nn.ConvTranspose2d):
        made: nn.Conv2d | nn.ConvTranspose2d = nn.ConvTranspose2d(inner, out, 2, stride=2)
        shift = difference[None, :, None, None].expand(1, out, 2, 2)
        weight = torch.cat([laid.weight, real.weight, shift], 0)
    else:
        made = nn.Conv2d(inner, out, 1)
        weight = torch.cat([laid.weight, real.weight, difference[:, None, None, None]], 1)
    made.weight.copy_(weight / SURE)
    made.get_parameter("bias").copy_(laid.get_parameter("bias"))
    return made
