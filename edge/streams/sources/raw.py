"""Raw frames on standard input or from a named pipe, one after the other without headers."""

from __future__ import annotations

import os
import stat
import time
from fractions import Fraction

import cv2
import numpy as np

from edge.errors import SourceError
from edge.streams.faults import BrokenFrame, SourceLost
from edge.streams.frame import Frame, StreamInfo
from edge.streams.limits import SLOWEST_RECORDED_FPS
from edge.streams.pace import check_rate
from edge.streams.spec import Spec

# Name as ffmpeg has it: bytes per pixel times 2, and OpenCV's conversion. YUV is BT.601 with 16 to 235.
FORMATS = {
    "rgb24": (6, None),
    "bgr24": (6, cv2.COLOR_BGR2RGB),
    "rgba": (8, cv2.COLOR_RGBA2RGB),
    "gray": (2, cv2.COLOR_GRAY2RGB),
    "yuv420p": (3, cv2.COLOR_YUV2RGB_I420),
    "nv12": (3, cv2.COLOR_YUV2RGB_NV12),
    "yuyv422": (4, cv2.COLOR_YUV2RGB_YUYV),
}


class RawSource:
    """The place is `-` or a path. Options: `size` (needed), `format` (default rgb24), `live=1` (frames that come
    faster than they can be cleared are dropped; otherwise the writer waits).
    """

    def __init__(self, spec: Spec, fps: float | None) -> None:
        spec.check_options(("size", "format", "live"))
        check_rate(fps, SLOWEST_RECORDED_FPS)
        size = spec.size()
        if size is None:
            raise SourceError("raw frames need their size: --source 'raw:-?size=640x480&format=rgb24'")
        self._width, self._height = size
        self._format = spec.options.get("format", "rgb24")
        if self._format not in FORMATS:
            raise SourceError(f"{spec.text}: format is one of {', '.join(FORMATS)}")
        if FORMATS[self._format][0] % 2 and (self._width % 2 or self._height % 2):
            raise SourceError(f"{spec.text}: {self._format} has even width and height")
        if self._format == "yuyv422" and self._width % 2:
            raise SourceError(f"{spec.text}: {self._format} has an even width")
        self.live = spec.options.get("live") == "1"
        self._place = spec.place or "-"
        self._rate = Fraction(fps or 30).limit_denominator(1001)
        self._number = 0
        self._handle = -1

    def open(self) -> StreamInfo:
        try:
            self._handle = os.dup(0) if self._place == "-" else os.open(self._place, os.O_RDONLY)
        except OSError as error:
            raise SourceError(f"cannot read {self._place}: {error.strerror}") from error
        if stat.S_ISDIR(os.fstat(self._handle).st_mode):
            raise SourceError(f"{self._place} is a folder; raw frames come from a file, a pipe or -")
        return StreamInfo(
            self._width, self._height, self._rate, Fraction(1, 1_000_000) if self.live else 1 / self._rate
        )

    def read(self) -> Frame | None:
        doubled, conversion = FORMATS[self._format]
        buffer = np.empty(self._width * self._height * doubled // 2, np.uint8)
        filled, view = 0, buffer.data
        while filled < len(buffer):
            try:
                count = os.readv(self._handle, [view[filled:]])
            except OSError as error:
                raise SourceLost(f"cannot read {self._place}: {error.strerror}") from error
            if count == 0:
                if filled and filled < len(buffer):
                    self._handle_at_end()
                    raise BrokenFrame(f"the input ends inside frame {self._number}: {filled} of {len(buffer)} bytes")
                return None
            filled += count
        captured_at = time.monotonic()
        stamp = Fraction(captured_at).limit_denominator(1_000_000) if self.live else self._number / self._rate
        self._number += 1
        return Frame(self._rgb(buffer, conversion), stamp, captured_at)

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _handle_at_end(self) -> None:
        os.close(self._handle)
        self._handle = os.open(os.devnull, os.O_RDONLY)

    def _rgb(self, buffer: np.ndarray, conversion: int | None) -> np.ndarray:
        height, width = self._height, self._width
        shape = (height * 3 // 2, width) if self._format in ("yuv420p", "nv12") else (height, width, -1)
        array: np.ndarray = buffer.reshape(shape)
        return array if conversion is None else cv2.cvtColor(array, conversion)
