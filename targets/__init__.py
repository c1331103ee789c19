"""Targets: one folder and one entry each.

A target says what it needs (`check`), turns a float ONNX model into its artefact (`build`), and opens that artefact
on a board (`open`). The folder's package holds one object named `TARGET`, of a class derived from `Target`; a target of
another installed package is found by the entry point group ``draco_edge.targets``, whose entry is such an object.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Any, Protocol

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
        say: called with one line for each step.
        ranges: how INT8 ranges are taken from the pictures: ``minmax``, ``percentile`` or ``entropy``; None for what
            suits the target best.
        float_layers: layers (`quantization.layers`) that stay float beside those that the target leaves in float
            anyway; a target whose artefacts are INT8 throughout refuses them.
    """

    precision: str
    calibration: Any = None
    quantizer: str = "default"
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


class Target(ABC):
    """One kind of board or runtime.

    A derived class defines `name`, `precisions`, `check`, `build` and `open`; the rest has defaults, for it to define
    where it can do more.

    Attributes:
        name: as `--target` takes it and a manifest tells it.
        precisions: those that `build` makes: ``fp32``, ``fp16``, ``int8``.
        distributions: packages of its runtime, by their names for pip; a measurement tells the versions of those that
            are installed.
        export_device: where `edge.export` runs the artefact to measure it; ``auto`` for the best that is there.
        built_on_board: the board makes of the artefact what it really runs, an engine; where it is exported other
            kernels run it, which tell its loss, but neither its precision nor its pace.
        mixes_precisions: an INT8 artefact can keep some layers in float (`BuildOptions.float_layers`).
        keeps_ranges: its quantizer takes ranges once for every choice of these layers, so that `edge.export
            --max-drop` can try each of them; another target's layers are ranked by the onnx target.
        quantizers: those that it has beside its own (`BuildOptions.quantizer`).
        ranges: the ways in which its own quantizer takes ranges (`BuildOptions.ranges`).
    """

    distributions: tuple[str, ...] = ()
    export_device: str = "auto"
    built_on_board: bool = False
    mixes_precisions: bool = False
    keeps_ranges: bool = False
    quantizers: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ("minmax", "percentile", "entropy")

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def precisions(self) -> tuple[str, ...]: ...

    @abstractmethod
    def check(self) -> Check:
        """Look for what it needs, without importing more than that takes."""

    def refuse(self, model: SourceModel, options: BuildOptions) -> None:  # noqa: B027 - most build everything
        """Tell what `build` cannot do with this model and these options, whose pictures are not made yet.

        Raises:
            EdgeError: it cannot.
        """

    @abstractmethod
    def build(self, model: SourceModel, options: BuildOptions) -> Artefact:
        """Turn a model into this target's artefact. Heavy packages are imported here and nowhere else."""

    @abstractmethod
    def open(self, bundle: Bundle, device: str, threads: int | None) -> Network:
        """Load a bundle's artefact.

        Args:
            device: as `--device`; ``auto`` for the best that is here.
            threads: of the processor; None for the target's own choice.

        Raises:
            DeviceUnavailable: the device is not here; never a silent fallback.
            MissingPackage: the runtime is not installed.
        """

    def ahead_of_time(self, device: str) -> Callable[[Bundle], Bundle]:
        """What adds to a bundle the model compiled for a device (`edge.export --device`).

        Raises:
            EdgeError: it cannot be compiled here, or not for this device; said before the long work.
        """
        raise EdgeError(
            f"the {self.name} target compiles for no device ahead of time: leave --device {device} out; a board "
            "compiles what it needs at its first start"
        )

    def kernels(self, bundle: Bundle, device: str) -> dict[str, dict[str, int]]:
        """What the kernels compute in as they really run: precision to operator to how many of them.

        For example ``{"int8": {"Convolution": 40}, "fp32": {"Convolution": 2}}``; empty where the runtime does not
        tell.
        """
        return {}

    def layer_times(
        self, bundle: Bundle, device: str, threads: int | None, picture: np.ndarray
    ) -> list[tuple[str, str, str, float]]:
        """What each layer takes, in the order of execution; empty where the runtime does not tell.

        Args:
            picture: uint8 RGB (H, W, 3) of the model's input size.

        Returns:
            (name, kind of layer, what it computes in, median milliseconds) each.
        """
        return []


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
            try:
                target = entry.load()
            except Exception as error:  # whatever another package does when it is imported
                raise EdgeError(f"target {name} of {entry.value} does not load: {error}") from error
            if not isinstance(target, Target):
                raise EdgeError(f"target {name} of {entry.value} is not derived from targets.Target")
            if target.name != name:  # bundles name it so, and would not find it again
                raise EdgeError(
                    f"target {name} of {entry.value} calls itself {target.name!r}: its package has to give the entry "
                    "point and the target one name"
                )
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
