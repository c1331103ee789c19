"""`edge.stream`: frames in a Python loop."""

import itertools
import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

import edge
from edge.dehazer import Dehazer
from edge.errors import EdgeError, ModelFault, SourceError
from edge.streams.faults import BrokenFrame
from tests.edge.streams.stage import GREY


def test_faults_are_exceptions_with_names_in_python(identity):
    with pytest.raises(SourceError, match="not uint8"):
        list(edge.stream([np.zeros((4, 4), np.float32)], identity))
    with pytest.raises(EdgeError, match="strength"):
        list(edge.stream([GREY], identity, strength=5))


def test_none_among_the_frames_is_told_as_no_frame_and_the_others_come(identity):
    got = []
    with pytest.raises(BrokenFrame, match=r"1 of 3 frames .* NoneType is not uint8 \(height, width, 3\)"):
        got.extend(frame.number for frame in edge.stream([GREY, None, GREY], identity))
    assert got == [0, 2]
    with pytest.raises(BrokenFrame, match="NoneType is not uint8"):
        list(edge.stream(iter([None]), identity))


@pytest.mark.parametrize("source", ["raw:{}/empty?size=4x4", "raw:{}/empty?size=4x4&live=1", []])
def test_a_source_without_a_frame_is_an_error(identity, tmp_path, source):
    (tmp_path / "empty").touch()
    with pytest.raises(SourceError, match="ended before its first frame"):
        list(edge.stream(source.format(tmp_path) if isinstance(source, str) else source, identity))


@pytest.mark.parametrize("options", ["", "&live=1"])
def test_a_source_that_ends_inside_its_first_frame_is_an_error(identity, tmp_path, options):
    (tmp_path / "cut").write_bytes(bytes(47))
    with pytest.raises(BrokenFrame, match="ends inside frame 0: 47 of 48 bytes"):
        list(edge.stream(f"raw:{tmp_path}/cut?size=4x4{options}", identity))


@pytest.mark.parametrize("fps", [0, -1, 1e-9, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_told_whatever_the_source(identity, tmp_path, fps):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    for source in ([GREY], tmp_path, "test:"):
        with pytest.raises(EdgeError, match=r"fps must lie between 0\.001 and 1000"):
            next(edge.stream(source, identity, fps=fps))


def test_frames_of_a_file_that_cannot_be_cleared_are_named_and_raised_after_the_others(adding, monkeypatch):
    calls, events, got = itertools.count(), [], []
    real = Dehazer.__call__

    def every_second_fails(self, *arguments):
        if next(calls) % 2:
            raise RuntimeError("device lost")
        return real(self, *arguments)

    monkeypatch.setattr(Dehazer, "__call__", every_second_fails)
    with pytest.raises(ModelFault, match=r"3 of 6 frames .* the first: frame 1: .*device lost"):
        got.extend(frame.number for frame in edge.stream([GREY] * 6, adding, on_event=events.append))
    assert got == [0, 2, 4]
    assert [(event.name, event.message.split(":")[0]) for event in events] == [
        ("model_failed", f"frame {number}") for number in (1, 3, 5)
    ]


def test_damaged_pictures_of_a_folder_are_named_and_raised_after_the_others(adding, tmp_path):
    for name in "abcd":
        Image.fromarray(GREY).save(tmp_path / f"{name}.png")
    for name in "bd":
        (tmp_path / f"{name}.png").write_bytes(b"not a picture")
    events, got = [], []
    with pytest.raises(BrokenFrame, match=r"2 of 4 frames .* the first: .*b\.png is not a picture"):
        got.extend(frame.name for frame in edge.stream(tmp_path, adding, on_event=events.append))
    assert got == ["a.png", "c.png"]
    assert [event.name for event in events] == ["broken_frame"] * 2
    assert "b.png" in events[0].message and "d.png" in events[1].message


def test_a_loop_that_is_left_leaves_nothing_behind(identity):
    before = threading.active_count()
    for frame in edge.stream((GREY for _ in range(10**6)), identity):
        if frame.number == 20:
            break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_python_frames_come_in_order_with_their_times(adding):
    pictures = [np.full((8, 8, 3), level, np.uint8) for level in range(0, 200, 10)]
    clear = list(edge.stream([(p, n / 4) for n, p in enumerate(pictures)], adding))
    assert [int(frame.picture[0, 0, 0]) for frame in clear] == [level + 10 for level in range(0, 200, 10)]
    assert [frame.time for frame in clear] == [Fraction(n, 4) for n in range(20)]
    assert all((p == level).all() for p, level in zip(pictures, range(0, 200, 10), strict=True))  # untouched


def test_kept_frames_stay_as_they_were(adding):
    kept = [f.picture for f in edge.stream((np.full((40, 50, 3), n, np.uint8) for n in range(60)), adding)]
    assert [int(picture[5, 5, 0]) for picture in kept] == [n + 10 for n in range(60)]
