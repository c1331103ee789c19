"""The thread that captures: opens the source, and opens it again when it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.errors import EdgeError, SourceError
from edge.streams.events import Events
from edge.streams.faults import BrokenFrame, SourceLost
from edge.streams.figures import Figures
from edge.streams.frame import StreamInfo
from edge.streams.mailbox import Closed, Mailbox
from edge.streams.pace import Backoff, Thinning, Timeline
from edge.streams.sources import Source


@dataclass(frozen=True)
class IntakeOptions:
    """How frames are taken in.

    Attributes:
        live: a lost source is opened again, and drops are allowed.
        reconnect: whether a live source that was lost is opened again, or ends the stream with the fault.
        wait: a live source that is not there at the start is waited for.
        fps: keep at most so many frames a second; None for all.
        realtime: play a file at the speed of its time stamps.
        frames: end after so many frames; None for all.
    """

    live: bool
    reconnect: bool = True
    wait: bool = False
    fps: float | None = None
    realtime: bool = False
    frames: int | None = None


class Intake(threading.Thread):
    """Captures frames into a mailbox until the source ends, is lost for good, or `stopping` is set.

    Attributes:
        info: what the source said when it was last opened; None before.
        fault: what ended the stream, if it was not the source's end.
        broken: a line for each broken frame, the first thousand.
    """

    def __init__(
        self,
        make_source: Callable[[], Source],
        *,
        inbox: Mailbox,
        options: IntakeOptions,
        figures: Figures,
        events: Events,
        timeline: Timeline,
    ) -> None:
        super().__init__(name="capture", daemon=True)
        self._make_source = make_source
        self._inbox = inbox
        self._options = options
        self._figures = figures
        self._events = events
        self._timeline = timeline
        self._thinning = Thinning(options.fps)
        self._backoff = Backoff()
        self._played_from: float | None = None
        self.stopping = threading.Event()
        self.abandoned = False
        self.alive_at = time.monotonic()
        self.opened = False
        self.info: StreamInfo | None = None
        self.fault: EdgeError | None = None
        self.broken: list[str] = []

    def run(self) -> None:
        try:
            self._capture()
        except Closed:
            pass
        except EdgeError as error:
            self.fault = error
        except MemoryError:
            self.fault = SourceError("not enough memory for the source's frames; ask it for smaller ones")
        except BaseException as error:  # a library's or a program's own must end the stream with its name
            self.fault = SourceError(f"the source failed: {type(error).__name__}: {error}")
            self.fault.__cause__ = error  # a program's own source: where in it that was
        finally:
            del self._make_source  # belongs to the stream, which has this: the source is let go with the last of both
            if not self.abandoned:
                self._inbox.close()

    def _capture(self) -> None:
        while not self.stopping.is_set():
            source = self._make_source()
            try:
                try:
                    self.alive_at = time.monotonic()
                    self.info = source.open()
                    self.alive_at = time.monotonic()
                except SourceError as error:
                    if not self._may_retry(waiting=self._options.wait):
                        raise
                    self._events("source_missing", "warning", f"{error}; trying again", **_name(error))
                else:
                    if self._figures.captured:
                        self._figures.reconnects += 1
                        self._events("source_back", "info", "the source is back")
                    self.opened = True
                    self._timeline.reopened()
                    self._played_from = None
                    if self._pump(source):
                        return
            except SourceLost as error:
                if self.abandoned:
                    return
                if not self._may_retry(waiting=self._options.reconnect):
                    raise
                self._events("source_lost", "warning", f"{error}; opening it again", **_name(error))
            finally:
                source.close()
            self._backoff.wait(self.stopping)

    def _may_retry(self, waiting: bool) -> bool:
        if self.stopping.is_set():
            return True
        return self._options.live and (waiting or (self.opened and self._options.reconnect))

    def _pump(self, source: Source) -> bool:
        """Take frames until the source ends; whether the stream is then done.

        Raises:
            SourceError: it ended before its first frame, and nobody had stopped it.
        """
        figures = self._figures
        while not self.stopping.is_set():
            if self._options.frames is not None and figures.captured >= self._options.frames:
                return True
            try:
                frame = source.read()
            except BrokenFrame as error:
                if self.abandoned:
                    return True
                figures.captured += 1
                with figures.lock:
                    figures.broken += 1
                self.alive_at = time.monotonic()
                if len(self.broken) < 1000:
                    self.broken.append(str(error))
                level = "warning" if self._options.live else "error"  # of a file each is named
                self._events("broken_frame", level, str(error), **_name(error))
                continue
            if frame is None:
                if not figures.captured and not self.stopping.is_set():
                    raise SourceError("the source ended before its first frame: it is empty, or what feeds it failed")
                return True
            if self.abandoned:
                with figures.lock:
                    figures.orphaned += 1
                return True
            self._backoff.reset()
            self.alive_at = figures.captured_at = frame.captured_at
            frame.number = figures.captured
            figures.captured += 1
            jumps = self._timeline.jumps
            stamp, frame.time = frame.time, self._timeline.place(frame.time, frame.captured_at)
            frame.shift = frame.time - stamp
            if self._timeline.jumps > jumps:
                self._events("time_jump", "warning", "the source's time stamps jumped; they are put in order")
            if not self._thinning.keeps(frame.time):
                figures.overtaken += 1
                continue
            if self._options.realtime and not self._options.live:
                self._keep_time(float(frame.time))
                frame.captured_at = time.monotonic()
            figures.overtaken += self._inbox.put(frame)
        return True

    def _keep_time(self, due_s: float) -> None:
        now = time.monotonic()
        if self._played_from is None:
            self._played_from = now - due_s
        self.stopping.wait(max(0.0, self._played_from + due_s - now))


def _name(error: Exception) -> dict[str, str]:
    return {"fault": type(error).__name__}
