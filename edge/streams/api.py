"""`edge.stream`: clear frames in a Python loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
) -> Iterator[Frame]:
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

    Yields:
        `Frame`: picture (uint8 RGB, yours to keep), number, time, captured_at, name.

    Raises:
        SourceError: the source cannot be opened, or ended before its first frame.
        SourceLost, SourceStalled: a live source went away (without `reconnect`).
        ModelFault, BrokenFrame: the model failed on frames of a source that is not live, or they could not be
            decoded; raised at the end, after all the others, and an event names each. Of a live source, only where
            all frames are broken.
        BundleError, DeviceUnavailable, MissingPackage: as `edge.Dehazer`.
    """
    from edge.dehazer import Dehazer

    make, is_live = _source_maker(source, fps, live)
    running_stream = Stream(
        make,
        lambda: Dehazer(bundle, device, threads),
        [],
        StreamOptions(
            IntakeOptions(live=is_live, reconnect=reconnect, fps=fps), max_latency_ms=max_latency_ms, stall_s=stall_s
        ),
        controls=controls or Controls(strength, smooth, auto),
        events=Events(on_event or (lambda event: None)),
    )
    hand = Handover("program", live=is_live)
    running_stream.add_outlet(hand)
    with running(running_stream):
        yield from _frames(running_stream, hand)
    _raise_for_faulty(running_stream)


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


def _frames(running_stream: Stream, hand: Handover) -> Iterator[Frame]:
    watch = running_stream.watch()
    over = False
    while True:
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
