"""How near a dehazed picture comes to the clear one, and how sure a mean over few pictures is.

PSNR and SSIM are those of `edge.measure.quality`; here are the colour difference, the paper's protocol, and the
interval of a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from edge.measure import quality

PAPER_SIDE = 256
RESAMPLINGS = 10_000
STRIP_ROWS = 512


@dataclass(frozen=True)
class Score:
    """One pair's score.

    Attributes:
        name: of the hazy picture, without its suffix.
        psnr_db: of the dehazed picture against the clear one, in decibels.
        ssim: likewise, with data range 1.
        ciede2000: mean colour difference (CIE 2000) over the pixels; 1 is just noticeable.
        hazy_psnr_db: of the hazy picture itself against the clear one.
    """

    name: str
    psnr_db: float
    ssim: float
    ciede2000: float
    hazy_psnr_db: float

    def to_dict(self) -> dict[str, float | str]:
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


def score(name: str, hazy: np.ndarray, dehazed: np.ndarray, clear: np.ndarray) -> Score:
    """Score one pair; uint8 RGB (H, W, 3) pictures of one size."""
    return Score(
        name,
        min(quality.psnr_db(dehazed, clear), quality.EQUAL_PSNR_DB),
        quality.ssim(dehazed, clear),
        ciede2000(dehazed, clear),
        min(quality.psnr_db(hazy, clear), quality.EQUAL_PSNR_DB),
    )


def ciede2000(a: np.ndarray, b: np.ndarray) -> float:
    """Mean CIEDE2000 colour difference (Sharma, Wu and Dalal 2005) of two uint8 sRGB pictures (H, W, 3).

    Taken row by row in strips, so that a large picture needs little memory.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab

    total = 0.0
    for top in range(0, a.shape[0], STRIP_ROWS):
        strips = (rgb2lab(picture[top : top + STRIP_ROWS].astype(np.float32) / 255) for picture in (a, b))
        total += float(deltaE_ciede2000(*strips).sum(dtype=np.float64))
    return total / (a.shape[0] * a.shape[1])


def paper256(picture: np.ndarray) -> np.ndarray:
    """A picture resized to the 256x256 that the paper scores at, bicubic, uint8.

    The released loader takes the nearest pixels for 1024x1024 (the default of Keras' `load_img`) and reduces these
    bilinearly to 256x256 (the default of cv2); with the published weights its pooled PSNR is 0.04 dB from this one.
    """
    return cv2.resize(picture, (PAPER_SIDE, PAPER_SIDE), interpolation=cv2.INTER_CUBIC)


@dataclass(frozen=True)
class Mean:
    """A mean over pictures with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def bootstrap(values: Sequence[float], seed: int = 0) -> Mean:
    """Mean with the 2.5 and 97.5 percentiles of the means of resampled pictures (Efron and Tibshirani 1993)."""
    array = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    means = array[rng.integers(0, len(array), (RESAMPLINGS, len(array)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Mean(float(array.mean()), float(low), float(high))
