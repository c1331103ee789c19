"""The ONNX file says what the checkpoint's model says, and what it is."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edge import coefficients, command
from targets.source import METADATA_KEY, ModelCard
from training import export_onnx, models
from training.checkpoint import parameter_count, read_checkpoint, save_checkpoint
from training.cost import multiply_accumulates

TOLERANCE = 1e-4


def lively(model: torch.nn.Module) -> torch.nn.Module:
    """Weights and statistics as after training: nothing zero, nothing one."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator) * 0.05
                value.copy_((value + noise).abs() + 0.05 if "running_var" in name else value + noise)
    return model.eval()


def exported(tmp_path, name, configuration, size=None):
    model = lively(models.build(name, configuration))
    checkpoint = save_checkpoint(tmp_path / "x.safetensors", model, name, configuration, {"run": {"name": "mine"}})
    out = export_onnx.export_onnx(checkpoint, tmp_path / "x.onnx", size)
    return model, checkpoint, out, onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("name", "configuration"),
    [
        ("grid", {"width": 16}),
        ("grid", {"width": 16, "looks": 2}),
        ("experts", {"laid": {"width": 16, "looks": 2}, "real": {"width": 8, "stem": 8, "deep": 1}}),
        ("draco", {"channels": 16, "narrow": 8, "height": 120, "columns": 160}),
    ],
)
def test_a_grid_model_gives_the_same_coefficients(tmp_path, name, configuration):
    model, checkpoint, out, session = exported(tmp_path, name, configuration)
    picture = np.random.default_rng(0).random((1, 3, *model.size), np.float32)
    cell, airlight = session.run(["cell", "airlight"], {"picture": picture})
    with torch.inference_mode():
        want_cell, want_airlight = model.predict(torch.from_numpy(picture))
    assert cell.shape[1] == coefficients.CHANNELS
    assert want_cell.std() > 0.01
    np.testing.assert_allclose(cell, want_cell, atol=TOLERANCE)
    np.testing.assert_allclose(airlight, want_airlight, atol=TOLERANCE)
    card = ModelCard.from_json({p.key: p.value for p in onnx.load(out).metadata_props}[METADATA_KEY])
    assert card.name == "mine"
    assert (card.kind, card.width, card.height) == ("grid", model.size[1], model.size[0])
    assert card.parameters == parameter_count(model)
    assert card.checkpoint_sha256 == read_checkpoint(checkpoint).sha256
    assert card.coefficients == coefficients.FORM
    assert not any(node.op_type == "BatchNormalization" for node in onnx.load(out).graph.node)


@pytest.mark.parametrize("form", ["paper", "released"])
def test_a_full_model_gives_the_same_picture(tmp_path, form):
    model, _, _, session = exported(tmp_path, "draco-paper", {"form": form}, (48, 32))
    picture = np.random.default_rng(0).random((1, 3, 32, 48), np.float32)
    (clear,) = session.run(["clear"], {"picture": picture})
    with torch.inference_mode():
        want = model(torch.from_numpy(picture))
    np.testing.assert_allclose(clear, want, atol=TOLERANCE)


def test_the_same_checkpoint_gives_the_same_bytes_and_no_path_of_this_machine(tmp_path):
    _, checkpoint, out, _ = exported(tmp_path, "grid", {"width": 16})
    first = out.read_bytes()
    assert export_onnx.export_onnx(checkpoint, tmp_path / "again.onnx").read_bytes() == first
    assert b"/training/" not in first
    assert str(tmp_path).encode() not in first


def test_multiply_accumulates_are_those_of_the_paper_by_hand():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 8, 3, padding=1, groups=8))
    assert multiply_accumulates(model, torch.zeros(1, 3, 10, 20)) == 10 * 20 * (8 * 27 + 8 * 9)


def test_the_released_network_costs_what_the_paper_says(tmp_path):
    model = models.build("draco-paper", {"form": "released"})
    assert multiply_accumulates(model, torch.zeros(1, 3, 256, 256)) == pytest.approx(15.35e9, rel=0.005)


def test_a_size_for_a_grid_model_is_refused(tmp_path, capsys):
    checkpoint = save_checkpoint(tmp_path / "x.safetensors", models.build("grid", {"width": 16}), "grid", {"width": 16})
    call = ["--checkpoint", str(checkpoint), "--out", str(tmp_path / "x.onnx"), "--size", "640x480"]
    assert command.run(export_onnx.main, call) == 1
    assert "always 160x120" in capsys.readouterr().err


def test_the_checkpoint_itself_is_not_written_over(tmp_path, capsys):
    checkpoint = save_checkpoint(tmp_path / "x.safetensors", models.build("grid", {"width": 16}), "grid", {"width": 16})
    before = checkpoint.read_bytes()
    assert command.run(export_onnx.main, ["--checkpoint", str(checkpoint), "--out", str(checkpoint)]) == 1
    assert "is the checkpoint itself" in capsys.readouterr().err
    assert checkpoint.read_bytes() == before
