"""Where a board keeps what it compiled, so that it does so once; safe to delete."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import EdgeError

VARIABLE = "DRACO_EDGE_CACHE"


def cache_folder(name: str) -> Path:
    """The folder of that name in $DRACO_EDGE_CACHE, $XDG_CACHE_HOME/draco-edge, or ~/.cache/draco-edge.

    Raises:
        EdgeError: neither variable is set, and the user has no home, as in containers that run as any number.
    """
    if own := os.environ.get(VARIABLE):
        return Path(own) / name
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise EdgeError(f"this user has no home to keep compiled models in; set {VARIABLE} to a folder") from None
    return base / "draco-edge" / name
