"""The model that an export starts from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.errors import EdgeError

if TYPE_CHECKING:
    from targets.source import SourceModel

FOLDER = Path(__file__).parents[1] / "models"
SHIPPED = {
    "edge": FOLDER / "edge-m.onnx",
    "edge-s": FOLDER / "edge-s.onnx",
    "edge-m": FOLDER / "edge-m.onnx",
    "edge-l": FOLDER / "edge-l.onnx",
    "full": FOLDER / "full.onnx",
}
"""The models that come with the project, by the names that `--model` takes."""


def source_model(name: str, size: tuple[int, int] | None, folder: Path, mirrored: bool | None = None) -> SourceModel:
    """The model to start from; a checkpoint goes to ONNX first, which needs torch.

    Args:
        name: a key of `SHIPPED`, or a path.
        size: of a frame model made from a checkpoint; None for its own.
        folder: where to put an ONNX file that is made.
        mirrored: whether a grid model looks at the mirror image too; None for what the model says.

    Raises:
        EdgeError: there is no such model, it is none of this project, or it has neither that size nor that look.
        MissingPackage: a checkpoint was named, and torch is not installed.
    """
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
