"""Draco Edge: haze removal in real time on small devices.

`Dehazer` takes frames on a board, `stream` whole sources of them; docs/python.md shows both. Nothing here imports
torch; each name is imported when it is first used, and runtimes when they are.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from edge.dehazer import Dehazer
    from edge.errors import (
        BundleError,
        DeviceUnavailable,
        EdgeError,
        FrameError,
        MissingPackage,
        ModelFault,
        PictureError,
        SinkError,
        SourceError,
    )
    from edge.smoothing import Smoother
    from edge.streams.api import stream
    from edge.streams.controls import Controls
    from edge.streams.events import Event
    from edge.streams.faults import BrokenFrame, SourceLost, SourceStalled
    from edge.streams.frame import Frame
    from edge.streams.sharedmemory import SharedFrames

__version__ = "0.1.0"
__all__ = [
    "BrokenFrame",
    "Bundle",
    "BundleError",
    "Controls",
    "Dehazer",
    "DeviceUnavailable",
    "EdgeError",
    "Event",
    "Frame",
    "FrameError",
    "MissingPackage",
    "ModelFault",
    "PictureError",
    "SharedFrames",
    "SinkError",
    "Smoother",
    "SourceError",
    "SourceLost",
    "SourceStalled",
    "__version__",
    "stream",
]

_PLACES = {
    "Bundle": "edge.bundle",
    "Controls": "edge.streams.controls",
    "Dehazer": "edge.dehazer",
    "Event": "edge.streams.events",
    "Frame": "edge.streams.frame",
    "SharedFrames": "edge.streams.sharedmemory",
    "Smoother": "edge.smoothing",
    "stream": "edge.streams.api",
    **dict.fromkeys(("BrokenFrame", "SourceLost", "SourceStalled"), "edge.streams.faults"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edge' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES.get(name, "edge.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
