"""A folder of pictures: under their own names, or numbered where the source has no names."""

from __future__ import annotations

import errno
from pathlib import Path

from edge.errors import PictureError, SinkError
from edge.pictures import FORMATS, write_picture
from edge.streams.faults import DiskFull
from edge.streams.frame import Frame, StreamInfo
from edge.streams.spec import Spec


class PictureSink:
    """Options: `format` (png, jpg, ...) for the numbered pictures of a video or camera, png unless told."""

    drain_s = 5.0

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:  # noqa: ARG002
        spec.check_options(("format",))
        self._folder = Path(spec.place)
        self._suffix = "." + spec.options.get("format", "png").lower()
        if self._suffix not in FORMATS:
            raise SinkError(f"{spec.text}: format is one of {', '.join(s[1:] for s in FORMATS)}")
        self.made = ""

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make the folder {self._folder}: {error.strerror}") from error

    def write(self, frame: Frame) -> None:
        name = Path(frame.name).name if frame.name else f"frame-{frame.number:08d}{self._suffix}"
        if Path(name).suffix.lower() not in FORMATS:
            name += ".png"  # a picture whose own name does not say what it is
        try:
            write_picture(self._folder / name, frame.picture, frame.aside)
        except PictureError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
                raise DiskFull(str(error)) from error
            raise
        self.made = str(self._folder if self.made else self._folder / name)

    def close(self) -> None:
        pass
