"""OpenVINO on an x86 processor: the same answers from a network in another form, and grey levels at its border."""

import platform

import numpy as np
import pytest

from targets.openvino import build, processor
from targets.openvino.runtime import import_openvino, own_core

ov = import_openvino()
ops = pytest.importorskip("openvino.opset13")
x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="this is no x86 processor")


def constant(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def answer(model, given: np.ndarray) -> np.ndarray:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return own_core().compile_model(model, "CPU", settings)(given)[0]


def kinds(model) -> list[str]:
    return [operation.get_type_name() for operation in model.get_ordered_ops()]


def enlarged(height: int, width: int, to: tuple[int, int], mode="linear_onnx", way="half_pixel"):
    picture = ops.parameter([1, 5, height, width], np.float32)
    made = ops.interpolate(
        picture, np.array(to, np.int64), mode, "sizes", [0, 0], [0, 0], way, axes=np.array([2, 3], np.int64)
    )
    return ov.Model([made], [picture])


def shuffled(height: int, width: int, channels: int, times: int, mode="depth_first", layout=(0, 2, 3, 1)):
    picture = ops.parameter([1, 6, height, width], np.float32)
    many = channels * times**2
    made = ops.convolution(picture, ops.constant(constant(many, 6, 1, 1)), [1, 1], [0, 0], [0, 0], [1, 1])
    made = ops.depth_to_space(ops.add(made, ops.constant(constant(1, many, 1, 1))), mode, times)
    return ov.Model([ops.transpose(made, np.array(layout))], [picture])


@x86
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 8), (15, 20)])
def test_enlarging_by_a_convolution_gives_the_same(size):
    given = constant(1, 5, *size)
    to = (2 * size[0], 2 * size[1])
    expected, model = answer(enlarged(*size, to), given), enlarged(*size, to)
    processor.reform(model, "CPU")
    assert "Interpolate" not in kinds(model)
    np.testing.assert_allclose(answer(model, given), expected, atol=1e-6)


@x86
@pytest.mark.parametrize(("channels", "times"), [(7, 2), (1, 2), (3, 4)])
def test_shuffling_row_by_row_gives_the_same(channels, times):
    given = constant(1, 6, 5, 9)
    expected, model = answer(shuffled(5, 9, channels, times), given), shuffled(5, 9, channels, times)
    processor.reform(model, "CPU")
    assert "DepthToSpace" not in kinds(model)
    assert expected.shape == (1, 5 * times, 9 * times, channels)
    np.testing.assert_allclose(answer(model, given), expected, atol=1e-5)


def averaged(channels: int, side: tuple[int, int], *more):
    picture = ops.parameter([1, channels, 12, 18], np.float32)
    begin, end = more or ([0, 0], [0, 0])
    return ov.Model([ops.avg_pool(picture, list(side), begin, end, list(side), True)], [picture])


@x86
@pytest.mark.parametrize(("channels", "side"), [(3, (2, 2)), (7, (3, 2)), (16, (1, 6))])
def test_averaging_by_a_convolution_gives_the_same(channels, side):
    given = constant(1, channels, 12, 18)
    expected, model = answer(averaged(channels, side), given), averaged(channels, side)
    processor.reform(model, "CPU")
    assert "AvgPool" not in kinds(model)
    np.testing.assert_allclose(answer(model, given), expected, atol=1e-6)


def two_shuffled(second: str = "depth_first"):
    picture = ops.parameter([1, 6, 5, 9], np.float32)
    parts = []
    for number, mode in enumerate(("depth_first", second)):
        made = ops.convolution(picture, ops.constant(constant(28, 6, 1, 1) + number), [1, 1], [0, 0], [0, 0], [1, 1])
        parts.append(ops.depth_to_space(ops.add(made, ops.constant(constant(1, 28, 1, 1))), mode, 2))
    return ov.Model([ops.transpose(ops.add(*parts), np.array([0, 2, 3, 1])), ops.relu(parts[0])], [picture])


