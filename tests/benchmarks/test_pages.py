"""Tables in pages: between their marks, with the command that made them, and nothing else is touched."""

import re
from pathlib import Path

import pytest

from benchmarks import int8
from benchmarks.pages import put
from edge.errors import EdgeError


def test_a_table_takes_the_old_ones_place_and_names_its_command(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- loss:begin -->\nold\n<!-- loss:end -->\nafter\n")
    put(page, "loss", "benchmarks.int8", ["loss", "--page", "docs/int8.md", "--data", "/somewhere/pairs"], "| new |\n")

    assert page.read_text() == (
        "before\n<!-- loss:begin -->\n    python -m benchmarks.int8 loss --data pairs\n\n| new |\n"
        "<!-- loss:end -->\nafter\n"
    )


def test_a_page_without_the_marks_is_told_which_and_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n")
    with pytest.raises(EdgeError, match="loss:begin"):
        put(page, "loss", "benchmarks.int8", [], "| new |\n")
    assert page.read_text() == "text\n"


def test_every_table_of_int8_has_its_marks_in_one_of_the_pages_that_the_command_names():
    root = Path(__file__).parents[2]
    pages = [(root / name).read_text() for name in re.findall(r"docs/[\w/]+\.md", int8.__doc__)]
    assert len(pages) == 2
    for name in (*int8.TABLES, "full"):
        assert sum(page.count(f"<!-- {name}:begin -->") for page in pages) == 1
        assert sum(page.count(f"<!-- {name}:end -->") for page in pages) == 1
