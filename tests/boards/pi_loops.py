"""Run by `pi.py` under aarch64: the loops in C against the same arithmetic in float64.

python pi_loops.py FOLDER_WITH_THE_EXTENSION
"""

import json
import platform
import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
from loops import clear


def enlarged(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear enlargement with pixel centres at (i + 0.5) / n, edges repeated, in float64."""
    for axis, pixels in ((0, height), (1, width)):
        cells = grid.shape[axis]
        at = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
        low = np.minimum(at.astype(int), cells - 1)
        share = (at - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        grid = np.take(grid, low, axis) * (1 - share) + np.take(grid, np.minimum(low + 1, cells - 1), axis) * share
    return grid


largest, rng = 0.0, np.random.default_rng(0)
for height, width, rows, cells in ((480, 640, 120, 160), (97, 131, 30, 40), (1, 1, 3, 4), (37, 16, 60, 80)):
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    log_gain, shift = rng.normal(0, 0.5, (2, rows, cells, 3)).astype(np.float32)
    log_gain_mean = rng.uniform(-0.5, 2, (2 * rows, 2 * cells)).astype(np.float32)
    shift_mean = rng.normal(0, 0.2, (2 * rows, 2 * cells)).astype(np.float32)
    out, light = np.empty_like(frame), np.array([0.9, 0.8, 0.7])
    clear(frame, log_gain, log_gain_mean, shift, shift_mean, tuple(light), 3.5, out)
    fine, moved = (
        enlarged(plane.astype(float), 2 * rows, 2 * cells) + mean[..., None]
        for plane, mean in ((log_gain, log_gain_mean), (shift, shift_mean))
    )
    gain = np.exp(np.minimum(fine, 3.5))
    bias = light * (1 - gain) + moved
    exact = enlarged(gain, height, width) * frame + 255 * enlarged(bias, height, width)
    largest = max(largest, float(np.abs(out - np.clip(exact, 0, 255)).max()))
print(json.dumps({"machine": platform.machine(), "largest": largest}))
