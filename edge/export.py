"""`python -m edge.export`: from a model to a bundle that a board runs."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import targets
from edge import command
from edge.arguments import frame_size, number_from
from edge.errors import WrongCall
from edge.exporting.models import SHIPPED

if TYPE_CHECKING:
    from edge.bundle import Bundle

EXAMPLES = """examples:
  python -m edge.export                                             the edge model in INT8 for Intel processors
  python -m edge.export --target onnx --precision fp32 --zip        one .zip for any machine with ONNX Runtime
  python -m edge.export --calibration photos/ --max-drop 0.1        ranges from your pictures; refuse a loss > 0.1 dB
  python -m edge.export --model runs/mine.safetensors --data val/   your own checkpoint, loss measured on your own pairs
  python -m edge.export --model full                                the clearest, at ten times the time
  python -m edge.export --model edge-s --mirrored                   two looks at every frame: clearer, slower
  python -m edge.export --device NPU                                with the model compiled for each Intel NPU
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.export",
        description="Turn a model into a bundle: one folder, or .zip, with all that a board needs to run it. The "
        "finished artefact is run against the float32 model, and the manifest says how far apart they are.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--target", default="openvino", choices=targets.names(), help="what runs it (default: openvino)")
    p.add_argument(
        "--model",
        default="edge",
        metavar="|".join((*SHIPPED, "PATH")),
        help="a shipped model (edge is edge-m), or an .onnx or .safetensors of yours",
    )
    p.add_argument(
        "--mirrored",
        action=argparse.BooleanOptionalAction,
        help="look at the mirror image of every frame too and average both answers, for twice the network's time "
        "(grid models; default: as the model says)",
    )
    p.add_argument("--precision", default="int8", choices=("fp32", "fp16", "int8"), help="(default: int8)")
    p.add_argument("--size", type=frame_size, metavar="WxH", help="of a frame model's tiles (default: 640x480)")
    p.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="pictures, or pairs in hazy/ and clear/, to take INT8 ranges from (default: made)",
    )
    p.add_argument("--quantizer", default="default", metavar="NAME", help="another than the target's own: inc")
    p.add_argument(
        "--ranges",
        choices=("minmax", "percentile", "entropy"),
        help="how INT8 ranges are taken from the pictures (default: what suits the target), see docs/int8.md",
    )
    p.add_argument(
        "--max-drop",
        type=number_from(0, 100),
        metavar="dB",
        help="the most PSNR to lose to float32: as few layers as possible go back to float for it, and where that "
        "does not suffice nothing is written",
    )
    p.add_argument("--data", type=Path, metavar="DIR", help="pairs to measure the loss on: hazy/ and clear/ in it")
    p.add_argument(
        "--device",
        metavar="NPU",
        help="also compile for this device ahead of time, where its compiler is at hand: NPU for every generation, or "
        "one such as NPU.4000 (target openvino)",
    )
    p.add_argument("--out", type=Path, metavar="PATH", help="the bundle (default: MODEL-TARGET-PRECISION)")
    p.add_argument("--zip", action="store_true", help="one .zip file instead of a folder")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    target = targets.load(args.target)
    _refuse_misfits(args, target)
    from edge.bundle import free_place
    from edge.exporting import assembly, measured, models, pictures

    compiled = target.ahead_of_time(args.device) if args.device is not None else lambda bundle: bundle
    pairs, data = pictures.measured_pairs(args.data)
    with tempfile.TemporaryDirectory() as folder:
        model = models.source_model(args.model, args.size, Path(folder), args.mirrored)
        destination = free_place(args.out or f"{model.card.name}-{args.target}-{args.precision}", args.zip)
        asked = targets.BuildOptions(args.precision, quantizer=args.quantizer, ranges=args.ranges)
        target.refuse(model, asked)
        calibration = pictures.calibration_set(model, args.calibration) if args.precision == "int8" else None
        options = targets.BuildOptions(
            args.precision,
            calibration,
            quantizer=args.quantizer,
            say=command.say,
            ranges=args.ranges,
        )
        bundle = compiled(measured.measured_bundle(model, target, options, args.max_drop, pairs, data, args.data))
    assembly.write_verified(bundle, destination)
    print(_summary(bundle))
    print(destination)
    return 0


def _refuse_misfits(args: argparse.Namespace, target: targets.Target) -> None:
    """
    Raises:
        WrongCall: what cannot be had of this target, or not together.
    """
    if args.precision not in target.precisions:
        raise WrongCall(f"the {args.target} target has no {args.precision}: {', '.join(target.precisions)} are there")
    quantizers = target.quantizers
    if args.quantizer not in ("default", *quantizers):
        others = f"choose {' or '.join(quantizers)}, or " if quantizers else ""
        raise WrongCall(f"the {args.target} target has no quantizer {args.quantizer!r}; {others}leave --quantizer out")
    if args.precision != "int8":
        asked = {"calibration": args.calibration, "quantizer": args.quantizer != "default", "ranges": args.ranges}
        if given := [option for option, value in asked.items() if value]:
            raise WrongCall(f"--{given[0]} is for --precision int8 only; leave it out")
    if args.quantizer == "inc" and args.max_drop is not None:
        raise WrongCall("layers cannot be left in float with --quantizer inc; leave it or --max-drop out")
    if args.quantizer == "inc" and args.ranges is not None:
        raise WrongCall(f"neural-compressor takes ranges in its own way, not by {args.ranges}; leave --ranges out")
    if args.ranges is not None and not target.ranges:
        raise WrongCall(f"the {args.target} target takes ranges in its own way; leave --ranges {args.ranges} out")
    if args.ranges is not None and args.ranges not in target.ranges:
        raise WrongCall(
            f"the {args.target} target does not take ranges by {args.ranges}: choose {' or '.join(target.ranges)}, or "
            "leave --ranges out"
        )


def _summary(bundle: Bundle) -> str:
    accuracy: Any = bundle.manifest.accuracy
    elsewhere = f" (computed in {accuracy['computed_in']} here)" if "computed_in" in accuracy else ""
    size = sum(len(content) for content in bundle.files.values())
    change = -accuracy["psnr_drop_db"]
    return (
        f"{bundle.manifest.name}: {size / 1e6:.2f} MB, {change:+.3f} dB PSNR and {-accuracy['ssim_drop']:+.4f} SSIM "
        f"against float32 on {accuracy['data']}, clear pictures {-accuracy['kept_psnr_drop_db']:+.2f} dB, "
        f"frames agree to {accuracy['agreement_db']:.1f} dB and are at most {accuracy['largest_error']} grey levels "
        f"apart{elsewhere}"
    )


if __name__ == "__main__":
    sys.exit(command.run(main))
