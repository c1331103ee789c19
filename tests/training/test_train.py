"""`python -m training.train`: one command from pairs to a checkpoint, and one line for each mistake."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch

from edge import command
from training import train
from training.checkpoint import load_model, read_checkpoint, read_tensors, tensors_to_bytes
from training.occupied import occupied

CONFIG = """
name = "mine"
[model]
name = "grid"
configuration = { width = 16, height = 24, columns = 32 }
[training]
steps = 3
batch = 2
size = [32, 24]
[sources.pairs]
kind = "pairs"
folder = "pairs"
[validation]
every = 3
[validation.pairs.mine]
folder = "pairs"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(CONFIG)
    return path


def test_a_run_ends_with_the_path_of_a_checkpoint_and_is_not_written_over(tmp_path, pairs_folder, config, capsys):
    before = signal.getsignal(signal.SIGTERM)
    call = ["--config", str(config), "--data", str(pairs_folder.parent), "--out", str(tmp_path / "run")]
    assert command.run(train.main, call) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[-1] == str(tmp_path / "run" / "best.safetensors")
    assert "step 3/3  loss" in told.err
    assert "pictures/s" in told.err
    assert "waiting for data" in told.err
    load_model(tmp_path / "run" / "best.safetensors")
    assert signal.getsignal(signal.SIGTERM) is before

    assert command.run(train.main, call) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert command.run(train.main, ["--resume", str(tmp_path / "run")]) == 0  # knows where the pictures were


def test_a_step_that_no_memory_holds_is_told_before_pictures_are_read(tmp_path, pairs_folder, config, capsys):
    config.write_text(CONFIG.replace("batch = 2", "batch = 65536").replace("[32, 24]", "[16384, 16384]"))
    call = ["--config", str(config), "--data", str(pairs_folder.parent), "--out", str(tmp_path / "run")]
    assert command.run(train.main, call) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the pictures of a step take 655,360 GiB and this machine has" in line
    assert not (tmp_path / "run").exists()


def test_memory_that_torch_cannot_have_is_told_in_one_line(capsys):
    for ask in (lambda: torch.empty(2**50), lambda: torch.empty(2**62, 2**10), lambda: np.empty(2**55)):
        assert command.run(lambda argv, ask=ask: ask()) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "not enough memory" in line and "a smaller size or batch" in line


def test_another_seed_gives_another_run_and_is_remembered(tmp_path, pairs_folder, config):
    weights = []
    for seed in ("1", "2", "1"):
        run = tmp_path / f"run{len(weights)}"
        call = ["--config", str(config), "--data", str(pairs_folder.parent), "--out", str(run), "--seed", seed]
        assert command.run(train.main, call) == 0
        held = read_checkpoint(run / "last.safetensors")
        assert held.provenance["run"]["seed"] == int(seed)
        weights.append(held.weights["cell.bias"])
    assert weights[0].equal(weights[2]) and not weights[0].equal(weights[1])


def test_mistakes_are_one_line(tmp_path, config, capsys):
    later = tmp_path / "later.toml"
    later.write_text(CONFIG.replace("[training]", 'initial = "runs/start.safetensors"\n[training]'))
    for call, told in (
        (["--config", str(later), "--out", str(tmp_path / "run")], "model.initial: runs/start.safetensors does not"),
        (["--config", str(tmp_path / "none.toml")], "none.toml"),
        (["--config", str(config), "--data", str(tmp_path / "none")], "--data"),
        (["--resume", str(tmp_path)], "no run to go on with"),
        (["--config", str(config), "--data", str(tmp_path), "--out", str(tmp_path / "run")], "pairs"),
    ):
        assert command.run(train.main, call) == 1
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1


def test_a_call_without_a_configuration_is_wrong(capsys):
    with pytest.raises(SystemExit) as raised:
        train.main([])
    assert raised.value.code == 2
    assert "--config" in capsys.readouterr().err


def test_pictures_in_a_folder_whose_name_is_no_utf8_are_found_again(tmp_path, pairs_folder, config):
    data = tmp_path / os.fsdecode(b"Bl\xe4tter")
    data.mkdir()
    pairs_folder.rename(data / "pairs")
    run = tmp_path / "run"
    assert command.run(train.main, ["--config", str(config), "--data", str(data), "--out", str(run)]) == 0
    assert command.run(train.main, ["--resume", str(run)]) == 0


def test_two_processes_do_not_train_in_one_folder(tmp_path, pairs_folder, config, capsys):
    run = tmp_path / "runs" / "one"
    call = ["--config", str(config), "--data", str(tmp_path), "--out", str(run)]
    with occupied(run):
        assert command.run(train.main, call) == 1
        assert f"another process trains in {run}; wait for its end" in capsys.readouterr().err
        assert not list(run.iterdir())
    assert not run.exists()  # what did not begin leaves nothing
    assert command.run(train.main, call) == 0
    with occupied(run):
        assert command.run(train.main, ["--resume", str(run)]) == 1


def run_that_was_stopped(tmp_path, pairs_folder, config):
    """A run of three pairs that has a step left."""
    call = ["--config", str(config), "--data", str(pairs_folder.parent), "--out", str(tmp_path / "run")]
    assert command.run(train.main, call) == 0
    path = tmp_path / "run" / "resume.safetensors"
    tensors, metadata = read_tensors(path)
    progress = json.loads(metadata["progress"]) | {"step": 2, "validated": 0}
    path.write_bytes(tensors_to_bytes(tensors, {**metadata, "progress": json.dumps(progress)}))
    return path


def test_a_run_that_goes_on_with_other_pictures_says_so(tmp_path, pairs_folder, config, capsys):
    run_that_was_stopped(tmp_path, pairs_folder, config)
    for part in ("hazy", "clear"):
        (pairs_folder / part / "3.png").write_bytes((pairs_folder / part / "2.png").read_bytes())
    capsys.readouterr()
    assert command.run(train.main, ["--resume", str(tmp_path / "run")]) == 0
    told = capsys.readouterr().err
    assert told.count("sources.pairs has 4 pictures, 3 before: the run goes on with them, but not as it would") == 1


def test_a_picture_in_the_place_of_another_is_told_too(tmp_path, pairs_folder, config, capsys):
    run_that_was_stopped(tmp_path, pairs_folder, config)
    for part in ("hazy", "clear"):
        (pairs_folder / part / "2.png").write_bytes((pairs_folder / part / "1.png").read_bytes())
    capsys.readouterr()
    assert command.run(train.main, ["--resume", str(tmp_path / "run")]) == 0
    assert "sources.pairs has other pictures than before" in capsys.readouterr().err


def test_the_same_pictures_elsewhere_are_no_others_and_an_older_state_goes_on(tmp_path, pairs_folder, config, capsys):
    path = run_that_was_stopped(tmp_path, pairs_folder, config)
    state = path.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    pairs_folder.rename(tmp_path / "elsewhere" / "pairs")
    call = ["--resume", str(tmp_path / "run"), "--data", str(tmp_path / "elsewhere")]
    assert command.run(train.main, call) == 0
    path.write_bytes(state)
    tensors, metadata = read_tensors(path)
    del metadata["stocks"]  # as files of before this was kept
    path.write_bytes(tensors_to_bytes(tensors, metadata))
    (tmp_path / "elsewhere" / "pairs" / "hazy" / "2.png").unlink()
    (tmp_path / "elsewhere" / "pairs" / "clear" / "2.png").unlink()
    assert command.run(train.main, call) == 0
    assert "than before" not in (told := capsys.readouterr().err) and "pictures, 3 before" not in told
