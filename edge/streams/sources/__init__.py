"""Where frames come from. One file for each kind; a new kind is a file and a line in `KINDS`."""

from __future__ import annotations

from typing import Protocol

from edge.streams.frame import Frame, StreamInfo
from edge.streams.pace import check_rate
from edge.streams.spec import Spec

KINDS = {
    "pictures": "pictures:PictureSource",
    "video": "video:VideoSource",
    "network": "network:NetworkSource",
    "v4l2": "v4l2:V4L2Source",
    "picamera2": "picamera:PicameraSource",
    "argus": "argus:ArgusSource",
    "gst": "gstreamer:GStreamerSource",
    "raw": "raw:RawSource",
    "test": "pattern:PatternSource",
}


class Source(Protocol):
    """Gives frames. Used by one thread; `open` to `close` may happen again after a fault, with a new object.

    Attributes:
        live: frames come at their own pace, whether anyone takes them or not, and the source may come back after
            it was lost.
    """

    live: bool

    def open(self) -> StreamInfo:
        """
        Raises:
            SourceError: it cannot be opened.
        """
        ...

    def read(self) -> Frame | None:
        """The next frame; None at the end.

        Raises:
            BrokenFrame: this frame cannot be had, the next may.
            SourceLost: there will be no more until it is opened again.
        """
        ...

    def close(self) -> None: ...


def make_source(spec: Spec, fps: float | None = None) -> Source:
    """A source, not yet opened. `fps`: the rate to ask a camera for, or that pictures and raw frames have.

    Raises:
        EdgeError: a rate or an option out of its range.
    """
    from importlib import import_module

    check_rate(fps)
    module, _, name = KINDS[spec.kind].partition(":")
    return getattr(import_module(f"edge.streams.sources.{module}"), name)(spec, fps)
