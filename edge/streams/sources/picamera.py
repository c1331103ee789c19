"""The camera of a Raspberry Pi, through picamera2."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from edge.errors import MissingPackage, SourceError
from edge.streams.faults import SourceLost, SourceStalled
from edge.streams.frame import Frame, StreamInfo
from edge.streams.spec import Spec

# picamera2 names formats by register order: what it calls BGR888 arrives as R, G, B.
CONVERSIONS = {
    "BGR888": None,
    "RGB888": cv2.COLOR_BGR2RGB,
    "XBGR8888": cv2.COLOR_RGBA2RGB,
    "XRGB8888": cv2.COLOR_BGRA2RGB,
    "YUV420": cv2.COLOR_YUV2RGB_I420,
    "YVU420": cv2.COLOR_YUV2RGB_YV12,
    "NV12": cv2.COLOR_YUV2RGB_NV12,
    "NV21": cv2.COLOR_YUV2RGB_NV21,
    "YUYV": cv2.COLOR_YUV2RGB_YUYV,
}
SEMI_PLANAR = ("NV12", "NV21")  # picamera2 gives their bytes, but makes no array of them
WAIT_S = 5.0


class PicameraSource:
    """The place is the camera's number (default 0). Options: `size` (default 640x480)."""

    live = True

    def __init__(self, spec: Spec, fps: float | None) -> None:
        spec.check_options(("size",))
        self._number = int(spec.place or 0)
        self._size = spec.size() or (640, 480)
        self._fps = fps or 30.0
        self._camera: Any = None

    def open(self) -> StreamInfo:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise MissingPackage(
                f"picamera2 cannot be imported ({error}): apt-get install python3-picamera2, and make the virtual "
                "environment with --system-site-packages"
            ) from error
        try:
            self._camera = Picamera2(self._number)
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": self._size, "format": "BGR888"},
                    controls={"FrameRate": self._fps},
                    buffer_count=4,
                )
            )
            self._camera.start()
            given = self._camera.camera_configuration()["main"]  # a wish that cannot be met is changed silently
        except (RuntimeError, IndexError, OSError, ValueError) as error:
            raise SourceError(f"cannot open camera {self._number}: {error or type(error).__name__}") from error
        self._format, (self._width, self._height) = given["format"], given["size"]
        self._stride = given.get("stride") or self._width
        if self._format not in CONVERSIONS:
            raise SourceError(f"camera {self._number} gives {self._format}, which is not read here")
        return StreamInfo(
            self._width, self._height, Fraction(self._fps).limit_denominator(1001), Fraction(1, 1_000_000)
        )

    def read(self) -> Frame | None:
        try:
            request = self._camera.capture_request(wait=WAIT_S)
        except TimeoutError as error:
            raise SourceStalled(f"camera {self._number} gave no frame for {WAIT_S:g} s") from error
        except RuntimeError as error:
            raise SourceLost(f"camera {self._number} was lost ({error})") from error
        try:
            stamp_ns = request.get_metadata().get("SensorTimestamp")
            array = self._array(request)
        finally:
            request.release()
        age_s = max(0.0, (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - stamp_ns) / 1e9) if stamp_ns else 0.0
        captured_at = time.monotonic() - age_s
        stamp = Fraction(stamp_ns, 10**9) if stamp_ns else Fraction(captured_at).limit_denominator(1_000_000)
        return Frame(self._rgb(array), stamp, captured_at)

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _array(self, request: Any) -> np.ndarray:
        """A copy of the request's picture, rows padded as they are."""
        if self._format not in SEMI_PLANAR:
            return request.make_array("main")
        rows = self._height * 3 // 2
        return request.make_buffer("main")[: rows * self._stride].reshape(rows, self._stride)

    def _rgb(self, array: np.ndarray) -> np.ndarray:
        conversion = CONVERSIONS[self._format]
        picture = array if conversion is None else cv2.cvtColor(array, conversion)
        return picture[: self._height, : self._width]  # YUV arrives with its row padding
