"""Loops in C for what takes most of a frame's time beside the network; built at installation where there is a compiler.

Where there was none, the image library does the same work in many calls (`edge.coefficients`, `edge.upsampling`,
`edge.apply`, `edge.smoothing`): the same answer within a grey level, in two to four times the time.

Attributes:
    loops: the module, None where it is not built. Arrays have to be whole in memory and of the sizes given; its
        functions raise `ValueError` for others.

        ``average(frame, out)`` writes the mean of the area that each pixel of `out`, uint8 (h, w, 3), covers of frame,
        uint8 (H, W, 3), which is at least as large each way.

        ``decode(cell, picture, scales, limits, strength, log_gain, log_gain_mean, shift, shift_mean)`` writes what
        `edge.coefficients.Decoder` says of a raw answer, float32 (h, w, 7), and the picture's means over the cells,
        uint8 (h, w, 3), to the last four: float32 (h, w, 3), (h, w), (h, w, 3), (h, w). scales are the slope and offset
        of density and the factors of tint, shift and detail; limits the largest log gain and the airlight.

        ``twice(planes, coarse, fine, likeness, out)`` writes planes, a tuple of one to four float32 (h, w), to as many
        of twice the size as `edge.upsampling.JointBilateral` does. coarse and fine are the picture on both grids,
        uint8 RGB; likeness, float32 (1, 16), is how much a cell counts whose brightness differs by so many grey levels,
        of one whose is the same; the last for more.

        ``clear(frame, log_gain, log_gain_mean, shift, shift_mean, light, most, out)`` writes the clear frame to `out`:
        log_gain and shift, float32 (h, w, 3), are enlarged bilinearly to the grid of their means (h', w') and these
        added; gain = exp(min(log_gain, most)) and bias = light * (1 - gain) + shift are enlarged bilinearly to the
        frame, uint8 (H, W, 3); out = clip(gain * frame + 255 * bias), and may be the frame itself. light is three
        numbers.

        ``change(picture, guide, limit, change)`` writes to `change`, float32 (h, w), by how much the surroundings of
        each cell differ from what they were: means over 3x3 cells of the difference of picture, uint8 (h, w, 3), and
        guide, float32 (h, w, 3), in the colour that differs most. It returns the share of cells that are beyond the
        limit, and the mean.

        ``keep(picture, answer, change, past, steepness, guide, kept)`` carries kept and guide, float32 (h, w, 7) and
        (h, w, 3), on to answer and picture, of which ``1 - past * exp(-steepness * change**2)`` counts in each cell.
"""

from __future__ import annotations

from typing import Any, Protocol


class Loops(Protocol):
    """The functions of the module in C."""

    def average(self, *arguments: Any) -> None: ...
    def decode(self, *arguments: Any) -> None: ...
    def twice(self, *arguments: Any) -> None: ...
    def clear(self, *arguments: Any) -> None: ...
    def change(self, *arguments: Any) -> tuple[float, float]: ...
    def keep(self, *arguments: Any) -> None: ...


loops: Loops | None
try:
    from edge.native import loops
except ImportError:
    loops = None
