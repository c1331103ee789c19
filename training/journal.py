"""What a run writes down of itself: log.csv and validation.csv, TensorBoard, and the line of progress."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge import command
from training.checkpoint import CheckpointError

TRAINING, VALIDATION = "log.csv", "validation.csv"


class Journal:
    """Writes a run's folder; rows that lie after the step a run goes on from are dropped first.

    Args:
        folder: of the run.
        step: that the run starts or goes on from.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        for name in (TRAINING, VALIDATION):
            _drop_after(folder / name, step)
        tensorboard = command.require("torch.utils.tensorboard", "train")
        self._board = tensorboard.SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)
        self._terminal = sys.stderr.isatty()

    def training(self, step: int, figures: Mapping[str, float]) -> None:
        _append(self.folder / TRAINING, {"step": step, **figures})
        for name, value in figures.items():
            self._board.add_scalar(f"training/{name}", value, step)

    def validation(self, step: int, folder: str, figures: Mapping[str, float], strip: np.ndarray | None) -> None:
        """One folder's scores, and a strip of pictures, uint8 RGB (H, W, 3)."""
        _append(self.folder / VALIDATION, {"step": step, "folder": folder, **figures})
        for name, value in figures.items():
            self._board.add_scalar(f"validation/{folder}/{name}", value, step)
        if strip is not None:
            self._board.add_image(f"validation/{folder}", strip, step, dataformats="HWC")

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
        self._board.close()


def duration(seconds: float) -> str:
    """``2 h 05 min``, ``12 min``, ``40 s``."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min" if seconds >= 120 else f"{int(seconds)} s"


def _append(path: Path, row: Mapping[str, object]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row), lineterminator="\n")
    try:
        with open(path, "a", encoding="utf-8") as file:
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
            file.write(text.getvalue())
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from None


def _drop_after(path: Path, step: int) -> None:
    if not path.is_file():
        return
    header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
    kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= step]
    beside = path.with_name(f".{path.name}.new")
    beside.write_text("".join([header, *kept]), encoding="utf-8")
    beside.replace(path)
