"""The mean of checkpoints' weights."""

import pytest
import torch

from edge.errors import EdgeError
from training import committee, models, soup
from training.checkpoint import read_checkpoint, read_tensors, save_checkpoint, tensors_to_bytes

CONFIGURATION = {"width": 12, "stem": 8, "deep": 3}


@pytest.fixture
def made(tmp_path):
    """Writes a checkpoint whose weights are all one number."""

    def make(name, value, **other):
        configuration = {**CONFIGURATION, **other}
        model = models.build("grid", configuration)
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.fill_(value)
        return save_checkpoint(tmp_path / f"{name}.safetensors", model, "grid", configuration, {"run": {"name": name}})

    return make


@pytest.mark.parametrize(("shares", "expected"), [([], 2.5), (["--shares", "3", "1"], 1.75)])
def test_weights_are_averaged_as_asked(made, tmp_path, shares, expected):
    out = tmp_path / "mean.safetensors"
    assert soup.main([str(made("a", 1.0)), str(made("b", 4.0)), *shares, "--out", str(out)]) == 0
    held = read_checkpoint(out)
    assert all((t == expected).all() for t in held.weights.values() if t.is_floating_point())
    assert [one["run"]["name"] for one in held.provenance["mean_of"]] == ["a", "b"]
    assert held.build()(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)


def test_a_share_of_all_gives_that_file_back_whatever_the_first_is_stored_in(made, tmp_path):
    model = models.build("grid", CONFIGURATION)
    half = save_checkpoint(tmp_path / "half.safetensors", model, "grid", CONFIGURATION, dtype=torch.float16)
    third, out = made("third", 1 / 3), tmp_path / "mean.safetensors"
    assert soup.main([str(half), str(third), "--shares", "0", "1", "--out", str(out)]) == 0
    found, wanted = read_checkpoint(out).weights, read_checkpoint(third).weights
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("command", [soup, committee])
def test_a_file_whose_weights_do_not_fit_its_model_is_named(made, tmp_path, command):
    whole, damaged = made("whole", 1.0), made("damaged", 2.0)
    for name, change in (
        ("airlight.bias", lambda tensors: tensors.pop("airlight.bias")),
        ("cell.weight", lambda tensors: tensors.update({"cell.weight": torch.zeros(3, 3)})),
    ):
        tensors, metadata = read_tensors(whole)
        change(tensors)
        damaged.write_bytes(tensors_to_bytes(tensors, metadata))
        with pytest.raises(EdgeError, match=rf"damaged\.safetensors: the weights do not fit .*{name}"):
            command.main([str(whole), str(damaged), "--out", str(tmp_path / "out.safetensors")])


def test_different_models_cannot_be_averaged(made, tmp_path):
    with pytest.raises(EdgeError, match="different models"):
        soup.main([str(made("a", 1.0)), str(made("b", 2.0, stem=16)), "--out", str(tmp_path / "mean.safetensors")])


@pytest.mark.parametrize("shares", [["1"], ["1", "-1"], ["0", "0"], ["nan", "1"], ["1", "nan"], ["inf", "1"]])
def test_shares_that_give_no_mean_are_refused(made, tmp_path, shares):
    paths = [str(made("a", 1.0)), str(made("b", 2.0))]
    with pytest.raises(EdgeError, match="--shares takes 2 numbers"):
        soup.main([*paths, "--shares", *shares, "--out", str(tmp_path / "mean.safetensors")])
