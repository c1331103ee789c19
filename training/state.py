"""What a run needs to go on exactly where it stopped, in one .safetensors file: weights, average, optimizer, step.

The numbers that a step draws are a function of seed, step and rank (see `seed_step`), as the samples are, so no
generator's state has to be kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edge.files import write_whole
from training.checkpoint import CheckpointError, read_tensors, tensors_to_bytes
from training.config import RunConfig
from training.sources import Stock

FORMAT = "draco-edge-resume/1"
HELD = {"steps", "elapsed_s", "waited_s", "sums"}  # what `training.window.Window.held` gives
DAMAGED = "the run's state is damaged, start a new one from its last.safetensors (model.initial)"


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: updates done.
        best_step, best_psnr_db: the best validation so far; 0 and -inf (as None in the file) before the first.
        validated: the last step that was validated.
        seconds: spent training so far, over all its parts.
        processes: that train it; 0 in a file that is older than this entry.
        unreported: what the log has not told yet, see `training.window.Window.held`.
    """

    step: int = 0
    best_step: int = 0
    best_psnr_db: float | None = None
    validated: int = 0
    seconds: float = 0.0
    processes: int = 0
    unreported: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Resume:
    """A run that stopped: its configuration, its progress, and the tensors of its parts, by part.

    Attributes:
        command: that makes what it minimises; empty in a file that was written before this was kept.
        stocks: what each source had to draw from (`training.sources.Stock`); empty in such a file too.
    """

    config: RunConfig
    progress: Progress
    parts: dict[str, dict[str, Tensor]]
    scaler: dict[str, Any]
    command: str = ""
    stocks: dict[str, Stock] = field(default_factory=dict)


def save_resume(
    path: Path,
    config: RunConfig,
    progress: Progress,
    command: str,
    *,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: dict[str, Any],
    stocks: Mapping[str, Stock],
) -> None:
    """Write all of a run; whole or not at all. Raises `CheckpointError`."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for number, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    metadata = {
        "format": FORMAT,
        "command": command,
        "config": config.to_json(),
        "progress": json.dumps(asdict(progress)),
        "scaler": json.dumps(scaler),
        "stocks": json.dumps(stocks),
    }
    write_whole(path, tensors_to_bytes(tensors, metadata), CheckpointError)


def read_resume(path: Path) -> Resume:
    """Read what `save_resume` wrote. Raises `CheckpointError`: missing, cut short, damaged, or another kind of file."""
    if not path.is_file():
        raise CheckpointError(f"{path.parent} holds no run to go on with ({path.name} is not there)")
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not the state of a training run; --resume takes a run's folder")
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    try:
        if stray := set(parts) - {"model", "average", "optimizer"}:
            raise ValueError(f"it holds tensors of {', '.join(sorted(stray))}")
        return Resume(
            RunConfig.from_json(metadata["config"]),
            _progress(json.loads(metadata["progress"])),
            parts,
            dict(json.loads(metadata["scaler"])),
            metadata.get("command", ""),
            {name: Stock(*stock) for name, stock in dict(json.loads(metadata.get("stocks", "{}"))).items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {DAMAGED}: {error}") from None


def _progress(table: dict[str, Any]) -> Progress:
    """Of what stands in a file; raises `TypeError` or `ValueError` where that is no progress."""
    progress = Progress(**table)
    counts = progress.step, progress.best_step, progress.validated, progress.processes
    right = all(type(value) is int and value >= 0 for value in counts)
    right = right and all(isinstance(value, int | float) for value in (progress.best_psnr_db or 0.0, progress.seconds))
    if not right or not isinstance(progress.unreported, dict) or set(progress.unreported) not in (set(), HELD):
        raise ValueError(f"its progress is {table}")
    return progress


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer of the same parameters its moments and counts back.

    Raises:
        CheckpointError: they are not those of these parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, slot = name.partition(".")
        owner = parameters[int(number)] if number.isdecimal() and int(number) < len(parameters) else None
        if owner is None or (tensor.ndim and tensor.shape != owner.shape):
            raise CheckpointError(f"{DAMAGED}: the optimizer has no place for {name}, {tuple(tensor.shape)}")
        state.setdefault(int(number), {})[slot] = tensor
    if len({frozenset(slots) for slots in state.values()}) > 1:
        raise CheckpointError(f"{DAMAGED}: the optimizer lacks some of the moments of its weights")
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch's generators (CPU and CUDA) for one step of one process."""
    torch.manual_seed((seed * 1_000_003 + step) * 4096 + rank)
