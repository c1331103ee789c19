"""Ranges of a Raspberry Pi model's tensors, as a calibration set shows them."""

import pytest

from targets.rpi.flatbuffer import Weighed, weighed
from targets.rpi.ranges import where_weighed


def test_a_product_by_the_largest_number_has_the_steps_of_what_was_multiplied():
    seen = {"laid": (-20.0, 8.0), "real": (-4.0, 12.0), "both": (-18.0, 11.0), "share": (0.5, 6.0), "rest": (0.0, 5.5)}
    ranges = where_weighed(seen, Weighed(("laid", "real", "both"), ("share", "rest"), ("a", "b", "joined")))

    for name in ("laid", "real", "both"):
        assert ranges[name] == pytest.approx((-12.0, 7.2))
    assert ranges["share"] == ranges["rest"] == (0.0, 6.0)
    for name in ("a", "b", "joined"):
        assert ranges[name] == pytest.approx((-72.0, 43.2))


@pytest.mark.parametrize(("weights", "found"), [("one number", 1), ("a number for each channel", 0), ("a constant", 0)])
def test_only_one_number_of_the_whole_picture_weighs_a_map(weights, found):
    """Channel attention is none, nor is what a model multiplies by in any case."""
    pytest.importorskip("litert_torch")
    import torch

    from targets.rpi.build import _converted

    class Joined(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.map, self.more = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 2, 3)
            self.number = torch.nn.Conv2d(4, 1 if weights == "one number" else 4, 1)

        def forward(self, picture):
            seen = self.map(picture).relu()  # or a constant would go into the weights
            share = 0.5 if weights == "a constant" else self.number(seen.mean((2, 3), keepdim=True))
            return torch.cat([seen * share, self.more(picture)], 1)

    assert len(weighed(_converted(Joined().eval(), torch.zeros(1, 3, 8, 8)))) == found
