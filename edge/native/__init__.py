"""Loops in C for what takes most of a frame's time; built at installation where there is a C compiler.

Where there was none, the image library does the same work in several passes (`edge.apply`): the same answer within a
grey level, in two to four times the time.

Attributes:
    clear: ``clear(frame, log_gain, log_gain_mean, shift, shift_mean, light, most, out)`` writes the clear frame to
        `out`: log_gain and shift, float32 (h, w, 3), are enlarged bilinearly to the grid of their means (h', w') and
        these added; gain = exp(min(log_gain, most)) and bias = light * (1 - gain) + shift are enlarged bilinearly to
        the frame, uint8 (H, W, 3); out = clip(gain * frame + 255 * bias), and may be the frame itself. light is three
        numbers. Arrays have to be whole in memory; raises `ValueError` for others. None where it is not built.
"""

from __future__ import annotations

from collections.abc import Callable

Loop = Callable[..., None]

try:
    from edge.native.loops import clear
except ImportError:
    clear = None
