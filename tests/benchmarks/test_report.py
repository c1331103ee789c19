"""The project's own report: its peers compute what their papers say, and the README holds its table."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import report
from benchmarks.dark_channel import DarkChannel
from edge.errors import EdgeError
from edge.measure.quality import psnr_db

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


def test_dark_channel_prior_clears_haze_that_follows_its_model():
    # clear scenes of strong colours have a dark channel near 0, which is all that the prior asks for
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (24, 32, 3))
    blocks[np.arange(24)[:, None], np.arange(32), rng.integers(0, 3, (24, 32))] = 0
    clear = np.kron(blocks, np.ones((10, 10, 1))).astype(np.float64)
    transmission = np.linspace(0.4, 0.8, 240)[:, None, None]
    transmission[:20] = 0.0  # the horizon: haze alone, of which the airlight is taken
    hazy = np.rint(clear * transmission + 230 * (1 - transmission)).astype(np.uint8)
    dehazed = DarkChannel()(hazy)
    assert dehazed.shape == hazy.shape and dehazed.dtype == np.uint8
    near = slice(40, None)
    after, before = (psnr_db(p[near], clear[near].astype(np.uint8)) for p in (dehazed, hazy))
    assert after > before + 8
