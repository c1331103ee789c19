"""The answer in words, and the Pareto front, against a brute-force definition."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.reporting import rows
from edge.reporting.choice import Setting, Wish, by_setting, fits, fronts, pareto, verdicts
from edge.reporting.markdown import table


def entries_of(*measurements):
    return [rows.Entry(Path(f"{i}.json"), m, rows._row(m, measurements)) for i, m in enumerate(measurements)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(10, 30)), min_size=1, max_size=12))
def test_front_is_what_nothing_else_beats(make, points):
    entries = entries_of(*(make(f"b{i}", [ms] * 20, float(db)) for i, (ms, db) in enumerate(points)))
    front = {(e.row.p90_ms, e.row.psnr_db) for e in pareto(entries)}
    beaten = {
        p for p in points for q in points if q != p and q[0] <= p[0] and q[1] >= p[1]
    }  # fmt: skip
    assert front == set(points) - beaten


def test_the_clearest_within_the_budget_is_taken(make):
    entries = entries_of(
        make("slow", [50] * 20, 25.0, model="big"),
        make("good", [20] * 20, 22.0, model="edge-m"),
        make("fast", [5] * 20, 18.0, model="edge-s"),
    )
    verdict = verdicts(entries, Wish(budget_ms=33))[0]
    assert verdict.sentence == "On Board within 33 ms: edge-m INT8 (openvino), 22.0 dB, 20 ms p90."
    assert verdicts(entries, Wish())[0].entry.row.bundle == "slow"


def test_of_those_that_look_alike_the_fastest_is_taken(make):
    entries = entries_of(make("float", [9] * 20, 22.05), make("int8", [5] * 20, 22.0), make("small", [2] * 20, 21.8))
    assert verdicts(entries, Wish())[0].entry.row.bundle == "int8"


def test_nothing_fits_is_said_with_what_comes_nearest(make):
    entries = entries_of(make("a", [50] * 20, 25.0), make("b", [40] * 20, 18.0))
    verdict = verdicts(entries, Wish(budget_ms=33, min_psnr_db=24))[0]
    assert verdict.entry is None
    assert "within 33 ms and from 24 dB: none of 2 fits; the fastest is" in verdict.sentence
    assert "the clearest" in verdict.sentence


def test_a_throttled_run_is_taken_only_for_want_of_a_clean_one_and_says_so(make):
    throttled = make("hot", [4] * 20, 25.0, marks=("throttled: under-voltage",))
    entries = entries_of(throttled, make("cool", [4] * 20, 22.0))
    assert verdicts(entries, Wish())[0].entry.row.bundle == "cool"
    assert "throttled: under-voltage" in verdicts(entries[:1], Wish())[0].sentence


def test_each_board_has_its_answer(make):
    entries = entries_of(*(make(f"x{b}", [4] * 20, 20.0, board=b) for b in ("Pi 5", "Orin", "Pi 5 #2")))
    assert [v.board for v in verdicts(entries, Wish())] == ["Pi 5", "Orin", "Pi 5 #2"]


def of_size(measurement, width, height, threads=None):
    return replace(measurement, run=replace(measurement.run, width=width, height=height, threads=threads))


def test_each_frame_size_has_its_answer_and_its_front(make):
    entries = entries_of(
        of_size(make("small", [1] * 20, 20.0), 160, 120),
        of_size(make("middle", [4] * 20, 20.0), 640, 480),
        of_size(make("large", [80] * 20, 20.0), 3840, 2160),
    )
    assert [v.sentence for v in verdicts(entries, Wish(budget_ms=5))] == [
        "On Board at 160x120 within 5 ms: edge-m INT8 (openvino), 20.0 dB, 1 ms p90.",
        "On Board at 640x480 within 5 ms: edge-m INT8 (openvino), 20.0 dB, 4 ms p90.",
        "On Board at 3840x2160 within 5 ms: none of 1 fits; the fastest is edge-m INT8 (openvino), 20.0 dB, 80 ms p90.",
    ]
    assert fronts(entries) == entries


def test_each_number_of_threads_has_its_answer_and_says_so_only_where_they_differ(make):
    one, four, own = (of_size(make(f"t{n}", [9] * 20, 20.0), 640, 480, n) for n in (1, 4, None))
    words = [v.sentence.partition(":")[0] for v in verdicts(entries_of(one, four, own), Wish())]
    assert words == ["On Board with 1 thread", "On Board with 4 threads", "On Board with threads of its own choice"]
    assert verdicts(entries_of(four, four), Wish())[0].sentence.startswith("On Board: ")
    assert list(by_setting(entries_of(one, four))) == [Setting(640, 480, n, "pairs") for n in (1, 4)]


def test_each_board_has_its_front(make):
    entries = entries_of(make("quick", [1] * 20, 22.0, board="Orin"), make("slow", [9] * 20, 20.0, board="Pi"))
    assert fronts(entries) == entries


def test_scores_on_other_pictures_do_not_compete(make):
    easy = make("easy", [4] * 20, 35.0)
    easy = replace(easy, quality=replace(easy.quality, digest="e" * 64, data="easy pictures"))
    entries = entries_of(make("a", [4] * 20, 20.0), make("b", [5] * 20, 21.0), easy)
    assert verdicts(entries, Wish())[0].entry.row.bundle == "b"


def scored_on(measurement, name, digest):
    return replace(measurement, quality=replace(measurement.quality, data=name, digest=digest * 64))


def test_each_set_of_pictures_has_its_answer_and_is_named(make):
    hard = scored_on(make("good", [9] * 20, 13.0, model="good"), "hard", "a")
    easy = scored_on(make("bad", [5] * 20, 31.0, model="bad"), "easy", "b")
    unscored = make("unscored", [1] * 20)
    entries = entries_of(hard, easy, unscored)
    assert [v.sentence for v in verdicts(entries, Wish())] == [
        "On Board on “hard”: good INT8 (openvino), 13.0 dB, 9 ms p90.",
        "On Board on “easy”: bad INT8 (openvino), 31.0 dB, 5 ms p90.",
    ]
    assert fronts(entries[:2]) == entries[:2]


def test_two_folders_of_one_name_are_told_apart_and_one_set_under_two_names_is_not(make):
    a, b = (scored_on(make(d, psnr_db=20.0), "pairs", d) for d in "ab")
    assert [e.row.data for e in entries_of(a, b)] == ["pairs (aaaaaa)", "pairs (bbbbbb)"]
    copied = scored_on(make("c", psnr_db=20.0), "copy", "a")
    assert [e.row.data for e in entries_of(a, copied)] == ["pairs", "pairs"]


@pytest.mark.parametrize("wish", [Wish(min_psnr_db=10), Wish(budget_ms=1)])
def test_what_was_not_scored_or_is_too_slow_does_not_fit(make, wish):
    assert not fits(entries_of(make("a", [4] * 20))[0].row, wish)


def test_drop_is_taken_from_the_float_row_of_the_same_checkpoint_and_pictures(make):
    entries = entries_of(make("int8", None, 21.5), make("fp32", None, 21.75, precision="fp32"))
    assert entries[0].row.psnr_drop_db == pytest.approx(0.25)
    assert entries[1].row.psnr_drop_db == 0
    assert entries_of(make("int8", None, 21.5))[0].row.psnr_drop_db is None


def test_a_drop_that_export_measured_is_marked_as_such(make):
    int8 = make("int8", None, 21.5)
    exported = {"data": "24 made pairs", "psnr_drop_db": 0.03, "ssim_drop": 0.001}
    int8 = replace(int8, subject=replace(int8.subject, accuracy=exported))
    alone, (beside, _) = entries_of(int8), entries_of(int8, make("fp32", None, 21.75, precision="fp32"))
    assert (alone[0].row.psnr_drop_db, alone[0].row.drop_from) == (0.03, "export, 24 made pairs")
    assert (beside.row.psnr_drop_db, beside.row.drop_from) == (pytest.approx(0.25), "")
    assert "export, 24 made pairs" in table(alone) and "Drop from" not in table([beside])


def test_a_model_that_looks_twice_has_no_drop_to_one_that_looks_once(make):
    int8, once = make("edge-l", None, 22.0, model="edge-l"), make("edge-m", None, 21.75, precision="fp32")
    twice = replace(int8, subject=replace(int8.subject, model={**int8.subject.model, "mirrored": True}))
    assert entries_of(twice, once)[0].row.psnr_drop_db is None
