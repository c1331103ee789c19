"""The apply step against the same arithmetic in float64, written out with numpy."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge import coefficients, native
from edge.apply import GridApply

WAYS = [None, *([native.loops] if native.loops is not None else [])]
both_ways = pytest.mark.parametrize("loops", WAYS, ids=["image library", "loops in C"][: len(WAYS)])
TINY = 1e-6  # of float64 sums
NEARLY = 1e-3  # of float32 sums of grey levels
needs_loops = pytest.mark.skipif(native.loops is None, reason="the loops in C are not built here (no C compiler)")


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


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 400), st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_frames_of_any_size_come_within_a_grey_level_of_float64(height, width, rows, columns, seed):
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    gain = rng.uniform(0.4, 6, (rows, columns, 3)).astype(np.float32)
    bias = rng.uniform(-3, 0.5, (rows, columns, 3)).astype(np.float32)
    clear = GridApply(160, 120).apply(frame, gain, bias)
    assert clear.dtype == np.uint8
    assert np.abs(clear - reference(frame, gain, bias)).max() <= 1.0


def test_gain_one_and_bias_zero_give_the_frame_back_bit_for_bit():
    frame = np.random.default_rng(1).integers(0, 256, (333, 517, 3), np.uint8)
    same = GridApply(160, 120).apply(frame, np.ones((120, 160, 3), np.float32), np.zeros((120, 160, 3), np.float32))
    assert np.array_equal(same, frame)


def test_a_frame_may_be_worked_on_in_place():
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (250, 320, 3), np.uint8)
    gain, bias = rng.uniform(0.5, 3, (2, 30, 40, 3)).astype(np.float32)
    apart = GridApply(160, 120).apply(frame, gain, bias - 1)
    into = frame.copy()
    assert GridApply(160, 120).apply(into, gain, bias - 1, into) is into
    assert np.array_equal(into, apart)


def test_one_object_serves_frames_of_changing_size():
    rng = np.random.default_rng(3)
    kept = GridApply(160, 120)
    gain, bias = rng.uniform(0.5, 3, (2, 30, 40, 3)).astype(np.float32)
    for shape in ((480, 640, 3), (50, 2000, 3), (480, 640, 3), (1, 1, 3), (97, 31, 3)):
        frame = rng.integers(0, 256, shape, np.uint8)
        assert np.array_equal(kept.apply(frame, gain, bias), GridApply(160, 120).apply(frame, gain, bias))


def area_means(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Of the area that each of height x width pixels covers, in float64: differences of sums up to a place."""
    values = frame.astype(np.float64)
    for axis, cells in ((0, height), (1, width)):
        sums = np.insert(np.cumsum(values, axis), 0, 0, axis)
        at = np.arange(cells + 1) * values.shape[axis] / cells
        low = np.minimum(at.astype(int), values.shape[axis] - 1)
        share = (at - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        edges = np.take(sums, low, axis) * (1 - share) + np.take(sums, low + 1, axis) * share
        values = np.diff(edges, axis=axis) * cells / values.shape[axis]
    return values


@both_ways
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_reducing_by_a_whole_number_averages_areas(loops, factor):
    frame = np.random.default_rng(4).integers(0, 256, (120 * factor, 160 * factor, 3), np.uint8)
    small = GridApply(160, 120, loops).reduce(frame)
    assert np.abs(small - area_means(frame, 120, 160)).max() <= 1.0 + TINY


@needs_loops
@settings(max_examples=25, deadline=None)
@given(st.integers(120, 700), st.integers(160, 900), st.integers(0, 2**32 - 1))
@example(720, 1280, 0)
@example(1080, 1920, 0)
@example(121, 161, 0)
def test_reducing_by_any_factor_averages_areas(height, width, seed):
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    small = GridApply(160, 120).reduce(frame)
    assert np.abs(small - area_means(frame, 120, 160)).max() <= 1.0 + TINY


@both_ways
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 159), st.booleans(), st.integers(0, 2**32 - 1))
@example(4000, 100, True, 0)
@example(320, 37, True, 0)
@example(5000, 1, True, 0)
@example(1, 1, True, 0)
@example(240, 159, False, 0)
def test_of_a_frame_that_is_thinner_than_the_grid_the_long_side_is_averaged(loops, long, short, lying, seed):
    height, width = (min(short, 119), long) if lying else (long, short)
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    averaged = area_means(frame, min(height, 120), min(width, 160))
    small = GridApply(160, 120, loops).reduce(frame)
    assert np.abs(small - enlarged(averaged, 120, 160)).max() <= 1.0 + NEARLY


