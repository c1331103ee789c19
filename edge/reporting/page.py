"""The page: one HTML file with everything in it, which opens no connection."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge import __version__, command
from edge.measure.record import PictureScore, Shown
from edge.reporting import charts
from edge.reporting.choice import Verdict, Wish, main_data, pareto
from edge.reporting.rows import Entry

MOST_PICTURES = 8


@dataclass(frozen=True)
class Column:
    """A column of the table: a row's field, its heading, and how its numbers are written."""

    field: str
    heading: str
    decimals: int | None = None
    title: str = ""


COLUMNS = (
    Column("bundle", "Bundle"),
    Column("board", "Board"),
    Column("device", "Device", title="where it really ran"),
    Column("ran", "Precision", title="in which it really ran"),
    Column("threads", "Threads"),
    Column("p50_ms", "p50, ms", 2, "median time of a frame"),
    Column("p90_ms", "p90, ms", 2, "nine frames of ten are done by then"),
    Column("p99_ms", "p99, ms", 2),
    Column("fps", "frames/s", 0, "end to end, capture included"),
    Column("psnr_db", "PSNR, dB", 2, "mean over the pictures, full resolution"),
    Column("ssim", "SSIM", 3, "mean over the pictures"),
    Column("psnr_drop_db", "Drop, dB", 2, "what the precision costs against float32"),
    Column("size_mb", "Size, MB", 2),
    Column("marks", "Marks", title="what to know before trusting the row"),
)


@dataclass(frozen=True)
class Pictured:
    """A picture of an entry, with its scores where it was scored."""

    entry: Entry
    shown: Shown
    score: PictureScore | None


def render(
    entries: Sequence[Entry], verdicts: Sequence[Verdict], wish: Wish, left_out: Sequence[str], typed: str
) -> str:
    """The HTML page.

    Raises:
        MissingPackage: jinja2, altair or vl-convert-python is not installed.
    """
    jinja2 = command.require("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edge.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    data = main_data(entries)
    scored = [e for e in entries if e.data_digest == data and data]
    page = environment.get_template("page.html.j2")
    return page.render(
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=typed,
        entries=entries,
        labels=charts.labels_of(entries),
        verdicts=verdicts,
        columns=[c for c in COLUMNS if any(getattr(e.row, c.field) not in (None, "") for e in entries)],
        data=scored[0].row.data if scored else None,
        pictures_scored=len(scored[0].measurement.quality.pictures) if scored else 0,
        other_data=sorted({e.row.data for e in entries if e.row.data and e.data_digest != data}),
        front=pareto(scored),
        charts=_charts(entries, scored, wish),
        pictures=pictures(entries, verdicts),
        left_out=left_out,
        several_boards=len({e.machine for e in entries}) > 1,
        vega=_vega(),
        style=_asset("page.css"),
        script=_asset("page.js"),
    )


def pictures(entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> list[Pictured]:
    """Up to eight before/after pictures: of the chosen entry first, then of the others in turn."""
    chosen = [v.entry for v in verdicts if v.entry is not None]
    order = list(dict.fromkeys(e.path for e in (*chosen, *entries) if e.measurement.shown))
    by_path = {e.path: e for e in entries}
    found: list[Pictured] = []
    seen: set[tuple[str, str, str]] = set()
    for path in order:
        entry = by_path[path]
        scores = {p.name: p for p in entry.measurement.quality.pictures} if entry.measurement.quality else {}
        for shown in entry.measurement.shown:
            key = (entry.measurement.subject.digest, entry.data_digest, shown.name)
            if len(found) < MOST_PICTURES and key not in seen:
                seen.add(key)
                found.append(Pictured(entry, shown, scores.get(shown.name)))
    return found


def number(value: Any, decimals: int | None = None) -> str:
    """A figure as the table writes it; an en dash where there is none."""
    if value is None or value == "":
        return "–"
    if decimals is None or isinstance(value, str):
        return str(value)
    return f"{value:,.{decimals}f}".replace(",", "\u202f")


def _charts(entries: Sequence[Entry], scored: Sequence[Entry], wish: Wish) -> dict[str, Any]:
    made = {"split": charts.frame_time_split(entries[: charts.MOST_BARS])}
    if scored:
        made["pareto"] = charts.accuracy_against_latency(scored, wish)
    return made


def _vega() -> str:
    """Vega, Vega-Lite and vega-embed in one script that loads nothing."""
    return command.require("vl_convert", "report").javascript_bundle()


def _asset(name: str) -> str:
    return importlib.resources.files("edge.reporting").joinpath("templates", name).read_text()
