"""A small soak: every kind of fault once, every frame accounted for, nothing left; and what a soak is judged by."""

import pytest

pytest.importorskip("psutil")
from benchmarks.faulty import KINDS
from benchmarks.soak import failures, growth_mib, soak


def test_every_frame_is_accounted_for_and_nothing_is_left(adding):
    frames = 60 * (len(KINDS) + 1)
    result = soak(adding, frames, fps=200, every=60)
    assert set(result["faults"]) == set(KINDS)
    told_elsewhere = [line for line in result["failures"] if "memory" not in line and "latency" not in line]
    assert told_elsewhere == []  # memory and latency need the long run: make soak
    assert result["captured"] == result["broken"] + result["dropped"] + result["processed"]
    assert result["handles_left"] <= 0 and result["threads_left"] <= 0
    assert result["reconnects"] >= 2 and result["events"]["model_replaced"] >= 1


def test_memory_that_comes_and_goes_is_no_growth_and_a_leak_is():
    restless = [(at, 150 + 6 * (at % 3000 == 0)) for at in range(0, 100_000, 200)]
    leaking = [(at, rss + 0.1 * at / 1000) for at, rss in restless]
    assert growth_mib(restless) == 0
    assert 8 < growth_mib(leaking) < 10


def test_each_promise_that_is_not_kept_is_named():
    sink = {"name": "program", "delivered": 80, "dropped": 9, "failed": 1}
    counts = {"captured": 100, "orphaned": 1, "broken": 2, "dropped": 8, "processed": 90, "sinks": [sink]}
    kept = {"frames": 104, "faults": {"unplugged": 2, "stalled": 1}, **counts}
    kept |= {"memory_growth_mib": 4.9, "handles_left": 0, "threads_left": 0, "latency_p99_ms": [10.0, 12.0]}
    assert failures(kept) == []
    for name, value, said in (
        ("frames", 105, "captured 101 of 102"),
        ("dropped", 7, "captured is not broken + dropped + processed"),
        ("sinks", [sink | {"failed": 0}], "program: processed is not"),
        ("memory_growth_mib", 5.1, "memory grew by 5.1 MiB"),
        ("handles_left", 1, "1 handles and 0 threads"),
        ("latency_p99_ms", [10.0, 12.1], "went from 10.0 to 12.1"),
    ):
        assert [line for line in failures(kept | {name: value}) if said in line], name
