"""What the INT8 outputs of a grid model's .tflite file stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

NOTE = "output_scales"  # where a bundle's manifest tells them, one for each output
STORED = -1.0, 127 / 128  # what an output stores: int8 / 128


@dataclass(frozen=True)
class OutputScale:
    """`value = offset + scale * stored` for each channel of one output, `stored` in [-1, 1).

    Attributes:
        parts: how many channels one value is spread over, the first of all values before the second of all;
            `stored` is their sum.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    parts: Annotated[int, range(1, 257)] = 1

    @classmethod
    def over(cls, low: np.ndarray, high: np.ndarray, parts: int = 1) -> OutputScale:
        """For values between `low` and `high` (channels,)."""
        scale = (high - low) / parts / (STORED[1] - STORED[0])
        return cls(tuple(map(float, scale)), tuple(map(float, low + parts * scale)), parts)

    @property
    def low(self) -> np.ndarray:
        """The least value of each channel that can be stored."""
        return np.array(self.offset) + self.parts * STORED[0] * np.array(self.scale)

    @property
    def high(self) -> np.ndarray:
        """The largest value of each channel that can be stored."""
        return np.array(self.offset) + self.parts * STORED[1] * np.array(self.scale)

    def suits(self, shape: tuple[int, ...]) -> bool:
        """Whether an output of that shape, without the batch axis, can be told by it."""
        channels = len(self.scale)
        whole = self.parts == 1 or len(shape) == 1  # values of a map are in one part
        return whole and len(self.offset) == channels and shape[-1:] == (self.parts * channels,)
