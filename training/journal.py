"""What a run writes down of itself: log.csv and validation.csv, TensorBoard, and the line of progress."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from edge import command
from edge.files import write_whole
from training.checkpoint import CheckpointError
from training.tensorboard_log import TensorBoardLog

TRAINING, VALIDATION = "log.csv", "validation.csv"


class Journal:
    """Writes a run's folder; rows that lie after the step a run goes on from are dropped first.

    Args:
        folder: of the run.
        step: that the run starts or goes on from.
        validated: the last step whose validation it knows of; a later one is done again.

    Raises:
        CheckpointError: a table cannot be read or written; so do the methods that write to one.
    """

    def __init__(self, folder: Path, step: int, validated: int = 0) -> None:
        self.folder = folder
        _drop_after(folder / TRAINING, step)
        _drop_after(folder / VALIDATION, validated)
        self._tensorboard = TensorBoardLog(folder / "tensorboard", step)
        self._terminal = sys.stderr.isatty()

    def training(self, step: int, figures: Mapping[str, float]) -> None:
        _append(self.folder / TRAINING, {"step": step, **figures})
        for name, value in figures.items():
            self._tensorboard.scalar(f"training/{name}", value, step)

    def validation(self, step: int, folder: str, figures: Mapping[str, float], strip: np.ndarray | None) -> None:
        """One folder's scores, and a strip of pictures, uint8 RGB (H, W, 3)."""
        _append(self.folder / VALIDATION, {"step": step, "folder": folder, **figures})
        for name, value in figures.items():
            self._tensorboard.scalar(f"validation/{folder}/{name}", value, step)
        if strip is not None:
            self._tensorboard.image(f"validation/{folder}", strip, step)

    def line(self, text: str) -> None:
        """The line of progress: written over itself on a terminal, nowhere else."""
        if self._terminal:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def event(self, text: str) -> None:
        """A line that stays."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr)
        command.say(text)

    def close(self) -> None:
        self.line("")
        self._tensorboard.close()


def duration(seconds: float) -> str:
    """``2 h 05 min``, ``12 min``, ``40 s``."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min" if seconds >= 120 else f"{int(seconds)} s"


def _append(path: Path, row: Mapping[str, object]) -> None:
    """A row, in the columns that the table has; one that is new is added to all rows, which are blank there."""
    written = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in row.items()}
    try:
        with open(path, "a+", encoding="utf-8", newline="") as file:
            file.seek(0)
            columns = next(csv.reader(file), [])
            new = [name for name in written if name not in columns]
            if not new:
                _table(file, columns).writerow(written)
                return
            file.seek(0)
            rows = [*csv.DictReader(file), written]
        table = io.StringIO()
        writer = _table(table, [*columns, *new])
        writer.writeheader()
        writer.writerows(rows)
        write_whole(path, table.getvalue().encode(), CheckpointError)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from None


def _table(file: TextIO, columns: Sequence[str]) -> csv.DictWriter[str]:
    return csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")


def _drop_after(path: Path, step: int) -> None:
    """Leave away rows of later steps, and what a full disk or a power cut left of a line."""
    if not path.is_file():
        return
    try:
        header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
        kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= step]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot go on with {path} ({error}); mend it or move it away") from None
    write_whole(path, "".join([header, *kept] if header.endswith("\n") else []).encode(), CheckpointError)
