"""An export that went wrong is refused, whichever way it went wrong; one that only rounds is not."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import EdgeError
from edge.soundness import refuse_broken

WIDTH, HEIGHT = 40, 30


class Fake:
    """A network of plain numpy: local contrasts of each colour as coefficients, and the mean colour."""

    def __init__(self, before=lambda p: p, after=lambda a: a) -> None:
        self.before, self.after = before, after

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        values = self.before(picture).astype(np.float32) / 255
        blurred = (np.roll(values, 1, 0) + values + np.roll(values, 1, 1)) / 3
        cell = np.concatenate([values.mean(-1, keepdims=True), blurred, values * 0.3], -1)
        return self.after(cell), values.mean((0, 1))


def rounded(cell: np.ndarray) -> np.ndarray:
    return np.round(cell * 12) / 12


def test_an_exact_artefact_passes():
    refuse_broken(Fake(), Fake(), WIDTH, HEIGHT)


def test_coarse_rounding_is_not_taken_for_a_broken_export():
    refuse_broken(Fake(), Fake(after=rounded), WIDTH, HEIGHT)


@pytest.mark.parametrize("rounding", [lambda cell: cell, rounded], ids=["exact", "rounded"])
@pytest.mark.parametrize(
    ("before", "what"),
    [
        (lambda p: p[..., ::-1], "input in the order BGR"),
        (lambda p: np.roll(p, 1, 0), "input moved down by a pixel"),
        (lambda p: np.roll(p, -1, 1), "input moved left by a pixel"),
        (lambda p: np.full_like(p, 90), "do not follow the picture"),
    ],
)
def test_what_happens_to_the_input_is_noticed(before, what, rounding):
    with pytest.raises(EdgeError, match=what):
        refuse_broken(Fake(), Fake(before, rounding), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (lambda cell: cell * np.nan, "not finite"),
        (lambda cell: np.where(cell > 0.5, np.inf, cell), "not finite"),
        (np.zeros_like, "do not follow the picture"),
        (lambda cell: cell[..., [0, 3, 2, 1, 6, 5, 4]], "output in the order BGR"),
        (lambda cell: np.roll(cell, 1, 1), "moved right by a pixel"),
        (lambda cell: cell[:-1], "shapes"),
    ],
)
def test_what_happens_to_the_output_is_noticed(after, what):
    with pytest.raises(EdgeError, match=what):
        refuse_broken(Fake(), Fake(after=after), WIDTH, HEIGHT)
