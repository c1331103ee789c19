"""Pass or fail: rules of ``--fail-if`` and the baseline, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edge import command
from edge.errors import EdgeError
from edge.reporting import rows
from edge.reporting.expression import Expression
from edge.reporting.machine_readable import Case
from edge.reporting.regressions import Comparison, compare
from edge.reporting.rows import Entry


def judge(entries: Sequence[Entry], rules: Sequence[Expression]) -> list[Case]:
    """A case for each rule and row; a row that lacks a figure the rule needs fails.

    Raises:
        ExpressionError: a rule compares a word with a number.
    """
    cases = []
    for rule in rules:
        for entry in entries:
            figures = asdict(entry.row)
            holds = rule.holds(figures)
            message = ", ".join(f"{name} {_written(figures[name])}" for name in rule.names)
            if holds is None:
                message = f"cannot be judged, which counts as failing: {message}"
            cases.append(Case(entry, rule.text, holds is not False, message))
    return cases


def against_baseline(entries: Sequence[Entry], folder: Path) -> list[Comparison]:
    """Compare with earlier measurements; what has no counterpart there is named on standard error.

    Raises:
        EdgeError: the folder is missing, or holds no measurement or none of these.
    """
    earlier, _ = rows.collect([folder])
    if not earlier:
        raise EdgeError(f"no measurements in the baseline {folder}; copy there what edge.bench wrote before the change")
    comparisons, alone = compare(entries, earlier)
    for entry in alone:
        command.say(f"not in the baseline: {entry.row.bundle} on {entry.row.board}")
    if not comparisons:
        raise EdgeError(
            f"none of these measurements has a counterpart in the baseline {folder}: nothing was compared; both need "
            "the same machine, model, target, precision, device, threads and frame size"
        )
    return comparisons


def cases(comparisons: Sequence[Comparison]) -> list[Case]:
    """A case for each comparison; one whose times prove nothing fails only for its pictures."""
    return [
        Case(c.entry, "no worse than the baseline", c.regressed or (None if c.doubt else False), c.sentence)
        for c in comparisons
    ]


def say_failures(all_cases: Sequence[Case]) -> str:
    """Name on standard error what failed and what could not be judged; and sum it up, empty where nothing failed."""
    failed = [c for c in all_cases if c.failed]
    for case in all_cases:
        if case.failed is not False:
            word = "fails" if case.failed else "cannot be judged"
            row = case.entry.row
            command.say(f"{row.bundle} on {row.board} ({case.entry.path.name}) {word}: {case.rule}: {case.message}")
    if not failed:
        return ""
    total = len({c.entry.path for c in all_cases})
    count = len({c.entry.path for c in failed})
    return f"{count} of {total} rows fail {' and '.join(dict.fromkeys(repr(c.rule) for c in failed))}"


def _written(value: object) -> str:
    if value is None:
        return "not measured"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
