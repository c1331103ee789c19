"""Networks of one form, computed as one: a small map costs time by the layer, hardly by its channels.

Each layer of the one network holds the same layer of all of them as groups of channels (grouped convolution, Krizhevsky
et al. 2012), so it has no more weights than they have together, but for a few of zeros, and computes what they would.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from training.models.grid import HEADS, GridNet, Whole


def of_one_form(networks: Sequence[nn.Module]) -> bool:
    """Whether these are `GridNet` of the same layers, but for what their last ones tell."""
    forms = [
        {name: tensor.shape for name, tensor in network.state_dict().items() if name.split(".")[0] not in HEADS}
        for network in networks
    ]
    return all(isinstance(network, GridNet) for network in networks) and all(form == forms[0] for form in forms)


@torch.no_grad()
def side_by_side(networks: Sequence[GridNet]) -> GridNet:
    """One network whose features are those of several, one network's channels after the other's.

    Args:
        networks: of one form, fused. They stay as they are.

    Returns:
        a network for `GridNet.features` only: its last layers are the first network's.
    """
    made = copy.deepcopy(networks[0])
    pooled = {f"{name}.0.0" for name, block in made.named_modules() if isinstance(block, Whole)}
    for name, layer in made.named_modules():
        if not isinstance(layer, nn.Conv2d) or name in HEADS:
            continue
        parts = [network.get_submodule(name) for network in networks]
        weights, biases = ([part.get_parameter(kind) for part in parts] for kind in ("weight", "bias"))
        layer.bias = nn.Parameter(torch.cat(biases))
        layer.out_channels = len(layer.bias)
        if name in pooled:  # reads the means of all and then the maxima of all
            means, maxima = zip(*(weight.flatten(1).chunk(2, 1) for weight in weights), strict=True)
            weight = torch.cat([torch.block_diag(*means), torch.block_diag(*maxima)], 1)[:, :, None, None]
        else:
            weight = torch.cat(weights)
            layer.groups *= 1 if layer is made.down2[0] else len(parts)  # that one reads the picture itself
        layer.weight, layer.in_channels = nn.Parameter(weight), weight.shape[1] * layer.groups
    return made
