"""By how much INT8 moves a grid model's answers on average, so that it can be taken off again.

Rounding of many layers does not cancel out: it leaves a density that is a little too high or too low everywhere, which
costs more than its noise (bias correction, Nagel et al. 2019, section 4.2, on the outputs alone). What an error does to
the clear picture J goes with the veil v = 1 - exp(-d), d being the haze's optical thickness: J = (I - A) exp(d) + A and
d = softplus(z) give dJ / dz = (J - A) v, and the others are in `edge.coefficients`. So the mean is weighted by the
square of the veil: what INT8 says of clear air, where nothing follows from it, does not count.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edge.coefficients import DENSITY_OFFSET, DENSITY_SLOPE

LEAST_WEIGHT = 1e-9  # of a place: a set of clear pictures alone has a mean too
Raw = tuple[np.ndarray, np.ndarray]


def mean_errors(answers: Iterable[tuple[Raw, Raw]]) -> Raw:
    """By how much each channel of `cell` and of `airlight` lies above what it should be.

    Args:
        answers: for each picture the exact one and the one to be corrected, both as `edge.coefficients` takes them:
            cell (h, w, 7) and airlight (3,) or (4,).

    Returns:
        The same two, (7,) and (3,) or (4,).
    """
    of_cells: list[np.ndarray] = []
    of_lights: list[np.ndarray] = []
    weights: list[float] = []
    for (cell, light), (rounded_cell, rounded_light) in answers:
        # The logistic function of z is 1 - exp(-softplus(z)).
        veil = 1 / (1 + np.exp(-(DENSITY_SLOPE * cell[..., 0].astype(np.float64) + DENSITY_OFFSET)))
        weight = veil**2 + LEAST_WEIGHT
        of_cells.append(np.einsum("hw,hwc->c", weight, rounded_cell.astype(np.float64) - cell) / weight.size)
        of_lights.append((rounded_light.astype(np.float64) - light) * weight.mean())
        weights.append(float(weight.mean()))
    whole = sum(weights)
    return np.sum(of_cells, axis=0) / whole, np.sum(of_lights, axis=0) / whole
