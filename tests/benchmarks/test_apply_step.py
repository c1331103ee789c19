"""Sharpness near depth edges is told against a plain grid of either size."""

from dataclasses import replace

import numpy as np

from benchmarks.apply_step import _edge_ratios
from edge.scenes import landscape


def test_following_edges_is_better_than_a_plain_grid_of_the_same_size_and_still_more_than_a_coarser_one():
    ratios = _edge_ratios(landscape(0, 640, 480))
    assert set(ratios) == {"80x60", "160x120"}
    assert 0 < ratios["80x60"] < ratios["160x120"] < 1


def test_pixels_whose_depth_was_not_measured_do_not_count():
    scene = landscape(0, 640, 480)
    left = np.zeros(scene.depth.shape, bool)
    left[:, :320] = True
    halves = [_edge_ratios(replace(scene, measured=half))["80x60"] for half in (left, ~left)]
    whole = _edge_ratios(scene)["80x60"]
    assert _edge_ratios(replace(scene, measured=left | ~left))["80x60"] == whole
    assert min(halves) < whole < max(halves)  # a ratio of sums over both
