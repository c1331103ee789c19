"""Loops in C for what takes most of a frame's time; built at installation where there is a C compiler.

Where there was none, the image library does the same work in several passes (`edge.apply`): the same answer within a
grey level, in two to four times the time.

Attributes:
    lay_over: ``lay_over(frame, gain, bias, out)`` writes clip(gain * frame + bias) to `out`; frame and out uint8
        (H, W, 3), gain and bias float32 (h, w, 3) for values in [0, 1], each whole in memory. Raises `ValueError` for
        other arrays. None where it is not built.
"""

from __future__ import annotations

from collections.abc import Callable

LayOver = Callable[..., None]

try:
    from edge.native.loops import lay_over
except ImportError:
    lay_over = None
