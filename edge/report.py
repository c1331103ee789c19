"""``python -m edge.report [DIR]``: measurements to one page that answers which model on which board."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from edge import command
from edge.errors import EdgeError

EXAMPLES = """\
examples:
  python -m edge.report                                      what lies in measurements/, to report/
  python -m edge.report measurements --budget 33             the clearest that keeps 30 frames a second
  python -m edge.report pi5/ orin/ nuc.json --out boards     many boards on one page
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="edge.report",
        description="Makes one HTML file (report.html, needs no network) and a Markdown table (report.md) from the "
        "measurements that edge.bench wrote, of any number of boards.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "places", nargs="*", type=Path, metavar="DIR", help="folders or files of measurements (default: measurements)"
    )
    p.add_argument("--out", type=Path, default=Path("report"), metavar="DIR", help="(default: report)")
    p.add_argument("--budget", type=_positive, metavar="MS", help="milliseconds for a frame, at p90")
    p.add_argument("--min-psnr", type=float, metavar="DB", help="no less than this PSNR")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    typed = shlex.join(["python", "-m", "edge.report", *(sys.argv[1:] if argv is None else argv)])

    from edge.reporting import choice, markdown, page, rows

    places = args.places or [Path("measurements")]
    entries, left_out = rows.collect(places)
    if not entries:
        where = ", ".join(map(str, places))
        raise EdgeError(f"no measurements in {where}; make one with: python -m edge.bench BUNDLE --out {places[0]}")
    wish = choice.Wish(args.budget, args.min_psnr)
    verdicts = choice.verdicts(entries, wish)
    html = page.render(entries, verdicts, wish, left_out, typed)
    _write(args.out / "report.md", markdown.render(entries, verdicts))
    file = _write(args.out / "report.html", html)
    for verdict in verdicts:
        print(verdict.sentence)
    print(file)
    return 0


def _write(path: Path, text: str) -> Path:
    from edge.pictures import whole_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgeError(f"cannot make {path.parent}: {error.strerror}") from error
    with whole_file(path) as file:
        file.write(text.encode())
    return path


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


if __name__ == "__main__":
    sys.exit(command.run(main))
