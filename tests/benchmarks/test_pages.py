"""Tables in pages: between their marks, with the command that made them, and nothing else is touched."""

import pytest

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
