"""How a picture enters a model: its 256 levels are told apart in INT8, and the answers stay what they were."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edge.exporting.models import SHIPPED
from quantization.levels import on_levels, prelude, put_on_levels


@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 1.0), (-0.5, 0.5), (-2.0, 1.0), (-0.3, 2.7)])
def test_around_a_zero_that_is_a_level_8_bits_hold_every_level(ends):
    black, white, moved = on_levels(*ends)
    scale = (white - black) / 255
    stored = np.linspace(black, white, 256) / scale + round(-black / scale)

    assert np.abs(stored - np.arange(256)).max() < 1e-9
    assert abs(moved) <= scale / 2 + 1e-12
    assert (black + moved, white + moved) == pytest.approx(ends)


def test_putting_the_picture_on_levels_leaves_the_answer_as_it_was_within_the_border():
    model = onnx.load(SHIPPED["edge"])
    picture = np.random.default_rng(0).random((1, 3, 120, 160)).astype(np.float32)
    before = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"picture": picture})
    assert (prelude(model).black, prelude(model).white) == (-1.0, 1.0)
    put_on_levels(model)
    after = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"picture": picture})

    assert prelude(model).white == pytest.approx(127 * 2 / 255)
    assert {i.name for i in model.graph.initializer} <= {name for node in model.graph.node for name in node.input}
    for ours, theirs in zip(after, before, strict=True):
        assert np.abs(ours - theirs).max() < 0.02  # zeros beyond the border stand for half a level more
        assert np.abs(ours - theirs).mean() < 1e-3


def test_a_constant_that_others_take_too_stays_for_them_as_it_was(grid_source):
    model = onnx.load(grid_source.onnx)
    for node in model.graph.node[:1]:
        node.input[0] = "centred"
        node.input.append("first.bias")
    model.graph.node.insert(0, helper.make_node("Sub", ["picture", "half"], ["centred"], "centre"))
    mean = next(node for node in model.graph.node if node.name == "pool")
    mean.input[0] = "bright"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "half"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "first.bias"))
    for name in ("half", "first.bias"):
        model.graph.node.append(helper.make_node("Identity", [name], [f"{name} too"], f"{name} taken"))
    put_on_levels(model)

    stored = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    assert stored["half"] == np.float32(0.5) and not stored["first.bias"].any()
    assert prelude(model).black == pytest.approx(-128 / 255)
    weights = stored["first"].astype(np.float64)
    np.testing.assert_allclose(
        stored[model.graph.node[1].input[2]], weights.sum((1, 2, 3)) * 0.5 / 255, rtol=1e-4, atol=1e-6
    )


def test_a_model_that_takes_the_picture_as_it_is_stays_as_it_is(grid_source):
    model = onnx.load(grid_source.onnx)
    put_on_levels(model)
    assert model == onnx.load(grid_source.onnx)
    assert prelude(model).nodes == () and prelude(model).tensor == "picture"
