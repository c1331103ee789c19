"""The plots, as Vega-Lite made with Altair. Text takes the page's own colour, so that they follow dark and light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge import command
from edge.measure.record import STAGES
from edge.reporting.choice import Wish, fronts
from edge.reporting.rows import Entry

PALETTE = ["#4c8fd6", "#e0862b", "#3da66f", "#d1605e", "#9a76c8", "#a3743c", "#d878b5", "#7f8c99", "#b3ad2e", "#31aebd"]
STAGE_COLOURS = ["#7f8c99", "#4c8fd6", "#e0862b", "#3da66f"]
SHAPES = {"fp32": "circle", "fp16": "square", "int8": "diamond"}
MOST_BARS = 30
MOST_LINES = 10
CROWD = 40  # points from which on intervals step back
LABEL_LIMIT = 300
FIT = {"type": "fit-x", "contains": "padding"}


def accuracy_against_latency(entries: Sequence[Entry], wish: Wish) -> dict[str, Any]:
    """Scatter of PSNR against p90 with 95 % intervals and the Pareto front of each board.

    Args:
        entries: all of one `Setting`, and scored on the same pictures.
    """
    alt = command.require("altair", "report")
    several_boards = len({e.machine for e in entries}) > 1
    front = fronts(entries)
    values = [_point(e, several_boards, e in front) for e in entries]
    spread = max(v["p90_high_ms"] for v in values) / max(1e-6, min(v["p90_low_ms"] for v in values))
    legend = alt.selection_point(fields=["series"], bind="legend")
    x = alt.X("p90_ms:Q", title="p90 of one frame, ms (left is faster)", scale=_scale(alt, spread))
    y = alt.Y("psnr_db:Q", title="PSNR, dB (up is clearer)", scale=alt.Scale(zero=False, padding=12))
    faded = alt.condition(legend, alt.value(1), alt.value(0.12))
    colour = alt.Color(
        "series:N",
        title="board" if several_boards else "model",
        scale=_colours(alt, len({v["series"] for v in values})),
        legend=alt.Legend(columns=_legend_columns(alt), symbolLimit=24, labelLimit=260),
    )
    base = alt.Chart(alt.Data(values=values))
    shapes = sorted({v["precision"] for v in values})
    strong = 0.55 if len(values) <= CROWD else 0.2
    bars = {"color": colour, "opacity": alt.condition(legend, alt.value(strong), alt.value(0.05))}
    layers = [
        alt.Chart(alt.Data(values=[v for v in values if v["front"]]))
        .mark_line(interpolate="step-after", strokeDash=[5, 4], strokeWidth=1.5, color="currentColor", opacity=0.5)
        .encode(x=x, y=y, detail="machine:N"),
        base.mark_rule(strokeWidth=1.5).encode(x=alt.X("p90_low_ms:Q"), x2="p90_high_ms:Q", y=y, **bars),
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("psnr_low_db:Q"), y2="psnr_high_db:Q", x=x, **bars),
        base.mark_point(filled=True, size=110, stroke="currentColor", strokeWidth=0.6)
        .encode(
            x=x,
            y=y,
            color=colour,
            opacity=faded,
            shape=alt.Shape(
                "precision:N",
                scale=alt.Scale(domain=shapes, range=[SHAPES.get(s, "cross") for s in shapes]),
                legend=alt.Legend(title="precision", columns=_legend_columns(alt, 3)),
            ),
            tooltip=[
                alt.Tooltip("bundle:N"),
                alt.Tooltip("board:N"),
                alt.Tooltip("device:N"),
                alt.Tooltip("p90_ms:Q", title="p90, ms", format=".3~f"),
                alt.Tooltip("interval:N", title="95 % interval"),
                alt.Tooltip("psnr_db:Q", title="PSNR, dB", format=".2f"),
                alt.Tooltip("ssim:Q", title="SSIM", format=".3f"),
                alt.Tooltip("front:N", title="on the Pareto front"),
                alt.Tooltip("marks:N"),
            ],
        )
        .add_params(legend),
    ]
    if wish.budget_ms is not None:
        layers.append(_limit(alt, "x", wish.budget_ms))
    if wish.min_psnr_db is not None:
        layers.append(_limit(alt, "y", wish.min_psnr_db))
    described = f"Accuracy against latency of {len(entries)} measurements; {len(front)} are on a Pareto front."
    return _finished(alt.layer(*layers).properties(width="container", autosize=FIT, height=380, description=described))


def frame_time_split(entries: Sequence[Entry]) -> dict[str, Any]:
    """Stacked bars: the median frame's capture, pre, infer and post."""
    alt = command.require("altair", "report")
    labels = labels_of(entries)
    values = [
        {"label": label, "stage": stage, "order": order, "ms": entry.measurement.latency.stages_ms[stage].p50}
        for label, entry in zip(labels, entries, strict=True)
        for order, stage in enumerate(STAGES)
    ]
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar()
        .encode(
            x=alt.X("ms:Q", title="median, ms"),
            y=alt.Y("label:N", title=None, sort=list(labels), axis=alt.Axis(labelLimit=LABEL_LIMIT)),
            color=alt.Color(
                "stage:N", title=None, sort=list(STAGES), scale=alt.Scale(domain=list(STAGES), range=STAGE_COLOURS)
            ),
            order="order:Q",
            tooltip=["label:N", "stage:N", alt.Tooltip("ms:Q", format=".3~f")],
        )
        .properties(
            width="container",
            autosize=FIT,
            height=24 * len(entries),
            description="Where the time of a median frame goes.",
        )
    )
    return _finished(chart)


