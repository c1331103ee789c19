"""Draco Edge: haze removal in real time on small devices.

`Dehazer` takes frames on a board. Nothing here imports torch, and runtimes are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.dehazer import Dehazer

__version__ = "0.1.0"
__all__ = ["Dehazer", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Dehazer":
        from edge.dehazer import Dehazer

        return Dehazer
    raise AttributeError(f"module 'edge' has no attribute {name!r}")
