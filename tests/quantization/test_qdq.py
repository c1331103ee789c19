"""INT8 for ONNX graphs: ranges that hold what is known, the same bytes each time, no systematic error left."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from edge.errors import EdgeError
from quantization import qdq, ranges
from quantization.calibration import made_set


@pytest.fixture(scope="module")
def pictures():
    return made_set(40, 30, "grid", 6)


@pytest.mark.parametrize("method", ranges.METHODS)
def test_the_input_has_its_known_range_and_every_range_holds_zero(grid_source, pictures, method):
    found = ranges.collected(grid_source.onnx, pictures, method)

    assert tuple(float(v) for v in found["picture"].range_value) == (0.0, 1.0)
    for _, data in found.items():
        low, high = (float(v) for v in data.range_value)
        assert low <= 0 <= high
        assert high > low


def test_extremes_are_those_of_all_pictures_together(grid_source, pictures):
    found = ranges.collected(grid_source.onnx, pictures, "minmax")

    session = onnxruntime.InferenceSession(grid_source.onnx, providers=["CPUExecutionProvider"])
    cells = [
        session.run(["cell"], {"picture": (p.transpose(2, 0, 1)[None] / 255).astype(np.float32)}) for p in pictures
    ]
    low, high = (float(v) for v in found["cell"].range_value)
    assert low == pytest.approx(min(0.0, np.min(cells)), abs=1e-4)
    assert high == pytest.approx(max(0.0, np.max(cells)), abs=1e-4)


@pytest.mark.parametrize("symmetric", [False, True])
def test_percentiles_do_not_depend_on_the_order_of_the_pictures(grid_source, pictures, monkeypatch, symmetric):
    monkeypatch.setattr(ranges, "LARGEST_WHOLE", 0)
    found = ranges.collected(grid_source.onnx, pictures, "percentile", symmetric)
    turned = ranges.collected(grid_source.onnx, list(pictures)[::-1], "percentile", symmetric)
    extremes = ranges.collected(grid_source.onnx, pictures, "minmax", symmetric)

    narrower = 0
    for key, _ in found.items():
        (low, high), (least, most) = (tuple(map(float, each[key].range_value)) for each in (found, extremes))
        assert tuple(map(float, turned[key].range_value)) == (low, high)
        step = (most - least) / 4096
        assert least - step <= low <= high <= most + step or high - low == pytest.approx(ranges.LEAST_SPAN)
        narrower += high - low < most - least - step
    assert narrower


def test_an_unknown_method_and_an_empty_set_are_refused(grid_source, pictures):
    with pytest.raises(EdgeError, match="choose one of minmax, percentile, entropy"):
        ranges.collected(grid_source.onnx, pictures, "mean")
    with pytest.raises(EdgeError, match="at least one picture"):
        ranges.collected(grid_source.onnx, [], "minmax")


def test_the_same_pictures_give_the_same_bytes(grid_source):
    def made() -> bytes:
        qdq._prepared.cache_clear()
        again = made_set(40, 30, "grid", 6)
        return qdq.quantized(grid_source, again, qdq.PROCESSOR).SerializeToString(deterministic=True)

    assert made() == made()
