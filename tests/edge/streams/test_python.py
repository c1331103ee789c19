"""`edge.stream`: frames in a Python loop."""

import gc
import itertools
import signal
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
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


def test_what_a_programs_source_gives_that_is_no_frame_is_named_by_its_number_and_the_next_is_taken(identity):
    """Among them None, which a camera's own loop gives where a frame is missing: it is no end."""
    got, told = [], []
    wrong = [None, GREY[..., 0], (GREY, float("nan")), (GREY, "noon"), (GREY, 1, 2)]
    with pytest.raises(BrokenFrame, match="5 of 7 frames"):
        for frame in edge.stream([GREY, *wrong, GREY], identity, on_event=told.append):
            got.append((frame.number, frame.time))
    assert got == [(0, 0), (6, Fraction(6, 30))]
    assert [event.message.split(":")[0] for event in told] == [f"frame {number}" for number in range(1, 6)]


def test_a_time_stamp_may_be_any_number(identity):
    stamps = [np.float32(0.5), np.float64(1), np.int64(2), 2.5, 3, Fraction(7, 2)]
    times = [frame.time for frame in edge.stream([(GREY, stamp) for stamp in stamps], identity)]
    assert times == [0.5, 1, 2, 2.5, 3, 3.5]


@pytest.mark.parametrize("fault", [KeyError("row"), SystemExit(3)])
def test_an_error_in_a_programs_own_source_says_where_it_was(identity, fault):
    def pictures():
        yield GREY
        raise fault

    with pytest.raises(SourceError, match=f"the source failed: {type(fault).__name__}") as error:
        list(edge.stream(pictures(), identity))
    assert error.value.__cause__ is fault
    assert traceback.extract_tb(fault.__traceback__)[-1].name == "pictures"


def test_a_stream_that_is_closed_lets_a_programs_source_go_at_once(identity):
    """With the camera that its generator holds; not whenever garbage is next collected."""
    let_go = threading.Event()

    def pictures():
        try:
            while True:
                yield GREY
        finally:
            let_go.set()

    gc.disable()
    try:
        frames = edge.stream(pictures(), identity)
        next(frames)
        frames.close()
        del frames
        assert let_go.wait(5)
    finally:
        gc.enable()


def silent_after_one():
    yield GREY
    time.sleep(30)


def test_another_thread_may_close_a_stream_whose_loop_waits_for_a_frame(identity):
    frames = edge.stream(silent_after_one(), identity)
    closed = []

    def close() -> None:
        frames.close()
        closed.append(True)

    timer = threading.Timer(0.3, close)
    timer.start()
    start = time.monotonic()
    assert [frame.number for frame in frames] == [0]
    assert time.monotonic() - start < 10
    timer.join()
    assert closed and list(frames) == []


def test_an_event_may_close_the_stream(identity):
    told = []

    def close(event: edge.Event) -> None:
        frames.close()
        told.append(event.name)

    frames = edge.stream(itertools.chain([GREY, GREY[..., 0]], itertools.repeat(GREY)), identity, on_event=close)
    start = time.monotonic()
    list(frames)
    assert told == ["broken_frame"]
    assert time.monotonic() - start < 5  # it does not wait for the thread that it was closed by


def test_a_signals_handler_may_close_the_stream_that_it_interrupts(identity):
    frames = edge.stream(silent_after_one(), identity)
    before = signal.signal(signal.SIGALRM, lambda *_: frames.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.5)
        assert [frame.number for frame in frames] == [0]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_threads_may_share_a_stream_and_each_frame_goes_to_one_of_them(adding):
    frames = edge.stream([GREY] * 60, adding)
    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(lambda _: [frame.number for frame in frames], range(4)))
    assert sorted(itertools.chain(*shares)) == list(range(60))
