"""`python -m benchmarks.apply_step`: where the time of a grid model goes outside the network, and how sharp it is.

Times are medians on one thread, each step with the floor that no program gets under: copying the frame; beside them
those of a plain bilinear 80x60 grid. Sharpness is measured with oracle coefficients (the true gain, averaged over each
cell) on scenes whose depth is known: the error within 6 pixels of depth edges of the 160x120 grid that follows edges,
as a share of that of a plain grid: of 80x60, and of 160x120, which tells what following edges alone is worth. Pixels
whose depth was not measured do not count.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge import coefficients, command
from edge.apply import GridApply
from edge.arguments import whole_from
from edge.files import write_whole
from edge.scenes import Scene, landscape, motorcycle

SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))
GRID, PLAIN_GRID = (160, 120), (80, 60)
NEAR_PX = 6
AIRLIGHT = 0.9


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks.apply_step", description=__doc__.split("\n\n")[0])
    p.add_argument("--runs", type=whole_from(1), default=100, metavar="N", help="of each step (default: 100)")
    p.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR", help="(default: out/benchmarks)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    cv2.setNumThreads(1)
    result = {"times_ms": _times(args.runs), "edges": _edges()}
    for size, steps in result["times_ms"].items():
        told = ", ".join(f"{name} {ms:.3f}" for name, ms in steps.items())
        print(
            f"{size}: {told} ms; all of it {_sum(steps) / steps['copy']:.0f} copies of the frame, "
            f"{_sum(steps) / (steps['reduce'] + steps['plain']):.2f} times a plain 80x60 grid"
        )
    for scene, ratios in result["edges"].items():
        told = ", ".join(f"{ratio:.2f} of that of a plain bilinear {grid} grid" for grid, ratio in ratios.items())
        print(f"{scene}: error near depth edges {told}")
    path = args.out / "apply_step.json"
    write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
    print(path)
    return 0


def _sum(steps: dict[str, float]) -> float:
    return steps["reduce"] + steps["decode"] + steps["clear"]


def _times(runs: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(0)
    cell = rng.normal(0, 1, (GRID[1], GRID[0], coefficients.CHANNELS)).astype(np.float32)
    light = np.ones(3, np.float32)
    decode = coefficients.Decoder()
    plain = coefficients.Decoder()
    coarse = np.ascontiguousarray(cell[::2, ::2])
    density = np.ascontiguousarray(cell[..., 0])
    times = {}
    for width, height in SIZES:
        frame = rng.integers(0, 256, (height, width, 3), np.uint8)
        out, grid, plain_grid = np.empty_like(frame), GridApply(*GRID), GridApply(*PLAIN_GRID)
        library, library_decode = GridApply(*GRID, loops=None), coefficients.Decoder(None)
        grid.reduce(frame)
        library.reduce(frame)
        seen = grid.on_grid(*cell.shape[:2])
        sharp = decode(cell, light, 1.0, seen, grid.sharpen)
        steps: dict[str, Callable[[], object]] = {
            "reduce": lambda f=frame, g=grid: g.reduce(f),
            "decode": lambda g=grid, p=seen: decode(cell, light, 1.0, p, g.sharpen),
            "of which sharpen": lambda g=grid: g.sharpen((density, density)),
            "decode by the image library": lambda g=library, d=library_decode, p=seen: d(
                cell, light, 1.0, p, g.sharpen
            ),
            "clear": lambda f=frame, g=grid, o=out, s=sharp: g.clear(f, s, o),
            "clear by the image library": lambda f=frame, g=library, o=out, s=sharp: g.clear(f, s, o),
            "plain": lambda f=frame, g=plain_grid, o=out: g.clear(f, plain(coarse, light), o),
            "copy": lambda f=frame, o=out: np.copyto(o, f),
        }
        times[f"{width}x{height}"] = {name: round(ms, 4) for name, ms in _medians(steps, runs).items()}
    return times


def _medians(steps: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median milliseconds of each step; the steps take turns, so that a busy moment falls on all."""
    samples: dict[str, list[float]] = {name: [] for name in steps}
    for run in range(runs + 3):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if run >= 3:
                samples[name].append((time.perf_counter() - start) * 1e3)
    return {name: float(np.median(taken)) for name, taken in samples.items()}


def _edges() -> dict[str, dict[str, float]]:
    scenes = {f"drawn landscape {n}": landscape(n, 640, 480) for n in range(4)}
    scenes["stereo photograph"] = motorcycle()
    return {name: _edge_ratios(scene) for name, scene in scenes.items()}


def _edge_ratios(scene: Scene) -> dict[str, float]:
    """Mean absolute error near depth edges as frames are cleared, as a share of that with a plain grid of each size."""
    thickness = 1.2 * scene.depth / np.percentile(scene.depth, 75)
    gain = np.exp(np.minimum(thickness, 2.5))[..., None].astype(np.float32)
    clear = scene.picture.astype(np.float32) / 255
    hazy = AIRLIGHT + (clear - AIRLIGHT) / gain
    kernel = np.ones((3, 3), np.uint8)
    jumps = (cv2.dilate(thickness, kernel) - cv2.erode(thickness, kernel)) > 0.15
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR_PX + 1, 2 * NEAR_PX + 1))
    near = cv2.dilate(jumps.astype(np.uint8), reach) > 0
    if scene.measured is not None:
        near &= scene.measured
    step = GridApply(*GRID)
    step.reduce(np.rint(hazy * 255).astype(np.uint8))
    sharp = np.exp(step.sharpen([np.log(cv2.resize(gain, GRID, interpolation=cv2.INTER_AREA))])[0])

    def error(grid: np.ndarray) -> float:
        enlarged = cv2.resize(grid, hazy.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
        return float(np.abs(AIRLIGHT + enlarged * (hazy - AIRLIGHT) - clear)[near].mean())

    plain = {size: cv2.resize(gain, size, interpolation=cv2.INTER_AREA) for size in (PLAIN_GRID, GRID)}
    return {f"{size[0]}x{size[1]}": round(error(sharp) / error(grid), 3) for size, grid in plain.items()}


if __name__ == "__main__":
    sys.exit(command.run(main))
