"""Smoothing over time of a grid model's answer, so that video does not flicker.

Haze changes slowly, and what the network says of it should too. Each cell's coefficients are averaged
exponentially over time, but only as far as the picture in that cell stayed the same: where something moves, the new
answer counts at once, and at a cut everything starts anew. So there is no lag, and no trail behind what moves.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

CHANGE_LEVELS = 14.0  # a cell that changed by so many grey levels keeps 1/e of what its past would count for
CUT_LEVELS = 28.0  # cells that changed by more than this are another scene ...
CUT_SHARE = 0.5  # ... and if they are this share of the picture, it is a cut
UNLIKE = 0.25  # correlation of detail below which pictures show different things, even if haze makes both grey ...
UNLIKE_LEVELS = 5.0  # ... provided that they differ by as much on average: noise in thick fog correlates with nothing
DETAIL_CELLS = 4  # detail is told from means of so many cells each way, so that a pan leaves most of it in place


class Smoother:
    """Averages raw coefficients over time.

    Args:
        seconds: the time constant of the average; 0 for none.

    Attributes:
        seconds: as given; may be changed at any time.
        step_s: seconds between this frame and the one before; whoever knows the time stamps sets it.
        cuts: how many cuts were seen.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.step_s = 1 / 30
        self.cuts = 0
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._guide: np.ndarray | None = None
        self._cell: np.ndarray | None = None
        self._airlight: np.ndarray | None = None

    def __call__(self, picture: np.ndarray, cell: np.ndarray, airlight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smooth one answer.

        Args:
            picture: uint8 RGB (H, W, 3), what the network saw.
            cell: float32 (h, w, C), airlight: float32 (3,) or (4,), what it said.

        Returns:
            Both, averaged; the arrays are kept here and must not be written to.
        """
        if self.seconds <= 0:
            self.reset()
            return cell, airlight
        height, width = cell.shape[:2]
        guide = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        past = math.exp(-max(self.step_s, 0.0) / self.seconds)
        if self._guide is None or self._cell is None or self._airlight is None or self._cell.shape != cell.shape:
            self._guide, self._cell, self._airlight = guide, cell.copy(), airlight.copy()
            return self._cell, self._airlight
        # The image library on whole planes: a third of the time of numpy on interleaved channels.
        red, green, blue = cv2.split(cv2.blur(cv2.absdiff(guide, self._guide), (3, 3)))
        change = cv2.max(cv2.max(red, green), blue)
        other = np.count_nonzero(change > CUT_LEVELS) > CUT_SHARE * change.size
        if other or (cv2.mean(change)[0] > UNLIKE_LEVELS and _likeness(guide, self._guide) < UNLIKE):
            self.cuts += 1
            self._guide, self._cell, self._airlight = guide, cell.copy(), airlight.copy()
            return self._cell, self._airlight
        trust = past * cv2.exp(cv2.multiply(change, change, scale=-1 / CHANGE_LEVELS**2))
        self._guide = _between(guide, self._guide, trust)
        self._cell = _between(cell, self._cell, trust)
        self._airlight = (airlight + past * (self._airlight - airlight)).astype(airlight.dtype)
        return self._cell, self._airlight


def _between(fresh: np.ndarray, past: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """`fresh + trust * (past - fresh)`, with the trust (h, w) for every channel of (h, w, C)."""
    out = cv2.subtract(past, fresh)
    cv2.multiply(out, cv2.merge([trust] * fresh.shape[2]), out)
    return cv2.add(out, fresh, out)


def _likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures' detail, float32 (h, w, 3); 1 where one of them has none."""
    details = []
    for picture in (a, b):
        height, width = (max(1, side // DETAIL_CELLS) for side in picture.shape[:2])
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        details.append(small - cv2.blur(small, (5, 5)))
    norms = float(np.linalg.norm(details[0]) * np.linalg.norm(details[1]))
    return float((details[0] * details[1]).sum()) / norms if norms else 1.0
