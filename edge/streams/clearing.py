"""The thread's work between capture and output: the model, and what happens when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import EdgeError, FrameError
from edge.streams.events import Events
from edge.streams.faults import ModelFault
from edge.streams.figures import Figures
from edge.streams.frame import Frame
from edge.streams.pace import Backoff

if TYPE_CHECKING:
    from edge.dehazer import Dehazer

FAILURES_TO_REOPEN = 10


class Clearing:
    """Clears frames, and keeps a live picture going when the model cannot.

    Args:
        open_dehazer: makes the model anew, when it was asked to be replaced or keeps failing.
        pass_through: a frame that the model fails on goes out as it came (live) rather than raise (files).
    """

    def __init__(
        self, open_dehazer: Callable[[], Dehazer], pass_through: bool, figures: Figures, events: Events
    ) -> None:
        self._open_dehazer = open_dehazer
        self._pass_through = pass_through
        self._figures = figures
        self._events = events
        self._failures = 0
        self._reopen_at = 0.0
        self._backoff = Backoff()
        self.dehazer = open_dehazer()

    def __call__(self, frame: Frame, in_place: bool) -> np.ndarray:
        """The clear picture, uint8 RGB (H, W, 3).

        Args:
            in_place: the frame's own array may be written to.

        Raises:
            ModelFault: the model failed, and frames may not pass as they came.
        """
        start = time.perf_counter()
        try:
            clear = self.dehazer(frame.picture, frame.picture if in_place else None)
        except FrameError:
            raise
        except (Exception, MemoryError) as error:  # runtimes raise what they like
            fault = _as_fault(error)
            if not self._pass_through:
                raise fault from error
            self._fell_over(fault)
            return frame.picture
        self._failures = 0
        self._figures.model_ms.add(1e3 * (time.perf_counter() - start))
        return clear

    def close(self) -> None:
        self.dehazer.close()

    def _fell_over(self, fault: ModelFault) -> None:
        self._figures.uncleared += 1
        self._failures += 1
        self._events("model_failed", "warning", f"{fault}; frames pass as they came", fault=type(fault).__name__)
        if self._failures >= FAILURES_TO_REOPEN and time.monotonic() >= self._reopen_at:
            self._reopen_at = time.monotonic() + self._backoff.next_s()
            try:
                fresh = self._open_dehazer()
            except (EdgeError, MemoryError, RuntimeError, OSError) as error:
                self._events("model_reopen_failed", "error", f"the model cannot be opened again: {error}")
                return
            self.dehazer.close()
            self.dehazer = fresh
            self._events("model_reopened", "info", "the model was opened again")


def _as_fault(error: BaseException) -> ModelFault:
    if isinstance(error, ModelFault):
        return error
    if isinstance(error, MemoryError):
        return ModelFault("not enough memory to clear a frame")
    lines = str(error).strip().splitlines()
    return ModelFault(f"the model failed: {type(error).__name__}: {lines[0][:200] if lines else ''}".rstrip(": "))
