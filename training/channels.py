"""Which layers of an edge model read which channels and which give them: for making it narrower or wider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from training.models.experts import Experts
from training.models.grid import ConvNorm, GridNet

SINGLE = "picture"  # the input's three channels


class Reader(NamedTuple):
    """A layer with weights: what it reads, and what it gives to the others.

    Attributes:
        name: of the module; a convolution, or a convolution with its normalisation.
        reads, gives: names of groups of channels, which are added to each other; `SINGLE`, or empty for an output.
        twice: whether it reads the group two times, one after the other (means and maxima).
    """

    name: str
    reads: str
    gives: str
    twice: bool = False


def readers(model: nn.Module) -> Iterator[Reader]:
    """Every layer of an edge model that has weights, with the groups of channels that it joins.

    Args:
        model: a `GridNet`, or `Experts` of two; a network's groups are named after it then.
    """
    if isinstance(model, Experts):
        for network in ("laid", "real"):
            for layer in _of_network(getattr(model, network)):
                reads, gives = (f"{network}.{group}" if group else "" for group in (layer.reads, layer.gives))
                reads = SINGLE if layer.reads == SINGLE else reads
                yield layer._replace(name=f"{network}.{layer.name}", reads=reads, gives=gives)
        yield Reader("tell.0", "laid.eighth", "telling")
        yield Reader("tell.1", "telling", "")
    else:
        assert isinstance(model, GridNet)
        yield from _of_network(model)


def _of_network(model: GridNet) -> Iterator[Reader]:
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


def convolution(model: nn.Module, name: str) -> nn.Conv2d | nn.ConvTranspose2d:
    """Of a layer, which may have a normalisation behind it."""
    module = model.get_submodule(name)
    found = module[0] if isinstance(module, ConvNorm) else module
    assert isinstance(found, (nn.Conv2d, nn.ConvTranspose2d))
    return found


def depthwise(model: nn.Module, name: str) -> bool:
    """Whether a layer hands each channel on by itself."""
    return convolution(model, name).groups > 1


def _separable(name: str, group: str) -> Iterator[Reader]:
    yield Reader(f"{name}.body.0", group, f"{name}.filtered")
    yield Reader(f"{name}.body.1", f"{name}.filtered", group)


def _inverted(name: str, group: str, out: str) -> Iterator[Reader]:
    yield Reader(f"{name}.body.0", group, f"{name}.inner")
    yield Reader(f"{name}.body.1", f"{name}.inner", f"{name}.filtered")
    yield Reader(f"{name}.body.2", f"{name}.filtered", out)
