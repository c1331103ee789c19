"""Video files."""

from __future__ import annotations

from edge.streams.sources.libav import LibavSource
from edge.streams.spec import Spec


class VideoSource(LibavSource):
    """Options: none. The frame rate is the file's own, variable or not."""

    def __init__(self, spec: Spec, fps: float | None) -> None:  # noqa: ARG002
        spec.check_options(())
        super().__init__(spec.place, f"file:{spec.place}")