def latency_distribution(entries: Sequence[Entry]) -> dict[str, Any]:
    """The share of frames that are done within a time, one line for each entry: a steep line is a steady one."""
    alt = command.require("altair", "report")
    labels = labels_of(entries)
    shares = np.array(
        [0, 1, 2, 5, *range(10, 90, 5), 90, 92, 94, 95, 96, 97, 98, 98.5, 99, 99.3, 99.6, 99.8, 99.9, 100]
    )
    values: list[dict[str, Any]] = []
    for label, entry in zip(labels, entries, strict=True):
        times = np.percentile(entry.measurement.latency.times_ms(), shares)
        values += [{"label": label, "share": float(s), "ms": float(t)} for s, t in zip(shares, times, strict=True)]
    spread = max(v["ms"] for v in values) / max(1e-6, min(v["ms"] for v in values))
    legend = alt.selection_point(fields=["label"], bind="legend")
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("ms:Q", title="frame time, ms", scale=_scale(alt, spread)),
            y=alt.Y("share:Q", title="frames done by then, %"),
            order="share:Q",
            color=_label_colour(alt, labels),
            opacity=alt.condition(legend, alt.value(1), alt.value(0.12)),
            tooltip=["label:N", alt.Tooltip("share:Q", title="frames, %"), alt.Tooltip("ms:Q", format=".3~f")],
        )
        .add_params(legend)
        .properties(
            width="container", autosize=FIT, height=260, description="The share of frames that are done within a time."
        )
    )
    return _finished(chart)


def over_minutes(entries: Sequence[Entry], figure: str, title: str) -> dict[str, Any] | None:
    """A figure of sustained runs over their minutes, one line for each entry; None where no machine tells it.

    Args:
        figure: a field of `edge.measure.record.Moment`, such as ``fps`` or ``temperature_c``.
    """
    alt = command.require("altair", "report")
    labels = labels_of(entries)
    values = [
        {"label": label, "minute": moment.at_s / 60, figure: getattr(moment, figure), "p90_ms": moment.p90_ms}
        for label, entry in zip(labels, entries, strict=True)
        for moment in (entry.measurement.sustained.moments if entry.measurement.sustained else ())
        if getattr(moment, figure) is not None
    ]
    if not values:
        return None
    names = dict.fromkeys(("minute", figure, "p90_ms"))
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_line(point={"size": 18})
        .encode(
            x=alt.X("minute:Q", title="minutes", scale=alt.Scale(domainMin=0, nice=False)),
            y=alt.Y(f"{figure}:Q", title=title, scale=alt.Scale(zero=figure == "fps")),
            color=_label_colour(alt, labels),
            tooltip=["label:N", *(alt.Tooltip(f"{name}:Q", format=".4~g") for name in names)],
        )
        .properties(width="container", autosize=FIT, height=180, description=f"{title} over a sustained run.")
    )
    return _finished(chart)


