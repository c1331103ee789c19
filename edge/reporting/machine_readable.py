"""The same figures for machines: CSV for tables, JUnit XML for continuous integration."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from edge.reporting.rows import NAMES, Entry

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Case:
    """A row under a rule: passed, failed or not judged.

    Attributes:
        rule: for example the expression of ``--fail-if``.
        failed: None where it could not be judged.
        message: why.
    """

    entry: Entry
    rule: str
    failed: bool | None
    message: str = ""


def to_csv(entries: Sequence[Entry]) -> str:
    """Every figure of every row, and the file it came from; empty where not measured."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*NAMES, "file"], lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        writer.writerow({name: _cell(value) for name, value in {**asdict(entry.row), "file": entry.path.name}.items()})
    return text.getvalue()


def to_junit(cases: Sequence[Case]) -> str:
    """A test case for each row and rule."""
    suite = ET.Element(
        "testsuite",
        name="draco-edge",
        tests=str(len(cases)),
        failures=str(sum(c.failed is True for c in cases)),
        skipped=str(sum(c.failed is None for c in cases)),
    )
    for case in cases:
        row = case.entry.row
        where = _xml(f"{row.bundle} on {row.board}, {row.device}")
        one = ET.SubElement(suite, "testcase", classname=_xml(case.rule), name=where, file=case.entry.path.name)
        if case.failed is None:
            ET.SubElement(one, "skipped", message=_xml(case.message))
        elif case.failed:
            ET.SubElement(one, "failure", message=_xml(case.message))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _cell(value: object) -> object:
    """Spreadsheets run text that looks like a formula: a bundle's name must not be one."""
    if isinstance(value, str) and value.startswith(STARTS_A_FORMULA):
        return "'" + value
    return value


def _xml(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(c for c in text if c >= " " or c in "\t\n")
