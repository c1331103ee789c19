"""A whole stream: source, model, sinks, and the threads between them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge.errors import EdgeError
from edge.streams.clearing import Clearing
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.faults import ModelFault, SourceStalled
from edge.streams.figures import Figures
from edge.streams.frame import Frame, StreamInfo
from edge.streams.intake import Intake, IntakeOptions
from edge.streams.mailbox import Closed, Mailbox
from edge.streams.outlet import Handover, Outlet
from edge.streams.pace import Timeline
from edge.streams.sinks import Sink
from edge.streams.sources import Source

if TYPE_CHECKING:
    from edge.dehazer import Dehazer

TICK_S = 0.05
MOST_ABANDONED = 4
LONGEST_CALL_S = 10.0  # how long the end waits for a call of the model that is under way


@dataclass(frozen=True)
class StreamOptions:
    """How a stream runs.

    Attributes:
        intake: see `IntakeOptions`.
        max_latency_ms: a live frame older than this when its turn at the model comes is dropped; None for never.
        stall_s: a live source that gives nothing for so long counts as stalled and is opened again.
    """

    intake: IntakeOptions
    max_latency_ms: float | None = None
    stall_s: float = 5.0


class Onlooker(Protocol):
    """Something that may want to see frames before and after the model, such as a preview."""

    def wants(self) -> bool: ...

    def show(self, before: np.ndarray, after: np.ndarray) -> None: ...


class Stream:
    """Runs frames from a source through a model to sinks until the source ends or `stop` is called.

    Args:
        make_source: makes the source, and makes it anew after a fault.
        open_dehazer: makes the model, and makes it anew after a fault.
        sinks: with a name each; the first is the one whose latency and rate are told.
        controls: what may be changed meanwhile.

    Attributes:
        onlooker: sees frames before and after the model; may be set at any time.
        live: frames come at their own pace.
        figures, events, timeline, intake, outlets, clearing: its parts, to read figures from.
    """

    def __init__(
        self,
        make_source: Callable[[], Source],
        open_dehazer: Callable[[], Dehazer],
        sinks: list[tuple[str, Sink]],
        options: StreamOptions,
        *,
        controls: Controls | None = None,
        events: Events | None = None,
    ) -> None:
        self.figures = Figures()
        self.events = events or Events()
        self.timeline = Timeline(keep_origin=not options.intake.live)
        self._options = options
        self._make_source = make_source
        self.onlooker: Onlooker | None = None
        self.live = live = options.intake.live
        self._inbox = Mailbox(1 if live else 2, newest_wins=live)
        self.intake = self._make_intake()
        self._abandoned: list[Intake] = []
        self.outlets: list[Outlet | Handover] = []
        for name, sink in sinks:
            self.add_outlet(Outlet(sink, name, live=live, figures=self.figures, events=self.events, info=self._info))
        self.clearing = Clearing(
            open_dehazer,
            controls=controls or Controls(),
            pass_through=live,
            figures=self.figures,
            events=self.events,
        )
        self._model_thread = threading.Thread(target=self._clear_frames, name="model", daemon=True)
        self._model_error: EdgeError | None = None
        self._in_call = False
        self._hurried = threading.Event()
        self.uncleared: list[str] = []
        self.stopped = threading.Event()

    def add_outlet(self, outlet: Outlet | Handover) -> None:
        """One more place that frames go to; before `start`."""
        self.outlets.append(outlet)
        self.figures.sinks.append(outlet.figures)

    def start(self) -> None:
        for outlet in self.outlets:
            outlet.start()
        self._model_thread.start()
        self.intake.start()

    def stop(self) -> None:
        """Take no more frames; what was taken is still put out. Safe to call from a signal handler."""
        self.stopped.set()
        self.intake.stopping.set()

    def watch(self) -> Iterator[None]:
        """Yields about 20 times a second while the stream runs, and mends a stalled source meanwhile."""
        while self._model_thread.is_alive() or any(outlet.is_alive() for outlet in self.outlets):
            if self.stopped.is_set():
                return
            if any(outlet.fault for outlet in self.outlets):
                return
            self._mend_stall()
            yield
            self._model_thread.join(TICK_S)
            if not self._model_thread.is_alive():
                for outlet in self.outlets:
                    outlet.join(TICK_S)

    def finish(self) -> None:
        """End the stream, wait for its threads as long as their sinks ask for, and close what is open.

        A call of the model is waited for until it returns, for 10 s at most: a thread that is inside of a runtime
        when the interpreter ends takes the whole process with it (SIGABRT).

        Raises:
            EdgeError: the fault that ended the stream.
        """
        self.stop()
        deadline = time.monotonic() + 0.4
        self.intake.join(max(0.05, deadline - time.monotonic()))
        self._inbox.close()
        if self.intake.is_alive():
            self.intake.abandoned = True  # stuck in a library's call; it ends by itself when that returns
        self._model_thread.join(max(self._drain_s(), 0.4))
        self._hurried.set()
        deadline = time.monotonic() + LONGEST_CALL_S
        while self._model_thread.is_alive() and time.monotonic() < deadline:
            if not self._in_call:  # it waits for a sink that takes nothing
                self._close_mailboxes()
            self._model_thread.join(TICK_S)
        self._close_mailboxes()
        for outlet in self.outlets:
            outlet.join(max(outlet.drain_s, 0.4))
        if not self._model_thread.is_alive():
            self.clearing.close()
        for error in (*(outlet.fault for outlet in self.outlets), self._model_error, self.intake.fault):
            if error is not None:
                raise error

    def faulty_frames(self) -> list[str]:
        """A line for each frame that was lost to a fault of its own: broken, not cleared, or not written."""
        return self.intake.broken + self.uncleared + [line for outlet in self.outlets for line in outlet.unwritten]

    def _close_mailboxes(self) -> None:
        for outlet in self.outlets:
            outlet.mailbox.close()

    def _drain_s(self) -> float:
        return max((outlet.drain_s for outlet in self.outlets), default=0.0)

    def _info(self) -> StreamInfo:
        return self.intake.info or StreamInfo()

    def _make_intake(self) -> Intake:
        return Intake(
            self._new_source,
            inbox=self._inbox,
            options=self._options.intake,
            figures=self.figures,
            events=self.events,
            timeline=self.timeline,
        )

    def _new_source(self) -> Source:
        """A source, which learns what the network wants to see where it can give that beside the frame."""
        source = self._make_source()
        if hasattr(source, "least_small"):
            source.least_small = self.clearing.dehazer.small_size
        return source

    def _mend_stall(self) -> None:
        if not self._options.intake.live or not self.intake.is_alive() or not self.intake.opened:
            return
        silent_s = time.monotonic() - self.intake.alive_at
        if silent_s < self._options.stall_s:
            return
        self._abandoned = [intake for intake in self._abandoned if intake.is_alive()]
        self.intake.alive_at = time.monotonic()
        fault = SourceStalled(f"the source has given no frame for {silent_s:.1f} s")
        if not self._options.intake.reconnect:
            self.intake.fault = fault
            self.stop()
        elif len(self._abandoned) >= MOST_ABANDONED:
            self.events("source_stuck", "error", f"{fault}, and {MOST_ABANDONED} attempts to read it hang; waiting")
        else:
            self.events("source_stalled", "warning", f"{fault}; opening it again", fault="SourceStalled")
            old = self.intake
            old.abandoned = True
            old.stopping.set()
            self._abandoned.append(old)
            self.intake = self._make_intake()
            self.intake.opened = True
            self.intake.broken, self.intake.info = old.broken, old.info
            self.intake.start()

    def _clear_frames(self) -> None:
        figures = self.figures
        try:
            while True:
                frame = self._inbox.get()
                if frame is None:
                    continue
                if self._hurried.is_set() or self._is_late(frame):
                    figures.late += 1
                    continue
                self._clear(frame)
        except Closed:
            pass
        except EdgeError as error:
            self._model_error = error
        except Exception as error:
            self._model_error = EdgeError(f"the stream failed: {type(error).__name__}: {error}")
            self._model_error.__cause__ = error
        finally:
            self.intake.stopping.set()
            figures.late += self._inbox.abandon()
            self._close_mailboxes()

    def _clear(self, frame: Frame) -> None:
        onlooker = self.onlooker
        looked_at = onlooker is not None and onlooker.wants()
        before = frame.picture
        self._in_call = True
        try:
            after = self.clearing(frame, in_place=frame.owned and not self.live and not looked_at)
        except ModelFault as error:
            with self.figures.lock:
                self.figures.broken += 1
            line = f"{frame.name or f'frame {frame.number}'}: {error}"
            if len(self.uncleared) < 1000:
                self.uncleared.append(line)
            self.events("model_failed", "error", line, fault=type(error).__name__)
            return
        finally:
            self._in_call = False
        frame.picture = after
        if onlooker is not None and looked_at:
            onlooker.show(before, after)
        self.figures.processed += 1
        for outlet in self.outlets:
            try:
                outlet.figures.overtaken += outlet.mailbox.put(frame)
            except Closed:
                outlet.figures.overtaken += 1

    def _is_late(self, frame: Frame) -> bool:
        limit = self._options.max_latency_ms
        return limit is not None and self._options.intake.live and 1e3 * (time.monotonic() - frame.captured_at) > limit


@contextlib.contextmanager
def running(stream: Stream) -> Iterator[Stream]:
    """Start a stream; end it in order when the block ends, however that is.

    Raises:
        EdgeError: the fault that ended the stream.
    """
    stream.start()
    try:
        yield stream
    except BaseException:
        with contextlib.suppress(EdgeError):  # the block's own error says more
            stream.finish()
        raise
    stream.finish()
