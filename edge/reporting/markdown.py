"""The table as Markdown, for a pull request or a README."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge.reporting.choice import Verdict
from edge.reporting.machine_readable import Case
from edge.reporting.page import COLUMNS, Column, number, used
from edge.reporting.regressions import Comparison
from edge.reporting.rows import Entry


def render(
    entries: Sequence[Entry],
    verdicts: Sequence[Verdict],
    comparisons: Sequence[Comparison] = (),
    cases: Sequence[Case] = (),
) -> str:
    """Verdicts, then the table, then what changed and what failed."""
    parts = [*(f"**{escaped(v.sentence)}**\n" for v in verdicts), table(entries)]
    if comparisons:
        parts += ["Next to the baseline:\n", *(f"- {escaped(c.sentence)}" for c in comparisons), ""]
    if failed := [c for c in cases if c.failed]:
        parts += ["Failed:\n"]
        parts += [f"- {escaped(f'{c.entry.row.bundle} on {c.entry.row.board}: {c.rule}: {c.message}')}" for c in failed]
        parts += [""]
    return "\n".join(parts)


def table(entries: Sequence[Entry], columns: Sequence[Column] = COLUMNS) -> str:
    """Columns that hold nothing, or everywhere the same where only a difference matters, are left out."""
    shown = used(columns, entries)
    lines = [
        "| " + " | ".join(c.heading for c in shown) + " |",
        "|" + "|".join("---" if c.decimals is None else "---:" for c in shown) + "|",
    ]
    for entry in entries:
        cells = (escaped(number(getattr(entry.row, c.field), c.decimals)) for c in shown)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown and the HTML in it leave as it is."""
    text = re.sub(r"([\\`*_{}\[\]|#])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    return re.sub(r"\s+", " ", text)
