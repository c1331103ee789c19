"""No command writes over what it reads: that is told before any work, and the file is as it was."""

from __future__ import annotations

import os

import pytest
import torch

from edge import command
from quantization import distill, finetune
from tests.training.test_train import CONFIG
from training import committee, models, narrow, soup, train
from training.checkpoint import save_checkpoint

SETTINGS = {"width": 8, "stem": 8, "deep": 1, "height": 24, "columns": 32}


@pytest.fixture
def files(tmp_path):
    """Two checkpoints and a configuration, by name."""
    made = {}
    for number, name in enumerate(("first", "second")):
        torch.manual_seed(number)
        made[name] = save_checkpoint(
            tmp_path / f"{name}.safetensors", models.build("grid", SETTINGS), "grid", SETTINGS, {"run": {}}
        )
    made["config"] = tmp_path / "run.toml"
    made["config"].write_text(CONFIG)
    return made


def refused(main, call, kept, capsys) -> str:
    before = kept.read_bytes()
    assert command.run(main, [str(part) for part in call]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "choose another --out" in line and kept.read_bytes() == before
    return line


@pytest.mark.parametrize("main", [soup.main, committee.main])
@pytest.mark.parametrize("name", ["first", "second"])
def test_joined_checkpoints_are_not_written_over(main, name, files, capsys):
    call = [files["first"], files["second"], "--out", files[name]]
    assert f"{name}.safetensors is {name}.safetensors, which is read" in refused(main, call, files[name], capsys)


def test_another_name_for_the_same_file_is_seen_through(files, tmp_path, capsys):
    for link, make in (("soft.safetensors", os.symlink), ("hard.safetensors", os.link)):
        make(files["first"], tmp_path / link)
        refused(soup.main, [files["first"], files["second"], "--out", tmp_path / link], files["first"], capsys)


@pytest.mark.parametrize("name", ["first", "config"])
def test_what_a_narrower_model_is_made_from_is_not_written_over(name, files, capsys):
    call = ["--checkpoint", files["first"], "--config", files["config"], "--out", files[name]]
    refused(narrow.main, call, files[name], capsys)


def test_a_run_does_not_write_over_the_checkpoint_that_it_starts_from(files, tmp_path, capsys, pairs_folder):
    folder = tmp_path / "run"
    folder.mkdir()
    start = files["first"].rename(folder / "last.safetensors")
    files["config"].write_text(CONFIG.replace("[training]", f'initial = "{start}"\n[training]'))
    shared = ["--out", folder, "--data", tmp_path]
    for main, call in (
        (train.main, ["--config", files["config"], *shared]),
        (distill.main, ["--config", files["config"], "--teacher", start, *shared]),
        (finetune.main, ["--config", files["config"], "--model", start, *shared]),
    ):
        assert f"would write over {start}" in refused(main, call, start, capsys)


def test_a_run_does_not_write_over_its_teacher(files, tmp_path, capsys, pairs_folder):
    folder = tmp_path / "run"
    folder.mkdir()
    teacher = files["first"].rename(folder / "best.safetensors")
    call = ["--config", files["config"], "--teacher", teacher, "--out", folder, "--data", tmp_path]
    assert f"would write over {teacher}" in refused(distill.main, call, teacher, capsys)
    assert list(folder.iterdir()) == [teacher]
