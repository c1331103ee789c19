"""picamera2 as a source: every format's colours and row padding, and every request given back.

The real picamera2 runs in `make test-targets`, on a virtual camera that knows NV12 only; here a stand-in with the same
few methods delivers the other formats, laid out as libcamera does.
"""

import sys
import types

import cv2
import numpy as np
import pytest

from edge.streams.faults import SourceLost
from edge.streams.sources import make_source
from edge.streams.spec import parse_source

WIDTH, HEIGHT, PADDING = 48, 32, 16


def scene() -> np.ndarray:
    """Left red, middle green, right blue, brighter towards the bottom; uint8 RGB."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for channel in range(3):
        picture[:, channel * 16 : channel * 16 + 16, channel] = np.linspace(80, 240, HEIGHT, dtype=np.uint8)[:, None]
    return picture


def laid_out(kind: str) -> np.ndarray:
    """The scene's bytes as rows with padding, by the definition of each format."""
    rgb = scene()
    if kind in ("BGR888", "RGB888"):
        return rgb if kind == "BGR888" else rgb[..., ::-1]
    if kind in ("XBGR8888", "XRGB8888"):
        order = rgb if kind == "XBGR8888" else rgb[..., ::-1]
        return np.dstack([order, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    y, cr, cb = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float32))
    luma = np.clip(np.rint(16 + y * 219 / 255), 0, 255).astype(np.uint8)  # video range, as cameras give it
    blue, red = (np.clip(np.rint(128 + (c - 128) * 224 / 255), 0, 255).astype(np.uint8)[::2, ::2] for c in (cb, cr))
    stride = WIDTH + PADDING
    rows = np.full((HEIGHT * 3 // 2, stride), 77, np.uint8)  # the padding holds rubbish
    rows[:HEIGHT, :WIDTH] = luma
    if kind in ("NV12", "NV21"):
        pairs = np.dstack([blue, red] if kind == "NV12" else [red, blue])
        rows[HEIGHT:, :WIDTH] = pairs.reshape(HEIGHT // 2, WIDTH)
    else:
        planes = (blue, red) if kind == "YUV420" else (red, blue)
        half = np.full((2, HEIGHT // 2, stride // 2), 77, np.uint8)
        for plane, place in zip(planes, half, strict=True):
            place[:, : WIDTH // 2] = plane
        rows[HEIGHT:] = half.reshape(HEIGHT // 2, stride)
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
        return laid_out(self.camera.format).copy()

    def make_buffer(self, name):
        return laid_out(self.camera.format).ravel().copy()

    def release(self):
        self.camera.released += 1


class StandInCamera:
    def __init__(self, kind):
        self.format, self.taken, self.released, self.broken, self.closed = kind, 0, 0, False, False

    def create_video_configuration(self, **wishes):
        return wishes

    def configure(self, wishes):
        self.wishes = wishes

    def camera_configuration(self):
        return {"main": {"format": self.format, "size": (WIDTH, HEIGHT), "stride": WIDTH + PADDING}}

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

    def open_source(kind):
        camera = StandInCamera(kind)
        module = types.SimpleNamespace(Picamera2=lambda number: camera)
        monkeypatch.setitem(sys.modules, "picamera2", module)
        source = make_source(parse_source("picamera2:0?size=48x32"), 25)
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


def test_the_sensor_is_asked_for_the_rate_that_the_user_wants(opened):
    _, camera = opened("BGR888")
    assert camera.wishes["controls"]["FrameRate"] == 25
    assert camera.wishes["main"] == {"size": (48, 32), "format": "BGR888"}
