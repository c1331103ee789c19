"""What a model is compared with: the hazy picture itself, and the dark channel prior."""

from __future__ import annotations

import cv2
import numpy as np

PATCH = 15
OMEGA = 0.95  # equation 12: a little haze is kept
LEAST_TRANSMISSION = 0.1  # equation 16
BRIGHTEST = 0.001  # section 4.4: the share of pixels, haziest first, that the airlight is looked for in
GUIDE_RADIUS, GUIDE_EPSILON = 60, 1e-3  # four patches, as most programs of the method have it; not from the paper


def hazy_itself(picture: np.ndarray) -> np.ndarray:
    """The picture as it is."""
    return picture


def dark_channel_prior(picture: np.ndarray) -> np.ndarray:
    """Single image haze removal using dark channel prior (He, Sun and Tang 2009), with the parameters of the paper.

    A guided filter (He, Sun and Tang 2010) refines the transmission in place of soft matting, as its authors recommend
    for speed.

    Args:
        picture: uint8 RGB (H, W, 3).

    Returns:
        uint8 RGB of the same shape.
    """
    hazy = picture.astype(np.float32) / 255
    airlight = _airlight(hazy, _dark_channel(hazy))
    transmission = 1 - OMEGA * _dark_channel(hazy / airlight)
    transmission = _guided(cv2.cvtColor(hazy, cv2.COLOR_RGB2GRAY), transmission)
    transmission = np.maximum(transmission, LEAST_TRANSMISSION)[..., None]
    clear = (hazy - airlight) / transmission + airlight
    return np.clip(np.rint(clear * 255), 0, 255).astype(np.uint8)


def _dark_channel(picture: np.ndarray) -> np.ndarray:
    """Equation 5: the least value of any colour in a patch, float32 (H, W)."""
    return cv2.erode(picture.min(axis=2), np.ones((PATCH, PATCH), np.uint8))


def _airlight(picture: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """The brightest of the haziest pixels, float32 (3,).

    Which of equally hazy pixels are among them is as numpy sorts, which differs between processors: the mean PSNR on
    RESIDE's `outdoor_val` is 16.51 dB on the README's and 16.50 on one without AVX-512.
    """
    count = max(1, int(BRIGHTEST * dark.size))
    haziest = np.argpartition(dark.ravel(), -count)[-count:]
    candidates = picture.reshape(-1, 3)[haziest]
    return np.maximum(candidates[candidates.sum(axis=1).argmax()], 1e-3)


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
