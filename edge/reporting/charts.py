"""The plots, as Vega-Lite made with Altair. Text takes the page's own colour, so that they follow dark and light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge import command
from edge.measure.record import STAGES
from edge.reporting.choice import Wish, pareto
from edge.reporting.rows import Entry

PALETTE = ["#4c8fd6", "#e0862b", "#3da66f", "#d1605e", "#9a76c8", "#a3743c", "#d878b5", "#7f8c99", "#b3ad2e", "#31aebd"]
STAGE_COLOURS = ["#7f8c99", "#4c8fd6", "#e0862b", "#3da66f"]
SHAPES = {"fp32": "circle", "fp16": "square", "int8": "diamond"}
MOST_BARS = 30


def accuracy_against_latency(entries: Sequence[Entry], wish: Wish) -> dict[str, Any]:
    """Scatter of PSNR against p90 with 95 % intervals and the Pareto front.

    Args:
        entries: all scored on the same pictures.
    """
    alt = command.require("altair", "report")
    several_boards = len({e.machine for e in entries}) > 1
    front = pareto(entries)
    values = [_point(e, several_boards, e in front) for e in entries]
    legend = alt.selection_point(fields=["series"], bind="legend")
    x = alt.X("p90_ms:Q", title="p90 of one frame, ms (left is faster)", scale=_log_scale(alt, values))
    y = alt.Y("psnr_db:Q", title="PSNR, dB (up is clearer)", scale=alt.Scale(zero=False, padding=12))
    faded = alt.condition(legend, alt.value(1), alt.value(0.12))
    colour = alt.Color(
        "series:N",
        title="board" if several_boards else "model",
        scale=alt.Scale(range=PALETTE),
        legend=alt.Legend(columns=2, symbolLimit=24, labelLimit=260),
    )
    base = alt.Chart(alt.Data(values=values))
    bars = {"color": colour, "opacity": alt.condition(legend, alt.value(0.55), alt.value(0.06))}
    layers = [
        alt.Chart(alt.Data(values=[v for v in values if v["front"]]))
        .mark_line(interpolate="step-after", strokeDash=[5, 4], strokeWidth=1.5, color="currentColor", opacity=0.5)
        .encode(x=x, y=y),
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
                scale=alt.Scale(domain=list(SHAPES), range=list(SHAPES.values())),
                legend=alt.Legend(title="precision"),
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
    described = f"Accuracy against latency of {len(entries)} measurements; {len(front)} are on the Pareto front."
    return _finished(alt.layer(*layers).properties(width="container", height=380, description=described))


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
            y=alt.Y("label:N", title=None, sort=list(labels), axis=alt.Axis(labelLimit=320)),
            color=alt.Color(
                "stage:N", title=None, sort=list(STAGES), scale=alt.Scale(domain=list(STAGES), range=STAGE_COLOURS)
            ),
            order="order:Q",
            tooltip=["label:N", "stage:N", alt.Tooltip("ms:Q", format=".3~f")],
        )
        .properties(width="container", height=alt.Step(22), description="Where the time of a median frame goes.")
    )
    return _finished(chart)


def labels_of(entries: Sequence[Entry]) -> tuple[str, ...]:
    """A name for each, with the board where there are several, and a number where names repeat."""
    several = len({e.machine for e in entries}) > 1
    seen: dict[str, int] = {}
    labels = []
    for entry in entries:
        label = f"{entry.row.bundle} · {entry.row.board}" if several else entry.row.bundle
        if entry.row.threads:
            label += f" · {entry.row.threads} thread{'s' if entry.row.threads > 1 else ''}"
        seen[label] = seen.get(label, 0) + 1
        labels.append(label if seen[label] == 1 else f"{label} #{seen[label]}")
    return tuple(labels)


def _point(entry: Entry, several_boards: bool, on_front: bool) -> dict[str, Any]:
    row = entry.row
    names = ("bundle", "board", "device", "precision", "p90_ms", "p90_low_ms", "p90_high_ms", "psnr_db", "ssim")
    return {
        **{name: getattr(row, name) for name in names},
        "psnr_low_db": row.psnr_low_db,
        "psnr_high_db": row.psnr_high_db,
        "series": row.board if several_boards else f"{row.model} ({row.target})",
        "interval": f"{row.p90_low_ms:.3g} to {row.p90_high_ms:.3g} ms, {row.psnr_low_db:.1f} to {row.psnr_high_db:.1f} dB",
        "front": "yes" if on_front else "",
        "marks": row.marks or "none",
    }


def _log_scale(alt: Any, values: Sequence[dict[str, Any]]) -> Any:
    spread = max(v["p90_high_ms"] for v in values) / max(1e-6, min(v["p90_low_ms"] for v in values))
    return alt.Scale(type="log", padding=16) if spread > 5 else alt.Scale(zero=False, padding=16)


def _limit(alt: Any, axis: str, value: float) -> Any:
    rule = alt.Chart(alt.Data(values=[{"limit": value}])).mark_rule(color="#d1605e", strokeDash=[3, 3], strokeWidth=1.5)
    return rule.encode(x=alt.X("limit:Q")) if axis == "x" else rule.encode(y=alt.Y("limit:Q"))


def _finished(chart: Any) -> dict[str, Any]:
    words = {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "titleFontSize": 12}
    return (
        chart.configure(background="transparent", font="system-ui, sans-serif")
        .configure_axis(
            **words,
            gridColor="currentColor",
            gridOpacity=0.12,
            domainOpacity=0.4,
            tickOpacity=0.4,
            domainColor="currentColor",
            tickColor="currentColor",
            titleFontWeight="normal",
        )
        .configure_legend(
            **words, orient="bottom", titleFontWeight="normal", symbolStrokeWidth=0, symbolFillColor="currentColor"
        )
        .configure_view(stroke=None)
        .to_dict()
    )
