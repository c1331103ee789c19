"""The apply step against the same arithmetic in float64, written out with numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import native
from edge.apply import GridApply

needs_loops = pytest.mark.skipif(native.lay_over is None, reason="the loops in C are not built here (no C compiler)")


WAYS = [None, *([native.lay_over] if native.lay_over is not None else [])]
both_ways = pytest.mark.parametrize("loop", WAYS, ids=["image library", "loops in C"][: len(WAYS)])


def enlarged(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear enlargement with pixel centres at (i + 0.5) / n, edges repeated, in float64."""

    def positions(cells: int, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
        low = np.minimum(at.astype(int), cells - 1)
        return low, np.minimum(low + 1, cells - 1), at - low

    top, bottom, down = positions(grid.shape[0], height)
    left, right, across = positions(grid.shape[1], width)
    grid = grid.astype(np.float64)
    rows = grid[top] * (1 - down)[:, None, None] + grid[bottom] * down[:, None, None]
    return rows[:, left] * (1 - across)[None, :, None] + rows[:, right] * across[None, :, None]


def reference(frame: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    return np.clip(enlarged(gain, height, width) * frame + 255 * enlarged(bias, height, width), 0, 255)


@both_ways
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 400), st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_frames_of_any_size_come_within_a_grey_level_of_float64(loop, height, width, rows, columns, seed):
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    gain = rng.uniform(0.4, 6, (rows, columns, 3)).astype(np.float32)
    bias = rng.uniform(-3, 0.5, (rows, columns, 3)).astype(np.float32)
    clear = GridApply(160, 120, loop).apply(frame, gain, bias)
    assert clear.dtype == np.uint8
    assert np.abs(clear - reference(frame, gain, bias)).max() <= 1.0


@both_ways
def test_gain_one_and_bias_zero_give_the_frame_back_bit_for_bit(loop):
    frame = np.random.default_rng(1).integers(0, 256, (333, 517, 3), np.uint8)
    same = GridApply(160, 120, loop).apply(
        frame, np.ones((120, 160, 3), np.float32), np.zeros((120, 160, 3), np.float32)
    )
    assert np.array_equal(same, frame)


@both_ways
def test_a_frame_may_be_worked_on_in_place(loop):
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (250, 320, 3), np.uint8)
    gain, bias = rng.uniform(0.5, 3, (2, 30, 40, 3)).astype(np.float32)
    apart = GridApply(160, 120, loop).apply(frame, gain, bias - 1)
    into = frame.copy()
    assert GridApply(160, 120, loop).apply(into, gain, bias - 1, into) is into
    assert np.array_equal(into, apart)


@both_ways
def test_one_object_serves_frames_of_changing_size(loop):
    rng = np.random.default_rng(3)
    kept = GridApply(160, 120, loop)
    gain, bias = rng.uniform(0.5, 3, (2, 30, 40, 3)).astype(np.float32)
    for shape in ((480, 640, 3), (50, 2000, 3), (480, 640, 3), (1, 1, 3), (97, 31, 3)):
        frame = rng.integers(0, 256, shape, np.uint8)
        assert np.array_equal(kept.apply(frame, gain, bias), GridApply(160, 120, loop).apply(frame, gain, bias))


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_reducing_averages_areas(factor):
    rng = np.random.default_rng(4)
    frame = rng.integers(0, 256, (120 * factor, 160 * factor, 3), np.uint8)
    mean = frame.reshape(120, factor, 160, factor, 3).astype(np.float64).mean((1, 3))
    assert np.abs(GridApply(160, 120).reduce(frame) - mean).max() <= 1.0


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (119, 700), (700, 159), (3000, 4000)])
def test_frames_of_odd_sizes_keep_their_mean_when_reduced(shape):
    frame = np.full((*shape, 3), (10, 120, 250), np.uint8)
    small = GridApply(160, 120).reduce(frame)
    assert small.shape == (120, 160, 3)
    assert np.array_equal(np.unique(small.reshape(-1, 3), axis=0), [[10, 120, 250]])


@both_ways
@pytest.mark.parametrize("size", [(360, 1920), (351, 1920), (360, 1917), (1080, 1440), (90, 3840)])
def test_nothing_shows_where_tiles_of_a_large_frame_meet(size, loop):
    rng = np.random.default_rng(5)
    frame = rng.integers(0, 256, (*size, 3), np.uint8)
    gain = rng.uniform(0.4, 6, (9, 40, 3)).astype(np.float32)
    bias = rng.uniform(-3, 0.5, (9, 40, 3)).astype(np.float32)
    clear = GridApply(160, 120, loop).apply(frame, gain, bias)
    assert np.abs(clear - reference(frame, gain, bias)).max() <= 1.0


@needs_loops
@pytest.mark.parametrize("wrong", ["shape", "dtype", "channels", "strided", "read-only", "empty"])
def test_the_loops_refuse_arrays_that_they_cannot_take(wrong):
    frame, out = np.zeros((2, 6, 8, 3), np.uint8)
    gain, bias = np.ones((2, 3, 4, 3), np.float32)
    if wrong == "shape":
        bias = bias[:2].copy()
    elif wrong == "dtype":
        gain = gain.astype(np.float64)
    elif wrong == "channels":
        frame = np.zeros((6, 8, 4), np.uint8)
    elif wrong == "strided":
        frame = frame[:, ::-1]
    elif wrong == "read-only":
        out.flags.writeable = False
    else:
        frame, out = frame[:0], out[:0]
    assert native.lay_over is not None
    with pytest.raises(ValueError):
        native.lay_over(frame, gain, bias, out)
