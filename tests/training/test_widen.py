"""Edge models side by side: one wider model whose answer is the mean of theirs."""

from __future__ import annotations

import pytest
import torch

from edge.errors import EdgeError
from tests.training.test_narrow import settled
from training import models, widen
from training.checkpoint import load_model, save_checkpoint
from training.models.grid import GridNet

SILENT = {"width": 8, "stem": 4, "deep": 2, "looks": 2, "height": 24, "columns": 32}
SETTINGS = {**SILENT, "finesse": True}


@pytest.fixture
def saved(tmp_path):
    """Three different networks of one form as checkpoints, the second without finesse; their paths and modules."""
    made = []
    for number, settings in enumerate((SETTINGS, SILENT, SETTINGS)):
        module = settled(GridNet(**settings))
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(torch.rand(parameter.shape, generator=generator))
        made.append((save_checkpoint(tmp_path / f"{number}.safetensors", module, "grid", settings), module))
    return made


@pytest.mark.parametrize("order", [(0, 2), (0, 1), (1, 0), (1, 1), (0, 1, 2)])
def test_the_wider_model_says_the_mean_of_those_who_tell_it(saved, tmp_path, capsys, order):
    chosen, out = [saved[i] for i in order], tmp_path / "wide.safetensors"
    assert widen.main([*(str(path) for path, _ in chosen), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    wide, picture = load_model(out), torch.rand(2, 3, 24, 32)
    with torch.inference_mode():
        cells, lights = zip(*(module.predict(picture) for _, module in chosen), strict=True)
        cell, light = wide.predict(picture)
    torch.testing.assert_close(cell, torch.stack(cells).mean(0), rtol=1e-4, atol=1e-5)
    expected = [torch.stack([each[:, :3] for each in lights]).mean(0)]
    finesse = [each[:, 3:] for each in lights if each.shape[1] > 3]
    if finesse:
        expected.append(torch.stack(finesse).mean(0))
    torch.testing.assert_close(light, torch.cat(expected, 1), rtol=1e-4, atol=1e-5)
    assert wide.down4[0].out_channels == len(order) * SETTINGS["width"]


def test_training_may_join_what_lies_side_by_side(saved, tmp_path):
    out = tmp_path / "wide.safetensors"
    widen.main([*(str(path) for path, _ in saved[:2]), "--out", str(out)])
    wide = load_model(out)
    wide.predict(torch.rand(1, 3, 24, 32))[0].sum().backward()
    between = wide.at4[0].body[0][0].weight
    assert not between[:16, 8:].any() and between.grad[:16, 8:].any()


def test_what_cannot_lie_side_by_side_is_told(saved, tmp_path):
    path, out = str(saved[0][0]), str(tmp_path / "x.safetensors")
    with pytest.raises(EdgeError, match="two checkpoints or more"):
        widen.main([path, "--out", out])
    other = {**SETTINGS, "width": 12}
    wider = save_checkpoint(tmp_path / "wider.safetensors", GridNet(**other), "grid", other)
    with pytest.raises(EdgeError, match="have the same layers"):
        widen.main([path, str(wider), "--out", out])
    small = {"channels": 16, "narrow": 8, "height": 48, "columns": 64, "coarse": SETTINGS}
    full = save_checkpoint(tmp_path / "full.safetensors", models.build("draco", small), "draco", small)
    with pytest.raises(EdgeError, match="only edge models"):
        widen.main([path, str(full), "--out", out])
