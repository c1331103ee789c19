"""How fast the machine itself is at the moment, by three small pieces of work that never change.

A processor that is shared, warm or clocked otherwise takes everything longer for a while, a model's frames and any
other work alike. Measured now and then between frames, the same work says by how much, so that two runs on different
days can be compared without the machine's moods (a control variate). Three kinds, for what slows one hardly slows
another: memory and filtering, arithmetic on what is in the nearest cache, and the interpreter.
"""

from __future__ import annotations

import platform
import time

import cv2
import numpy as np

EVERY_S = 0.04  # half a millisecond each time: a little more than a hundredth of the measuring


class Yardstick:
    """Measures the work between frames, not more often than each `EVERY_S` seconds.

    Attributes:
        kind: what was done; times of another kind cannot be compared with these.
        times_ms: geometric mean of the three, each time it was done.
    """

    kind = f"1; OpenCV {cv2.__version__}, Python {platform.python_version()}"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._frame = rng.integers(0, 256, (240, 640, 3), np.uint8)
        self._tile = rng.integers(0, 256, (120, 160, 3), np.uint8)
        self._kernel = rng.random((3, 3)).astype(np.float32) / 9
        self._next_s = 0.0
        self.times_ms: list[float] = []
        for piece in (self._memory, self._arithmetic, self._interpreter):
            piece()  # the first time takes longer

    def measure(self) -> None:
        """Do the work if it is time to."""
        clock = time.perf_counter
        start = clock()
        if start < self._next_s:
            return
        self._memory()
        first = clock()
        self._arithmetic()
        second = clock()
        self._interpreter()
        done = clock()
        self.times_ms.append(1e3 * ((first - start) * (second - first) * (done - second)) ** (1 / 3))
        self._next_s = done + EVERY_S

    def _memory(self) -> None:
        cv2.resize(cv2.GaussianBlur(self._frame, (3, 3), 0), (320, 120), interpolation=cv2.INTER_AREA)

    def _arithmetic(self) -> None:
        tile = self._tile
        for _ in range(3):
            tile = cv2.filter2D(tile, -1, self._kernel)

    def _interpreter(self) -> None:
        total = 0
        for number in range(6000):
            total += number * number
