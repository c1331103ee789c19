"""Quantization-aware fine-tuning: the rounding is that of INT8, and a run learns, stops and goes on with it."""

from __future__ import annotations

import signal

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from edge.errors import EdgeError
from quantization import finetune
from quantization.rounding import RoundedObjective, input_ranges, rounded, rounded_layers
from training import models, train
from training.checkpoint import read_checkpoint, save_checkpoint

SMALL = {"width": 8, "stem": 8, "deep": 1, "height": 24, "columns": 32}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = models.build("grid", SMALL)
    with torch.no_grad():
        made.cell.weight.normal_(0, 0.2)
    return made.eval()


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (24, 32, 3), np.uint8) for _ in range(3)]


@pytest.fixture
def run(tmp_path, model, pictures):
    """A checkpoint with the run that made it, and its pictures."""
    data = tmp_path / "data"
    for folder in ("hazy", "clear"):
        (data / "pairs" / folder).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            cv2.imwrite(str(data / "pairs" / folder / f"{number}.png"), cv2.GaussianBlur(picture, (9, 9), 3))
    provenance = {
        "run": {
            "name": "tiny",
            "model": {"name": "grid", "configuration": SMALL},
            "training": {"steps": 9, "batch": 2, "size": [32, 24], "workers": 0},
            "sources": {"pairs": {"kind": "pairs", "folder": "pairs"}},
        }
    }
    checkpoint = save_checkpoint(tmp_path / "tiny.safetensors", model, "grid", SMALL, provenance)
    return checkpoint, data


def test_rounding_equals_a_reference_in_plain_numpy():
    layer = torch.nn.Conv2d(3, 4, 1)
    x = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(1)) * 2 - 0.5
    with rounded(torch.nn.Sequential(layer), {"0": (-0.5, 1.5)}):
        got = layer(x).detach().numpy()

    scale, zero = 2 / 255, round(0.5 / (2 / 255))
    xq = (np.clip(np.rint(x.numpy() / scale) + zero, 0, 255) - zero) * scale
    w = layer.weight.detach().numpy()[:, :, 0, 0]
    steps = np.abs(w).max(1, keepdims=True) / 127
    wanted = np.einsum("oc,nchw->nohw", np.rint(w / steps) * steps, xq) + layer.bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_the_model_is_as_before_after_it_was_rounded(model, pictures):
    picture = torch.from_numpy(pictures[0]).permute(2, 0, 1)[None] / 255
    before = model(picture)
    with rounded(model, input_ranges(model, pictures)):
        inside = model(picture)

    assert not torch.equal(inside, before)
    assert float((inside - before).detach().abs().max()) < 0.1
    assert torch.equal(model(picture), before)


def float_layers(model) -> set[str]:
    names = {name for name, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))}
    return names - {name for name, _ in rounded_layers(model)}


def test_what_export_leaves_in_float_is_not_rounded():
    """The last layers, the thin ones after the last enlargement, and those that see the whole picture as one pixel."""
    torch.manual_seed(0)
    model = models.build("grid", {**SMALL, "width": 32, "looks": 2, "finesse": True})
    whole = {f"{name}.{place}.0" for name in ("first", "whole") for place in range(2)}
    last = {"fuse2.body.0.0", "fuse2.body.1.0", "cell", "airlight", "finesse"}
    assert float_layers(model) == whole | last


def test_the_last_layers_of_each_member_of_a_committee_are_not_rounded():
    members = [{**SMALL, "finesse": True}, SMALL]
    looked = {"channels": 16, "narrow": 8, "height": 48, "columns": 64, "coarse": {"members": members}}
    found = float_layers(models.build("draco", looked))
    assert {"cell", "airlight"} <= found
    for number, told in enumerate((("cell", "airlight", "finesse"), ("cell", "airlight"))):
        assert {f"coarse.members.{number}.{name}" for name in told} <= found
        assert f"coarse.members.{number}.down2.0" not in found


def test_a_run_makes_a_checkpoint_of_the_same_model_and_can_be_resumed_to_the_same_bytes(run, tmp_path, capsys):
    checkpoint, data = run
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    common = ["--model", str(checkpoint), "--data", str(data), "--steps", "4", "--learning-rate", "1e-3"]

    assert finetune.main([*common, "--out", str(whole)]) == 0
    made = read_checkpoint(capsys.readouterr().out.strip().splitlines()[-1])
    assert (made.model, dict(made.configuration)) == ("grid", SMALL)
    before = read_checkpoint(checkpoint)
    assert any(not torch.equal(made.weights[name], before.weights[name]) for name in made.weights)
    statistics = [name for name in made.weights if "running_" in name]
    assert all(torch.allclose(made.weights[name], before.weights[name]) for name in statistics)

    calls = []

    def stopped_in_the_second_step(self, *arguments, forward=RoundedObjective.forward):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return forward(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RoundedObjective, "forward", stopped_in_the_second_step)
        with pytest.raises(KeyboardInterrupt):
            finetune.main([*common, "--out", str(halves)])
    assert len(calls) < 4
    with pytest.raises(EdgeError, match=r"resume it with python -m quantization\.finetune"):
        train.main(["--resume", str(halves)])  # would go on without the rounding
    assert finetune.main(["--resume", str(halves)]) == 0
    resumed = read_checkpoint(halves / "last.safetensors")
    assert all(torch.equal(resumed.weights[name], made.weights[name]) for name in made.weights)


def test_a_run_goes_on_only_with_the_float_model_that_it_had(run, tmp_path, model):
    checkpoint, data = run
    folder = tmp_path / "run"
    call = ["--model", str(checkpoint), "--data", str(data), "--steps", "1", "--out", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune, "CALIBRATION_PICTURES", 2)
        assert finetune.main(call) == 0
        assert finetune.main(["--resume", str(folder)]) == 0
    save_checkpoint(checkpoint, model, "grid", SMALL, {"trained": "further"})
    with pytest.raises(EdgeError, match=r"tiny\.safetensors is not what it was when the run"):
        finetune.main(["--resume", str(folder)])
    checkpoint.unlink()
    with pytest.raises(EdgeError, match=r"tiny\.safetensors does not exist"):
        finetune.main(["--resume", str(folder)])


def test_a_checkpoint_without_its_run_asks_for_a_configuration(tmp_path, model):
    path = save_checkpoint(tmp_path / "bare.safetensors", model, "grid", SMALL)
    with pytest.raises(EdgeError, match="--config"):
        finetune.main(["--model", str(path), "--data", str(tmp_path)])


@pytest.mark.parametrize(
    "call", [[], ["--resume", "runs/x", "--steps", "5000"], ["--resume", "runs/x", "--learning-rate", "0.01"]]
)
def test_a_wrong_call_ends_with_2(call):
    with pytest.raises(SystemExit) as ended:
        finetune.main(call)
    assert ended.value.code == 2
