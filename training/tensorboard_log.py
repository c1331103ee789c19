"""TensorBoard's file of a run. TensorBoard's own writer has a thread, which dies with a traceback on a full disk."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edge import command


class TensorBoardLog:
    """Writes numbers and pictures for TensorBoard; gives up, and says so once, where that is not possible.

    A run's figures are in its tables too, so a log that is lost does not stop it.

    Args:
        folder: made where it is not there.
        step: what was written before about later steps is not shown any more.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._summary = command.require("torch.utils.tensorboard.summary", "train")
        self._event = command.require("tensorboard.compat.proto.event_pb2", "train")
        records = command.require("tensorboard.summary.writer.record_writer", "train")
        self._file: BinaryIO | None = None
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}.{os.getpid()}"
            self._file = open(folder / name, "wb")  # noqa: SIM115 - open as long as the run goes on
        except OSError as error:
            self._give_up(error)
            return
        self._records = records.RecordWriter(self._file)
        self._write(0, file_version="brain.Event:2")
        if step:
            log = self._event.SessionLog
            self._write(step + 1, session_log=log(status=log.START))

    def scalar(self, name: str, value: float, step: int) -> None:
        self._write(step, summary=self._summary.scalar(name, value))

    def image(self, name: str, picture: np.ndarray, step: int) -> None:
        """A picture, uint8 RGB (H, W, 3)."""
        self._write(step, summary=self._summary.image(name, picture, dataformats="HWC"))

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._give_up(error)

    def _write(self, step: int, **content: Any) -> None:
        if self._file is None:
            return
        event = self._event.Event(wall_time=time.time(), step=step, **content)
        try:
            self._records.write(event.SerializeToString())
            self._records.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        command.say(f"TensorBoard's file in {self._folder} is given up: {error.strerror or error}")
        self._file = None
