"""Lets the model rest while the air is clear.

How hazy it is the model itself says: the mean optical depth over the frame of what it would remove. While it rests
it still looks at a frame now and then. Two thresholds and a delay keep it from wavering, and the change is faded, so
that nobody sees it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from edge import coefficients
from edge.streams.events import Events

# Mean optical depth. The shipped model sees 0.00 to 0.06 in clear pictures (10th to 90th percentile of 40 scenes of
# SOTS outdoor and of 40 real ones) and 0.18 to 0.83 in their hazy versions.
CLEAR_BELOW, HAZY_ABOVE = 0.06, 0.10
CLEAR_FOR_S = 3.0
PROBE_S = 0.5
FADE_S = 0.5
LONGEST_STEP_S = 0.2  # however long ago the last frame was, the fade takes a few of them


class Rest:
    """Decides frame by frame how much of the wished strength is taken.

    Attributes:
        haze: the mean optical depth seen last; None before the first.
        resting: the air is clear.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._level = 1.0
        self._now: float | None = None
        self._clear_since: float | None = None
        self._probed_at = 0.0
        self.haze: float | None = None
        self.resting = False

    def level(self, now: float) -> float:
        """The share of the strength for a frame at `now` (`time.monotonic`), from 0 (rest) to 1."""
        step = 0.0 if self._now is None else min(max(0.0, now - self._now), LONGEST_STEP_S) / FADE_S
        self._now = now
        self._level = max(0.0, self._level - step) if self.resting else min(1.0, self._level + step)
        return self._level

    def probe_due(self, now: float) -> bool:
        """Whether a resting model should look at this frame."""
        return now - self._probed_at >= PROBE_S

    def observe(self, haze: float, now: float) -> None:
        """Take in what the model saw."""
        self.haze, self._probed_at = haze, now
        if haze >= CLEAR_BELOW:
            self._clear_since = None
        elif self._clear_since is None:
            self._clear_since = now
        if self.resting and haze > HAZY_ABOVE:
            self.resting = False
            self._events("haze_back", "info", f"haze is back (optical depth {haze:.2f}); the model works again")
        elif not self.resting and self._clear_since is not None and now - self._clear_since >= CLEAR_FOR_S:
            self.resting = True
            self._events("air_clear", "info", f"the air is clear (optical depth {haze:.2f}); the model rests")


def optical_depth(cell: np.ndarray | None, picture: np.ndarray) -> float:
    """Mean optical depth of the haze in a frame.

    Args:
        cell: a grid model's raw answer (h, w, 7). Without it (frame models) the dark channel of the picture stands
            in (He, Sun, Tang, CVPR 2009), which takes white things for haze.
        picture: uint8 RGB (H, W, 3).
    """
    if cell is not None:
        raw = coefficients.DENSITY_SLOPE * cell[..., 0] + coefficients.DENSITY_OFFSET
        density = np.maximum(raw, 0) + np.log1p(np.exp(-np.abs(raw)))  # softplus, as decode
        tint = np.clip(coefficients.TINT_SCALE * cell[..., 1:4], -1, 1).mean(axis=2)
        return float((density * (1 + tint)).mean())
    small = cv2.resize(picture, (80, 60), interpolation=cv2.INTER_AREA)
    dark = cv2.erode(small.min(axis=2), np.ones((5, 5), np.uint8))
    return -math.log(max(1 - 0.95 * float(dark.mean()) / 255, 0.05))
