"""Smoothing over time of a grid model's answer, so that video does not flicker.

Haze changes slowly, and what the network says of it should too. Each cell's coefficients are averaged
exponentially over time, but only as far as the picture in that cell stayed the same: where something moves, the new
answer counts at once, and at a cut everything starts anew. So there is no lag, and no trail behind what moves. Noise
that is in the frames themselves is not smoothed, but enlarged less (`edge.noise`).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from edge import native
from edge.noise import NoiseMeter

CHANGE_LEVELS = 14.0  # a cell that changed by so many grey levels keeps 1/e of what its past would count for
STEEPNESS = 1 / CHANGE_LEVELS**2
CUT_LEVELS = 28.0  # cells that changed by more than this are another scene ...
CUT_SHARE = 0.5  # ... and if they are this share of the picture, it is a cut
UNLIKE = 0.25  # correlation of detail below which pictures show different things, even if haze makes both grey ...
UNLIKE_LEVELS = 5.0  # ... provided that they differ by as much on average: noise in thick fog correlates with nothing
DETAIL_CELLS = 4  # detail is told from means of so many cells each way, so that a pan leaves most of it in place


class Smoother:
    """Averages raw coefficients over time.

    Args:
        seconds: the time constant of the average; 0 for none.
        loops: `edge.native.loops`; None has the image library do it.

    Attributes:
        seconds: as given; may be changed at any time.
        step_s: seconds between this frame and the one before; whoever knows the time stamps sets it.
        cuts: how many cuts were seen.
    """

    def __init__(self, seconds: float, loops: native.Loops | None = native.loops) -> None:
        self._loops, self._noise = loops, NoiseMeter()
        self.seconds = seconds
        self.step_s = 1 / 30
        self.cuts = 0
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._guide: np.ndarray | None = None
        self._cell: np.ndarray | None = None
        self._airlight: np.ndarray | None = None
        self._change = np.empty((0, 0), np.float32)
        self._noise.reset()

    def __call__(
        self, picture: np.ndarray, cell: np.ndarray, airlight: np.ndarray, frame: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Smooth one answer.

        Args:
            picture: uint8 RGB (H, W, 3), what the network saw, or its means over the cells, uint8 RGB (h, w, 3).
            cell: float32 (h, w, 7), airlight: float32 (3,) or (4,), what it said.
            frame: the whole frame, uint8 RGB, for its noise; None where that is not to count.

        Returns:
            Both, averaged; the arrays are kept here, must not be written to, and change with the next call.
        """
        if self.seconds <= 0:
            self.reset()
            return cell, airlight
        height, width = cell.shape[:2]
        if picture.shape[:2] != (height, width):
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        picture, cell = np.ascontiguousarray(picture), np.ascontiguousarray(cell)
        if self._guide is None or self._cell is None or self._airlight is None or self._cell.shape != cell.shape:
            return self._begin(picture, cell, airlight, frame)
        beyond, mean = self._compare(picture, self._guide)
        if beyond > CUT_SHARE or (mean > UNLIKE_LEVELS and _likeness(picture, self._guide) < UNLIKE):
            self.cuts += 1
            return self._begin(picture, cell, airlight, frame)
        past = math.exp(-max(self.step_s, 0.0) / self.seconds)
        if self._loops is None:
            trust = past * cv2.exp(cv2.multiply(self._change, self._change, scale=-STEEPNESS))
            self._guide = _between(picture.astype(np.float32), self._guide, trust)
            self._cell = _between(cell, self._cell, trust)
        else:
            self._loops.keep(picture, cell, self._change, past, STEEPNESS, self._guide, self._cell)
        self._airlight = (airlight + past * (self._airlight - airlight)).astype(airlight.dtype)
        return self._cell, self._calmed(self._airlight, frame)

    def _begin(
        self, picture: np.ndarray, cell: np.ndarray, airlight: np.ndarray, frame: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        self._noise.reset()
        self._guide, self._cell, self._airlight = picture.astype(np.float32), cell.copy(), airlight.copy()
        self._change = np.empty(cell.shape[:2], np.float32)
        return self._cell, self._calmed(self._airlight, frame)

    def _calmed(self, airlight: np.ndarray, frame: np.ndarray | None) -> np.ndarray:
        """The airlight, asking for as much less of fine detail as is noise; one that asks for none in particular has
        three values, and asks by the fourth."""
        if frame is None:
            return airlight
        said = min(max(float(airlight[3]), -20.0), 20.0) if airlight.size > 3 else 0.0
        less = self._noise(frame) / (1 + math.exp(-said))  # a share of two, as edge.coefficients takes it
        return np.append(airlight[:3], np.float32(math.log(less / (1 - less))))

    def _compare(self, picture: np.ndarray, guide: np.ndarray) -> tuple[float, float]:
        """The share of cells that are another scene's, and the mean change in grey levels."""
        if self._loops is not None:
            return self._loops.change(picture, guide, CUT_LEVELS, self._change)
        # The image library on whole planes: a third of the time of numpy on interleaved channels.
        difference = cv2.absdiff(picture.astype(np.float32), guide)
        red, green, blue = cv2.split(cv2.blur(difference, (3, 3)))
        cv2.max(cv2.max(red, green), blue, self._change)
        return np.count_nonzero(self._change > CUT_LEVELS) / self._change.size, cv2.mean(self._change)[0]


def _between(fresh: np.ndarray, past: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """`fresh + trust * (past - fresh)`, with the trust (h, w) for every channel of (h, w, C)."""
    out = cv2.subtract(past, fresh)
    cv2.multiply(out, cv2.merge([trust] * fresh.shape[2]), out)
    return cv2.add(out, fresh, out)


def _likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures' detail, uint8 or float32 (h, w, 3); 1 where one of them has none."""
    details = []
    for picture in (a, b):
        height, width = (max(1, side // DETAIL_CELLS) for side in picture.shape[:2])
        small = cv2.resize(picture.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        details.append(small - cv2.blur(small, (5, 5)))
    norms = float(np.linalg.norm(details[0]) * np.linalg.norm(details[1]))
    return float((details[0] * details[1]).sum()) / norms if norms else 1.0
