"""``python -m edge.bench BUNDLE...``: how fast, how clear, on this machine."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.arguments import frame_size, number_above, whole_from

if TYPE_CHECKING:
    from edge.measure.gallery import Gallery
    from edge.measure.record import Measurement
    from edge.measure.session import Opened, Settings

WRITE_EVERY_S = 60.0
EXAMPLES = """\
examples:
  python -m edge.bench edge-m-openvino-int8                  ten seconds of 640x480 frames, single stream
  python -m edge.bench fp32 int8 --data pairs/               two bundles, with PSNR and SSIM on hazy/ and clear/
  python -m edge.bench fp32 int8 --compare                   in turns: noise of the machine falls on both alike
  python -m edge.bench bundle.zip --sustained 30             what minute 30 looks like: rate, clock, temperature
  python -m edge.bench bundle.zip --quick                    a first look, under 15 seconds
  python -m edge.report measurements                         the page that shows it all
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.bench",
        description="Measures bundles on this machine: start-up, time of every frame, and with --data how clear the "
        "pictures get, on the very artefact and runtime that was timed. Writes one JSON file for each bundle.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("bundles", nargs="+", metavar="BUNDLE", help="bundle folder or .zip, as edge.export made it")
    p.add_argument("--data", metavar="DIR", help="pairs to score on: hazy/ and clear/ (or gt/) in it")
    p.add_argument("--quick", action="store_true", help="a short run, good for a look, not for a table")
    p.add_argument("--compare", action="store_true", help="bundles take turns in one run, and ratios are given")
    p.add_argument(
        "--sustained",
        type=number_above(0, 24 * 60),
        metavar="MIN",
        help="then run on for MIN minutes: heat, clock, rate",
    )
    p.add_argument(
        "--resume",
        action="store_true",
        help="leave out what --out already has of this very call, and go on with a --sustained run that was cut",
    )
    p.add_argument(
        "--size", type=frame_size, default=(640, 480), metavar="WxH", help="of the frames (default: 640x480)"
    )
    p.add_argument(
        "--threads", type=whole_from(1), metavar="N", help="processor threads (default: the target's choice)"
    )
    p.add_argument("--device", default="auto", help="as edge.doctor lists them (default: auto, the best that is here)")
    p.add_argument("--board", metavar="NAME", help="what to call this machine (default: its own name)")
    p.add_argument("--out", type=Path, default=Path("measurements"), metavar="DIR", help="(default: measurements)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.compare and args.sustained:
        parser().error("--sustained runs one bundle after the other: leave --compare out")
    if args.compare and len(args.bundles) < 2:
        parser().error("--compare needs two bundles or more")
    typed = shlex.join(["python", "-m", "edge.bench", *(sys.argv[1:] if argv is None else argv)])

    from edge.measure import accuracy, loop, session
    from edge.measure.gallery import Gallery
    from edge.measure.machine import this_machine

    data = accuracy.open_pairs(args.data) if args.data else None
    settings = session.Settings(
        machine=this_machine(args.board),
        command=typed,
        device=args.device,
        threads=args.threads,
        plan=loop.QUICK if args.quick else loop.FULL,
        quick=args.quick,
        frames=session.frames_of(args.bundles, data, args.size),
        data=data,
    )
    bundles = _left(args, settings) if args.resume else list(args.bundles)
    turns = [bundles] if args.compare else [[path] for path in bundles]
    pictures = Gallery(data)
    for paths in turns:
        if paths:
            _measure(paths, args, settings, pictures)
    print(args.out)
    return 0


def _measure(paths: list[str], args: argparse.Namespace, settings: Settings, gallery: Gallery) -> None:
    """Measure bundles that take turns, or one alone; a file each."""
    from edge.measure import fresh, session, store
    from edge.measure.accuracy import Before

    opened = [session.open_bundle(path, settings) for path in paths]
    try:
        label = " and ".join(o.subject.name for o in opened)
        timed = session.run(opened, settings, show_share(f"{label}: timing"))
        for path, o, bare in zip(paths, opened, timed, strict=True):
            frame = Before("frame", "", settings.frames[0], settings.frames[0])
            measured = gallery.add(o.dehaze, bare, frame)
            alone = fresh.start(path, settings.device, settings.threads, (bare.run.width, bare.run.height))
            startup = replace(measured.startup, import_ms=alone.import_ms)
            measured = replace(measured, startup=startup, memory=alone.memory)
            if not args.quick:
                measured = replace(measured, layers=session.layers(path, settings))
            file = store.write(measured, session.new_file(args.out, measured))
            print(f"{session.summary_line(measured)}\n  {file}", flush=True)
            if args.sustained:
                measured = _sustain(o, measured, file, args.sustained, settings)
            for other, with_maps in gallery.compare_with_float(measured, file):
                store.write(with_maps, other)
    finally:
        for o in opened:
            o.close()


def _sustain(opened: Opened, measured: Measurement, file: Path, minutes: float, settings: Settings) -> Measurement:
    """Run on for minutes; what is known is in the file at least once a minute, and when the run is cut."""
    from edge.measure import session, store

    label, written, latest = f"{opened.subject.name}: {minutes:g} minutes", time.monotonic(), measured
    try:
        for sustained in session.sustain(opened, settings, minutes, show_share(label), measured.sustained):
            latest = session.with_sustained(measured, sustained)
            if time.monotonic() - written > WRITE_EVERY_S:
                store.write(latest, file)
                written = time.monotonic()
    finally:
        store.write(latest, file)
    if latest.sustained:
        first, last = latest.sustained.moments[0], latest.sustained.moments[-1]
        marks = "".join(f" [{mark}]" for mark in latest.marks if mark.startswith(session.WHILE_SUSTAINED))
        print(f"  after {minutes:g} minutes {last.fps:.0f} frames/s (at first {first.fps:.0f}){marks}", flush=True)
    return latest


def _left(args: argparse.Namespace, settings: Settings) -> list[str]:
    """The bundles that no file in --out answers yet; a sustained run that was cut is brought to its end here."""
    from edge.bundle import Bundle
    from edge.measure import resume

    found = list(resume.found(args.out))
    left, answers = [], []
    for path in args.bundles:
        wanted = resume.Wanted(
            bundle=Bundle.read(path).digest,
            machine=settings.machine.id,
            data=settings.data.digest if settings.data else None,
            device=settings.device,
            threads=settings.threads,
            size=args.size,
            quick=settings.quick,
            minutes=args.sustained,
        )
        answers.append(next((m for _, m in reversed(found) if wanted.answered(m)), None))
        begun = next(((file, m) for file, m in reversed(found) if wanted.begun(m) is not None), None)
        if answers[-1] is None and begun is not None:
            _go_on(path, *begun, args.sustained, settings)
        elif answers[-1] is None:
            left.append(path)
    if args.compare and not resume.in_turns(answers):
        left = list(args.bundles)
    for path, answer in zip(args.bundles, answers, strict=True):
        if answer is not None and path not in left:
            command.say(f"{path}: already measured, in {args.out}")
    return left


def _go_on(path: str, file: Path, measured: Measurement, minutes: float, settings: Settings) -> None:
    """Bring a sustained run to its end: the minutes that it had count."""
    from edge.measure import loop, session

    opened = session.open_bundle(path, settings)
    try:
        loop.warm_up(opened.dehaze, settings.frames, settings.plan)
        if measured.sustained is not None:
            passed = measured.sustained.moments[-1].at_s / 60
            command.say(f"{path}: goes on at minute {passed:.1f}, in {file}")
            pause = f"the sustained run paused at minute {passed:.1f}"
            measured = replace(measured, marks=(*measured.marks, pause))
        _sustain(opened, measured, file, minutes, settings)
    finally:
        opened.close()


def show_share(label: str) -> Callable[[float], None]:
    """Shows on a terminal how far a run is; silent elsewhere."""
    shown = sys.stderr.isatty()

    def show(share: float) -> None:
        if shown:
            print(f"\r\033[K{label} {share:.0%}\r" if share < 1 else "\r\033[K", end="", file=sys.stderr, flush=True)

    return show


if __name__ == "__main__":
    sys.exit(command.run(main))
