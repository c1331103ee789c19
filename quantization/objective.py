"""What a student minimises: the losses of its configuration, and what its teachers say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import RunConfig
from training.losses import Scores, WeightedLoss, ask
from training.models.answer import Answer

WINDOW = 7  # pixels of the training picture, a side of the surroundings in which a line is fitted
EPSILON = 1e-3  # variance below which a line's slope is not trusted


class DistillationObjective(nn.Module):
    """The configuration's losses where there is a clear picture; distances to the teachers' mean picture everywhere.

    Pictures whose clear one is NaN have none.
    """

    def __init__(self, config: RunConfig, teachers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.supervised = WeightedLoss(config.losses)
        self.weights = config.distillation
        self.teachers = nn.ModuleList(teachers).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> DistillationObjective:
        super().train(mode)
        self.teachers.eval()  # a teacher's normalisation does not learn
        return self

    def forward(self, model: nn.Module, hazy: Tensor, clear: Tensor, haze: Tensor) -> Scores:
        answer = ask(model, hazy, haze)
        dehazed = answer.dehazed.float()
        with torch.no_grad():
            taught = torch.stack([_taught(teacher, hazy) for teacher in self.teachers]).mean(0)
        labelled = torch.isfinite(clear).all(dim=(1, 2, 3))
        wanted = torch.where(labelled[:, None, None, None], clear, taught)
        terms = {
            "taught_picture": (dehazed - taught).abs().mean(),
            "taught_coefficients": coefficient_distance(hazy, dehazed, wanted),
        }
        loss = self.weights.picture * terms["taught_picture"]
        loss = loss + self.weights.coefficients * terms["taught_coefficients"]
        if labelled.any():
            scores = self.supervised.score(_some(answer, labelled), hazy[labelled], clear[labelled], haze[labelled])
            share = labelled.float().mean()
            loss, terms = loss + share * scores.loss, {**scores.terms, **terms}
        return Scores(loss, terms, dehazed)


def _taught(teacher: nn.Module, hazy: Tensor) -> Tensor:
    """A teacher's pictures; one that is `mirrored` looks at their mirror images too, as those who use it do."""
    dehazed = teacher(hazy).float()
    return (dehazed + teacher(hazy.flip(3)).float().flip(3)) / 2 if getattr(teacher, "mirrored", False) else dehazed


def _some(answer: Answer, chosen: Tensor) -> Answer:
    """The answer to the chosen ones of the pictures."""
    raw = None if answer.raw is None else (answer.raw[0][chosen], answer.raw[1][chosen])
    intermediate = None if answer.intermediate is None else answer.intermediate[chosen]
    real = None if answer.real is None else answer.real[chosen]
    return Answer(answer.dehazed[chosen], intermediate, raw, real)


def coefficient_distance(hazy: Tensor, dehazed: Tensor, wanted: Tensor) -> Tensor:
    """How far the coefficients behind `dehazed` are from the best ones for `wanted`, in shares of full scale.

    Gain and bias are those of the least-squares line from the hazy to the other picture in the surroundings of each
    pixel (He, Sun and Tang 2013, eq. 5-6). A wrong gain counts by the contrast that it acts on, gain and bias
    together by the brightness that they give, so that a flat patch asks for no certain gain.
    """
    gain, brightness, contrast = _line(hazy, dehazed)
    best_gain, best_brightness, _ = _line(hazy, wanted)
    return ((gain - best_gain).abs() * contrast + (brightness - best_brightness).abs()).mean()


def _line(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slope of the line from x to y around each pixel, mean of y there, and standard deviation of x there."""
    mean_x, mean_y = _mean(x), _mean(y)
    variance = (_mean(x * x) - mean_x * mean_x).clamp(min=0)
    slope = (_mean(x * y) - mean_x * mean_y) / (variance + EPSILON)
    return slope, mean_y, (variance + 1e-8).sqrt()


def _mean(picture: Tensor) -> Tensor:
    return F.avg_pool2d(picture, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
