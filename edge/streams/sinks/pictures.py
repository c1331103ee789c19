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
    """Options: `format` (png, jpg, ...). Pictures keep the format that their name says unless told, and the numbered
    ones of a video or camera are png.
    """

    drain_s = 5.0

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:  # noqa: ARG002
        spec.check_options(("format",))
        self._folder = Path(spec.place)
        self._format = spec.options.get("format")
        if self._format is not None and f".{self._format.lower()}" not in FORMATS:
            raise SinkError(f"{spec.text}: format is one of {', '.join(s[1:] for s in FORMATS)}")
        self._names: set[str] = set()
        self.left_out: list[str] = []
        self.made = ""

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make the folder {self._folder}: {error.strerror}") from error

    def write(self, frame: Frame) -> None:
        name = target_name(frame.name or f"frame-{frame.number:08d}", self._format)
        if self._format and frame.name:
            if name in self._names:
                raise PictureError(f"{frame.name}: {name} was made of another picture; clear each kind by itself")
            self._names.add(name)
        self.left_out = []
        try:
            write_picture(self._folder / name, frame.picture, frame.aside, self.left_out.append)
        except PictureError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
                raise DiskFull(str(error)) from error
            raise
        self.made = str(self._folder if self.made else self._folder / name)

    def close(self) -> None:
        pass


def target_name(name: str, form: str | None) -> str:
    """The name of the file that a picture is written to.

    Args:
        name: its own.
        form: png, jpg, ...; None for the one that its name says, png where it says none.
    """
    path = Path(name)
    own = path.suffix.lower() in FORMATS
    if form is None:
        return path.name if own else f"{path.name}.png"
    return f"{path.stem if own else path.name}.{form.lower()}"
