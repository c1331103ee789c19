"""Targets: one folder and one entry each.

A target says what it needs (`check`), turns a float ONNX model into its artefact (`build`), and opens that artefact
on a board (`open`). The folder's package holds one object named `TARGET`; a target of another installed package is
found by the entry point group ``draco_edge.targets``, whose entry is such an object.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from targets.source import SourceModel

OWN = ("openvino", "onnx", "rpi", "jetson")
GROUP = "draco_edge.targets"


@dataclass(frozen=True)
class Device:
    """A place where a target's runtime can run a model: its name as `--device` takes it, and what it is."""

    name: str
    description: str


@dataclass(frozen=True)
class Check:
    """What this machine has of what a target needs.

    Attributes:
        builds, runs: whether `build` and `open` would find what they import.
        versions: package name to version, of what was found.
        devices: where a model can run here.
        missing: a line each for what is missing, with the command that installs it.
    """

    target: str
    builds: bool
    runs: bool
    versions: Mapping[str, str]
    devices: tuple[Device, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class BuildOptions:
    """What the user asked of `edge.export`; a target refuses what it cannot do.

    Attributes:
        precision: ``fp32``, ``fp16`` or ``int8``.
        calibration: pictures for INT8 (`quantization.calibration.CalibrationSet`), None for the others.
        quantizer: ``default`` for the one made for the target, or the name of another.
        max_drop_db: the most that INT8 may cost in PSNR, None for no limit.
        say: called with one line for each step.
        ranges: how INT8 ranges are taken from the pictures: ``minmax``, ``percentile`` or ``entropy``; None for what
            suits the target best.
        float_layers: layers (`quantization.layers`) that stay float beside those that the target leaves in float
            anyway; a target whose artefacts are INT8 throughout refuses them.
    """

    precision: str
    calibration: Any = None
    quantizer: str = "default"
    max_drop_db: float | None = None
    say: Callable[[str], None] = lambda line: None
    ranges: str | None = None
    float_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artefact:
    """What `build` made: the files a board needs, and what is worth knowing about them.

    Attributes:
        files: file name to content; no folders.
        tools: tool name to version, of everything that had a part in it.
        notes: facts for the manifest (layers left in float, node counts, ...), JSON types only.
    """

    files: Mapping[str, bytes]
    tools: Mapping[str, str]
    notes: Mapping[str, Any] = field(default_factory=dict)


class Network(Protocol):
    """An artefact, loaded and ready.

    Attributes:
        device: where it really runs, as the runtime says it (not as it was asked for).
        precision: what it really computes in, as far as the runtime tells: ``fp32``, ``bf16``, ``fp16``, ``int8``.
        load_ms, compile_ms: what opening it took, in milliseconds.
    """

    device: str
    precision: str
    load_ms: float
    compile_ms: float

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        """Run on one picture, uint8 RGB (H, W, 3) of the manifest's input size.

        Returns the outputs in the manifest's order without the batch axis: float32 arrays for a grid model
        (coefficients (h, w, C), then airlight (3,) or (4,)), one uint8 RGB (H, W, 3) picture for a frame model. Arrays
        may be reused by the next call.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class Target(Protocol):
    """One kind of board or runtime.

    A target whose INT8 artefacts can keep some layers in float (`BuildOptions.float_layers`) says so with an
    attribute ``mixes_precisions = True``. One that has quantizers beside its own (`BuildOptions.quantizer`) names them
    in an attribute ``quantizers``. One that can compile for a device ahead of time has a method
    ``ahead_of_time(device)``, which gives a function from a bundle to the bundle with what was compiled in it.
    One whose runtime tells what its kernels compute in has a method ``kernels(bundle, device)``: precision to operator
    to how many of them, as they really run (``{"int8": {"Convolution": 40}, "fp32": {"Convolution": 2}}``).
    """

    name: str
    precisions: tuple[str, ...]

    def check(self) -> Check: ...

    def build(self, model: SourceModel, options: BuildOptions) -> Artefact:
        """Turn a model into this target's artefact. Heavy packages are imported here and nowhere else."""
        ...

    def open(self, bundle: Bundle, device: str, threads: int | None) -> Network:
        """Load a bundle's artefact.

        Args:
            device: as `--device`; ``auto`` for the best that is here.
            threads: of the processor; None for the target's own choice.

        Raises:
            DeviceUnavailable: the device is not here; never a silent fallback.
            MissingPackage: the runtime is not installed.
        """
        ...


def names() -> tuple[str, ...]:
    """The targets that this installation has, own ones first."""
    return OWN + tuple(sorted(e.name for e in entry_points(group=GROUP) if e.name not in OWN))


def load(name: str) -> Target:
    """The target of that name.

    Raises:
        EdgeError: there is none, or another package's target does not keep the contract.
    """
    if name in OWN:
        return importlib.import_module(f"targets.{name}").TARGET
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            target = entry.load()
            if not isinstance(target, Target):
                raise EdgeError(f"target {name} of {entry.value} lacks name, precisions, check, build or open")
            return target
    raise EdgeError(f"there is no target {name!r}: choose one of {', '.join(names())}")


def found_versions(packages: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Look for packages without importing them.

    Args:
        packages: distribution name to the extra of this project that brings it.

    Returns:
        Name to version of those that are installed, and a line with the command for each that is not.
    """
    versions, missing = {}, []
    for name, extra in packages.items():
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            missing.append(f"{name}: pip install 'draco-edge[{extra}]'")
    return versions, tuple(missing)
