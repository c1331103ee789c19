"""The loops in C against the same arithmetic in float64, for `pi.py` under aarch64 and for tests/edge/test_native.py.

python native_loops.py FOLDER_WITH_THE_EXTENSION
"""

import json
import platform
import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
import loops


def enlarged(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear enlargement with pixel centres at (i + 0.5) / n, edges repeated, in float64."""
    for axis, pixels in ((0, height), (1, width)):
        cells = grid.shape[axis]
        at = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
        low = np.minimum(at.astype(int), cells - 1)
        share = (at - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        grid = np.take(grid, low, axis) * (1 - share) + np.take(grid, np.minimum(low + 1, cells - 1), axis) * share
    return grid


def decoded(cell: np.ndarray, picture: np.ndarray, light: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Log gain and shift of a raw answer, in float64."""
    exact = cell.astype(float)
    thickness = strength * np.log1p(np.exp(2 * exact[..., :1] - 3))
    log_gain, veil = thickness * (1 + np.clip(0.5 * exact[..., 1:4], -1, 1)), 1 - np.exp(-thickness)
    more = 1.5 * veil**2
    glow = more * np.exp(np.minimum(log_gain, 3.5)) * (light - picture / 255)
    return log_gain + np.log(1 + more), 0.35 * np.clip(exact[..., 4:], -1, 1) * veil + glow


def doubled_along_rows(cells: np.ndarray, guide: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """Joint bilateral upsampling between two neighbours, number by number, in float64."""
    result = np.zeros(fine.shape)
    for (row, column), like in np.ndenumerate(fine.astype(float)):
        place = (column + 0.5) / 2 - 0.5
        both = [int(np.floor(place)), int(np.floor(place)) + 1]
        inside = [min(max(cell, 0), cells.shape[1] - 1) for cell in both]
        weights = [
            (1 - abs(place - cell)) * max(np.exp(-((like - guide[row, kept]) ** 2) / 18), 1e-3)
            for cell, kept in zip(both, inside, strict=True)
        ]
        result[row, column] = np.average([cells[row, kept] for kept in inside], weights=weights)
    return result


largest, rng = 0.0, np.random.default_rng(0)
for height, width, rows, cells in ((480, 640, 120, 160), (97, 131, 30, 40), (1, 1, 3, 4), (37, 16, 60, 80)):
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    log_gain, shift = rng.normal(0, 0.5, (2, rows, cells, 3)).astype(np.float32)
    log_gain_mean = rng.uniform(-0.5, 2, (2 * rows, 2 * cells)).astype(np.float32)
    shift_mean = rng.normal(0, 0.2, (2 * rows, 2 * cells)).astype(np.float32)
    out, light = np.empty_like(frame), np.array([0.9, 0.8, 0.7])
    loops.clear(frame, log_gain, log_gain_mean, shift, shift_mean, tuple(light), 3.5, out)
    fine, moved = (
        enlarged(plane.astype(float), 2 * rows, 2 * cells) + mean[..., None]
        for plane, mean in ((log_gain, log_gain_mean), (shift, shift_mean))
    )
    gain = np.exp(np.minimum(fine, 3.5))
    bias = light * (1 - gain) + moved
    exact = enlarged(gain, height, width) * frame + 255 * enlarged(bias, height, width)
    largest = max(largest, float(np.abs(out - np.clip(exact, 0, 255)).max()))

frame, small = rng.integers(0, 256, (97, 131, 3), np.uint8), np.empty((48, 60, 3), np.uint8)
loops.average(frame, small)
fine = frame.repeat(48, 0).repeat(60, 1)  # in which every area is whole
exact = fine.reshape(48, 97, 60, 131, 3).mean((1, 3), dtype=np.float64)
largest = max(largest, float(np.abs(small - exact).max()))

cell = rng.normal(0, 2, (30, 40, 7)).astype(np.float32)
log_gain, shift = np.empty((2, 30, 40, 3), np.float32)
means = np.empty((2, 30, 40), np.float32)
picture, light = rng.integers(0, 256, (30, 40, 3), np.uint8), np.array([0.9, 0.8, 0.7])
scales, limits = (2.0, -3.0, 0.5, 0.35, 1.5), (3.5, *light)
loops.decode(cell, picture, scales, limits, 0.8, log_gain, means[0], shift, means[1])
apart = max(
    float(np.abs(beside + mean[..., None] - exact).max())
    for beside, mean, exact in zip((log_gain, shift), means, decoded(cell, picture, light, 0.8), strict=True)
)

likeness = np.maximum(np.exp(-(np.arange(16.0) ** 2) / 18), 1e-3)
planes, out = rng.uniform(-2, 5, (2, 6, 20)).astype(np.float32), np.empty((2, 12, 40), np.float32)
coarse, fine = (
    np.repeat(rng.integers(90, 110, (rows, cells, 1), np.uint8), 3, 2) for rows, cells in ((6, 20), (12, 40))
)
loops.twice(tuple(planes), coarse, fine, likeness.astype(np.float32)[None], tuple(out))
halved = np.rint((fine[::2, :, 0].astype(float) + fine[1::2, :, 0]) / 2)
for plane, doubled in zip(planes, out, strict=True):
    wide = doubled_along_rows(plane, coarse[..., 0], halved)
    apart = max(apart, float(np.abs(doubled - doubled_along_rows(wide.T, halved.T, fine[..., 0].T).T).max()))

guide, changed = rng.uniform(0, 255, (6, 20, 3)).astype(np.float32), np.empty((6, 20), np.float32)
picture = np.clip(np.rint(guide + rng.normal(0, 9, guide.shape)), 0, 255).astype(np.uint8)
answer, kept = rng.normal(0, 2, (2, 6, 20, 7)).astype(np.float32)
difference = np.pad(np.abs(picture.astype(float) - guide), [(1, 1), (1, 1), (0, 0)], mode="reflect")
exact = sum(difference[y : y + 6, x : x + 20] for y in range(3) for x in range(3)).max(axis=2) / 9
beyond, mean = loops.change(picture, guide, 8.0, changed)
apart = max(apart, float(np.abs(changed - exact).max()), abs(beyond - (exact > 8).mean()), abs(mean - exact.mean()))
trust = (0.8 * np.exp(-((exact / 14) ** 2)))[..., None]
smooth, guided = answer + trust * (kept.astype(float) - answer), picture + trust * (guide.astype(float) - picture)
loops.keep(picture, answer, changed, 0.8, 1 / 14**2, guide, kept)
apart = max(apart, float(np.abs(kept - smooth).max()), float(np.abs(guide - guided).max()) / 255)
print(json.dumps({"machine": platform.machine(), "largest": largest, "apart": apart}))
