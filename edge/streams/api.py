"""`edge.stream`: clear frames in a Python loop."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edge import forks
from edge.errors import EdgeError
from edge.streams.controls import Controls
from edge.streams.events import Event, Events
from edge.streams.faults import BrokenFrame, ModelFault
from edge.streams.frame import Frame
from edge.streams.intake import IntakeOptions
from edge.streams.mailbox import Closed
from edge.streams.outlet import Handover
from edge.streams.sources import Source, make_source
from edge.streams.sources.iterable import IterableSource
from edge.streams.spec import parse_source
from edge.streams.stream import Stream, StreamOptions, running

if TYPE_CHECKING:
    from edge.bundle import Bundle


def stream(
    source: str | Path | Iterable[Any],
    bundle: str | Path | Bundle,
    *,
    device: str = "auto",
    threads: int | None = None,
    strength: float = 1.0,
    smooth: float = 0.0,
    auto: bool = False,
    fps: float | None = None,
    max_latency_ms: float | None = None,
    live: bool | None = None,
    reconnect: bool = False,
    stall_s: float = 5.0,
    controls: Controls | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Frames:
    """Clear frames, one after the other, while the next ones are captured and cleared in the background.

    >>> for frame in edge.stream("rtsp://camera/1", "edge-m-openvino-int8"):   # doctest: +SKIP
    ...     detect(frame.picture, frame.time)

    Args:
        source: as `--source` of edge.run; or an iterable of uint8 RGB arrays (H, W, 3), or of pairs of such an array
            and its time stamp in seconds.
        bundle: path of a bundle, or one that was read.
        device, threads, strength, smooth, auto, fps, max_latency_ms: as the options of edge.run.
        live: frames come at their own pace and the newest wins. The source's own nature unless told; an iterable is
            not live.
        reconnect: open a live source again when it is lost, rather than raise.
        stall_s: a live source that gives nothing for so long counts as stalled.
        controls: holds strength, smooth and auto instead, to change them meanwhile.
        on_event: called with each event; they go nowhere unless told.

    Returns:
        An iterator of `Frame`: picture (uint8 RGB, yours to keep), number, time, captured_at, name. Nothing is opened
        before the first is asked for; what is raised below is raised then, or later.

    Raises:
        SourceError: the source cannot be opened, or ended before its first frame.
        SourceLost, SourceStalled: a live source went away (without `reconnect`).
        ModelFault, BrokenFrame: the model failed on frames of a source that is not live, or they could not be
            decoded; raised at the end, after all the others, and an event names each. Of a live source, only where
            all frames are broken.
        BundleError, DeviceUnavailable, MissingPackage: as `edge.Dehazer`.
    """
    closing = Closing()

    def run() -> Generator[Frame, None, None]:
        from edge.dehazer import Dehazer

        make, is_live = _source_maker(source, fps, live)
        intake = IntakeOptions(live=is_live, reconnect=reconnect, fps=fps)
        running_stream = Stream(
            make,
            lambda: Dehazer(bundle, device, threads),
            [],
            StreamOptions(intake, max_latency_ms=max_latency_ms, stall_s=stall_s),
            controls=controls or Controls(strength, smooth, auto),
            events=Events(closing.telling(on_event or (lambda event: None))),
        )
        hand = Handover("program", live=is_live)
        running_stream.add_outlet(hand)
        try:
            with running(running_stream):
                yield from _frames(running_stream, hand, closing)
        except EdgeError:
            if not closing.asked.is_set():  # else nobody waits for what it was closed in the middle of
                raise
        else:
            if not closing.asked.is_set():
                _raise_for_faulty(running_stream)

    return Frames(run(), closing)


class Closing:
    """Whether a stream is to end, which any thread may ask for.

    Attributes:
        asked: set where it is.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._telling: set[int] = set()

    def telling(self, tell: Callable[[Event], None]) -> Callable[[Event], None]:
        """The same, known meanwhile to be called by a thread of the stream's own."""

        def told(event: Event) -> None:
            me = threading.get_ident()
            self._telling.add(me)
            try:
                tell(event)
            finally:
                self._telling.discard(me)

        return told

    def may_wait(self) -> bool:
        """Whether this thread may wait for the stream to end: not one that the stream waits for."""
        return threading.get_ident() not in self._telling


class Frames(Iterator[Frame], forks.OfOneProcess):
    """The clear frames of a stream, as they come. Closed or no longer used, it lets camera and model go.

    Threads take turns; each frame goes to one of them.
    """

    ends = 0

    def __init__(self, frames: Generator[Frame, None, None], closing: Closing) -> None:
        self._frames, self._closing = frames, closing
        self._turn, self._inherited = threading.RLock(), False
        forks.watch(self)

    def __next__(self) -> Frame:
        if self._inherited:
            raise EdgeError("this stream belongs to the parent of this process; start one here with edge.stream")
        with self._turn:
            return next(self._frames)

    def close(self) -> None:
        """End the stream, from any thread; the loop over it ends, and camera and model are let go when this returns.

        Called by `on_event`, or by a signal's handler while the loop waits for a frame, it returns at once and the
        loop sees to the rest.
        """
        self._closing.asked.set()
        if self._inherited or not self._closing.may_wait():
            return
        with self._turn:
            if (
                inspect.getgeneratorstate(self._frames) != inspect.GEN_RUNNING
            ):  # else this thread is in it: a signal's handler
                self._frames.close()

    def forked(self) -> None:
        """See `edge.forks`."""
        self._inherited = True
        forks.never_free(self._frames)

    def ending(self) -> None:
        """See `edge.forks`."""
        self.close()

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _raise_for_faulty(ended: Stream) -> None:
    """
    Raises:
        ModelFault, BrokenFrame: frames are missing that should have come.
    """
    if ended.live and ended.figures.processed:
        return
    faulty = ended.faulty_frames()
    if faulty:
        fault = ModelFault if ended.uncleared else BrokenFrame
        first = ended.uncleared[0] if ended.uncleared else faulty[0]
        raise fault(f"{ended.figures.broken} of {ended.figures.captured} frames could not be done; the first: {first}")


def _frames(running_stream: Stream, hand: Handover, closing: Closing) -> Iterator[Frame]:
    watch = running_stream.watch()
    over = False
    while not closing.asked.is_set():
        try:
            frame = hand.mailbox.get(0 if over else 0.05)
        except Closed:
            return
        if frame is not None:
            running_stream.figures.note_delivery(hand.figures, frame.captured_at)
            yield frame
        elif over:
            return
        else:
            over = next(watch, "over") == "over"


def _source_maker(
    source: str | Path | Iterable[Any], fps: float | None, live: bool | None
) -> tuple[Callable[[], Source], bool]:
    if isinstance(source, str | Path):
        spec = parse_source(str(source))
        first = make_source(spec, fps)
        return (lambda: make_source(spec, fps)), first.live if live is None else live
    own = IterableSource(source, bool(live))
    return (lambda: own), bool(live)
