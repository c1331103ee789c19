"""How many times as long a peer takes is told with what it is compared with, and on which machine."""

import numpy as np
import pytest

from benchmarks import peers
from edge.measure.loop import Series


def series(milliseconds: float) -> Series:
    return Series([np.full((5, 4), milliseconds) for _ in range(6)])


def test_ratios_are_of_the_two_that_a_comparison_names():
    timed = {
        peers.EDGE: series(2),
        peers.EDGE_FLOAT: series(4),
        peers.AOD_NET: series(10),
        peers.AOD_NET_FLOAT: series(40),
    }
    timed[peers.FULL_MODEL] = series(800)
    ratios = {(c.peer, c.edge): peers.compared(c, timed)["ratio"] for c in peers.COMPARISONS}
    assert ratios[peers.AOD_NET_FLOAT, peers.EDGE] == pytest.approx(20)
    assert ratios[peers.AOD_NET_FLOAT, peers.EDGE_FLOAT] == pytest.approx(10)
    assert ratios[peers.AOD_NET, peers.EDGE] == pytest.approx(5)


def test_what_is_printed_names_precisions_and_instruction_sets(capsys):
    timed = dict.fromkeys(
        (peers.EDGE, peers.EDGE_FLOAT, peers.AOD_NET, peers.AOD_NET_FLOAT, peers.FULL_MODEL), series(2)
    )
    peers._show(
        {
            "machine": "a processor",
            "instruction_sets": ("AVX2", "AVX-512 VNNI"),
            "versions": {"openvino": "1"},
            "median_ms": {},
            "precision": {},
            "times": [peers.compared(c, timed) for c in peers.COMPARISONS],
        }
    )
    told = capsys.readouterr().out
    assert "a processor (AVX2, AVX-512 VNNI), one thread" in told
    assert "AOD-Net float32 takes 1.0 times as long as edge-m float32" in told
    assert "AOD-Net INT8 takes 1.0 times as long as edge-m INT8" in told
