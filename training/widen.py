"""Lay edge models side by side in one wider edge model, whose answer is the mean of theirs.

What networks that were trained apart from each other got wrong by chance partly cancels out in their mean (see
`training.models.committee`), and two narrow ones side by side take no more time than one of twice their width. The
weights that lead from one's channels to another's are zero at first; training goes on from there and may use them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import command
from edge.errors import EdgeError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from training.models.grid import GridNet

EXAMPLES = """\
examples:
  python -m training.widen runs/a/last.safetensors runs/b/last.safetensors --out runs/wide.safetensors

The files hold edge models of one form, of which some may tell finesse and others not. Train the wider one with
model.initial = "runs/wide.safetensors" and as many times the width and stem, or make it narrower again first
(training.narrow): of the channels of all, those that matter most.
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.widen",
        description="Lay edge models side by side in one wider edge model whose answer is the mean of theirs, to go on "
        "training from.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("checkpoints", nargs="+", type=Path, metavar="FILE", help="two or more .safetensors checkpoints")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="the checkpoint to write")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    command.require("torch", "train")
    from training.checkpoint import read_checkpoint, save_checkpoint
    from training.models.grid import GridNet

    paths = arguments.checkpoints
    if len(paths) < 2:
        raise EdgeError("a wider model is made of two checkpoints or more; name another")
    held = [read_checkpoint(path) for path in paths]
    first, models = held[0], [one.build() for one in held]
    grids = [model for model in models if isinstance(model, GridNet)]
    for path, one in zip(paths, held, strict=True):
        if one.model != "grid":
            raise EdgeError(f"{path} is a {one.model} model; only edge models are laid side by side")
        if _form(one.configuration) != _form(first.configuration):
            raise EdgeError(
                f"{path} is configured as {dict(one.configuration)} and {paths[0]} as {dict(first.configuration)}; "
                "models that are laid side by side have the same layers"
            )
    wide, configuration = widened(grids, first.configuration)
    provenance = {"side_by_side": [dict(one.provenance) for one in held]}
    print(save_checkpoint(arguments.out, wide, "grid", configuration, provenance))
    return 0


def widened(models: Sequence[GridNet], configuration: Mapping[str, Any]) -> tuple[GridNet, dict[str, Any]]:
    """One model with the channels of all, in eval mode, and its configuration.

    Its cells and airlight are the means of theirs; its finesse is that of those who tell it.

    Args:
        models: in eval mode, of one form: they may differ in finesse.
        configuration: of one of them.
    """
    import torch

    from training.channels import SINGLE, convolution, depthwise, readers
    from training.models.grid import GridNet

    count = len(models)
    sample = models[0]
    width, stem = sample.down4[0].out_channels, sample.down2[0].out_channels
    telling = [model.finesse is not None for model in models]
    wider = {**configuration, "width": count * width, "stem": count * stem, "finesse": any(telling)}
    wide = GridNet(**wider)
    with torch.no_grad():
        for layer in readers(wide):
            mine = _by_output(convolution(wide, layer.name))
            if not layer.gives:
                _tell_the_mean(wide, models, layer.name)
                continue
            weights = [_by_output(convolution(model, layer.name)) for model in models]
            if layer.reads == SINGLE or depthwise(wide, layer.name):
                mine.copy_(torch.cat(weights))
            elif layer.twice:
                halves = zip(*(weight.chunk(2, 1) for weight in weights), strict=True)
                mine.copy_(torch.cat([_blocks(half) for half in halves], 1))
            else:
                mine.copy_(_blocks(weights))
            states = [model.get_submodule(layer.name)[1].state_dict() for model in models]  # type: ignore[index]
            for name, values in wide.get_submodule(layer.name)[1].state_dict().items():  # type: ignore[index]
                values.copy_(torch.cat([state[name] for state in states]) if values.ndim else states[0][name])
    return wide.eval(), wider


def _form(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What models that are laid side by side have in common."""
    return {key: value for key, value in configuration.items() if key not in ("finesse", "mirrored")}


def _tell_the_mean(wide: GridNet, models: Sequence[GridNet], name: str) -> None:
    """A last layer that says the mean of what those models say that have it."""
    from training.channels import convolution

    mine = convolution(wide, name)
    weight, bias = _by_output(mine).zero_(), mine.get_parameter("bias").zero_()
    each = weight.shape[1] // len(models)
    telling = [number for number, model in enumerate(models) if getattr(model, name) is not None]
    for number in telling:
        theirs = convolution(models[number], name)
        weight[:, number * each : (number + 1) * each] = _by_output(theirs) / len(telling)
        bias += theirs.get_parameter("bias") / len(telling)


def _by_output(layer: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """A convolution's weights with the outputs first, then the inputs; those of the layer itself, no copy."""
    return layer.weight.transpose(0, 1) if layer.transposed else layer.weight


def _blocks(weights: Sequence[Tensor]) -> Tensor:
    """Weights (outputs, inputs, h, w) of layers side by side: zero from one's inputs to another's outputs."""
    outputs, inputs = (sum(weight.shape[i] for weight in weights) for i in range(2))
    joined = weights[0].new_zeros(outputs, inputs, *weights[0].shape[2:])
    row = column = 0
    for weight in weights:
        joined[row : row + weight.shape[0], column : column + weight.shape[1]] = weight
        row, column = row + weight.shape[0], column + weight.shape[1]
    return joined


if __name__ == "__main__":
    sys.exit(command.run(main))
