"""Which pictures are shown, and how INT8's are put next to float32's."""

import base64
import math

import cv2
import numpy as np
import pytest

from edge.measure import accuracy
from edge.measure.accuracy import Before
from edge.measure.quality import EQUAL_PSNR_DB
from edge.measure.record import PictureScore, Quality, Subject
from edge.measure.statistics import Interval


def quality(*psnrs):
    scores = tuple(PictureScore(f"{i}.png", p, 0.9, 10.0, 0.5) for i, p in enumerate(psnrs))
    return Quality("d", "0" * 64, 20.0, 0.9, Interval(19, 21), 10.0, 0.5, scores)


@pytest.mark.parametrize(
    ("psnrs", "chosen"),
    [
        ((20, 10, 30, 25, 15), [("1.png", "worst"), ("4.png", "second worst"), ("0.png", "middle"), ("2.png", "best")]),
        ((20, 10), [("1.png", "worst"), ("0.png", "second worst")]),
        ((20,), [("0.png", "worst")]),
    ],
)
def test_worst_cases_come_first(psnrs, chosen):
    assert accuracy.choose([quality(*psnrs)]) == chosen


def test_a_perfect_score_can_be_written_as_json(pairs):
    from edge.pictures import read_picture

    data = accuracy.open_pairs(pairs)
    clear = {read_picture(h)[0].tobytes(): read_picture(c)[0] for h, c in data.pairs}
    scored = accuracy.score(lambda hazy: clear[hazy.tobytes()], data, "perfect")
    assert scored.psnr_db == EQUAL_PSNR_DB and math.isfinite(scored.psnr_interval_db.high)
    assert scored.ssim == pytest.approx(1)
    assert scored.hazy_psnr_db < 40


def test_error_maps_show_where_and_how_much():
    grey = np.full((30, 40, 3), 100, np.uint8)
    other = grey.copy()
    other[:, 20:, 0] += 3
    subject = Subject("float", "f" * 64, "grid", {}, "openvino", "fp32", 1)
    found = accuracy.against_float([Before("a", "", grey, other)], [Before("a", "", grey, grey)], subject)
    assert found.maps[0].largest == 3
    assert found.agreement_db == pytest.approx(10 * math.log10(255**2 / (9 / 6)))
    jpeg = base64.b64decode(found.maps[0].picture.partition(",")[2])
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    assert abs(picture[:, :16].mean() - 128) < 2
    assert picture[:, 24:, 0].mean() > 128 + 0.6 * 3 * accuracy.ENLARGED
