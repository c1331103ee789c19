"""Where a board keeps what it compiled, so that it does so once; safe to delete."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "DRACO_EDGE_CACHE"


def cache_folder(name: str) -> Path:
    """The folder of that name in $DRACO_EDGE_CACHE, $XDG_CACHE_HOME/draco-edge, or ~/.cache/draco-edge."""
    own = os.environ.get(VARIABLE)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "draco-edge"
    return (Path(own) if own else base) / name
