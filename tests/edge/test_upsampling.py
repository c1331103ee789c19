"""Density on the doubled grid: what the method's equation gives, and edges that stay where they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge import native
from edge.apply import GridApply
from edge.upsampling import LEAST, REACH, SIGMA, JointBilateral

WAYS = [None, *([native.loops] if native.loops is not None else [])]
both_ways = pytest.mark.parametrize("loops", WAYS, ids=["image library", "loops in C"][: len(WAYS)])


def doubled_along_rows(cells: np.ndarray, guide: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """Kopf et al. 2007, eq. 3, for the two cells beside each fine one, number by number."""
    rows, columns = cells.shape
    result = np.zeros((rows, 2 * columns))
    for row in range(rows):
        for column in range(2 * columns):
            place = (column + 0.5) / 2 - 0.5
            total = 0.0
            for beside in (int(np.floor(place)), int(np.floor(place)) + 1):
                inside = min(max(beside, 0), columns - 1)
                apart = float(fine[row, column]) - float(guide[row, inside])
                weight = (1 - abs(place - beside)) * max(np.exp(-(apart**2) / (2 * SIGMA**2)), LEAST)
                result[row, column] += weight * cells[row, inside]
                total += weight
            result[row, column] /= total
    return result


def doubled(cells: np.ndarray, guide: np.ndarray, fine: np.ndarray) -> np.ndarray:
    halved = np.rint((fine[::2].astype(float) + fine[1::2]) / 2)
    return doubled_along_rows(doubled_along_rows(cells, guide, halved).T, halved.T, fine.T).T


@both_ways
@pytest.mark.parametrize("levels", [1, 20, 256])
def test_fine_cells_are_those_of_the_equation(levels, loops):
    rng = np.random.default_rng(levels)
    earlier, plane = rng.uniform(-2, 5, (2, 6, 8)).astype(np.float32)
    coarse = np.repeat(rng.integers(0, levels, (6, 8, 1), np.uint8), 3, 2)
    fine = np.repeat(rng.integers(0, levels, (12, 16, 1), np.uint8), 3, 2)
    upsampling = JointBilateral(8, 6, loops)
    upsampling([earlier], fine[::2, ::2].copy(), fine)  # what an earlier frame left must not count
    for ours, cells in zip(upsampling([plane, earlier], coarse, fine), (plane, earlier), strict=True):
        np.testing.assert_allclose(ours, doubled(cells, coarse[..., 0], fine[..., 0]), atol=1e-4)


@both_ways
def test_density_does_not_leak_over_an_edge_of_the_frame(loops):
    """The left half is near and dark, the right half far and bright; the edge lies between two fine cells."""
    frame = np.full((480, 640, 3), 60, np.uint8)
    frame[:, 326:] = 200
    density = np.where(np.arange(640) < 326, 0.2, 1.5).astype(np.float32)[None].repeat(480, 0)
    cells = cv2.resize(density, (160, 120), interpolation=cv2.INTER_AREA)
    step = GridApply(160, 120, loops)
    step.reduce(frame)
    plain, guided = (
        cv2.resize(grid, (640, 480), interpolation=cv2.INTER_LINEAR) for grid in (cells, *step.sharpen([cells]))
    )
    wrong_plain, wrong_guided = (np.abs(grid - density).sum() for grid in (plain, guided))
    assert wrong_guided < 0.6 * wrong_plain


@both_ways
def test_density_that_is_the_same_everywhere_stays(loops):
    rng = np.random.default_rng(2)
    step = GridApply(160, 120, loops)
    step.reduce(rng.integers(0, 256, (480, 640, 3), np.uint8))
    for density in (0.0, 1.0):
        (sharp,) = step.sharpen([np.full((120, 160), density, np.float32)])
        np.testing.assert_allclose(sharp, density, atol=1e-5)


def test_cells_further_apart_than_the_loops_tell_apart_are_the_least_like():
    assert np.exp(-(REACH**2) / (2 * SIGMA**2)) < LEAST


def test_a_frame_without_more_pixels_than_cells_is_left_to_the_coarse_grid():
    plane = np.ones((120, 160), np.float32)
    step = GridApply(160, 120)
    step.reduce(np.zeros((200, 300, 3), np.uint8))
    assert step.sharpen([plane])[0] is plane


def test_a_network_that_sees_twice_its_grid_is_guided_by_what_it_saw():
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 256, (480, 640, 3), np.uint8)
    plane = rng.uniform(0, 3, (120, 160)).astype(np.float32)
    step = GridApply(320, 240)
    fine = step.reduce(frame)
    coarse = cv2.resize(fine, (160, 120), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(step.sharpen([plane]), JointBilateral(160, 120)([plane], coarse, fine))


@both_ways
def test_planes_of_another_grid_may_follow(loops):
    rng = np.random.default_rng(4)
    step = GridApply(320, 240, loops)
    step.reduce(rng.integers(0, 256, (960, 1280, 3), np.uint8))
    for rows, columns in ((120, 160), (240, 320), (120, 160)):
        (sharp,) = step.sharpen([np.full((rows, columns), 1.5, np.float32)])
        assert sharp.shape == (2 * rows, 2 * columns)
        np.testing.assert_allclose(sharp, 1.5, rtol=1e-5)
