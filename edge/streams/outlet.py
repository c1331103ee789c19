"""The thread that puts out: one for each sink, so that a slow one holds nobody else up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from edge.errors import EdgeError, PictureError, SinkError
from edge.streams.events import Events
from edge.streams.faults import SinkLost
from edge.streams.figures import Figures, SinkFigures
from edge.streams.frame import Frame, StreamInfo
from edge.streams.mailbox import Closed, Mailbox
from edge.streams.pace import Backoff
from edge.streams.sinks import Sink


class Outlet(threading.Thread):
    """Writes the frames of its mailbox to a sink; for a live stream, opens a lost sink again.

    Attributes:
        fault: what ended the output of a stream that is not live.
        unwritten: a line for each frame that could not be written, the first thousand.
        left_out: a line for each part of a picture's EXIF and XMP that is not in its file, the first thousand.
    """

    def __init__(
        self,
        sink: Sink,
        name: str,
        *,
        live: bool,
        figures: Figures,
        events: Events,
        info: Callable[[], StreamInfo],
    ) -> None:
        super().__init__(name=f"sink {name}", daemon=True)
        self.sink = sink
        self.drain_s = sink.drain_s
        self.mailbox = Mailbox(1 if live else 2, newest_wins=live)
        self.figures = SinkFigures(name)
        self._live = live
        self._all = figures
        self._events = events
        self._info = info
        self._open = False
        self._was_open = False
        self._retry_at = 0.0
        self._backoff = Backoff()
        self.fault: EdgeError | None = None
        self.unwritten: list[str] = []
        self.left_out: list[str] = []

    @property
    def made(self) -> str:
        """What the sink made; see `Sink`."""
        return self.sink.made

    def run(self) -> None:
        try:
            while True:
                frame = self.mailbox.get()
                if frame is not None:
                    self._put_out(frame)
        except Closed:
            pass
        except EdgeError as error:
            self.fault = error
        except Exception as error:  # a library's own error must end the output with its name, not a dead thread
            self.fault = SinkError(f"{self.figures.name} failed: {type(error).__name__}: {error}")
        finally:
            self.figures.skipped += self.mailbox.abandon()
            self._close()

    def _put_out(self, frame: Frame) -> None:
        if not self._open and time.monotonic() < self._retry_at:
            self.figures.skipped += 1
            return
        try:
            if not self._open:
                height, width = frame.picture.shape[:2]
                self.sink.open(replace(self._info(), width=width, height=height), frame)
                if self._was_open:
                    self._events("sink_back", "info", f"{self.figures.name} is back", sink=self.figures.name)
                self._open = self._was_open = True
                if remark := getattr(self.sink, "remark", ""):
                    self._events("audio_left_out", "warning", remark, sink=self.figures.name)
            self.sink.write(frame)
        except PictureError as error:
            self.figures.failed += 1
            if len(self.unwritten) < 1000:
                self.unwritten.append(str(error))
            level = "warning" if self._live else "error"  # of a file each is named
            self._events("frame_unwritten", level, str(error), sink=self.figures.name)
        except SinkError as error:
            self.figures.failed += 1
            if not (self._live and (self._was_open or isinstance(error, SinkLost))):
                raise
            self._close()
            self._retry_at = time.monotonic() + self._backoff.next_s()
            self._events(
                "sink_lost",
                "warning",
                f"{error}; opening it again",
                sink=self.figures.name,
                fault=type(error).__name__,
            )
        except MemoryError:
            self.figures.failed += 1
            self._events("out_of_memory", "warning", f"not enough memory to write a frame to {self.figures.name}")
        else:
            self._backoff.reset()
            self._all.note_delivery(self.figures, frame.captured_at)
            for line in getattr(self.sink, "left_out", ()):
                if len(self.left_out) < 1000:
                    self.left_out.append(line)
                self._events("metadata_left_out", "warning", line, sink=self.figures.name)

    def _close(self) -> None:
        self._open = False
        try:
            self.sink.close()
        except SinkError as error:
            if not self._live and self.fault is None:
                self.fault = error
            self._events("sink_close_failed", "warning", str(error), sink=self.figures.name)


class Handover:
    """In place of an `Outlet`, where the program itself takes the frames from the mailbox."""

    def __init__(self, name: str, live: bool) -> None:
        self.mailbox = Mailbox(1 if live else 2, newest_wins=live)
        self.figures = SinkFigures(name)
        self.fault: EdgeError | None = None
        self.unwritten: list[str] = []
        self.left_out: list[str] = []
        self.drain_s = 0.0
        self.made = ""

    def start(self) -> None:
        """There is no thread to start."""

    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        """There is no thread to wait for."""
