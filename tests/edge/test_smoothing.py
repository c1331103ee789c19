"""Coefficients averaged over time: calm where nothing moves, at once where something does, anew at a cut."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import native
from edge.smoothing import Smoother

HEIGHT, WIDTH = 30, 40
WAYS = [None, *([native.loops] if native.loops is not None else [])]
both_ways = pytest.mark.parametrize("loops", WAYS, ids=["image library", "loops in C"][: len(WAYS)])
needs_loops = pytest.mark.skipif(native.loops is None, reason="the loops in C are not built here (no C compiler)")


@pytest.fixture
def scene() -> np.ndarray:
    rows, columns = np.mgrid[0:120, 0:160]
    return np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)


def answers(rng: np.random.Generator, count: int, level: float = 0.0) -> list[np.ndarray]:
    return [rng.normal(level, 1, (HEIGHT, WIDTH, 7)).astype(np.float32) for _ in range(count)]


def test_flicker_of_a_still_scene_is_more_than_halved(scene):
    rng = np.random.default_rng(0)
    smoother, light = Smoother(0.2), np.zeros(3, np.float32)
    noisy = answers(rng, 60)
    pictures = [np.clip(scene + rng.normal(0, 3, scene.shape), 0, 255).astype(np.uint8) for _ in noisy]
    calm = [smoother(picture, cell, light)[0].copy() for picture, cell in zip(pictures, noisy, strict=True)]
    flicker = np.mean([np.abs(b - a).mean() for a, b in itertools.pairwise(calm[20:])])
    assert flicker < 0.5 * np.mean([np.abs(b - a).mean() for a, b in itertools.pairwise(noisy[20:])])
    assert smoother.cuts == 0


def test_where_something_moves_the_new_answer_counts_at_once(scene):
    smoother, light = Smoother(1.0), np.zeros(3, np.float32)
    before, after = np.zeros((HEIGHT, WIDTH, 7), np.float32), np.ones((HEIGHT, WIDTH, 7), np.float32)
    smoother(scene, before, light)
    moved = scene.copy()
    moved[40:80, 40:80] = 255 - moved[40:80, 40:80] // 2
    cell, _ = smoother(moved, after, light)
    assert (cell[13:17, 13:17] > 0.95).all()  # in the middle of what moved
    assert (cell[:5] < 0.1).all()  # nothing happened here


def test_a_cut_starts_anew(scene):
    smoother = Smoother(5.0)
    smoother(scene, np.zeros((HEIGHT, WIDTH, 7), np.float32), np.zeros(3, np.float32))
    fresh, light = np.full((HEIGHT, WIDTH, 7), 3, np.float32), np.full(3, 2, np.float32)
    cell, airlight = smoother(255 - scene, fresh, light)
    np.testing.assert_array_equal(cell, fresh)
    np.testing.assert_array_equal(airlight, light)
    assert smoother.cuts == 1


def test_a_cut_from_one_grey_scene_to_another_is_seen(scene):
    rng = np.random.default_rng(0)
    one, other = (cv2.resize(rng.random((8, 10, 3)), (160, 120)) for _ in range(2))
    hazy = [np.rint(170 + 40 * picture).astype(np.uint8) for picture in (one, other)]
    assert np.mean(cv2.absdiff(*hazy).max(axis=2) > 28) < 0.5  # too alike in brightness to tell by it
    smoother, light = Smoother(5.0), np.zeros(3, np.float32)
    smoother(hazy[0], np.zeros((HEIGHT, WIDTH, 7), np.float32), light)
    cell, _ = smoother(hazy[1], np.ones((HEIGHT, WIDTH, 7), np.float32), light)
    assert (cell == 1).all()
    assert smoother.cuts == 1


def test_noise_in_thick_fog_is_no_cut():
    rng = np.random.default_rng(1)
    smoother, light = Smoother(0.2), np.zeros(3, np.float32)
    for cell in answers(rng, 10):
        fog = np.clip(rng.normal(200, 6, (120, 160, 3)), 0, 255).astype(np.uint8)
        smoother(fog, cell, light)
    assert smoother.cuts == 0


def test_the_time_constant_is_one_of_time_not_of_frames(scene):
    results = []
    for rate, count in ((10, 5), (50, 25)):
        smoother, light = Smoother(0.5), np.zeros(3, np.float32)
        smoother.step_s = 1 / rate
        smoother(scene, np.zeros((HEIGHT, WIDTH, 7), np.float32), light)
        for _ in range(count):
            cell, _ = smoother(scene, np.ones((HEIGHT, WIDTH, 7), np.float32), light)
        results.append(float(cell.mean()))
    assert results == pytest.approx([1 - np.exp(-1)] * 2, abs=1e-4)


def test_zero_seconds_give_every_answer_as_it_is(scene):
    smoother = Smoother(0)
    for cell in answers(np.random.default_rng(1), 3):
        assert smoother(scene, cell, np.zeros(3, np.float32))[0] is cell


def test_what_the_network_reuses_is_not_kept(scene):
    smoother, light = Smoother(0.2), np.zeros(3, np.float32)
    cell = np.zeros((HEIGHT, WIDTH, 7), np.float32)
    smoother(scene, cell, light)
    cell[:] = 100  # the runtime writes its next answer into the same array
    out, _ = smoother(scene, np.zeros((HEIGHT, WIDTH, 7), np.float32), light)
    assert not out.any()


def change(picture: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """By how much each cell's surroundings changed, in float64: a picture goes on beyond its edges as in a mirror."""
    rows, cells = picture.shape[:2]
    edges = [(1, 1), (1, 1), (0, 0)]
    difference = np.pad(
        np.abs(picture.astype(np.float64) - guide), edges, mode="reflect" if min(rows, cells) > 1 else "edge"
    )
    return sum(difference[y : y + rows, x : x + cells] for y in range(3) for x in range(3)).max(axis=2) / 9


