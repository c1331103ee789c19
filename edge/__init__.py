"""Draco Edge: haze removal in real time on small devices.

`Dehazer` takes frames on a board, `stream` whole sources of them. Nothing here imports torch, and runtimes are
imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.dehazer import Dehazer
    from edge.streams.api import stream

__version__ = "0.1.0"
__all__ = ["Dehazer", "__version__", "stream"]


def __getattr__(name: str) -> Any:
    if name == "Dehazer":
        from edge.dehazer import Dehazer

        return Dehazer
    if name == "stream":
        from edge.streams.api import stream

        return stream
    raise AttributeError(f"module 'edge' has no attribute {name!r}")
