"""Where a run runs: on this machine's CUDA devices or processor, alone or with the processes that torchrun started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from edge import command
from training.config import ConfigError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def joined(precision: str) -> Fabric:
    """Lightning Fabric, launched; raises `ConfigError` for a precision that this machine cannot train in."""
    fabric = command.require("lightning_fabric", "train")
    processes, nodes = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    if precision == "fp16" and not cuda:
        raise ConfigError("training.precision is 'fp16', which needs a CUDA device; use 'bf16' or 'fp32' here")
    made = fabric.Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=processes,
        num_nodes=nodes,
        strategy="ddp" if processes * nodes > 1 else "auto",
        precision=FABRIC_PRECISION[precision],
    )
    made.launch()
    return made
