"""Whole pictures through a model, and how near they come to the clear ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from edge.errors import PictureError
from edge.measure import quality

STRIP_HEIGHT = 160
STRIP_ROWS = 4
BEST_PSNR_DB = 100.0  # equal pictures count as this, so that a mean stays finite


@dataclass(frozen=True)
class Score:
    """One pair's score: PSNR and SSIM of the dehazed picture against the clear one."""

    name: str
    psnr_db: float
    ssim: float


@dataclass(frozen=True)
class Validation:
    """The scores of a folder of pairs, and a strip of some of them: hazy, dehazed, clear; uint8 RGB."""

    scores: tuple[Score, ...]
    strip: np.ndarray

    @property
    def psnr_db(self) -> float:
        return float(np.mean([score.psnr_db for score in self.scores]))

    @property
    def ssim(self) -> float:
        return float(np.mean([score.ssim for score in self.scores]))


def read_picture(path: Path, longest: int = 0) -> np.ndarray:
    """A picture file as uint8 RGB (H, W, 3); reduced to `longest` pixels on its longest side unless that is 0."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise PictureError(f"{path} is not a readable picture; mend or remove it")
    scale = longest / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if 0 < scale < 1 else picture


def read_pair(hazy: Path, clear: Path, longest: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of a pair; raises `PictureError` where their sizes differ."""
    pictures = read_picture(hazy, longest), read_picture(clear, longest)
    if pictures[0].shape != pictures[1].shape:
        sizes = [f"{picture.shape[1]}x{picture.shape[0]}" for picture in pictures]
        raise PictureError(f"{hazy} is {sizes[0]} pixels but {clear} is {sizes[1]}; a pair has one size")
    return pictures


@torch.inference_mode()
def dehaze(model: nn.Module, picture: np.ndarray) -> np.ndarray:
    """One uint8 RGB picture (H, W, 3) through a model in eval mode, rounded to uint8 again."""
    device = next(model.parameters()).device
    tensor = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 255
    dehazed = model(tensor)[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    return dehazed.permute(1, 2, 0).cpu().numpy()


def spread(items: list, limit: int) -> list:
    """At most `limit` of the items, evenly spread; all of them for 0."""
    if not limit or len(items) <= limit:
        return items
    return [items[round(i * (len(items) - 1) / max(limit - 1, 1))] for i in range(limit)]


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
        psnr_db = min(quality.psnr_db(dehazed, clear), BEST_PSNR_DB)
        scores.append(Score(hazy_path.stem, psnr_db, quality.ssim(dehazed, clear)))
        rows.append(np.hstack(list(_thumbnails(hazy, dehazed, clear))))
    chosen = spread(rows, STRIP_ROWS)
    width = max(row.shape[1] for row in chosen)
    padded = [cv2.copyMakeBorder(r, 2, 2, 0, width - r.shape[1], cv2.BORDER_CONSTANT, value=(0, 0, 0)) for r in chosen]
    return Validation(tuple(scores), np.vstack(padded))


def _thumbnails(*pictures: np.ndarray) -> Iterator[np.ndarray]:
    for picture in pictures:
        width = max(1, round(picture.shape[1] * STRIP_HEIGHT / picture.shape[0]))
        yield cv2.resize(picture, (width, STRIP_HEIGHT), interpolation=cv2.INTER_AREA)
