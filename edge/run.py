"""`python -m edge.run`: frames in, clear frames out, with the model of a bundle."""

from __future__ import annotations

import argparse
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.arguments import number_above, number_from, whole_from
from edge.errors import EdgeError
from edge.streams.limits import FASTEST_FPS, LONGEST_SMOOTHING_S, SLOWEST_FPS, STRONGEST

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from edge.streams.preview import Address
    from edge.streams.spec import Spec
    from edge.streams.stream import Stream

EXAMPLES = """sources:
  hazy.jpg  photos/                     pictures; a folder's are taken by name, subfolders are not
  flight.mp4                            a video file
  /dev/video0  v4l2:0?size=1280x720&format=mjpeg
                                        a USB camera or capture card
  picamera2:0?size=1280x720             the camera of a Raspberry Pi
  argus:0?size=1280x720                 the camera of a Jetson
  rtsp://camera/1  rtsp://camera/1#transport=udp
                                        a network camera
  udp://0.0.0.0:5000                    MPEG-TS over UDP (srt:// and tcp:// likewise)
  'gst:v4l2src ! image/jpeg ! jpegdec'  a GStreamer pipeline
  - or 'raw:-?size=640x480&format=rgb24'
                                        raw frames on standard input (rgb24, bgr24, gray, yuv420p, nv12, ...)
  test:?size=640x480                    a made picture that moves

sinks (give --sink again for more than one):
  clear/                                pictures, under their names or numbered; clear/?format=jpg
                                        8 bits a channel whatever came in; EXIF (position, time) and XMP (a
                                        drone's angles) are kept, but for what a format does not take
  clear.mp4  clear.mkv  flight-{n}.mkv  H.264, playable to the last second; {n} counts, {time} is the time
                                        options: clear.mp4?crf=18&preset=fast, ?bitrate=4M, ?codec=hevc
  rtsp://server/clear  udp://host:5000  H.264 to the network; options after #, as rtsp://server/clear#bitrate=2M
  /dev/video10                          v4l2loopback: a camera for other programs
  shm:frames                            shared memory for a detector; see examples/shared_memory_detector.py
  window:                               a window on this machine's screen
  - or raw:-?format=bgr24               raw frames on standard output; raw:FILE into a file or pipe
  none:                                 nowhere, to measure or with --preview

examples:
  python -m edge.run BUNDLE --source hazy.jpg --sink clear/
  python -m edge.run BUNDLE --source flight.mp4 --sink clear.mp4
  python -m edge.run BUNDLE --source /dev/video0 --sink shm:frames --sink 'flight-{n}.mkv' --preview 8080
  python -m edge.run BUNDLE --source rtsp://camera/1 --sink udp://10.0.0.2:5000 --auto --log-format json
  python -m edge.run BUNDLE --source test: --preview 8080

While it runs: SIGUSR1 and SIGUSR2 raise and lower the strength, SIGHUP opens the bundle again, SIGTERM and SIGINT
end it with the output complete. What happens when something breaks stands in docs/faults.md.
"""
NAMED_AT_END = ("broken_frame", "model_failed", "frame_unwritten", "metadata_left_out")  # of files, where people read
TOKEN_VARIABLE = "DRACO_EDGE_TOKEN"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.run",
        description="Clear haze from pictures, video and cameras with the model of a bundle.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("bundle", metavar="BUNDLE", type=Path, help="what edge.export made: a folder or a .zip")
    p.add_argument("--source", required=True, metavar="SOURCE", help="where frames come from, see below")
    p.add_argument("--sink", action="append", metavar="SINK", help="where clear frames go, see below (default: none:)")
    p.add_argument("--device", default="auto", help="where the model runs, as edge.doctor lists it (default: auto)")
    p.add_argument(
        "--threads", type=whole_from(1), metavar="N", help="processor threads (default: the target's choice)"
    )
    p.add_argument(
        "--require-signature", type=Path, metavar="PUBLIC_KEY", help="run only a bundle that this key's owner signed"
    )
    look = p.add_argument_group("picture")
    look.add_argument(
        "--strength",
        type=number_from(0, STRONGEST),
        default=1.0,
        metavar="S",
        help="how much haze to remove, 0 to 1.5 (default: 1)",
    )
    look.add_argument(
        "--smooth",
        type=number_from(0, LONGEST_SMOOTHING_S),
        metavar="SECONDS",
        help="average the model's answer over this time, and enlarge noise less; 0 for not at all (default: 0.2 for "
        "video, 0 for pictures)",
    )
    look.add_argument("--auto", action="store_true", help="let the model rest while the air is clear")
    pace = p.add_argument_group("pace")
    pace.add_argument(
        "--fps",
        type=number_from(SLOWEST_FPS, FASTEST_FPS),
        metavar="N",
        help="ask a camera for this rate; keep at most so many frames a second",
    )
    pace.add_argument(
        "--max-latency", type=number_above(0), metavar="MS", help="drop frames of a live source older than this"
    )
    pace.add_argument("--realtime", action="store_true", help="play a file at its own speed")
    pace.add_argument("--frames", type=whole_from(1), metavar="N", help="end after so many frames of the source")
    faults = p.add_argument_group("faults")
    faults.add_argument("--wait", action="store_true", help="wait for a camera or stream that is not there yet")
    faults.add_argument("--no-reconnect", action="store_true", help="end when a live source is lost")
    faults.add_argument(
        "--stall",
        type=number_above(0),
        default=5.0,
        metavar="SECONDS",
        help="open a live source again that is silent so long (5)",
    )
    faults.add_argument("--overwrite", action="store_true", help="replace a recorded file that exists")
    sight = p.add_argument_group("sight")
    sight.add_argument(
        "--preview",
        metavar="PORT",
        help="a page with before, after, figures and strength, with /metrics and /health; HOST:PORT lets others in, "
        f"with a token ({TOKEN_VARIABLE} in the environment, or one that is made)",
    )
    sight.add_argument("--log-format", choices=("text", "json"), default="text", help="of the lines on standard error")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.log_format == "text":
        return _main(args)
    from edge.streams.events import Events

    try:
        return _main(args)
    except EdgeError as error:
        Events(as_json=True)("failed", "error", str(error), fault=type(error).__name__)
        return command.exit_status(error)


