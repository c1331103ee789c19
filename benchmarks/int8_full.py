"""`python -m benchmarks.int8_full MODEL...`: a full model in INT8 against float32 and bfloat16, with OpenVINO.

With --page, its table stands in docs/notes/int8.md.

Time: one thread, in turns, whole frames' networks with the arithmetic set explicitly (OpenVINO computes "float32" in
bfloat16 by itself where the processor can). Loss: on pairs, against the float32 artefact, tiles and overlap included.
Banding: on a smooth sky that is made here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import targets
from benchmarks.pages import put
from edge import command
from edge.arguments import whole_from
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.exporting.assembly import assembled
from edge.exporting.fidelity import compare
from edge.exporting.models import source_model
from edge.exporting.pictures import measured_pairs
from edge.measure import loop
from edge.measure.banding import banding, unevenness
from edge.measure.machine import this_machine
from edge.measure.statistics import ratio_of_medians
from edge.pictures import write_picture
from quantization.calibration import made_set

PLAN = loop.Plan(warmup_runs=2, warmup_s=0.2, runs=12, seconds=5.0, longest_s=20.0)
HEAD = (
    "| model | float32 | bfloat16 | INT8 | INT8 / float32 | INT8 / bfloat16 | PSNR | SSIM | banding | unevenness |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)
SKY = (480, 640)
STRETCH = 6  # of contrast in the picture, so that steps of one grey level can be seen


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks.int8_full", description=__doc__.partition("\n")[0])
    p.add_argument("models", nargs="+", metavar="MODEL", help="checkpoints (.safetensors) or .onnx files")
    p.add_argument("--pictures", type=whole_from(1), default=16, metavar="N", help="for calibration (default: 16)")
    p.add_argument("--data", type=Path, metavar="DIR", help="pairs to measure the loss on (default: 24 made pairs)")
    p.add_argument("--page", type=Path, metavar="FILE", help="write the table between its marks in this page")
    p.add_argument("--sky", type=Path, metavar="FILE", help="write the sky of the last model as a picture")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    openvino = targets.load("openvino")
    rows = []
    for name in args.models:
        with tempfile.TemporaryDirectory() as folder:
            model = source_model(name, None, Path(folder))
            card = model.card
            calibration = made_set(card.width, card.height, card.kind, args.pictures)
            fp32 = assembled(model, openvino, targets.BuildOptions("fp32"))
            int8 = assembled(model, openvino, targets.BuildOptions("int8", calibration, say=command.say))
        with Dehazer(fp32, "CPU") as exact, Dehazer(int8, "CPU") as rounded:
            loss = compare(exact, rounded, *measured_pairs(args.data, few=True))
            sky = hazy_sky()
            skies = exact(sky), rounded(sky)
        rows.append(_row(card.name, times(fp32, int8), loss, skies))
        print(rows[-1], end="", flush=True)
        if args.sky:
            write_picture(args.sky, stretched([sky, *skies]))
    machine = this_machine()
    caption = (
        f"\nMilliseconds of the network at 640x480 (a grid model: at its input's size), one thread, in turns, medians; "
        f"ratios with 95 % of a bootstrap. On {machine.processor}; {args.pictures} calibration pictures; PSNR and SSIM "
        f"against float32 on {loss.data}; banding and unevenness (grey levels) of a made sky, float32 and INT8.\n"
    )
    if args.page:
        put(args.page, "full", "benchmarks.int8_full", argv, HEAD + "".join(rows) + caption)
    return 0


class Compiled:
    """A bundle's network in OpenVINO, its arithmetic set explicitly, as the timing loop calls it."""

    timing = None

    def __init__(self, bundle: Bundle, hint: str) -> None:
        from targets.openvino.files import WEIGHTS, XML
        from targets.openvino.processor import reform
        from targets.openvino.runtime import own_core

        core = own_core()
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": hint}
        model = core.read_model(bundle.files[XML], bundle.files[WEIGHTS])
        reform(model, "CPU")
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._picture = self._request.get_input_tensor().data[0]

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        np.copyto(self._picture, frame)
        self._request.infer()
        return self._picture


def times(fp32: Bundle, int8: Bundle) -> dict[str, Any]:
    """Medians in milliseconds, and INT8's share of the others' time with its interval."""
    size = fp32.manifest.input
    frames = [np.random.default_rng(n).integers(0, 256, (size["height"], size["width"], 3), np.uint8) for n in (0, 1)]
    subjects = [Compiled(fp32, "f32"), Compiled(fp32, "bf16"), Compiled(int8, "f32")]
    for subject in subjects:
        loop.warm_up(subject, frames, PLAN)
    series = loop.measure(subjects, frames, PLAN)
    turns = min(len(s.rounds) for s in series)
    single, half, integer = ([r[:, 0] for r in s.rounds[:turns]] for s in series)
    return {
        "ms": [float(np.median(s.times_ms())) for s in series],
        "ratios": [ratio_of_medians(other, integer) for other in (single, half)],
    }


def hazy_sky() -> np.ndarray:
    """A clear sky's gradient behind haze: uint8 RGB of 640x480."""
    height, width = SKY
    down, across = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    sky = np.array([150.0, 170.0, 200.0]) + np.array([60.0, 50.0, 30.0]) * (0.8 * down + 0.2 * across)
    return np.clip(np.rint(sky), 0, 255).astype(np.uint8)


def stretched(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Side by side, a third of each, contrast enlarged around what a wide blur leaves."""
    parts = []
    for picture in pictures:
        part = picture[:, : picture.shape[1] // 3].astype(np.float32)
        smooth = cv2.GaussianBlur(part, (0, 0), 60)
        parts.append(np.clip(np.rint(128 + STRETCH * (part - smooth)), 0, 255).astype(np.uint8))
    return np.hstack(parts)


def _row(name: str, time: dict[str, Any], loss: Any, skies: tuple[np.ndarray, np.ndarray]) -> str:
    ms = " | ".join(f"{value:.1f} ms" for value in time["ms"])
    ratios = " | ".join(f"{ratio:.2f} ({span.low:.2f} to {span.high:.2f})" for ratio, span in time["ratios"])
    return (
        f"| {name} | {ms} | {ratios} | {-loss.psnr_drop_db:+.3f} dB | {-loss.ssim_drop:+.4f} | "
        f"{banding(skies[0]):.3f}, {banding(skies[1]):.3f} | {unevenness(skies[0]):.2f}, {unevenness(skies[1]):.2f} |\n"
    )


if __name__ == "__main__":
    sys.exit(command.run(main))
