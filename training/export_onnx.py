"""A checkpoint to a float ONNX file, which every target starts from and which needs no torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge import command
from edge.arguments import frame_size
from edge.files import write_whole

SMALLEST_SIDE = 16  # of a frame model's input, in pixels
EXAMPLES = """\
examples:
  python -m training.export_onnx --checkpoint runs/edge-m/best.safetensors --out edge-m.onnx
  python -m training.export_onnx --checkpoint draco.safetensors --out draco.onnx --size 640x480
"""
FRAME_SIZE = (640, 480)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.export_onnx",
        description="Turn a checkpoint into a float32 ONNX file with one fixed input size. A grid model's file gives "
        "raw coefficients, a full model's a clear picture; the file says in its metadata what it is.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="a .safetensors checkpoint")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .onnx file to write")
    made.add_argument("--size", type=_size, metavar="WxH", help="input of a full model in pixels (default: 640x480)")
    made.add_argument("--name", help="how the model calls itself (default: the name of the run that trained it)")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    for module in ("torch", "onnx", "onnxscript"):
        command.require(module, "train")
    print(export_onnx(arguments.checkpoint, arguments.out, arguments.size, arguments.name))
    return 0


def export_onnx(
    checkpoint: str | Path, out: str | Path, size: tuple[int, int] | None = None, name: str | None = None
) -> Path:
    """Write a checkpoint's model as float32 ONNX with the metadata that `targets.source.SourceModel` reads.

    Args:
        size: width and height of a frame model's input; None for 640x480. A grid model has its own.
        name: None for that of the run that trained it, else of the checkpoint file.

    Raises:
        CheckpointError: the checkpoint cannot be read, or the file cannot be written.
        EdgeError: a grid model was given another size than its own.
    """
    import onnx
    import torch

    from edge import coefficients
    from edge.errors import EdgeError
    from targets.source import METADATA_KEY, ModelCard
    from training.checkpoint import CheckpointError, parameter_count, read_checkpoint
    from training.cost import multiply_accumulates
    from training.models import GridModel
    from training.tracing import Predict, traced

    held = read_checkpoint(checkpoint)
    if Path(out).resolve() == Path(checkpoint).resolve():
        raise EdgeError(f"{out} is the checkpoint itself; give the ONNX file another name")
    model = held.build()
    parameters = parameter_count(model)
    if isinstance(model, GridModel):
        own = (model.size[1], model.size[0])
        if size not in (None, own):
            raise EdgeError(f"{checkpoint} is a grid model: its input is always {own[0]}x{own[1]}, leave the size out")
        size = own
        model.fuse()
        network: torch.nn.Module = Predict(model)
    else:
        network = model
    is_grid = network is not model
    width, height = size or FRAME_SIZE
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    card = ModelCard(
        name=name or held.provenance.get("run", {}).get("name") or held.provenance.get("name") or Path(checkpoint).stem,
        kind="grid" if is_grid else "frame",
        width=width,
        height=height,
        parameters=parameters,
        macs=multiply_accumulates(network, picture),
        checkpoint_sha256=held.sha256,
        coefficients=coefficients.FORM if is_grid else "",
        mirrored=isinstance(model, GridModel) and model.mirrored,
    )
    proto = traced(network, picture, ["cell", "airlight"] if is_grid else ["clear"])
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    onnx.checker.check_model(proto)
    write_whole(out, proto.SerializeToString(deterministic=True), CheckpointError)
    return Path(out)


def _size(text: str) -> tuple[int, int]:
    size = frame_size(text)
    if min(size) < SMALLEST_SIDE:
        raise argparse.ArgumentTypeError(f"{text} is too small; {SMALLEST_SIDE}x{SMALLEST_SIDE} is the least")
    return size


if __name__ == "__main__":
    sys.exit(command.run(main))