def _main(args: argparse.Namespace) -> int:
    from edge.streams.spec import parse_sink, parse_source

    source = parse_source(args.source)
    sinks = [parse_sink(text) for text in args.sink or ["none:"]]
    _keep_originals(source, sinks)
    return _run(args, source, sinks)


def _run(args: argparse.Namespace, source: Spec, sinks: list[Spec]) -> int:
    from edge.dehazer import Dehazer
    from edge.streams.controls import Controls
    from edge.streams.events import Events
    from edge.streams.intake import IntakeOptions
    from edge.streams.memory import keep_heap
    from edge.streams.session import Session
    from edge.streams.sinks import make_sink
    from edge.streams.sources import make_source
    from edge.streams.stream import Stream, StreamOptions

    keep_heap()
    live = make_source(source, args.fps).live
    smooth_s = args.smooth if args.smooth is not None else 0.0 if source.kind == "pictures" else 0.2
    controls = Controls(args.strength, smooth_s, args.auto)
    as_json = args.log_format == "json"
    events = Events(as_json=as_json, untold=() if live or as_json else NAMED_AT_END)
    began = time.perf_counter()
    stream = Stream(
        lambda: make_source(source, args.fps),
        lambda: Dehazer(_bundle(args.bundle, args.require_signature), args.device, args.threads),
        [(spec.text, make_sink(spec, live, args.overwrite)) for spec in sinks],
        StreamOptions(
            IntakeOptions(
                live=live,
                reconnect=not args.no_reconnect,
                wait=args.wait,
                fps=args.fps,
                realtime=args.realtime,
                frames=args.frames,
            ),
            max_latency_ms=args.max_latency,
            stall_s=args.stall,
        ),
        controls=controls,
        events=events,
    )
    Session(stream, controls, events, preview=_preview_address(args.preview), source=source.text).run()
    return _tell_outcome(stream, time.perf_counter() - began, as_json)


