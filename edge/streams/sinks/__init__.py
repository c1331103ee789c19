"""Where clear frames go. One file for each kind; a new kind is a file and a line in `KINDS`."""

from __future__ import annotations

from typing import Protocol

from edge.streams.frame import Frame, StreamInfo
from edge.streams.spec import Spec

KINDS = {
    "pictures": "pictures:PictureSink",
    "video": "video:VideoSink",
    "network": "network:NetworkSink",
    "v4l2": "v4l2:V4L2Sink",
    "shm": "sharedmemory:SharedMemorySink",
    "window": "window:WindowSink",
    "raw": "raw:RawSink",
    "none": "none:NoSink",
}


class Sink(Protocol):
    """Takes frames. Used by one thread; opened at the first frame, and again after a fault.

    One that copies sound says in `remark` after `open` why it cannot; empty where it can. One that writes pictures says
    in `left_out` after `write` what of their EXIF and XMP is not in the file.

    Attributes:
        made: what was made, for the last line of standard output; empty where nothing lasting was.
        drain_s: how long a stop may wait for a write that is under way, in seconds.
    """

    made: str
    drain_s: float

    def open(self, info: StreamInfo, frame: Frame) -> None:
        """
        Args:
            info: of the source; its width and height are those of `frame`.
            frame: the first that will be written.

        Raises:
            SinkError: it cannot be opened.
        """
        ...

    def write(self, frame: Frame) -> None:
        """
        Raises:
            PictureError: this frame cannot be written, the next may.
            SinkLost: no more can be written until it is opened again.
        """
        ...

    def close(self) -> None:
        """Finish what was written. Also called when `open` failed."""
        ...


def make_sink(spec: Spec, live: bool, overwrite: bool = False) -> Sink:
    """A sink, not yet opened.

    Args:
        live: the source is live, so that low latency counts for more than small files.
        overwrite: an existing recording may be replaced.
    """
    from importlib import import_module

    module, _, name = KINDS[spec.kind].partition(":")
    return getattr(import_module(f"edge.streams.sinks.{module}"), name)(spec, live, overwrite)
