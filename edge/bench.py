"""``python -m edge.bench BUNDLE...``: how fast, how clear, on this machine."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from edge import command

EXAMPLES = """\
examples:
  python -m edge.bench edge-m-openvino-int8                  ten seconds of 640x480 frames, single stream
  python -m edge.bench fp32 int8 --data pairs/               two bundles, with PSNR and SSIM on hazy/ and clear/
  python -m edge.bench bundle.zip --quick                    a first look, under 15 seconds
  python -m edge.report measurements                         the page that shows it all
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="edge.bench",
        description="Measures bundles on this machine: start-up, time of every frame, and with --data how clear the "
        "pictures get, on the very artefact and runtime that was timed. Writes one JSON file for each bundle.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("bundles", nargs="+", metavar="BUNDLE", help="bundle folder or .zip, as edge.export made it")
    p.add_argument("--data", metavar="DIR", help="pairs to score on: hazy/ and clear/ (or gt/) in it")
    p.add_argument("--quick", action="store_true", help="a short run, good for a look, not for a table")
    p.add_argument("--size", type=_size, default=(640, 480), metavar="WxH", help="of the frames (default: 640x480)")
    p.add_argument("--threads", type=_count, metavar="N", help="processor threads (default: the target's choice)")
    p.add_argument("--device", default="auto", help="as edge.doctor lists them (default: auto, the best that is here)")
    p.add_argument("--board", metavar="NAME", help="what to call this machine (default: its own name)")
    p.add_argument("--out", type=Path, default=Path("measurements"), metavar="DIR", help="(default: measurements)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    typed = shlex.join(["python", "-m", "edge.bench", *(sys.argv[1:] if argv is None else argv)])

    from edge.measure import accuracy, loop, record, session
    from edge.measure.machine import this_machine

    data = accuracy.open_pairs(args.data) if args.data else None
    conditions = session.Conditions(
        machine=this_machine(args.board),
        command=typed,
        device=args.device,
        threads=args.threads,
        plan=loop.QUICK if args.quick else loop.FULL,
        quick=args.quick,
        frames=session.frames_of(args.bundles, data, args.size),
        data=data,
    )
    chosen: list[tuple[str, str]] = []
    for path in args.bundles:
        opened = session.open_bundle(path, conditions)
        with opened.dehazer as dehazer:
            name = opened.bundle.manifest.name
            series = loop.measure([dehazer], conditions.frames, conditions.plan, _show_share(f"{name}: timing"))[0]
            quality, shown = None, ()
            if data is not None:
                quality = accuracy.score(dehazer, data, name)
                chosen = chosen or accuracy.choose([quality])
                shown = accuracy.show(dehazer, data, chosen)
            measured = session.measurement(opened, series, quality, shown, conditions)
        file = record.write(measured, args.out / session.file_name(measured))
        print(f"{session.summary_line(measured)}\n  {file}", flush=True)
    print(args.out)
    return 0


def _show_share(label: str) -> Callable[[float], None]:
    """Shows on a terminal how far a run is; silent elsewhere."""
    shown = sys.stderr.isatty()

    def show(share: float) -> None:
        if shown:
            print(f"\r\033[K{label} {share:.0%}\r" if share < 1 else "\r\033[K", end="", file=sys.stderr, flush=True)

    return show


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match or not all(1 <= int(n) <= 16384 for n in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 640x480")
    return int(match[1]), int(match[2])


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(command.run(main))
