"""The files that a sink records to: the next free number, and none that is there unless that was asked for."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

from edge.errors import SinkError


class Recording:
    """Where a recording goes, and where it goes on after a fault.

    Args:
        pattern: a path, which may hold {n}, the next free number, and {time}, the UTC time.
        live: where the file is there already, the recording gets the next number rather than be refused: a board that
            starts anew keeps its last flight.
        overwrite: a file that is there may be replaced.

    Raises:
        SinkError: not live, and the file is there.
    """

    def __init__(self, pattern: str, live: bool, overwrite: bool) -> None:
        self._pattern = pattern
        self._live = live
        self._overwrite = overwrite
        self._begun = False
        if not live and "{" not in pattern:
            self._refuse_existing(Path(pattern))

    def begin(self) -> Path:
        """The file to write now, another one each time; its folder is made.

        Raises:
            SinkError: the file is there, or the folder cannot be made.
        """
        path = _next_path(self._pattern, self._begun)
        if not self._begun and not self._overwrite and "{" not in self._pattern:
            if self._live and path.exists():
                path = _next_path(self._pattern, True)
            self._refuse_existing(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make the folder {path.parent}: {error.strerror}") from error
        return path

    def begun(self) -> None:
        """The file was begun: the next is another one."""
        self._begun = True

    def _refuse_existing(self, path: Path) -> None:
        if path.exists() and not self._overwrite:
            stem, suffix = os.path.splitext(self._pattern)
            raise SinkError(f"{path} exists; add --overwrite, or number the files: --sink '{stem}-{{n}}{suffix}'")


def _next_path(pattern: str, again: bool) -> Path:
    """The file that a pattern names now; numbered where it must not name the same file again."""
    if again and "{" not in pattern:
        stem, suffix = os.path.splitext(pattern)
        pattern = f"{stem}-{{n}}{suffix}"
    pattern = pattern.replace("{time}", datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S"))
    if "{n}" not in pattern:
        path = Path(pattern)
        return _next_path(f"{path.with_suffix('')}-{{n}}{path.suffix}", False) if path.exists() and again else path
    number = 1 if not again else 2
    while Path(pattern.replace("{n}", f"{number:04d}")).exists():
        number += 1
    return Path(pattern.replace("{n}", f"{number:04d}"))
