"""The loss: a weighted sum of terms, each of which can be switched off.

Pictures are float tensors (N, 3, H, W); dehazed ones may leave [0, 1] while training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pytorch_msssim import ssim
from torch import Tensor, nn

from training.config import LossConfig
from training.features import FEATURES
from training.models import grid
from training.models.answer import Answer, Raw

DB_FLOOR = 1e-4
DB_SCALE = 0.1  # a decibel is a tenth of the term, so that a weight of 1 is of L1's order
SSIM_WINDOW = 7


@dataclass(frozen=True)
class Scores:
    """A batch's loss, its terms before weighting, and the dehazed pictures it was taken of."""

    loss: Tensor
    terms: dict[str, Tensor]
    dehazed: Tensor


Objective = Callable[[nn.Module, Tensor, Tensor, Tensor], Scores]
"""Called with model, hazy pictures, clear pictures and known haze. What a trainer minimises; distillation brings its
own."""


def l1(dehazed: Tensor, clear: Tensor) -> Tensor:
    return (dehazed - clear).abs().mean()


def mse_db(dehazed: Tensor, clear: Tensor) -> Tensor:
    """Mean over the pictures of 10 log10(MSE + 1e-4), shifted to start at 0: what PSNR is made of."""
    mse = ((dehazed - clear) ** 2).mean((1, 2, 3))
    return DB_SCALE * (10 * torch.log10(mse + DB_FLOOR) + 40).mean()


def rmse(dehazed: Tensor, clear: Tensor) -> Tensor:
    """Mean over the pictures of the root of their mean squared error."""
    return ((dehazed - clear) ** 2).mean((1, 2, 3)).add(1e-6).sqrt().mean()


def structural(dehazed: Tensor, clear: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004) with a 7x7 Gaussian window, on pictures clipped to [0, 1]."""
    return 1 - ssim(dehazed.clamp(0, 1), clear.clamp(0, 1), data_range=1, win_size=SSIM_WINDOW)


class Quadruplet(nn.Module):
    """The paper's contrastive term, with the clear picture where it belongs (the released code has the hazy one).

    `d(J, clear) / (d(J, hazy) + d(J1, hazy) + d(J, J1) + e)`: the output is drawn to the clear picture and pushed
    from the hazy one; the intermediate output J1 is told apart from both. d is the mean absolute difference of
    features, over all scales. Without an intermediate output its two distances are left out.
    """

    def __init__(self, features: str = "random", epsilon: float = 0.1) -> None:
        super().__init__()
        self.features = FEATURES[features]().requires_grad_(False)
        self.epsilon = epsilon

    def forward(self, dehazed: Tensor, clear: Tensor, hazy: Tensor, intermediate: Tensor | None) -> Tensor:
        with torch.no_grad():
            of_clear, of_hazy = self.features(clear), self.features(hazy)
        of_dehazed = self.features(dehazed)
        apart = distance(of_dehazed, of_hazy)
        if intermediate is not None:
            of_intermediate = self.features(intermediate)
            apart = apart + distance(of_intermediate, of_hazy) + distance(of_dehazed, of_intermediate)
        return (distance(of_dehazed, of_clear) / (apart + self.epsilon)).mean()


def distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean absolute difference of each picture's features, over the scales: (N,)."""
    return torch.stack([(x - y).abs().mean((1, 2, 3)) for x, y in zip(a, b, strict=True)]).mean(0)


KNOWN_HAZE = ("density", "airlight")
PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "mse_db": mse_db, "rmse": rmse, "ssim": structural}


class WeightedLoss(nn.Module):
    """The objective that a configuration describes."""

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.weights = {name: getattr(config, name) for name in PLAIN if getattr(config, name)}
        self.haze_weights = {name: getattr(config, name) for name in KNOWN_HAZE if getattr(config, name)}
        self.real_weight = config.real
        self.quadruplet_weight = config.quadruplet
        self.quadruplet = Quadruplet(config.features) if config.quadruplet else None

    def forward(self, model: nn.Module, hazy: Tensor, clear: Tensor, haze: Tensor | None = None) -> Scores:
        return self.score(ask(model, hazy, haze), hazy, clear, haze)

    def score(self, answer: Answer, hazy: Tensor, clear: Tensor, haze: Tensor | None = None) -> Scores:
        """The loss of an answer that a model gave; `haze` as `training.sources.HazeDataset` tells it."""
        dehazed = answer.dehazed.float()
        terms = {name: PLAIN[name](dehazed, clear) for name in self.weights}
        loss = sum(weight * terms[name] for name, weight in self.weights.items())
        if self.quadruplet is not None:
            intermediate = None if answer.intermediate is None else answer.intermediate.float()
            terms["quadruplet"] = self.quadruplet(dehazed, clear, hazy, intermediate)
            loss = loss + self.quadruplet_weight * terms["quadruplet"]
        if self.haze_weights and answer.raw is not None and haze is not None:
            of_haze = known_haze(answer.raw, haze)
            terms.update({name: of_haze[name] for name in self.haze_weights})
            loss = loss + sum(weight * terms[name] for name, weight in self.haze_weights.items())
        if self.real_weight and answer.real is not None and haze is not None:
            terms["real"] = F.binary_cross_entropy_with_logits(answer.real.float(), is_real(haze).float())
            loss = loss + self.real_weight * terms["real"]
        return Scores(loss, terms, dehazed)


def ask(model: nn.Module, hazy: Tensor, haze: Tensor | None = None) -> Answer:
    """The model's answer with all its parts, where it gives them; one that tells whether haze is real is given it."""
    if not getattr(model, "gives_parts", False):
        return Answer(model(hazy))
    if haze is not None and getattr(model, "tell", None) is not None:
        return model(hazy, parts=True, real=is_real(haze))
    return model(hazy, parts=True)


def is_real(haze: Tensor) -> Tensor:
    """Of which pictures, bool (N,), the haze is real: what was laid is known, (N, 4, H, W) as in `known_haze`."""
    return ~torch.isfinite(haze[:, 0]).all(dim=(1, 2))


def known_haze(raw: Raw, haze: Tensor) -> dict[str, Tensor]:
    """How far a grid model's haze is from the haze that the synthesis laid over the picture.

    Args:
        raw: coefficients of N pictures.
        haze: (N, 4, H, W), optical thickness and airlight; NaN where it is not known, which costs nothing.

    Returns:
        ``density``: mean of |d - thickness| / (1 + thickness), so that thin haze counts by its error and thick haze
        by its share; ``airlight``: mean absolute error, counted by the mean veil 1 - exp(-thickness), for where the
        air is clear the airlight cannot be seen.
    """
    density, airlight = grid.haze(*raw)
    known = torch.isfinite(haze[:, :1].amax((2, 3), keepdim=True))
    haze = torch.where(known, haze, 0)
    thickness, light = haze[:, :1], haze[:, 1:].mean((2, 3))
    if thickness.shape[2:] != density.shape[2:]:
        thickness = F.interpolate(thickness, density.shape[2:], mode="area")
    veil = (1 - torch.exp(-thickness)).mean((2, 3))
    wrong = (density - thickness).abs() / (1 + thickness)
    return {
        "density": (wrong * known).mean(),
        "airlight": ((airlight - light).abs() * veil * known[:, :, 0, 0]).mean(),
    }
