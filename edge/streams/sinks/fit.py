"""Frames of another size than the sink was opened with."""

from __future__ import annotations

import cv2
import numpy as np


def fit(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """The picture scaled to fit whole into that size, centred, black around it; itself where it has that size."""
    rows, columns = picture.shape[:2]
    if (rows, columns) == (height, width):
        return picture
    scale = min(width / columns, height / rows)
    inner = max(1, round(columns * scale)), max(1, round(rows * scale))
    scaled = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    out = np.zeros((height, width, 3), np.uint8)
    out[top : top + inner[1], left : left + inner[0]] = scaled
    return out
