"""The full model's forms: sizes, intermediate pictures, costs, tiles, and bfloat16 that can be trusted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.conftest import Drawn
from tests.training.test_export_onnx import lively
from training import dehazing, models
from training.checkpoint import parameter_count
from training.cost import multiply_accumulates
from training.dehazing import dehaze
from training.precision import keep_dilated_depthwise_in_float32

SMALL = {"channels": 16, "narrow": 8, "height": 48, "columns": 64, "coarse": {"width": 16, "height": 24, "columns": 32}}


@pytest.mark.parametrize(("name", "configuration"), [("draco", SMALL), ("draco-paper", {})])
@pytest.mark.parametrize("size", [(1, 1), (33, 57), (48, 64)])
def test_what_goes_in_comes_out_at_the_same_size_in_zero_to_one(name, configuration, size):
    model = lively(models.build(name, configuration))
    pictures = torch.rand(2, 3, *size)
    with torch.inference_mode():
        dehazed, first, *_ = model(pictures, parts=True)
    assert dehazed.shape == first.shape == pictures.shape
    assert float(dehazed.min()) >= 0
    assert float(dehazed.max()) <= 1
    assert not torch.equal(dehazed, first)


def test_the_dilations_sit_where_the_text_means_them():
    paper, released = (models.build("draco-paper", {"form": form}) for form in ("paper", "released"))
    assert [block.depthwise.dilation[0] for block in paper.ddirb.blocks] == [1, 2, 5]
    assert [block.depthwise.dilation[0] for block in released.ddirb.blocks] == [1, 1, 1]
    assert parameter_count(paper) == parameter_count(released)


def test_detail_and_dilation_can_be_left_out():
    full = models.build("draco", SMALL)
    without = models.build("draco", {**SMALL, "detail": False})
    assert parameter_count(without) < parameter_count(full)
    assert all(m.dilation == (1, 1) for m in models.build("draco", {**SMALL, "dilated": False}).ddirb.modules()
               if isinstance(m, torch.nn.Conv2d))  # fmt: skip


def test_the_default_form_costs_a_hundredth_of_the_papers():
    paper, default = models.build("draco-paper", {}), models.build("draco", {}).eval()
    frame = torch.zeros(1, 3, 120, 160)  # a sixteenth of 640x480
    assert multiply_accumulates(default, torch.zeros(1, 3, 480, 640)) < 16 * multiply_accumulates(paper, frame) / 100


def test_tiles_leave_no_seams(monkeypatch):
    """Tiles give what the whole picture gives, channel attention over the whole picture included."""
    model = lively(models.build("draco-paper", {"channels": 16}))
    picture = np.random.default_rng(2).integers(0, 256, (150, 170, 3), np.uint8)
    whole = dehaze(model, picture)
    monkeypatch.setattr(dehazing, "TILE", 48)
    monkeypatch.setattr(dehazing, "WHOLE", 0)
    tiled = dehaze(model, picture)
    assert whole.std() > 5
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    np.testing.assert_array_equal(dehaze(model, picture), tiled)  # nothing of one picture stays for the next


def test_a_grid_model_dehazes_as_its_own_forward_does():
    model = lively(models.build("draco", SMALL))
    picture = (Drawn(width=128, height=96)[3][0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    with torch.inference_mode():
        want = model(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0) * 255
    assert np.abs(dehaze(model, picture).astype(float) - want.numpy()).max() < 3


def test_bfloat16_gradients_are_near_those_of_float32():
    """Without the guard, torch's gradients of dilated depthwise kernels are memory that nobody wrote."""
    torch.manual_seed(2)
    model = keep_dilated_depthwise_in_float32(models.build("draco-paper", {}).train())
    model = model.to(memory_format=torch.channels_last)
    rows = [Drawn(width=64, height=64)[index] for index in range(2)]
    hazy, clear = (torch.stack([row[i] for row in rows]).contiguous(memory_format=torch.channels_last) for i in (0, 1))
    gradients = []
    for lowered in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            dehazed = model(hazy)
        (dehazed.float() - clear).abs().mean().backward()
        gradients.append({name: value.grad.clone() for name, value in model.named_parameters()})
    for name, exact in gradients[0].items():
        assert (exact - gradients[1][name]).norm() < 0.05 * exact.norm() + 1e-6, name
