"""Make a narrower edge model out of a trained one: the channels that matter least are left out.

A network with fewer channels is faster, and one that starts from the channels that mattered most in a wider one needs
less training than one that starts from nothing. How much a channel matters is told by what leaving it out would change
in the loss, to first order (Molchanov et al. 2017, eq. 8): the squared sum of weight times gradient over all weights
that read the channel, summed over batches. Channels that are added to each other are kept or left out together.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge import command
from edge.errors import EdgeError

if TYPE_CHECKING:
    import torch

    from training.config import RunConfig
    from training.models.grid import GridNet

EXAMPLES = """\
examples:
  python -m training.narrow --checkpoint wide.safetensors --config narrow.toml --data DATA --out start.safetensors

The configuration is that of the narrower model's training: its [model] says how wide it is, its sources and losses
what matters. Then train it with model.initial = "start.safetensors".
"""
SINGLE = "picture"  # the input's three channels


class Reader(NamedTuple):
    """A layer with weights: what it reads, and what it gives to the others.

    Attributes:
        name: of the module; a convolution, or a convolution with its normalisation.
        reads, gives: names of groups of channels; `SINGLE`, or empty for outputs that are all kept.
        twice: whether it reads the group two times, one after the other (means and maxima).
    """

    name: str
    reads: str
    gives: str
    twice: bool = False


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.narrow",
        description="Make a narrower edge model out of a trained one, to go on training from.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="the trained, wider model")
    made.add_argument("--config", type=Path, required=True, metavar="FILE", help="of the narrower one's training")
    made.add_argument("--data", type=Path, default=Path(), metavar="DIR", help="what its folders are relative to")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="the checkpoint to write")
    made.add_argument("--batches", type=int, default=60, metavar="N", help="to judge channels by (default: 60)")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    command.require("torch", "train")
    from training.checkpoint import read_checkpoint, save_checkpoint
    from training.config import read_config
    from training.models.grid import GridNet

    config = read_config(arguments.config)
    checkpoint = read_checkpoint(arguments.checkpoint)
    model = checkpoint.build()
    if not isinstance(model, GridNet):
        raise EdgeError(f"{arguments.checkpoint} is a {checkpoint.model} model; only edge models are made narrower")
    matters = importance(model, config, arguments.data, arguments.batches)
    configuration = {**checkpoint.configuration, **_widths(config)}
    narrower = narrowed(model, GridNet(**configuration), matters)
    provenance = {"narrowed_from": checkpoint.provenance, "batches": arguments.batches}
    print(save_checkpoint(arguments.out, narrower, "grid", configuration, provenance))
    return 0


def _widths(config: RunConfig) -> dict[str, int]:
    return {key: config.model.configuration[key] for key in ("width", "stem") if key in config.model.configuration}


def readers(model: GridNet) -> Iterator[Reader]:
    """Every layer of an edge model that has weights, with the groups of channels that it joins."""
    yield Reader("down2", SINGLE, "half")
    yield from _separable("at2", "half")
    yield Reader("down4", "half", "quarter")
    for number in range(len(model.at4)):
        yield from _inverted(f"at4.{number}", "quarter", "quarter")
    yield from _inverted("down8", "quarter", "eighth")
    for number in range(len(model.at8)):
        yield from _inverted(f"at8.{number}", "eighth", "eighth")
    for name in ("first", "whole"):
        if getattr(model, name) is not None:
            yield Reader(f"{name}.0", "eighth", f"{name}.inner", twice=True)
            yield Reader(f"{name}.1", f"{name}.inner", "eighth")
    yield Reader("up4", "eighth", "quarter")
    yield from _inverted("fuse4", "quarter", "quarter")
    yield Reader("up2", "quarter", "half")
    yield from _separable("fuse2", "half")
    yield Reader("cell", "half", "")
    yield Reader("airlight", "eighth", "")
    if model.finesse is not None:
        yield Reader("finesse", "eighth", "")


def _separable(name: str, group: str) -> Iterator[Reader]:
    yield Reader(f"{name}.body.0", group, f"{name}.filtered")
    yield Reader(f"{name}.body.1", f"{name}.filtered", group)


def _inverted(name: str, group: str, out: str) -> Iterator[Reader]:
    yield Reader(f"{name}.body.0", group, f"{name}.inner")
    yield Reader(f"{name}.body.1", f"{name}.inner", f"{name}.filtered")
    yield Reader(f"{name}.body.2", f"{name}.filtered", out)


def importance(model: GridNet, config: RunConfig, data: Path, batches: int) -> dict[str, torch.Tensor]:
    """How much each channel of each group matters, one number a channel; only their order counts.

    A depthwise layer hands its channels on one by one: what it reads and what it gives are judged together.
    """
    import torch

    from training import sources
    from training.losses import WeightedLoss

    dataset = sources.build(config.sources, config.training.size, config.seed, data)
    objective = WeightedLoss(config.losses)
    found: dict[str, torch.Tensor] = {}
    layers = list(readers(model))
    for number in command.progress(range(batches), batches, "judging channels"):
        first = number * config.training.batch
        samples = [dataset[index] for index in range(first, first + config.training.batch)]
        hazy, clear, haze = (torch.stack(column) for column in zip(*samples, strict=True))
        model.zero_grad()
        objective(model, hazy, clear, haze).loss.backward()
        batch: dict[str, torch.Tensor] = {}
        for layer in layers:
            weight = _convolution(model, layer.name).weight
            share = _by_input(_convolution(model, layer.name), weight * weight.grad)
            if layer.twice:
                share = share.view(2, -1).sum(0)
            batch[layer.reads] = batch.get(layer.reads, torch.zeros(())) + share
        for group, share in batch.items():
            found[group] = found.get(group, torch.zeros(())) + share**2
    for layer in layers:
        if _depthwise(model, layer.name):
            found[layer.reads] = found[layer.gives] = found[layer.reads] + found[layer.gives]
    return found


def narrowed(model: GridNet, narrower: GridNet, matters: dict[str, torch.Tensor]) -> GridNet:
    """The narrower model with the weights of the channels of `model` that matter most; both have the same layers."""
    import torch

    kept: dict[str, torch.Tensor] = {SINGLE: torch.arange(3)}
    for layer in readers(narrower):
        if layer.gives and layer.gives not in kept:
            count = _convolution(narrower, layer.name).out_channels
            if _depthwise(narrower, layer.name) and layer.gives != layer.reads:
                kept[layer.gives] = kept[layer.reads]
            else:
                kept[layer.gives] = matters[layer.gives].argsort(descending=True)[:count].sort().values
    with torch.no_grad():
        for layer in readers(narrower):
            mine, theirs = _convolution(narrower, layer.name), _convolution(model, layer.name)
            weight, bias = theirs.weight, theirs.bias
            if not _depthwise(narrower, layer.name):
                columns = kept[layer.reads]
                if layer.twice:
                    columns = torch.cat([columns, columns + theirs.in_channels // 2])
                transposed = isinstance(mine, torch.nn.ConvTranspose2d)
                weight = weight[columns] if transposed else weight[:, columns]
            if layer.gives:
                weight = weight[kept[layer.gives]]
                for name, values in model.get_submodule(layer.name)[1].state_dict().items():
                    own = narrower.get_submodule(layer.name)[1].state_dict()[name]
                    own.copy_(values[kept[layer.gives]] if values.ndim else values)
            elif bias is not None:
                mine.bias.copy_(bias)
            mine.weight.copy_(weight)
    return narrower


def _convolution(model: GridNet, name: str) -> torch.nn.Conv2d:
    module = model.get_submodule(name)
    return module[0] if hasattr(module, "fuse") else module  # type: ignore[index,return-value]


def _depthwise(model: GridNet, name: str) -> bool:
    layer = _convolution(model, name)
    return layer.groups > 1


def _by_input(layer: torch.nn.Conv2d, values: torch.Tensor) -> torch.Tensor:
    """Sum over all that a layer does with each channel that it reads."""
    import torch

    if layer.groups > 1 or isinstance(layer, torch.nn.ConvTranspose2d):
        return values.flatten(1).sum(1)
    return values.transpose(0, 1).flatten(1).sum(1)


if __name__ == "__main__":
    sys.exit(command.run(main))
