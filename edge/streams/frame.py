"""One frame on its way, and what is known of the stream that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from edge.pictures import NOTHING_ASIDE, Aside

# ITU-T H.273 matrix to libswscale's number for the same.
SWS_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}


@dataclass(frozen=True)
class Colour:
    """How a video codes colour, as numbers of ITU-T H.273 (2 where it does not say).

    Attributes:
        matrix, primaries, transfer: code points.
        full_range: 0 to 255 rather than 16 to 235.
    """

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    full_range: bool = False

    def with_matrix_for(self, width: int, height: int) -> Colour:
        """With the matrix that players take where a stream does not say: BT.709 for HD, BT.601 below."""
        if self.matrix in SWS_MATRIX:
            return self
        return replace(self, matrix=1 if width >= 1280 or height > 576 else 6)


@dataclass(frozen=True)
class StreamInfo:
    """What a source says when it is opened.

    Attributes:
        width, height: of its first frame, in pixels; 0 where that is not known before it comes.
        rate: frames per second; None for a stream that does not say.
        time_base: the unit of its time stamps, in seconds.
        audio: a libav stream that describes the sound, which sinks may copy; or None.
        frames: how many there will be; None where that is not known.
    """

    width: int = 0
    height: int = 0
    rate: Fraction | None = None
    time_base: Fraction = Fraction(1, 90000)
    colour: Colour = Colour()
    audio: Any = None
    frames: int | None = None


@dataclass(slots=True)
class Frame:
    """One picture on its way.

    Attributes:
        picture: uint8 RGB (H, W, 3).
        time: its time stamp, in seconds from the start of the stream.
        captured_at: when it was captured, in seconds of `time.monotonic`.
        number: counts what the source gave, from 0; set by the intake.
        name: of its file, for pictures.
        aside: what its file held besides, for pictures.
        owned: the array belongs to the stream, which may write to it.
        audio: libav packets that came before it.
        small: the same view in fewer pixels, uint8 RGB, where the source has one for the network; else None.
        shift: what was added to the source's own time stamp to get `time`, in seconds; holds for the audio too.
    """

    picture: np.ndarray
    time: Fraction
    captured_at: float
    number: int = 0
    name: str = ""
    aside: Aside = NOTHING_ASIDE
    owned: bool = True
    audio: tuple[Any, ...] = ()
    small: np.ndarray | None = None
    shift: Fraction = Fraction(0)
