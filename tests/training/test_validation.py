"""Pairs that are validated on: read whole, of one size, or refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.errors import PictureError
from training.validation import read_pair


@pytest.fixture
def pair(tmp_path):
    """Two equal JPEG pictures of 80x60 pixels."""
    picture = np.random.default_rng(2).integers(0, 255, (60, 80, 3), np.uint8)
    paths = tmp_path / "hazy.jpg", tmp_path / "clear.jpg"
    for path in paths:
        cv2.imwrite(str(path), picture)
    return paths


def test_a_picture_that_was_cut_short_is_refused_and_not_scored_half_grey(pair):
    content = pair[1].read_bytes()
    pair[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(PictureError, match=r"clear\.jpg is damaged"):
        read_pair(*pair)


def test_pictures_of_two_sizes_are_no_pair_even_if_they_are_reduced_to_one(pair):
    cv2.imwrite(str(pair[1]), np.zeros((30, 40, 3), np.uint8))
    with pytest.raises(PictureError, match="a pair has one size"):
        read_pair(*pair, longest=20)


def test_large_pictures_are_reduced_to_the_longest_side_asked_for(pair):
    assert [picture.shape for picture in read_pair(*pair, longest=40)] == [(30, 40, 3)] * 2
    assert [picture.shape for picture in read_pair(*pair, longest=400)] == [(60, 80, 3)] * 2
