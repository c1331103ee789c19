"""The project's own report: the README holds its table."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import report
from edge.errors import EdgeError
from edge.measure import loop, session
from edge.measure.machine import this_machine

ROOT = Path(__file__).parents[2]


def test_the_readme_holds_the_reports_table():
    text = (ROOT / "README.md").read_text()
    table = text.partition(report.BEGIN)[2].partition(report.END)[0].strip()
    assert table == report.readme_table(ROOT / "docs" / "report" / "measurements").strip(), "run: make report"


def test_a_table_goes_between_the_marks_and_nowhere_else(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.update_readme(readme, ROOT / "docs" / "report" / "measurements")
    text = readme.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n| Bundle |") and text.endswith(f"\n{report.END}\nafter\n")
    assert "old" not in text


def test_a_readme_without_marks_is_told(tmp_path):
    (tmp_path / "README.md").write_text("nothing\n")
    with pytest.raises(EdgeError, match="lacks <!-- report:begin -->"):
        report.update_readme(tmp_path / "README.md", ROOT / "docs" / "report" / "measurements")


def test_a_peer_that_is_no_target_of_ours_is_timed_like_a_bundle():
    frame = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    settings = session.Settings(
        machine=this_machine(), command="", device="CPU", threads=1, plan=loop.Plan(1, 0, 5, 1.2), quick=True,
        frames=(frame,), data=None,
    )  # fmt: skip
    (measured,) = session.run([report._dark_channel(settings)], settings, lambda share: None)
    assert measured.latency.runs >= 5
    assert "draco-edge" in measured.run.versions
