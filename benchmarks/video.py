"""`python -m benchmarks.video`: what smoothing over time does to a panning hazy video with noise.

Each scene is a still picture that a window moves over, with noise of its own in every frame, and ends with a cut to
the next scene. Cleared frame by frame and smoothed, it is compared in two ways:

- flicker: the mean absolute change from frame to frame of what both show (the output moved along with the window),
  less that of the input. Once of pixels, where the noise that any gain makes stronger counts too, and once of means
  of 8x8 pixels, where it hardly does. What is told is that of the smoothed video as a share of that frame by frame;
  below 0 the smoothed video changes less than its input does. Noise adds in squares and not as the subtraction has
  it, so the plain share stands beside it: the outputs' changes, with nothing subtracted;
- PSNR to the clear picture, frame by frame: smoothing that lags shows there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import targets
from edge import command
from edge.arguments import number_from, whole_from
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.errors import EdgeError
from edge.exporting.assembly import assembled
from edge.exporting.models import SHIPPED
from edge.files import write_whole
from edge.haze import hazed
from edge.measure.pairs import find_pairs
from edge.measure.quality import psnr_db
from edge.pictures import read_picture
from edge.scenes import landscape
from edge.smoothing import Smoother
from quantization.calibration import made_set
from targets.source import SourceModel

STEPS = ((4, 0), (-8, 2), (3, -1))  # pixels by which the window moves from frame to frame, right and down
WIDTH, HEIGHT = 640, 480
BLOCK = 8
SETTLED = 5  # frames at a scene's start whose changes do not count
AIRLIGHT = np.array([0.88, 0.9, 0.92], np.float32)


@dataclass(frozen=True)
class Pan:
    """A window that moves over a picture.

    Attributes:
        name: of the scene.
        hazy, clear: uint8 RGB (H, W, 3), frame by frame.
        step: (right, down) in pixels from one frame to the next.
    """

    name: str
    hazy: list[np.ndarray]
    clear: list[np.ndarray]
    step: tuple[int, int]


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.video",
        description="Flicker and PSNR of smoothed video against the model frame by frame, on pans with noise.",
    )
    p.add_argument("--bundle", type=Path, metavar="BUNDLE", help="(default: the shipped model for OpenVINO in INT8)")
    p.add_argument("--data", type=Path, metavar="DIR", help="pairs to pan over (default: drawn scenes)")
    p.add_argument("--scenes", type=whole_from(1), default=6, metavar="N", help="how many (default: 6)")
    p.add_argument("--frames", type=whole_from(1), default=40, metavar="N", help="of each scene (default: 40)")
    p.add_argument(
        "--noise", type=number_from(0), default=3.0, metavar="LEVELS", help="its deviation (default: 3 grey levels)"
    )
    p.add_argument(
        "--smooth", type=number_from(0), default=0.2, metavar="SECONDS", help="at 30 frames a second (default: 0.2)"
    )
    p.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR", help="(default: out/benchmarks)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.frames < SETTLED + 2:
        raise EdgeError(f"--frames must be {SETTLED + 2} or more, so that a scene can settle")
    bundle = Bundle.read(args.bundle) if args.bundle else _shipped()
    with Dehazer(bundle, threads=1) as dehazer:
        pans = list(_pans(args.data, args.scenes, args.frames, args.noise))
        rows, smoother = measured(dehazer, pans, Smoother(args.smooth))
    result: dict[str, Any] = {"smooth_s": args.smooth, "noise": args.noise, "scenes": rows, "cuts": smoother.cuts}
    for row in rows:
        print(
            f"{row['scene']}: {shares(row)}; PSNR {row['psnr_db']:+.2f} dB, worst frame {row['worst_db']:+.2f}; "
            f"first frame {'anew' if row['anew'] else 'LAGS'}"
        )
    for name in ("flicker", "change", "flicker_of_means", "change_of_means", "psnr_db"):
        told = [row[name] for row in rows if row[name] is not None]
        result[name] = round(float(np.mean(told)), 3) if told else None
    print(
        f"mean: {shares(result)}; PSNR {result['psnr_db']:+.2f} dB; {smoother.cuts} of {len(rows) - 1} cuts seen\n"
        "Both are shares of the same frame by frame. Flicker: mean absolute change of the output along the motion, "
        "less the input's; change: of the output alone, nothing subtracted."
    )
    path = args.out / "video.json"
    write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
    print(path)
    return 0


def shares(row: Mapping[str, Any]) -> str:
    """Flicker and change of a row, in words."""
    flicker, of_means = ("–" if row[name] is None else f"{row[name]:.2f}" for name in ("flicker", "flicker_of_means"))
    return (
        f"flicker {flicker} of that frame by frame (change {row['change']:.2f}), of 8x8 means {of_means} "
        f"({row['change_of_means']:.2f})"
    )


def share_of_flicker(smoothed: float, single: float, of_input: float) -> float | None:
    """The flicker of a smoothed video as a share of that frame by frame, each the output's change less the input's.

    None where frame by frame the output changes no more than its input: there is no flicker to take a share of.
    """
    return (smoothed - of_input) / (single - of_input) if single > of_input else None


def measured(dehazer: Dehazer, pans: list[Pan], smoother: Smoother) -> tuple[list[dict], Smoother]:
    """One row for each scene, smoothed as one video with cuts in it; frame by frame for comparison."""
    rows = []
    for pan in pans:
        dehazer.smoother = None
        alone = [dehazer(frame) for frame in pan.hazy]
        dehazer.smoother = smoother
        smooth = [dehazer(frame) for frame in pan.hazy]
        drops = [psnr_db(a, c) - psnr_db(b, c) for a, b, c in zip(smooth, alone, pan.clear, strict=True)]
        row = {"scene": pan.name, "psnr_db": float(np.mean(drops)), "worst_db": min(drops)}
        for name, block in (("flicker", 1), ("flicker_of_means", BLOCK)):
            of_input = change_along(pan.hazy, pan.step, block)
            smoothed, single = (change_along(frames, pan.step, block) for frames in (smooth, alone))
            row |= {
                name: share_of_flicker(smoothed, single, of_input),
                name.replace("flicker", "change"): smoothed / single,
                f"{name}_alone": single - of_input,
            }
        dehazer.smoother = Smoother(smoother.seconds)  # that knows nothing of the scene before
        rows.append(row | {"anew": bool(np.array_equal(smooth[0], dehazer(pan.hazy[0])))})
    return rows, smoother


def change_along(frames: list[np.ndarray], step: tuple[int, int], block: int = 1) -> float:
    """Mean absolute change from frame to frame of what both show, in grey levels, of means of block x block pixels."""
    right, down = step
    height, width = frames[0].shape[:2]
    before = (slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0)))
    after = (slice(max(-down, 0), height + min(-down, 0)), slice(max(-right, 0), width + min(-right, 0)))
    changes = []
    for first, second in zip(frames[SETTLED:], frames[SETTLED + 1 :], strict=False):
        change = second[after].astype(np.float32) - first[before]
        if block > 1:
            size = (change.shape[1] // block, change.shape[0] // block)
            change = cv2.resize(change[: size[1] * block, : size[0] * block], size, interpolation=cv2.INTER_AREA)
        changes.append(float(np.abs(change).mean()))
    return float(np.mean(changes))


def _pans(data: Path | None, scenes: int, count: int, noise: float) -> Iterator[Pan]:
    stills = _pictures(data, scenes) if data else _drawn(scenes, count)
    for number, (name, hazy, clear) in enumerate(stills):
        step = STEPS[number % len(STEPS)]
        right, down = (abs(way) * (count - 1) for way in step)
        height, width = hazy.shape[0] - down, hazy.shape[1] - right
        if min(height, width) < 64:
            raise EdgeError(f"{name} is too small to pan over in {count} frames; choose fewer --frames")
        rng = np.random.default_rng(number)
        frames, truth = [], []
        for n in range(count):
            left = n * step[0] if step[0] >= 0 else right + n * step[0]
            top = n * step[1] if step[1] >= 0 else down + n * step[1]
            here = (slice(top, top + height), slice(left, left + width))
            noisy = hazy[here] + noise * rng.standard_normal((height, width, 3), np.float32)
            frames.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
            truth.append(clear[here])
        yield Pan(f"{name}, {step[0]:+d} {step[1]:+d}", frames, truth, step)


def _drawn(scenes: int, count: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for seed in range(scenes):
        right, down = (abs(way) * (count - 1) for way in STEPS[seed % len(STEPS)])
        scene = landscape(seed, WIDTH + right, HEIGHT + down)
        thickness = np.minimum(0.9 * scene.depth / np.median(scene.depth), 4)
        yield f"drawn {seed}", 255 * hazed(scene.picture.astype(np.float32) / 255, thickness, AIRLIGHT), scene.picture


def _pictures(data: Path, scenes: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    pairs = find_pairs(data)
    for hazy, clear in pairs[:: max(1, len(pairs) // scenes)][:scenes]:
        yield hazy.name, read_picture(hazy)[0].astype(np.float32), read_picture(clear)[0]


def _shipped() -> Bundle:
    edge = SourceModel.read(SHIPPED["edge"])
    calibration = made_set(edge.card.width, edge.card.height, edge.card.kind, pictures=32)
    command.say("building the shipped model in INT8 for OpenVINO")
    return assembled(edge, targets.load("openvino"), targets.BuildOptions("int8", calibration))


if __name__ == "__main__":
    sys.exit(command.run(main))
