"""Frame models on frames of any size: what comes out of tiles is what one large network would give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge
from edge.tiles import TileMethod


class Local:
    """A network whose every pixel depends on that pixel alone, so that tiles must not show at all."""

    device, precision, load_ms, compile_ms = "test", "fp32", 0.0, 0.0

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, picture):
        self.calls += 1
        return (255 - picture,)

    def close(self) -> None: ...


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 128), st.integers(1, 96))
def test_tiles_leave_no_trace_where_the_network_is_local(height, width, tile_width, tile_height):
    if height * width > 400 * tile_width * tile_height:
        return
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    clear, _ = TileMethod(Local(), tile_width, tile_height)(frame, 1.0, None)
    assert np.array_equal(clear, 255 - frame)


def test_a_frame_may_be_worked_on_in_place():
    frame = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    expected = 255 - frame
    out, _ = TileMethod(Local(), 64, 48)(frame, 1.0, frame)
    assert out is frame and np.array_equal(frame, expected)


def test_a_step_between_neighbouring_tiles_becomes_a_gradient():
    class Brighter(Local):
        def __call__(self, picture):
            self.calls += 1
            return (np.full_like(picture, 100 + 20 * (self.calls % 2)),)

    frame = np.zeros((48, 300, 3), np.uint8)
    clear, _ = TileMethod(Brighter(), 64, 48)(frame, 1.0, None)
    assert clear.min() < 104 and clear.max() > 116
    assert np.abs(np.diff(clear[:, :, 0].astype(int), axis=1)).max() <= 2


def test_strength_mixes_with_the_frame():
    frame = np.full((60, 70, 3), 200, np.uint8)
    method = TileMethod(Local(), 64, 48)
    assert np.array_equal(method(frame, 0.0, None)[0], frame)
    assert np.unique(method(frame, 0.5, None)[0]).tolist() in ([127], [128])


@pytest.mark.parametrize("size", [(48, 64), (1, 1), (47, 65), (200, 333)])
def test_a_real_frame_model_in_tiles_equals_it_on_the_whole_frame(frame_bundle, size):
    """The model blurs by 3x3 and adds a tenth; inside the frame no tile's border may show."""
    frame = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    with edge.Dehazer(frame_bundle) as dehazer:
        clear = dehazer(frame)
    padded = np.pad(frame.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    blurred = sum(kernel[y, x] * padded[y : y + size[0], x : x + size[1]] for y in range(3) for x in range(3))
    expected = np.clip(blurred + 25.5, 0, 255)[2:-2, 2:-2]
    # A tile's outermost pixels see zeros beyond it; feathering gives them a thirty-second of the weight.
    if expected.size:
        assert np.abs(clear[2:-2, 2:-2] - expected).max() <= 5
        assert np.abs(clear[2:-2, 2:-2] - expected).mean() <= 0.6