def test_frames_of_one_size_are_enlarged_in_the_same_buffers():
    step = GridApply(160, 120)
    frame = np.random.default_rng(11).integers(0, 256, (100, 4000, 3), np.uint8)
    step.reduce(frame)
    tracemalloc.start()
    step.reduce(frame)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 120 * 160  # bytes; the smallest of the buffers, uint8 (100, 160, 3), has more


@both_ways
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (119, 700), (700, 159), (3000, 4000)])
def test_frames_of_odd_sizes_keep_their_mean_when_reduced(loops, shape):
    frame = np.full((*shape, 3), (10, 120, 250), np.uint8)
    small = GridApply(160, 120, loops).reduce(frame)
    assert small.shape == (120, 160, 3)
    assert np.array_equal(np.unique(small.reshape(-1, 3), axis=0), [[10, 120, 250]])


@needs_loops
@pytest.mark.parametrize("wrong", ["taller", "wider", "channels", "read-only"])
def test_averaging_refuses_arrays_that_it_cannot_take(wrong):
    frame, out = np.zeros((6, 8, 3), np.uint8), np.zeros((3, 4, 3), np.uint8)
    if wrong == "taller":
        out = np.zeros((7, 4, 3), np.uint8)
    elif wrong == "wider":
        out = np.zeros((3, 9, 3), np.uint8)
    elif wrong == "channels":
        frame = frame[..., 0].copy()
    else:
        out.flags.writeable = False
    assert native.loops is not None
    with pytest.raises((ValueError, BufferError)):
        native.loops.average(frame, out)


@pytest.mark.parametrize("size", [(360, 1920), (351, 1920), (360, 1917), (1080, 1440), (90, 3840)])
def test_nothing_shows_where_tiles_of_a_large_frame_meet(size):
    rng = np.random.default_rng(5)
    frame = rng.integers(0, 256, (*size, 3), np.uint8)
    gain = rng.uniform(0.4, 6, (9, 40, 3)).astype(np.float32)
    bias = rng.uniform(-3, 0.5, (9, 40, 3)).astype(np.float32)
    clear = GridApply(160, 120).apply(frame, gain, bias)
    assert np.abs(clear - reference(frame, gain, bias)).max() <= 1.0


def planes_of(rng: np.random.Generator, rows: int, cells: int, times: int = 1) -> coefficients.Planes:
    log_gain, shift = rng.normal(0, 0.5, (2, rows, cells, 3)).astype(np.float32)
    log_gain_mean = rng.uniform(-0.5, 2, (rows * times, cells * times)).astype(np.float32)
    shift_mean = rng.normal(0, 0.2, (rows * times, cells * times)).astype(np.float32)
    return coefficients.Planes(log_gain, log_gain_mean, shift, shift_mean, rng.uniform(0.5, 1.1, 3))


def cleared(frame: np.ndarray, planes: coefficients.Planes) -> np.ndarray:
    """The whole way from planes to the clear frame, in float64."""
    height, width = planes.log_gain_mean.shape
    log_gain = enlarged(planes.log_gain, height, width) + planes.log_gain_mean[..., None].astype(np.float64)
    gain = np.exp(np.minimum(log_gain, 3.5))
    shift = enlarged(planes.shift, height, width) + planes.shift_mean[..., None].astype(np.float64)
    return reference(frame, gain, planes.light * (1 - gain) + shift)


