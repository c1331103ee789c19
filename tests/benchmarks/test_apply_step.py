"""Sharpness near depth edges is told against a plain grid of either size."""

from benchmarks.apply_step import _edge_ratios
from edge.scenes import landscape


def test_following_edges_is_better_than_a_plain_grid_of_the_same_size_and_still_more_than_a_coarser_one():
    ratios = _edge_ratios(landscape(0, 640, 480))
    assert set(ratios) == {"80x60", "160x120"}
    assert 0 < ratios["80x60"] < ratios["160x120"] < 1