def _bundle(path: Path, public_key: Path | None) -> Path | Bundle:
    """The bundle to open: its path, or what was read of it when its signature was checked."""
    if public_key is None:
        return path
    from edge.signing import require_signature

    return require_signature(path, public_key)


def _preview_address(text: str | None) -> Address | None:
    if text is None:
        return None
    import secrets

    from edge.streams.preview import Address

    return Address.parse(text, os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(16))


def _tell_outcome(stream: Stream, seconds: float, as_json: bool) -> int:
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
    if lost := figures.dropped + first.dropped:
        parts.append(f"{lost} dropped for newer ones")
    if figures.uncleared:
        parts.append(f"{figures.uncleared} passed as they came")
    stream.events("ended", "info", ", ".join(parts))
    if not as_json:
        _name_each("warning", [line for outlet in stream.outlets for line in outlet.left_out])
        _name_each("not done", faulty)
    for outlet in stream.outlets:
        if outlet.made and outlet.figures.delivered:
            print(outlet.made)
    if faulty and not stream.live:
        raise EdgeError(f"{len(faulty)} of {figures.captured} could not be done; they are named above")
    return 0


def _name_each(what: str, lines: list[str]) -> None:
    for line in lines[:20]:
        command.say(f"{what}: {line}")
    if len(lines) > 20:
        command.say(f"{what}: {len(lines) - 20} more")


def _keep_originals(source: Spec, sinks: list[Spec]) -> None:
    """
    Raises:
        EdgeError: a sink is the place that the source reads from, would write over a file that is read, whatever
            links lead there, or two sinks are the same place.
    """
    places = [_resolved(spec) for spec in sinks if spec.kind != "none"]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise EdgeError(f"--sink {place[1]} is given twice")
    read = _files_read(source)
    originals = {identity for file in read if (identity := _identity(file))}
    folder = Path(source.place) if Path(source.place).is_dir() else Path(source.place).parent
    for sink in sinks:
        onto_folder = source.kind == sink.kind == "pictures" and Path(sink.place).resolve() == folder.resolve()
        if onto_folder or any(_identity(file) in originals for file in _files_written(sink, read)):
            raise EdgeError(f"--sink {sink.text} would overwrite the source; choose another place")


def _resolved(spec: Spec) -> tuple[str, str]:
    """Equal for two sinks that are one place, and the second part a name for it."""
    if spec.kind in ("pictures", "video") or (spec.kind == "raw" and spec.place not in ("", "-")):
        return "file", str(Path(spec.place).resolve())
    return spec.kind, spec.place if spec.place not in ("", "-") else f"{spec.kind}:"


def _files_read(source: Spec) -> list[Path | int]:
    """The files that a source reads: paths, or 0 for standard input."""
    if source.kind == "raw" and source.place in ("", "-"):
        return [0]
    path = Path(source.place)
    if source.kind == "pictures" and path.is_dir():
        from edge.pictures import picture_files

        return [*picture_files(path)]
    return [path] if source.kind in ("pictures", "video", "raw") else []


def _files_written(sink: Spec, read: list[Path | int]) -> list[Path]:
    """The files that a sink replaces when these are read."""
    if sink.kind == "pictures":
        from edge.streams.sinks.pictures import target_name

        suffix = sink.options.get("format")
        return [Path(sink.place, target_name(file.name, suffix)) for file in read if isinstance(file, Path)]
    return [Path(sink.place)] if sink.kind in ("video", "raw") else []


def _identity(file: Path | int) -> tuple[int, int] | None:
    """The same for all names of one regular file; None for what is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


if __name__ == "__main__":
    command.leave(command.run(main))
