"""INT8 against float32 in turns: what is recommended follows from what was timed."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from edge import pace
from edge.measure import loop

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


@pytest.mark.parametrize(
    ("int8_seconds", "recommended", "says"), [(0.01, "int8", "one thread"), (0.04, "fp32", "take --precision fp32")]
)
def test_the_faster_of_the_two_is_recommended(int8_seconds, recommended, says):
    found = pace.paired(Target(), bundle(0.02), bundle(int8_seconds), "CPU", SHORT)

    assert found.recommended == recommended
    assert found.low <= found.to_fp32 <= found.high
    assert found.to_fp32 == pytest.approx(int8_seconds / 0.02, rel=0.3)
    assert says in found.sentence()
