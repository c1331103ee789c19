"""A made picture that moves, hazy to the right, with the time of its capture in it."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np

from edge.streams.frame import Frame, StreamInfo
from edge.streams.spec import Spec

BITS, BLOCK = 48, 8  # microseconds of a monotonic clock, as blocks of 8x8 pixels in two rows


class PatternSource:
    """Options: `size` (default 640x480), `frames` (default endless), `live` (default 1; 0 as fast as it goes)."""

    def __init__(self, spec: Spec, fps: float | None) -> None:
        spec.check_options(("size", "frames", "live"))
        self._width, self._height = spec.size() or (640, 480)
        self._frames = spec.number("frames", 0)
        self._rate = Fraction(fps or 30).limit_denominator(1001)
        self.live = spec.options.get("live", "1") == "1" and not self._frames
        self._paced = spec.options.get("live", "1") == "1"
        self._number = 0
        self._began = 0.0

    def open(self) -> StreamInfo:
        self._base = _scene(self._width, self._height)
        self._began = time.monotonic() - self._number / float(self._rate)
        return StreamInfo(self._width, self._height, self._rate, 1 / self._rate, frames=int(self._frames) or None)

    def read(self) -> Frame | None:
        if self._frames and self._number >= self._frames:
            return None
        if self._paced:
            time.sleep(max(0.0, self._began + self._number / float(self._rate) - time.monotonic()))
        picture = np.roll(self._base, -2 * self._number, axis=1)
        captured_at = time.monotonic()
        write_time_code(picture, captured_at)
        frame = Frame(picture, self._number / self._rate, captured_at)
        self._number += 1
        return frame

    def close(self) -> None:
        pass


def write_time_code(picture: np.ndarray, moment: float) -> None:
    """Paint a time of `time.monotonic` in the upper left corner: 48 blocks of black (0) and white (1)."""
    if picture.shape[0] < 2 * BLOCK or picture.shape[1] < BITS // 2 * BLOCK:
        return
    value = int(moment * 1e6)
    bits = np.array([value >> n & 1 for n in range(BITS)], np.uint8).reshape(2, BITS // 2)
    picture[: 2 * BLOCK, : BITS // 2 * BLOCK] = 255 * bits.repeat(BLOCK, 0).repeat(BLOCK, 1)[..., None]


def read_time_code(picture: np.ndarray) -> float:
    """The time that `write_time_code` painted, also after lossy coding and dehazing."""
    blocks = picture[: 2 * BLOCK, : BITS // 2 * BLOCK].reshape(2, BLOCK, BITS // 2, BLOCK, 3).mean((1, 3, 4))
    return sum(1 << n for n, level in enumerate(blocks.ravel()) if level > 127) / 1e6


def _scene(width: int, height: int) -> np.ndarray:
    """Stripes and circles under haze that thickens to the right: I = J t + A (1 - t)."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    clear = np.stack(
        [
            0.5 + 0.4 * np.sin(columns / 17),
            0.5 + 0.4 * np.sin(rows / 13),
            0.5 + 0.4 * np.sin(np.hypot(rows - height / 2, columns - width / 2) / 9),
        ],
        axis=2,
    )
    transmission = (0.9 - 0.6 * columns / max(width - 1, 1))[..., None]
    return np.rint(255 * (clear * transmission + 0.85 * (1 - transmission))).astype(np.uint8)
