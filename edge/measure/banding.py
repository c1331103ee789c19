"""Banding (of brightness, in steps of 1 to 4 grey levels) and blotches: what shows where a sky should be smooth."""

from __future__ import annotations

import cv2
import numpy as np

from edge.errors import FrameError

WINDOW = 65  # pixels, a side of the surroundings in which the two sides of a step are looked for
LARGEST_STEP = 4  # grey levels; what differs by more is an edge, not a band
FLAT_WINDOW = 7
FINEST, COARSEST = 2.0, 60.0  # pixels, sigma of the blurs between which a blotch lies
FLAT_SHARE = 0.5  # of the pixels around one that equal their right and lower neighbours


def banding(picture: np.ndarray) -> float:
    """How much of a picture consists of flat areas side by side, a step of a few grey levels apart.

    The contrast term of CAMBI (Tandon et al. 2021, "CAMBI: Contrast-aware Multiscale Banding Index", equation 2) at
    one scale: a pixel counts by `k p0 max(p-/(p0 + p-), p+/(p0 + p+))` for the step k that gives most, where p0, p-
    and p+ are the shares of flat pixels around it that have its own level, k less and k more. A gradient without
    noise has steps of one level even in the best 8-bit picture: compare a picture with that of the float model.

    Only brightness is looked at, and steps of 1 to 4 grey levels of it: bands that are further apart count as edges,
    and bands of colour alone, between which brightness stays the same, are not seen. Both give 0.

    Args:
        picture: uint8 RGB (H, W, 3).

    Returns:
        Mean over all pixels, in [0, 1]: 0 for texture, noise or one flat area; some 0.25 k where even bands k levels
        apart fill the picture.

    Raises:
        FrameError: another dtype or shape, or no pixels.
    """
    _check(picture)
    levels = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    flat = _flat(levels)
    present = np.unique(levels[flat]) if flat.any() else ()
    shares = {int(level): _share(flat & (levels == level)) for level in present}
    worst = np.zeros(levels.shape, np.float32)
    for level, own in shares.items():
        here = flat & (levels == level)
        p0 = own[here]
        for step in range(1, LARGEST_STEP + 1):
            sides = [shares[other][here] for other in (level - step, level + step) if other in shares]
            if sides:
                most = np.maximum.reduce([p / (p0 + p) for p in sides])
                worst[here] = np.maximum(worst[here], step * p0 * most)
    return float(worst.mean())


def unevenness(picture: np.ndarray) -> float:
    """How uneven a picture of something smooth is: what is coarser than noise and finer than the sky's own gradient.

    Banding and the blotches of single cells both show in it, also under a camera's noise, which hides flat areas.

    Args:
        picture: uint8 RGB (H, W, 3) of a smooth sky alone.

    Returns:
        Standard deviation in grey levels of the difference of two Gaussian blurs (sigma 2 and 60 pixels), mean over
        channels.

    Raises:
        FrameError: another dtype or shape, or no pixels.
    """
    _check(picture)
    exact = picture.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(exact, (0, 0), sigma) for sigma in (FINEST, COARSEST))
    return float((fine - coarse).std(axis=(0, 1)).mean())


def _check(picture: np.ndarray) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise FrameError(
            f"banding and unevenness are measured on uint8 RGB (H, W, 3) with pixels in it, not {picture.dtype} "
            f"{picture.shape}"
        )


def _flat(levels: np.ndarray) -> np.ndarray:
    """Pixels in whose surroundings most equal their neighbours."""
    equal = np.zeros(levels.shape, np.float32)
    equal[:-1, :-1] = (levels[:-1, :-1] == levels[:-1, 1:]) & (levels[:-1, :-1] == levels[1:, :-1])
    return cv2.blur(equal, (FLAT_WINDOW, FLAT_WINDOW), borderType=cv2.BORDER_REFLECT) >= FLAT_SHARE


def _share(chosen: np.ndarray) -> np.ndarray:
    """Share of chosen pixels in the window around each pixel; what lies outside of the picture is not chosen."""
    return cv2.blur(chosen.astype(np.float32), (WINDOW, WINDOW), borderType=cv2.BORDER_CONSTANT)
