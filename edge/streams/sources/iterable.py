"""Frames that a Python program makes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from edge.errors import FrameError
from edge.streams.faults import BrokenFrame
from edge.streams.frame import Frame, StreamInfo

RATE = Fraction(30)
END = object()


class IterableSource:
    """
    Args:
        frames: uint8 RGB arrays (H, W, 3), or pairs of such an array and its time stamp in seconds. The arrays are
            not written to.
        live: frames come at their own pace; the newest wins.
    """

    def __init__(self, frames: Iterable[Any], live: bool = False) -> None:
        self._frames: Iterator[Any] = iter(frames)
        self.live = live
        self._number = 0

    def open(self) -> StreamInfo:
        return StreamInfo(rate=RATE, time_base=Fraction(1, 1_000_000))

    def read(self) -> Frame | None:
        item = next(self._frames, END)
        if item is END:
            return None
        captured_at = time.monotonic()
        picture, stamp = item if isinstance(item, tuple) else (item, None)
        if (
            not isinstance(picture, np.ndarray)
            or picture.dtype != np.uint8
            or picture.shape[2:] != (3,)
            or not picture.size
        ):
            what = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
            raise BrokenFrame(f"frame {self._number}: {FrameError.__name__}: {what} is not uint8 (height, width, 3)")
        if stamp is None:
            stamp = Fraction(int(captured_at * 1e6), 1_000_000) if self.live else self._number / RATE
        self._number += 1
        if not isinstance(stamp, Fraction):
            stamp = Fraction(stamp).limit_denominator(1_000_000)
        return Frame(picture, stamp, captured_at, owned=False)

    def close(self) -> None:
        pass
