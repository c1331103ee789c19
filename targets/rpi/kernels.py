"""Raw answers of an INT8 model by kernel family.

INT8 arithmetic is exact, so XNNPACK gives the same bytes on x86 and on ARM, and so do the reference kernels; but the
two round differently from each other. (LiteRT's third family, its optimized kernels without XNNPACK, rounds
differently on each architecture.) A bundle says which answer each family gave when it was exported, and a board can
tell that it computes exactly that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

PICTURES = 2


def probe_pictures(width: int, height: int) -> list[np.ndarray]:
    """Fixed pictures that need no file: smooth patches under noise, uint8 RGB (height, width, 3)."""
    pictures = []
    for seed in range(PICTURES):
        rng = np.random.default_rng(seed)
        patches = rng.integers(0, 256, (8, 8, 3), np.uint8)
        rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
        noise = rng.integers(0, 32, (height, width, 3), np.uint8)
        pictures.append(patches[rows][:, columns] // 9 * 8 + noise)
    return pictures


def digests(raw: Callable[[np.ndarray], tuple[np.ndarray, ...]], width: int, height: int) -> list[str]:
    """SHA-256 of the raw INT8 answers to each probe picture.

    Args:
        raw: runs the network and gives its output tensors as they are.
    """
    found = []
    for picture in probe_pictures(width, height):
        digest = hashlib.sha256()
        for answer in raw(picture):
            digest.update(answer.tobytes())
        found.append(digest.hexdigest())
    return found


def family(expected: Mapping[str, Any], found: list[str]) -> str | None:
    """The kernel family whose answers these are; None if it is none of those in the bundle."""
    return next((name for name, answers in expected.items() if list(answers) == found), None)
