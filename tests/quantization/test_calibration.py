"""Calibration pictures: repeatable, streamed, both hazy and clear."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from edge.errors import PictureError
from quantization.calibration import folder_set, made_set, synthetic_pair


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    one, again, other = (made_set(160, 120, "grid", pictures=9, seed=s) for s in (0, 0, 1))
    assert one.digest() == again.digest() != other.digest()
    assert one.digest() == one.digest()


def test_pictures_have_the_networks_size_and_are_what_was_promised():
    pictures = list(made_set(160, 120, "grid", pictures=9))
    assert len(pictures) == 9
    assert all(p.shape == (120, 160, 3) and p.dtype == np.uint8 for p in pictures)


def test_every_third_picture_is_clear_and_the_others_have_lost_contrast():
    for number in range(12):
        hazy, clear = synthetic_pair(number, 0)
        if number % 3 == 0:
            assert np.array_equal(hazy, clear)
        else:
            assert hazy.std() < clear.std()


def test_crops_for_frame_models_are_not_reduced():
    pictures = list(made_set(64, 48, "frame", pictures=4))
    assert all(p.shape == (48, 64, 3) for p in pictures)
    scene = synthetic_pair(1, 0)[0]
    windows = np.lib.stride_tricks.sliding_window_view(scene[..., 0], (48, 64))
    assert (windows[..., 0, 0] == pictures[1][0, 0, 0]).any()
    assert any(np.array_equal(w, pictures[1][..., 0]) for w in windows[windows[..., 0, 0] == pictures[1][0, 0, 0]])


@pytest.fixture
def photos(tmp_path):
    for number in range(7):
        Image.new("RGB", (50 + number, 40), (number * 30, 0, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_ones_own_pictures_are_taken_in_the_order_of_their_names(photos):
    reds = [p[0, 0, 0] for p in folder_set(photos, 16, 12, "grid")]
    assert reds == [0, 30, 60, 90, 120, 150, 180]


def test_of_many_pictures_some_are_taken_evenly(photos):
    reds = [p[0, 0, 0] for p in folder_set(photos, 16, 12, "grid", pictures=3)]
    assert reds == [0, 60, 120]


def test_of_pairs_every_third_picture_is_a_clear_one(tmp_path):
    for name, red in (("hazy", 200), ("clear", 0)):
        (tmp_path / name).mkdir()
        for number in range(8):
            Image.new("RGB", (50, 40), (red + number, 0, 0)).save(tmp_path / name / f"{number}.png")

    reds = [p[0, 0, 0] for p in folder_set(tmp_path, 16, 12, "grid", pictures=6)]

    assert reds == [200, 202, 204, 206, 0, 4]


def test_a_clear_picture_of_several_hazy_ones_is_taken_once(tmp_path):
    for name in ("hazy/1_thin.png", "hazy/1_thick.png", "hazy/1_thicker.png", "clear/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (50, 40), "black" if "clear" in name else "white").save(tmp_path / name)

    reds = [p[0, 0, 0] for p in folder_set(tmp_path, 16, 12, "grid")]

    assert reds == [255, 255, 255, 0]


def test_a_folder_without_pictures_is_told(tmp_path):
    with pytest.raises(PictureError, match="no pictures"):
        folder_set(tmp_path, 16, 12, "grid")


def test_a_broken_picture_is_named(photos):
    (photos / "3.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"3\.png"):
        list(folder_set(photos, 16, 12, "grid"))


MEASURE = """
import resource, sys
from quantization.calibration import made_set
for picture in made_set(160, 120, "grid", pictures=int(sys.argv[1])):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_pictures():
    def peak(pictures: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(pictures)], capture_output=True, text=True, check=True, timeout=120
        )
        return int(done.stdout)

    assert peak(256) < 1.05 * peak(16)
