"""Checkpoints come back as they were, and a file that is none is told in one sentence."""

from __future__ import annotations

import copy
import os
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from edge.errors import EdgeError
from training import models
from training.checkpoint import (
    CheckpointError,
    load_model,
    read_checkpoint,
    read_tensors,
    save_checkpoint,
    tensors_to_bytes,
)

SMALL = {"width": 16}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "grid.safetensors"
    torch.manual_seed(1)
    model = models.build("grid", SMALL).eval()
    save_checkpoint(path, model, "grid", SMALL, {"scores": {"mine": 1.5}})
    return path, model


def test_a_model_comes_back_bit_for_bit(saved):
    path, model = saved
    again = load_model(path)
    assert not again.training
    picture = torch.rand(1, 3, 50, 70)
    with torch.inference_mode():
        assert torch.equal(again(picture), model(picture))
    held = read_checkpoint(path)
    assert (held.model, held.configuration, held.provenance) == ("grid", SMALL, {"scores": {"mine": 1.5}})


def test_a_model_can_be_stored_in_half_precision(tmp_path, saved):
    path, model = saved
    half = save_checkpoint(tmp_path / "half.safetensors", model, "grid", SMALL, {}, torch.float16)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    again = load_model(half)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    picture = torch.rand(1, 3, 50, 70)
    with torch.inference_mode():
        assert float((again(picture) - model(picture)).abs().max()) < 1 / 255


def test_what_half_precision_cannot_hold_is_stored_as_it_is(tmp_path):
    model = models.build("grid", SMALL).eval()
    variance = next(buffer for name, buffer in model.named_buffers() if name.endswith("running_var"))
    variance.fill_(1e6)
    half = save_checkpoint(tmp_path / "half.safetensors", model, "grid", SMALL, {}, torch.float16)
    assert {float(t.max()) for n, t in load_model(half).named_buffers() if n.endswith("running_var")} == {1e6, 1.0}


def test_channels_last_weights_are_saved_in_the_plain_order(tmp_path, saved):
    path, model = saved
    other = models.build("grid", SMALL)
    other.load_state_dict(model.state_dict())
    other = other.to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "x.safetensors", other, "grid", SMALL, {"scores": {"mine": 1.5}})
    assert (tmp_path / "x.safetensors").read_bytes() == path.read_bytes()


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_checkpoint_cut_short_is_told(saved, tmp_path_factory, share):
    content = saved[0].read_bytes()
    path = tmp_path_factory.mktemp("cut") / "cut.safetensors"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors is not a whole \.safetensors file"):
        load_model(path)


class Exploding:
    def __reduce__(self):
        return (pytest.fail, ("a checkpoint was unpickled",))


def test_foreign_files_are_told_and_never_unpickled(tmp_path):
    pickled = tmp_path / "pickled.safetensors"
    pickled.write_bytes(pickle.dumps(Exploding()))
    torch_file = tmp_path / "torch.safetensors"
    torch.save({"weight": torch.zeros(3)}, torch_file)
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, other)
    for path in (pickled, torch_file, other, tmp_path / "missing.safetensors", tmp_path):
        with pytest.raises(CheckpointError) as raised:
            load_model(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_weights_of_another_configuration_are_told(tmp_path, saved):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, saved[1], "grid", {"width": 24})
    with pytest.raises(CheckpointError, match=r"x\.safetensors: the weights do not fit model 'grid'"):
        load_model(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("configuration", "[1, 2]"), ("configuration", "null"), ("provenance", "[1]"), ("provenance", '{"run": 7}')],
)
def test_metadata_that_is_no_object_is_told(tmp_path, saved, field, value):
    tensors, metadata = read_tensors(saved[0])
    path = tmp_path / "odd.safetensors"
    path.write_bytes(tensors_to_bytes(tensors, {**metadata, field: value}))
    with pytest.raises(CheckpointError, match=r"odd\.safetensors: its metadata is damaged .* is no JSON object"):
        read_checkpoint(path)


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path, saved):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        save_checkpoint(tmp_path / "file" / "x.safetensors", saved[1], "grid", SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_unknown_models_and_settings_are_named():
    with pytest.raises(Exception, match="did you mean 'grid'"):
        models.build("gird", {})
    with pytest.raises(Exception, match="no setting 'widht'; did you mean 'width'"):
        models.build("grid", {"widht": 3})


@pytest.mark.parametrize(
    ("name", "configuration", "told"),
    [
        ("grid", {"width": 0}, "width is 0; it is a whole number from 1"),
        ("grid", {"deep": -1}, "deep is -1; it is a whole number from 1"),
        ("grid", {"height": 24.0}, "height is 24.0; it is a whole number from 1"),
        ("grid", {"height": 0}, "height is 0; "),
        ("grid", {"stem": True}, "stem is True; "),
        ("grid", {"mirrored": "no"}, "mirrored is 'no'; it is true or false"),
        ("draco", {"coarse": {"width": "8"}}, "width is '8'; "),
        ("draco", {"detail": 0}, "detail is 0; it is true or false"),
        ("draco", {"height": 50}, "height and columns are 50 and 320; they are multiples of 4"),
        ("draco", {"channels": 3}, "channels is 3; it is at least 4"),
        ("draco-paper", {"channels": -3}, "channels is -3; "),
        ("draco-paper", {"channels": 8}, "channels is 8; it is at least 16"),
        ("committee", {"members": [{"deep": 0}]}, "deep is 0; "),
        ("committee", {"members": [{}], "mirrored": 1}, "mirrored is 1; "),
    ],
)
def test_a_setting_of_the_wrong_type_or_size_is_named(name, configuration, told):
    with pytest.raises(EdgeError, match=f"model '{name}' cannot be built as configured: {told}"):
        models.build(name, configuration)


def test_weights_that_are_no_numbers_are_told_and_not_used(tmp_path, saved):
    module = saved[1]
    spoilt = copy.deepcopy(module)
    with torch.no_grad():
        spoilt.cell.bias[0] = torch.nan
    path = save_checkpoint(tmp_path / "x.safetensors", spoilt, "grid", SMALL)
    with pytest.raises(CheckpointError, match=r"x\.safetensors: cell\.bias holds values that are no numbers"):
        load_model(path)


def test_what_is_no_plain_file_is_not_replaced(tmp_path, saved):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path, told in ((pipe, "it is no plain file"), (folder, "it is a folder")):
        with pytest.raises(CheckpointError, match=f"cannot write {path}: {told}"):
            save_checkpoint(path, saved[1], "grid", SMALL)
    assert pipe.is_fifo()


def test_a_name_that_is_too_long_is_told(tmp_path, saved):
    with pytest.raises(CheckpointError, match="File name too long"):
        save_checkpoint(tmp_path / ("x" * 300), saved[1], "grid", SMALL)
