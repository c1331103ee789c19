"""picamera2 as a source: every format's colours and row padding, and every request given back.

The real picamera2 runs in `make test-targets`, on a virtual camera that knows NV12 only; here a stand-in with the same
few methods delivers the other formats, laid out as libcamera does.
"""

import concurrent.futures
import sys
import types

import cv2
import numpy as np
import pytest

from edge.dehazer import Dehazer
from edge.scenes import landscape
from edge.streams.faults import SourceLost, SourceStalled
from edge.streams.sources import make_source
from edge.streams.sources.picamera import small_size
from edge.streams.spec import parse_source

WIDTH, HEIGHT, PADDING = 48, 32, 16


def scene() -> np.ndarray:
    """Left red, middle green, right blue, brighter towards the bottom; uint8 RGB."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for channel in range(3):
        picture[:, channel * 16 : channel * 16 + 16, channel] = np.linspace(80, 240, HEIGHT, dtype=np.uint8)[:, None]
    return picture


def laid_out(kind: str, rgb: np.ndarray) -> np.ndarray:
    """A picture's bytes as rows with padding, by the definition of each format."""
    height, width = rgb.shape[:2]
    if kind in ("BGR888", "RGB888"):
        return rgb if kind == "BGR888" else rgb[..., ::-1]
    if kind in ("XBGR8888", "XRGB8888"):
        order = rgb if kind == "XBGR8888" else rgb[..., ::-1]
        return np.dstack([order, np.full((height, width), 255, np.uint8)])
    y, cr, cb = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float32))
    luma = np.clip(np.rint(16 + y * 219 / 255), 0, 255).astype(np.uint8)  # video range, as cameras give it
    blue, red = (np.clip(np.rint(128 + (c - 128) * 224 / 255), 0, 255).astype(np.uint8)[::2, ::2] for c in (cb, cr))
    stride = width + PADDING
    rows = np.full((height * 3 // 2, stride), 77, np.uint8)  # the padding holds rubbish
    rows[:height, :width] = luma
    if kind in ("NV12", "NV21"):
        pairs = np.dstack([blue, red] if kind == "NV12" else [red, blue])
        rows[height:, :width] = pairs.reshape(height // 2, width)
    else:
        planes = (blue, red) if kind == "YUV420" else (red, blue)
        half = np.full((2, height // 2, stride // 2), 77, np.uint8)
        for plane, place in zip(planes, half, strict=True):
            place[:, : width // 2] = plane
        rows[height:] = half.reshape(height // 2, stride)
    return rows


class StandInRequest:
    def __init__(self, camera):
        self.camera = camera

    def get_metadata(self):
        return {"SensorTimestamp": 1_000_000_000}

    def make_array(self, name):
        if self.camera.broken:
            raise RuntimeError("the buffer cannot be mapped")
        if self.camera.format in ("NV12", "NV21"):
            raise RuntimeError(f"Format {self.camera.format} not supported")  # what picamera2 0.3.34 says
        return self.camera.laid_out(name).copy()

    def make_buffer(self, name):
        return self.camera.laid_out(name).ravel().copy()

    def release(self):
        self.camera.released += 1


class StandInCamera:
    def __init__(self, kind, picture, streams=2):
        self.format, self.picture, self.streams = kind, picture, streams
        self.taken, self.released, self.broken, self.closed = 0, 0, False, False

    def laid_out(self, name):
        if name == "main":
            return laid_out(self.format, self.picture)
        lores = self.wishes["lores"]
        blurred = cv2.GaussianBlur(self.picture, (0, 0), 0.4 * self.picture.shape[1] / lores["size"][0])
        smaller = cv2.resize(blurred, lores["size"], interpolation=cv2.INTER_LINEAR)  # another filter than ours
        return laid_out(lores["format"], smaller)

    def create_video_configuration(self, **wishes):
        return wishes

    def configure(self, wishes):
        if "lores" in wishes and self.streams == 1:
            raise RuntimeError("Failed to configure")
        self.wishes = wishes

    def camera_configuration(self):
        height, width = self.picture.shape[:2]
        given = {"main": {"format": self.format, "size": (width, height), "stride": width + PADDING}, "lores": None}
        if lores := self.wishes.get("lores"):
            given["lores"] = {**lores, "stride": lores["size"][0] + PADDING}
        return given

    def start(self):
        pass

    def capture_request(self, wait):
        self.taken += 1
        return StandInRequest(self)

    def close(self):
        self.closed = True


@pytest.fixture
def opened(monkeypatch):
    """Open the source on a camera that gives one format, whatever it is asked for."""

    def open_source(kind, picture=None, least_small=None, streams=2):
        picture = scene() if picture is None else picture
        camera = StandInCamera(kind, picture, streams)
        module = types.SimpleNamespace(Picamera2=lambda number: camera)
        monkeypatch.setitem(sys.modules, "picamera2", module)
        source = make_source(parse_source("picamera2:0?size={1}x{0}".format(*picture.shape)), 25)
        source.least_small = least_small
        source.open()
        return source, camera

    return open_source


@pytest.mark.parametrize("kind", ["BGR888", "RGB888", "XBGR8888", "XRGB8888", "YUV420", "YVU420", "NV12", "NV21"])
def test_colours_and_size_are_right_in_every_format(opened, kind):
    source, _ = opened(kind)
    picture = source.read().picture
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
    inside = np.s_[2:-2, [*range(3, 13), *range(19, 29), *range(35, 45)]]  # chroma bleeds at the borders of colours
    difference = np.abs(picture[inside].astype(int) - scene()[inside])
    assert difference.max() <= (0 if "888" in kind else 8)


def test_every_request_is_released_even_when_its_picture_cannot_be_had(opened):
    source, camera = opened("BGR888")
    for _ in range(5):
        source.read()
    camera.broken = True
    with pytest.raises((RuntimeError, SourceLost)):
        source.read()
    source.close()
    assert camera.taken == camera.released == 6
    assert camera.closed


def test_a_camera_that_gives_no_frame_has_stalled(opened, monkeypatch):
    def never(wait):
        # picamera2 waits for one of these; before 3.11 their TimeoutError is not Python's
        concurrent.futures.Future().result(timeout=0)

    source, camera = opened("BGR888")
    monkeypatch.setattr(camera, "capture_request", never)
    with pytest.raises(SourceStalled, match="no frame"):
        source.read()


def test_the_sensor_is_asked_for_the_rate_that_the_user_wants(opened):
    _, camera = opened("BGR888")
    assert camera.wishes["controls"]["FrameRate"] == 25
    assert camera.wishes["main"] == {"size": (48, 32), "format": "BGR888"}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ((640, 480), (160, 120)),
        ((1280, 720), (224, 126)),  # 16:9 at even numbers, so that a camera crops both streams alike
        ((1456, 1088), (182, 136)),
        ((320, 240), (160, 120)),
        ((240, 180), None),  # nothing to save
        ((2029, 1521), None),  # no smaller picture has exactly this shape
    ],
)
def test_the_small_picture_has_the_frames_shape_and_is_large_enough(frame, expected):
    assert small_size(frame, (160, 120)) == expected
    assert small_size(frame, None) is None  # a model that sees the whole frame


def test_the_network_sees_the_cameras_small_picture(opened, grid_bundle):
    """The clear frame is that of the frame reduced here to a grey level, to which frames are rounded anyway: the
    camera's other filter, video range and half as many colours change what it sees by three on average."""
    frame = cv2.resize(landscape(3).picture, (320, 240), interpolation=cv2.INTER_AREA)
    with Dehazer(grid_bundle, threads=1) as dehazer:
        source, camera = opened("BGR888", frame, dehazer.small_size)
        assert camera.wishes["lores"] == {"size": (80, 60), "format": "YUV420"}
        seen = source.read()
        reduced = cv2.resize(frame, (80, 60), interpolation=cv2.INTER_AREA)
        assert cv2.absdiff(np.ascontiguousarray(seen.small), reduced).mean() <= 3
        own = dehazer(frame).astype(int)
        right_colours = np.abs(dehazer(seen.picture, small=seen.small) - own).mean()
        assert right_colours <= 1
        other_colours = np.abs(dehazer(seen.picture, small=seen.small[..., ::-1]) - own).mean()
    assert other_colours > 1.5 * right_colours  # it is what the network looks at


def test_a_small_picture_of_too_few_pixels_is_not_taken(grid_bundle):
    frame = cv2.resize(landscape(3).picture, (320, 240), interpolation=cv2.INTER_AREA)
    with Dehazer(grid_bundle, threads=1) as dehazer:
        np.testing.assert_array_equal(dehazer(frame, small=np.zeros((59, 80, 3), np.uint8)), dehazer(frame))


def test_a_camera_with_one_stream_gives_its_frames_all_the_same(opened):
    source, camera = opened("BGR888", least_small=(24, 16), streams=1)
    frame = source.read()
    assert "lores" not in camera.wishes and frame.small is None
    np.testing.assert_array_equal(frame.picture, scene())
