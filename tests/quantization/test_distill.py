"""Distillation: what the objective measures, and runs that learn from a teacher."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge.errors import EdgeError
from quantization import distill
from quantization.objective import DistillationObjective, coefficient_distance
from training import models, train
from training.checkpoint import save_checkpoint
from training.config import parse

SMALL = {"width": 8, "stem": 8, "deep": 1, "height": 24, "columns": 32}
RUN = """
name = "student"
[model]
name = "grid"
configuration = { width = 8, stem = 8, deep = 1, height = 24, columns = 32 }
[training]
steps = 6
batch = 2
size = [32, 24]
workers = 0
save_every = 3
[sources.photographs]
kind = "unlabelled"
folders = ["photographs"]
"""


def test_the_distance_of_coefficients_is_nothing_for_the_wanted_picture_and_grows_with_a_wrong_gain():
    hazy = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    wanted = 1.8 * hazy - 0.4
    distances = [float(coefficient_distance(hazy, gain * hazy - 0.4, wanted)) for gain in (1.8, 1.9, 2.2)]
    assert distances[0] < 1e-6
    assert distances[0] < distances[1] < distances[2]


def test_the_distance_of_coefficients_agrees_with_lines_fitted_by_numpy():
    rng = np.random.default_rng(2)
    hazy, dehazed, wanted = rng.random((3, 7, 7))
    spread = hazy.var()
    slopes = [np.cov(hazy.ravel(), picture.ravel(), bias=True)[0, 1] / (spread + 1e-3) for picture in (dehazed, wanted)]
    expected = abs(slopes[0] - slopes[1]) * np.sqrt(spread) + abs(dehazed.mean() - wanted.mean())
    padded = [torch.tensor(np.tile(p, (1, 3, 3, 3)), dtype=torch.float32) for p in (hazy, dehazed, wanted)]
    # Tiles make every whole window hold the same values; only such windows are compared.
    inner = [p[:, :, 4:17, 4:17] for p in padded]
    from quantization import objective

    ours = [objective._line(inner[0], p) for p in inner[1:]]
    middle = (slice(None), slice(None), 6, 6)
    distance = (ours[0][0] - ours[1][0])[middle].abs() * ours[0][2][middle] + (ours[0][1] - ours[1][1])[middle].abs()
    assert distance.numpy() == pytest.approx(expected, abs=1e-4)


def test_pictures_without_a_clear_one_teach_through_the_teacher_alone():
    torch.manual_seed(0)
    teacher, student = (models.build("grid", SMALL) for _ in range(2))
    torch.nn.init.constant_(teacher.cell.bias, 1.5)
    config = parse(
        {"name": "x", "model": {"name": "grid"}, "training": {"steps": 1, "batch": 2, "size": [32, 24]}}, "here"
    )
    objective = DistillationObjective(config, [teacher])
    hazy = torch.rand(2, 3, 24, 32)
    clear = torch.full_like(hazy, torch.nan)
    scores = objective(student, hazy, clear, torch.full((2, 4, 24, 32), torch.nan))
    assert torch.isfinite(scores.loss)
    assert set(scores.terms) == {"taught_picture", "taught_coefficients"}
    scores.loss.backward()
    assert student.cell.bias.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_teacher_that_looks_twice_teaches_what_it_says_of_both():
    torch.manual_seed(2)
    student, teacher = (models.build("grid", SMALL) for _ in range(2))
    torch.nn.init.normal_(teacher.cell.weight)
    teacher.mirrored = True
    config = parse(
        {"name": "x", "model": {"name": "grid"}, "training": {"steps": 1, "batch": 2, "size": [32, 24]}}, "here"
    )
    hazy = torch.rand(2, 3, 24, 32)
    with torch.no_grad():
        teacher.eval()
        said, of_mirrored, ours = teacher(hazy), teacher(hazy.flip(3)).flip(3), student(hazy)
        unknown = torch.full((2, 4, 24, 32), torch.nan)
        scores = DistillationObjective(config, [teacher])(student, hazy, torch.full_like(hazy, torch.nan), unknown)
    assert (said - of_mirrored).abs().max() > 0.01
    expected = (ours - (said + of_mirrored) / 2).abs().mean()
    torch.testing.assert_close(scores.terms["taught_picture"], expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with photographs, a teacher's checkpoint and a student's configuration."""
    rng = np.random.default_rng(3)
    (tmp_path / "photographs").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "photographs" / f"{number}.png"), rng.integers(0, 256, (48, 64, 3), np.uint8))
    torch.manual_seed(1)
    save_checkpoint(tmp_path / "teacher.safetensors", models.build("grid", SMALL), "grid", SMALL)
    (tmp_path / "run.toml").write_text(RUN)
    return tmp_path


def test_a_run_on_photographs_alone_ends_with_a_checkpoint_and_remembers_its_teachers(folder, capsys):
    arguments = ["--teacher", folder / "teacher.safetensors", "--config", folder / "run.toml", "--data", folder]
    assert distill.main([*map(str, arguments), "--out", str(folder / "run")]) == 0
    made = Path(capsys.readouterr().out.splitlines()[-1])
    assert made == folder / "run" / "last.safetensors"
    teacher = folder / "teacher.safetensors"
    digest = hashlib.sha256(teacher.read_bytes()).hexdigest()
    assert (folder / "run" / "teachers.txt").read_text() == f"{digest}  {teacher}\n"
    assert distill.main(["--resume", str(folder / "run")]) == 0


def test_a_run_goes_on_with_the_teachers_it_had_wherever_they_lie_now(folder):
    teacher, run = folder / "teacher.safetensors", folder / "run"
    arguments = ["--teacher", teacher, "--config", folder / "run.toml", "--data", folder]
    assert distill.main([*map(str, arguments), "--out", str(run)]) == 0
    moved = teacher.rename(folder / "moved.safetensors")
    assert distill.main(["--resume", str(run), "--teacher", str(moved)]) == 0
    save_checkpoint(teacher, models.build("grid", SMALL), "grid", SMALL)
    with pytest.raises(EdgeError, match="learns from other teachers"):
        distill.main(["--resume", str(run), "--teacher", str(teacher)])


def test_a_distillation_does_not_go_on_without_its_teacher(folder):
    arguments = ["--teacher", folder / "teacher.safetensors", "--config", folder / "run.toml", "--data", folder]
    assert distill.main([*map(str, arguments), "--out", str(folder / "run")]) == 0
    with pytest.raises(EdgeError, match=r"one of quantization\.distill, .* resume it with python -m quantization\.dis"):
        train.main(["--resume", str(folder / "run")])


def test_a_run_without_a_teacher_is_a_wrong_call(capsys):
    with pytest.raises(SystemExit) as ended:
        distill.main(["--config", "run.toml"])
    assert ended.value.code == 2
    assert "--teacher" in capsys.readouterr().err
