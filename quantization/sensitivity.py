"""What quantizing each layer alone costs: `python -m quantization.sensitivity --model edge`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import targets
from edge import command
from edge.arguments import frame_size, whole_from
from edge.errors import WrongCall
from edge.exporting.models import SHIPPED
from edge.files import write_whole

if TYPE_CHECKING:
    from quantization.control import LayerLoss

EXAMPLES = """examples:
  python -m quantization.sensitivity                                   the edge model, quantized as ONNX Runtime does
  python -m quantization.sensitivity --target openvino --pictures 32   by NNCF itself, anew for each layer: minutes
  python -m quantization.sensitivity --model runs/mine/best.safetensors --data val/ --calibration photos/

Each layer in turn is the only one in INT8. The folder holds sensitivity.json (all figures) and sensitivity.svg (the
plot, where the report's packages are installed). "agreement" is the PSNR between the frames with this layer in INT8
and the float model's: the lower, the more the layer is felt; 138 dB where nothing changes. Layers that the target keeps
in float anyway are left out. edge.export --max-drop uses the same ranking.
"""
SHOWN = 10


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m quantization.sensitivity",
        description="Rank a model's layers by what quantizing each of them alone loses.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--model",
        default="edge",
        metavar="|".join((*SHIPPED, "PATH")),
        help="a shipped model, or an .onnx or .safetensors of yours",
    )
    p.add_argument(
        "--target", default="onnx", choices=targets.names(), help="whose quantizer and runtime to use (default: onnx)"
    )
    p.add_argument("--size", type=frame_size, metavar="WxH", help="of a frame model's tiles (default: 640x480)")
    p.add_argument("--calibration", type=Path, metavar="DIR", help="pictures to take ranges from (default: made)")
    p.add_argument("--pictures", type=whole_from(1), default=100, metavar="N", help="how many of them (default: 100)")
    p.add_argument("--data", type=Path, metavar="DIR", help="pairs to measure on (default: 24 made pairs)")
    p.add_argument("--out", type=Path, metavar="DIR", help="(default: sensitivity-MODEL-TARGET)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    target = targets.load(args.target)
    if not target.mixes_precisions:
        raise WrongCall(f"the {args.target} target is INT8 throughout; take the ranking of --target onnx for it")
    from edge.exporting.assembly import assembled
    from edge.exporting.models import source_model
    from edge.exporting.pictures import calibration_set, measured_pairs
    from quantization.control import Loss, ranked

    with tempfile.TemporaryDirectory() as folder:
        model = source_model(args.model, args.size, Path(folder))
        pictures = calibration_set(model, args.calibration, args.pictures)
        pairs, data = measured_pairs(args.data, few=True)
        plain = assembled(model, targets.load("onnx"), targets.BuildOptions("fp32"))
        loss = Loss(plain, "CPU", pairs)
        losses = ranked(model, target, targets.BuildOptions("int8", pictures), loss, assembled, target.export_device)
    out = args.out or Path(f"sensitivity-{model.card.name}-{args.target}")
    _write(out, losses, {"model": model.card.name, "target": args.target, "data": data, "calibration": pictures.source})
    print(table(losses[:SHOWN]))
    if len(losses) > SHOWN:
        print(f"... and {len(losses) - SHOWN} more in {out / 'sensitivity.json'}")
    print(out)
    return 0


def table(losses: Sequence[LayerLoss]) -> str:
    """The ranking as lines of text, the layer that hurts most first."""
    width = max(len("layer"), *(len(loss.layer) for loss in losses))
    head = f"{'layer':{width}}  agreement  loss on haze  on clear pictures  multiply-accumulates"
    rows = (
        f"{loss.layer:{width}}  {loss.agreement_db:6.1f} dB  {loss.drop_db:+9.3f} dB  {loss.kept_drop_db:+14.3f} dB  "
        f"{loss.macs / 1e6:18.2f} M"
        for loss in losses
    )
    return "\n".join([head, *rows])


def plot(losses: Sequence[LayerLoss], title: str) -> str | None:
    """The ranking as an SVG picture: a bar for each layer; None where altair is not installed."""
    try:
        import altair
        import vl_convert
    except ImportError:
        return None
    rows = [{"layer": loss.layer, "agreement": loss.agreement_db, "operator": loss.operator} for loss in losses]
    chart = (
        altair.Chart(altair.Data(values=rows), title=title)
        .mark_bar()
        .encode(
            y=altair.Y("layer:N", sort=None, title=None, axis=altair.Axis(labelLimit=240)),
            x=altair.X("agreement:Q", title="PSNR to the float model with this layer alone in INT8 (dB)"),
            color=altair.Color("operator:N", title=None),
        )
    )
    return str(vl_convert.vegalite_to_svg(chart.to_json()))


def _write(out: Path, losses: Sequence[LayerLoss], about: dict[str, Any]) -> None:
    """Both files, each whole or not at all."""
    contents = {"sensitivity.json": json.dumps({**about, "layers": [asdict(loss) for loss in losses]}, indent=2) + "\n"}
    picture = plot(losses, f"{about['model']}: one layer in INT8, measured on {about['data']}")
    if picture is None:
        command.say("no plot: pip install 'draco-edge[report]' brings altair and vl-convert-python")
    else:
        contents["sensitivity.svg"] = picture
    for name, content in contents.items():
        write_whole(out / name, content.encode())


if __name__ == "__main__":
    sys.exit(command.run(main))
