"""The step that every grid model shares: reduce the frame, and lay the coefficients over it at full resolution.

All of it is calls of the image library on buffers that are kept from frame to frame. The frame is worked on in
strips of rows, so that what is enlarged stays in the processor's cache and memory stays small at any frame size.
"""

from __future__ import annotations

import cv2
import numpy as np

STRIP_BYTES = 640 * 1024  # of one enlarged map: little enough for a usual second-level cache
LEAST_STEP = 8  # rows of the grid in a strip, so that its margin of two rows costs little


class GridApply:
    """Reduces frames to the network's input, and applies gain and bias of a grid to frames.

    Buffers are made anew when the size of the frame or of the grid changes.

    Args:
        width, height: of the network's input, in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._small = np.empty((height, width, 3), np.uint8)
        self._halves: list[np.ndarray] = []
        self._halved: tuple[int, ...] = ()
        self._plan: _Plan | None = None

    def reduce(self, frame: np.ndarray) -> np.ndarray:
        """The frame as the network sees it, uint8 RGB; averages of areas, within 1 grey level of exact ones.

        The array is reused by the next call. Halving again and again is several times as fast as one large step
        (the image library has vector code for halving only); it goes on while it divides evenly.
        """
        height, width = self._small.shape[:2]
        if frame.shape != self._halved:
            self._halves = _halves(frame.shape[0], frame.shape[1], height, width)
            self._halved = frame.shape
        for half in self._halves:
            frame = cv2.resize(frame, half.shape[1::-1], half, interpolation=cv2.INTER_AREA)
        enlarges = frame.shape[0] < height or frame.shape[1] < width  # which area averaging cannot
        how = cv2.INTER_LINEAR if enlarges else cv2.INTER_AREA
        return cv2.resize(frame, (width, height), self._small, interpolation=how)

    def apply(self, frame: np.ndarray, gain: np.ndarray, bias: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """`clip(gain * frame + bias)`, gain and bias enlarged bilinearly; within 1 grey level of exact arithmetic.

        Args:
            frame: uint8 RGB (H, W, 3).
            gain, bias: float32 (h, w, 3), for values in [0, 1].
            out: uint8 (H, W, 3) to write to; may be `frame` itself.

        Returns:
            uint8 RGB (H, W, 3).
        """
        out = np.empty_like(frame) if out is None else out
        if self._plan is None or not self._plan.fits(frame, gain):
            self._plan = _Plan(frame.shape[0], frame.shape[1], *gain.shape[:2])
        self._plan.lay_over(frame, gain, bias, out)
        return out


class _Plan:
    """How a frame of one size is worked on: its strips, and the buffers for one of them.

    Where the frame's rows are a multiple of the grid's, a strip is enlarged from its own rows of the grid and one
    more on each side. Elsewhere the grid's rows are enlarged first, on its few columns, and then are the frame's.
    """

    def __init__(self, height: int, width: int, grid_height: int, grid_width: int) -> None:
        self._key = (height, width, grid_height, grid_width)
        self._size = (width, height)
        self._rows = grid_height if height % grid_height == 0 else height
        self._pitch = height // self._rows
        self._step = min(self._rows, max(LEAST_STEP, STRIP_BYTES // (12 * width * self._pitch)))
        self._grids = [np.empty((self._rows + 2, grid_width, 3), np.float32) for _ in range(2)]
        self._strips = [np.empty(((self._step + 2) * self._pitch, width, 3), np.float32) for _ in range(2)]

    def fits(self, frame: np.ndarray, grid: np.ndarray) -> bool:
        return (*frame.shape[:2], *grid.shape[:2]) == self._key

    def lay_over(self, frame: np.ndarray, gain: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
        for grid, padded in zip((gain, bias), self._grids, strict=True):
            inner = padded[1:-1]
            cv2.resize(grid, inner.shape[1::-1], inner, interpolation=cv2.INTER_LINEAR)
            padded[0], padded[-1] = padded[1], padded[-2]
        self._grids[1] *= 255
        for first in range(0, self._rows, self._step):
            last = min(first + self._step, self._rows)
            here = slice(first * self._pitch, last * self._pitch)
            strip_gain, strip_bias = (
                self._enlarged(padded[first : last + 2], strip)
                for padded, strip in zip(self._grids, self._strips, strict=True)
            )
            cv2.multiply(frame[here], strip_gain, strip_gain, 1, cv2.CV_32F)
            cv2.add(strip_gain, strip_bias, out[here], None, cv2.CV_8U)

    def _enlarged(self, rows: np.ndarray, strip: np.ndarray) -> np.ndarray:
        """Rows of the grid at the frame's resolution, without the margin of one grid row on either side."""
        height = len(rows) * self._pitch
        cv2.resize(rows, (self._size[0], height), strip[:height], interpolation=cv2.INTER_LINEAR)
        return strip[self._pitch : height - self._pitch]


def _halves(height: int, width: int, least_height: int, least_width: int) -> list[np.ndarray]:
    """Buffers for halving a frame again and again, down to no less than the given size."""
    buffers = []
    while height % 2 == 0 and width % 2 == 0 and height >= 2 * least_height and width >= 2 * least_width:
        height, width = height // 2, width // 2
        buffers.append(np.empty((height, width, 3), np.uint8))
    return buffers