@both_ways
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(2, 40), cells=st.integers(2, 50), seed=st.integers(0, 2**32 - 1))
def test_answers_are_averaged_as_in_float64(loops, rows, cells, seed):
    rng = np.random.default_rng(seed)
    smoother = Smoother(0.2, loops)
    first = rng.integers(40, 216, (rows, cells, 3))
    before, after = rng.normal(0, 2, (2, rows, cells, 7)).astype(np.float32)
    smoother(first.astype(np.uint8), before, np.array([1, 0, 0, 2], np.float32))
    kept, guide = before.astype(np.float64), first.astype(np.float64)
    for _ in range(3):
        picture = np.rint(first + rng.normal(0, 8, first.shape)).clip(0, 255).astype(np.uint8)
        cell, airlight = smoother(picture, after, np.array([0, 1, 0, 4], np.float32))
        trust = np.exp(-(1 / 30) / 0.2) * np.exp(-((change(picture, guide) / 14) ** 2))[..., None]
        kept, guide = after + trust * (kept - after), picture + trust * (guide - picture)
        np.testing.assert_allclose(cell, kept, atol=2e-5)
    assert airlight == pytest.approx([np.exp(-0.5), 1 - np.exp(-0.5), 0, 4 - 2 * np.exp(-0.5)], abs=1e-5)
    assert smoother.cuts == 0


@both_ways
def test_a_single_cell_is_averaged_too(loops):
    smoother, light = Smoother(0.2, loops), np.zeros(3, np.float32)
    smoother(np.full((1, 1, 3), 100, np.uint8), np.zeros((1, 1, 7), np.float32), light)
    cell, _ = smoother(np.full((1, 1, 3), 107, np.uint8), np.ones((1, 1, 7), np.float32), light)
    assert cell.ravel() == pytest.approx(7 * [1 - np.exp(-1 / 6 - 0.25)], abs=1e-5)


@both_ways
def test_the_picture_may_be_its_means_over_the_cells(scene, loops):
    rng, light = np.random.default_rng(0), np.zeros(3, np.float32)
    whole, means = Smoother(0.2, loops), Smoother(0.2, loops)
    for cell in answers(rng, 3):
        expected, _ = whole(scene, cell, light)
        got, _ = means(cv2.resize(scene, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), cell, light)
        np.testing.assert_array_equal(got, expected)


@both_ways
def test_a_cut_is_seen_both_ways(scene, loops):
    smoother, light = Smoother(5.0, loops), np.zeros(3, np.float32)
    smoother(scene, np.zeros((HEIGHT, WIDTH, 7), np.float32), light)
    cell, _ = smoother(255 - scene, np.ones((HEIGHT, WIDTH, 7), np.float32), light)
    assert (cell == 1).all()
    assert smoother.cuts == 1


@needs_loops
@pytest.mark.parametrize("wrong", ["picture", "guide", "change", "answer", "kept", "strided", "read-only"])
def test_smoothing_refuses_arrays_that_it_cannot_take(wrong):
    picture, guide = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8, 3), np.float32)
    changed, (answer, kept) = np.zeros((6, 8), np.float32), np.zeros((2, 6, 8, 7), np.float32)
    if wrong == "picture":
        picture = picture.astype(np.float32)
    elif wrong == "guide":
        guide = guide[:5].copy()
    elif wrong == "change":
        changed = changed[:, :7].copy()
    elif wrong == "answer":
        answer = answer[..., :6].copy()
    elif wrong == "kept":
        kept = kept[:5].copy()
    elif wrong == "strided":
        answer = answer[:, ::-1]
    else:
        kept.flags.writeable = False
    assert native.loops is not None
    with pytest.raises((ValueError, BufferError)):
        native.loops.change(picture, guide, 28.0, changed)
        native.loops.keep(picture, answer, changed, 0.8, 0.005, guide, kept)
