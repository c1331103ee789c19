"""INT8 against float32 in turns: what is recommended follows from what was timed."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

from edge import pace
from edge.measure import conditions, loop

SHORT = loop.Plan(warmup_runs=1, warmup_s=0.0, runs=4, seconds=0.8, longest_s=3.0)


class Target:
    """Its networks take as long as their bundle says."""

    def open(self, bundle, device, threads):
        assert threads == 1
        return Network(bundle.seconds)


class Network:
    def __init__(self, seconds):
        self._seconds = seconds

    def __call__(self, picture):
        time.sleep(self._seconds)
        return (np.zeros((1, 1, 7), np.float32),)

    def close(self):
        pass


def bundle(seconds):
    return SimpleNamespace(manifest=SimpleNamespace(input={"width": 8, "height": 6}), seconds=seconds)


@pytest.fixture
def machine(monkeypatch):
    """Sets how many cores other programs keep busy."""
    nothing = conditions.Sensed(None, None, None)

    def crowded(cores):
        seen = conditions.Conditions(nothing, nothing, None, None, cores, 0.0, 0)
        monkeypatch.setattr(conditions.Monitor, "finish", lambda self: seen)

    return crowded


@pytest.mark.parametrize(
    ("int8_seconds", "recommended", "says"), [(0.01, "int8", "one thread"), (0.04, "fp32", "take --precision fp32")]
)
def test_the_faster_of_the_two_is_recommended(machine, int8_seconds, recommended, says):
    machine(0.0)

    found = pace.paired(Target(), bundle(0.02), bundle(int8_seconds), "CPU", SHORT)

    assert found.recommended == recommended
    assert found.low <= found.to_fp32 <= found.high
    assert found.to_fp32 == pytest.approx(int8_seconds / 0.02, rel=0.3)
    assert says in found.sentence()
    assert found.marks == ()


@pytest.mark.parametrize("int8_seconds", [0.01, 0.04])
def test_on_a_crowded_machine_none_is_recommended(machine, int8_seconds):
    machine(1.5)

    found = pace.paired(Target(), bundle(0.02), bundle(int8_seconds), "CPU", SHORT)

    assert found.recommended is None
    assert found.to_json()["marks"] == ("crowded: other programs kept 1.5 cores busy",)
    assert "not quiet (crowded: other programs kept 1.5 cores busy): export again" in found.sentence()
    assert "--precision" not in found.sentence()


@pytest.mark.parametrize(
    ("recommended", "processor", "marked"),
    [
        ("fp32", "Cortex-A76", True),
        ("int8", "Cortex-A76", False),
        ("fp32", "Xeon", False),
        (None, "Cortex-A76", False),
    ],
)
def test_a_measurement_is_marked_where_int8_is_known_to_be_no_faster(recommended, processor, marked):
    found = pace.Pace(1.1, 1.05, 1.15, 2.2, 2.0, 1, processor, recommended)

    mark = pace.mark({"pace": found.to_json()}, "Cortex-A76")

    assert (mark is not None) is marked
    if mark:
        assert mark.startswith("take fp32") and "1.10 (1.05 to 1.15) of float32's time" in mark


@pytest.mark.parametrize(
    ("then", "now", "marked"),
    [
        (("AVX2",), ("AVX2",), True),
        (("AVX2",), ("AVX2", "AVX-512", "AVX-512 VNNI"), False),
        (("NEON",), ("NEON", "dot product"), False),
        ((), ("AVX2",), True),
        (("AVX2",), (), True),
    ],
)
def test_a_pace_says_nothing_of_a_processor_of_that_name_with_other_instruction_sets(then, now, marked):
    found = pace.Pace(1.1, 1.05, 1.15, 2.2, 2.0, 1, "AMD EPYC", "fp32", instructions=then)
    told = json.loads(json.dumps({"pace": found.to_json()}))
    assert (pace.mark(told, "AMD EPYC", now) is not None) is marked


def test_a_bundle_of_which_no_pace_is_known_gets_no_mark():
    assert pace.mark({}, "Cortex-A76") is None


def test_a_pace_told_in_another_way_gets_no_mark():
    assert pace.mark({"pace": {"processor": "Cortex-A76", "to_fp32": 1.1}}, "Cortex-A76") is None
    assert pace.mark({"pace": "slow"}, "Cortex-A76") is None
    slow = pace.Pace(1.1, 1.05, 1.15, 2.2, 2.0, 1, "Cortex-A76", "fp32").to_json()
    assert pace.mark({"pace": slow | {"to_fp32": "1.1"}}, "Cortex-A76") is None
    assert pace.mark({"pace": {k: v for k, v in slow.items() if k != "marks"}}, "Cortex-A76") is not None
