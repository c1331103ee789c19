"""Shared memory, for a detector in another process; `edge.streams.sharedmemory` says how to read it."""

from __future__ import annotations

from edge.streams.frame import Frame, StreamInfo
from edge.streams.sharedmemory import FrameWriter
from edge.streams.sinks.fit import fit
from edge.streams.spec import Spec


class SharedMemorySink:
    """The place is the name. Options: none."""

    made = ""
    drain_s = 0.2

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:  # noqa: ARG002
        spec.check_options(())
        self._name = spec.place
        self._writer: FrameWriter | None = None

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        self._size = info.width, info.height
        self._writer = FrameWriter(self._name, *self._size)

    def write(self, frame: Frame) -> None:
        assert self._writer is not None
        picture = frame.picture
        if picture.nbytes > self._writer.capacity:
            picture = fit(picture, *self._size)
        self._writer.write(picture, frame.number, float(frame.time), frame.captured_at)

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
