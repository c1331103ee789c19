"""`python -m edge.export`: from a model to a bundle that a board runs."""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import targets
from edge import command
from edge.errors import EdgeError

if TYPE_CHECKING:
    import numpy as np

    from edge.bundle import Bundle
    from edge.fidelity import Fidelity
    from quantization.calibration import CalibrationSet
    from targets.source import SourceModel

MODELS = Path(__file__).parent / "models"
SHIPPED = {
    "edge": MODELS / "edge-m.onnx",
    "edge-s": MODELS / "edge-s.onnx",
    "edge-m": MODELS / "edge-m.onnx",
    "edge-l": MODELS / "edge-m.onnx",
    "full": MODELS / "full.onnx",
}
MIRRORED = ("edge-l",)  # edge-m's weights, with a second look at every frame
FRAME_SIZE = (640, 480)
HELD_OUT_PAIRS = 24
HELD_OUT_SEED = 1  # calibration draws with seed 0
SPOILT_DB = 1.0  # a loss on clear pictures that is worth a word

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
        help="a shipped model (edge is edge-m, and edge-l is edge-m --mirrored), or an .onnx or .safetensors of yours",
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
        type=_decibels,
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
    from edge.bundle import free_place

    args = parser().parse_args(argv)
    target = targets.load(args.target)
    _refuse_misfits(args, target)
    compiled = target.ahead_of_time(args.device) if args.device is not None else lambda bundle: bundle
    pairs, data = measured_pairs(args.data)
    with tempfile.TemporaryDirectory() as folder:
        model = source_model(args.model, args.size, Path(folder), args.mirrored)
        destination = free_place(args.out or f"{model.card.name}-{args.target}-{args.precision}", args.zip)
        asked = targets.BuildOptions(args.precision, quantizer=args.quantizer, ranges=args.ranges)
        target.refuse(model, asked)
        calibration = _calibration(model, args.calibration) if args.precision == "int8" else None
        options = targets.BuildOptions(
            args.precision,
            calibration,
            quantizer=args.quantizer,
            say=command.say,
            ranges=args.ranges,
        )
        bundle = compiled(_export(model, target, options, args.max_drop, pairs, data, args.data))
    _write(bundle, destination)
    print(_summary(bundle))
    print(destination)
    return 0


def _refuse_misfits(args: argparse.Namespace, target: targets.Target) -> None:
    """What cannot be had, or not together, is told before any work."""
    if args.precision not in target.precisions:
        raise EdgeError(f"the {args.target} target has no {args.precision}: {', '.join(target.precisions)} are there")
    quantizers = target.quantizers
    if args.quantizer not in ("default", *quantizers):
        others = f"choose {' or '.join(quantizers)}, or " if quantizers else ""
        raise EdgeError(f"the {args.target} target has no quantizer {args.quantizer!r}; {others}leave --quantizer out")
    if args.precision != "int8":
        asked = {"calibration": args.calibration, "quantizer": args.quantizer != "default", "ranges": args.ranges}
        if given := [option for option, value in asked.items() if value]:
            raise EdgeError(f"--{given[0]} is for --precision int8 only; leave it out")
    if args.quantizer == "inc" and args.max_drop is not None:
        raise EdgeError("layers cannot be left in float with --quantizer inc; leave it or --max-drop out")
    if args.quantizer == "inc" and args.ranges is not None:
        raise EdgeError(f"neural-compressor takes ranges in its own way, not by {args.ranges}; leave --ranges out")
    if args.ranges is not None and not target.ranges:
        raise EdgeError(f"the {args.target} target takes ranges in its own way; leave --ranges {args.ranges} out")
    if args.ranges is not None and args.ranges not in target.ranges:
        raise EdgeError(
            f"the {args.target} target does not take ranges by {args.ranges}: choose {' or '.join(target.ranges)}, or "
            "leave --ranges out"
        )


def source_model(name: str, size: tuple[int, int] | None, folder: Path, mirrored: bool | None = None) -> SourceModel:
    """The model to start from; a checkpoint goes to ONNX first, which needs torch.

    Args:
        name: a key of `SHIPPED`, or a path.
        size: of a frame model made from a checkpoint; None for its own.
        folder: where to put an ONNX file that is made.
        mirrored: whether a grid model looks at the mirror image too; None for what the model says.
    """
    from dataclasses import replace

    from targets.source import SourceModel

    path = SHIPPED.get(name, Path(name))
    if not path.exists():
        known = ", ".join(n for n, p in SHIPPED.items() if p.exists())
        raise EdgeError(f"there is no model {name}: give one of {known}, or the path of an .onnx or .safetensors file")
    if path.suffix == ".safetensors":
        command.require("torch", "train")
        from training.export_onnx import export_onnx

        command.say(f"{path.name} to ONNX")
        export_onnx(path, folder / "model.onnx", size=size)
        model = SourceModel.read(folder / "model.onnx", checkpoint=path)
    else:
        model = _with_checkpoint(SourceModel.read(path))
    card = model.card
    if size and size != (card.width, card.height):
        raise EdgeError(
            f"{card.name} sees every frame at {card.width}x{card.height}, whatever the camera's size; leave --size out"
        )
    if mirrored and card.kind != "grid":
        raise EdgeError(f"{card.name} is a {card.kind} model, which looks at each frame once; leave --mirrored out")
    if name in MIRRORED:
        card = replace(card, name=name, mirrored=True)
    if mirrored is not None and mirrored != card.mirrored:
        card = replace(card, name=f"{card.name}-{'mirrored' if mirrored else 'once'}", mirrored=mirrored)
    looks = ", twice" if card.mirrored else ""
    command.say(
        f"{card.name}: {card.kind} model, input {card.width}x{card.height}, {card.parameters:,} parameters, "
        f"{card.macs / 1e6:,.0f} million multiply-accumulates{looks}"
    )
    return replace(model, card=card)


