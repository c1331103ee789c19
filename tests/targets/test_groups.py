"""Grouped convolutions for OpenVINO: those that AMX would get wrong in INT8 are stored in another form."""

import numpy as np
import pytest

from targets.openvino.groups import without_left_over

ov = pytest.importorskip("openvino")
ops = pytest.importorskip("openvino.opset13")
torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
TOP = 6.0


def layer(seen: int, kernel: int = 1, groups: int = 2) -> tuple[ov.Model, np.ndarray]:
    """A convolution of INT8's activations, and its weights (groups, 16, seen, kernel, kernel)."""
    weights = RNG.normal(0, 0.1, (groups, 16, seen, kernel, kernel)).astype(np.float32)
    picture = ops.parameter([1, groups * seen, 6, 8], np.float32)
    rounded = ops.fake_quantize(picture, *(np.float32(end) for end in (0, TOP, 0, TOP)), 256)
    held = ops.fake_quantize(ops.constant(weights), *(np.float32(end) for end in (-0.5, 0.5, -0.5, 0.5)), 255)
    pads = [kernel // 2] * 2
    return ov.Model([ops.group_convolution(rounded, held, [1, 1], pads, pads, [1, 1])], [picture]), weights


def kinds(model: ov.Model) -> list[str]:
    return [op.get_type_name() for op in model.get_ops() if "Convolution" in op.get_type_name()]


def constant_weights(model: ov.Model, weights: np.ndarray) -> ov.Model:
    """The layer before it is quantized."""
    (convolution,) = (op for op in model.get_ops() if op.get_type_name() == "GroupConvolution")
    convolution.input(1).replace_source_output(ops.constant(weights).output(0))
    return model


@pytest.mark.parametrize("seen", [65, 72, 96, 160])
def test_a_pointwise_layer_with_channels_left_over_becomes_one_without_groups(seen):
    model, weights = layer(seen)
    constant_weights(model, weights)
    without_left_over(model)
    assert kinds(model) == ["Convolution"]
    picture = RNG.uniform(0, TOP, (1, 2 * seen, 6, 8)).astype(np.float32)
    run = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    step = TOP / 255
    rounded = torch.from_numpy(np.round(picture / step) * step).double()
    expected = torch.nn.functional.conv2d(rounded, torch.from_numpy(weights.reshape(32, seen, 1, 1)).double(), groups=2)
    np.testing.assert_allclose(run(picture)[0], expected.numpy(), atol=2e-2)


@pytest.mark.parametrize(("seen", "kernel"), [(24, 1), (64, 1), (128, 1), (96, 3)])
def test_others_stay_grouped(seen, kernel):
    model, weights = layer(seen, kernel)
    without_left_over(constant_weights(model, weights))
    assert kinds(model) == ["GroupConvolution"]


def test_int8_of_grouped_layers_is_near_float_on_this_processor():
    """Also where they are more than the kernel takes at a time: on a processor with AMX this fails otherwise."""
    from nncf import Dataset, quantize

    model, weights = layer(96)
    constant_weights(model, weights)
    without_left_over(model)
    pictures = [RNG.uniform(0, TOP, (1, 192, 6, 8)).astype(np.float32) for _ in range(4)]
    run = ov.Core().compile_model(quantize(model, Dataset(pictures)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(pictures[0]).double(), torch.from_numpy(weights.reshape(32, 96, 1, 1)).double(), groups=2
    )
    assert np.abs(run(pictures[0])[0] - expected.numpy()).mean() < 0.03 * expected.abs().mean().item() + 0.03
