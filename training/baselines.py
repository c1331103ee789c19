"""What a model is compared with: the hazy picture itself, and the dark channel prior."""

from __future__ import annotations

import cv2
import numpy as np

PATCH = 15
OMEGA = 0.95
LEAST_TRANSMISSION = 0.1
BRIGHTEST = 0.001
GUIDE_RADIUS, GUIDE_EPSILON = 40, 1e-3


def hazy_itself(picture: np.ndarray) -> np.ndarray:
    """The picture as it is."""
    return picture


def dark_channel_prior(picture: np.ndarray) -> np.ndarray:
    """Single image haze removal using dark channel prior (He, Sun and Tang 2009), refined by a guided filter (2010).

    Args:
        picture: uint8 RGB (H, W, 3).

    Returns:
        uint8 RGB of the same shape.
    """
    hazy = picture.astype(np.float32) / 255
    window = cv2.getStructuringElement(cv2.MORPH_RECT, (PATCH, PATCH))
    dark = cv2.erode(hazy.min(2), window)
    count = max(1, int(BRIGHTEST * dark.size))
    haziest = np.argpartition(dark.ravel(), -count)[-count:]
    candidates = hazy.reshape(-1, 3)[haziest]
    airlight = candidates[candidates.sum(1).argmax()]
    transmission = 1 - OMEGA * cv2.erode((hazy / np.maximum(airlight, 1e-3)).min(2), window)
    guide = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    transmission = np.maximum(_guided(guide, transmission), LEAST_TRANSMISSION)[..., None]
    clear = (hazy - airlight) / transmission + airlight
    return np.clip(np.rint(clear * 255), 0, 255).astype(np.uint8)


def _guided(guide: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Guided filter (He, Sun and Tang 2010) with a grey guide, float32 (H, W)."""
    side = 2 * GUIDE_RADIUS + 1

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_values = mean(guide), mean(values)
    slope = (mean(guide * values) - mean_guide * mean_values) / (mean(guide * guide) - mean_guide**2 + GUIDE_EPSILON)
    offset = mean_values - slope * mean_guide
    return mean(slope) * guide + mean(offset)


BASELINES = {"hazy": hazy_itself, "dark-channel": dark_channel_prior}
