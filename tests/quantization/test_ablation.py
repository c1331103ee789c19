"""The edge model's table: each variant changes what its title says, and the teacher is the table's own."""

from __future__ import annotations

import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import command
from quantization import ablation
from tests.training.conftest import Drawn
from training.checkpoint import read_checkpoint
from training.trainer import Trainer

RECIPE = """
name = "tiny"
[model]
name = "experts"
[model.configuration]
laid = { width = 12, stem = 8, deep = 1, height = 24, columns = 32 }
real = { width = 8, stem = 8, deep = 1, height = 24, columns = 32 }
[training]
steps = 2
batch = 2
size = [32, 24]
workers = 0
[losses]
l1 = 1.0
density = 0.1
airlight = 0.2
[sources.real]
kind = "pairs"
folder = "real"
[sources.clear]
kind = "clear"
folders = ["real/clear"]
[validation.pairs.mine]
folder = "real"
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for kind in ("real/hazy", "real/clear", "real_hazy"):
        (tmp_path / kind).mkdir(parents=True)
    for number in range(3):
        hazy, clear = (
            np.rint(picture.permute(1, 2, 0).numpy()[..., ::-1] * 255).astype(np.uint8)
            for picture in Drawn(width=48, height=36)[number][:2]
        )
        for kind, picture in {"real/hazy": hazy, "real/clear": clear, "real_hazy": hazy}.items():
            cv2.imwrite(str(tmp_path / kind / f"{number}.png"), picture)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return tmp_path


def test_each_variant_trains_what_its_title_says(data, tmp_path):
    out, runs = tmp_path / "table.md", tmp_path / "runs"
    call = ["--data", str(data), "--config", str(data / "tiny.toml"), "--runs", str(runs), "--out", str(out)]
    chosen = ["teacher", "recipe", "no-known-haze", "one-network", "no-real", "distilled", "photographs"]
    assert command.run(ablation.main, [*call, "--seeds", "1", "--only", *chosen]) == 0
    table = out.read_text()
    assert all(f"| {ablation.STUDY.variants[name].title} | " in table for name in chosen)
    held = {name: read_checkpoint(runs / "seed-0" / name / "last.safetensors").provenance["run"] for name in chosen}
    assert held["teacher"]["model"]["configuration"]["laid"]["width"] == 36
    assert held["recipe"]["losses"]["airlight"] == 0.2
    assert held["no-known-haze"]["losses"]["airlight"] == held["no-known-haze"]["losses"]["density"] == 0
    assert [held[name]["model"]["name"] for name in ("recipe", "one-network")] == ["experts", "grid"]
    assert held["one-network"]["model"]["configuration"] == held["recipe"]["model"]["configuration"]["laid"]
    assert set(held["no-real"]["sources"]) == {"clear"}
    assert held["photographs"]["sources"]["photographs"]["kind"] == "unlabelled"
    assert [held[name]["distillation"]["picture"] for name in ("distilled", "photographs")] == [0.5, 0.5]


def test_the_teacher_is_asked_for_where_it_is_not_trained_yet(data, tmp_path, capsys):
    call = ["--data", str(data), "--config", str(data / "tiny.toml"), "--runs", str(tmp_path / "runs")]
    assert command.run(ablation.main, [*call, "--out", str(tmp_path / "t.md"), "--only", "distilled"]) == 1
    assert "run teacher first: name it in --only too" in capsys.readouterr().err


def test_a_teacher_that_was_stopped_half_way_does_not_teach_before_its_end(data, tmp_path, monkeypatch, capsys):
    runs = tmp_path / "runs"
    call = ["--data", str(data), "--config", str(data / "tiny.toml"), "--runs", str(runs), "--seeds", "1"]
    call += ["--out", str(tmp_path / "t.md"), "--only", "distilled"]
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", _stopped_in(Trainer.step))
        assert command.run(ablation.main, [*call, "teacher"]) == 130
    last = runs / "seed-0" / "teacher" / "last.safetensors"
    assert read_checkpoint(last).provenance["step"] == 1
    capsys.readouterr()
    assert command.run(ablation.main, call) == 1
    told = capsys.readouterr().err
    assert "is of step 1 of 2; train teacher to its end: name it in --only too" in told and told.count("\n") == 1
    assert not (runs / "seed-0" / "distilled").exists()
    assert command.run(ablation.main, [*call, "teacher"]) == 0
    assert read_checkpoint(last).provenance["step"] == 2


def _stopped_in(step):
    """A trainer's step in which the process is asked to end."""

    def stopped(trainer, *arguments):
        signal.raise_signal(signal.SIGTERM)
        return step(trainer, *arguments)

    return stopped


def test_what_the_teacher_says_changes_what_is_learnt(data, tmp_path):
    runs = tmp_path / "runs"
    call = ["--data", str(data), "--config", str(data / "tiny.toml"), "--runs", str(runs)]
    chosen = ["distilled", "recipe", "teacher"]  # in whichever order they are named, the teacher comes first
    assert command.run(ablation.main, [*call, "--seeds", "1", "--out", str(tmp_path / "t.md"), "--only", *chosen]) == 0
    plain, taught = (
        read_checkpoint(runs / "seed-0" / name / "last.safetensors").weights["laid.cell.bias"]
        for name in ("recipe", "distilled")
    )
    assert not np.array_equal(plain.numpy(), taught.numpy())
