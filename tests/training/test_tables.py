"""The commands behind the tables of docs/: they train what they say, go on where they stopped, and write the table."""

from __future__ import annotations

import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import command
from tests.training.conftest import Drawn
from training import ablation, paper
from training.checkpoint import read_checkpoint
from training.trainer import Trainer

TINY_PAPER = """
name = "paper"
model = { name = "draco-paper", configuration = { channels = 16 } }
training = { steps = 2, batch = 1, size = [24, 24], save_every = 1 }
losses = { l1 = 1.0, quadruplet = 0.1 }
"""
TINY_ABLATION = """
name = "ablation"
[model]
name = "draco"
[model.configuration]
channels = 16
narrow = 8
height = 24
columns = 32
coarse = { width = 16, height = 24, columns = 32 }
[training]
steps = 2
batch = 2
size = [32, 24]
[losses]
l1 = 1.0
quadruplet = 0.1
[sources.real]
kind = "pairs"
folder = "real"
[validation.pairs.mine]
folder = "real_test"
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """real/ and real_test/ with three and two pairs of each of two sets."""
    for folder, count in (("real", 3), ("real_test", 2)):
        for kind in ("hazy", "clear"):
            (tmp_path / folder / kind).mkdir(parents=True)
        for prefix in ("nhhaze", "ohaze"):
            for number in range(count):
                pair = Drawn(seed=len(prefix), width=48, height=36)[number][:2]
                for kind, picture in zip(("hazy", "clear"), pair, strict=True):
                    pixels = np.rint(picture.permute(1, 2, 0).numpy()[..., ::-1] * 255).astype(np.uint8)
                    cv2.imwrite(str(tmp_path / folder / kind / f"{prefix}{number:02d}.png"), pixels)
    return tmp_path


def test_the_papers_table_has_a_row_for_each_claim_and_each_training(data, tmp_path):
    config, out, runs = tmp_path / "paper.toml", tmp_path / "paper.md", tmp_path / "runs"
    config.write_text(TINY_PAPER)
    call = ["--data", str(data), "--config", str(config), "--runs", str(runs), "--out", str(out)]
    assert command.run(paper.main, call) == 0
    text = out.read_text()
    for row in ("| NH-HAZE, the paper says | 20.82", "| O-HAZE, the paper says | 22.94", "| O-HAZE, trained here |"):
        assert row in text
    source = read_checkpoint(runs / "ohaze" / "last.safetensors").provenance["run"]["sources"]["real"]
    assert source["only"] == "ohaze"
    before = (runs / "ohaze" / "last.safetensors").stat().st_mtime_ns
    assert command.run(paper.main, call) == 0
    assert (runs / "ohaze" / "last.safetensors").stat().st_mtime_ns == before
    assert out.read_text() == text


def test_a_training_that_was_stopped_half_way_is_scored_only_after_its_last_step(data, tmp_path, monkeypatch):
    config, out, runs = tmp_path / "paper.toml", tmp_path / "paper.md", tmp_path / "runs"
    config.write_text(TINY_PAPER)
    call = ["--data", str(data), "--config", str(config), "--runs", str(runs), "--out", str(out)]
    last = runs / "nhhaze" / "last.safetensors"
    step = Trainer.step

    def stopped(trainer, *arguments):
        signal.raise_signal(signal.SIGTERM)
        return step(trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", stopped)
        assert command.run(paper.main, call) == 130
    assert read_checkpoint(last).provenance["step"] == 1 and not out.exists()
    assert command.run(paper.main, call) == 0
    assert read_checkpoint(last).provenance["step"] == 2


def test_the_ablation_trains_what_each_variant_names(data, tmp_path):
    config, out, runs = tmp_path / "ablation.toml", tmp_path / "ablation.md", tmp_path / "runs"
    config.write_text(TINY_ABLATION)
    call = ["--data", str(data), "--config", str(config), "--runs", str(runs), "--out", str(out), "--seeds", "2"]
    assert command.run(ablation.main, [*call, "--only", "full", "no-quadruplet", "no-attdrn", "8-pairs"]) == 0
    assert len([line for line in out.read_text().splitlines() if line.startswith("| ")]) == 4 + 1
    held = {
        name: read_checkpoint(runs / "seed-1" / name / "last.safetensors")
        for name in ("full", "no-quadruplet", "8-pairs")
    }
    assert held["full"].provenance["run"]["losses"]["quadruplet"] == 0.1
    assert held["no-quadruplet"].provenance["run"]["losses"]["quadruplet"] == 0
    assert held["8-pairs"].provenance["run"]["sources"]["real"]["limit"] == 8
    assert not any(
        name.startswith("attdrn")
        for name in read_checkpoint(runs / "seed-0" / "no-attdrn" / "last.safetensors").weights
    )


@pytest.fixture
def call(data, tmp_path):
    config = tmp_path / "ablation.toml"
    config.write_text(TINY_ABLATION)
    return ["--data", str(data), "--config", str(config), "--runs", str(tmp_path / "runs")]


@pytest.mark.parametrize("options", [["--only", "full"], ["--seeds", "2"], ["--steps", "5"]])
def test_a_part_of_a_table_does_not_take_the_place_of_the_whole(data, capsys, options):
    with pytest.raises(SystemExit) as ended:
        ablation.main(["--data", str(data), *options])
    assert ended.value.code == 2
    assert "out/ablation.md holds the whole table; say with --out" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--seeds", "0"], ["--steps", "-3"]])
def test_numbers_below_one_are_wrong_calls(data, capsys, options):
    with pytest.raises(SystemExit) as ended:
        ablation.main(["--data", str(data), *options])
    assert ended.value.code == 2
    assert "is not a whole number from 1" in capsys.readouterr().err


def test_without_pairs_to_measure_on_nothing_is_trained(call, tmp_path, capsys):
    config = tmp_path / "ablation.toml"
    config.write_text(TINY_ABLATION.partition("[validation")[0])
    assert command.run(ablation.main, [*call, "--out", str(tmp_path / "table.md")]) == 1
    assert "[validation.pairs.NAME]" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_run_of_another_length_asks_for_other_runs(call, tmp_path, capsys):
    options = ["--out", str(tmp_path / "table.md"), "--only", "full", "--seeds", "1"]
    assert command.run(ablation.main, [*call, *options]) == 0
    assert command.run(ablation.main, [*call, *options, "--steps", "3"]) == 1
    assert "another training.steps; give the --config and the --steps that it had, or other --runs" in (
        capsys.readouterr().err
    )


def test_an_unknown_variant_is_named(data, capsys):
    assert command.run(ablation.main, ["--data", str(data), "--only", "no-quadruple"]) == 2
    assert "did you mean 'no-quadruplet'" in capsys.readouterr().err
