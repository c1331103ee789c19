"""INT8 products on x86 processors without VNNI: their sums are clipped at 16 bits unless somebody sees to it."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from targets.onnx.runtime import PROCESSOR, open_session
from targets.openvino import processor, saturation
from targets.openvino.runtime import import_openvino, own_core

ov = import_openvino()
ops = pytest.importorskip("openvino.opset13")

CHANNELS = 16
BRIGHT = 255.0
WEIGHT = 127
SUM = CHANNELS * BRIGHT * WEIGHT  # far above what 16 bits hold, two by two


def levels_of(outputs=4, inputs=6, side=3):
    return arrays(np.int8, (outputs, inputs, side, side), elements=st.integers(-127, 127))


def neighbours(levels: np.ndarray) -> int:
    """The largest sum of two input channels side by side, one place and one output channel after another."""
    sums = [0]
    for kernel in levels.astype(int):
        for first in range(0, len(kernel) - 1, 2):
            sums += [abs(a + b) for a, b in zip(kernel[first].flat, kernel[first + 1].flat, strict=True) if a * b > 0]
    return max(sums)


@given(levels_of())
def test_no_two_neighbours_reach_beyond_what_16_bits_hold(levels):
    fewer, _ = saturation.fitted(levels)

    assert neighbours(fewer) <= 128


@given(levels_of(), st.integers(1, 9))
def test_weights_stay_what_they_were_to_half_of_a_step(levels, shrink):
    fewer, larger = saturation.fitted(levels // shrink)

    steps = larger.reshape(-1, 1, 1, 1)
    assert (np.abs(fewer * steps - levels // shrink) <= 0.5 * steps + 1e-4).all()
    assert 1 <= larger.min() <= larger.max() <= 2


def test_a_channel_whose_neighbours_fit_is_left_as_it_is():
    levels = np.zeros((2, 4, 1, 1), np.int8)
    levels[0, :, 0, 0] = 127, 1, -127, 127
    levels[1, :, 0, 0] = 127, 2, 0, 0

    fewer, larger = saturation.fitted(levels)

    assert larger[0] == 1
    np.testing.assert_array_equal(fewer[0], levels[0])
    assert larger[1] > 1


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("flags\t\t: fpu sse2 avx2 fma", False),
        ("flags\t\t: fpu avx512f avx512bw", False),
        ("flags\t\t: fpu avx2 avx_vnni", True),
        ("flags\t\t: avx512f avx512_vnni", True),
        ("Features\t: asimd asimddp", False),
    ],
)
def test_the_processors_flags_tell_whether_it_has_vnni(tmp_path, flags, has):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\nmodel name\t: a processor with avx_vnni\n{flags}\n")

    assert saturation.has_vnni(tmp_path) is has


def test_where_nothing_tells_the_weights_are_fitted(tmp_path):
    assert not saturation.has_vnni(tmp_path)


def quantized_convolution():
    """A convolution of sixteen channels by weights of 127, its input in 256 levels, for OpenVINO."""
    given = ops.parameter([1, CHANNELS, 8, 8], np.float32)
    limits = [ops.constant(np.array(v, np.float32)) for v in (0, BRIGHT, 0, BRIGHT)]
    stepped = ops.fake_quantize(given, *limits, 256)
    levels = ops.convert(ops.constant(np.full((32, CHANNELS, 1, 1), WEIGHT, np.int8)), np.float32)
    weights = ops.multiply(levels, ops.constant(np.full((32, 1, 1, 1), 0.5, np.float32)))
    made = ops.convolution(stepped, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    return ov.Model([made], [given])


def test_openvino_gives_the_whole_sum_on_any_processor():
    model = quantized_convolution()
    processor.reform(model, "CPU")

    compiled = own_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled(np.full((1, CHANNELS, 8, 8), BRIGHT, np.float32))[0]

    np.testing.assert_allclose(answer, 0.5 * SUM, rtol=0.01)


def test_onnx_runtime_gives_the_whole_sum_on_any_processor():
    stored = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "levels": np.full((32, CHANNELS, 1, 1), WEIGHT, np.int8),
        "scale": np.ones(32, np.float32),
        "none": np.zeros(32, np.int8),
        "step": np.float32(SUM / 200),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["picture", "one", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["levels", "scale", "none"], ["weights"], axis=0),
        helper.make_node("Conv", ["d", "weights"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "step", "zero"], ["sum_q"]),
        helper.make_node("DequantizeLinear", ["sum_q", "step", "zero"], ["answer"]),
    ]
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, CHANNELS, 8, 8])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, 32, 8, 8])
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "convolution", [picture], [answer], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)

    session, _ = open_session(model.SerializeToString(), "a model", "CPU", PROCESSOR, 1)
    (answers,) = session.run(None, {"picture": np.full((1, CHANNELS, 8, 8), BRIGHT, np.float32)})

    np.testing.assert_allclose(answers, SUM, rtol=0.01)
