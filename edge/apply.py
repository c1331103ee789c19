"""The step that every grid model shares: reduce the frame, and lay the coefficients over it at full resolution."""

from __future__ import annotations

import cv2
import numpy as np

STRIP_ROWS = 96


class GridApply:
    """Reduces frames to the network's input, and applies gain and bias of a grid to frames.

    Buffers are kept from frame to frame and made anew when the size of the frame changes.

    Args:
        width, height: of the network's input, in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._small = np.empty((height, width, 3), np.uint8)
        self._key: tuple[int, ...] = ()
        self._tall: list[np.ndarray] = []
        self._strip: list[np.ndarray] = []

    def reduce(self, frame: np.ndarray) -> np.ndarray:
        """The frame as the network sees it: area averaging, uint8 RGB. The array is reused by the next call."""
        height, width = self._small.shape[:2]
        if frame.shape[0] < height or frame.shape[1] < width:  # area averaging cannot enlarge
            return cv2.resize(frame, (width, height), self._small, interpolation=cv2.INTER_LINEAR)
        return cv2.resize(frame, (width, height), self._small, interpolation=cv2.INTER_AREA)

    def apply(self, frame: np.ndarray, gain: np.ndarray, bias: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """`clip(gain * frame + bias)`, gain and bias enlarged bilinearly.

        Args:
            frame: uint8 RGB (H, W, 3).
            gain, bias: float32 (h, w, 3), for values in [0, 1].
            out: uint8 (H, W, 3) to write to; may be `frame` itself.

        Returns:
            uint8 RGB (H, W, 3).
        """
        height, width = frame.shape[:2]
        out = np.empty_like(frame) if out is None else out
        self._make_buffers(height, width, gain.shape[1])
        # Rows first, on the grid's few columns; then columns, strip by strip, so that memory stays small.
        tall_gain, tall_bias = (
            cv2.resize(grid, (grid.shape[1], height), tall, interpolation=cv2.INTER_LINEAR)
            for grid, tall in zip((gain, 255 * bias), self._tall, strict=True)
        )
        for top in range(0, height, STRIP_ROWS):
            rows = min(STRIP_ROWS, height - top)
            here = slice(top, top + rows)
            strip_gain, strip_bias = (strip[:rows] for strip in self._strip)
            cv2.resize(tall_gain[here], (width, rows), strip_gain, interpolation=cv2.INTER_LINEAR)
            cv2.resize(tall_bias[here], (width, rows), strip_bias, interpolation=cv2.INTER_LINEAR)
            cv2.multiply(frame[here], strip_gain, strip_gain, 1, cv2.CV_32F)
            cv2.add(strip_gain, strip_bias, out[here], None, cv2.CV_8U)
        return out

    def _make_buffers(self, height: int, width: int, columns: int) -> None:
        key = (height, width, columns)
        if key != self._key:
            self._tall = [np.empty((height, columns, 3), np.float32) for _ in range(2)]
            self._strip = [np.empty((min(STRIP_ROWS, height), width, 3), np.float32) for _ in range(2)]
            self._key = key
