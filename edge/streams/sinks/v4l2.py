"""v4l2loopback: a video device that other programs open as a camera.

The device is told the format once by an ioctl of linux/videodev2.h (VIDIOC_S_FMT) and then takes whole frames.
"""

from __future__ import annotations

import fcntl
import os
import struct

import cv2
import numpy as np

from edge.errors import SinkError
from edge.streams.faults import SinkLost
from edge.streams.frame import Frame, StreamInfo
from edge.streams.sinks.fit import fit
from edge.streams.spec import Spec

VIDIOC_S_FMT = 0xC0D05605  # _IOWR('V', 5, struct v4l2_format) of 208 bytes on 64-bit Linux
VIDEO_OUTPUT, FIELD_NONE, COLORSPACE_SRGB = 2, 1, 8
YU12 = int.from_bytes(b"YU12", "little")


class V4L2Sink:
    """The place is the device, or its number. Options: none. Frames are YUV 4:2:0, which every program reads."""

    made = ""
    drain_s = 0.2

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:  # noqa: ARG002
        spec.check_options(())
        if not spec.place:
            raise SinkError("v4l2: needs a device, for example --sink /dev/video10 (modprobe v4l2loopback makes one)")
        self._place = f"/dev/video{spec.place}" if spec.place.isdigit() else spec.place
        self._handle = -1

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        self._size = width, height = info.width - info.width % 2, info.height - info.height % 2
        try:
            self._handle = os.open(self._place, os.O_RDWR)
            fcntl.ioctl(self._handle, VIDIOC_S_FMT, output_format(width, height))
        except OSError as error:
            hint = "; modprobe v4l2loopback makes such a device" if not os.path.exists(self._place) else ""
            raise SinkError(f"{self._place} does not take frames: {error.strerror}{hint}") from error

    def write(self, frame: Frame) -> None:
        coded = cv2.cvtColor(fit(frame.picture, *self._size), cv2.COLOR_RGB2YUV_I420)
        try:
            os.write(self._handle, np.ascontiguousarray(coded).data.cast("B"))
        except OSError as error:
            raise SinkLost(f"{self._place} takes no more frames: {error.strerror}") from error

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def output_format(width: int, height: int) -> bytes:
    """A struct v4l2_format for planar YUV 4:2:0 output of that size."""
    pixels = struct.pack("8I", width, height, YU12, FIELD_NONE, width, width * height * 3 // 2, COLORSPACE_SRGB, 0)
    return struct.pack("I4x", VIDEO_OUTPUT) + pixels.ljust(200, b"\0")
