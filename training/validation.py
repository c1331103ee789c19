"""Whole pictures through a model, and how near they come to the clear ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge import command
from edge.errors import PictureError
from edge.measure import accuracy, quality

STRIP_HEIGHT = 160
STRIP_ROWS = 4
WIDEST = 8  # times their height, that is how wide pictures are shown at most


@dataclass(frozen=True)
class Validation:
    """Mean scores of a folder of pairs, and a strip of some of them: hazy, dehazed, clear; uint8 RGB."""

    psnr_db: float
    ssim: float
    strip: np.ndarray


def read_pair(hazy: Path, clear: Path, longest: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of a pair, uint8 RGB (H, W, 3) of one size.

    Args:
        longest: larger ones are reduced to so many pixels on their longest side, and one or more on the other; 0 never.

    Raises:
        PictureError: one cannot be read whole, or they differ in size.
    """
    whole = accuracy.read_pair((hazy, clear))
    scale = max(longest / max(whole[0].shape[:2]), 1 / min(whole[0].shape[:2]))
    if not longest or scale >= 1:
        return whole
    reduced = [cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for picture in whole]
    return reduced[0], reduced[1]


def whole_pairs(pairs: Iterable[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The pairs that can be validated on; each one that cannot is named and left out.

    Raises:
        PictureError: none is left; the message is that of the last one.
    """
    kept, wrong = [], None
    for pair in pairs:
        try:
            accuracy.read_pair(pair)
        except PictureError as error:
            wrong = error
            command.say(f"left out of the validation: {error}")
        else:
            kept.append(pair)
    if wrong is not None and not kept:
        raise wrong
    return kept


def validate(
    dehazer: Callable[[np.ndarray], np.ndarray],
    pairs: Iterable[tuple[Path, Path]],
    longest: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Validation | None:
    """Score a dehazer on pairs; None when `stopped` says so in between."""
    scores, rows = [], []
    for hazy_path, clear_path in pairs:
        if stopped():
            return None
        hazy, clear = read_pair(hazy_path, clear_path, longest)
        dehazed = dehazer(hazy)
        scores.append((min(quality.psnr_db(dehazed, clear), quality.EQUAL_PSNR_DB), quality.ssim(dehazed, clear)))
        rows.append((hazy, dehazed, clear))
        if len(rows) > STRIP_ROWS:  # keep few in memory: the first ones, and the last
            del rows[-2]
    psnr_db, ssim = np.mean(scores, axis=0)
    return Validation(float(psnr_db), float(ssim), strip(rows))


def strip(rows: Sequence[Sequence[np.ndarray]], height: int = STRIP_HEIGHT) -> np.ndarray:
    """Rows of uint8 RGB pictures side by side, each reduced to `height` pixels; one uint8 RGB picture."""
    lines = []
    for row in rows:
        widths = (round(p.shape[1] * height / p.shape[0]) for p in row)
        sizes = [(min(max(1, width), WIDEST * height), height) for width in widths]
        lines.append(
            np.hstack([cv2.resize(p, s, interpolation=cv2.INTER_AREA) for p, s in zip(row, sizes, strict=True)])
        )
    width = max(line.shape[1] for line in lines)
    return np.vstack([cv2.copyMakeBorder(e, 2, 2, 0, width - e.shape[1], cv2.BORDER_CONSTANT) for e in lines])
