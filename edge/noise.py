"""How noisy a video's frames are, and how much of their fine detail is then worth enlarging.

What is finer than a cell is enlarged more than the rest, in proportion to the haze before it (`edge.coefficients`), and
noise with it: a picture of one moment can bear that, in a video it is grain that never stands still. So the additional
part is weighed as a Wiener filter weighs: by the share that detail, not noise, has in the energy of what is that fine.
"""

from __future__ import annotations

import numpy as np

DETAIL_LEVELS = 1.6  # deviation within cells of thick haze (veil above 0.6): median of 15 real pairs at 640x480
EVERY = 15  # frames; a camera's noise changes as slowly as its exposure
ROWS, BLOCK = 24, 32  # rows that are looked at, and pixels of a block in them
FLATTEST = 10  # per cent of the blocks: where the scene itself adds least
# A second difference of noise has a mean absolute value of deviation * 6**0.5 * (2 / pi)**0.5, and that of the tenth
# flattest block of a hundred lies at 0.79 of the mean.
TO_DEVIATION = 1 / (6**0.5 * (2 / np.pi) ** 0.5 * 0.79)


class NoiseMeter:
    """Tells the noise of a video's frames, looking at some of them only.

    Attributes:
        deviation: of the noise, in grey levels; 0 before the first frame.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.deviation = 0.0
        self._waits = 0

    def __call__(self, frame: np.ndarray) -> float:
        """The share of fine detail that is none of the noise, in [0, 1]; `frame` is uint8 RGB (H, W, 3)."""
        if self._waits == 0:
            self.deviation, self._waits = noise_of(frame), EVERY
        self._waits -= 1
        return DETAIL_LEVELS**2 / (DETAIL_LEVELS**2 + self.deviation**2)


def noise_of(frame: np.ndarray) -> float:
    """Standard deviation of a frame's noise in grey levels; 0 for frames that are too small to tell.

    From second differences along some rows of the green channel, where these are least (after Immerkær 1996, who takes
    all of a picture: texture then counts as noise).

    Args:
        frame: uint8 RGB (H, W, 3).
    """
    height, width = frame.shape[:2]
    if width < BLOCK + 2:
        return 0.0
    rows = frame[np.linspace(0, height - 1, min(ROWS, height)).astype(int), :, 1].astype(np.int16)
    differences = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])
    whole = differences.shape[1] // BLOCK * BLOCK
    blocks = differences[:, :whole].reshape(len(rows), -1, BLOCK).mean(axis=2)
    return float(np.percentile(blocks, FLATTEST)) * TO_DEVIATION
