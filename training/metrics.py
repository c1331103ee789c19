"""How near a dehazed picture comes to the clear one, and how sure a mean over few pictures is.

PSNR and SSIM are those of `edge.measure.quality`; here are the colour difference, the paper's protocol, and the
interval of a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import cv2
import numpy as np

from edge.measure import quality
from edge.measure.statistics import mean_interval

PAPER_SIDE = 256
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


class ScoredPair(NamedTuple):
    """A pair as a protocol takes it, and how near the dehazed picture comes to the clear one.

    Attributes:
        hazy, dehazed, clear: uint8 RGB (H, W, 3).
        psnr_db, ssim: of the dehazed picture against the clear one.
        squared_error: mean over its pixels and channels, for values in [0, 1]; see `pooled_psnr_db`.
    """

    hazy: np.ndarray
    dehazed: np.ndarray
    clear: np.ndarray
    psnr_db: float
    ssim: float
    squared_error: float


def scored_pair(
    dehazer: Callable[[np.ndarray], np.ndarray], hazy: np.ndarray, clear: np.ndarray, protocol: str
) -> ScoredPair:
    """Dehaze a picture and compare it with the clear one.

    Args:
        dehazer: uint8 RGB in and out.
        hazy, clear: uint8 RGB (H, W, 3) of one size.
        protocol: ``full``, the pictures as they are, or ``paper256``.
    """
    if protocol == "paper256":
        hazy, clear = paper256(hazy), paper256(clear)
    dehazed = dehazer(hazy)
    psnr_db = min(quality.psnr_db(dehazed, clear), quality.EQUAL_PSNR_DB)
    squared = float(((dehazed.astype(np.float32) - clear) ** 2).mean(dtype=np.float64)) / 255**2
    return ScoredPair(hazy, dehazed, clear, psnr_db, quality.ssim(dehazed, clear), squared)


def score(name: str, pair: ScoredPair, scene: str = "") -> Score:
    """All figures of a pair."""
    hazy_db = min(quality.psnr_db(pair.hazy, pair.clear), quality.EQUAL_PSNR_DB)
    return Score(name, pair.psnr_db, pair.ssim, ciede2000(pair.dehazed, pair.clear), hazy_db, scene)


def pooled_psnr_db(squared_errors: Sequence[float]) -> float:
    """One PSNR of the error pooled over pictures, as the paper has it; of no error `quality.EQUAL_PSNR_DB`."""
    pooled = float(np.mean(squared_errors))
    return min(-10 * float(np.log10(pooled)), quality.EQUAL_PSNR_DB) if pooled else quality.EQUAL_PSNR_DB


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
    bilinearly to 256x256 (the default of cv2); with the published weights that gives 0.03 to 0.04 dB more (pooled).
    """
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
