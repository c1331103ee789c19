"""The camera of a Raspberry Pi, through picamera2."""

from __future__ import annotations

import concurrent.futures
import math
import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Layout:
    """How a stream of the camera lies in memory, as picamera2 says it was really configured."""

    name: str
    format: str
    width: int
    height: int
    stride: int

    @staticmethod
    def read(name: str, given: dict[str, Any]) -> Layout:
        width, height = given["size"]
        return Layout(name, given["format"], width, height, given.get("stride") or width)

    def array(self, request: Any) -> np.ndarray:
        """A copy of the request's picture, rows padded as they are."""
        if self.format not in SEMI_PLANAR:
            return request.make_array(self.name)
        rows = self.height * 3 // 2
        return request.make_buffer(self.name)[: rows * self.stride].reshape(rows, self.stride)

    def rgb(self, array: np.ndarray) -> np.ndarray:
        conversion = CONVERSIONS[self.format]
        picture = array if conversion is None else cv2.cvtColor(array, conversion)
        return picture[: self.height, : self.width]  # YUV arrives with its row padding


class PicameraSource:
    """The place is the camera's number (default 0). Options: `size` (default 640x480).

    The camera's hardware makes a second, small picture of each frame (`lores`) for the network to look at, so that
    the processor need not reduce the frame.

    Attributes:
        least_small: width and height from which a small picture is of use; None for no small picture.
    """

    live = True
    least_small: tuple[int, int] | None = None

    def __init__(self, spec: Spec, fps: float | None) -> None:
        spec.check_options(("size",))
        self._number = spec.camera()
        self._size = spec.size() or (640, 480)
        self._fps = fps or 30.0
        self._camera: Any = None
        self._small: Layout | None = None

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
            self._configure()
            self._camera.start()
            given = self._camera.camera_configuration()  # a wish that cannot be met is changed silently
        except (RuntimeError, IndexError, OSError, ValueError) as error:
            raise SourceError(f"cannot open camera {self._number}: {error or type(error).__name__}") from error
        self._main = main = Layout.read("main", given["main"])
        if main.format not in CONVERSIONS:
            raise SourceError(f"camera {self._number} gives {main.format}, which is not read here")
        if given.get("lores"):
            small = Layout.read("lores", given["lores"])
            asked = small_size((main.width, main.height), self.least_small)
            if small.format in CONVERSIONS and (small.width, small.height) == asked:
                self._small = small
        return StreamInfo(main.width, main.height, Fraction(self._fps).limit_denominator(1001), Fraction(1, 1_000_000))

    def _configure(self) -> None:
        wishes: dict[str, Any] = {
            "main": {"size": self._size, "format": "BGR888"},
            "controls": {"FrameRate": self._fps},
            "buffer_count": 4,
        }
        size = small_size(self._size, self.least_small)
        if size is not None:
            try:  # up to the Raspberry Pi 4, lores is YUV only
                lores = {"size": size, "format": "YUV420"}
                self._camera.configure(self._camera.create_video_configuration(**wishes, lores=lores))
                return
            except (RuntimeError, ValueError):
                pass  # a camera with one stream only; the frame is reduced by the processor then
        self._camera.configure(self._camera.create_video_configuration(**wishes))

    def read(self) -> Frame | None:
        try:
            request = self._camera.capture_request(wait=WAIT_S)
        except concurrent.futures.TimeoutError as error:  # Python's own TimeoutError since 3.11
            raise SourceStalled(f"camera {self._number} gave no frame for {WAIT_S:g} s") from error
        except RuntimeError as error:
            raise SourceLost(f"camera {self._number} was lost ({error})") from error
        try:
            stamp_ns = request.get_metadata().get("SensorTimestamp")
            array = self._main.array(request)
            small = None if self._small is None else self._small.array(request)
        finally:
            request.release()
        age_s = max(0.0, (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - stamp_ns) / 1e9) if stamp_ns else 0.0
        captured_at = time.monotonic() - age_s
        stamp = Fraction(stamp_ns, 10**9) if stamp_ns else Fraction(captured_at).limit_denominator(1_000_000)
        frame = Frame(self._main.rgb(array), stamp, captured_at)
        if self._small is not None and small is not None:
            frame.small = self._small.rgb(small)
        return frame

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def small_size(frame: tuple[int, int], least: tuple[int, int] | None) -> tuple[int, int] | None:
    """The smallest picture of exactly the frame's shape that is large enough.

    Another shape could be another part of the scene: a Raspberry Pi 5 crops each of its streams to its own shape.

    Args:
        frame, least: width and height; None for a model that sees the whole frame.

    Returns:
        Even numbers; None where no such picture is less than half as wide as the frame.
    """
    if least is None:
        return None
    divisor = math.gcd(*frame)
    width, height = (side // divisor for side in frame)
    if width % 2 or height % 2:
        width, height = 2 * width, 2 * height
    times = max(-(-least[0] // width), -(-least[1] // height))
    return (times * width, times * height) if 2 * times * width <= frame[0] else None
