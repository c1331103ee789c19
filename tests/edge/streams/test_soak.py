"""A small soak: every kind of fault once, every frame accounted for, nothing left over."""

import pytest

pytest.importorskip("psutil")
from benchmarks.soak import KINDS, soak


def test_every_frame_is_accounted_for_and_nothing_is_left(adding):
    frames = 60 * (len(KINDS) + 1)
    result = soak(adding, frames, fps=200, every=60, report=lambda line: None)
    assert set(result["faults"]) == set(KINDS)
    told_elsewhere = [line for line in result["failures"] if "memory" not in line and "latency" not in line]
    assert told_elsewhere == []  # memory and latency need the long run: make soak
    assert result["captured"] == result["broken"] + result["dropped"] + result["processed"]
    assert result["handles_left"] <= 0 and result["threads_left"] <= 0
    assert result["reconnects"] >= 2 and result["events"]["model_replaced"] >= 1
