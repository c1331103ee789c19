"""How a model's answer becomes a clear frame: the contract that both kinds share, and the grid kind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge import coefficients
from edge.apply import GridApply
from edge.errors import ModelFault
from edge.smoothing import Smoother
from targets import Network


@dataclass(frozen=True)
class FrameTiming:
    """Where one frame's time went, in milliseconds."""

    pre_ms: float
    infer_ms: float
    post_ms: float

    @property
    def total_ms(self) -> float:
        return self.pre_ms + self.infer_ms + self.post_ms


class Method(Protocol):
    """Runs a network for frames of any size."""

    def __call__(
        self, frame: np.ndarray, strength: float, out: np.ndarray | None, small: np.ndarray | None = None
    ) -> tuple[np.ndarray, FrameTiming]:
        """The clear frame, uint8 RGB (H, W, 3), and where the time went; `out` may be `frame` itself.

        Args:
            small: the frame in fewer pixels, for a method that needs no more than it shows.
        """
        ...


class GridMethod:
    """The network sees the frame reduced and gives coefficients, which are laid over the frame.

    Args:
        network: gives cell (h, w, 7) and airlight (3,) or (4,), as `edge.coefficients` takes them.
        width, height: of the network's input, in pixels.

    Attributes:
        smoother: averages the coefficients over time; None for every frame by itself.
        cell: the coefficients (h, w, 7) of the last frame, raw; None before the first.
    """

    def __init__(self, network: Network, width: int, height: int) -> None:
        self._network = network
        self._grid = GridApply(width, height)
        self._decode = coefficients.Decoder()
        self.smoother: Smoother | None = None
        self.cell: np.ndarray | None = None

    def __call__(
        self, frame: np.ndarray, strength: float, out: np.ndarray | None, small: np.ndarray | None = None
    ) -> tuple[np.ndarray, FrameTiming]:
        start = time.perf_counter()
        small = self._grid.reduce(frame if small is None else small)
        reduced = time.perf_counter()
        cell, airlight = self._network(small)
        if not (np.isfinite(cell).all() and np.isfinite(airlight).all()):
            raise ModelFault("the model's answer is not finite")
        means = self._grid.on_grid(*cell.shape[:2])
        if self.smoother is not None:
            cell, airlight = self.smoother(small if means is None else means, cell, airlight, frame)
        self.cell = cell
        answered = time.perf_counter()
        out = self._grid.clear(frame, self._decode(cell, airlight, strength, means, self._grid.sharpen), out)
        done = time.perf_counter()
        return out, FrameTiming((reduced - start) * 1e3, (answered - reduced) * 1e3, (done - answered) * 1e3)
