"""``python -m edge.report [DIR]``: measurements to one page that answers which model on which board."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from edge import command
from edge.arguments import number_above, number_from
from edge.errors import EdgeError

EXAMPLES = """\
examples:
  python -m edge.report                                      what lies in measurements/, to report/
  python -m edge.report measurements --budget 33             the clearest that keeps 30 frames a second
  python -m edge.report --fail-if 'p90_ms > 33 or psnr_drop_db > 0.1'
  python -m edge.report new/ --baseline old/                 slower, or less clear, beyond noise?
  python -m edge.report pi5/ orin/ nuc.json --out boards     many boards on one page
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.report",
        description="Makes one HTML file (report.html, needs no network), a Markdown table (report.md) and a CSV "
        "(report.csv) from the measurements that edge.bench wrote, of any number of boards; with --fail-if or "
        "--baseline also junit.xml.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "places", nargs="*", type=Path, metavar="DIR", help="folders or files of measurements (default: measurements)"
    )
    p.add_argument("--out", type=Path, default=Path("report"), metavar="DIR", help="(default: report)")
    p.add_argument("--budget", type=number_above(0), metavar="MS", help="milliseconds for a frame, at p90")
    p.add_argument("--min-psnr", type=number_from(0), metavar="DB", help="no less than this PSNR")
    p.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="EXPR",
        help="exit with 1 where this holds for a row, or a figure that it needs was not measured; may be given several "
        "times (figures: the columns of report.csv)",
    )
    p.add_argument(
        "--baseline",
        type=Path,
        metavar="DIR",
        help="earlier measurements: exit with 1 where frames or their p90 got slower, pictures less clear, or nothing "
        "here has a counterpart there",
    )
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    typed = shlex.join(["python", "-m", "edge.report", *(sys.argv[1:] if argv is None else argv)])

    from edge.reporting import choice, machine_readable, markdown, page, rows, verdict
    from edge.reporting.expression import Expression

    rules = [Expression.parse(text, rows.NAMES) for text in args.fail_if]
    places = args.places or [Path("measurements")]
    entries, left_out = rows.collect(places)
    if not entries:
        where = ", ".join(map(str, places))
        raise EdgeError(f"no measurements in {where}; make one with: python -m edge.bench BUNDLE --out {places[0]}")
    wish = choice.Wish(args.budget, args.min_psnr)
    verdicts = choice.verdicts(entries, wish)
    comparisons = verdict.against_baseline(entries, args.baseline) if args.baseline else []
    cases = [*verdict.judge(entries, rules), *verdict.cases(comparisons)]

    html = page.render(page.Content(entries, verdicts, wish, tuple(left_out), tuple(comparisons), tuple(cases), typed))
    _write(args.out / "report.md", markdown.render(entries, verdicts, comparisons, cases))
    _write(args.out / "report.csv", machine_readable.to_csv(entries))
    if rules or args.baseline:
        _write(args.out / "junit.xml", machine_readable.to_junit(cases))
    file = _write(args.out / "report.html", html)
    for found in verdicts:
        print(found.sentence)
    for comparison in comparisons:
        print(comparison.sentence)
    failed = verdict.say_failures(cases)
    if failed:
        raise EdgeError(f"{failed}; the report is {file}")
    print(file)
    return 0


def _write(path: Path, text: str) -> Path:
    from edge.files import write_whole

    write_whole(path, text.encode())
    return path


if __name__ == "__main__":
    sys.exit(command.run(main))