def _with_checkpoint(model: SourceModel) -> SourceModel:
    """The model with the checkpoint that lies beside it, where that is the very one that it was made from."""
    from dataclasses import replace

    beside = model.onnx.with_suffix(".safetensors")
    if not beside.is_file():
        return model
    try:
        digest = hashlib.sha256(beside.read_bytes()).hexdigest()
    except OSError as error:
        raise EdgeError(f"cannot read {beside}: {error.strerror or error}") from error
    if digest != model.card.checkpoint_sha256:
        command.say(f"{beside.name} is not the checkpoint that {model.onnx.name} was made from: going on without it")
        return model
    return replace(model, checkpoint=beside)


def _export(
    model: SourceModel,
    target: targets.Target,
    options: targets.BuildOptions,
    max_drop_db: float | None,
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    data: str,
    folder: Path | None,
) -> Bundle:
    """Build, run and measure: everything but writing."""
    from contextlib import closing
    from dataclasses import replace

    from edge.bundle import Bundle
    from edge.dehazer import Dehazer
    from edge.fidelity import compare, golden_frames
    from edge.soundness import refuse_broken

    plain = assembled(model, targets.load("onnx"), targets.BuildOptions("fp32"))
    if options.precision == "int8" and max_drop_db is not None:
        draft = _controlled(model, target, options, max_drop_db, plain, folder)
    else:
        draft = assembled(model, target, options)
    with (
        closing(targets.load("onnx").open(plain, "CPU", None)) as float_network,
        closing(target.open(draft, target.export_device, None)) as network,
    ):
        refuse_broken(float_network, network, draft.manifest)
    command.say(f"running it against the float32 model on {data}")
    with Dehazer(plain, "CPU") as reference, Dehazer(draft, target.export_device) as artefact:
        fidelity = compare(reference, artefact, pairs, data)
        computed_in = artefact.precision
        goldens, files, golden_accuracy = golden_frames(artefact, options.precision, reference)
    if max_drop_db is not None and fidelity.psnr_drop_db > max_drop_db:
        raise EdgeError(
            f"{options.precision} loses {fidelity.psnr_drop_db:.3f} dB to float32 on {data}, more than --max-drop "
            f"{max_drop_db}: nothing written; calibrate on pictures like yours (--calibration DIR) or take fp16"
        )
    _look_at_clear_pictures(fidelity, options.precision, max_drop_db)
    notes = {**draft.manifest.notes, **_int8_facts(model, target, draft)}
    accuracy: Any = {**fidelity.to_json(), **golden_accuracy}
    if target.built_on_board and computed_in != options.precision:
        accuracy["computed_in"] = computed_in
    manifest = replace(draft.manifest, golden=goldens, accuracy=accuracy, notes=notes)
    return Bundle.assemble(manifest, {**draft.files, **files})


def _look_at_clear_pictures(fidelity: Fidelity, precision: str, max_drop_db: float | None) -> None:
    """Clear pictures are spoilt first where ranges are wrong: say so, or refuse it where a loss was bounded."""
    from quantization.control import KEPT_ALLOWANCE_DB

    lost = fidelity.kept_psnr_drop_db
    advice = "calibrate on more pictures (--calibration DIR), clear ones among them"
    if max_drop_db is not None and lost > max_drop_db + KEPT_ALLOWANCE_DB:
        raise EdgeError(
            f"{precision} keeps clear pictures {lost:.2f} dB worse than float32, more than --max-drop "
            f"{max_drop_db} and {KEPT_ALLOWANCE_DB} dB beside it: nothing written; {advice} or take fp16"
        )
    if lost > SPOILT_DB:
        command.say(f"clear pictures are kept {lost:.2f} dB worse than in float32: {advice}")


