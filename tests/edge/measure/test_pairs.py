"""Pairs are found by the naming habits of the dehazing data sets, and what does not fit is named."""

import os

import numpy as np
import pytest

from edge.errors import PictureError
from edge.measure.accuracy import open_pairs
from edge.measure.pairs import find_pairs
from edge.pictures import write_picture


def lay(folder, hazy, clear, clear_name="clear"):
    for name, files in (("hazy", hazy), (clear_name, clear)):
        (folder / name).mkdir(parents=True)
        for file in files:
            (folder / name / file).write_bytes(b"x")
    return folder


def names(pairs):
    return [(hazy.name, clear.name) for hazy, clear in pairs]


@pytest.mark.parametrize("clear_name", ["clear", "gt", "GT"])
@pytest.mark.parametrize(
    ("hazy", "clear"),
    [
        ("0013_0.8_0.1.png", "0013.png"),
        ("01_outdoor_hazy.jpg", "01_outdoor_GT.jpg"),
        ("51.png", "51.png"),
        ("nhhaze01.jpg", "nhhaze01.png"),
        ("IMG_0001_hazy.JPG", "IMG_0001_gt.png"),
        ("SCENE_0.95_0.16.png", "SCENE.png"),
        ("scene_1_0.8.png", "scene_1.png"),
        ("IMG_8583_2.jpg", "IMG_8583_RGB.jpg"),
    ],
)
def test_naming_habits(tmp_path, hazy, clear, clear_name):
    assert names(find_pairs(lay(tmp_path, [hazy], [clear], clear_name))) == [(hazy, clear)]


def test_several_haze_levels_share_one_clear_picture(tmp_path):
    folder = lay(tmp_path, ["7_2.png", "7_5.png", "8_2.png"], ["7.png", "8.png"])
    assert names(find_pairs(folder)) == [("7_2.png", "7.png"), ("7_5.png", "7.png"), ("8_2.png", "8.png")]


def test_names_that_share_their_first_token_go_by_the_longest_match(tmp_path):
    folder = lay(tmp_path, ["IMG_1_hazy.png", "IMG_2_hazy.png"], ["IMG_1_GT.png", "IMG_2_GT.png"])
    assert names(find_pairs(folder)) == [("IMG_1_hazy.png", "IMG_1_GT.png"), ("IMG_2_hazy.png", "IMG_2_GT.png")]


@pytest.mark.parametrize(
    ("hazy", "clear"),
    [("img_002.png", "img_001.png"), ("img_002_hazy.png", "img_001_gt.png"), ("img_hazy_002.png", "img_gt_001.png")],
)
def test_another_number_is_another_picture_even_where_it_is_the_only_one(tmp_path, hazy, clear):
    with pytest.raises(PictureError, match="no different numbers after it"):
        find_pairs(lay(tmp_path, [hazy], [clear]))


def test_numbers_behind_other_words_tell_pictures_apart(tmp_path):
    folder = lay(tmp_path, ["img_hazy_1.png", "img_hazy_2.png"], ["img_gt_1.png", "img_gt_2.png"])
    assert names(find_pairs(folder)) == [("img_hazy_1.png", "img_gt_1.png"), ("img_hazy_2.png", "img_gt_2.png")]


def test_a_hazy_picture_without_a_clear_one_is_named(tmp_path):
    folder = lay(tmp_path, ["1.png", "2.png", "3.png"], ["1.png"])
    with pytest.raises(PictureError, match=r"clear/ belongs to 2\.png, 3\.png"):
        find_pairs(folder)


def test_a_clear_picture_without_a_hazy_one_is_left_out_and_named(tmp_path, capsys):
    folder = lay(tmp_path, ["1.png"], ["1.png", "2.png"])
    assert names(find_pairs(folder)) == [("1.png", "1.png")]
    assert "2.png" in capsys.readouterr().err


def test_two_clear_pictures_for_one_hazy_picture_are_named(tmp_path):
    folder = lay(tmp_path, ["1_hazy.png"], ["1_a.png", "1_b.png"])
    with pytest.raises(PictureError, match=r"1_hazy\.png could belong to 1_a\.png, 1_b\.png"):
        find_pairs(folder)


def test_folders_that_are_not_pairs_say_what_pairs_are(tmp_path):
    with pytest.raises(PictureError, match="does not exist; pairs are a folder with hazy/ and clear/"):
        find_pairs(tmp_path / "nowhere")
    (tmp_path / "hazy").mkdir()
    with pytest.raises(PictureError, match="has no clear/ or gt/"):
        find_pairs(tmp_path)
    (tmp_path / "clear").mkdir()
    with pytest.raises(PictureError, match="holds no pictures"):
        find_pairs(tmp_path)
    (tmp_path / "gt").mkdir()
    with pytest.raises(PictureError, match="both clear/ and gt/"):
        find_pairs(tmp_path)


def test_other_files_are_not_pictures(tmp_path):
    folder = lay(tmp_path, ["1.png", "Thumbs.db", "._1.png"], ["1.png", "readme.txt"])
    assert names(find_pairs(folder)) == [("1.png", "1.png")]


def test_a_pair_of_two_sizes_is_told_before_anything_is_measured(tmp_path):
    folder = lay(tmp_path, ["1.png"], ["1.png"])
    write_picture(folder / "hazy" / "1.png", np.zeros((4, 6, 3), np.uint8))
    write_picture(folder / "clear" / "1.png", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(PictureError, match=r"1\.png has 6x4 pixels and .*1\.png 5x4: a pair has one size"):
        open_pairs(folder)


def test_a_picture_that_is_none_is_told_before_anything_is_measured(tmp_path):
    with pytest.raises(PictureError, match=r"1\.png is not a picture"):
        open_pairs(lay(tmp_path, ["1.png"], ["1.png"]))


def test_the_digest_is_of_names_and_contents(tmp_path):
    digests = set()
    for number, (name, value) in enumerate([("1", 0), ("1", 1), ("2", 0)]):
        folder = lay(tmp_path / str(number), [f"{name}.png"], [f"{name}.png"])
        for kind in ("hazy", "clear"):
            write_picture(folder / kind / f"{name}.png", np.full((4, 6, 3), value, np.uint8))
        digests.add(open_pairs(folder).digest)
    assert len(digests) == 3


def test_a_named_pipe_among_pairs_is_told_and_not_waited_for(tmp_path):
    folder = lay(tmp_path, [], ["1.png"])
    os.mkfifo(folder / "hazy" / "1.png")
    with pytest.raises(PictureError, match=r"1\.png is a named pipe, not a picture file"):
        open_pairs(folder)
