"""Two looks at a frame, one of them in the mirror: a grid model errs less about the haze where it may look twice."""

from __future__ import annotations

import numpy as np

from targets import Network


class MirroredNetwork:
    """A grid network whose answer is the mean of that to a picture and, turned back, to its mirror image.

    How thick haze is must be told from the whole picture, and what a small network says of it is noisy: looking again
    at the same scene the other way round averages a part of that away (test-time augmentation; Krizhevsky et al. 2012
    did so for classification). It takes the network's time twice.

    Args:
        network: gives cell (h, w, C) and airlight (3,) or (4,).
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.device, self.precision = network.device, network.precision
        self.load_ms, self.compile_ms = network.load_ms, network.compile_ms
        self._cell = self._airlight = np.empty(0, np.float32)
        self._mirror = np.empty(0, np.uint8)

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        """As `targets.Network`; the arrays are reused by the next call."""
        cell, airlight = self._network(picture)
        if self._cell.shape != cell.shape or self._mirror.shape != picture.shape:
            self._cell, self._airlight = np.empty_like(cell), np.empty_like(airlight)
            self._mirror = np.empty_like(picture)
        np.copyto(self._cell, cell)  # the network's own arrays change with its next answer
        np.copyto(self._airlight, airlight)
        np.copyto(self._mirror, picture[:, ::-1])
        cell, airlight = self._network(self._mirror)
        self._cell += cell[:, ::-1]
        self._cell *= 0.5
        self._airlight += airlight
        self._airlight *= 0.5
        return self._cell, self._airlight

    def close(self) -> None:
        self._network.close()
