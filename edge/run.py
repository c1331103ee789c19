"""`python -m edge.run`: frames in, clear frames out, with the model of a bundle."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.streams.spec import Spec
    from edge.streams.stream import Stream

EXAMPLES = """examples:
  python -m edge.run BUNDLE --source hazy.jpg --sink clear/         one picture; clear/hazy.jpg is written
  python -m edge.run BUNDLE --source photos/ --sink clear/          a folder of pictures, under their own names
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.run",
        description="Clear haze from pictures, video and cameras with the model of a bundle.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("bundle", metavar="BUNDLE", type=Path, help="what edge.export made: a folder or a .zip")
    p.add_argument("--source", required=True, metavar="SOURCE", help="where frames come from; see the examples")
    p.add_argument("--sink", action="append", metavar="SINK", help="where clear frames go; may be given again")
    p.add_argument("--device", default="auto", help="where the model runs, as edge.doctor lists it (default: auto)")
    p.add_argument("--threads", type=int, metavar="N", help="processor threads (default: the target's choice)")
    p.add_argument(
        "--strength", type=float, default=1.0, metavar="S", help="how much haze to remove, 0 to 1.5 (default: 1)"
    )
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    from edge.streams.spec import parse_sink, parse_source

    source = parse_source(args.source)
    sinks = [parse_sink(text) for text in args.sink or ["none"]]
    _keep_originals(source, sinks)
    return _run(args, source, sinks)


def _run(args: argparse.Namespace, source: Spec, sinks: list[Spec]) -> int:
    from edge.bundle import Bundle
    from edge.dehazer import Dehazer
    from edge.streams.intake import IntakeOptions
    from edge.streams.sinks import make_sink
    from edge.streams.sources import make_source
    from edge.streams.stream import Stream, StreamOptions, running

    live = make_source(source).live
    stream = Stream(
        lambda: make_source(source),
        lambda: Dehazer(Bundle.read(args.bundle), args.device, args.threads, args.strength),
        [(spec.text, make_sink(spec, live)) for spec in sinks],
        StreamOptions(IntakeOptions(live=live)),
    )
    began = time.perf_counter()
    with running(stream):
        show = _Progress(stream)
        for _ in stream.watch():
            show()
        show.vanish()
    return _tell_outcome(stream, time.perf_counter() - began)


def _tell_outcome(stream: Stream, seconds: float) -> int:
    figures = stream.figures
    faulty = stream.faulty_frames()
    first = figures.sinks[0]
    if len(faulty) == figures.captured == 1:
        raise EdgeError(faulty[0])
    model = figures.model_ms.percentile(50)[0]
    parts = [f"{first.delivered} of {figures.captured} frames in {seconds:.1f} s"]
    if first.delivered:
        parts.append(f"{first.delivered / seconds:.1f} a second")
    if model is not None:
        parts.append(f"model {model:.1f} ms on {stream.clearing.dehazer.device}")
    command.say(", ".join(parts))
    for line in faulty[:20]:
        command.say(f"not done: {line}")
    if len(faulty) > 20:
        command.say(f"not done: {len(faulty) - 20} more")
    for outlet in stream.outlets:
        if outlet.sink.made and first.delivered:
            print(outlet.sink.made)
    if faulty:
        raise EdgeError(f"{len(faulty)} of {figures.captured} could not be done; they are named above")
    return 0


def _keep_originals(source: Spec, sinks: list[Spec]) -> None:
    """
    Raises:
        EdgeError: a sink is the place that the source reads from.
    """
    place = Path(source.place)
    if source.kind == "pictures":
        place = place if place.is_dir() else place.parent
    elif source.kind != "video":
        return
    for sink in sinks:
        if sink.kind == source.kind and Path(sink.place).resolve() == place.resolve():
            raise EdgeError(f"--sink {sink.text} would overwrite the source; choose another place")


class _Progress:
    """One line of standard error while it is a terminal."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._shown = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + 0.2
        figures, info = self._stream.figures, self._stream.intake.info
        total = f"/{info.frames}" if info and info.frames else ""
        line = f"frame {figures.sinks[0].delivered}{total}, {figures.rate.per_second():.1f} a second"
        if figures.dropped:
            line += f", {figures.dropped} dropped"
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def vanish(self) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(command.run(main))
