"""A stream as `edge.run` runs it: signals, watchdog, preview and progress around it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from edge.errors import EdgeError
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.pace import Backoff
from edge.streams.stream import Stream, running
from edge.streams.watchdog import Watchdog

if TYPE_CHECKING:
    from edge.streams.preview import Address, Preview

STEP = 0.1  # of strength, for each SIGUSR1 and SIGUSR2


class Session:
    """Runs a stream to its end, or until SIGTERM or SIGINT.

    SIGHUP opens the bundle again; SIGUSR1 and SIGUSR2 make the strength greater and smaller by a tenth. A second
    SIGTERM or SIGINT ends the process at once.

    Args:
        preview: where to show the stream; None for nowhere.
        source: its name, for people.
    """

    def __init__(
        self, stream: Stream, controls: Controls, events: Events, *, preview: Address | None, source: str
    ) -> None:
        self._stream = stream
        self._controls = controls
        self._events = events
        self._source = source
        self._address = preview
        self._preview: Preview | None = None
        self._preview_at = 0.0
        self._backoff = Backoff()
        self._watchdog = Watchdog()
        self._reload = False
        self._started = False
        self.interrupted = False

    def run(self) -> None:
        """
        Raises:
            EdgeError: the fault that ended the stream.
        """
        progress = _Progress(self._stream)
        with self._signals():
            try:
                with running(self._stream):
                    for _ in self._stream.watch():
                        self._look_after()
                        progress.show()
                    self._watchdog.ending()
            finally:
                progress.vanish()
                if self._preview is not None:
                    self._preview.close()

    def _look_after(self) -> None:
        figures = self._stream.figures
        delivered = sum(sink.delivered for sink in figures.sinks)
        self._watchdog.look(delivered, f"{figures.rate.per_second():.1f} frames a second")
        if delivered and self._stream.live and not self._started:
            self._started = True
            dehazer = self._stream.clearing.dehazer
            seconds = figures.delivered_at - figures.started_at
            self._events(
                "started",
                "info",
                f"{dehazer.bundle.manifest.name} runs on {dehazer.device} in {dehazer.precision}; "
                f"first frame after {seconds:.2f} s",
            )
        if self._address is not None and self._preview is None and time.monotonic() >= self._preview_at:
            self._open_preview(self._address)
        if self._reload:
            self._reload = False
            threading.Thread(target=self._stream.clearing.replace, name="bundle", daemon=True).start()

    def _open_preview(self, address: Address) -> None:
        from edge.streams.preview import Preview
        from edge.streams.status import Status

        try:
            self._preview = Preview(address, self._controls, Status(self._stream, self._controls, self._source))
        except EdgeError as error:
            self._preview_at = time.monotonic() + max(1.0, self._backoff.next_s())
            name = {"fault": type(error).__name__}
            self._events("preview_missing", "warning", f"{error}; the stream runs without preview meanwhile", **name)
        else:
            self._stream.onlooker = self._preview
            self._events("preview", "info", f"preview at {self._preview.url}", url=self._preview.url)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {
            signal.SIGTERM: self._end,
            signal.SIGINT: self._end,
            signal.SIGHUP: self._open_again,
            signal.SIGUSR1: lambda *_: self._controls.stronger(STEP),
            signal.SIGUSR2: lambda *_: self._controls.stronger(-STEP),
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.interrupted:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.interrupted = True
        self._stream.stop()

    def _open_again(self, *_: Any) -> None:
        self._reload = True


class _Progress:
    """One line of standard error while it is a terminal."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._shown = sys.stderr.isatty()
        self._next = 0.0

    def show(self) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + 0.2
        figures, info = self._stream.figures, self._stream.intake.info
        total = f"/{info.frames}" if info and info.frames else ""
        line = f"frame {figures.sinks[0].delivered}{total}, {figures.rate.per_second():.1f} a second"
        lost = figures.dropped + sum(sink.dropped for sink in figures.sinks)
        if lost:
            line += f", {lost} dropped"
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def vanish(self) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
