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
from edge.measure.statistics import mean_interval

PAPER_SIDE = 256
BEST_PSNR_DB = 100.0  # equal pictures count as this, so that a mean stays finite
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
        scene: name of the clear picture; several hazy pictures may be of one scene.
    """

    name: str
    psnr_db: float
    ssim: float
    ciede2000: float
    hazy_psnr_db: float
    scene: str = ""

    def to_dict(self) -> dict[str, float | str]:
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


def score(name: str, hazy: np.ndarray, dehazed: np.ndarray, clear: np.ndarray, scene: str = "") -> Score:
    """Score one pair; uint8 RGB (H, W, 3) pictures of one size."""
    return Score(
        name,
        min(quality.psnr_db(dehazed, clear), BEST_PSNR_DB),
        quality.ssim(dehazed, clear),
        ciede2000(dehazed, clear),
        min(quality.psnr_db(hazy, clear), BEST_PSNR_DB),
        scene,
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
    """A picture as the paper's protocol takes it: bicubic resize to 256x256, uint8."""
    return cv2.resize(picture, (PAPER_SIDE, PAPER_SIDE), interpolation=cv2.INTER_CUBIC)


@dataclass(frozen=True)
class Mean:
    """A mean over pictures with its 95 % interval; None where it has none."""

    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return self.written(2)

    def written(self, digits: int) -> str:
        """For example ``17.08 [16.90, 17.26]``."""
        if self.low is None:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def mean_of(values: Sequence[float], scenes: Sequence[str] | None = None) -> Mean:
    """Mean with the interval of `edge.measure.statistics.mean_interval`, over scenes where they are given."""
    array = np.asarray(values, np.float64)
    interval = mean_interval(array, scenes)
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Mean(float(array.mean()), low, high)
