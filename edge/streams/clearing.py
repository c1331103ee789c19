"""The thread's work between capture and output: the model, and what happens when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import EdgeError, FrameError
from edge.smoothing import Smoother
from edge.streams.auto import Rest, optical_depth
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.faults import ModelFault
from edge.streams.figures import Figures
from edge.streams.frame import Frame
from edge.streams.memory import FramePool
from edge.streams.pace import Backoff

if TYPE_CHECKING:
    from edge.dehazer import Dehazer

FAILURES_TO_REOPEN = 10


class Clearing:
    """Clears frames, and keeps a live picture going when the model cannot.

    Args:
        open_dehazer: makes the model anew, when it is to be replaced or keeps failing.
        pass_through: a frame that the model fails on goes out as it came (live) rather than raise (files).

    Attributes:
        rest: how hazy the air is, with `controls.auto`.
    """

    def __init__(
        self,
        open_dehazer: Callable[[], Dehazer],
        *,
        controls: Controls,
        pass_through: bool,
        figures: Figures,
        events: Events,
    ) -> None:
        self._open_dehazer = open_dehazer
        self._controls = controls
        self._pass_through = pass_through
        self._figures = figures
        self._events = events
        self._failures = 0
        self._reopen_at = 0.0
        self._backoff = Backoff()
        self._last_time = Fraction(0)
        self._pool = FramePool()
        self._smoother = Smoother(controls.smooth_s)
        self._replacement: Dehazer | None = None
        self.rest = Rest(events)
        self.dehazer = open_dehazer()
        self.dehazer.smoother = self._smoother

    def __call__(self, frame: Frame, in_place: bool) -> np.ndarray:
        """The clear picture, uint8 RGB (H, W, 3); the frame's own array while the model rests.

        Args:
            in_place: the frame's own array may be written to.

        Raises:
            ModelFault: the model failed, and frames may not pass as they came.
        """
        if (replacement := self._replacement) is not None:
            self._replacement = None
            self._switch_to(replacement)
        controls, now = self._controls, time.monotonic()
        level = self.rest.level(now) if controls.auto else 1.0
        if level == 0 and not self.rest.probe_due(now):
            self._figures.rested += 1
            return frame.picture
        self._smoother.seconds = controls.smooth_s
        self._smoother.step_s = float(frame.time - self._last_time)
        self._last_time = frame.time
        self.dehazer.strength = controls.strength * level
        start = time.perf_counter()
        try:
            out = frame.picture if in_place and level else self._pool.take(frame.picture.shape)
            clear = self.dehazer(frame.picture, out, frame.small)
        except FrameError:
            raise
        except (Exception, MemoryError) as error:  # runtimes raise what they like
            if not self._pass_through:
                raise _as_fault(error) from error
            # Without its traceback, which would keep this frame's arrays until the next garbage collection.
            self._fell_over(_as_fault(error).with_traceback(None))
            return frame.picture
        self._failures = 0
        self._figures.model_ms.add(1e3 * (time.perf_counter() - start))
        if controls.auto:
            self.rest.observe(optical_depth(self.dehazer.cell, frame.picture), now)
            if level == 0:
                self._figures.rested += 1
                return frame.picture
        return clear

    def replace(self) -> None:
        """Open the bundle again, in the caller's thread, and go over to it between two frames. A bundle that does
        not open leaves everything as it is.
        """
        try:
            self._replacement = self._open_dehazer()
        except (EdgeError, MemoryError, RuntimeError, OSError) as error:
            self._events("model_kept", "error", f"{error}; the model that runs is kept")

    def close(self) -> None:
        self.dehazer.close()

    def _switch_to(self, fresh: Dehazer) -> None:
        old, self.dehazer = self.dehazer, fresh
        self._smoother.reset()
        self.dehazer.smoother = self._smoother
        self._failures = 0
        old.close()
        self._events("model_replaced", "info", f"now running {self.dehazer.bundle.manifest.name}")

    def _fell_over(self, fault: ModelFault) -> None:
        self._figures.uncleared += 1
        self._failures += 1
        self._smoother.reset()
        self._events("model_failed", "warning", f"{fault}; frames pass as they came", fault=type(fault).__name__)
        if self._failures >= FAILURES_TO_REOPEN and time.monotonic() >= self._reopen_at:
            self._reopen_at = time.monotonic() + self._backoff.next_s()
            self.replace()


def _as_fault(error: BaseException) -> ModelFault:
    if isinstance(error, ModelFault):
        return error
    if isinstance(error, MemoryError):
        return ModelFault("not enough memory to clear a frame")
    lines = str(error).strip().splitlines()
    return ModelFault(f"the model failed: {type(error).__name__}: {lines[0][:200] if lines else ''}".rstrip(": "))
