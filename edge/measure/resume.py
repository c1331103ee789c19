"""What a call that was cut has already measured."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge.measure.record import KIND


def done(folder: Path) -> Iterable[dict[str, Any]]:
    """Measurements in a folder, as plain JSON and unvalidated: a board has no need of the validator."""
    for path in sorted(folder.glob("*.json")):
        try:
            raw = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(raw, dict) and raw.get("kind") == KIND:
            yield raw


def covers(raw: dict[str, Any], wanted: dict[str, Any], minutes: float | None) -> bool:
    """Whether a measurement answers a call.

    Args:
        wanted: digest of the bundle and of the data, and the fields of `edge.measure.record.Run` that matter.
        minutes: of a sustained run; None for none.
    """
    run, quality, sustained = raw.get("run", {}), raw.get("quality") or {}, raw.get("sustained") or {}
    has = {"bundle": raw.get("subject", {}).get("digest"), "data": quality.get("digest")}
    has |= {name: run.get(name) for name in wanted if name not in has}
    if has != wanted:
        return False
    return minutes is None or (sustained.get("minutes", 0) >= minutes and not sustained.get("cut"))
