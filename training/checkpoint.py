"""Checkpoints: one .safetensors file with the weights, and in its metadata what they are and where they come from.

Nothing is ever unpickled. A checkpoint is written whole or not at all, and one that was cut, altered in its header,
or made by another tool is told in one sentence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edge.errors import EdgeError
from edge.files import write_whole
from training import models

FORMAT = "draco-edge-checkpoint/1"


class CheckpointError(EdgeError):
    """A checkpoint that is missing, damaged, foreign, or cannot be written."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        model: name of the model, a key of `training.models.MODELS`.
        configuration: the builder's keyword arguments.
        weights: the module's state, name to tensor.
        provenance: who made it from what, JSON types only: command, steps, data, scores, versions.
        sha256: digest of the file.
        path: of the file, for messages; None for one that lies in memory.
    """

    model: str
    configuration: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    path: Path | None = None

    def build(self) -> nn.Module:
        """The module with its weights, in eval mode, on the CPU.

        Raises:
            CheckpointError: there is no such model, or the weights are not those of this model and configuration, or
                some are no numbers.
        """
        where = f"{self.path}: " if self.path else ""
        for name, weight in self.weights.items():
            if not torch.isfinite(weight).all():
                raise CheckpointError(f"{where}{name} holds values that are no numbers; take another checkpoint")
        try:
            module = models.build(self.model, self.configuration)
        except EdgeError as error:
            raise CheckpointError(f"{where}{error}") from None
        fill(module, self.weights, f"{where}the weights do not fit model {self.model!r} as configured")
        return module.eval()


def fill(module: nn.Module, weights: Mapping[str, Tensor], problem: str) -> None:
    """Give a module the weights of a file, each in the module's own dtype.

    Raises:
        CheckpointError: one is missing, left over or of another shape; the message is `problem`, and which.
    """
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        _, *found = str(error).splitlines()
        raise CheckpointError(": ".join([problem, *(line.strip() for line in found[:1])])) from None


def save_checkpoint(
    path: str | Path,
    module: nn.Module,
    model: str,
    configuration: Mapping[str, Any],
    provenance: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a module's state with what it is; whole or not at all, in place of an older file.

    Args:
        model, configuration: so that `models.build(model, configuration)` gives the module's form again.
        provenance: JSON types only.
        dtype: what floating-point tensors are stored in, but for one whose values it cannot hold; None stores them as
            they are. A model that is built from the file has its own dtype again.

    Raises:
        CheckpointError: the file cannot be written (a full disk, no such folder); an older one is still there.
    """
    metadata = {
        "format": FORMAT,
        "model": model,
        "configuration": json.dumps(dict(configuration), sort_keys=True),
        "provenance": json.dumps(dict(provenance or {}), sort_keys=True),
    }
    state = {name: _stored(tensor, dtype) for name, tensor in module.state_dict().items()}
    write_whole(path, tensors_to_bytes(state, metadata), CheckpointError)
    return Path(path)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint without building its model.

    Raises:
        CheckpointError: it is missing, cut short, or not a checkpoint of this project.
    """
    path = Path(path)
    weights, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} holds tensors but is not a checkpoint of this project "
            f"(format {metadata.get('format', 'not given')!r}, not {FORMAT!r})"
        )
    try:
        configuration, provenance = json.loads(metadata["configuration"]), json.loads(metadata["provenance"])
        model = metadata["model"]
        objects = {"configuration": configuration, "provenance": provenance, "run": _run(provenance)}
        if wrong := [name for name, value in objects.items() if not isinstance(value, dict)]:
            raise ValueError(f"{wrong[0]} is no JSON object")
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: its metadata is damaged ({error}); take another copy") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Checkpoint(model, configuration, weights, provenance, digest, path)


def load_model(path: str | Path) -> nn.Module:
    """The model of a checkpoint, in eval mode: maps pictures (N, 3, H, W) in [0, 1] to dehazed ones of that shape.

    Raises:
        CheckpointError: the file is missing, damaged, foreign, or does not fit its model.
    """
    return read_checkpoint(path).build()


def tensors_to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A .safetensors file's bytes, the same for the same values; tensors are taken to the CPU, in the plain order."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    own = {name: tensor.clone() if _shares(tensor) else tensor for name, tensor in plain.items()}
    content = save(own, dict(metadata))
    # The library writes the metadata in an order of its own each time: write it sorted.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # as the format asks, so that tensors lie at multiples of 8
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor of a .safetensors file, and its metadata.

    Raises:
        CheckpointError: it is missing, cut short, or another kind of file.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole .safetensors file ({str(error).splitlines()[0]}); it was cut short or is of "
            "another kind: take another copy"
        ) from None


def _run(provenance: Any) -> Any:
    """What a provenance says of the run, which it need not."""
    return provenance.get("run", {}) if isinstance(provenance, dict) else {}


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    if dtype is None or not tensor.is_floating_point():
        return tensor
    fits = not tensor.numel() or float(tensor.abs().max()) <= torch.finfo(dtype).max
    return tensor.to(dtype) if fits else tensor


def _shares(tensor: Tensor) -> bool:
    return tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size()


def parameter_count(module: nn.Module) -> int:
    """Number of trained values of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def versions() -> dict[str, str]:
    """The versions that a checkpoint's provenance names."""
    import platform

    return {"torch": torch.__version__, "python": platform.python_version()}
