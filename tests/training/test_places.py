"""Which pairs are kept: places stay together."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.errors import PictureError
from training.places import fold_of, kept_pairs, kept_pictures


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        for part in ("hazy", "clear"):
            (tmp_path / part).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / part / f"p{number}.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "places.txt").write_text("# same park\np0 p3\np1 p4 p5\n")
    return tmp_path


def test_a_fold_holds_whole_places_and_the_folds_hold_every_pair_once(folder):
    folds = [{hazy.stem for hazy, _ in kept_pairs(folder, f"!{k}/3")} for k in range(3)]
    assert sorted(name for fold in folds for name in fold) == [f"p{n}" for n in range(6)]
    for place in ({"p0", "p3"}, {"p1", "p4", "p5"}):
        assert sum(place <= fold for fold in folds) == 1
    kept = {hazy.stem for hazy, _ in kept_pairs(folder, "1/3")}
    assert kept.isdisjoint(folds[1]) and kept | folds[1] == {f"p{n}" for n in range(6)}
    assert fold_of("p5", folder, 3) == fold_of("p1", folder, 3)


def test_clear_pictures_alone_are_of_the_fold_of_their_pair(folder):
    for fold in ("1/3", "!1/3"):
        pairs = kept_pairs(folder, fold)
        for number, part in enumerate(("hazy", "clear")):
            assert kept_pictures(folder / part, fold) == [pair[number] for pair in pairs]
    assert len(kept_pictures(folder / "clear")) == 6


def test_a_fold_counts_where_there_are_pairs_or_places_and_nowhere_else(folder):
    (folder / "places.txt").unlink()
    assert kept_pictures(folder / "clear", "1/3") == [clear for _, clear in kept_pairs(folder, "1/3")]
    for picture in (folder / "hazy").iterdir():
        picture.unlink()
    (folder / "hazy").rmdir()
    assert len(kept_pictures(folder / "clear", "1/3")) == 6
    (folder / "clear" / "places.txt").write_text("p0 p1 p2 p3 p4 p5\n")
    assert sorted(len(kept_pictures(folder / "clear", f"{k}/3")) for k in range(3)) == [0, 6, 6]


def test_both_pictures_of_a_pair_are_in_one_fold_however_their_names_are_written(tmp_path):
    for part, ending in (("hazy", "-hazy"), ("GT", "_GT")):
        (tmp_path / part).mkdir()
        for number in range(9):
            name = f"{'P' if part == 'GT' else 'p'}{number}{ending}.png"
            cv2.imwrite(str(tmp_path / part / name), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "places.txt").write_text("P0 P3\n")
    for k in range(3):
        assert kept_pictures(tmp_path / "GT", f"{k}/3") == [clear for _, clear in kept_pairs(tmp_path, f"{k}/3")]


def test_pairs_are_kept_by_name_and_number(folder):
    assert [hazy.stem for hazy, _ in kept_pairs(folder, only="p4")] == ["p4"]
    assert [hazy.stem for hazy, _ in kept_pairs(folder, limit=3)] == ["p0", "p2", "p4"]
    with pytest.raises(PictureError, match="no pair"):
        kept_pairs(folder, only="q")


@pytest.mark.parametrize("fold", ["5/5", "abc", "1", "-1/5", "0/0", "!!0/5"])
def test_a_fold_that_there_is_not_is_refused_and_not_taken_for_none(folder, fold):
    with pytest.raises(PictureError, match="no fold"):
        kept_pairs(folder, fold)


def test_places_that_cannot_be_read_are_told(folder):
    (folder / "places.txt").write_bytes(b"p0 p\xe9\n")
    with pytest.raises(PictureError, match=r"cannot read .*places\.txt: "):
        kept_pairs(folder, "0/3")
