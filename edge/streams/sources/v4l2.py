"""Cameras of Video4Linux: USB cameras, capture cards, and v4l2loopback."""

from __future__ import annotations

from edge.streams.sources.libav import LibavSource
from edge.streams.spec import Spec


class V4L2Source(LibavSource):
    """Options: `size`, `format` (mjpeg, yuyv422, ... as the camera offers it). The driver's choice unless told."""

    live = True

    def __init__(self, spec: Spec, fps: float | None) -> None:
        spec.check_options(("size", "format"))
        options = {}
        if size := spec.size():
            options["video_size"] = f"{size[0]}x{size[1]}"
        if "format" in spec.options:
            options["input_format"] = spec.options["format"]
        if fps:
            options["framerate"] = f"{fps:g}"
        place = spec.place or "/dev/video0"
        place = f"/dev/video{place}" if place.isdigit() else place
        super().__init__(place, place, container="video4linux2,v4l2", options=options)
