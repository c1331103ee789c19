"""Raw RGB frames on standard output, into a named pipe or a file, one after the other without headers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edge.errors import SinkError
from edge.streams.faults import SinkLost
from edge.streams.frame import Frame, StreamInfo
from edge.streams.sinks.fit import fit
from edge.streams.sinks.recording import Recording
from edge.streams.spec import Spec


class RawSink:
    """The place is `-`, a pipe or device, or a file as of `Recording`. Options: `format` (rgb24 or bgr24, default
    rgb24).
    """

    drain_s = 0.4

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:
        spec.check_options(("format",))
        self._place = spec.place or "-"
        self._format = spec.options.get("format", "rgb24")
        if self._format not in ("rgb24", "bgr24"):
            raise SinkError(f"{spec.text}: format is rgb24 or bgr24")
        self._recording = Recording(self._place, live, overwrite) if _is_file(self._place) else None
        self._handle = -1
        self.made = ""

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        self._size = info.width, info.height
        try:
            if self._recording is None:
                self._handle = os.dup(1) if self._place == "-" else os.open(self._place, os.O_WRONLY)
                return
            path = self._recording.begin()
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            raise SinkError(f"cannot write {self._place}: {error.strerror}") from error
        self._recording.begun()
        self.made = str(path)

    def write(self, frame: Frame) -> None:
        picture = fit(frame.picture, *self._size)
        if self._format == "bgr24":
            picture = picture[..., ::-1]
        left = np.ascontiguousarray(picture).data.cast("B")
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except BrokenPipeError as error:
            raise SinkLost("nobody reads the raw frames any more") from error
        except OSError as error:
            raise SinkLost(f"cannot write {self._place}: {error.strerror}") from error

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def _is_file(place: str) -> bool:
    """A file or what will be one, and no pipe or device: /dev/stdout is none, wherever it leads."""
    path = Path(place)
    return place != "-" and not place.startswith("/dev/") and (path.is_file() or not path.exists())
