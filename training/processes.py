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


def usable(precision: str) -> str:
    """The precision to train in on this machine: float32 where the processor computes bfloat16 slower than that.

    Without vector instructions for it torch falls back to loops that take some ten times as long as float32.
    """
    if precision != "bf16" or torch.cuda.is_available() or _fast_bfloat16():
        return precision
    command.say("this processor has no fast bfloat16: training in float32 instead")
    return "fp32"


def _fast_bfloat16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


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
