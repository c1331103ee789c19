"""Several networks asked together: the mean of what they say."""

import numpy as np
import pytest
import torch

from edge import Dehazer
from edge.errors import EdgeError
from tests.training.test_export_onnx import lively
from training import committee, models
from training.checkpoint import load_model, save_checkpoint

NARROW = {"width": 12, "stem": 8, "deep": 2}
WIDER = {"width": 16, "stem": 8, "deep": 3, "finesse": True}


@pytest.fixture
def saved(tmp_path):
    """Two different networks, of which the second tells finesse, as checkpoints; their paths and modules."""
    made = []
    for number, settings in enumerate((NARROW, WIDER)):
        torch.manual_seed(number)
        module = lively(models.build("grid", settings))
        made.append((save_checkpoint(tmp_path / f"{number}.safetensors", module, "grid", settings), module))
    return made


def joined(saved, folder, *options):
    paths = [str(path) for path, _ in saved]
    assert committee.main([*paths, "--out", str(folder / "both.safetensors"), *options]) == 0
    return load_model(folder / "both.safetensors")


def test_the_answer_is_the_mean_and_finesse_that_of_those_who_tell_it(saved, tmp_path):
    both, picture = joined(saved, tmp_path), torch.rand(2, 3, 120, 160)
    with torch.inference_mode():
        (cell_a, light_a), (cell_b, light_b) = (module.predict(picture) for _, module in saved)
        cell, light = both.predict(picture)
    torch.testing.assert_close(cell, (cell_a + cell_b) / 2)
    torch.testing.assert_close(light, torch.cat([(light_a + light_b[:, :3]) / 2, light_b[:, 3:]], 1))


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0), (1, 1, 0)])
def test_last_layers_that_were_made_one_say_the_same(saved, tmp_path, order):
    both, picture = joined([saved[i] for i in order], tmp_path), torch.rand(1, 3, 120, 160)
    with torch.inference_mode():
        apart, together = both.predict(picture), both.fuse().predict(picture)
    for expected, found in zip(apart, together, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_committee_looks_at_the_mirror_image_where_that_is_asked_for(saved, tmp_path):
    assert not joined(saved, tmp_path).mirrored
    assert joined(saved, tmp_path, "--mirrored").mirrored


def test_the_full_model_can_look_with_a_committee():
    small = {"height": 24, "columns": 32}
    looked = {"members": [{**NARROW, **small}, {**WIDER, **small}]}
    full = models.build("draco", {"channels": 16, "narrow": 8, "height": 48, "columns": 64, "coarse": looked}).eval()
    pictures = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        dehazed, first, *_ = full(pictures, parts=True)
        assert torch.equal(dehazed, first)  # it starts from the committee's own answer
        torch.testing.assert_close(first, full.coarse(pictures).clamp(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("target", ["openvino", "rpi"])
def test_a_committee_is_exported_as_any_model(saved, tmp_path, target):
    pytest.importorskip({"openvino": "openvino", "rpi": "litert_torch"}[target])
    from edge import export

    joined(saved, tmp_path)
    model, out = str(tmp_path / "both.safetensors"), str(tmp_path / "bundle")
    assert export.main(["--model", model, "--target", target, "--precision", "fp32", "--out", out]) == 0
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    with torch.inference_mode():
        expected = load_model(tmp_path / "both.safetensors")(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
    found = Dehazer(out)(picture)
    assert np.abs(found - expected[0].permute(1, 2, 0).numpy() * 255).max() <= 2


def test_what_cannot_be_joined_is_told(saved, tmp_path):
    paths = [str(path) for path, _ in saved]
    with pytest.raises(EdgeError, match="two checkpoints or more"):
        committee.main([paths[0], "--out", str(tmp_path / "x.safetensors")])
    small = {**NARROW, "height": 64}
    other = save_checkpoint(tmp_path / "small.safetensors", models.build("grid", small), "grid", small)
    with pytest.raises(EdgeError, match="one size"):
        committee.main([paths[0], str(other), "--out", str(tmp_path / "x.safetensors")])
    joined(saved, tmp_path)
    with pytest.raises(EdgeError, match="a committee is of edge models"):
        committee.main([paths[0], str(tmp_path / "both.safetensors"), "--out", str(tmp_path / "x.safetensors")])
