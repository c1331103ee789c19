"""The dark channel prior (He, Sun, Tang, CVPR 2009): a peer that needs no training, for quality and speed.

With the parameters of the paper, and the guided filter (He, Sun, Tang, ECCV 2010) in place of soft matting, as its
authors recommend for speed.
"""

from __future__ import annotations

import cv2
import numpy as np

PATCH = 15
OMEGA = 0.95  # equation 12: a little haze is kept
LEAST_TRANSMISSION = 0.1  # equation 16
BRIGHTEST = 0.001  # section 4.4: the share of pixels, haziest first, that the airlight is looked for in
GUIDED_RADIUS, GUIDED_EPSILON = 60, 1e-3


class DarkChannel:
    """Takes frames as `edge.Dehazer` does: uint8 RGB (H, W, 3) in and out."""

    timing = None

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        picture = frame.astype(np.float32) / 255
        airlight = _airlight(picture, _dark_channel(picture))
        transmission = 1 - OMEGA * _dark_channel(picture / airlight)
        transmission = _guided(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), transmission)
        transmission = np.maximum(transmission, LEAST_TRANSMISSION)[..., None]
        clear = (picture - airlight) / transmission + airlight
        return np.rint(255 * np.clip(clear, 0, 1)).astype(np.uint8)


def _dark_channel(picture: np.ndarray) -> np.ndarray:
    """Equation 5: the least value of any colour in a patch, float32 (H, W)."""
    return cv2.erode(picture.min(axis=2), np.ones((PATCH, PATCH), np.uint8))


def _airlight(picture: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """The brightest of the haziest pixels, float32 (3,)."""
    count = max(1, int(BRIGHTEST * dark.size))
    haziest = np.argpartition(dark.ravel(), -count)[-count:]
    candidates = picture.reshape(-1, 3)[haziest]
    return np.maximum(candidates[candidates.sum(axis=1).argmax()], 1e-3)


def _guided(guide: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Guided filter of float32 (H, W) pictures: values that follow the edges of the guide."""

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.blur(plane, (2 * GUIDED_RADIUS + 1, 2 * GUIDED_RADIUS + 1), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_values = mean(guide), mean(values)
    slope = (mean(guide * values) - mean_guide * mean_values) / (mean(guide * guide) - mean_guide**2 + GUIDED_EPSILON)
    return mean(slope) * guide + mean(mean_values - slope * mean_guide)