def energy_per_frame(entries: Sequence[Entry]) -> dict[str, Any]:
    """Bars of millijoules.

    Args:
        entries: all with energy.
    """
    alt = command.require("altair", "report")
    labels = labels_of(entries)
    values = [
        {"label": label, "mJ": e.measurement.energy.mj_per_frame, "source": e.measurement.energy.source}
        for label, e in zip(labels, entries, strict=True)
        if e.measurement.energy
    ]
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(color=PALETTE[2])
        .encode(
            x=alt.X("mJ:Q", title="energy of a frame, mJ"),
            y=alt.Y("label:N", title=None, sort=list(labels), axis=alt.Axis(labelLimit=LABEL_LIMIT)),
            tooltip=["label:N", alt.Tooltip("mJ:Q", format=".4~g"), "source:N"],
        )
        .properties(width="container", autosize=FIT, height=24 * len(entries), description="Energy of a frame.")
    )
    return _finished(chart)


def labels_of(entries: Sequence[Entry]) -> tuple[str, ...]:
    """A name for each, with board and frame size where there are several, and a number where names repeat."""
    several = len({e.machine for e in entries}) > 1
    sizes = len({e.row.frame for e in entries}) > 1
    seen: dict[str, int] = {}
    labels = []
    for entry in entries:
        label = f"{entry.row.bundle} · {entry.row.board}" if several else entry.row.bundle
        if sizes:
            label += f" · {entry.row.frame}"
        if entry.row.threads:
            label += f" · {entry.row.threads} thread{'s' if entry.row.threads > 1 else ''}"
        seen[label] = seen.get(label, 0) + 1
        labels.append(label if seen[label] == 1 else f"{label} #{seen[label]}")
    return tuple(labels)


def _point(entry: Entry, several_boards: bool, on_front: bool) -> dict[str, Any]:
    row = entry.row
    decibels = "" if row.psnr_low_db is None else f", {row.psnr_low_db:.1f} to {row.psnr_high_db:.1f} dB"
    names = ("bundle", "board", "device", "precision", "p90_ms", "p90_low_ms", "p90_high_ms", "psnr_db", "ssim")
    return {
        **{name: getattr(row, name) for name in names},
        "psnr_low_db": row.psnr_low_db,
        "psnr_high_db": row.psnr_high_db,
        "machine": "/".join(entry.machine),
        "series": row.board if several_boards else f"{row.model} ({row.target})",
        "interval": f"{row.p90_low_ms:.3g} to {row.p90_high_ms:.3g} ms{decibels}",
        "front": "yes" if on_front else "",
        "marks": row.marks or "none",
    }


def _label_colour(alt: Any, labels: Sequence[str]) -> Any:
    scale = alt.Scale(domain=list(labels), range=PALETTE)
    legend = alt.Legend(columns=_legend_columns(alt), labelLimit=LABEL_LIMIT)
    return alt.Color("label:N", title=None, scale=scale, legend=legend)


def _colours(alt: Any, series: int) -> Any:
    return alt.Scale(range=PALETTE) if series <= len(PALETTE) else alt.Scale(scheme="tableau20")


def _legend_columns(alt: Any, most: int = 2) -> Any:
    return alt.ExprRef(f"width < 520 ? 1 : {most}")  # a telephone has room for one


def _scale(alt: Any, spread: float) -> Any:
    return alt.Scale(type="log", padding=16, nice=False) if spread > 5 else alt.Scale(zero=False, padding=16)


def _limit(alt: Any, axis: str, value: float) -> Any:
    rule = alt.Chart(alt.Data(values=[{"limit": value}])).mark_rule(color="#d1605e", strokeDash=[3, 3], strokeWidth=1.5)
    return rule.encode(x=alt.X("limit:Q")) if axis == "x" else rule.encode(y=alt.Y("limit:Q"))


def _finished(chart: Any) -> dict[str, Any]:
    words = {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "titleFontSize": 12}
    lines = {"domainColor": "currentColor", "tickColor": "currentColor", "gridColor": "currentColor"}
    return (
        chart.configure(background="transparent", font="system-ui, sans-serif")
        .configure_axis(
            **words, **lines, gridOpacity=0.12, domainOpacity=0.4, tickOpacity=0.4, titleFontWeight="normal"
        )
        .configure_legend(
            **words, orient="bottom", titleFontWeight="normal", symbolFillColor="currentColor", symbolOpacity=1
        )
        .configure_view(stroke=None)
        .to_dict(validate=False)  # a test holds that they are valid; here it would take half the time
    )
