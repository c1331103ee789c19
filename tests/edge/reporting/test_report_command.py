"""edge.report as its users call it: one page that needs nothing else, and exit statuses that scripts rely on."""

import csv
import html.parser
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from edge import report
from edge.errors import EdgeError
from edge.measure.conditions import Conditions, Sensed
from edge.measure.energy import Energy
from edge.measure.record import AgainstFloat, ErrorMap, Layer, Moment, Ratio, Shown, Sustained
from edge.measure.statistics import Interval
from edge.reporting.expression import ExpressionError

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
HOSTILE = '<script>alert("x")</script> | [a](b) `c`'


class Page(html.parser.HTMLParser):
    """Elements with attributes, and the text of the page without scripts and style."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._inside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def full(make):
    """A measurement in which everything is there."""
    rng = np.random.default_rng(0)
    m = make("edge-m-openvino-int8", rng.lognormal(1.4, 0.1, 500), 21.5, board="Pi 5")
    sensed = Sensed(48.0, 61.0, 60.5)
    return replace(
        m,
        shown=tuple(Shown(p.name, "worst", PIXEL, PIXEL, PIXEL) for p in m.quality.pictures),
        conditions=Conditions(sensed, Sensed(None, None, None), "ondemand", (), 0.01, 0.0, 0),
        energy=Energy("RAPL, package-0", 12.0, 10.0, 500, 24.0),
        layers=(Layer("conv1", "Convolution", "i8", 0.3),),
        sustained=Sustained(1, tuple(Moment(10.0 * i, 200.0 - i, 4.0, 5.0, 50.0 + i) for i in range(1, 7))),
        ratios=(Ratio("edge-m-openvino-fp32", "f" * 64, 0.5, Interval(0.48, 0.52)),),
        against_float=AgainstFloat("edge-m-openvino-fp32", "f" * 64, 41.0, (ErrorMap("1.png", PIXEL, 3),)),
    )


@pytest.fixture(scope="module")
def page(make, full, tmp_path_factory):
    """The report of a full measurement, a bare one, and a foreign file."""
    from edge.measure import store

    folder = tmp_path_factory.mktemp("report")
    store.write(full, folder / "in" / "a.json")
    store.write(make("edge-m-openvino-fp32", [9.0] * 50, 21.75, "fp32", "Orin"), folder / "in" / "sub" / "b.json")
    (folder / "in" / "dashboard.json").write_text('{"panels": []}')
    assert report.main([str(folder / "in"), "--out", str(folder / "out"), "--budget", "33"]) == 0
    return folder / "out" / "report.html"


def test_the_page_says_the_answer_first(page):
    text = Page(page.read_text()).text
    assert "On Pi 5 within 33 ms: edge-m INT8 (openvino), 21.5 dB" in text
    assert "On Orin within 33 ms: edge-m FP32 (openvino), 21.8 dB, 9 ms p90." in text


def test_a_sustained_run_that_began_with_no_frame_has_no_share_of_it(full, folder, tmp_path):
    moments = (Moment(10.0, 0.0, 4.0, 5.0, None), Moment(60.0, 180.0, 4.0, 5.0, None))
    stalled = replace(full, sustained=Sustained(1, moments))
    assert report.main([str(folder(stalled)), "--out", str(tmp_path / "out")]) == 0
    text = Page((tmp_path / "out" / "report.html").read_text()).text
    assert "180 frames/s after 1.0 min" in text and "of the first seconds" not in text


def test_the_page_needs_nothing_but_itself(page):
    text = page.read_text()
    for tag, attributes in Page(text).elements:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/")), (tag, value[:80])
    assert "connect-src" not in text and "default-src 'none'" in text
    assert len(text) < 3_000_000


def test_the_page_holds_every_figure_with_where_it_comes_from(page, full):
    text = Page(page.read_text()).text
    for words in (
        full.subject.digest, full.quality.digest, full.run.command, "24.00 mJ a frame", "RAPL, package-0",
        "48 °C before, 61 at most", "governor ondemand", "0.500 times as long", "conv1", "at most 3 of 255 grey levels",
        "194 frames/s after 1.0 min, 97 % of the first seconds", "Drop, dB",
    ):  # fmt: skip
        assert words in text, words
    assert "Energy not available" in text, "of the bare one"
    assert "dashboard.json: not a measurement" in text


def test_pictures_and_controls_have_words_for_those_who_do_not_see_them(page):
    elements = Page(page.read_text()).elements
    assert all(a.get("alt") for tag, a in elements if tag == "img")
    assert all(a.get("aria-label") for tag, a in elements if tag == "input" and a.get("type") == "range")
    assert all(a.get("role") == "img" and a.get("aria-label") for _, a in elements if a.get("class") == "chart")
    assert ("html", {"lang": "en"}) in elements
    identifiers = [a["id"] for _, a in elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_tables_for_people_and_for_machines_agree(page):
    rows = list(csv.DictReader((page.parent / "report.csv").open()))
    markdown = (page.parent / "report.md").read_text()
    assert [r["bundle"] for r in rows] == ["edge-m-openvino-fp32", "edge-m-openvino-int8"]
    for row in rows:
        assert f"| {float(row['p90_ms']):.2f} |" in markdown
    assert rows[0]["energy_mj"] == "" and rows[1]["energy_mj"] == "24.0"
    assert float(rows[1]["psnr_drop_db"]) == pytest.approx(0.25)


def test_rows_of_several_frame_sizes_say_theirs_and_share_no_chart(make, folder, tmp_path):
    sizes = ((160, 120), (640, 480), (3840, 2160))
    ms = [make(f"{w}-wide", [w / 100] * 20, 20.0) for w, _ in sizes]
    ms = [replace(m, run=replace(m.run, width=w, height=h)) for m, (w, h) in zip(ms, sizes, strict=True)]
    place, out = folder(*ms), tmp_path / "out"
    assert report.main([str(place), "--out", str(out), "--budget", "5"]) == 0
    text = (out / "report.html").read_text()
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', text, re.S)[1])
    assert sum(name.startswith("pareto") for name in charts) == 3
    places = {a["id"] for _, a in Page(text).elements if a.get("class") == "chart"}
    assert {f"chart-{name}" for name in charts} == places
    markdown = (out / "report.md").read_text()
    assert all(
        f"| {w}x{h} |" in markdown and f"On the front at {w}x{h}: {w}-wide." in Page(text).text for w, h in sizes
    )
    assert report.main([str(place / "0.json"), "--out", str(out)]) == 0
    assert "160x120" not in (out / "report.md").read_text(), "one size for all says nothing in a column"


def test_a_single_picture_has_a_score_without_an_interval(make, folder, tmp_path):
    one = make(psnr_db=20.0)
    pictures = (replace(one.quality.pictures[1], psnr_db=20.0),)
    one = replace(one, quality=replace(one.quality, pictures=pictures, psnr_interval_db=None))
    assert report.main([str(folder(one)), "--out", str(tmp_path / "out")]) == 0
    (row,) = csv.DictReader((tmp_path / "out" / "report.csv").open())
    assert (row["psnr_db"], row["psnr_low_db"], row["psnr_high_db"]) == ("20.0", "", "")


def test_a_hostile_name_harms_nobody(make, folder, tmp_path):
    shown = (Shown(HOSTILE, HOSTILE, PIXEL, PIXEL, ""),)
    hostile = make(HOSTILE, psnr_db=20.0, model=HOSTILE, board=HOSTILE, marks=(HOSTILE,), shown=shown)
    place = folder(hostile, make("=cmd|' /C calc'!A0"))
    (place / "x<img src=x onerror=alert(1)>.json").write_text("{")
    arguments = [str(place), "--out", str(tmp_path / "out"), "--fail-if", "p90_ms > 1"]
    with pytest.raises(EdgeError):
        report.main(arguments)
    text = (tmp_path / "out" / "report.html").read_text()
    page = Page(text)
    assert sum(tag == "script" for tag, _ in page.elements) == 3
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert 'alert("x")' in page.text
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "<script>" not in markdown and not re.search(r"[^\\]\]\(b\)", markdown)
    assert len({line.replace("\\|", "").count("|") for line in markdown.splitlines() if line.startswith("|")}) == 1
    assert "\n'=cmd" in (tmp_path / "out" / "report.csv").read_text()
    ET.parse(tmp_path / "out" / "junit.xml")


@pytest.mark.parametrize("rule", ["p90_ms > 33 or psnr_drop_db > 0.1", "psnr_db < 21.6 and board == 'Pi 5'"])
def test_a_rule_that_holds_fails_with_1_and_names_the_rows(python, page, tmp_path, rule):
    done = python("-m", "edge.report", page.parents[1] / "in", "--out", tmp_path, "--fail-if", rule)
    assert done.returncode == 1
    assert "edge-m-openvino-int8 on Pi 5 (a.json) fails" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("edge.report: 1 of 2 rows fail")
    suite = ET.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert "edge-m-openvino-int8" in Page((tmp_path / "report.html").read_text()).text


def test_a_rule_that_holds_nowhere_passes(page, tmp_path, capsys):
    assert report.main([str(page.parents[1] / "in"), "--out", str(tmp_path), "--fail-if", "p90_ms > 1000"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "report.html")


def test_a_row_that_a_rule_cannot_judge_fails_by_name(page, tmp_path, capsys):
    common = [str(page.parents[1] / "in"), "--out", str(tmp_path), "--fail-if"]
    with pytest.raises(EdgeError, match="1 of 2 rows fail"):
        report.main([*common, "energy_mj > 100"])
    assert (
        "on Orin (b.json) fails: energy_mj > 100: cannot be judged, which counts as failing: energy_mj not measured"
        in (capsys.readouterr().err)
    )
    assert ET.parse(tmp_path / "junit.xml").getroot().get("failures") == "1"
    assert report.main([*common, "board == 'Pi 5' and energy_mj > 100"]) == 0


def test_a_baseline_in_which_nothing_has_a_counterpart_fails(make, folder, tmp_path):
    old, new = folder(make(board="Old"), name="old"), folder(make(board="New"), name="new")
    with pytest.raises(EdgeError, match="nothing was compared"):
        report.main([str(new), "--baseline", str(old), "--out", str(tmp_path / "o")])


def test_a_rule_that_cannot_be_read_is_told_before_anything_is_written(page, tmp_path):
    with pytest.raises(ExpressionError, match="did you mean"):
        report.main([str(page.parents[1] / "in"), "--out", str(tmp_path / "o"), "--fail-if", "p90 > 3"])
    assert not (tmp_path / "o").exists()


def test_a_slow_down_against_a_baseline_fails(make, folder, tmp_path, capsys):
    rng = np.random.default_rng(1)
    old = folder(make(times_ms=rng.lognormal(1, 0.05, 900), psnr_db=20.0), name="old")
    same = folder(make(times_ms=rng.lognormal(1, 0.05, 900), psnr_db=20.0), name="same")
    slow = folder(make(times_ms=1.2 * rng.lognormal(1, 0.05, 900), psnr_db=20.0), name="slow")
    assert report.main([str(same), "--baseline", str(old), "--out", str(tmp_path / "o")]) == 0
    assert "as fast as before" in capsys.readouterr().out
    with pytest.raises(EdgeError, match="1 of 1 rows fail 'no worse than the baseline'"):
        report.main([str(slow), "--baseline", str(old), "--out", str(tmp_path / "o")])
    assert "slower: 1.2" in (tmp_path / "o" / "report.md").read_text()


def test_no_measurements_says_how_to_make_one(python, tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        done = python("-m", "edge.report", place)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1 and "python -m edge.bench BUNDLE --out" in done.stderr


def test_help_is_quick(python):
    done = python("-X", "importtime", "-m", "edge.report", "--help")
    assert done.returncode == 0 and "examples:" in done.stdout
    assert not any(f"| {name}\n" in done.stderr for name in ("numpy", "altair", "jinja2", "torch"))


def test_charts_are_valid_vega_lite(page):
    import altair

    charts = json.loads(re.search(r'id="charts">(.*?)</script>', page.read_text(), re.S)[1])
    for spec in charts.values():
        altair.Chart.from_dict(spec, validate=True)
    with pytest.raises(Exception, match="cake"):
        altair.Chart.from_dict({**charts["split"], "mark": {"type": "cake"}}, validate=True)


def test_the_chart_scripts_are_bundled_once(page, monkeypatch):
    import vl_convert

    from edge.reporting.page import _vega

    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: pytest.fail("bundled again"))
    assert _vega() in page.read_text()


def test_two_hundred_measurements_of_twenty_boards_make_one_page_of_megabytes(make, full, folder, python, tmp_path):
    rng = np.random.default_rng(0)
    boards = [
        replace(
            make(f"bundle-{n}", rng.lognormal(1 + n / 10, 0.1, 4000), 20 + n / 10, board=f"Board {board}"),
            shown=full.shown, sustained=full.sustained, conditions=full.conditions, layers=60 * full.layers,
        )
        for board in range(20) for n in range(10)
    ]  # fmt: skip
    done = python("-m", "edge.report", folder(*boards), "--out", tmp_path / "out")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 21
    assert (tmp_path / "out" / "report.html").stat().st_size < 5_000_000


needs_browser = pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium (apt-get install chromium)")


def in_browser(page):
    """The page as a browser has it after its scripts ran, and what its console said."""
    options = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-dev-shm-usage"
    done = subprocess.run(
        ["chromium", *options.split(), "--virtual-time-budget=8000", "--enable-logging=stderr", "--dump-dom",
         page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_browser
def test_a_browser_draws_it_without_complaint(page):
    """Scripts run from the file itself, every chart is drawn, and the console stays empty."""
    drawn, console = in_browser(page)
    assert console == []
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', page.read_text(), re.S)[1])
    assert {"pareto", "distribution", "split", "energy", "fps", "temperature_c"} <= set(charts)
    assert len(re.findall(r'role="graphics-document"', drawn)) == len(charts)


@needs_browser
def test_the_table_sorts_and_filters_and_the_slider_slides(page, tmp_path):
    script = """
      const told = [], names = () => [...document.querySelectorAll("#rows tbody tr:not([hidden]) th a")]
        .map((a) => a.textContent).join(",");
      const press = (text) => [...document.querySelectorAll("#rows thead button")]
        .find((b) => b.textContent.startsWith(text)).click();
      told.push(names());
      press("p90"); told.push(names());
      press("p90"); told.push(names());
      press("Energy"); told.push(names());
      const filter = document.getElementById("filter");
      filter.value = "ORIN"; filter.dispatchEvent(new Event("input")); told.push(names());
      filter.value = ""; filter.dispatchEvent(new Event("input"));
      const board = document.querySelector(".filters select");
      board.value = "Pi 5"; board.dispatchEvent(new Event("change")); told.push(names());
      told.push(document.getElementById("count").textContent);
      const slider = document.querySelector("input[type=range]");
      slider.value = 10; slider.dispatchEvent(new Event("input"));
      told.push(document.querySelector(".compare").style.getPropertyValue("--at"));
      document.querySelector("#rows tbody a").click();
      told.push(document.querySelectorAll("section > details[open]").length);
      document.body.insertAdjacentHTML("beforeend", `<pre id="told">${told.join(";")}</pre>`);
    """
    copy = tmp_path / "copy.html"
    head, end, tail = page.read_text().rpartition("</body>")
    copy.write_text(f"{head}<script>{script}</script>{end}{tail}")
    drawn, console = in_browser(copy)
    assert console == []
    fp32, int8 = "edge-m-openvino-fp32", "edge-m-openvino-int8"
    assert re.search(r'<pre id="told">([^$]*?)</pre>', drawn)[1].split(";") == [
        f"{fp32},{int8}",
        f"{int8},{fp32}",
        f"{fp32},{int8}",
        f"{int8},{fp32}",  # what was not measured stays last
        fp32,
        int8,
        "1 of 2 shown",
        "10%",
        "1",
    ]


def test_the_documentation_names_every_figure():
    from pathlib import Path

    from edge.reporting.rows import NAMES

    text = (Path(report.__file__).parents[1] / "docs" / "measuring.md").read_text()
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert sorted(name.strip() for cell in cells for name in cell.split(",")) == sorted(NAMES)
