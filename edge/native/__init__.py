"""Loops in C for what takes most of a frame's time; built at installation where there is a C compiler.

Where there was none, the image library does the same work in several passes (`edge.apply`, `edge.coefficients`): the
same answer within a grey level, in two to four times the time.

Attributes:
    lay_over: ``lay_over(frame, gain, bias, out)`` writes clip(gain * frame + bias) to `out`; frame and out uint8
        (H, W, 3), gain and bias float32 (h, w, 3) for values in [0, 1].
    spread: ``spread(log_gain, log_gain_mean, shift, shift_mean, light, most, gain, bias)`` enlarges log_gain and shift,
        float32 (h, w, 3), bilinearly to the grid of their means (H, W), adds these, and writes gain =
        exp(min(log_gain, most)) and bias = light * (1 - gain) + shift, float32 (H, W, 3); light is three numbers.

Both want arrays that are whole in memory and raise `ValueError` for others. None where they are not built.
"""

from __future__ import annotations

from collections.abc import Callable

Loop = Callable[..., None]

try:
    from edge.native.loops import lay_over, spread
except ImportError:
    lay_over = spread = None
