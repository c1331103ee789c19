"""The page: one HTML file with everything in it, which opens no connection."""

from __future__ import annotations

import contextlib
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from edge import __version__, command
from edge.errors import EdgeError
from edge.measure.record import ErrorMap, PictureScore, Shown
from edge.pictures import whole_file
from edge.reporting import charts
from edge.reporting.choice import Verdict, Wish, main_data, pareto
from edge.reporting.machine_readable import Case
from edge.reporting.regressions import Comparison
from edge.reporting.rows import Entry
from targets.cache import cache_folder

MOST_PICTURES = 8
MOST_MAPS = 4


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
    Column("ran", "Precision", title="in which it really ran"),
    Column("p90_ms", "p90, ms", 2, "nine frames of ten are done by then"),
    Column("psnr_db", "PSNR, dB", 2, "mean over the pictures, full resolution"),
    Column("ssim", "SSIM", 3, "mean over the pictures"),
    Column("psnr_drop_db", "Drop, dB", 2, "what the precision costs against float32"),
    Column("p50_ms", "p50, ms", 2, "median time of a frame"),
    Column("p99_ms", "p99, ms", 2),
    Column("fps", "frames/s", 0, "end to end, capture included"),
    Column("energy_mj", "Energy, mJ", 1, "of a frame; the whole board or processor, idle power included"),
    Column("memory_mb", "Memory, MB", 0, "the process's peak less what it held before"),
    Column("temperature_c", "°C", 0, "highest during the run"),
    Column("sustained_fps", "Sustained, frames/s", 0, "at the end of the sustained run"),
    Column("size_mb", "Size, MB", 2),
    Column("device", "Device", title="where it really ran"),
    Column("threads", "Threads"),
    Column("marks", "Marks", title="what to know before trusting the row"),
)


@dataclass(frozen=True)
class Pictured:
    """A picture of an entry, with its scores where it was scored."""

    entry: Entry
    shown: Shown
    score: PictureScore | None


@dataclass(frozen=True)
class Content:
    """All that the page shows."""

    entries: Sequence[Entry]
    verdicts: Sequence[Verdict]
    wish: Wish
    left_out: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    cases: tuple[Case, ...]
    command: str


def render(content: Content) -> str:
    """The HTML page.

    Raises:
        MissingPackage: jinja2, altair or vl-convert-python is not installed.
    """
    jinja2 = command.require("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edge.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    entries = content.entries
    data = main_data(entries)
    scored = [e for e in entries if e.data_digest == data and data]
    return environment.get_template("page.html.j2").render(
        version=__version__,
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        command=content.command,
        entries=entries,
        labels=charts.labels_of(entries),
        verdicts=content.verdicts,
        comparisons=content.comparisons,
        failed=[c for c in content.cases if c.failed],
        columns=columns_of(entries),
        data=scored[0].row.data if scored else None,
        pictures_scored=max((len(e.measurement.quality.pictures) for e in scored if e.measurement.quality), default=0),
        other_data=sorted({e.row.data for e in entries if e.row.data and e.data_digest != data}),
        front=pareto(scored),
        charts=_charts(entries, scored, content),
        bars=min(len(entries), charts.MOST_BARS),
        sustained=_sustained(entries),
        lines=charts.MOST_LINES,
        pictures=pictures(entries, content.verdicts),
        error_maps=error_maps(entries, content.verdicts),
        unmetered=sorted({e.measurement.energy_missing for e in entries if not e.measurement.energy} - {""}),
        left_out=content.left_out,
        boards=list(dict.fromkeys(e.row.board for e in entries)),
        precisions=list(dict.fromkeys(e.row.ran for e in entries)),
        vega=_vega(),
        style=_asset("page.css"),
        script=_asset("page.js"),
    )


def columns_of(entries: Sequence[Entry]) -> list[Column]:
    """Those in which there is something; marks stand beside the name, and a board that is everywhere the same in
    the first line."""
    boards = {e.row.board for e in entries}
    left_out = {"marks"} | ({"board"} if len(boards) == 1 else set())
    return [
        c
        for c in COLUMNS
        if c.field not in left_out and any(getattr(e.row, c.field) not in (None, "") for e in entries)
    ]


def error_maps(entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> list[tuple[Entry, ErrorMap]]:
    """Up to four maps of where INT8 differs from float32, of the chosen entry first."""
    chosen = [v.entry for v in verdicts if v.entry is not None]
    ordered = {e.path: e for e in (*chosen, *entries)}.values()
    found = [(e, m) for e in ordered if e.measurement.against_float for m in e.measurement.against_float.maps]
    return found[:MOST_MAPS]


def pictures(entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> list[Pictured]:
    """Up to eight before/after pictures: of the chosen entry first, then of other checkpoints in turn."""
    chosen = [v.entry for v in verdicts if v.entry is not None]
    found: list[Pictured] = []
    seen: set[tuple[str, str, str]] = set()
    for entry in {e.path: e for e in (*chosen, *entries) if e.measurement.shown}.values():
        scores = {p.name: p for p in entry.measurement.quality.pictures} if entry.measurement.quality else {}
        for shown in entry.measurement.shown:
            key = (str(entry.measurement.subject.model.get("checkpoint_sha256", "")), entry.data_digest, shown.name)
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


def _charts(entries: Sequence[Entry], scored: Sequence[Entry], content: Content) -> dict[str, Any]:
    made = {"split": charts.frame_time_split(entries[: charts.MOST_BARS])}
    chosen = {e.path: e for e in (*(v.entry for v in content.verdicts if v.entry), *pareto(scored), *entries)}
    made["distribution"] = charts.latency_distribution(list(chosen.values())[: charts.MOST_LINES])
    if scored:
        made["pareto"] = charts.accuracy_against_latency(scored, content.wish)
    if sustained := _sustained(entries):
        for name, title in (("fps", "frames a second"), ("temperature_c", "°C"), ("watts", "W")):
            if chart := charts.over_minutes(sustained[: charts.MOST_LINES], name, title):
                made[name] = chart
    if metered := [e for e in entries if e.measurement.energy]:
        made["energy"] = charts.energy_per_frame(metered[: charts.MOST_BARS])
    return made


def _sustained(entries: Sequence[Entry]) -> list[Entry]:
    return [e for e in entries if e.measurement.sustained and e.measurement.sustained.moments]


def _vega() -> str:
    """Vega, Vega-Lite and vega-embed in one script that loads nothing.

    Bundling it takes a third of a report's time: it is kept where boards keep what they compiled.
    """
    vl_convert = command.require("vl_convert", "report")
    kept = cache_folder("vega") / f"{vl_convert.__version__}.js"
    try:
        return kept.read_text()
    except (OSError, UnicodeError):
        script = vl_convert.javascript_bundle()
    with contextlib.suppress(OSError, EdgeError):  # without it the next report takes as long as this one
        kept.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(kept) as file:
            file.write(script.encode())
    return script


def _asset(name: str) -> str:
    return importlib.resources.files("edge.reporting").joinpath("templates").joinpath(name).read_text()
