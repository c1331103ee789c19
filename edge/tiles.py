"""Frames of any size through a network of one fixed size: overlapping tiles, blended where they overlap."""

from __future__ import annotations

import math
import time

import cv2
import numpy as np

from edge.method import FrameTiming
from targets import Network

OVERLAP = 32  # pixels; enough that a seam of a few grey levels becomes a gradient that nobody sees


class TileMethod:
    """Runs a frame model tile by tile. Memory beside the frame: one row of tiles in float32.

    Args:
        network: gives a clear uint8 RGB picture for one of its size.
        width, height: of the network's input, in pixels.
    """

    def __init__(self, network: Network, width: int, height: int) -> None:
        self._network = network
        self._width, self._height = width, height

    def __call__(
        self,
        frame: np.ndarray,
        strength: float,
        out: np.ndarray | None,
        small: np.ndarray | None = None,  # noqa: ARG002 - the network looks at every pixel
    ) -> tuple[np.ndarray, FrameTiming]:
        start = time.perf_counter()
        self._infer_s = 0.0
        height, width = frame.shape[:2]
        out = np.empty_like(frame) if out is None else out
        if strength == 0:
            np.copyto(out, frame)
        elif (height, width) == (self._height, self._width):
            _mix(frame, self._infer(frame), strength, out)
        else:
            # A frame smaller than a tile is continued by its mirror image.
            below, right = max(0, self._height - height), max(0, self._width - width)
            padded = cv2.copyMakeBorder(frame, 0, below, 0, right, cv2.BORDER_REFLECT) if below or right else frame
            self._blend(padded, frame, strength, out)
        infer_ms = self._infer_s * 1e3
        return out, FrameTiming(0.0, infer_ms, (time.perf_counter() - start) * 1e3 - infer_ms)

    def _infer(self, tile: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        (clear,) = self._network(tile)
        self._infer_s += time.perf_counter() - start
        return clear

    def _blend(self, padded: np.ndarray, frame: np.ndarray, strength: float, out: np.ndarray) -> None:
        tops = _starts(padded.shape[0], self._height)
        lefts = _starts(padded.shape[1], self._width)
        down = _weights(padded.shape[0], self._height, tops)
        across = _weights(padded.shape[1], self._width, lefts)
        # Rows of `band` are the frame's from `top` on. A row is final once the next row of tiles begins below it, and
        # only then written: `out` may be the frame that the tiles below still have to be cut from.
        band = np.zeros((self._height, padded.shape[1], 3), np.float32)
        for row, top in enumerate(tops):
            for column, left in enumerate(lefts):
                tile = padded[top : top + self._height, left : left + self._width]
                weight = down[row][:, None] * across[column][None, :]
                band[:, left : left + self._width] += self._infer(tile) * weight[..., None]
            end = tops[row + 1] if row + 1 < len(tops) else padded.shape[0]
            final = slice(top, min(end, frame.shape[0]))
            clear = np.rint(band[: final.stop - top, : frame.shape[1]]).astype(np.uint8)
            _mix(frame[final], clear, strength, out[final])
            band[: self._height - (end - top)] = band[end - top :]
            band[self._height - (end - top) :] = 0


def _mix(frame: np.ndarray, clear: np.ndarray, strength: float, out: np.ndarray) -> None:
    """`frame + strength * (clear - frame)`."""
    if strength == 1:
        np.copyto(out, clear)
    else:
        cv2.addWeighted(clear, strength, frame, 1 - strength, 0, out)


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin so that they cover `length` evenly and overlap by `OVERLAP` pixels or more."""
    overlap = min(OVERLAP, tile // 2)
    count = max(1, math.ceil((length - overlap) / (tile - overlap)))
    return [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]


def _weights(length: int, tile: int, starts: list[int]) -> list[np.ndarray]:
    """A weight for each pixel of each tile, float32 (tile,): ramps where tiles overlap, adding up to 1 everywhere."""
    from_edge = np.minimum(np.arange(1, tile + 1), np.arange(tile, 0, -1)).astype(np.float32)
    ramp = np.minimum(from_edge, OVERLAP)
    total = np.zeros(length, np.float32)
    for start in starts:
        total[start : start + tile] += ramp
    return [ramp / total[start : start + tile] for start in starts]
