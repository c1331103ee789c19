"""Ranges of a Raspberry Pi model's tensors, as a calibration set shows them."""

import pytest

from targets.rpi.flatbuffer import Weighed
from targets.rpi.ranges import REACH, where_weighed


def test_a_product_by_the_largest_number_has_the_steps_of_what_was_multiplied():
    seen = {"laid": (-20.0, 8.0), "real": (-4.0, 12.0), "both": (-18.0, 11.0), "share": (0.5, 6.0), "rest": (0.0, 5.5)}
    ranges = where_weighed(seen, Weighed(("laid", "real", "both"), ("share", "rest"), ("a", "b", "joined")))

    assert {ranges[name] for name in ("laid", "real", "both")} == {(-20 * REACH, 12 * REACH)}
    assert ranges["share"] == ranges["rest"] == (0.0, 6.0)
    for name in ("a", "b", "joined"):
        assert ranges[name] == pytest.approx([6 * end for end in ranges["laid"]])
