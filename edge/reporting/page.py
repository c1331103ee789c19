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
from edge.files import write_whole
from edge.measure.record import ErrorMap, PictureScore, Shown
from edge.reporting import charts
from edge.reporting.choice import Setting, Verdict, Wish, by_setting, fronts
from edge.reporting.machine_readable import Case
from edge.reporting.regressions import Comparison
from edge.reporting.rows import Entry
from targets.cache import cache_folder

MOST_PICTURES = 8
MOST_MAPS = 4
MOST_SETTINGS = 6  # with a chart of their own


@dataclass(frozen=True)
class Column:
    """A column of the table: a row's field, its heading, and how its numbers are written.

    Attributes:
        differs: it is shown only where rows differ in it.
    """

    field: str
    heading: str
    decimals: int | None = None
    title: str = ""
    differs: bool = False


COLUMNS = (
    Column("bundle", "Bundle"),
    Column("board", "Board"),
    Column("frame", "Frame", title="width and height in pixels: only rows of one size compare", differs=True),
    Column("ran", "Precision", title="in which it really ran"),
    Column("p90_ms", "p90, ms", 2, "nine frames of ten are done by then"),
    Column("psnr_db", "PSNR, dB", 2, "mean over the pictures, full resolution"),
    Column("ssim", "SSIM", 3, "mean over the pictures"),
    Column("psnr_drop_db", "Drop, dB", 2, "what the precision costs against float32"),
    Column("drop_from", "Drop from", title="pictures of the drop, where it is not from the float32 row here"),
    Column("data", "Data", title="pictures of PSNR and SSIM: only rows on the same ones compare", differs=True),
    Column("p50_ms", "p50, ms", 2, "median time of a frame"),
    Column("p99_ms", "p99, ms", 2),
    Column("fps", "frames/s", 0, "end to end, capture included"),
    Column("energy_mj", "Energy, mJ", 1, "of a frame; the whole board or processor, idle power included"),
    Column("memory_mb", "Memory, MB", 0, "a process's peak less what it held before it imported the runtime"),
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
class Tradeoff:
    """Accuracy against latency in one setting: the chart's name, what sets it apart, and who is on a front."""

    chart: str
    setting: str
    front: Sequence[Entry]


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
    compared = by_setting([e for e in entries if e.measurement.quality])
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
        scored={e.row.data: len(e.measurement.quality.pictures) for e in entries if e.measurement.quality},
        front={e.path for alike in compared.values() for e in fronts(alike)},
        tradeoffs=[
            Tradeoff(_chart_name(n), setting.described(by_setting(entries)), fronts(alike))
            for n, (setting, alike) in enumerate(compared.items())
        ][:MOST_SETTINGS],
        uncharted=max(0, len(compared) - MOST_SETTINGS),
        charts=_charts(entries, compared, content),
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
    return [c for c in used(COLUMNS, entries) if c.field not in left_out]


def used(columns: Sequence[Column], entries: Sequence[Entry]) -> list[Column]:
    """Columns in which there is something, or in which rows differ where that is asked for."""
    values = {c: {getattr(e.row, c.field) for e in entries} - {None, ""} for c in columns}
    return [c for c in columns if len(values[c]) > c.differs]


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


def _charts(entries: Sequence[Entry], compared: dict[Setting, list[Entry]], content: Content) -> dict[str, Any]:
    front = [entry for alike in compared.values() for entry in fronts(alike)]
    made = {"split": charts.frame_time_split(entries[: charts.MOST_BARS])}
    chosen = {e.path: e for e in (*(v.entry for v in content.verdicts if v.entry), *front, *entries)}
    made["distribution"] = charts.latency_distribution(list(chosen.values())[: charts.MOST_LINES])
    for n, alike in enumerate(list(compared.values())[:MOST_SETTINGS]):
        made[_chart_name(n)] = charts.accuracy_against_latency(alike, content.wish)
    if sustained := _sustained(entries):
        for name, title in (("fps", "frames a second"), ("temperature_c", "°C"), ("watts", "W")):
            if chart := charts.over_minutes(sustained[: charts.MOST_LINES], name, title):
                made[name] = chart
    if metered := [e for e in entries if e.measurement.energy]:
        made["energy"] = charts.energy_per_frame(metered[: charts.MOST_BARS])
    return made


def _chart_name(number: int) -> str:
    return f"pareto-{number + 1}" if number else "pareto"


def _sustained(entries: Sequence[Entry]) -> list[Entry]:
    return [e for e in entries if e.measurement.sustained and e.measurement.sustained.moments]


def _vega() -> str:
    """Vega, Vega-Lite and vega-embed in one script that loads nothing.

    Bundling it takes a third of a report's time: it is kept where boards keep what they compiled.
    """
    vl_convert = command.require("vl_convert", "report")
    kept = cache_folder("vega") / f"{vl_convert.__version__}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        script = vl_convert.javascript_bundle()
    with contextlib.suppress(EdgeError):  # without it the next report takes as long as this one
        write_whole(kept, script.encode())
    return script


def _asset(name: str) -> str:
    return importlib.resources.files("edge.reporting").joinpath("templates").joinpath(name).read_text(encoding="utf-8")