@both_ways
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 400), st.integers(1, 40), st.integers(1, 50), st.integers(1, 3), st.data())
def test_frames_are_cleared_within_a_grey_level_of_float64(loops, height, width, rows, cells, times, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    planes = planes_of(rng, rows, cells, times)
    assert np.abs(GridApply(160, 120, loops).clear(frame, planes) - cleared(frame, planes)).max() <= 1.0


@both_ways
def test_a_frame_may_be_cleared_in_place_and_the_next_may_have_another_size(loops):
    rng = np.random.default_rng(7)
    step = GridApply(160, 120, loops)
    for shape, rows, cells in (((480, 640, 3), 30, 40), ((97, 31, 3), 60, 80), ((1, 1, 3), 30, 40)):
        frame = rng.integers(0, 256, shape, np.uint8)
        planes = planes_of(rng, rows, cells, 2)
        apart = step.clear(frame, planes).copy()
        assert step.clear(frame, planes, frame) is frame
        assert np.array_equal(frame, apart)


@both_ways
def test_without_haze_the_frame_comes_out_bit_for_bit(loops):
    frame = np.random.default_rng(8).integers(0, 256, (333, 517, 3), np.uint8)
    cell = np.random.default_rng(9).normal(0, 1.5, (120, 160, 7)).astype(np.float32)
    for cells, strength in ((cell, 0.0), (np.where(np.arange(7) == 0, -60, cell).astype(np.float32), 1.0)):
        step = GridApply(160, 120, loops)
        step.reduce(frame)
        planes = coefficients.Decoder(loops)(cells, np.ones(3, np.float32), strength, None, step.sharpen)
        assert np.array_equal(step.clear(frame, planes), frame)


@needs_loops
@pytest.mark.parametrize(
    "wrong", ["size", "planes", "means", "dtype", "channels", "strided", "read-only", "empty", "light"]
)
def test_clearing_refuses_arrays_that_it_cannot_take(wrong):
    frame, out = np.zeros((2, 6, 8, 3), np.uint8)
    log_gain, shift = np.zeros((2, 3, 4, 3), np.float32)
    means = np.zeros((2, 6, 8), np.float32)
    light: tuple[float, ...] = (0.9, 0.9, 0.9)
    if wrong == "size":
        out = out[:5].copy()
    elif wrong == "planes":
        shift = shift[:2].copy()
    elif wrong == "means":
        means = np.zeros((2, 6, 8, 1), np.float32)
    elif wrong == "dtype":
        log_gain = log_gain.astype(np.float64)
    elif wrong == "channels":
        frame = np.zeros((6, 8, 4), np.uint8)
    elif wrong == "strided":
        frame = frame[:, ::-1]
    elif wrong == "read-only":
        out.flags.writeable = False
    elif wrong == "light":
        light = (0.9, 0.9)
    else:
        frame, out = frame[:0], out[:0]
    assert native.loops is not None
    with pytest.raises((ValueError, TypeError)):
        native.loops.clear(frame, log_gain, means[0], shift, means[1], light, 3.5, out)


@needs_loops
@pytest.mark.parametrize("wrong", ["answer", "picture", "means", "colours", "strided", "read-only"])
def test_decoding_refuses_arrays_that_it_cannot_take(wrong):
    cell = np.zeros((6, 8, 7), np.float32)
    log_gain, shift = np.zeros((2, 6, 8, 3), np.float32)
    means = np.zeros((2, 6, 8), np.float32)
    picture = np.zeros((6, 8, 3), np.uint8)
    if wrong == "answer":
        cell = cell[..., :6].copy()
    elif wrong == "picture":
        picture = np.zeros((6, 9, 3), np.uint8)
    elif wrong == "means":
        means = np.zeros((2, 6, 7), np.float32)
    elif wrong == "colours":
        shift = shift[..., :2].copy()
    elif wrong == "strided":
        cell = cell[:, ::2]
    else:
        log_gain.flags.writeable = False
    assert native.loops is not None
    with pytest.raises(ValueError, match=r"cell|picture|log_gain|shift|read-only|contiguous"):
        scales, limits = (2, -3, 0.5, 0.35, 1.5), (3.5, 1, 1, 1)
        native.loops.decode(cell, picture, scales, limits, 1.0, log_gain, means[0], shift, means[1])


@needs_loops
@pytest.mark.parametrize("wrong", ["coarse", "fine", "likeness", "plane", "out", "count", "none", "many", "list"])
def test_doubling_refuses_arrays_that_it_cannot_take(wrong):
    coarse, fine = np.zeros((6, 8, 3), np.uint8), np.zeros((12, 16, 3), np.uint8)
    likeness = np.ones((1, 16), np.float32)
    planes: object = (np.zeros((6, 8), np.float32),)
    out = (np.zeros((12, 16), np.float32),)
    if wrong == "coarse":
        coarse = coarse[..., :1].copy()
    elif wrong == "fine":
        fine = fine[:11].copy()
    elif wrong == "likeness":
        likeness = likeness[:, :15].copy()
    elif wrong == "plane":
        planes = (np.zeros((6, 9), np.float32),)
    elif wrong == "out":
        out = (np.zeros((12, 15), np.float32),)
    elif wrong == "count":
        out = (*out, *out)
    elif wrong == "none":
        planes, out = (), ()
    elif wrong == "many":
        planes, out = 5 * (np.zeros((6, 8), np.float32),), 5 * out
    else:
        planes = [np.zeros((6, 8), np.float32)]
    assert native.loops is not None
    with pytest.raises((ValueError, TypeError)):
        native.loops.twice(planes, coarse, fine, likeness, out)
