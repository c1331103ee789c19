"""One line for each thing that happens, and no flood of them."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

QUIET_S = 10.0
EACH = ("metadata_left_out",)  # of pictures: every one is named
LEVELS = ("info", "warning", "error")


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        name: what, as docs/faults.md lists it, for example ``source_lost``.
        level: ``info``, ``warning`` or ``error``.
        message: one sentence for people.
        suppressed: how many events of that name were left out since the last one that was told.
        facts: figures that belong to it.
    """

    name: str
    level: str
    message: str
    suppressed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def as_text(self) -> str:
        more = f" ({self.suppressed} more like it before)" if self.suppressed else ""
        return f"{self.level}: {self.message}{more}" if self.level != "info" else self.message + more

    def as_json(self) -> str:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        return json.dumps({"time": now, **asdict(self)}, default=str)


class Events:
    """Tells events: each error, and of most others at most one of each name in 10 seconds, the first at once.

    Args:
        tell: called with each event that is told; None for a line on standard error.
        as_json: lines as JSON objects.
        untold: names of events that are counted and not told.

    Attributes:
        counts: name to how many there were, told or not.
    """

    def __init__(
        self, tell: Callable[[Event], None] | None = None, as_json: bool = False, untold: Collection[str] = ()
    ) -> None:
        self._untold = frozenset(untold)
        self._tell = tell if tell is not None else _to_stderr(as_json)
        self._lock = threading.Lock()
        self._told_at: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}
        self.counts: dict[str, int] = {}

    def __call__(self, name: str, level: str, message: str, **facts: Any) -> None:
        now = time.monotonic()
        with self._lock:
            self.counts[name] = self.counts.get(name, 0) + 1
            if name in self._untold:
                return
            if level != "error" and name not in EACH and now - self._told_at.get(name, -QUIET_S) < QUIET_S:
                self._suppressed[name] = self._suppressed.get(name, 0) + 1
                return
            self._told_at[name] = now
            event = Event(name, level, message, self._suppressed.pop(name, 0), facts)
        self._tell(event)


def _to_stderr(as_json: bool) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        line = event.as_json() if as_json else event.as_text()
        clear = "\r\033[K" if sys.stderr.isatty() else ""
        with contextlib.suppress(OSError, ValueError):  # a full log disk must not stop the stream
            print(clear + line.replace("\n", " "), file=sys.stderr, flush=True)

    return tell
