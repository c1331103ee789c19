"""What each term of the loss rewards."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from edge import coefficients
from tests.training.conftest import Drawn
from training import losses
from training.config import LossConfig
from training.features import FEATURES
from training.losses import Quadruplet, WeightedLoss, known_haze
from training.models.answer import Answer


@pytest.fixture
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    rows = [Drawn(width=48, height=40)[index] for index in range(3)]
    return torch.stack([hazy for hazy, _, _ in rows]), torch.stack([clear for _, clear, _ in rows])


def test_decibels_follow_psnr(pictures):
    hazy, clear = pictures
    psnr_db = np.mean([-10 * np.log10(float(((h - c) ** 2).mean()) + 1e-4) for h, c in zip(hazy, clear, strict=True)])
    assert losses.mse_db(hazy, clear) == pytest.approx((40 - psnr_db) / 10, abs=1e-5)
    assert losses.mse_db(clear, clear) == pytest.approx(0, abs=1e-6)


def test_ssim_is_the_librarys(pictures):
    hazy, clear = pictures
    want = np.mean(
        [
            structural_similarity(
                h.numpy(), c.numpy(), channel_axis=0, data_range=1, gaussian_weights=True, truncate=2, sigma=1.5,
                use_sample_covariance=False,
            )
            for h, c in zip(hazy, clear, strict=True)
        ]
    )  # fmt: skip
    assert 1 - losses.structural(hazy, clear) == pytest.approx(want, abs=5e-3)


@pytest.mark.parametrize("features", FEATURES)
def test_the_quadruplet_term_draws_to_the_clear_picture_and_from_the_hazy_one(pictures, features):
    hazy, clear = pictures
    term = Quadruplet(features)
    between = [term(clear + share * (hazy - clear), clear, hazy, hazy) for share in (0.0, 0.3, 0.7, 1.0)]
    assert between[0] == pytest.approx(0, abs=1e-6)
    assert between == sorted(between)
    dehazed = (clear + 0.5 * (hazy - clear)).requires_grad_()
    (gradient,) = torch.autograd.grad(term(dehazed, clear, hazy, hazy), dehazed)
    assert float((gradient * (clear - hazy)).sum()) < 0  # a step downhill leads towards the clear picture


@pytest.mark.parametrize("features", FEATURES)
def test_the_quadruplet_term_tells_the_intermediate_picture_apart(pictures, features):
    """A dehazed picture that is no better than the intermediate one costs more than one that is."""
    hazy, clear = pictures
    term = Quadruplet(features)
    near = clear + 0.2 * (hazy - clear)
    assert term(near, clear, hazy, near) > term(near, clear, hazy, clear + 0.6 * (clear - hazy))


@pytest.mark.parametrize("features", FEATURES)
def test_features_are_the_same_each_time(pictures, features):
    torch.manual_seed(5)
    first = FEATURES[features]()(pictures[0])
    torch.manual_seed(6)
    again = FEATURES[features]()(pictures[0])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_term_with_weight_zero_is_not_computed(pictures):
    hazy, clear = pictures
    config = LossConfig(l1=2.0, ssim=0.5, quadruplet=0.0)
    scores = WeightedLoss(config)(torch.nn.Identity(), hazy, clear)
    assert set(scores.terms) == {"l1", "ssim"}
    assert scores.loss == pytest.approx(float(2 * scores.terms["l1"] + 0.5 * scores.terms["ssim"]), abs=1e-6)


def test_the_quadruplet_term_takes_the_models_intermediate_picture(pictures):
    hazy, clear = pictures
    asked = []

    class Model(torch.nn.Module):
        gives_parts = True

        def forward(self, pictures, parts=False):
            asked.append(parts)
            return Answer(clear, intermediate=hazy)

    scores = WeightedLoss(LossConfig(l1=0.0, quadruplet=0.1))(Model(), hazy, clear)
    assert asked == [True]
    assert scores.loss == pytest.approx(0, abs=1e-6)


def raw_answer(thickness: float, airlight: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients of one picture of 3x4 cells that say this haze, by the inverse of the arithmetic on paper."""
    cell = torch.zeros(1, 7, 3, 4)
    cell[:, 0] = (math.log(math.expm1(thickness)) - coefficients.DENSITY_OFFSET) / coefficients.DENSITY_SLOPE
    share = airlight / coefficients.AIRLIGHT_SCALE
    return cell, torch.full((1, 3), math.log(share / (1 - share)))


def planes(thickness: float, airlight: float) -> torch.Tensor:
    haze = torch.full((1, 4, 6, 8), airlight)
    haze[:, 0] = thickness
    return haze


def test_haze_that_is_told_right_costs_nothing():
    terms = known_haze(raw_answer(0.7, 0.9), planes(0.7, 0.9))
    assert float(terms["density"]) == pytest.approx(0, abs=1e-6)
    assert float(terms["airlight"]) == pytest.approx(0, abs=1e-6)


def test_wrong_haze_costs_by_its_share_and_the_airlight_by_the_veil():
    terms = known_haze(raw_answer(1.5, 0.8), planes(1.0, 0.9))
    assert float(terms["density"]) == pytest.approx(0.5 / 2, abs=1e-5)
    assert float(terms["airlight"]) == pytest.approx(0.1 * (1 - math.exp(-1.0)), abs=1e-5)


def test_haze_that_nobody_knows_costs_nothing_and_leaves_gradients_finite():
    cell, airlight = (part.requires_grad_() for part in raw_answer(1.5, 0.8))
    terms = known_haze((cell, airlight), torch.full((1, 4, 6, 8), torch.nan))
    (terms["density"] + terms["airlight"]).backward()
    assert terms["density"].item() == terms["airlight"].item() == 0
    assert torch.isfinite(cell.grad).all() and torch.isfinite(airlight.grad).all()


class Telling(torch.nn.Module):
    """A model that tells log odds, and keeps what it was told."""

    gives_parts = True

    def __init__(self, odds: torch.Tensor) -> None:
        super().__init__()
        self.tell = torch.nn.Identity()
        self.odds = odds

    def forward(self, pictures, parts=False, real=None):
        self.real = real
        return Answer(pictures, real=self.odds)


def test_haze_counts_as_real_where_nobody_laid_it_and_what_is_told_of_it_costs_its_cross_entropy(pictures):
    hazy, clear = pictures
    haze = torch.zeros(3, 4, 40, 48)
    haze[1] = torch.nan
    model = Telling(torch.tensor([-2.0, 1.0, 0.5]))
    scores = WeightedLoss(LossConfig(l1=1.0, real=0.2))(model, hazy, clear, haze)
    assert model.real.tolist() == [False, True, False]
    likely = [1 / (1 + math.exp(-2.0)), 1 / (1 + math.exp(-1.0)), 1 - 1 / (1 + math.exp(-0.5))]
    entropy = -sum(math.log(each) for each in likely) / 3
    assert float(scores.terms["real"]) == pytest.approx(entropy, abs=1e-5)
    assert float(scores.loss) == pytest.approx(float((hazy - clear).abs().mean()) + 0.2 * entropy, abs=1e-5)
