"""`Dehazer`: a bundle, ready to take frames."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

import targets
from edge import coefficients
from edge.apply import GridApply
from edge.bundle import Bundle
from edge.errors import BundleError, EdgeError, FrameError

STRONGEST = 1.5


@dataclass(frozen=True)
class FrameTiming:
    """Where one frame's time went, in milliseconds."""

    pre_ms: float
    infer_ms: float
    post_ms: float

    @property
    def total_ms(self) -> float:
        return self.pre_ms + self.infer_ms + self.post_ms


class Dehazer:
    """Clears haze from frames with the model of a bundle.

    >>> dehazer = Dehazer("edge-m-openvino-int8")   # doctest: +SKIP
    >>> clear = dehazer(frame)                      # doctest: +SKIP

    Args:
        bundle: path of a bundle, or one that was read.
        device: as `--device` of the bundle's target; ``auto`` for the best that is here.
        threads: processor threads; None for the target's own choice.
        strength: how much of the haze to remove, in [0, 1.5]; 0 gives the input back bit for bit.

    Attributes:
        device, precision: where the model really runs and in what arithmetic.
        timing: of the last frame; None before the first.

    Raises:
        BundleError: the bundle is missing or damaged.
        DeviceUnavailable: the device is not on this machine.
        MissingPackage: the target's runtime is not installed.
    """

    def __init__(
        self,
        bundle: str | Path | Bundle,
        device: str = "auto",
        threads: int | None = None,
        strength: float = 1.0,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.read(bundle)
        manifest = self.bundle.manifest
        if threads is not None and threads < 1:
            raise EdgeError(f"threads must be 1 or more, not {threads}")
        if manifest.kind == "grid" and manifest.model["coefficients"] != coefficients.FORM:
            raise BundleError(
                f"{self.bundle.path}: its coefficients have the form {manifest.model['coefficients']!r}; this version "
                f"knows {coefficients.FORM!r}: export the bundle again with this version"
            )
        self.strength = strength
        self.timing: FrameTiming | None = None
        self._network = targets.load(manifest.target).open(self.bundle, device, threads)
        self._grid = GridApply(manifest.input["width"], manifest.input["height"])
        self.device, self.precision = self._network.device, self._network.precision
        self.load_ms, self.compile_ms = self._network.load_ms, self._network.compile_ms

    @property
    def strength(self) -> float:
        """How much of the haze to remove, in [0, 1.5]."""
        return self._strength

    @strength.setter
    def strength(self, value: float) -> None:
        if not 0 <= value <= STRONGEST:
            raise EdgeError(f"strength must lie between 0 and {STRONGEST}, not {value}")
        self._strength = float(value)

    def __call__(self, frame: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The clear frame.

        Args:
            frame: uint8 RGB (H, W, 3), any size from 1x1.
            out: uint8 array of the same shape to write to.

        Raises:
            FrameError: another dtype or shape.
        """
        _check_frame(frame)
        start = time.perf_counter()
        small = self._grid.reduce(frame)
        reduced = time.perf_counter()
        cell, airlight = self._network(small)
        answered = time.perf_counter()
        gain, bias = coefficients.decode(cell, airlight, self._strength)
        out = self._grid.apply(frame, gain, bias, out)
        done = time.perf_counter()
        self.timing = FrameTiming((reduced - start) * 1e3, (answered - reduced) * 1e3, (done - answered) * 1e3)
        return out

    def verify(self) -> int:
        """Replay the bundle's golden frames here.

        Returns:
            The largest difference to the exporting machine's answers, in grey levels.

        Raises:
            BundleError: a frame differs by more than its tolerance.
        """
        raise NotImplementedError

    def close(self) -> None:
        self._network.close()

    def __enter__(self) -> Dehazer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _check_frame(frame: np.ndarray) -> None:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        what = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise FrameError(f"a frame is a uint8 RGB array of shape (height, width, 3), not {what}")
    if 0 in frame.shape:
        raise FrameError(f"a frame has at least one pixel, not shape {frame.shape}")
