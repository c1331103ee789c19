"""What a model can say of a hazy picture beside the dehazed one."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

Raw = tuple[Tensor, Tensor]
"""Coefficients before they are decoded: cell (N, 7, h, w) and airlight (N, 3 or 4); see `edge.coefficients.decode`."""


class Answer(NamedTuple):
    """A model's answer to pictures (N, 3, H, W), as `model(pictures, parts=True)` gives it.

    Attributes:
        dehazed: J (N, 3, H, W); not clipped in training.
        intermediate: J1, the picture without the detail's part, of models that have two stages.
        raw: the coefficients behind `dehazed`, of grid models.
        real: log odds (N,) of the haze being real and not laid, of models that tell.
    """

    dehazed: Tensor
    intermediate: Tensor | None = None
    raw: Raw | None = None
    real: Tensor | None = None