def _int8_facts(model: SourceModel, target: targets.Target, draft: Bundle) -> dict[str, Any]:
    """Which kernels really run in INT8, and whether it is faster: what can be told of an INT8 artefact only here."""
    if draft.manifest.precision != "int8":
        return {}
    facts: dict[str, Any] = {}
    if kernels := target.kernels(draft, target.export_device):
        facts["kernels"] = kernels
    if not target.built_on_board:
        from edge.pace import paired

        command.say("timing it against float32")
        plain = assembled(model, target, targets.BuildOptions("fp32"))
        pace = paired(target, plain, draft, target.export_device)
        command.say(pace.sentence())
        facts["pace"] = pace.to_json()
    return facts


def _controlled(
    model: SourceModel,
    target: targets.Target,
    options: targets.BuildOptions,
    max_drop_db: float,
    plain: Bundle,
    folder: Path | None,
) -> Bundle:
    """The artefact with the fewest layers in float that `--max-drop` allows; says which, and what each costs."""
    from dataclasses import replace

    from edge.bundle import Bundle
    from quantization.control import Loss, controlled, ranked

    loss = Loss(plain, "CPU", measured_pairs(folder, few=True)[0])

    def rank() -> list[Any]:
        own = target if target.keeps_ranges else targets.load("onnx")
        return ranked(model, own, replace(options, quantizer="default"), loss, assembled, own.export_device)

    found = controlled(model, target, options, max_drop_db, loss, assembled, rank, target.export_device)
    for layer in found.float_layers:
        command.say(
            f"{layer.layer} stays float: in INT8 it alone changes frames to {layer.agreement_db:.1f} dB of the float "
            f"model's and costs {layer.drop_db:+.3f} dB on haze, {layer.kept_drop_db:+.2f} dB on clear pictures"
        )
    notes = {**found.bundle.manifest.notes, "accuracy_control": {"max_drop_db": max_drop_db, **found.to_json()}}
    return Bundle.assemble(replace(found.bundle.manifest, notes=notes), found.bundle.files)


def assembled(model: SourceModel, target: targets.Target, options: targets.BuildOptions) -> Bundle:
    """Build the artefact and put it into a bundle in memory, not yet measured and without golden frames."""
    from edge.bundle import Bundle, Manifest

    artefact = target.build(model, options)
    card, calibration = model.card, options.calibration
    manifest = Manifest(
        name=f"{card.name}-{target.name}-{options.precision}",
        kind=card.kind,
        model={
            "name": card.name,
            "parameters": card.parameters,
            "macs": card.macs * (2 if card.mirrored else 1),
            "checkpoint_sha256": card.checkpoint_sha256,
            "coefficients": card.coefficients,
            "mirrored": card.mirrored,
        },
        target=target.name,
        precision=options.precision,
        input={
            "width": card.width,
            "height": card.height,
            "colour": "RGB",
            "layout": "NHWC",
            "dtype": "uint8",
            "range": [0, 255],
        },
        outputs=tuple(model.outputs()),
        tools={"draco-edge": version("draco-edge"), "numpy": version("numpy"), **artefact.tools},
        calibration=calibration
        and {"source": calibration.source, "pictures": len(calibration), "sha256": calibration.digest()},
        notes=artefact.notes,
    )
    return Bundle.assemble(manifest, artefact.files)


def _calibration(model: SourceModel, folder: Path | None) -> CalibrationSet:
    from quantization.calibration import folder_set, made_set

    card = model.card
    if folder is None:
        return made_set(card.width, card.height, card.kind)
    return folder_set(folder, card.width, card.height, card.kind)


def measured_pairs(folder: Path | None, few: bool = False) -> tuple[Iterator[tuple[np.ndarray, np.ndarray]], str]:
    """Pairs to measure an artefact on, and what they are in words; `few`: 24 at most, evenly spread."""
    if folder is None:
        from quantization.calibration import hazy_pairs

        return hazy_pairs(HELD_OUT_PAIRS, HELD_OUT_SEED), f"{HELD_OUT_PAIRS} made pairs"
    from edge.measure.accuracy import read_pair
    from edge.measure.pairs import find_pairs

    found = find_pairs(folder)
    if few and len(found) > HELD_OUT_PAIRS:
        found = [found[i * len(found) // HELD_OUT_PAIRS] for i in range(HELD_OUT_PAIRS)]
    shown = command.progress(found, len(found), "pair")
    return map(read_pair, shown), f"{len(found)} pairs of {folder.resolve().name}"


def _write(bundle: Bundle, destination: Path) -> None:
    """Write the bundle, and look at it as a board will."""
    from edge.bundle import Bundle, write_bundle
    from edge.dehazer import Dehazer

    write_bundle(destination, bundle.manifest, bundle.files)
    with Dehazer(Bundle.read(destination), targets.load(bundle.manifest.target).export_device) as dehazer:
        dehazer.verify()


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


def frame_size(text: str) -> tuple[int, int]:
    """Width and height from a text such as 640x480."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match or not all(1 <= int(n) <= 16384 for n in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 640x480")
    return int(match[1]), int(match[2])


def _decibels(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a loss in decibels such as 0.1")
    return value


if __name__ == "__main__":
    sys.exit(command.run(main))
