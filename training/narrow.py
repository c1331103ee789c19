"""Make a narrower edge model out of a trained one: the channels that matter least are left out.

A network with fewer channels is faster, and one that starts from the channels that mattered most in a wider one needs
less training than one that starts from nothing. How much a channel matters is told by what leaving it out would change
in the loss, to first order (Molchanov et al. 2017, eq. 8): the squared sum of weight times gradient over all weights
that read the channel, summed over batches. Channels that are added to each other are kept or left out together.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import command
from edge.arguments import whole_from
from edge.errors import EdgeError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from training.config import RunConfig

NARROWED = ("grid", "experts")
EXAMPLES = """\
examples:
  python -m training.narrow --checkpoint wide.safetensors --config narrow.toml --data DATA --out start.safetensors

The configuration is that of the narrower model's training: its [model] says how wide it is, its sources and losses
what matters; photographs without a clear picture cannot say that and are left out. Then train it with
model.initial = "start.safetensors".
"""


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
    made.add_argument(
        "--batches", type=whole_from(1), default=60, metavar="N", help="to judge channels by (default: 60)"
    )
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    command.require("torch", "train")
    from training import models
    from training.checkpoint import read_checkpoint, save_checkpoint
    from training.config import read_config
    from training.inputs import keep_inputs

    keep_inputs(arguments.out, [arguments.checkpoint, arguments.config])
    config = read_config(arguments.config)
    checkpoint = read_checkpoint(arguments.checkpoint)
    model = checkpoint.build()
    if checkpoint.model not in NARROWED or any("members" in network for network in _networks(checkpoint.configuration)):
        raise EdgeError(f"{arguments.checkpoint} is a {checkpoint.model} model; only edge models are made narrower")
    configuration = narrower_configuration(config, checkpoint.model, checkpoint.configuration)
    matters = importance(model, config, arguments.data, arguments.batches)
    narrower = narrowed(model, models.build(checkpoint.model, configuration), matters)
    provenance = {"narrowed_from": checkpoint.provenance, "batches": arguments.batches}
    print(save_checkpoint(arguments.out, narrower, checkpoint.model, configuration, provenance))
    return 0


def narrower_configuration(config: RunConfig, model: str, wide: Mapping[str, Any]) -> dict[str, Any]:
    """The wider model's, with the widths and the stems that the narrower one's training names.

    Args:
        model, wide: the wider model's name and settings.

    Raises:
        EdgeError: that trains another kind of model, a wider one, or one with other layers; these it may have where
            its `model.initial_lacks` says that they start fresh.
    """
    from training import models

    if config.model.name != model:
        raise EdgeError(f"--config trains a {config.model.name!r}; give that of a narrower edge model ({model!r})")
    asked = config.model.configuration
    models.build(model, asked)
    if model == "grid":
        return _narrower(asked, wide, config.model.initial_lacks, "")
    networks = {n: _narrower(asked[n], wide[n], config.model.initial_lacks, f"{n}.") for n in ("laid", "real")}
    return {**wide, **networks}


def _narrower(narrow: Mapping[str, Any], wide: Mapping[str, Any], lacks: Sequence[str], where: str) -> dict[str, Any]:
    asked, has = _settings(narrow), _settings(wide)
    for key in ("width", "stem"):
        if asked[key] > has[key]:
            raise EdgeError(
                f"--config asks for a {where}{key} of {asked[key]} and the checkpoint has {has[key]}: a narrower model "
                "has at most as many channels"
            )
    differing = [key for key in ("deep", "looks", "finesse") if asked[key] != has[key]]
    if differing and not lacks:
        (key, *_) = differing
        raise EdgeError(
            f"--config asks for {where}{key} = {asked[key]} and the checkpoint has {has[key]}: a narrower model has "
            "the same layers; where the others are to start fresh, name them in model.initial_lacks"
        )
    return {**wide, "width": asked["width"], "stem": asked["stem"]}


def _networks(configuration: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Settings of each network of a model."""
    return [configuration[name] for name in ("laid", "real")] if "laid" in configuration else [configuration]


def _settings(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of an edge model, those too that a configuration leaves at their defaults."""
    from training.models.grid import GridNet

    known = inspect.signature(GridNet).parameters
    return {key: configuration.get(key, known[key].default) for key in known}


def importance(model: nn.Module, config: RunConfig, data: Path, batches: int) -> dict[str, torch.Tensor]:
    """How much each channel of each group matters, one number a channel; only their order counts.

    A depthwise layer hands its channels on one by one: what it reads and what it gives are judged together.
    """
    import torch

    from training import sources
    from training.channels import convolution, depthwise, readers
    from training.losses import WeightedLoss

    dataset = sources.build(_labelled(config.sources), config.training.size, config.seed, data)
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
            weight = convolution(model, layer.name).weight
            share = _by_input(convolution(model, layer.name), weight * weight.grad)
            if layer.twice:
                share = share.view(2, -1).sum(0)
            batch[layer.reads] = batch.get(layer.reads, torch.zeros(())) + share
        for group, share in batch.items():
            found[group] = found.get(group, torch.zeros(())) + share**2
    for layer in layers:
        if depthwise(model, layer.name):
            found[layer.reads] = found[layer.gives] = found[layer.reads] + found[layer.gives]
    return found


def _labelled(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The sources whose pictures have a clear one, which a loss can be taken of; the others are named."""
    labelled = {}
    for name, table in tables.items():
        if table.get("kind") == "unlabelled" and table.get("weight", 1):
            command.say(f"left out: sources.{name} has no clear pictures, by which channels are judged")
        else:
            labelled[name] = table
    return labelled


def narrowed(model: nn.Module, narrower: nn.Module, matters: dict[str, torch.Tensor]) -> nn.Module:
    """The narrower model with the weights of the channels of `model` that matter most; both have the same layers."""
    import torch

    from training.channels import SINGLE, convolution, depthwise, readers

    kept: dict[str, torch.Tensor] = {SINGLE: torch.arange(3)}
    for layer in readers(narrower):
        if layer.gives and layer.gives not in kept:
            count = convolution(narrower, layer.name).out_channels
            if depthwise(narrower, layer.name) and layer.gives != layer.reads:
                kept[layer.gives] = kept[layer.reads]
            else:
                kept[layer.gives] = matters[layer.gives].argsort(descending=True)[:count].sort().values
    with torch.no_grad():
        for layer in readers(narrower):
            mine, theirs = convolution(narrower, layer.name), convolution(model, layer.name)
            weight, bias = theirs.weight, theirs.bias
            if not depthwise(narrower, layer.name):
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


def _by_input(layer: torch.nn.Conv2d, values: torch.Tensor) -> torch.Tensor:
    """Sum over all that a layer does with each channel that it reads."""
    import torch

    if layer.groups > 1 or isinstance(layer, torch.nn.ConvTranspose2d):
        return values.flatten(1).sum(1)
    return values.transpose(0, 1).flatten(1).sum(1)


if __name__ == "__main__":
    sys.exit(command.run(main))
