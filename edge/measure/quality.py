"""How near a dehazed picture comes to the clear one: PSNR and SSIM, on [0, 1] RGB at full resolution."""

from __future__ import annotations

import math

import cv2
import numpy as np

from edge.errors import FrameError

# What stands for the infinite PSNR of equal pictures, so that means, drops and JSON stay finite. There are two:
# published tables say 100 dB for pictures that are equal bit for bit and leave all others their own figure; drops
# between models count all that is closer than 60 dB (a quarter of a grey level) as 60, or one picture that a model
# leaves just as it is and another alters by one pixel would outweigh the rest.
EQUAL_PSNR_DB = 100.0
ALIKE_PSNR_DB = 60.0
SSIM_SIGMA = 1.5
SSIM_WINDOW = 11  # 3.5 sigma to each side
STRIP_ROWS = 256
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # K1, K2 of the paper, for a data range of 1


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two pictures, over all pixels and channels, for a peak of 1 (255 grey levels).

    Args:
        a, b: uint8 RGB (H, W, 3), of the same shape.

    Returns:
        Decibels; infinity for equal pictures.

    Raises:
        FrameError: another dtype, or shapes that differ.
    """
    _check(a, b)
    squared = 0
    for top in range(0, a.shape[0], STRIP_ROWS):  # strips, so that a large frame needs little memory
        difference = cv2.absdiff(a[top : top + STRIP_ROWS], b[top : top + STRIP_ROWS]).ravel().astype(np.int64)
        squared += int(np.dot(difference, difference))
    if squared == 0:
        return math.inf
    return 10 * math.log10(255.0**2 * a.size / squared)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004, equation 13): Gaussian window of sigma 1.5, data range 1.

    The mean over the three channels and over all pixels whose window lies inside the picture; a picture smaller than
    the window (11 pixels) is mirrored at its borders instead.

    Args:
        a, b: uint8 RGB (H, W, 3), of the same shape.

    Returns:
        A value in [-1, 1], 1 for equal pictures.

    Raises:
        FrameError: another dtype, or shapes that differ.
    """
    _check(a, b)
    return float(np.mean([_ssim_of_channel(a[..., c], b[..., c]) for c in range(a.shape[2])]))


def _ssim_of_channel(a: np.ndarray, b: np.ndarray) -> float:
    height, width = a.shape
    edge = SSIM_WINDOW // 2
    if min(height, width) <= 2 * edge:
        return float(_likeness(a, b).mean())
    total = 0.0
    for top in range(edge, height - edge, STRIP_ROWS):  # strips, so that a large picture needs little memory
        bottom = min(top + STRIP_ROWS, height - edge)
        rows = slice(top - edge, bottom + edge)
        total += float(_likeness(a[rows], b[rows])[edge:-edge, edge:-edge].sum())
    return total / ((height - 2 * edge) * (width - 2 * edge))


def _likeness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The index at every pixel, float64 (H, W): float32 would lose the small variances."""
    x, y = a / 255.0, b / 255.0
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    return ((2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_x * mean_x + mean_y * mean_y + SSIM_C1) * (variance_x + variance_y + SSIM_C2)
    )


def _blur(plane: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(plane, (SSIM_WINDOW, SSIM_WINDOW), SSIM_SIGMA, borderType=cv2.BORDER_REFLECT)


def _check(a: np.ndarray, b: np.ndarray) -> None:
    for picture in (a, b):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise FrameError(f"quality is taken of uint8 RGB pictures (H, W, 3), not {picture.dtype} {picture.shape}")
    if a.shape != b.shape:
        raise FrameError(
            f"the two pictures differ in size: {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]} pixels"
        )
