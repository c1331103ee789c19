"""`edge.stream`: frames in a Python loop."""

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

import edge
from edge.errors import EdgeError, SourceError
from tests.edge.streams.stage import GREY


def test_faults_are_exceptions_with_names_in_python(identity):
    with pytest.raises(SourceError, match="not uint8"):
        list(edge.stream([np.zeros((4, 4), np.float32)], identity))
    with pytest.raises(EdgeError, match="strength"):
        list(edge.stream([GREY], identity, strength=5))


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
