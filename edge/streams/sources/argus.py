"""The camera of a Jetson, through NVIDIA's nvarguscamerasrc."""

from __future__ import annotations

from dataclasses import replace

from edge.streams.sources.gstreamer import GStreamerSource
from edge.streams.spec import Spec


class ArgusSource(GStreamerSource):
    """The place is the sensor's number (default 0). Options: `size` (default 1280x720)."""

    def __init__(self, spec: Spec, fps: float | None) -> None:
        spec.check_options(("size",))
        width, height = spec.size() or (1280, 720)
        rate = f"{max(1, round(fps or 30))}/1"
        pipeline = (
            f"nvarguscamerasrc sensor-id={spec.camera()} ! "
            f"video/x-raw(memory:NVMM),width={width},height={height},framerate={rate},format=NV12 ! "
            "nvvidconv ! video/x-raw,format=I420"
        )
        super().__init__(replace(spec, place=pipeline, options={}), fps)
        self.name = f"camera {spec.camera()}"
