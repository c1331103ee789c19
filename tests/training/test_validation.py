"""Pairs that are validated on: read whole, of one size, or refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.errors import PictureError
from tests.training.conftest import Drawn, short_run
from training.trainer import Trainer
from training.validation import read_pair, strip, whole_pairs


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


def test_thin_pictures_keep_a_pixel_and_are_shown_no_wider_than_can_be_stored(pair):
    for path in pair:
        cv2.imwrite(str(path), np.full((1, 3000, 3), 99, np.uint8))
    hazy, clear = read_pair(*pair, longest=40)
    assert hazy.shape == clear.shape == (1, 3000, 3)
    assert strip([(hazy, hazy, clear)], 40).shape[1] == 3 * 8 * 40


def test_pairs_that_cannot_be_validated_on_are_named_at_the_start_and_the_rest_is_used(tmp_path, pairs_folder, capsys):
    (pairs_folder / "clear" / "0.png").write_bytes(b"")
    cv2.imwrite(str(pairs_folder / "hazy" / "1.png"), np.zeros((10, 20, 3), np.uint8))
    config = short_run(1, validation={"every": 1, "pairs": {"mine": {"folder": "pairs"}}})
    trainer = Trainer(config, tmp_path / "run", data=tmp_path, dataset=Drawn())
    told = capsys.readouterr().err
    assert "0.png is empty" in told and "1.png has 20x10 pixels" in told
    assert trainer.fit().name == "best.safetensors"


def test_nothing_but_pairs_that_cannot_be_validated_on_is_an_error(pair):
    pair[0].unlink()
    with pytest.raises(PictureError, match=r"hazy\.jpg does not exist"):
        whole_pairs([pair])
