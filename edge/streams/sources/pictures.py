"""Picture files: one, or a folder of them in the order of their names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from edge.errors import PictureError
from edge.pictures import picture_files, read_picture
from edge.streams.faults import BrokenFrame
from edge.streams.frame import Frame, StreamInfo
from edge.streams.limits import SLOWEST_RECORDED_FPS
from edge.streams.pace import check_rate
from edge.streams.spec import Spec


class PictureSource:
    """Options: none. With `fps` (default 25) the pictures are frames of a video at that rate."""

    live = False

    def __init__(self, spec: Spec, fps: float | None) -> None:
        spec.check_options(())
        check_rate(fps, SLOWEST_RECORDED_FPS)
        self._place = Path(spec.place)
        self._rate = Fraction(fps or 25).limit_denominator(1001)
        self._files: Iterator[tuple[int, Path]] = iter(())

    def open(self) -> StreamInfo:
        files = picture_files(self._place) if self._place.is_dir() else [self._place]
        self._files = iter(enumerate(files))
        return StreamInfo(rate=self._rate, time_base=1 / self._rate, frames=len(files))

    def read(self) -> Frame | None:
        number, path = next(self._files, (0, None))
        if path is None:
            return None
        captured_at = time.monotonic()
        try:
            picture, aside = read_picture(path)
        except PictureError as error:
            raise BrokenFrame(str(error)) from error
        return Frame(picture, number / self._rate, captured_at, name=path.name, aside=aside)

    def close(self) -> None:
        pass