@x86
def test_the_sum_of_two_shuffles_gives_the_same_and_who_else_takes_one_still_gets_it():
    given = constant(1, 6, 5, 9)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    expected, model = own_core().compile_model(two_shuffled(), "CPU", settings)(given), two_shuffled()
    processor.reform(model, "CPU")
    assert kinds(model).count("DepthToSpace") == 1  # the other one's
    got = own_core().compile_model(model, "CPU", settings)(given)
    for index in range(2):
        np.testing.assert_allclose(got[index], expected[index], atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        averaged(17, (2, 2)),
        averaged(3, (5, 2)),
        averaged(3, (2, 2), [0, 0], [1, 0]),
        two_shuffled("blocks_first"),
        enlarged(4, 5, (12, 15)),
        enlarged(4, 5, (8, 5)),
        enlarged(4, 5, (8, 10), "nearest"),
        enlarged(4, 5, (8, 10), way="align_corners"),
        shuffled(4, 5, 7, 2, "blocks_first"),
        shuffled(4, 5, 7, 2, layout=(0, 1, 2, 3)),
    ],
)
def test_what_is_something_else_stays(model):
    kept = {"AvgPool", "Interpolate", "DepthToSpace"}
    before = [kind for kind in kinds(model) if kind in kept]
    processor.reform(model, "CPU")
    assert [kind for kind in kinds(model) if kind in kept] == before


def test_a_model_whose_shapes_are_open_stays():
    model = enlarged(4, 5, (8, 10))
    model.reshape([1, 5, -1, -1])
    processor.reform(model, "CPU")
    assert "Interpolate" in kinds(model)


@pytest.mark.parametrize("place", ["NPU", "GPU.0", "AUTO:CPU,GPU"])
def test_for_other_devices_nothing_changes(place):
    model = enlarged(4, 5, (8, 10))
    processor.reform(model, place)
    assert "Interpolate" in kinds(model)


def network(*before):
    """A picture through some operations of one number each, and a convolution with zeros around."""
    picture = value = ops.parameter([1, 3, 6, 8], np.float32)
    for operation, number in before:
        value = operation(value, np.float32(number))
    made = ops.convolution(value, ops.constant(constant(4, 3, 3, 3)), [1, 1], [1, 1], [1, 1], [1, 1])
    return ov.Model([made], [picture])


STEPS = [
    [(ops.multiply, 2), (ops.subtract, 1)],
    [(ops.subtract, 0.5), (ops.multiply, 4)],
    [(ops.add, -0.25)],
    [],
]


@pytest.mark.parametrize("steps", STEPS, ids=["scaled, shifted", "shifted, scaled", "shifted", "as it is"])
def test_grey_levels_meet_the_first_layer_as_pictures_in_0_to_1_did(steps):
    grey = np.random.default_rng(1).integers(0, 256, (1, 6, 8, 3), np.uint8)
    expected = answer(network(*steps), (grey.transpose(0, 3, 1, 2) / 255).astype(np.float32))
    model = build._with_uint8_border(ov, network(*steps), "grid")
    assert "Multiply" not in kinds(model)  # which would come between two turns of the picture
    np.testing.assert_allclose(answer(model, grey), expected.transpose(0, 2, 3, 1), atol=1e-4)


def test_a_picture_that_is_used_twice_is_scaled_at_the_border():
    picture = ops.parameter([1, 3, 6, 8], np.float32)
    made = ops.convolution(picture, ops.constant(constant(3, 3, 3, 3)), [1, 1], [1, 1], [1, 1], [1, 1])
    both = ov.Model([ops.add(made, picture)], [picture])
    grey = np.random.default_rng(1).integers(0, 256, (1, 6, 8, 3), np.uint8)
    expected = answer(both.clone(), (grey.transpose(0, 3, 1, 2) / 255).astype(np.float32))
    model = build._with_uint8_border(ov, both, "grid")
    np.testing.assert_allclose(answer(model, grey), expected.transpose(0, 2, 3, 1), atol=1e-4)
