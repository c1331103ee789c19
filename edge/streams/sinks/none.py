"""A sink that keeps nothing, to measure or to watch by the preview alone."""

from __future__ import annotations

from edge.streams.frame import Frame, StreamInfo
from edge.streams.spec import Spec


class NoSink:
    """Options: none."""

    made = ""
    drain_s = 0.0

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:  # noqa: ARG002
        spec.check_options(())

    def open(self, info: StreamInfo, frame: Frame) -> None:
        pass

    def write(self, frame: Frame) -> None:
        pass

    def close(self) -> None:
        pass
